//! "did you mean": the known word that is nearest to a misspelt one.

/// The known word that `word` is most likely a misspelling of.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The sentence for a hint.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["healthy_deadline", "min_healthy_time", "path"];
        assert_eq!(nearest("healty_deadline", known), Some("healthy_deadline"));
        assert_eq!(nearest("healthyDeadline", known), Some("healthy_deadline"));
        assert_eq!(nearest("min-healthy-time", known), Some("min_healthy_time"));
        assert_eq!(nearest("colour", known), None);
    }
}
