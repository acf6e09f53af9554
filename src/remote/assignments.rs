//! The parameters of every command as shell assignments.

use std::time::Duration;

use super::command::{Arm, Command, Commit, NginxPlace, ObserveNginx, Place, PlacedContent, Placement};
use super::command::{Hook, HookAct, HookRun, Prepare, Put, Upstreams};
use super::quote::{base64, hex_digest, milliseconds, one_line, optional_path, path, quoted, words};
use super::render;
use crate::model::hook::{HookBody, Recall, Repeats};
use crate::model::lock::Fence;
use crate::model::names::{RemotePath, RunId};
use crate::model::playbook::ReloadWay;
use crate::model::process::ProcessIdentity;

mod instances;

mod timers;

pub(super) use timers::of_timer;

/// Assignments in order; each value is a shell word already.
#[derive(Default)]
struct Assignments(Vec<(&'static str, String)>);

/// The assignments that a command's script starts with: names, and values as shell words.
pub(super) fn assignments(place: &Place, command: &Command) -> Vec<(&'static str, String)> {
    let mut list = Assignments::of_place(place);
    list.of_lock(command);
    list.of_release(command);
    list.of_instance(place, command);
    list.of_timers(place, command);
    list.of_nginx(place, command);
    list.of_reading(place, command);
    list.0
}

/// What the watch of a token knows.
pub(super) struct Watch<'a> {
    /// The fence of the script that arms it.
    pub(super) fence: &'a Fence,
    /// The run whose home it puts back.
    pub(super) home: &'a RunId,
    /// The nginx.
    pub(super) nginx: &'a NginxPlace,
    /// When it does, from its arming.
    pub(super) after: Duration,
    /// How long fresh workers may take to appear when it does.
    pub(super) deadline: Duration,
}

impl<'a> From<&'a Commit> for Watch<'a> {
    fn from(commit: &'a Commit) -> Self {
        Self {
            fence: &commit.fence,
            home: &commit.home,
            nginx: &commit.nginx,
            after: commit.watch,
            deadline: commit.deadline,
        }
    }
}

impl<'a> From<&'a Arm> for Watch<'a> {
    fn from(arm: &'a Arm) -> Self {
        Self {
            fence: &arm.fence,
            home: &arm.home,
            nginx: &arm.nginx,
            after: arm.watch,
            deadline: arm.deadline,
        }
    }
}

/// The assignments that the watch's program starts with.
pub(super) fn of_watch(place: &Place, watch: &Watch<'_>) -> Vec<(&'static str, String)> {
    let mut list = Assignments::of_place(place);
    list.set("HOME_RUN", watch.home)
        .set("TOKEN_EPOCH", watch.fence.epoch.0)
        .set("TOKEN_NUMBER", watch.fence.sequence)
        .nginx(watch.nginx)
        .set("DEADLINE_MS", milliseconds(watch.deadline));
    list.0
}

/// The assignments of a hook that the controller runs itself.
pub(super) fn of_controller_hook(run: &HookRun) -> Vec<(&'static str, String)> {
    let mut list = Assignments::default();
    let file = match &run.body {
        HookBody::Command(_) => String::new(),
        HookBody::Script(script) => script.file.display().to_string(),
    };
    for name in ["APP", "STATE_DIR", "RELEASE_DIR"] {
        list.set(name, "");
    }
    list.set("MAY_SUDO", "no").hook_run(run).set("HOOK_FILE", file);
    list.0
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// The shadow with the path that the script gives the candidate.
fn shadow(place: &Place, prepare: &Prepare) -> String {
    let folder = prepare.placement.target.parent();
    let candidate = format!(
        "{}/.nonstop-{}.candidate",
        folder.as_str().trim_end_matches('/'),
        place.app
    );
    prepare.shadow.replace("{candidate}", &candidate)
}

impl Assignments {
    fn of_place(place: &Place) -> Self {
        let mut list = Self::default();
        list.set("APP", &place.app)
            .word("STATE_DIR", optional_path(place.state_dir.as_ref()))
            .word("RELEASE_DIR", optional_path(place.release_dir.as_ref()))
            .set("MAY_SUDO", yes_or_no(place.may_sudo));
        list
    }

    /// The watch to arm, and the program that it is.
    fn watch(&mut self, place: &Place, watch: &Watch<'_>) -> &mut Self {
        self.set("HOME_RUN", watch.home)
            .set("WATCH_MS", milliseconds(watch.after))
            .word("WATCH", base64(&render::watch(place, watch)))
    }

    fn word(&mut self, name: &'static str, word: String) -> &mut Self {
        self.0.push((name, word));
        self
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers are handed in as they are, names by reference"
    )]
    fn set(&mut self, name: &'static str, value: impl ToString) -> &mut Self {
        self.word(name, quoted(&value.to_string()))
    }

    fn of_lock(&mut self, command: &Command) {
        match command {
            Command::Lock(lock) => {
                self.set("EXPECTED_EPOCH", lock.expected.0)
                    .set("EPOCH", lock.epoch.0)
                    .set("RUN", &lock.run)
                    .word("WHO", one_line(&lock.owner.who))
                    .word("PLACE", one_line(&lock.owner.place))
                    .word("OWNER_COMMAND", one_line(&lock.owner.command))
                    .word(
                        "BUILD_URL",
                        one_line(lock.owner.build_url.as_deref().unwrap_or_default()),
                    )
                    .word("SINCE", one_line(&lock.owner.since))
                    .set("LEASE_MS", lock.lease.map(milliseconds).unwrap_or_default());
            }
            Command::Renew(renew) => {
                self.set("EPOCH", renew.epoch.0).set("RUN", &renew.run);
            }
            Command::BreakLock(lock) => {
                self.set("EXPECTED_EPOCH", lock.expected.0)
                    .set("EPOCH", lock.epoch.0)
                    .word("WHO", one_line(&lock.by.who))
                    .word("PLACE", one_line(&lock.by.place));
            }
            Command::Unlock(unlock) => {
                self.fence(&unlock.fence);
            }
            Command::Record(record) => {
                self.fence(&record.fence).word("RECORD", base64(&record.json));
            }
            _ => {}
        }
    }

    fn of_release(&mut self, command: &Command) {
        match command {
            Command::Digest(digest) => {
                self.set("RELEASE", &digest.release);
            }
            Command::Put(put) => {
                self.put(put);
            }
            Command::Take(take) => {
                self.put(&take.put).word("FROM", path(&take.from));
            }
            Command::FindJar(find) => {
                self.word("JAR_FOLDER", path(&find.pattern.folder()))
                    .set("JAR_PATTERN", find.pattern.file_name());
            }
            Command::DiscardUpload(discard) => {
                self.fence(&discard.fence).set("RELEASE", &discard.release);
            }
            Command::MarkRelease(mark) => {
                self.fence(&mark.fence)
                    .set("RELEASE", &mark.release)
                    .set("FAILED", yes_or_no(mark.failed));
            }
            Command::Prune(prune) => {
                let protected = prune.protected.iter().map(|id| quoted(id.as_str()));
                self.fence(&prune.fence)
                    .set("KEEP", prune.keep)
                    .word("PROTECTED", words(protected));
            }
            _ => {}
        }
    }

    fn of_instance(&mut self, place: &Place, command: &Command) {
        match command {
            Command::Start(start) => self.start(start),
            Command::Stop(stop) => {
                self.stop(stop);
                self.unit(place.units.get(&stop.slot));
            }
            Command::Hook(hook) => self.hook(hook),
            Command::LogTail(tail) => {
                let unit = place.units.get(&tail.slot);
                self.set("SLOT", &tail.slot).set("LINES", tail.lines).unit(unit);
            }
            Command::AwaitConnections(wait) => {
                self.set("PORT", wait.port)
                    .set("DEADLINE_MS", milliseconds(wait.deadline));
            }
            _ => {}
        }
    }

    fn put(&mut self, put: &Put) -> &mut Self {
        self.fence(&put.fence)
            .set("RELEASE", &put.release)
            .set("SHA256", &put.sha256)
            .set("SIZE_BYTES", put.size_bytes)
            .word("JAR_NAME", one_line(&put.jar_name))
    }

    fn hook(&mut self, hook: &Hook) {
        let recall = match hook.recall {
            Recall::Ask => "ask",
            Recall::Done => "done",
            Recall::Again => "again",
        };
        let (act, reason) = match &hook.act {
            HookAct::Run(_) => ("run", None),
            HookAct::Begins => ("begins", None),
            HookAct::Never => ("never", None),
            HookAct::Ended(None) => ("done", None),
            HookAct::Ended(Some(reason)) => ("failed", Some(reason)),
            HookAct::End => ("end", None),
        };
        self.fence(&hook.fence)
            .set("HOOK_RUN", &hook.run)
            .set("HOOK", hook.hook)
            .set(
                "DIGEST",
                hook.digest.as_ref().map(ToString::to_string).unwrap_or_default(),
            )
            .set("RECALL", recall)
            .set("REPEATABLE", yes_or_no(hook.repeats == Repeats::Freely))
            .set("ACT", act)
            .word("REASON", one_line(reason.map(String::as_str).unwrap_or_default()));
        if let HookAct::Run(run) = &hook.act {
            let script = match &run.body {
                HookBody::Command(_) => "",
                HookBody::Script(script) => script.text.as_str(),
            };
            self.hook_run(run)
                .set(
                    "RELEASE",
                    run.release.as_ref().map(ToString::to_string).unwrap_or_default(),
                )
                .word("HOOK_SCRIPT", base64(script));
        }
    }

    fn hook_run(&mut self, run: &HookRun) -> &mut Self {
        self.set("HOOK_COMMAND", run.body.command_line())
            .set(
                "RUN_AS",
                run.run_as.as_ref().map(ToString::to_string).unwrap_or_default(),
            )
            .set("TIMEOUT_MS", milliseconds(run.timeout))
    }

    fn of_nginx(&mut self, place: &Place, command: &Command) {
        match command {
            Command::Prepare(prepare) => {
                self.fence(&prepare.fence)
                    .set("HOME_RUN", &prepare.home)
                    .nginx(&prepare.nginx)
                    .placement(&prepare.placement)
                    .word("CANDIDATE", base64(&prepare.candidate))
                    .word("SHADOW", base64(&shadow(place, prepare)))
                    .upstreams(prepare.upstreams.as_ref());
            }
            Command::Commit(commit) => {
                let bytes = match &commit.placement.content {
                    PlacedContent::File(bytes) => bytes.as_str(),
                    PlacedContent::Link(_) => "",
                };
                self.fence(&commit.fence)
                    .watch(place, &commit.into())
                    .nginx(&commit.nginx)
                    .placement(&commit.placement)
                    .word("CANDIDATE", base64(bytes))
                    .set("DEADLINE_MS", milliseconds(commit.deadline));
            }
            Command::Arm(arm) => {
                self.fence(&arm.fence).watch(place, &arm.into());
            }
            Command::Confirm(confirm) => {
                self.fence(&confirm.fence)
                    .set("TOKEN_RUN", &confirm.token.run)
                    .set("TOKEN_EPOCH", confirm.token.epoch.0)
                    .set("TOKEN_NUMBER", confirm.token.number);
            }
            Command::Revert(revert) => {
                self.fence(&revert.fence)
                    .nginx(&revert.nginx)
                    .set("HOME_RUN", &revert.home)
                    .set("DEADLINE_MS", milliseconds(revert.deadline));
            }
            Command::CleanNginx(clean) => {
                self.fence(&clean.fence)
                    .word("ENTRY", path(&clean.entry))
                    .word("TARGET", path(&clean.target))
                    .word("CONF", path(&clean.conf));
            }
            Command::AwaitWorkers(wait) => {
                self.master(&wait.master)
                    .set("DEADLINE_MS", milliseconds(wait.deadline));
            }
            _ => {}
        }
    }

    fn of_reading(&mut self, place: &Place, command: &Command) {
        match command {
            Command::Observe(observe) => {
                let slots = observe.slots.iter();
                let slots = slots.map(|(slot, port)| quoted(&format!("{slot}={port}")));
                self.set("WAS", yes_or_no(!observe.slots.is_empty()))
                    .word("SLOTS", words(slots))
                    .word("FILES", words(observe.files.iter().map(path)))
                    .units(place)
                    .observed_nginx(observe.nginx.as_ref());
            }
            Command::SudoCheck(check) => {
                let users = check.users.iter().map(|user| quoted(user.as_str()));
                self.units(place)
                    .observed_nginx(check.nginx.as_ref())
                    .word("USERS", words(users));
            }
            Command::Fetch(fetch) => {
                self.set("ADDRESS", &fetch.address)
                    .set("PORT", fetch.port)
                    .word("REQUEST_PATH", one_line(&fetch.path))
                    .word("HOST_HEADER", one_line(&fetch.host_header))
                    .set("TIMEOUT_MS", milliseconds(fetch.timeout));
            }
            Command::Audit(audit) => {
                self.set("LINES", audit.lines);
            }
            Command::NoteDrill(note) => {
                let drill = &note.drill;
                self.set("RUN", &note.run)
                    .word("WHO", one_line(&note.by.who))
                    .word("PLACE", one_line(&note.by.place))
                    .set("RESULT", drill.result)
                    .set("RELEASE", &drill.release)
                    .set("EARLIER", &drill.earlier)
                    .set("BACK_MS", drill.back.map(milliseconds).unwrap_or_default())
                    .set("FORWARD_MS", drill.forward.map(milliseconds).unwrap_or_default())
                    .set("REQUESTS", drill.requests)
                    .set("FAILED_REQUESTS", drill.failed_requests);
            }
            Command::Peers(peers) => {
                self.set("PORT", peers.port);
            }
            _ => {}
        }
    }

    fn fence(&mut self, fence: &Fence) -> &mut Self {
        self.set("FENCE_EPOCH", fence.epoch.0)
            .set("FENCE_RUN", &fence.run)
            .set("FENCE_SEQUENCE", fence.sequence)
    }

    fn master(&mut self, master: &ProcessIdentity) -> &mut Self {
        self.set("MASTER_PID", master.pid)
            .set("MASTER_START", master.start_ticks)
            .set("MASTER_BOOT", &master.boot_id)
            .set("MASTER_UID", master.uid)
    }

    fn nginx(&mut self, nginx: &NginxPlace) -> &mut Self {
        let reload = match nginx.reload {
            ReloadWay::Auto => "auto",
            ReloadWay::Signal => "signal",
            ReloadWay::Systemctl => "systemctl",
        };
        self.set("NGINX", &nginx.binary)
            .word("CONF", path(&nginx.conf))
            .word("ERROR_LOG", optional_path(nginx.error_log.as_ref()))
            .set("RELOAD", reload)
            .master(&nginx.master)
    }

    fn placement(&mut self, placement: &Placement) -> &mut Self {
        let (placed, link) = match &placement.content {
            PlacedContent::File(bytes) => (quoted(&hex_digest(bytes.as_bytes())), None),
            PlacedContent::Link(to) => (format!("link:{}", path(to)), Some(to)),
        };
        self.word("ENTRY", path(&placement.entry))
            .word("TARGET", path(&placement.target))
            .word("TAKES_OVER", optional_path(placement.takes_over.as_ref()))
            .set(
                "EXPECTED_SHA256",
                placement.expected_sha256.as_deref().unwrap_or_default(),
            )
            .word("PLACED", placed)
            .word("LINK", optional_path(link))
    }

    fn upstreams(&mut self, upstreams: Option<&Upstreams>) -> &mut Self {
        let expected = upstreams.and_then(|it| it.expected_sha256.as_deref());
        self.word("UPSTREAM_FILE", optional_path(upstreams.map(|it| &it.file)))
            .set("UPSTREAM_SHA256", expected.unwrap_or_default())
            .word("UPSTREAMS", base64(upstreams.map_or("", |it| it.text.as_str())))
    }

    fn observed_nginx(&mut self, nginx: Option<&ObserveNginx>) -> &mut Self {
        let Some(nginx) = nginx else {
            return self.set("NGINX", "");
        };
        let file = |(slot, file): (_, &RemotePath)| format!("{}={}", quoted(&format!("{slot}")), path(file));
        self.set("NGINX", &nginx.binary)
            .word("CONF", optional_path(nginx.conf.as_ref()))
            .word("ENTRY", path(&nginx.file))
            .word("SLOT_FILES", words(nginx.slot_files.iter().map(file)))
            .word("UPSTREAM_FILE", optional_path(nginx.upstream_file.as_ref()))
    }
}
