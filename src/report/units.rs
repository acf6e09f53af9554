//! Bytes, durations and counts as people read them.

use std::time::Duration;

/// Bytes in decimal units, as disks and networks count them: `60.1 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    // 999,950 bytes would round to 1000.0 kB, so a unit begins where it rounds to 1.0.
    let unit = UNITS.iter().find(|(size, _)| count >= size - size / 20_000);
    match unit {
        Some((size, name)) => {
            let tenths = (u128::from(count) * 10 + u128::from(size / 2)) / u128::from(*size);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{count} B"),
    }
}

/// A duration with as much detail as matters: `8 ms`, `1.2 s`, `12 s`, `2 min 05 s`, `3 h 07 min`.
pub fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let seconds = duration.as_secs();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..10_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        10_000..120_000 => format!("{seconds} s"),
        120_000..7_200_000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A count with its noun: `1 host`, `2 hosts`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_at_a_glance() {
        let shown: Vec<String> = [0, 999, 1_000, 999_949, 999_950, 60_112_345, u64::MAX]
            .into_iter()
            .map(bytes)
            .collect();
        assert_eq!(
            shown,
            [
                "0 B",
                "999 B",
                "1.0 kB",
                "999.9 kB",
                "1.0 MB",
                "60.1 MB",
                "18446744.1 TB"
            ]
        );
    }

    #[test]
    fn durations_are_read_at_a_glance() {
        let shown: Vec<String> = [8, 1_250, 12_900, 125_000, 11_220_000]
            .into_iter()
            .map(|millis| duration(Duration::from_millis(millis)))
            .collect();
        assert_eq!(shown, ["8 ms", "1.2 s", "12 s", "2 min 05 s", "3 h 07 min"]);
    }
}
