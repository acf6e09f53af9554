//! The rules of the protocol, each of which can be taken away, and how much of the world is explored.

/// Which of the protocol's rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The rule that is taken away.
    pub(crate) without: Option<Rule>,
}

/// A rule of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Fence,
    Sequence,
    ReadBack,
    Look,
    Watch,
    TokenBeforeEpoch,
    StillMine,
    AllProven,
    ArmFirst,
    NoReturn,
    AskBeforeArming,
}

impl Rule {
    /// Every rule, with the word of the command line and what it says.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 11] = [
        (
            Self::Fence,
            "fence",
            "a script changes a host only under the lock that is there",
        ),
        (
            Self::Sequence,
            "sequence",
            "a script changes a host only if none that was sent later has",
        ),
        (
            Self::ReadBack,
            "read-back",
            "a confirm without an answer is no confirm, and every token is read before the stop",
        ),
        (
            Self::Look,
            "look",
            "the old slot ends only if the new one is found alive in the same breath",
        ),
        (
            Self::Watch,
            "watch",
            "what is armed and not confirmed goes home by itself",
        ),
        (
            Self::TokenBeforeEpoch,
            "token-before-epoch",
            "the watch obeys its token, whoever holds the lock",
        ),
        (
            Self::StillMine,
            "still-mine",
            "a watch that fired and has to try again does so only while its token is the newest",
        ),
        (
            Self::AllProven,
            "all-proven",
            "the first confirm is sent when all are proven",
        ),
        (
            Self::ArmFirst,
            "arm-first",
            "the way back after a confirm begins with arming everywhere",
        ),
        (
            Self::NoReturn,
            "no-return",
            "nobody goes back to a slot whose end has begun",
        ),
        (
            Self::AskBeforeArming,
            "ask-before-arming",
            "nobody arms a host on the way forward that was not asked, after the old slot's end has begun",
        ),
    ];

    /// The rule with this word.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, name, _)| *name == word)
            .map(|(rule, ..)| *rule)
    }
}

impl Rules {
    pub(crate) fn hold(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
