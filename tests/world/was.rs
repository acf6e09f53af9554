//! What a WAS host does: receives jars, starts processes and ends them.

use std::time::Duration;

use nonstop::engine::fleet::CallError;
use nonstop::model::names::{HostName, Port, RemotePath};
use nonstop::model::observed::ReleaseObserved;
use nonstop::model::process::{ListeningProcess, ProcessIdentity};
use nonstop::remote::answer::{Answer, Fenced, PutAnswer, StartAnswer, StopAnswer};
use nonstop::remote::command::{Put, Start as StartCommand, Stop};
use tokio::time::Instant;

use super::commands::pass;
use super::host::Process;
use super::{Due, Effect, Flaw, Job, Killed, SimHost, Start, World};

/// How long a process takes to end after TERM.
const ENDS: Duration = Duration::from_millis(200);

fn started(answer: StartAnswer) -> Effect {
    Effect::Answered(Answer::Start(Fenced::Passed(answer)))
}

fn stopped(answer: StopAnswer) -> Answer {
    Answer::Stop(Fenced::Passed(answer))
}

fn tail() -> String {
    "the end of the log".to_owned()
}

impl SimHost {
    /// Who is on record for an earlier try of this very start, and when it listens.
    fn adopted(&self, start: &StartCommand) -> Option<(ProcessIdentity, Instant)> {
        let record = self.instances.get(&start.slot)?;
        let same = record.release == start.release && record.port == start.port;
        let lives = |process: &&Process| process.identity == record.identity && process.lives();
        let process = self.processes.iter().find(lives).filter(|_| same)?;
        Some((record.identity.clone(), process.listens_at))
    }

    /// A process that ended is on record no more.
    fn forgets(&mut self, stop: &Stop) {
        self.instances
            .retain(|slot, record| *slot != stop.slot || record.identity != stop.identity);
    }
}

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
            self.queue(at, name, Due::Started(job, identity));
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
        let Start::Listens(takes) = host.start else {
            let reason = "exit status 1".to_owned();
            return Ok(started(StartAnswer::Exited { reason, tail: tail() }));
        };
        let identity = host.spawn(start.port, takes).identity.clone();
        host.put_on_record(&start.slot, &start.release, &identity);
        self.runs_short(name, start.port);
        self.queue(Instant::now() + takes, name, Due::Started(job, identity));
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
                    host.strike(port);
                }
            }
        };
        self.happens(Instant::now() + tight.after, name, "runs out of memory", kills);
    }

    pub(super) fn has_started(&mut self, name: &HostName, job: Job, identity: ProcessIdentity) {
        let answer = if self.hosts[name].runs(&identity) {
            let log = RemotePath::new("/srv/logs/app.log").unwrap();
            StartAnswer::Listening { identity, log }
        } else {
            let reason = "exit status 137".to_owned();
            StartAnswer::Exited { reason, tail: tail() }
        };
        self.reply(name, job.call, "start", Ok(Answer::Start(Fenced::Passed(answer))));
    }

    pub(super) fn stop(&mut self, name: &HostName, job: Job, stop: Stop) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, stop.fence, Stop);
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
            None => process.identity == stop.identity && process.lives(),
        });
        found.map(|process| (process.port, process.heeds_term))
    }

    fn ends(&mut self, name: &HostName, stop: &Stop, port: Port, at: Instant) {
        let host = self.at(name);
        let by_port = host.has(Flaw::StopByPort);
        let mut strangers = false;
        for process in &mut host.processes {
            if process.lives() && (process.identity == stop.identity || by_port && process.port == port) {
                strangers |= process.identity != stop.identity;
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
