//! `watch`, `lock`, `drain`, `stop` and `bake`: what happens around the switch, and when.

use std::time::Duration;

use crate::model::hook::{HookPoint, Hooks};
use crate::model::playbook::{AfterBake, Bake, Drain, Lock, OnDeadline, Stop, Watch};

use super::super::fields::{Fields, Item};
use super::super::report::Problem;
use super::super::values;
use super::Carries;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// `watch`; 30 seconds where it is absent.
pub(super) fn watch(item: Option<&Item<'_>>) -> Watch {
    let mut watch = Watch::default();
    if let Some(mut fields) = item.and_then(Fields::of) {
        watch.deadline = fields.read_or("deadline", watch.deadline, |item| {
            values::duration(item, Watch::SHORTEST..=HOUR)
        });
        fields.finish();
    }
    watch
}

/// `lock`; a lease of 30 seconds where it is absent.
pub(super) fn lock(item: Option<&Item<'_>>) -> Lock {
    let mut lock = Lock::default();
    if let Some(mut fields) = item.and_then(Fields::of) {
        lock.lease = fields.read_or("lease", lock.lease, |item| {
            values::duration(item, Lock::SHORTEST_LEASE..=HOUR)
        });
        fields.finish();
    }
    lock
}

/// `drain`; 30 seconds and then keep where it is absent.
pub(super) fn drain(item: Option<&Item<'_>>) -> Drain {
    let mut drain = Drain {
        deadline: 30 * SECOND,
        on_deadline: OnDeadline::Keep,
    };
    if let Some(mut fields) = item.and_then(Fields::of) {
        drain.deadline = fields.read_or("deadline", drain.deadline, |item| {
            values::duration(item, Duration::ZERO..=24 * HOUR)
        });
        drain.on_deadline = fields.read_or("on_deadline", drain.on_deadline, |item| {
            values::choice(item, &[("keep", OnDeadline::Keep), ("cut", OnDeadline::Cut)])
        });
        fields.finish();
    }
    drain
}

/// `stop`; 30 seconds between TERM and KILL where it is absent.
pub(super) fn stop(item: Option<&Item<'_>>) -> Stop {
    let mut stop = Stop { grace: 30 * SECOND };
    if let Some(mut fields) = item.and_then(Fields::of) {
        stop.grace = fields.read_or("grace", stop.grace, |item| values::duration(item, SECOND..=HOUR));
        fields.finish();
    }
    stop
}

/// `bake`; no time and then stop where it is absent.
pub(super) fn bake(item: Option<&Item<'_>>, carries: Carries) -> Bake {
    let mut bake = Bake {
        duration: Duration::ZERO,
        then: AfterBake::Stop,
    };
    if let Some(mut fields) = item.and_then(Fields::of) {
        // A time that is given and wrong is one mistake, and not a second one of `detach`.
        let mut lasts = false;
        bake.duration = fields.read_or("for", bake.duration, |item| {
            lasts = true;
            let duration = values::duration(item, Duration::ZERO..=24 * HOUR)?;
            lasts = !duration.is_zero();
            Ok(duration)
        });
        bake.then = fields.read_or("then", bake.then, |item| {
            let then = values::choice(item, &[("stop", AfterBake::Stop), ("keep", AfterBake::Keep)])?;
            if then == AfterBake::Keep && carries == Carries::One {
                return Err(item.problem("with a single slot nothing old is left that could be kept"));
            }
            Ok(then)
        });
        let detach = fields.item("detach");
        if let Some(item) = detach.as_ref()
            && fields.keep(values::boolean(item)) == Some(true)
        {
            left_to_hosts(item, &mut bake, lasts);
        }
        fields.finish();
    }
    bake
}

/// Refuses what goes beyond an instance that ends: at the hour the hosts are alone.
pub(super) fn fits(item: Option<&Item<'_>>, bake: Bake, hooks: &Hooks) {
    let Some(item) = item.filter(|_| bake.then == AfterBake::LeftToHosts) else {
        return;
    };
    if hooks.at(HookPoint::BeforeStop).next().is_some() {
        let message = "`detach` leaves the stop of the old slot to the hosts, and they run no `before_stop`";
        let problem = Problem::at(&item.place("detach"), message);
        item.note(problem.hint("take one of them away, or name the hook as `after_allow_traffic`"));
    }
}

/// `detach: true`: the run ends when the new slot has the traffic, and the hosts stop the old one.
fn left_to_hosts(item: &Item<'_>, bake: &mut Bake, lasts: bool) {
    if !lasts {
        let problem = Problem::at(
            &item.key,
            "`detach` leaves the stop of the old slot to an hour, and none is given",
        );
        item.note(
            problem.hint("say how long both slots stay up, such as `bake: { for: 24h, detach: true }`"),
        );
    }
    if bake.then == AfterBake::Keep {
        let problem = Problem::at(
            &item.key,
            "`then: keep` leaves the old slot up, and `detach` stops it later",
        );
        item.note(problem.hint("take one of them away"));
    }
    bake.then = AfterBake::LeftToHosts;
}
