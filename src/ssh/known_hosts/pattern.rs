//! Whether the first field of a known_hosts line means a host: plain names, `*` and `?`, `!`, and
//! hashed names.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Whether the field means the host of this name, which is in lower case.
pub(super) fn field_means(field: &str, name: &str) -> bool {
    if let Some(hash) = field.strip_prefix("|1|") {
        return hash_means(hash, name).unwrap_or(false);
    }
    let mut found = false;
    for pattern in field.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        if !matches(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()) {
            continue;
        }
        if negated {
            return false;
        }
        found = true;
    }
    found
}

/// The part after `|1|` is a salt and the HMAC-SHA1 of the name under it, both in base64.
fn hash_means(hash: &str, name: &str) -> Option<bool> {
    let (salt, digest) = hash.split_once('|')?;
    let salt = BASE64.decode(salt.as_bytes()).ok()?;
    let digest = BASE64.decode(digest.as_bytes()).ok()?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&digest).is_ok())
}

/// The hashed form of a name under a salt of 20 bytes, as `HashKnownHosts yes` records it.
pub(super) fn hashed(name: &str, salt: [u8; 20]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).expect("HMAC takes a key of any length");
    mac.update(name.as_bytes());
    let digest = mac.finalize().into_bytes();
    format!("|1|{}|{}", BASE64.encode(&salt), BASE64.encode(&digest))
}

/// Matches `*` and `?` without recursion: after a mismatch the last `*` takes one byte more.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            last_star = Some((p, n));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == b'?' || *c == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((star, taken)) = last_star {
            last_star = Some((star, taken + 1));
            p = star + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_as_in_a_shell_but_brackets_are_plain() {
        assert!(field_means("*.example.com", "a.b.example.com"));
        assert!(field_means("10.0.0.?", "10.0.0.7"));
        assert!(!field_means("10.0.0.?", "10.0.0.17"));
        assert!(field_means("[*.example.com]:2222", "[a.example.com]:2222"));
        assert!(!field_means("[ab]", "a"));
        assert!(field_means("***a*", "xxa"));
        assert!(!field_means("", "a"));
    }

    #[test]
    fn a_negated_pattern_wins_wherever_it_stands() {
        assert!(!field_means("*.example.com,!bad.example.com", "bad.example.com"));
        assert!(!field_means("!bad.example.com,*.example.com", "bad.example.com"));
        assert!(!field_means("!bad.example.com", "good.example.com"));
    }

    #[test]
    fn a_hashed_name_means_only_itself() {
        let field = hashed("[host]:2222", [7; 20]);
        assert!(field_means(&field, "[host]:2222"));
        assert!(!field_means(&field, "host"));
        assert!(!field_means("|1|nonsense", "host"));
    }
}
