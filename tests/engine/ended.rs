//! What is asked of a run that has ended.

use nonstop::model::decision::Way;
use nonstop::model::event::Event;
use nonstop::model::finding::Problem;
use nonstop::model::outcome::Outcome;

use crate::scene::{Ended, Scene};

impl Ended {
    /// Demands an outcome and an exit code, and that no effect broke an invariant.
    pub(crate) fn ends(&self, scene: &Scene, outcome: Outcome, exit: u8) -> &Self {
        assert_eq!(
            (self.verdict.outcome, self.verdict.exit.code()),
            (outcome, exit),
            "{:#?}",
            self.events
        );
        let told = |event: &Event| matches!(event, Event::RunEnded { outcome: told, .. } if *told == outcome);
        assert!(self.events.last().is_some_and(told));
        let broken = &scene.world.borrow().broken;
        assert!(broken.is_empty(), "{broken:#?}");
        self
    }

    /// Whether a person heard of such a problem.
    pub(crate) fn says(&self, wanted: impl Fn(&Problem) -> bool) -> bool {
        self.events.iter().any(|event| match event {
            Event::Warned { finding } => wanted(&finding.problem),
            Event::Refused { findings } => findings.iter().any(|finding| wanted(&finding.problem)),
            _ => false,
        })
    }

    /// The way that was chosen for an interrupted run, if one was met.
    pub(crate) fn way(&self) -> Option<Way> {
        self.events.iter().find_map(|event| match event {
            Event::InterruptedFound { way, .. } => Some(*way),
            _ => None,
        })
    }
}
