//! A real host: the scripts under dash, in a folder, with an nginx of its own.

use std::fs;
use std::time::Duration;

use nonstop::model::lock::Epoch;
use nonstop::model::token::{TokenId, TokenState};
use nonstop::remote::command::{
    Arm, CleanNginx, Command, Commit, Confirm, Lock, Observe, PlacedContent, Prepare, Record, Renew, Revert,
    Unlock,
};

use crate::host::{Shell, lock_by, remote, run_id, sha256};
use crate::moves::{Fence, Move, state_told, told};
use crate::site::{Site, eventually};

/// A real host, whose nginx serves v1 and is to serve v2.
pub(crate) struct Real {
    site: Site,
    old: String,
    new: String,
    later: u64,
}

fn fence(fence: Fence) -> nonstop::model::lock::Fence {
    nonstop::model::lock::Fence {
        epoch: Epoch(fence.epoch),
        run: run(fence.run),
        sequence: fence.sequence,
    }
}

fn run(number: u32) -> nonstop::model::names::RunId {
    run_id(&format!("run-{number}"))
}

impl Real {
    pub(crate) fn new() -> Self {
        let site = Site::unlocked(Shell::Dash);
        let (old, new) = (site.site("v1"), site.site("v2"));
        fs::write(site.entry(), &old).expect("written");
        site.start();
        Self {
            site,
            old,
            new,
            later: 0,
        }
    }

    pub(crate) fn makes(&mut self, made: &Move) -> String {
        match self.command(made) {
            Some(command) => told(&self.site.host.run(command)),
            None => self.otherwise(made),
        }
    }

    fn otherwise(&mut self, made: &Move) -> String {
        match made {
            Move::Later(seconds) => {
                self.later += seconds;
                self.site
                    .host
                    .machine("uptime_offset", &(self.later * 100).to_string());
            }
            Move::Fires => eventually("the watch has gone home", || {
                let tokens = self.site.tokens();
                tokens.iter().all(|token| token.state != TokenState::Armed)
                    && tokens
                        .iter()
                        .all(|token| token.state != TokenState::Fired || token.restored)
            }),
            Move::SomebodyEdits => fs::write(self.site.entry(), self.site.site("v3")).expect("written"),
            _ => {
                let lock = self.site.host.observe(Observe::default()).lock;
                let mut served = String::new();
                // Workers of two generations may both answer for a moment.
                for _ in 0..3 {
                    served = self.site.get();
                }
                let seen = self.site.observe();
                return state_told(&seen.tokens, &lock, &served, &seen.saved_homes);
            }
        }
        String::new()
    }

    fn command(&self, made: &Move) -> Option<Command> {
        let entry = remote(self.site.entry());
        let deadline = Duration::from_secs(8);
        let mut placement = self.site.placement(&self.new);
        placement.expected_sha256 = Some(sha256(self.old.as_bytes()));
        placement.content = PlacedContent::File(self.new.clone());
        Some(match *made {
            Move::Lock {
                run: number,
                expected,
                epoch,
            } => Command::Lock(Lock {
                lease: Some(Duration::from_secs(30)),
                ..lock_by(&format!("run-{number}"), expected, epoch)
            }),
            Move::Renew { run: number, epoch } => Command::Renew(Renew {
                epoch: Epoch(epoch),
                run: run(number),
            }),
            Move::Unlock(by) => Command::Unlock(Unlock { fence: fence(by) }),
            Move::Record(by) => Command::Record(Record {
                fence: fence(by),
                json: crate::simulated::record(),
            }),
            Move::Prepare(by) => Command::Prepare(Prepare {
                fence: fence(by),
                home: run(1),
                nginx: self.site.nginx_place(),
                placement,
                candidate: self.new.clone(),
                shadow: self.site.shadow("sokdak.conf"),
            }),
            Move::Commit(by, watch) => Command::Commit(Commit {
                fence: fence(by),
                home: run(1),
                watch: Duration::from_secs(watch),
                nginx: self.site.nginx_place(),
                placement,
                deadline,
            }),
            Move::Arm(by, watch) => Command::Arm(Arm {
                fence: fence(by),
                home: run(1),
                nginx: self.site.nginx_place(),
                watch: Duration::from_secs(watch),
                deadline,
            }),
            Move::Confirm(by, (epoch, number)) => Command::Confirm(Confirm {
                fence: fence(by),
                token: TokenId {
                    run: run(1),
                    epoch: Epoch(epoch),
                    number,
                },
            }),
            Move::Revert(by) => Command::Revert(Revert {
                fence: fence(by),
                home: run(1),
                nginx: self.site.nginx_place(),
                deadline,
            }),
            Move::Clean(by) => Command::CleanNginx(CleanNginx {
                fence: fence(by),
                entry: entry.clone(),
                target: entry,
                conf: remote(self.site.conf()),
            }),
            Move::Later(_) | Move::Fires | Move::SomebodyEdits | Move::Look => return None,
        })
    }
}
