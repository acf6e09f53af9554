//! What a WAS host does: receives jars, starts processes and ends them.

use std::time::Duration;

use nonstop::engine::fleet::CallError;
use nonstop::model::lock::Fence;
use nonstop::model::names::{HostName, Port, RemotePath, StartWord};
use nonstop::model::observed::ReleaseObserved;
use nonstop::model::process::{ListeningProcess, ProcessIdentity, StopTarget, UnfinishedStart};
use nonstop::model::release::Offer;
use nonstop::remote::answer::{Answer, Fenced, PutAnswer, StartAnswer, StopAnswer};
use nonstop::remote::command::{Put, RenderedRunner, Start as StartCommand, Stop, Take};
use tokio::time::Instant;

use super::commands::pass;
use super::host::{Health, Process};
use super::{Due, Effect, Flaw, Job, Killed, SimHost, Start, World};

/// How long a process takes to end after TERM.
pub(super) const ENDS: Duration = Duration::from_millis(200);

fn started(answer: StartAnswer) -> Effect {
    Effect::Answered(Answer::Start(Fenced::Passed(answer)))
}

fn stopped(answer: StopAnswer) -> Answer {
    Answer::Stop(Fenced::Passed(answer))
}

fn tail() -> String {
    "the end of the log".to_owned()
}

/// Whether a stop means a process.
fn is_meant(process: &Process, target: &StopTarget) -> bool {
    match target {
        StopTarget::Process(identity) => process.identity == *identity,
        StopTarget::Start(word) => process.word.as_ref() == Some(word),
    }
}

impl SimHost {
    /// Who comes from an earlier try of this very start, and when it listens.
    fn adopted(&self, start: &StartCommand) -> Option<(ProcessIdentity, Instant)> {
        if let Some(process) = self.left_behind(start) {
            return Some((process.identity.clone(), process.listens_at));
        }
        let record = self.instances.get(&start.slot)?;
        let same = record.release == start.release && record.port == start.port;
        let lives = |process: &&Process| process.identity == record.identity && process.lives();
        let process = self.processes.iter().find(lives).filter(|_| same)?;
        Some((record.identity.clone(), process.listens_at))
    }

    /// A process of an unfinished start on the slot.
    fn left_behind(&self, start: &StartCommand) -> Option<&Process> {
        let unfinished = self.unfinished.get(&start.slot);
        let unfinished = unfinished.filter(|_| !self.has(Flaw::StartWithoutWord));
        self.carriers(&unfinished?.word).next()
    }

    /// The user's script starts a process: on record is the word that it carries.
    fn spawn_by_script(&mut self, start: &StartCommand, takes: Option<Duration>) -> Option<ProcessIdentity> {
        let fence = &start.fence;
        let word = format!(
            "{}.{}.{}.{}",
            fence.run, fence.epoch.0, fence.sequence, start.port
        );
        let word = StartWord::new(word).unwrap();
        let unfinished = UnfinishedStart {
            word: word.clone(),
            run: fence.run.clone(),
            release: start.release.clone(),
            pids: Vec::new(),
        };
        self.instances.remove(&start.slot);
        self.unfinished.insert(start.slot.clone(), unfinished);
        let process = self.spawn(start.port, takes?);
        process.word = Some(word);
        Some(process.identity.clone())
    }

    /// A process of an unfinished start listens and is put on record, if the lock still is the start's.
    fn finishes(&mut self, fence: &Fence, identity: &ProcessIdentity) -> bool {
        let mut unfinished = self.unfinished.iter();
        let its = unfinished.find(|(_, it)| self.carriers(&it.word).any(|it| it.identity == *identity));
        let Some((slot, release)) = its.map(|(slot, it)| (slot.clone(), it.release.clone())) else {
            return true;
        };
        let passes = self.fence_again(fence);
        if passes {
            self.unfinished.remove(&slot);
            self.put_on_record(&slot, &release, identity);
        }
        passes
    }

    /// A unit that ended while it was started is stopped, and its start is on record no more.
    fn undoes(&mut self, fence: &Fence) {
        let units = &self.units;
        self.unfinished
            .retain(|slot, start| !units.contains_key(slot) || start.run != fence.run);
    }

    /// What ended is on record no more.
    fn forgets(&mut self, stop: &Stop) {
        self.instances.retain(|slot, record| {
            *slot != stop.slot || StopTarget::Process(record.identity.clone()) != stop.target
        });
        self.unfinished
            .retain(|slot, start| *slot != stop.slot || StopTarget::Start(start.word.clone()) != stop.target);
    }
}

/// The digest of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl World {
    pub(super) fn put(&mut self, name: &HostName, put: Put) -> Result<Effect, CallError> {
        let host = self.at(name);
        if host.disk_is_full {
            let reason = "no space left on device".to_owned();
            let failed = PutAnswer::WriteFailed { reason };
            return Ok(Effect::Answered(Answer::Put(Fenced::Passed(failed))));
        }
        pass!(host, put.fence, Put);
        let release = ReleaseObserved {
            id: put.release.clone(),
            sha256: put.sha256,
            size_bytes: put.size_bytes,
            jar_name: put.jar_name,
            failed: false,
        };
        host.releases.entry(put.release).or_insert(release);
        Ok(Effect::Answered(Answer::Put(Fenced::Passed(PutAnswer::Stored))))
    }

    pub(super) fn take(&mut self, name: &HostName, take: Take) -> Result<Effect, CallError> {
        let host = self.at(name);
        let put = &take.put;
        let there = host.releases.get(&put.release);
        let is_there = there.is_some_and(|it| (&it.sha256, it.size_bytes) == (&put.sha256, put.size_bytes));
        let (sha256, size_bytes) = match &host.offer {
            Offer::Jar(jar) if jar.path == take.from => (jar.sha256.clone(), jar.size_bytes),
            // A file that is gone is one without bytes.
            _ => (EMPTY.to_owned(), 0),
        };
        let taken = if is_there || sha256 == put.sha256 {
            self.put(name, take.put)?
        } else {
            let mismatch = PutAnswer::Mismatch { size_bytes, sha256 };
            Effect::Answered(Answer::Put(Fenced::Passed(mismatch)))
        };
        Ok(match taken {
            Effect::Answered(Answer::Put(answer)) => Effect::Answered(Answer::Take(answer)),
            other => other,
        })
    }

    pub(super) fn start(
        &mut self,
        name: &HostName,
        job: Job,
        start: &StartCommand,
    ) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, start.fence, Start);
        if !host.releases.contains_key(&start.release) {
            let reason = "app.jar is not there".to_owned();
            return Ok(started(StartAnswer::Exited { reason, tail: tail() }));
        }
        if let Some((identity, listens_at)) = host.adopted(start) {
            let at = listens_at.max(Instant::now());
            self.queue(at, name, Due::Started(job, start.fence.clone(), identity));
            return Ok(Effect::Later);
        }
        if let Some(taken) = host.listener(start.port) {
            let by = ListeningProcess {
                identity: Some(taken.identity.clone()),
                uid: taken.identity.uid,
                command: "java -jar app.jar".to_owned(),
            };
            return Ok(started(StartAnswer::PortTaken { by, tail: tail() }));
        }
        let takes = match host.start {
            Start::Listens(takes) => Some(takes),
            Start::Exits => None,
        };
        let ran = host.instances.get(&start.slot);
        let runs_again = ran.is_some_and(|record| record.release == start.release);
        let identity = match start.runner {
            RenderedRunner::Script { .. } | RenderedRunner::Unit(_) => host.spawn_by_script(start, takes),
            RenderedRunner::Process { .. } => takes.map(|takes| {
                let identity = host.spawn(start.port, takes).identity.clone();
                host.put_on_record(&start.slot, &start.release, &identity);
                identity
            }),
        };
        let (Some(takes), Some(identity)) = (takes, identity) else {
            host.undoes(&start.fence);
            let reason = "exit status 1".to_owned();
            return Ok(started(StartAnswer::Exited { reason, tail: tail() }));
        };
        if runs_again {
            // What is wrong with a host's next instance is its release's fault: this one was well there.
            let mut processes = host.processes.iter_mut();
            let process = processes.find(|process| process.identity == identity);
            process.expect("it was just spawned").health = Health::Up;
        }
        self.runs_short(name, start.port);
        let due = Due::Started(job, start.fence.clone(), identity);
        self.queue(Instant::now() + takes, name, due);
        Ok(Effect::Later)
    }

    /// Where there is memory for one process only, the kernel kills one of two.
    fn runs_short(&mut self, name: &HostName, new: Port) {
        let host = &self.hosts[name];
        let old = host.processes.iter().find(|it| it.port != new && it.lives());
        let (Some(tight), Some(old)) = (host.tight, old.map(|old| old.port)) else {
            return;
        };
        let port = match tight.kills {
            Killed::New => new,
            Killed::Old => old,
        };
        let kills = {
            let name = name.clone();
            move |world: &mut Self| {
                let host = world.at(&name);
                let both = [old, new].iter().all(|port| {
                    let mut processes = host.processes.iter();
                    processes.any(|it| it.port == *port && it.lives())
                });
                if both {
                    host.memory_kills += 1;
                    host.strike(port);
                }
            }
        };
        self.happens(Instant::now() + tight.after, name, "runs out of memory", kills);
    }

    pub(super) fn has_started(
        &mut self,
        name: &HostName,
        job: Job,
        fence: &Fence,
        identity: ProcessIdentity,
    ) {
        let host = self.at(name);
        if !host.finishes(fence, &identity) {
            let refused = Answer::Start(Fenced::Refused(host.lock_now()));
            return self.reply(name, job.call, "start", Ok(refused));
        }
        let answer = if host.runs(&identity) {
            let started = host.processes.iter().find(|process| process.identity == identity);
            if let Some(port) = started.map(|process| process.port) {
                host.struck.remove(&port);
            }
            let log = RemotePath::new("/srv/logs/app.log").ok();
            StartAnswer::Listening { identity, log }
        } else {
            host.undoes(fence);
            match host.memory_kills {
                0 => {
                    let reason = "exit status 137".to_owned();
                    StartAnswer::Exited { reason, tail: tail() }
                }
                kills => StartAnswer::OutOfMemory {
                    available_bytes: 300 << 20,
                    kills,
                    tail: tail(),
                },
            }
        };
        self.reply(name, job.call, "start", Ok(Answer::Start(Fenced::Passed(answer))));
    }

    pub(super) fn stop(&mut self, name: &HostName, job: Job, stop: Stop) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, stop.fence, Stop);
        let target = host.target_now(&stop.slot, stop.target);
        let stop = Stop { target, ..stop };
        let Some((port, heeds)) = self.meant(name, &stop) else {
            self.at(name).forgets(&stop);
            return Ok(Effect::Answered(stopped(StopAnswer::AlreadyGone)));
        };
        let host = self.at(name);
        if let Some(successor) = stop
            .successor
            .as_ref()
            .filter(|_| !host.has(Flaw::StopWithoutLook))
        {
            let listener = host.listener(successor.port);
            if listener.is_none_or(|process| process.identity != successor.identity) {
                let reason = "it does not listen".to_owned();
                return Ok(Effect::Answered(stopped(StopAnswer::SuccessorMissing { reason })));
            }
        }
        let orphans = stop.successor.as_ref().is_some_and(|successor| {
            let listener = self.hosts[name].listener(successor.port);
            listener.is_none_or(|process| process.identity != successor.identity)
        });
        if orphans {
            let broken = format!("I1: {name}:{port} was stopped, and nobody is there in its place");
            self.broken.push(broken);
        }
        let grace = if heeds { ENDS } else { stop.grace };
        let looks_at = Instant::now() + grace;
        if heeds {
            self.ends(name, &stop, port, looks_at);
        }
        self.queue(looks_at, name, Due::Kill(job, stop));
        Ok(Effect::Later)
    }

    /// It ended, or its grace is over: whoever holds the lock now decides what may follow TERM.
    pub(super) fn kill(&mut self, name: &HostName, job: Job, stop: &Stop) {
        let host = self.at(name);
        let answer = if host.fence_again(&stop.fence) {
            let how = if let Some((port, _)) = self.meant(name, stop) {
                self.ends(name, stop, port, Instant::now());
                StopAnswer::Killed
            } else {
                StopAnswer::Terminated
            };
            self.at(name).forgets(stop);
            stopped(how)
        } else {
            Answer::Stop(Fenced::Refused(host.lock_now()))
        };
        self.reply(name, job.call, "stop", Ok(answer));
    }

    /// The port of the process that is meant, and whether it heeds TERM.
    fn meant(&self, name: &HostName, stop: &Stop) -> Option<(Port, bool)> {
        let host = &self.hosts[name];
        let by_port = host
            .has(Flaw::StopByPort)
            .then(|| host.ports.get(&stop.slot))
            .flatten();
        let found = host.processes.iter().find(|process| match by_port {
            Some(port) => process.port == *port && process.lives(),
            None => is_meant(process, &stop.target) && process.lives(),
        });
        found.map(|process| (process.port, process.heeds_term))
    }

    fn ends(&mut self, name: &HostName, stop: &Stop, port: Port, at: Instant) {
        let host = self.at(name);
        let by_port = host.has(Flaw::StopByPort);
        let mut strangers = false;
        for process in &mut host.processes {
            let is_meant = is_meant(process, &stop.target);
            if process.lives() && (is_meant || by_port && process.port == port) {
                strangers |= !is_meant;
                process.ends_at = Some(at);
            }
        }
        if strangers {
            let broken = format!("I6: {name}:{port} got a signal that was meant for another process");
            self.broken.push(broken);
        }
        self.cuts(name, port, at, &stop.fence.run);
        self.stops(name, port, &stop.fence.run);
    }
}
