//! The files of a dump, told apart, and which include pulls in which of them.

use super::NginxConfError;
use super::directive::{Directive, parse};

/// One file as nginx read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfFile {
    /// The path under which nginx opened it.
    pub path: String,
    /// Its bytes.
    pub text: String,
    /// Its directives.
    pub directives: Vec<Directive>,
}

/// Everything that `nginx -T` printed: the main file first, then every file that it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    files: Vec<ConfFile>,
}

impl Dump {
    /// Reads what `nginx -T` wrote to its standard output.
    ///
    /// Returns an error if there is no file in it, or if one of them is not nginx configuration.
    pub fn parse(dump: &str) -> Result<Self, NginxConfError> {
        let mut files: Vec<(&str, &str)> = Vec::new();
        let mut text_starts = 0;
        let mut at = 0;
        for line in dump.split_inclusive('\n') {
            if let Some(path) = heading(line) {
                if let Some(last) = files.last_mut() {
                    last.1 = &dump[text_starts..at];
                }
                if files.iter().any(|(known, _)| *known == path) {
                    return Err(NginxConfError::Ambiguous {
                        path: path.to_owned(),
                    });
                }
                files.push((path, ""));
                text_starts = at + line.len();
            }
            at += line.len();
        }
        match files.last_mut() {
            None => return Err(NginxConfError::NoFiles),
            Some(last) => last.1 = &dump[text_starts..],
        }
        let files = files.into_iter().map(|(path, text)| read(path, text));
        Ok(Self {
            files: files.collect::<Result<_, _>>()?,
        })
    }

    /// The main file, such as `/etc/nginx/nginx.conf`.
    pub fn main(&self) -> &ConfFile {
        &self.files[0]
    }

    /// All files in the order in which nginx opened them.
    pub fn files(&self) -> &[ConfFile] {
        &self.files
    }

    /// The file of that path.
    pub fn file(&self, path: &str) -> Option<&ConfFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files that an include pulls in, in the order in which nginx loads them.
    pub(super) fn included(&self, argument: &str) -> Vec<&ConfFile> {
        let mut found: Vec<_> = self
            .files
            .iter()
            .filter(|file| self.include_matches(argument, &file.path))
            .collect();
        found.sort_by(|one, other| one.path.as_bytes().cmp(other.path.as_bytes()));
        found
    }

    /// Whether an include with this argument reads `path`, if it is there.
    pub(super) fn include_matches(&self, argument: &str, path: &str) -> bool {
        // http://nginx.org/en/docs/ngx_core_module.html#include: a relative name is looked up in
        // the folder of the main file, whichever file the directive stands in.
        let argument = if argument.starts_with('/') {
            argument.to_owned()
        } else {
            let main = &self.main().path;
            let folder = main.rfind('/').map_or("", |slash| &main[..slash]);
            format!("{folder}/{argument}")
        };
        if !argument.contains(['*', '?', '[']) {
            return argument == path;
        }
        // As glob(3) does: `*` stops at a slash and does not see names that start with a dot.
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        glob::Pattern::new(&argument).is_ok_and(|pattern| pattern.matches_with(path, options))
    }

    /// The directives with every include replaced by what it pulls in.
    pub(super) fn expand<'a>(&'a self, from: &Placed<'a>) -> Vec<Placed<'a>> {
        let mut found = Vec::new();
        self.expand_into(from, &mut found);
        found
    }

    /// The whole configuration with every include replaced by what it pulls in.
    pub(super) fn top(&self) -> Vec<Placed<'_>> {
        let main = self.main();
        let mut found = Vec::new();
        for directive in &main.directives {
            self.place(directive, main, &[], &mut found);
        }
        found
    }

    fn expand_into<'a>(&'a self, from: &Placed<'a>, found: &mut Vec<Placed<'a>>) {
        for directive in from.directive.block.iter().flatten() {
            self.place(directive, from.file, &from.chain, found);
        }
    }

    fn place<'a>(
        &'a self,
        directive: &'a Directive,
        file: &'a ConfFile,
        chain: &[&'a str],
        found: &mut Vec<Placed<'a>>,
    ) {
        let (true, [argument]) = (directive.name == "include", directive.args.as_slice()) else {
            found.push(Placed {
                directive,
                file,
                chain: chain.to_vec(),
            });
            return;
        };
        for included in self.included(argument) {
            if chain.contains(&included.path.as_str()) || included.path == self.main().path {
                continue;
            }
            let mut chain = chain.to_vec();
            chain.push(&included.path);
            for directive in &included.directives {
                self.place(directive, included, &chain, found);
            }
        }
    }
}

/// A directive, the file in which it is written, and the includes that lead there.
#[derive(Debug, Clone)]
pub(super) struct Placed<'a> {
    pub(super) directive: &'a Directive,
    pub(super) file: &'a ConfFile,
    pub(super) chain: Vec<&'a str>,
}

impl Placed<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.directive.name == name
    }

    pub(super) fn args(&self) -> &[String] {
        &self.directive.args
    }
}

fn heading(line: &str) -> Option<&str> {
    line.strip_suffix('\n')?
        .strip_prefix("# configuration file ")?
        .strip_suffix(':')
        .filter(|path| path.starts_with('/'))
}

fn read(path: &str, text: &str) -> Result<ConfFile, NginxConfError> {
    // nginx writes a line feed of its own after every file.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let directives = parse(text).map_err(|error| NginxConfError::Syntax {
        file: path.to_owned(),
        line: error.line,
        reason: error.reason,
    })?;
    Ok(ConfFile {
        path: path.to_owned(),
        text: text.to_owned(),
        directives,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DEBIAN, DEFAULT_SITE, debian, print};
    use super::*;

    #[test]
    fn every_file_keeps_its_bytes() {
        let crlf = "server {\r\n listen 81;\r\n}";
        let dump = print(&[
            ("/etc/nginx/nginx.conf", DEBIAN),
            ("/etc/nginx/sites-enabled/a b", crlf),
        ]);
        let dump = Dump::parse(&dump).unwrap();
        assert_eq!(dump.main().text, DEBIAN);
        assert_eq!(dump.file("/etc/nginx/sites-enabled/a b").unwrap().text, crlf);
    }

    #[test]
    fn what_is_no_dump_is_refused_with_its_place() {
        assert_eq!(Dump::parse("nginx: [emerg] no"), Err(NginxConfError::NoFiles));
        let twice = print(&[("/a", "x;"), ("/b", "# configuration file /a:\ny;")]);
        assert!(matches!(
            Dump::parse(&twice),
            Err(NginxConfError::Ambiguous { .. })
        ));
        let broken = Dump::parse(&print(&[("/a", "x;"), ("/b", "y {\n")])).unwrap_err();
        assert_eq!(broken.to_string(), "/b:2: the file ends inside a block");
    }

    #[test]
    fn an_include_is_matched_as_glob_matches_it() {
        let dump = debian(&[("default", DEFAULT_SITE)]);
        for (argument, path, matches) in [
            ("/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/x", true),
            ("/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/.x", false),
            (
                "/etc/nginx/sites-enabled/*",
                "/etc/nginx/sites-enabled/a/x",
                false,
            ),
            ("/etc/nginx/conf.d/*.conf", "/etc/nginx/conf.d/x.inc", false),
            ("sites-*/[a-f]?.conf", "/etc/nginx/sites-enabled/a1.conf", true),
            ("mime.types", "/etc/nginx/mime.types", true),
            ("/etc/nginx/conf.d/a.conf", "/etc/nginx/conf.d/b.conf", false),
        ] {
            assert_eq!(dump.include_matches(argument, path), matches, "{argument} {path}");
        }
    }
}
