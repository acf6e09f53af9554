//! Which strategy goes with which style of nginx's files: the one table. `check` refuses the rest at its line,
//! `docs/strategies.md` prints it, and tests go through it.

use crate::model::playbook::SwitchStyle;
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

/// Every pair, and what speaks against it.
pub const TABLE: [(StrategyName, StyleName, Result<(), &str>); 9] = [
    (StrategyName::BlueGreen, StyleName::Site, Ok(())),
    (StrategyName::BlueGreen, StyleName::ConfPerSlot, Ok(())),
    (StrategyName::BlueGreen, StyleName::Include, Ok(())),
    (StrategyName::Rolling, StyleName::Site, Ok(())),
    (StrategyName::Rolling, StyleName::ConfPerSlot, Err(WHOLE_SLOTS)),
    (StrategyName::Rolling, StyleName::Include, Err(ONE_NAME)),
    (StrategyName::Canary, StyleName::Site, Ok(())),
    (StrategyName::Canary, StyleName::ConfPerSlot, Err(WHOLE_SLOTS)),
    (StrategyName::Canary, StyleName::Include, Err(ONE_NAME)),
];

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

/// Whether a strategy goes with a style, or why not.
pub(super) fn check(strategy: &Strategy, style: &SwitchStyle) -> Result<(), &'static str> {
    let (strategy, style) = (StrategyName::of(strategy), StyleName::of(style));
    let mut rows = TABLE.iter();
    let row = rows.find(|row| (row.0, row.1) == (strategy, style));
    row.map_or(Err("is in no row of the table of what goes together"), |row| {
        row.2
    })
}
