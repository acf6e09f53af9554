//! Dates and times: Ansible reads them as such and writes them in ISO form.

/// The ISO form of a timestamp, or `None` for another kind of text.
pub(super) fn normal(text: &str) -> Option<String> {
    if text.len() == 10 {
        return date(text, 2).filter(|iso| iso == text);
    }
    let split = text.find(['T', 't', ' ', '\t'])?;
    let date = date(&text[..split], 1)?;
    let rest = match text.as_bytes()[split] {
        b'T' | b't' => &text[split + 1..],
        _ => text[split..].trim_start_matches([' ', '\t']),
    };
    let zone_at = rest.find(['Z', '+', '-', ' ', '\t']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    Some(format!("{date}T{}{}", self::time(time)?, self::zone(zone)?))
}

fn digits(text: &str, from: usize, to: usize) -> Option<u32> {
    let fits = (from..=to).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}

fn date(text: &str, least: usize) -> Option<String> {
    let mut parts = text.splitn(3, '-');
    let year = digits(parts.next()?, 4, 4)?;
    let month = digits(parts.next()?, least, 2)?;
    let day = digits(parts.next()?, least, 2)?;
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && year > 0;
    valid.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn time(text: &str) -> Option<String> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?, 1, 2)?;
    let minute = digits(parts.next()?, 2, 2)?;
    let second = digits(parts.next()?, 2, 2)?;
    if hour > 23 || minute > 59 || second > 59 || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let micros = format!("{:0<6}", &fraction[..fraction.len().min(6)]);
    let fraction = if micros == "000000" {
        String::new()
    } else {
        format!(".{micros}")
    };
    Some(format!("{hour:02}:{minute:02}:{second:02}{fraction}"))
}

fn zone(text: &str) -> Option<String> {
    let text = text.trim_start_matches([' ', '\t']);
    match text.as_bytes().first() {
        None => Some(String::new()),
        Some(b'Z') if text.len() == 1 => Some("+00:00".to_owned()),
        Some(sign @ (b'+' | b'-')) => {
            let (hours, minutes) = text[1..].split_once(':').unwrap_or((&text[1..], "00"));
            let (hours, minutes) = (digits(hours, 1, 2)?, digits(minutes, 2, 2)?);
            Some(format!("{}{hours:02}:{minutes:02}", char::from(*sign)))
        }
        Some(_) => None,
    }
}
