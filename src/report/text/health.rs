//! Health answers in words.

use crate::model::failure::HealthAnswer;
use crate::report::harmless::harmless;

/// What came, in words: `HTTP 503: status is DOWN`. Answers that read the same are the same to a
/// person, so this is also what tells whether an answer changed.
pub fn describe(answer: &HealthAnswer) -> String {
    harmless(&answer.to_string())
}

/// The start of the body, where the answer has one that helps.
pub fn body(answer: &HealthAnswer) -> Option<String> {
    match answer {
        HealthAnswer::Wrong { body, .. } if !body.trim().is_empty() => Some(harmless(body)),
        _ => None,
    }
}
