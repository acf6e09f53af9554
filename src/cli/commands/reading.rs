//! What the commands that only read have in common: whoever can be reached is asked, and the others
//! are named.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cli::args::Common;
use crate::cli::console;
use crate::cli::identity;
use crate::cli::project::Project;
use crate::engine::connect;
use crate::engine::context::{Context, Interrupt, Ledger};
use crate::engine::crew::Crew;
use crate::engine::fleet::ConnectFailure;
use crate::engine::observe;
use crate::engine::opening::findings_of;
use crate::local::ThisMachine;
use crate::model::finding::{Finding, Problem};
use crate::model::names::{HostName, JarPattern};
use crate::model::observed::Observed;
use crate::reach::ReachedHost;
use crate::report::text::event::left_out;

/// What was read.
pub(super) struct Reading {
    pub(super) crew: Crew<ReachedHost>,
    pub(super) observed: Observed,
    /// Hosts that could not be reached or asked.
    pub(super) missing: Vec<Finding>,
}

impl Reading {
    /// Looks for the jars that a deploy agent has put on the hosts.
    pub(super) async fn look_for_jars(&mut self, pattern: &JarPattern) {
        let failed = observe::jars(&self.crew, pattern, &mut self.observed).await;
        self.missing.extend(findings_of(failed));
    }

    /// What the engine needs to look further, with nobody to tell and no signal to hear.
    pub(super) fn context<'a>(&'a self, project: &'a Project) -> Context<'a, ReachedHost> {
        Context {
            topology: &project.config.topology,
            playbook: &project.config.playbook,
            crew: &self.crew,
            events: &|_| {},
            interrupt: Interrupt::never(),
            controller: &ThisMachine,
            hook_words: &[],
            began: (Timestamp::now(), Instant::now()),
            ledger: Ledger::default().into(),
        }
    }
}

/// Connects to every host and asks it what is true.
pub(super) async fn read(common: &Common, project: &Project) -> Reading {
    let config = &project.config;
    let (crew, mut missing) = reach(common, project).await;
    let (observed, failed) = observe::observe(&config.topology, &config.playbook, &crew).await;
    missing.extend(findings_of(failed));
    Reading {
        crew,
        observed,
        missing,
    }
}

/// Connects to every host; those that cannot be reached are the findings.
pub(super) async fn reach(common: &Common, project: &Project) -> (Crew<ReachedHost>, Vec<Finding>) {
    let fleet = project.fleet(common);
    let (hosts, unreached): (BTreeMap<_, _>, _) =
        connect::each(&fleet, &project.config.topology, &|_| {}).await;
    let unreachable = |(host, failure): (HostName, ConnectFailure)| {
        let problem = Problem::Unreachable {
            reason: failure.reason,
            obstacle: failure.obstacle,
        };
        Finding::refusal(Some(&host), problem)
    };
    let missing = unreached.into_iter().map(unreachable).collect();
    (Crew::new(identity::run_id(), hosts), missing)
}

/// Says which hosts are left out, and what that means.
pub(super) fn say_left_out(project: &Project) {
    let without = &project.config.topology.without;
    let (was, nginx) = (
        without.was.keys().cloned().collect(),
        without.nginx.keys().cloned().collect(),
    );
    let text = left_out(&was, &nginx);
    if !text.is_empty() {
        console::say(&format!("without: {text}"));
    }
}
