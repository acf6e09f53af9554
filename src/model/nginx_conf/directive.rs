//! The syntax of nginx configuration, as `ngx_conf_read_token` in nginx's own
//! `src/core/ngx_conf_file.c` reads it: words, quotes, escapes, comments and blocks.

use std::ops::Range;

/// Blocks within blocks that are still read; nginx configurations need four or five.
const MAX_DEPTH: usize = 64;

/// One directive with its arguments and, where it has one, its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The first word.
    pub name: String,
    /// The other words, without quotes and escapes.
    pub args: Vec<String>,
    /// The line of the first word, counted from 1.
    pub line: usize,
    /// The bytes from the first word to the `;` or the closing brace, both included.
    pub span: Range<usize>,
    /// What stands between the braces.
    pub block: Option<Vec<Directive>>,
}

/// Says where and why a text is not nginx configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) reason: &'static str,
}

/// Reads the directives of one file.
///
/// Returns the line and the reason if the text is not nginx configuration.
pub fn parse_directives(text: &str) -> Result<Vec<Directive>, (usize, &'static str)> {
    parse(text).map_err(|error| (error.line, error.reason))
}

pub(super) fn parse(text: &str) -> Result<Vec<Directive>, SyntaxError> {
    let mut reader = Reader { text, at: 0, line: 1 };
    reader.block(0)
}

enum End {
    Statement,
    BlockOpens,
    BlockCloses,
    File,
}

struct Head {
    words: Vec<String>,
    line: usize,
    start: usize,
    end: End,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn advance(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn error(&self, reason: &'static str) -> SyntaxError {
        SyntaxError {
            line: self.line,
            reason,
        }
    }

    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(self.error("blocks are nested too deeply"));
        }
        let mut directives = Vec::new();
        loop {
            let head = self.head()?;
            let block = match head.end {
                End::Statement => None,
                End::BlockOpens => Some(self.block(depth + 1)?),
                End::BlockCloses if depth > 0 => return Ok(directives),
                End::BlockCloses => return Err(self.error("`}` closes nothing")),
                End::File if depth == 0 => return Ok(directives),
                End::File => return Err(self.error("the file ends inside a block")),
            };
            let mut words = head.words.into_iter();
            directives.push(Directive {
                name: words.next().unwrap_or_default(),
                args: words.collect(),
                line: head.line,
                span: head.start..self.at,
                block,
            });
        }
    }

    /// Reads up to the end of a directive's head.
    fn head(&mut self) -> Result<Head, SyntaxError> {
        let mut found = Head {
            words: Vec::new(),
            line: self.line,
            start: self.at,
            end: End::File,
        };
        loop {
            let Some(byte) = self.peek() else {
                if found.words.is_empty() {
                    return Ok(found);
                }
                return Err(self.error("the file ends inside a directive"));
            };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.advance(),
                b'#' => self.comment(),
                b';' | b'{' if found.words.is_empty() => {
                    return Err(self.error("a directive has no name"));
                }
                b'}' if !found.words.is_empty() => return Err(self.error("a directive has no `;`")),
                b';' | b'{' | b'}' => {
                    self.advance();
                    found.end = match byte {
                        b';' => End::Statement,
                        b'{' => End::BlockOpens,
                        _ => End::BlockCloses,
                    };
                    return Ok(found);
                }
                _ => {
                    if found.words.is_empty() {
                        (found.line, found.start) = (self.line, self.at);
                    }
                    let word = if matches!(byte, b'"' | b'\'') {
                        self.quoted(byte)?
                    } else {
                        self.bare()?
                    };
                    found.words.push(word);
                }
            }
        }
    }

    fn comment(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.advance();
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<String, SyntaxError> {
        self.advance();
        let start = self.at;
        while let Some(byte) = self.peek() {
            if byte == quote {
                let word = unescape(&self.text[start..self.at]);
                self.advance();
                return match self.peek() {
                    None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b')') => Ok(word),
                    Some(_) => Err(self.error("a closing quote is followed by more of a word")),
                };
            }
            if byte == b'\\' {
                self.advance();
            }
            self.advance();
        }
        Err(self.error("a quote is not closed"))
    }

    fn bare(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        let mut after_dollar = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'{' if after_dollar => {}
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' => {
                    return Ok(unescape(&self.text[start..self.at]));
                }
                b'\\' => self.advance(),
                _ => {}
            }
            after_dollar = byte == b'$';
            self.advance();
        }
        Err(self.error("the file ends inside a directive"))
    }
}

fn unescape(raw: &str) -> String {
    let mut word = String::with_capacity(raw.len());
    let mut characters = raw.chars().peekable();
    while let Some(character) = characters.next() {
        let replaced = match (character, characters.peek()) {
            ('\\', Some(&next @ ('"' | '\'' | '\\'))) => next,
            ('\\', Some('t')) => '\t',
            ('\\', Some('r')) => '\r',
            ('\\', Some('n')) => '\n',
            _ => {
                word.push(character);
                continue;
            }
        };
        characters.next();
        word.push(replaced);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Directive {
        let mut all = parse(text).expect("valid configuration");
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn words_quotes_escapes_and_comments_are_read_as_nginx_reads_them() {
        let read = one("log_format \"a \\\" b\" 'c # d' e#f ${g}h \\; # a comment; with a semicolon\r\n i;");
        assert_eq!(read.args, ["a \" b", "c # d", "e#f", "${g}h", "\\;", "i"]);
    }

    #[test]
    fn a_word_in_brackets_and_crlf_lines_are_nothing_special() {
        let read = one("server {\r\n\tlisten [::]:80;\r\n}\r\n");
        let block = read.block.expect("a block");
        assert_eq!(block[0].args, ["[::]:80"]);
        assert_eq!(block[0].line, 2);
    }

    #[test]
    fn a_span_covers_the_directive_and_nothing_else() {
        let text = "http {\n  include /x/*;  # all\n}\n";
        let block = one(text).block.expect("a block");
        assert_eq!(&text[block[0].span.clone()], "include /x/*;");
    }

    #[test]
    fn what_is_no_configuration_names_its_line() {
        for (text, line) in [
            ("a;\nb", 2),
            ("a {\n b;\n", 3),
            ("}\n", 1),
            ("a \"b;\n", 2),
            ("a \"b\"c;", 1),
            (";", 1),
            ("a\n}\n", 2),
            ("é \\", 1),
        ] {
            assert_eq!(parse(text).expect_err(text).line, line, "{text:?}");
        }
        assert!(parse(&"a {".repeat(1000)).is_err());
    }
}
