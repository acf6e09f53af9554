//! What a command prints, kept in bounded memory: the beginning and the end, never the middle.

use std::collections::VecDeque;

/// One stream of a command's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The bytes; where some are left out, the beginning and the end of them.
    pub bytes: Vec<u8>,
    /// How many bytes in the middle were left out; 0 where the output is whole.
    pub left_out: u64,
}

impl Captured {
    /// Whether something is left out.
    pub fn is_truncated(&self) -> bool {
        self.left_out > 0
    }

    /// The bytes as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Collects one stream: the first half of the limit and the last half of it.
#[derive(Debug)]
pub(super) struct Collector {
    limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Collector {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            head: Vec::new(),
            tail: VecDeque::new(),
            left_out: 0,
        }
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        let room = (self.limit - self.limit / 2).saturating_sub(self.head.len());
        let (head, rest) = data.split_at(room.min(data.len()));
        self.head.extend_from_slice(head);
        let most = self.limit / 2;
        let useless = rest.len().saturating_sub(most);
        self.tail.extend(&rest[useless..]);
        let surplus = self.tail.len().saturating_sub(most);
        self.tail.drain(..surplus);
        self.left_out += (useless + surplus) as u64;
    }

    pub(super) fn finish(self) -> Captured {
        let mut bytes = self.head;
        bytes.extend(self.tail);
        Captured {
            bytes,
            left_out: self.left_out,
        }
    }
}

/// A line longer than this is handed on in pieces.
const LONGEST_LINE: usize = 8 * 1024;

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    pub(super) fn push(&mut self, data: &[u8], each: &mut dyn FnMut(&str)) {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            self.unfinished.extend_from_slice(part);
            if part.ends_with(b"\n") || self.unfinished.len() >= LONGEST_LINE {
                self.flush(each);
            }
        }
    }

    /// Hands on a last line that has no end.
    pub(super) fn flush(&mut self, each: &mut dyn FnMut(&str)) {
        if !self.unfinished.is_empty() {
            each(String::from_utf8_lossy(&self.unfinished).trim_end_matches(['\n', '\r']));
            self.unfinished.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(limit: usize, parts: &[&[u8]]) -> Captured {
        let mut collector = Collector::new(limit);
        for part in parts {
            collector.push(part);
        }
        collector.finish()
    }

    #[test]
    fn short_output_is_whole_and_long_output_keeps_its_ends() {
        assert_eq!(
            collected(8, &[b"abc", b"defgh"]),
            Captured {
                bytes: b"abcdefgh".into(),
                left_out: 0
            }
        );
        assert_eq!(
            collected(4, &[b"abcdefgh"]),
            Captured {
                bytes: b"abgh".into(),
                left_out: 4
            }
        );
        assert_eq!(
            collected(4, &[b"a", b"bc", b"defg", b"h"]),
            Captured {
                bytes: b"abgh".into(),
                left_out: 4
            }
        );
        assert_eq!(
            collected(0, &[b"abc"]),
            Captured {
                bytes: Vec::new(),
                left_out: 3
            }
        );
    }

    #[test]
    fn lines_are_whole_wherever_the_network_cuts_them() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for part in [&b"on"[..], b"e\ntwo\r\nth", b"ree"] {
            lines.push(part, &mut |line| seen.push(line.to_owned()));
        }
        lines.flush(&mut |line| seen.push(line.to_owned()));
        assert_eq!(seen, ["one", "two", "three"]);
    }
}
