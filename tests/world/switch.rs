//! The switch of one nginx: home, tokens and their watches, and reloads that take their time and may be
//! refused behind an answer of 0.

use std::time::Duration;

use data_encoding::HEXLOWER;
use nonstop::engine::fleet::CallError;
use nonstop::model::lock::Fence;
use nonstop::model::names::{HostName, RunId};
use nonstop::model::token::{TokenId, TokenMove, TokenState};
use nonstop::remote::answer::{Answer, ArmAnswer, ConfirmAnswer, Fenced, PrepareAnswer, SwitchAnswer};
use nonstop::remote::command::{Arm, Commit, Confirm, PlacedContent, Placement, Prepare, Revert};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::commands::pass;
use super::nginx::{Home, SimToken};
use super::{Due, Effect, Flaw, Job, SimNginx, World};

/// How long a reload takes until it is proven.
pub(super) const RELOAD: Duration = Duration::from_millis(100);

/// Why home was not put back.
pub(super) enum NotHome {
    /// None was saved.
    None,
    /// Somebody else changed what is there.
    Drifted,
}

impl World {
    pub(super) fn prepare(&mut self, name: &HostName, prepare: Prepare) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, prepare.fence, Prepare);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let answer = if drifted(nginx, &prepare.placement) {
            PrepareAnswer::Drifted
        } else if nginx.refuses_candidate {
            PrepareAnswer::Refused {
                output: "[emerg] unknown directive".to_owned(),
            }
        } else {
            if let Some(upstreams) = prepare.upstreams {
                nginx.files.insert(upstreams.file.to_string(), upstreams.text);
            }
            let files = nginx.files.clone();
            nginx.homes.entry(prepare.home).or_insert(Home {
                files,
                placed: prepare.candidate,
                left: false,
            });
            PrepareAnswer::Accepted {
                warnings: String::new(),
            }
        };
        Ok(Effect::Answered(Answer::Prepare(Fenced::Passed(answer))))
    }

    pub(super) fn commit(&mut self, name: &HostName, job: Job, commit: Commit) -> Result<Effect, CallError> {
        let answer = |answer| Ok(Effect::Answered(Answer::Commit(Fenced::Passed(answer))));
        let host = self.at(name);
        pass!(host, commit.fence, Commit);
        let boot = host.clock.boot;
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let Some(home) = nginx.homes.get_mut(&commit.home) else {
            return answer(SwitchAnswer::NoHome);
        };
        let PlacedContent::File(text) = &commit.placement.content else {
            unreachable!("no link in these tests")
        };
        let placed = nginx.files.get(commit.placement.entry.as_str()) == Some(text);
        home.left = true;
        home.placed.clone_from(text);
        let another = commit.nginx.master != SimNginx::master(boot);
        if another {
            return answer(SwitchAnswer::Restarted);
        }
        if !placed && drifted(nginx, &commit.placement) {
            return answer(SwitchAnswer::Drifted);
        }
        self.arms(name, &commit.fence, &commit.home, commit.watch);
        let host = self.at(name);
        let in_place = host.has(Flaw::WritesInPlace);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        if let Some(taken) = &commit.placement.takes_over {
            nginx.files.remove(taken.as_str());
        }
        let text = if in_place { String::new() } else { text.clone() };
        nginx.files.insert(commit.placement.entry.to_string(), text);
        let takes = host.clock.takes(RELOAD);
        host.busy_until = Some(Instant::now() + takes);
        self.queue(Instant::now() + takes, name, Due::Committed(job, commit));
        Ok(Effect::Later)
    }

    pub(super) fn committed(&mut self, name: &HostName, job: Job, commit: &Commit) {
        let host = self.at(name);
        host.renew();
        let trusts = host.has(Flaw::TrustsReload);
        let id = token_of(&commit.fence, &commit.home);
        let left = host
            .nginx
            .as_ref()
            .and_then(|nginx| nginx.tokens.get(&id)?.left(&host.clock));
        let nginx = host.nginx.as_mut().expect("an nginx host");
        if let PlacedContent::File(text) = &commit.placement.content {
            nginx
                .files
                .insert(commit.placement.entry.to_string(), text.clone());
        }
        let before = nginx.targets().to_vec();
        let reloaded = nginx.reload();
        let mut answer = proof(nginx, reloaded || trusts);
        if let SwitchAnswer::Proven { watch_left, .. } = &mut answer {
            *watch_left = left;
        }
        let result = if reloaded { "proven" } else { "unproven" };
        host.audits(commit.home.as_str(), "commit", result);
        if reloaded {
            self.leads(name, &before);
        }
        self.reply(
            name,
            job.call,
            "commit",
            Ok(Answer::Commit(Fenced::Passed(answer))),
        );
    }

    pub(super) fn arm(&mut self, name: &HostName, arm: &Arm) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, arm.fence, Arm);
        let forgets = host.has(Flaw::WatchForgetsHome);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let files = nginx.files.clone();
        let answer = match nginx.homes.get_mut(&arm.home) {
            None => ArmAnswer::NoHome,
            Some(home) => {
                if forgets {
                    home.files = files;
                }
                let left = self.arms(name, &arm.fence, &arm.home, arm.watch);
                ArmAnswer::Armed { left }
            }
        };
        Ok(Effect::Answered(Answer::Arm(Fenced::Passed(answer))))
    }

    /// Arms a token; every one that was armed is superseded.
    fn arms(&mut self, name: &HostName, fence: &Fence, home: &RunId, watch: Duration) -> Duration {
        if !self.has_watches {
            return watch;
        }
        let host = self.at(name);
        let (boot, now) = (host.clock.boot, host.clock.uptime());
        let fires_at = Instant::now() + host.clock.takes(watch);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        for token in nginx.tokens.values_mut() {
            token.state = token.state.after(TokenMove::Supersede).unwrap_or(token.state);
        }
        let id = token_of(fence, home);
        let armed = SimToken {
            state: TokenState::Armed,
            fires: (boot, now + watch),
            restored: false,
            attempts: 0,
            gave_up: false,
        };
        nginx.tokens.insert(id.clone(), armed);
        self.queue(fires_at, name, Due::Watch(boot, id));
        watch
    }

    pub(super) fn confirm(&mut self, name: &HostName, confirm: &Confirm) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, confirm.fence, Confirm);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let answer = match nginx.tokens.get_mut(&confirm.token) {
            None => ConfirmAnswer::Lost(None),
            Some(token) => {
                token.state = token.state.after(TokenMove::Confirm).unwrap_or(token.state);
                match token.state {
                    TokenState::Confirmed => ConfirmAnswer::Confirmed,
                    other => ConfirmAnswer::Lost(Some(other)),
                }
            }
        };
        let result = format!("{answer:?}").to_lowercase();
        host.audits(confirm.token.run.as_str(), "confirm", &result);
        Ok(Effect::Answered(Answer::Confirm(Fenced::Passed(answer))))
    }

    pub(super) fn revert(&mut self, name: &HostName, job: Job, revert: &Revert) -> Result<Effect, CallError> {
        let answer = |answer| Ok(Effect::Answered(Answer::Revert(Fenced::Passed(answer))));
        let host = self.at(name);
        pass!(host, revert.fence, Revert);
        let another = revert.nginx.master != SimNginx::master(host.clock.boot);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        for (id, token) in &mut nginx.tokens {
            let moved = if id.run == revert.home {
                TokenMove::Revert
            } else {
                TokenMove::Supersede
            };
            token.state = token.state.after(moved).unwrap_or(token.state);
        }
        if another {
            return answer(SwitchAnswer::Drifted);
        }
        match nginx.go_home(&revert.home) {
            Err(NotHome::None) => return answer(SwitchAnswer::NoHome),
            Err(NotHome::Drifted) => return answer(SwitchAnswer::Drifted),
            Ok(()) => {}
        }
        if nginx.homes.get(&revert.home).is_some_and(|home| !home.left) {
            return answer(proof(nginx, true));
        }
        let takes = host.clock.takes(RELOAD);
        host.busy_until = Some(Instant::now() + takes);
        let home = revert.home.clone();
        self.queue(Instant::now() + takes, name, Due::Reverted(job, home));
        Ok(Effect::Later)
    }

    pub(super) fn reverted(&mut self, name: &HostName, job: Job, home: &RunId) {
        let host = self.at(name);
        host.renew();
        let trusts = host.has(Flaw::TrustsReload);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let reloaded = nginx.comes_home(home) || trusts;
        let answer = proof(nginx, reloaded);
        self.reply(
            name,
            job.call,
            "revert",
            Ok(Answer::Revert(Fenced::Passed(answer))),
        );
    }
}

impl SimNginx {
    /// The watch of a token leaves, and home is not proven.
    pub(super) fn gives_up(&mut self, token: &TokenId) {
        if let Some(token) = self.tokens.get_mut(token) {
            token.gave_up = true;
        }
    }

    /// Reloads what was put back; whether it runs now.
    pub(super) fn comes_home(&mut self, run: &RunId) -> bool {
        let reloaded = self.reload();
        if let Some(home) = self.homes.get_mut(run) {
            home.left = home.left && !reloaded;
        }
        reloaded
    }

    /// Whether a switch of the run put these bytes there, whichever it was.
    fn was_placed(&self, run: &RunId, there: &String) -> bool {
        let first = self.homes.keys().find(|first| run.switch_of(first).is_some());
        let first = first.unwrap_or(run);
        let mut homes = self.homes.iter();
        homes.any(|(home, saved)| home.switch_of(first).is_some() && saved.placed == *there)
    }

    /// Puts home back on the disk.
    pub(super) fn go_home(&mut self, run: &RunId) -> Result<(), NotHome> {
        let home = self.homes.get(run).ok_or(NotHome::None)?;
        let there = self.files.get(self.entry.as_str());
        let ours = there.is_none_or(|there| self.was_placed(run, there));
        if self.files != home.files && !ours {
            return Err(NotHome::Drifted);
        }
        self.files = home.files.clone();
        // What it refused was the candidate.
        self.refuses_reload = false;
        Ok(())
    }
}

fn token_of(fence: &Fence, home: &RunId) -> TokenId {
    TokenId {
        run: home.clone(),
        epoch: fence.epoch,
        number: fence.sequence,
    }
}

fn proof(nginx: &SimNginx, reloaded: bool) -> SwitchAnswer {
    if reloaded {
        SwitchAnswer::Proven {
            serving: vec![nginx.serving()],
            leaving: nginx.leaving_at(Instant::now()),
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
    let digest = there.map(|text| HEXLOWER.encode(&Sha256::digest(text)));
    digest != placement.expected_sha256
}
