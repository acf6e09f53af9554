//! Floor 1: what people and programs get to see. Reporters eat events and nothing else; they are
//! synchronous, and nothing that they do can fail a run.
//!
//! | file | what it owns |
//! |---|---|
//! | `plain` | a line an event, for logs and CI |
//! | `progress` | a live line a host, for a terminal |
//! | `summary` | the screen at the end of both |
//! | `findings` | the list of refusals and warnings, also for `doctor` |
//! | `json` | events as JSON lines |
//! | `junit` | JUnit XML, for the test tab of a CI server |
//! | `notice` | what webhooks are told |
//! | `plan`, `status` | what `nonstop plan` and `nonstop status` print |
//! | `drill` | how a drill went, and how earlier ones did |
//! | `history` | the audit trails of the fleet, merged by run |
//! | `text` | the words for every failure, health answer, problem and note, and what to do next |
//! | `harmless` | the one place that makes text from hosts safe to print |
//! | `output`, `units` | streams and colours; bytes and durations for people |

pub mod drill;
pub mod findings;
pub mod harmless;
pub mod history;
pub mod json;
pub mod junit;
pub mod notice;
pub mod output;
pub mod plain;
pub mod plan;
pub mod progress;
pub mod status;
pub mod summary;
mod table;
pub mod text;
pub mod units;
pub mod veil;

use jiff::Timestamp;

use crate::model::event::Stamped;

/// Eats the events of one run.
pub trait Reporter {
    /// Takes one event.
    fn event(&mut self, stamped: &Stamped);

    /// Takes the time; called about every tenth of a second while nothing else happens.
    fn tick(&mut self, now: Timestamp) {
        let _ = now;
    }
}

/// Hands everything to several reporters.
#[derive(Default)]
pub struct Tee {
    /// The reporters, in the order in which they are served.
    pub reporters: Vec<Box<dyn Reporter>>,
}

impl Reporter for Tee {
    fn event(&mut self, stamped: &Stamped) {
        for reporter in &mut self.reporters {
            reporter.event(stamped);
        }
    }

    fn tick(&mut self, now: Timestamp) {
        for reporter in &mut self.reporters {
            reporter.tick(now);
        }
    }
}
