//! Reading single values of the playbook: each function takes what stands under a key and returns a
//! checked value, or what is wrong with it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::model::names::InvalidName;
use crate::model::template::Template;

use super::fields::{Item, Read};
use super::scalar;
use super::suggest;
use super::yaml::Kind;

/// A text, as it stands in the file, without control characters.
pub(super) fn text(item: &Item<'_>) -> Read<String> {
    let text = item.node.text().ok_or_else(|| item.expected("a text"))?;
    if text.chars().any(char::is_control) {
        return Err(item.problem(format!(
            "`{}` holds a line break or another control character",
            item.path
        )));
    }
    if text.is_empty() {
        return Err(item.problem(format!("`{}` is empty", item.path)));
    }
    Ok(text.to_owned())
}

/// A text that satisfies a rule; the rule says what is wrong.
pub(super) fn ruled(item: &Item<'_>, rule: fn(&str) -> Result<(), &'static str>) -> Read<String> {
    let text = text(item)?;
    match rule(&text) {
        Ok(()) => Ok(text),
        Err(reason) => Err(item.problem(format!("`{}` {reason}", item.path))),
    }
}

/// One of the checked names of the model.
pub(super) fn name<T: FromStr<Err = InvalidName>>(item: &Item<'_>) -> Read<T> {
    let text = text(item)?;
    T::from_str(&text).map_err(|error| item.problem(error.to_string()))
}

/// A template whose syntax is right.
pub(super) fn template(item: &Item<'_>) -> Read<Template> {
    let text = text(item)?;
    Template::new(text).map_err(|error| item.problem(format!("`{}`: {}", item.path, error.reason)))
}

/// A template that, where it holds no `{{ … }}`, satisfies a rule already now.
pub(super) fn ruled_template(item: &Item<'_>, rule: fn(&str) -> Result<(), &'static str>) -> Read<Template> {
    let template = template(item)?;
    if template.is_constant()
        && let Err(reason) = rule(template.as_str())
    {
        return Err(item.problem(format!("`{}` {reason}", item.path)));
    }
    Ok(template)
}

/// A duration such as `3s`, `100ms`, `5m` or `1h30m`, within bounds.
pub(super) fn duration(item: &Item<'_>, bounds: RangeInclusive<Duration>) -> Read<Duration> {
    let wanted = "a duration such as `3s`, `100ms`, `5m` or `1h30m`";
    let text = item.node.text().ok_or_else(|| item.expected(wanted))?;
    let duration = if text.trim() == "0" {
        Ok(Duration::ZERO)
    } else {
        humantime::parse_duration(text)
    };
    let Ok(duration) = duration else {
        let problem = item.expected(wanted);
        let bare = text.parse::<f64>().is_ok();
        let hint = bare.then(|| format!("did you mean `{text}s`?"));
        return Err(problem.maybe_hint(hint));
    };
    if !bounds.contains(&duration) {
        let (least, most) = (
            humantime::format_duration(*bounds.start()),
            humantime::format_duration(*bounds.end()),
        );
        return Err(item.problem(format!("`{}` must be from {least} to {most}", item.path)));
    }
    Ok(duration)
}

/// A size as the JVM takes it, such as `512m` or `1g`, in bytes.
pub(super) fn size(item: &Item<'_>) -> Read<u64> {
    let wanted = "a size such as `64m`, `512m` or `1g`";
    let text = item.node.text().ok_or_else(|| item.expected(wanted))?;
    let (digits, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let unit_bytes = match unit {
        "k" | "K" | "KiB" => 1_u64 << 10,
        "m" | "M" | "MiB" => 1 << 20,
        "g" | "G" | "GiB" => 1 << 30,
        "" if digits == "0" => 1,
        _ => return Err(item.expected(wanted)),
    };
    let number: u64 = digits.parse().map_err(|_| item.expected(wanted))?;
    number
        .checked_mul(unit_bytes)
        .ok_or_else(|| item.expected(wanted))
}

/// A whole number within bounds.
pub(super) fn whole<T>(item: &Item<'_>, bounds: RangeInclusive<T>) -> Read<T>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
    let text = item.node.text().ok_or_else(|| item.expected(&wanted))?;
    let digits = text.bytes().all(|c| c.is_ascii_digit()) && !(text.len() > 1 && text.starts_with('0'));
    match text.parse::<T>() {
        Ok(number) if digits && bounds.contains(&number) => Ok(number),
        _ => Err(item.expected(&wanted)),
    }
}

/// `true` or `false`, in any of YAML's spellings.
pub(super) fn boolean(item: &Item<'_>) -> Read<bool> {
    item.node
        .text()
        .and_then(scalar::boolean)
        .ok_or_else(|| item.expected("`true` or `false`"))
}

/// One of a few words.
pub(super) fn choice<T: Copy>(item: &Item<'_>, choices: &[(&str, T)]) -> Read<T> {
    let words = || choices.iter().map(|(word, _)| *word);
    let wanted = words()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(" or ");
    let text = item.node.text().ok_or_else(|| item.expected(&wanted))?;
    match choices.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => Err(item
            .expected(&wanted)
            .maybe_hint(suggest::did_you_mean(text, words()))),
    }
}

/// A list, or a single value in place of a list of one.
pub(super) fn list<'n, T>(item: &Item<'n>, parse: impl Fn(&Item<'n>) -> Read<T>) -> Read<Vec<T>> {
    let Kind::List(nodes) = &item.node.kind else {
        if item.node.text().is_some() {
            return parse(item).map(|value| vec![value]);
        }
        return Err(item.expected("a list"));
    };
    let each = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| parse(&item.below(&at.to_string(), &node.spot, node)));
    each.collect()
}

/// A map from free keys, checked by a rule, to values.
pub(super) fn map<'n, T>(
    item: &Item<'n>,
    rule: fn(&str) -> Result<(), &'static str>,
    parse: impl Fn(&Item<'n>) -> Read<T>,
) -> Read<BTreeMap<String, T>> {
    let entries = item.node.entries().ok_or_else(|| item.expected("a map"))?;
    let mut map = BTreeMap::new();
    for (key, node) in entries {
        let name = key.text().unwrap_or_default();
        let inner = item.below(name, &key.spot, node);
        if let Err(reason) = rule(name) {
            let problem =
                super::report::Problem::at(&key.spot, format!("key `{name}` in `{}` {reason}", item.path));
            return Err(problem);
        }
        map.insert(name.to_owned(), parse(&inner)?);
    }
    Ok(map)
}
