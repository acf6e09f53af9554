//! Which strategy goes with which style of nginx's files, with two slots and with one: the one table. `check`
//! refuses the rest at its line, `docs/strategies.md` prints it, and tests go through it.

use crate::model::playbook::{Slot, SwitchStyle};
use crate::model::strategy::Strategy;

/// A strategy by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrategyName {
    /// All of the traffic at once.
    BlueGreen,
    /// Host by host.
    Rolling,
    /// By weights.
    Canary,
}

/// A style of nginx's files by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StyleName {
    /// A site that we render.
    Site,
    /// Files of the user's own, one a slot: they carry whole slots.
    ConfPerSlot,
    /// A line of ours that a server of the user's reads: it names a whole slot.
    Include,
}

/// What speaks against something, if anything does.
type Goes = Result<(), &'static str>;

/// A pair, and what speaks against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The strategy.
    pub strategy: StrategyName,
    /// The style.
    pub style: StyleName,
    /// With two slots.
    pub two_slots: Goes,
    /// With a single one.
    pub single_slot: Goes,
}

const fn row(strategy: StrategyName, style: StyleName, two_slots: Goes, single_slot: Goes) -> Row {
    Row {
        strategy,
        style,
        two_slots,
        single_slot,
    }
}

/// Every pair.
pub const TABLE: [Row; 9] = [
    row(
        StrategyName::BlueGreen,
        StyleName::Site,
        Ok(()),
        Err(ROLLING_ONLY),
    ),
    row(
        StrategyName::BlueGreen,
        StyleName::ConfPerSlot,
        Ok(()),
        Err(SITE_ONLY),
    ),
    row(
        StrategyName::BlueGreen,
        StyleName::Include,
        Ok(()),
        Err(SITE_ONLY),
    ),
    row(StrategyName::Rolling, StyleName::Site, Ok(()), Ok(())),
    row(
        StrategyName::Rolling,
        StyleName::ConfPerSlot,
        Err(WHOLE_SLOTS),
        Err(SITE_ONLY),
    ),
    row(
        StrategyName::Rolling,
        StyleName::Include,
        Err(ONE_NAME),
        Err(SITE_ONLY),
    ),
    row(StrategyName::Canary, StyleName::Site, Ok(()), Err(ROLLING_ONLY)),
    row(
        StrategyName::Canary,
        StyleName::ConfPerSlot,
        Err(WHOLE_SLOTS),
        Err(SITE_ONLY),
    ),
    row(
        StrategyName::Canary,
        StyleName::Include,
        Err(ONE_NAME),
        Err(SITE_ONLY),
    ),
];

const ROLLING_ONLY: &str = "a single slot carries one instance a host, so that the old one ends before the new one \
                            starts: only `strategy: rolling` goes with it, or name two slots";

const SITE_ONLY: &str = "a single slot changes host by host, and only a site of ours shows nginx that: it goes with \
                         `strategy: rolling` and `nginx.site`, or name two slots";

const WHOLE_SLOTS: &str = "files of your own lead to a whole slot each (`nginx.conf_per_slot`), and between two \
                           slots there is none of them: only `blue_green` goes with them, or take `nginx.site`";
const ONE_NAME: &str = "the line that your own server reads names a whole slot (`nginx.include`): only `blue_green` \
                        goes with it, or take `nginx.site`";

impl StrategyName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BlueGreen, Self::Rolling, Self::Canary];

    /// The word of the playbook.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlueGreen => "blue_green",
            Self::Rolling => "rolling",
            Self::Canary => "canary",
        }
    }

    fn of(strategy: &Strategy) -> Self {
        match strategy {
            Strategy::BlueGreen => Self::BlueGreen,
            Strategy::Rolling { .. } => Self::Rolling,
            Strategy::Canary { .. } => Self::Canary,
        }
    }
}

impl StyleName {
    /// The word of the playbook.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::ConfPerSlot => "conf_per_slot",
            Self::Include => "include",
        }
    }

    fn of(style: &SwitchStyle) -> Self {
        match style {
            SwitchStyle::Site(_) => Self::Site,
            SwitchStyle::ConfPerSlot(_) => Self::ConfPerSlot,
            SwitchStyle::Include(_) => Self::Include,
        }
    }
}

/// Whether a strategy goes with a style and these slots, or why not.
pub(super) fn check(strategy: &Strategy, style: &SwitchStyle, slots: &[Slot]) -> Goes {
    let (strategy, style) = (StrategyName::of(strategy), StyleName::of(style));
    let mut rows = TABLE.iter();
    let row = rows.find(|row| (row.strategy, row.style) == (strategy, style));
    match (row, slots) {
        (None, _) => Err("is in no row of the table of what goes together"),
        (Some(row), [_]) => row.single_slot,
        (Some(row), _) => row.two_slots,
    }
}
