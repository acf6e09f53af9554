//! The effect of each command on its host: what the scripts do, in a few words.

use nonstop::engine::fleet::CallError;
use nonstop::model::names::{HostName, Port, RemotePath};
use nonstop::model::token::TokenState;
use nonstop::remote::answer::{Answer, Fenced, LogEnd, LogPlace};
use nonstop::remote::command::{CleanNginx, Command};
use tokio::time::Instant;

use super::{Due, Effect, Job, World, hooks};

/// Ends the effect where the fence does not let it pass.
macro_rules! pass {
    ($host:expr, $fence:expr, $kind:ident) => {
        if let Err(lock) = $host.fence(&$fence)? {
            return Ok($crate::world::Effect::Answered(Answer::$kind(Fenced::Refused(
                lock,
            ))));
        }
    };
}
pub(super) use pass;

impl World {
    pub(super) fn take_place(
        &mut self,
        name: &HostName,
        job: Job,
        command: Command,
    ) -> Result<Effect, CallError> {
        let host = self.at(name);
        let answer = match command {
            Command::Observe(_) => Answer::Observe(Box::new(host.observe())),
            Command::Lock(lock) => {
                if host.disk_is_full {
                    let reason = "the state folder cannot be written".to_owned();
                    return Err(CallError::Script { reason });
                }
                Answer::Lock(host.take_lock(lock))
            }
            Command::Unlock(unlock) => {
                pass!(host, unlock.fence, Unlock);
                host.lock.run = None;
                Answer::Unlock(Fenced::Passed(()))
            }
            Command::Renew(renew) => match host.renews(&renew) {
                Ok(()) => Answer::Renew(Fenced::Passed(())),
                Err(lock) => Answer::Renew(Fenced::Refused(lock)),
            },
            Command::BreakLock(broken) => Answer::BreakLock(host.break_lock(&broken)),
            Command::Record(record) => {
                pass!(host, record.fence, Record);
                host.record = Some(serde_json::from_str(&record.json).expect("a record"));
                Answer::Record(Fenced::Passed(()))
            }
            Command::Digest(digest) => Answer::Digest(
                host.releases
                    .get(&digest.release)
                    .map(|known| known.sha256.clone()),
            ),
            Command::Put(put) => return self.put(name, put),
            Command::FindJar(_) => Answer::FindJar(host.offer.clone()),
            Command::Take(take) => return self.take(name, take),
            Command::DiscardUpload(discard) => {
                pass!(host, discard.fence, DiscardUpload);
                Answer::DiscardUpload(Fenced::Passed(()))
            }
            Command::Start(start) => return self.start(name, job, &start),
            Command::Stop(stop) => return self.stop(name, job, stop),
            Command::Hook(hook) => return self.hook(name, job, hook),
            Command::SetTimer(set) => return self.set_timer(name, *set),
            Command::CancelTimer(cancel) => return self.cancel_timer(name, &cancel),
            Command::MarkRelease(mark) => {
                pass!(host, mark.fence, MarkRelease);
                if let Some(known) = host.releases.get_mut(&mark.release) {
                    known.failed = mark.failed;
                }
                Answer::MarkRelease(Fenced::Passed(()))
            }
            Command::Prepare(prepare) => return self.prepare(name, prepare),
            Command::Commit(commit) => return self.commit(name, job, commit),
            Command::Arm(arm) => return self.arm(name, &arm),
            Command::Confirm(confirm) => return self.confirm(name, &confirm),
            Command::Revert(revert) => return self.revert(name, job, &revert),
            Command::CleanNginx(clean) => return self.clean_nginx(name, &clean),
            Command::AwaitWorkers(wait) => {
                let end = Instant::now() + wait.deadline;
                let nginx = host.nginx.as_ref().expect("an nginx host");
                let drained = nginx.drained_at().unwrap_or_else(Instant::now);
                let at = if nginx.old_workers > 0 {
                    end
                } else {
                    drained.min(end)
                };
                let answer = Answer::AwaitWorkers(nginx.leaving_at(at));
                return Ok(self.answers_at(name, job, at, answer));
            }
            Command::AwaitConnections(wait) => {
                return Ok(self.drains(name, job, wait.port, Instant::now() + wait.deadline));
            }
            Command::Prune(prune) => {
                pass!(host, prune.fence, Prune);
                Answer::Prune(Fenced::Passed(Vec::new()))
            }
            Command::LogTail(_) => Answer::LogTail(Some(LogEnd {
                place: LogPlace::File(RemotePath::new("/srv/logs/app.log").unwrap()),
                text: "the end of the log".to_owned(),
            })),
            Command::Audit(audit) => {
                let from = host.audit.len().saturating_sub(audit.lines as usize);
                Answer::Audit(host.audit[from..].join("\n"))
            }
            Command::NoteDrill(_) => Answer::NoteDrill,
            Command::Peers(_) if host.hides_peers => Answer::Peers(Vec::new()),
            Command::Peers(peers) => {
                Answer::Peers(host.peers.get(&peers.port).cloned().into_iter().collect())
            }
            Command::SudoCheck(check) => Answer::SudoCheck(hooks::may_become(&check)),
            Command::Fetch(_) => unreachable!("every host forwards"),
        };
        Ok(Effect::Answered(answer))
    }

    /// Removes homes and tokens, unless something is armed.
    fn clean_nginx(&mut self, name: &HostName, clean: &CleanNginx) -> Result<Effect, CallError> {
        let cleans_tokens = self.cleans_tokens;
        let host = self.at(name);
        pass!(host, clean.fence, CleanNginx);
        let armed = |token: &super::nginx::SimToken| token.state == TokenState::Armed;
        let nginx = host.nginx.as_mut().expect("an nginx host");
        if !nginx.tokens.values().any(armed) {
            nginx.homes.clear();
            if cleans_tokens {
                nginx.tokens.clear();
            }
        }
        Ok(Effect::Answered(Answer::CleanNginx(Fenced::Passed(()))))
    }

    /// Waits until nobody is connected to a port, or for as long as it may.
    pub(super) fn drains(&mut self, name: &HostName, job: Job, port: Port, until: Instant) -> Effect {
        let host = &self.hosts[name];
        let left = host.connected(port);
        let next = host.answered_at(port).filter(|end| *end > Instant::now());
        if left == 0 || Instant::now() >= until {
            return Effect::Answered(Answer::AwaitConnections(left));
        }
        let next = next.map_or(until, |end| end.min(until));
        self.queue(next, name, Due::Drains(job, port, until));
        Effect::Later
    }

    fn answers_at(&mut self, name: &HostName, job: Job, at: Instant, answer: Answer) -> Effect {
        if at <= Instant::now() {
            return Effect::Answered(answer);
        }
        self.queue(at, name, Due::Answer(job, answer));
        Effect::Later
    }
}
