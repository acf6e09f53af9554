//! Findings in words, and what helps against each.

use crate::model::finding::{Finding, Problem};
use crate::model::names::ReleaseId;
use crate::model::nginx_site::Replaced;
use crate::model::notify::Untold;
use crate::model::obstacle::{KeyFault, Obstacle};
use crate::model::release::JarProblem;
use crate::model::unit::UnitState;
use crate::report::harmless::harmless;
use crate::report::text::advice::Advice;
use crate::report::text::token;
use crate::report::units::{bytes, count};

/// The problem in words, on one line.
pub fn describe(problem: &Problem) -> String {
    match problem {
        Problem::DiskFull {
            free_bytes,
            needed_bytes,
        } => format!(
            "has {} free for releases, and the jar needs {}",
            bytes(*free_bytes),
            bytes(*needed_bytes)
        ),
        Problem::InodesFull { free } => format!("has {} free for releases", count_u64(*free, "inode")),
        Problem::MemoryTight {
            available_bytes,
            peak_bytes,
            reserve_bytes,
        } => format!(
            "has {} of memory available, and a second instance needs {}: the live one took up to {}, {} stay in reserve",
            bytes(*available_bytes),
            bytes(peak_bytes.saturating_add(*reserve_bytes)),
            bytes(*peak_bytes),
            bytes(*reserve_bytes)
        ),
        Problem::KeptInstanceInUse {
            endpoint,
            connections,
        } => format!(
            "{endpoint} was kept by an earlier run and still has {}",
            count(*connections as usize, "connection")
        ),
        Problem::Unreachable { reason, .. } => unreachable(reason),
        Problem::Locked { lock } => {
            let lease = token::lease(lock);
            let lease = if lease.is_empty() {
                lease
            } else {
                format!("; {lease}")
            };
            format!("{}{lease}", harmless(&problem.to_string()))
        }
        problem => harmless(&problem.to_string()),
    }
}

/// Why a host cannot be reached; SSH's own words often begin with that it cannot.
pub(super) fn unreachable(reason: &str) -> String {
    let reason = harmless(reason);
    if reason.starts_with("cannot connect") {
        return reason;
    }
    format!("cannot connect: {reason}")
}

/// What helps, in a sentence; `None` where there is nothing to mend.
pub fn hint(problem: &Problem) -> Option<String> {
    host_hint(problem)
        .or_else(|| nginx_hint(problem))
        .or_else(|| instance_hint(problem))
        .or_else(|| run_hint(problem))
}

/// A command line that helps, where one does.
pub fn advice(finding: &Finding) -> Option<Advice> {
    match &finding.problem {
        Problem::Locked { lock } if lock.run.is_some() && lock.lease_left.is_none() => Some(Advice::new(
            "nonstop unlock --force",
            "frees it: it was locked by hand and has no end; ask its owner first",
        )),
        Problem::Locked { .. } => Some(Advice::new(
            "nonstop status",
            "shows what its owner does, and when the lock frees itself if the owner is dead",
        )),
        Problem::InterruptedRun { .. } => Some(Advice::new(
            "nonstop resume",
            "finishes it, forward or back, from any machine",
        )),
        Problem::Unreachable {
            obstacle: Obstacle::HostKeyUnknown,
            ..
        } => Some(Advice::new(
            "nonstop doctor --host-key accept-new",
            "records the keys of hosts that nobody knows yet, once you have compared them",
        )),
        Problem::RunWaits { record, .. } if record.window.is_some() => Some(Advice::new(
            "nonstop promote",
            "stops the old slot now, and ends that run; `nonstop rollback` takes it back",
        )),
        Problem::RunWaits { .. } => Some(Advice::new(
            "nonstop promote",
            "lets the run go on that waits; `nonstop rollback` takes it back",
        )),
        Problem::HookUnknown { hook, .. } | Problem::HookChanged { hook, .. } => Some(Advice::new(
            format!("nonstop resume --hook-done {hook}"),
            "goes on as if it had ended well, once you have looked; `--hook-again` in its place runs it again",
        )),
        Problem::NginxDisagree { .. } => Some(Advice::new(
            "nonstop resume",
            "finishes the run that left them so; `nonstop resume --to SLOT` where there is none",
        )),
        Problem::Behind { .. } | Problem::WasBehind { .. } | Problem::Fine { .. } => None,
        _ => Some(Advice::new(
            "nonstop doctor",
            "checks all of it again without changing anything",
        )),
    }
}

fn host_hint(problem: &Problem) -> Option<String> {
    let text = match problem {
        Problem::Unreachable { obstacle, .. } => return Some(way_hint(obstacle)),
        Problem::CannotObserve { .. } => "`nonstop doctor -v` shows the script's own words",
        Problem::MissingTool { tool } if tool == "sudo" => {
            "install it, and let the login user use it for what examples/sudoers/nonstop lists"
        }
        Problem::MissingTool { tool } => {
            return Some(format!("install the package that has `{}`", harmless(tool)));
        }
        Problem::StateFolderForeign { .. } => {
            "deploy as the user that owns it, give it to this one, or name another with `state_dir`"
        }
        Problem::SudoRefused { .. } => {
            "add this command to the sudoers file, with NOPASSWD; examples/sudoers/nonstop has all of them"
        }
        Problem::DiskFull { .. } | Problem::InodesFull { .. } => {
            "make room, or lower `release.keep`; nonstop removes only what it made"
        }
        Problem::MemoryTight { .. } => {
            "lower -Xmx or give the host more memory, for both slots run at once, or put the slots on two sets \
             of hosts, or take a single slot with `strategy: rolling`; `memory: { check: warn }` goes on where you know \
             that two fit"
        }
        Problem::LiveKilled { .. } => {
            "two instances do not fit there: lower -Xmx, give the host more memory, put the slots on two sets \
             of hosts, or take a single slot with `strategy: rolling`"
        }
        Problem::NoWayToAsk => {
            "set `AllowTcpForwarding local` in sshd_config (reload sshd), or install curl, wget, nc or bash"
        }
        Problem::ForwardingRefused => "`AllowTcpForwarding local` in sshd_config makes it fast again",
        Problem::ClockSkew { .. } => "check its NTP; nothing depends on it, but its logs mislead",
        _ => return None,
    };
    Some(text.to_owned())
}

/// What helps against what is in the way to a host.
fn way_hint(obstacle: &Obstacle) -> String {
    let text = match obstacle {
        Obstacle::HostKeyUnknown => {
            "compare it with what `ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub` says on the host's own console; if \
             it is the same, `--host-key accept-new` records it in known_hosts"
        }
        Obstacle::HostKeyRefused => {
            "compare the key on the host's own console with the one offered; if the host was rebuilt, take the old \
             line out of known_hosts"
        }
        Obstacle::KeyFile { file, fault } => return key_hint(&harmless(file), *fault),
        Obstacle::Other => {
            "try `ssh` to it from here with the same user and key; the inventory's address, port, user \
             and bastion are what is used; a host that is gone for good is left out with `--without HOST`"
        }
    };
    text.to_owned()
}

fn key_hint(file: &str, fault: KeyFault) -> String {
    match fault {
        KeyFault::Missing => {
            "name the key's file in the inventory, in `ansible_ssh_private_key_file`, or leave it to ssh_config and the \
             agent"
                .to_owned()
        }
        KeyFault::Unreadable => format!("let the user that runs nonstop read it: `ls -l {file}` says who may"),
        KeyFault::TooOpen => format!("`chmod 600 {file}`"),
        KeyFault::Locked => {
            "give its passphrase in NONSTOP_KEY_PASSPHRASE, or load the key into an agent with `ssh-add`".to_owned()
        }
        KeyFault::Format => format!(
            "it has to be a private key as `ssh-keygen` writes one: `ssh-keygen -y -f {file}` says whether it is"
        ),
    }
}

fn nginx_hint(problem: &Problem) -> Option<String> {
    let text = match problem {
        Problem::NginxNotRunning => "start it; a switch is only ever a reload",
        Problem::InstanceNotKept { user } => {
            return Some(format!(
                "set `KillUserProcesses=no` or `KillExcludeUsers=root {}` in that host's logind.conf, or let \
                 systemd start it (the runner `systemd`)",
                harmless(user)
            ));
        }
        Problem::WatchNotKept { user } | Problem::TimerNotKept { user } => {
            return Some(format!(
                "`loginctl enable-linger {}` on that host lets it outlive the connection",
                harmless(user)
            ));
        }
        Problem::CannotAskItself => {
            "install one of them there, or take `detach` out of the playbook's `bake`"
        }
        Problem::NginxTestFails { .. } => {
            "mend it first: no reload works until then, and the next restart fails"
        }
        Problem::CannotShadow { .. } => {
            "include the folder or the file from the main configuration's own http block"
        }
        Problem::CannotRender { .. } => "check the playbook's `nginx` section",
        Problem::Replaced(what) => match what {
            Replaced::ServersLost { .. } => {
                "move these servers into a file of their own, or have them in the playbook's `nginx.site`: its \
                 `server_name`, or a `template` of yours"
            }
            Replaced::FileOfAnotherApp { .. } => {
                "give each application ports and a file of its own; one that was renamed keeps its old name in `app`"
            }
            Replaced::FileByHandReplaced { .. } => {
                "`nonstop plan` shows it line by line; what has to stay belongs in a `template` of yours. The host keeps \
                 the old text in its state folder"
            }
        },
        Problem::StrayFile { .. } => "move it out of the included folder; backups belong elsewhere",
        Problem::EntryUnusable { .. } => "make it a plain file or a link to one, or name another file",
        Problem::SlotFileMissing { .. } => {
            "put it where the playbook's `conf_per_slot` says, readable for the login user"
        }
        Problem::UnknownEndpoint { .. } => {
            "`address` in the inventory must be what nginx proxies to, and the slots' ports its ports"
        }
        Problem::NameInVariable { .. } => {
            "write the address of the live slot there, such as 127.0.0.1:8081, and reload nginx"
        }
        Problem::VariableUnused { .. } => "write `proxy_pass $VARIABLE;` there, without a path behind it",
        Problem::PartialSlot { .. } => {
            "the file must route to every host of one slot; `nonstop status` shows what it does"
        }
        Problem::NginxDisagree { .. } => {
            "`nonstop resume` brings them together; both slots can serve until then"
        }
        Problem::SlotFileNamesLeftOut { .. } => {
            "take the host out of that file; with `nginx.site` nonstop does it by itself"
        }
        Problem::RunsOtherGeneration { .. } => {
            "look at nginx's error log; once the file is right, reload nginx by hand"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn instance_hint(problem: &Problem) -> Option<String> {
    let text = match problem {
        Problem::ForeignProcess { .. } => {
            "stop it, or give the slot another port; nonstop never stops what it cannot identify as the app"
        }
        Problem::TargetIsLive { .. } => {
            "`nonstop status` shows what every nginx routes to; `nonstop resume --to SLOT` brings them to one slot"
        }
        Problem::HomeGone { .. } => {
            "`nonstop status` shows which old instances are down: start them again, or leave their hosts out with \
             `--without`"
        }
        Problem::LiveInstanceDown { .. } => {
            "bring it back first, or the switch has nothing to go back to on that host"
        }
        Problem::LiveInstanceUnhealthy { .. } => {
            "look at `nonstop logs`; an application that answers is live, whatever it answers"
        }
        Problem::KeptInstanceInUse { .. } => {
            "wait until they are gone, or close them; the next deploy then retires it"
        }
        Problem::AnswersAsOther { .. } => {
            "start it with its own slot's variables, or take `identify` out of the playbook"
        }
        Problem::ConfigFileMissing { .. } => {
            "put it there, readable for the login user; `optional:` in front of its name makes it optional"
        }
        Problem::UnitUnfit { unit, .. } => unit_hint(unit.state),
        Problem::LostAtBoot { .. } => {
            "have somebody start them again after a reboot, or let systemd do it: the runner `systemd`"
        }
        Problem::ProcessOpaque { .. } => {
            "deploy as the user that runs it, or stop it once by hand: without root it cannot be told \
             from others"
        }
        Problem::ReleaseMissing { .. } => "`nonstop status` lists the releases of every host",
        Problem::TooManyRoutings { .. } => {
            "let more hosts change at once: raise `update.max_parallel`, for example to `10%`"
        }
        Problem::LiveReleaseUnknown => {
            "deploy once with nonstop; after the next deploy there are two to go between"
        }
        Problem::DrillOvertaken { .. } => {
            "`nonstop history` tells who; the next drill begins from what is live now"
        }
        Problem::Jar(JarProblem::NoJarOnHost { .. }) => {
            "let the deploy agent put it on every host of the slot first, or send one from here with `--jar FILE`"
        }
        Problem::Jar(JarProblem::JarUnfit { .. }) => {
            "take the files away that are not meant, or send one from here with `--jar FILE`"
        }
        Problem::Jar(JarProblem::JarsDiffer { .. }) => {
            "the deploy agent has not brought the same to all of them: let it finish, or send one with `--jar FILE`"
        }
        Problem::NothingToGoBackTo { taken_back } if !taken_back.is_empty() => {
            let releases: Vec<&str> = taken_back.iter().map(ReleaseId::as_str).collect();
            return Some(format!(
                "`nonstop rollback --to RELEASE` leads to one that was taken back: {}; or deploy another jar",
                releases.join(", ")
            ));
        }
        Problem::NothingToGoBackTo { .. } => "deploy the older jar instead: `nonstop deploy --jar FILE`",
        Problem::NothingLive => "`nonstop deploy` is the first step",
        _ => return None,
    };
    Some(text.to_owned())
}

fn unit_hint(state: UnitState) -> &'static str {
    match state {
        UnitState::Masked => "`systemctl unmask` it, or name another unit",
        UnitState::Static => {
            "add `[Install]` with `WantedBy=multi-user.target`, or write `enable: false` into the playbook"
        }
        UnitState::Broken => {
            "`systemctl status` and `systemd-analyze verify` say what is wrong with its file"
        }
        UnitState::NoSystemd => "let `java` or a script of your own start it: `start: { java: … }`",
        UnitState::Ready | UnitState::Unknown => {
            "put its file into /etc/systemd/system and `systemctl daemon-reload`; examples/systemd has one"
        }
    }
}

fn run_hint(problem: &Problem) -> Option<String> {
    let text = match problem {
        Problem::Locked { lock } if lock.run.is_some() && lock.lease_left.is_none() => {
            "it was locked by hand and has no end: its owner frees it with `nonstop unlock`, on the machine where it was \
             taken, and anybody with `nonstop unlock --force`"
        }
        Problem::Locked { .. } => {
            "wait for it with `--lock-wait 5m`; if its owner is dead, it frees itself when its lease is over"
        }
        Problem::InterruptedRun { .. } => {
            "`nonstop resume` finishes it, forward or back; `deploy` and `rollback` first bring every nginx host \
             to one slot, and then go on from there"
        }
        Problem::RunWaits { record, .. } if record.window.is_some() => {
            "that run ends by itself at its hour, if the new slot is well; `nonstop promote` stops the old slot now, \
             `nonstop rollback` takes it back; then this one can begin"
        }
        Problem::RunWaits { .. } => {
            "`nonstop promote` lets that run go on, `nonstop rollback` takes it back; then this one can begin"
        }
        Problem::HookUnknown { hook, .. } => {
            return Some(format!(
                "look whether what it does is done: `nonstop resume --hook-done {hook}` counts it as done, \
                 `nonstop resume --hook-again {hook}` runs it again (`{hook}@HOST` for one host)"
            ));
        }
        Problem::HookChanged { hook, .. } => {
            return Some(format!(
                "it was moved or changed in the playbook since: `nonstop resume --hook-done {hook}` counts the one that is \
                 there now as done, `nonstop resume --hook-again {hook}` runs it (`{hook}@HOST` for one host)"
            ));
        }
        Problem::HookRuns { .. } => "wait until it has ended; its `timeout` is the longest that it may run",
        Problem::NothingWaits => "`nonstop status` shows what is going on",
        Problem::Behind { .. } => {
            "nothing that it remembers can act by itself; the next deploy brings it along, but an nginx host that \
             routes elsewhere needs `nonstop resume --to SLOT` first"
        }
        Problem::Untold(Untold::NobodyToTell { .. }) => {
            "set it where nonstop runs, or take its entry out of `notify`; the run goes on without it"
        }
        Problem::LockLeft { .. } => "it frees itself when its lease is over",
        Problem::RecordedHostMissing { missing } => {
            return Some(format!(
                "put it back into the inventory; if it is gone for good, run `deploy` or `rollback` once with `--without {missing}`, \
                 which puts on record that it carries no traffic, and take it out afterwards"
            ));
        }
        Problem::LeftOutIsBack { host, .. } => {
            return Some(format!(
                "finish that run as it began, with `nonstop resume --without {host}`; afterwards the next deploy \
                 brings the host along"
            ));
        }
        Problem::WasBehind { .. } => "the next deploy brings it the release and the traffic",
        Problem::RecordUnreadable { .. } => {
            "what that run meant is unknown. If a newer nonstop wrote it, use that one; if it is torn, see \
             with `nonstop status` that no other host names an open run, and move the file away"
        }
        Problem::RecordedSlotMissing { .. } => {
            "finish the run with the playbook that it began with, and rename the slot afterwards"
        }
        Problem::SlotNotUp { .. } => {
            "`nonstop status` shows what runs where; start it again there if nginx routes to it, choose the slot that is up, \
             or leave its host out with `--without`"
        }
        Problem::LedAway { .. } => {
            "somebody changed it by hand: put the site file of another nginx host there, reload it, and try again; \
             `nonstop rollback` leads a run back that waits"
        }
        Problem::ReleaseUnknown { .. } => {
            "only a slot that nonstop started, with the same release on every host, can be led to"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn count_u64(number: u64, noun: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), noun)
}
