//! What type a bare word has. YAML 1.1 as PyYAML reads it, and so Ansible: `yes` is true, `010` is
//! eight, `1:30` is ninety. The comparison with `ansible-inventory` in the tests is the judge.

use serde_json::{Map, Number, Value};

use super::report::Problem;
use super::timestamp;
use super::yaml::{Form, Kind, Node, Scalar};

/// A node as a JSON value.
///
/// Returns a problem for a tag that is not understood, and for a number that JSON cannot hold.
pub(super) fn value(node: &Node) -> Result<Value, Problem> {
    match &node.kind {
        Kind::List(items) => items
            .iter()
            .map(value)
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Kind::Map(entries) => {
            let mut map = Map::new();
            for (key, inner) in entries {
                map.insert(key_text(key)?, value(inner)?);
            }
            Ok(Value::Object(map))
        }
        Kind::Scalar(scalar) => typed(scalar).map_err(|message| Problem::at(&node.spot, message)),
    }
}

/// A key as JSON writes it: always a text.
pub(super) fn key_text(key: &Node) -> Result<String, Problem> {
    Ok(match value(key)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// The value of a scalar.
fn typed(scalar: &Scalar) -> Result<Value, String> {
    let text = scalar.text.as_str();
    match (scalar.tag.as_deref(), scalar.form) {
        (None, Form::Quoted) | (Some("str" | "!"), _) => Ok(Value::String(text.to_owned())),
        (None, Form::Json) => serde_json::from_str(text).map_err(|_| format!("`{text}` is no JSON value")),
        // These two are how ansible-inventory itself writes such values as JSON.
        (Some("vault" | "vault-encrypted"), _) => Ok(wrapped("__ansible_vault", text)),
        (Some("unsafe"), _) => Ok(wrapped("__ansible_unsafe", text)),
        (None, Form::Plain) | (Some("bool" | "int" | "float" | "null" | "timestamp"), _) => plain(text),
        (Some(tag), _) => Err(format!("the tag `!{tag}` is not supported")),
    }
}

fn wrapped(key: &str, text: &str) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), Value::String(text.to_owned()))]))
}

fn plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        _ => {}
    }
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || b"+-.".contains(&first)) {
        return Ok(Value::String(text.to_owned()));
    }
    if let Some(number) = integer(text) {
        return number;
    }
    if let Some(number) = float(text) {
        return number;
    }
    Ok(Value::String(
        timestamp::normal(text).unwrap_or_else(|| text.to_owned()),
    ))
}

/// Whether a text is one of YAML 1.1's words for true or false.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match plain(text) {
        Ok(Value::Bool(value)) => Some(value),
        _ => None,
    }
}

fn signed(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn made_of(text: &str, allowed: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(|c| c == b'_' || allowed(c))
}

/// The number that an integer's text means, or `None` for another kind of text.
fn integer(text: &str) -> Option<Result<Value, String>> {
    let (negative, digits) = signed(text);
    let decimal = |digits: &str| {
        digits.starts_with(|c: char| ('1'..='9').contains(&c)) && made_of(digits, |c| c.is_ascii_digit())
    };
    let radix = |digits: &str, radix| u128::from_str_radix(&digits.replace('_', ""), radix).ok();
    let magnitude = if digits == "0" {
        Some(0)
    } else if let Some(rest) = digits
        .strip_prefix("0b")
        .filter(|rest| made_of(rest, |c| c == b'0' || c == b'1'))
    {
        radix(rest, 2)
    } else if let Some(rest) = digits
        .strip_prefix("0x")
        .filter(|rest| made_of(rest, |c| c.is_ascii_hexdigit()))
    {
        radix(rest, 16)
    } else if digits.starts_with('0') && digits.len() > 1 && made_of(digits, |c| (b'0'..=b'7').contains(&c)) {
        radix(digits, 8)
    } else if decimal(digits) {
        radix(digits, 10)
    } else {
        let (head, tail) = digits.split_once(':').filter(|(head, _)| decimal(head))?;
        let mut total: u128 = head.replace('_', "").parse().ok()?;
        for part in tail.split(':') {
            total = total
                .checked_mul(60)?
                .checked_add(u128::from(sexagesimal(part)?))?;
        }
        Some(total)
    };
    let Some(magnitude) = magnitude else {
        return Some(Err(format!("the number `{text}` is too large: put it in quotes")));
    };
    let number = if negative {
        i64::try_from(magnitude).ok().map(|value| Number::from(-value))
    } else {
        u64::try_from(magnitude).ok().map(Number::from)
    };
    Some(
        number
            .map(Value::Number)
            .ok_or_else(|| format!("the number `{text}` is too large: put it in quotes")),
    )
}

fn sexagesimal(part: &str) -> Option<u8> {
    let digits = matches!(part.len(), 1 | 2) && part.bytes().all(|c| c.is_ascii_digit());
    part.parse().ok().filter(|number| digits && *number < 60)
}

/// The number that a float's text means, or `None` for another kind of text.
fn float(text: &str) -> Option<Result<Value, String>> {
    let (negative, rest) = signed(text);
    let lower = rest.to_ascii_lowercase();
    if matches!(rest, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Err(format!(
            "`{text}` is a number that JSON cannot hold: put it in quotes"
        )));
    }
    let (whole, fraction) = lower.split_once('.')?;
    let (fraction, exponent) = match fraction.split_once('e') {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (fraction, None),
    };
    if !(fraction.is_empty() || made_of(fraction, |c| c.is_ascii_digit())) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
    }
    let starts = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    let plain = |part: &str| starts(part) && made_of(part, |c| c.is_ascii_digit());
    let number: f64 = if whole.is_empty() {
        // A fraction alone takes no sign.
        if rest.len() != text.len() || !starts(fraction) {
            return None;
        }
        lower.replace('_', "").parse().ok()?
    } else if plain(whole) {
        lower.replace('_', "").parse().ok()?
    } else {
        let (head, tail) = whole.split_once(':').filter(|(head, _)| plain(head))?;
        if exponent.is_some() {
            return None;
        }
        let mut total: f64 = head.replace('_', "").parse().ok()?;
        for part in tail.split(':') {
            total = total * 60.0 + f64::from(sexagesimal(part)?);
        }
        let fraction: f64 = format!("0.{}", fraction.replace('_', "")).parse().ok()?;
        total + fraction
    };
    let number = if negative { -number } else { number };
    let value = Number::from_f64(number).map(Value::Number);
    Some(value.ok_or_else(|| format!("the number `{text}` is too large: put it in quotes")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bare_words_have_the_types_of_yaml_1_1() {
        for (text, expected) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!("y")),
            ("~", json!(null)),
            ("010", json!(8)),
            ("08", json!("08")),
            ("0o10", json!("0o10")),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("22:22", json!(1342)),
            ("09:30", json!("09:30")),
            ("-7", json!(-7)),
            ("1.50", json!(1.5)),
            ("1e3", json!("1e3")),
            ("1.0e+3", json!(1000.0)),
            (".5", json!(0.5)),
            ("1:30.5", json!(90.5)),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("2026-11-22", json!("2026-11-22")),
            ("2026-11-22 1:02:03", json!("2026-11-22T01:02:03")),
            (
                "2026-11-22T01:02:03.5Z",
                json!("2026-11-22T01:02:03.500000+00:00"),
            ),
            ("-", json!("-")),
            (".", json!(".")),
        ] {
            assert_eq!(plain(text), Ok(expected), "{text}");
        }
        assert!(plain("99999999999999999999").is_err());
    }
}
