//! The scripts below `sh/`, and which preludes each stands on.

use super::command::Command;

const BASE: &str = include_str!("sh/base.sh");
const MACHINE: &str = include_str!("sh/machine.sh");
const MEMORY: &str = include_str!("sh/memory.sh");
const PROCESS: &str = include_str!("sh/process.sh");
const SOCKETS: &str = include_str!("sh/sockets.sh");
const STATE: &str = include_str!("sh/state.sh");
const TRAIL: &str = include_str!("sh/trail.sh");
const FENCE: &str = include_str!("sh/fence.sh");
const TOKENS: &str = include_str!("sh/tokens.sh");
const TIMERS: &str = include_str!("sh/timers.sh");
const ASKING: &str = include_str!("sh/asking.sh");
const ENDING: &str = include_str!("sh/ending.sh");
const ARMING: &str = include_str!("sh/arming.sh");
const HOOKS: &str = include_str!("sh/hooks.sh");
const HOOK_RUN: &str = include_str!("sh/hook_run.sh");
const START_UNIT: &str = include_str!("sh/start_unit.sh");
const STOP_UNIT: &str = include_str!("sh/stop_unit.sh");
const UNITS: &str = include_str!("sh/units.sh");
const RELEASES: &str = include_str!("sh/releases.sh");
const STORING: &str = include_str!("sh/storing.sh");
const NGINX: &str = include_str!("sh/nginx.sh");
const SWITCH: &str = include_str!("sh/switch.sh");
const HOME: &str = include_str!("sh/home.sh");

/// A script with its preludes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    name: &'static str,
    preludes: &'static [&'static str],
    text: &'static str,
}

macro_rules! body {
    ($name:literal, $($prelude:ident),+) => {
        Body {
            name: $name,
            preludes: &[$($prelude),+],
            text: include_str!(concat!("sh/", $name, ".sh")),
        }
    };
}

impl Body {
    /// The script of a command.
    pub(super) fn of(command: &Command) -> Self {
        match command {
            Command::Observe(_) => body!(
                "observe", BASE, MACHINE, MEMORY, PROCESS, SOCKETS, STATE, FENCE, TOKENS, TIMERS, ASKING,
                ARMING, HOOKS, RELEASES, UNITS, NGINX
            ),
            Command::Lock(_) => body!("lock", BASE, MACHINE, STATE, TRAIL, FENCE),
            Command::Renew(_) => body!("renew", BASE, MACHINE, STATE, TRAIL, FENCE),
            Command::Unlock(_) => body!("unlock", BASE, MACHINE, STATE, TRAIL, FENCE),
            Command::BreakLock(_) => body!("break_lock", BASE, MACHINE, STATE, TRAIL, FENCE),
            Command::Record(_) => body!("record", BASE, MACHINE, STATE, TRAIL, FENCE),
            Command::Digest(_) => body!("digest", BASE, RELEASES),
            Command::Put(_) => body!("put", BASE, MACHINE, STATE, TRAIL, FENCE, RELEASES, STORING),
            Command::FindJar(_) => body!("find_jar", BASE),
            Command::Take(_) => body!("take", BASE, MACHINE, STATE, TRAIL, FENCE, RELEASES, STORING),
            Command::DiscardUpload(_) => {
                body!("discard_upload", BASE, MACHINE, STATE, TRAIL, FENCE, RELEASES)
            }
            Command::Start(_) => body!(
                "start", BASE, MACHINE, MEMORY, PROCESS, SOCKETS, STATE, TRAIL, FENCE, RELEASES, UNITS,
                START_UNIT
            ),
            Command::Stop(_) => body!(
                "stop", BASE, MACHINE, PROCESS, SOCKETS, STATE, TRAIL, FENCE, ENDING, UNITS, STOP_UNIT
            ),
            Command::Hook(_) => body!(
                "hook", BASE, MACHINE, PROCESS, STATE, TRAIL, FENCE, HOOKS, HOOK_RUN, RELEASES
            ),
            Command::SetTimer(_) => body!(
                "set_timer",
                BASE,
                MACHINE,
                STATE,
                TRAIL,
                FENCE,
                TIMERS,
                ASKING,
                ARMING
            ),
            Command::CancelTimer(_) => body!("cancel_timer", BASE, MACHINE, STATE, TRAIL, FENCE, TIMERS),
            Command::MarkRelease(_) => body!("mark_release", BASE, MACHINE, STATE, TRAIL, FENCE, RELEASES),
            Command::Prepare(_) => body!(
                "prepare", BASE, MACHINE, PROCESS, STATE, TRAIL, FENCE, TOKENS, NGINX, SWITCH, HOME
            ),
            Command::Commit(_) => body!(
                "commit", BASE, MACHINE, PROCESS, STATE, TRAIL, FENCE, TOKENS, ARMING, NGINX, SWITCH, HOME
            ),
            Command::Arm(_) => body!("arm", BASE, MACHINE, STATE, TRAIL, FENCE, TOKENS, ARMING),
            Command::Confirm(_) => body!("confirm", BASE, MACHINE, STATE, TRAIL, FENCE, TOKENS),
            Command::Revert(_) => body!(
                "revert", BASE, MACHINE, PROCESS, STATE, TRAIL, FENCE, TOKENS, NGINX, SWITCH, HOME
            ),
            Command::CleanNginx(_) => body!("clean_nginx", BASE, MACHINE, STATE, TRAIL, FENCE),
            Command::AwaitWorkers(_) => body!("await_workers", BASE, MACHINE, PROCESS, NGINX),
            Command::AwaitConnections(_) => body!("await_connections", BASE, MACHINE, PROCESS, SOCKETS),
            Command::Prune(_) => body!("prune", BASE, MACHINE, PROCESS, STATE, TRAIL, FENCE, RELEASES),
            Command::LogTail(_) => body!(
                "log_tail", BASE, MACHINE, PROCESS, SOCKETS, STATE, RELEASES, UNITS
            ),
            Command::Audit(_) => body!("audit", BASE, MACHINE, STATE),
            Command::NoteDrill(_) => body!("note_drill", BASE, MACHINE, STATE, TRAIL, FENCE),
            Command::Fetch(_) => body!("fetch", BASE, MACHINE, ASKING),
            Command::Peers(_) => body!("peers", BASE),
            Command::SudoCheck(_) => body!("sudo_check", BASE, MACHINE, PROCESS, STATE, NGINX),
        }
    }

    /// The watch's, which a commit or an arming leaves asleep. It passes no fence: it obeys its token.
    pub(super) fn watch() -> Self {
        body!(
            "watch", BASE, MACHINE, PROCESS, STATE, TRAIL, TOKENS, NGINX, SWITCH, HOME
        )
    }

    /// That of a hook which the controller runs itself. It passes no fence: the hosts keep what becomes of it.
    pub(super) fn controller_hook() -> Self {
        body!("controller_hook", BASE, MACHINE, PROCESS, HOOK_RUN)
    }

    /// The timer's, which is left asleep beside an old instance. It passes no fence: it asks itself whether anybody
    /// came.
    pub(super) fn timer() -> Self {
        body!(
            "timer", BASE, MACHINE, PROCESS, SOCKETS, STATE, TRAIL, FENCE, TIMERS, ASKING, ENDING, UNITS,
            STOP_UNIT
        )
    }

    /// The script's name, the file's without its ending.
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// The preludes in order, and the script itself.
    pub(super) fn parts(self) -> impl Iterator<Item = &'static str> {
        self.preludes.iter().copied().chain([self.text])
    }
}
