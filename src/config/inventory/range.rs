//! Names with ranges: `was-[01:10]`, `db-[a:f]`, `www[1:9:2].example.com`, and a port after the name.

/// A pattern without its port, and the port.
pub(super) fn split_port(pattern: &str) -> (&str, Option<u16>) {
    if let Some((inner, port)) = pattern.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"))
        && let Some(port) = number(port)
    {
        return (inner, Some(port));
    }
    // A colon within brackets belongs to a range; one of several outside is a part of an IPv6 address.
    let mut depth = 0_usize;
    let mut colons = Vec::new();
    for (at, c) in pattern.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => colons.push(at),
            _ => {}
        }
    }
    match colons[..] {
        [at] => match number(&pattern[at + 1..]) {
            Some(port) => (&pattern[..at], Some(port)),
            None => (pattern, None),
        },
        _ => (pattern, None),
    }
}

fn number(text: &str) -> Option<u16> {
    text.bytes()
        .all(|c| c.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// The names that a pattern stands for, at most `most`.
///
/// Returns what is wrong with a range, continuing the sentence "the range …".
pub(super) fn expand(pattern: &str, most: usize) -> Result<Vec<String>, String> {
    let mut names = vec![pattern.to_owned()];
    // Each round replaces the first range of every name; all names have as many ranges.
    while names.first().is_some_and(|name| name.contains('[')) {
        let mut longer = Vec::new();
        for name in &names {
            let (head, rest) = name.split_once('[').ok_or("is broken")?;
            let (range, tail) = rest.split_once(']').ok_or("has a `[` that is never closed")?;
            let values = values(range, most)?;
            if longer.len() + values.len() > most {
                return Err(format!("stands for more than {most} hosts"));
            }
            longer.extend(values.into_iter().map(|value| format!("{head}{value}{tail}")));
        }
        names = longer;
    }
    Ok(names)
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn values(range: &str, most: usize) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match parts[..] {
        [begin, end] => (begin, end, "1"),
        [begin, end, step] => (begin, end, step),
        _ => return Err(format!("`[{range}]` must be `[begin:end]` or `[begin:end:step]`")),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    let step: usize = match step.parse() {
        Ok(step) if step > 0 => step,
        _ => return Err(format!("`[{range}]` has a step that is no number above 0")),
    };
    let width = if begin.len() > 1 && begin.starts_with('0') {
        begin.len()
    } else {
        0
    };
    if width > 0 && width != end.len() {
        return Err(format!(
            "`[{range}]` must have ends of equal length, such as `[01:10]`"
        ));
    }
    let letter = |text: &str| LETTERS.find(text).filter(|_| text.len() == 1);
    if let (Some(from), Some(to)) = (letter(begin), letter(end)) {
        if from > to {
            return Err(format!("`[{range}]` ends before it begins"));
        }
        let letters = LETTERS[from..=to].chars().step_by(step);
        return Ok(letters.map(String::from).collect());
    }
    let digits = |text: &str| {
        text.bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let (Some(from), Some(to)) = (digits(begin), digits(end)) else {
        return Err(format!("`[{range}]` must run between two numbers or two letters"));
    };
    if from > to {
        return Err(format!("`[{range}]` ends before it begins"));
    }
    let count = (to - from) / (step as u64) + 1;
    if count > most as u64 {
        return Err(format!("`[{range}]` stands for more than {most} hosts"));
    }
    Ok((from..=to)
        .step_by(step)
        .map(|value| format!("{value:0width$}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_expand_as_in_ansible() {
        let names = |pattern| expand(pattern, 100).unwrap().join(" ");
        assert_eq!(names("was-[08:10]"), "was-08 was-09 was-10");
        assert_eq!(
            names("db-[a:c].example"),
            "db-a.example db-b.example db-c.example"
        );
        assert_eq!(names("w[1:7:3]"), "w1 w4 w7");
        assert_eq!(names("r[1:2]-[a:b]"), "r1-a r1-b r2-a r2-b");
        assert_eq!(names("plain"), "plain");
        assert_eq!(names("w[:2]"), "w0 w1 w2");
    }

    #[test]
    fn a_broken_or_absurd_range_is_refused() {
        for bad in [
            "w[1:2",
            "w[1]",
            "w[5:1]",
            "w[01:100]",
            "w[1:9:0]",
            "w[a:9]",
            "w[1:101]",
            "w[1:99][1:99]",
            "w[0:99999999999]",
        ] {
            assert!(expand(bad, 100).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_may_follow_the_name() {
        assert_eq!(split_port("was1:2222"), ("was1", Some(2222)));
        assert_eq!(split_port("was[1:3]:22"), ("was[1:3]", Some(22)));
        assert_eq!(split_port("[::1]:22"), ("::1", Some(22)));
        assert_eq!(split_port("::1"), ("::1", None));
        assert_eq!(split_port("was[1:3]"), ("was[1:3]", None));
    }
}
