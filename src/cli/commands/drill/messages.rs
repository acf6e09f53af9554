//! What webhooks are told of a drill: that it begins and how it ended, and not the same of each of its ways.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cli::console;
use crate::cli::courier::Courier;
use crate::cli::project::Project;
use crate::model::event::{Event, Stamped};
use crate::model::finding::Finding;
use crate::model::notify::Moment;
use crate::model::run_view::RunView;
use crate::report::notice::{self, DrillEnd};

/// When there is something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// At the beginning, and in the end.
    Always,
    /// In the end, if something is wrong.
    IfWrong,
}

/// The messages about one drill.
pub(super) struct Messages {
    courier: Courier,
    when: When,
    /// The way that is under way, or that ended last.
    view: RefCell<RunView>,
    has_begun: Cell<bool>,
}

impl Messages {
    pub(super) fn new(project: &Project, when: When) -> Self {
        Self {
            courier: console::courier(project),
            when,
            view: RefCell::default(),
            has_begun: Cell::new(false),
        }
    }

    /// Takes an event of a way that began then.
    pub(super) fn hear(&self, event: &Event, began: Instant) {
        if let Event::RunStarted { .. } = event {
            self.view.take();
        }
        self.view.borrow_mut().apply(&Stamped {
            at: Timestamp::now(),
            elapsed: began.elapsed(),
            event: event.clone(),
        });
        let begins = matches!(event, Event::Planned { .. }) && !self.has_begun.replace(true);
        if begins && self.when == When::Always {
            let view = self.view.borrow();
            let secrets = self.courier.secrets();
            self.courier.tell(Moment::Start, |service| {
                notice::drill_began(service, &view, secrets)
            });
        }
    }

    /// It ended before there was anything to drill, and not well.
    pub(super) fn was_refused(&self) {
        let view = self.view.borrow();
        let secrets = self.courier.secrets();
        self.courier.tell(Moment::Failure, |service| {
            notice::message(service, Moment::Failure, &view, secrets)
        });
    }

    /// It ended.
    pub(super) fn ended(&self, end: &DrillEnd<'_>) {
        let moment = notice::drill_moment(end.exit);
        if moment == Moment::Success && self.when == When::IfWrong {
            return;
        }
        let view = self.view.borrow();
        let secrets = self.courier.secrets();
        self.courier.tell(moment, |service| {
            notice::drill_ended(service, &view, end, secrets)
        });
    }

    /// Waits for what is on its way, and says what is wrong with webhooks.
    pub(super) async fn finish(&self) -> Vec<Finding> {
        let mut findings = self.courier.warnings().to_vec();
        findings.extend(self.courier.finish().await);
        findings
    }
}
