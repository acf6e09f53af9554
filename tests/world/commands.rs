//! The effect of each command on its host: what the scripts do, in a few words.

use std::time::Duration;

use nonstop::engine::fleet::CallError;
use nonstop::model::lock::LockState;
use nonstop::model::names::{HostName, RemotePath};
use nonstop::model::observed::ReleaseObserved;
use nonstop::remote::answer::{
    Answer, Fenced, LockAnswer, LogEnd, PrepareAnswer, PutAnswer, StartAnswer, StopAnswer, SwitchAnswer,
};
use nonstop::remote::command::{
    Command, Commit, Lock, PlacedContent, Placement, Prepare, Put, Revert, Start as StartCommand, Stop,
};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{Reply, SimNginx, Start, World};

/// How long a reload takes until it is proven.
const RELOAD: Duration = Duration::from_millis(100);

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let takes = Duration::ZERO;
        Self { answer, takes }
    }
}

fn after(takes: Duration, answer: Answer) -> Reply {
    Reply { answer, takes }
}

/// Ends the effect where the fence does not let it pass.
macro_rules! pass {
    ($host:expr, $fence:expr, $kind:ident) => {
        if let Err(lock) = $host.fence(&$fence) {
            return Ok(Answer::$kind(Fenced::Refused(lock)).into());
        }
    };
}

impl World {
    pub(super) fn take_place(&mut self, name: &HostName, command: Command) -> Result<Reply, CallError> {
        let host = self.hosts.get_mut(name).expect("it was reached");
        let answer = match command {
            Command::Observe(_) => Answer::Observe(Box::new(host.observe())),
            Command::Lock(lock) => self.lock(name, lock),
            Command::Unlock(unlock) => {
                pass!(host, unlock.fence, Unlock);
                host.lock.run = None;
                Answer::Unlock(Fenced::Passed(()))
            }
            Command::Renew(_) | Command::Arm(_) | Command::Confirm(_) | Command::Audit(_) => {
                unreachable!("the engine does not say so yet")
            }
            Command::BreakLock(broken) => {
                host.lock.epoch = broken.epoch;
                host.lock.run = None;
                Answer::BreakLock(LockAnswer::Taken)
            }
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
            Command::DiscardUpload(discard) => {
                pass!(host, discard.fence, DiscardUpload);
                Answer::DiscardUpload(Fenced::Passed(()))
            }
            Command::Start(start) => return self.start(name, &start),
            Command::Stop(stop) => return self.stop(name, &stop),
            Command::MarkRelease(mark) => {
                pass!(host, mark.fence, MarkRelease);
                if let Some(known) = host.releases.get_mut(&mark.release) {
                    known.failed = mark.failed;
                }
                Answer::MarkRelease(Fenced::Passed(()))
            }
            Command::Prepare(prepare) => return self.prepare(name, prepare),
            Command::Commit(commit) => return self.commit(name, commit),
            Command::Revert(revert) => return self.revert(name, &revert),
            Command::CleanNginx(clean) => {
                pass!(host, clean.fence, CleanNginx);
                host.nginx.as_mut().expect("an nginx host").homes.clear();
                Answer::CleanNginx(Fenced::Passed(()))
            }
            Command::AwaitWorkers(wait) => {
                let left = host.nginx.as_ref().map_or(0, |nginx| nginx.old_workers);
                let takes = if left > 0 { wait.deadline } else { Duration::ZERO };
                return Ok(after(takes, Answer::AwaitWorkers((0..left).collect())));
            }
            Command::AwaitConnections(wait) => {
                let left = host.connections.get(&wait.port).copied().unwrap_or(0);
                let takes = if left > 0 { wait.deadline } else { Duration::ZERO };
                return Ok(after(takes, Answer::AwaitConnections(left)));
            }
            Command::Prune(prune) => {
                pass!(host, prune.fence, Prune);
                Answer::Prune(Fenced::Passed(Vec::new()))
            }
            Command::LogTail(_) => Answer::LogTail(Some(LogEnd {
                path: RemotePath::new("/srv/logs/app.log").unwrap(),
                text: "the end of the log".to_owned(),
            })),
            Command::Peers(_) => Answer::Peers(Vec::new()),
            Command::SudoCheck(_) => Answer::SudoCheck(Vec::new()),
            Command::Fetch(_) => unreachable!("every host forwards"),
        };
        Ok(answer.into())
    }

    fn lock(&mut self, name: &HostName, lock: Lock) -> Answer {
        let host = self.hosts.get_mut(name).expect("it was reached");
        let there = &host.lock;
        let again = there.epoch == lock.epoch && there.run.as_ref() == Some(&lock.run);
        if !again && (there.epoch != lock.expected || there.run.is_some()) {
            return Answer::Lock(LockAnswer::Held(there.clone()));
        }
        host.lock = LockState {
            epoch: lock.epoch,
            run: Some(lock.run),
            owner: Some(lock.owner),
            lease_left: lock.lease,
        };
        Answer::Lock(LockAnswer::Taken)
    }

    fn put(&mut self, name: &HostName, put: Put) -> Result<Reply, CallError> {
        let host = self.hosts.get_mut(name).expect("it was reached");
        pass!(host, put.fence, Put);
        let release = ReleaseObserved {
            id: put.release.clone(),
            sha256: put.sha256,
            size_bytes: put.size_bytes,
            jar_name: put.jar_name,
            failed: false,
        };
        host.releases.insert(put.release, release);
        Ok(Answer::Put(Fenced::Passed(PutAnswer::Stored)).into())
    }

    fn start(&mut self, name: &HostName, start: &StartCommand) -> Result<Reply, CallError> {
        let host = self.hosts.get_mut(name).expect("it was reached");
        pass!(host, start.fence, Start);
        assert!(host.listener(start.port).is_none(), "the port is free");
        let Start::Listens(takes) = host.start else {
            let exited = StartAnswer::Exited {
                reason: "exit status 1".to_owned(),
                tail: "the end of the log".to_owned(),
            };
            return Ok(Answer::Start(Fenced::Passed(exited)).into());
        };
        let identity = host.spawn(start.port, takes).identity.clone();
        host.put_on_record(&start.slot, &start.release, &identity);
        let log = RemotePath::new("/srv/logs/app.log").unwrap();
        let listening = StartAnswer::Listening { identity, log };
        Ok(after(takes, Answer::Start(Fenced::Passed(listening))))
    }

    fn stop(&mut self, name: &HostName, stop: &Stop) -> Result<Reply, CallError> {
        let host = self.hosts.get_mut(name).expect("it was reached");
        pass!(host, stop.fence, Stop);
        let answer = |answer| Answer::Stop(Fenced::Passed(answer));
        if !host.runs(&stop.identity) {
            return Ok(answer(StopAnswer::AlreadyGone).into());
        }
        if let Some(successor) = &stop.successor {
            let listener = host.listener(successor.port);
            if listener.is_none_or(|process| process.identity != successor.identity) {
                let reason = "it does not listen".to_owned();
                return Ok(answer(StopAnswer::SuccessorMissing { reason }).into());
            }
        }
        let mut found = host
            .processes
            .iter_mut()
            .filter(|process| process.identity == stop.identity);
        let process = found.next().expect("it runs");
        let (port, heeds) = (process.port, process.heeds_term);
        let takes = if heeds {
            Duration::from_millis(200)
        } else {
            stop.grace
        };
        process.ends_at = Some(Instant::now() + takes);
        let how = if heeds {
            StopAnswer::Terminated
        } else {
            StopAnswer::Killed
        };
        self.stops(name, port);
        Ok(after(takes, answer(how)))
    }

    fn prepare(&mut self, name: &HostName, prepare: Prepare) -> Result<Reply, CallError> {
        let host = self.hosts.get_mut(name).expect("it was reached");
        pass!(host, prepare.fence, Prepare);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        nginx.homes.insert(prepare.fence.run, nginx.files.clone());
        let answer = if nginx.refuses_candidate {
            PrepareAnswer::Refused {
                output: "[emerg] unknown directive".to_owned(),
            }
        } else if drifted(nginx, &prepare.placement) {
            PrepareAnswer::Drifted
        } else {
            PrepareAnswer::Accepted {
                warnings: String::new(),
            }
        };
        Ok(Answer::Prepare(Fenced::Passed(answer)).into())
    }

    fn commit(&mut self, name: &HostName, commit: Commit) -> Result<Reply, CallError> {
        let host = self.hosts.get_mut(name).expect("it was reached");
        pass!(host, commit.fence, Commit);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let answer = |answer| Answer::Commit(Fenced::Passed(answer));
        if !nginx.homes.contains_key(&commit.fence.run) {
            return Ok(answer(SwitchAnswer::NoHome).into());
        }
        if drifted(nginx, &commit.placement) {
            return Ok(answer(SwitchAnswer::Drifted).into());
        }
        if let Some(taken) = &commit.placement.takes_over {
            nginx.files.remove(taken.as_str());
        }
        let PlacedContent::File(text) = commit.placement.content else {
            unreachable!("no link in these tests")
        };
        nginx.files.insert(commit.placement.entry.to_string(), text);
        let switched = reloaded(nginx);
        self.leads(name);
        Ok(after(RELOAD, answer(switched)))
    }

    fn revert(&mut self, name: &HostName, revert: &Revert) -> Result<Reply, CallError> {
        let host = self.hosts.get_mut(name).expect("it was reached");
        pass!(host, revert.fence, Revert);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let answer = |answer| Answer::Revert(Fenced::Passed(answer));
        let Some(home) = nginx.homes.get(&revert.home) else {
            return Ok(answer(SwitchAnswer::NoHome).into());
        };
        nginx.files = home.clone();
        // What it refused was the candidate.
        nginx.refuses_reload = false;
        Ok(after(RELOAD, answer(reloaded(nginx))))
    }
}

fn reloaded(nginx: &mut SimNginx) -> SwitchAnswer {
    if nginx.reload() {
        SwitchAnswer::Proven {
            serving: vec![902],
            leaving: Vec::new(),
            watch_left: None,
        }
    } else {
        SwitchAnswer::Unproven {
            reason: "[emerg] still could not bind()".to_owned(),
        }
    }
}

fn drifted(nginx: &SimNginx, placement: &Placement) -> bool {
    let entry = placement.takes_over.as_ref().unwrap_or(&placement.entry);
    let there = nginx.files.get(entry.as_str());
    let digest = there.map(|text| data_encoding::HEXLOWER.encode(&Sha256::digest(text)));
    digest != placement.expected_sha256
}
