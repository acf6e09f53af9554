//! The files of a dump, told apart, and which include pulls in which of them.

use std::collections::{BTreeMap, BTreeSet};

use super::NginxConfError;
use super::directive::{Directive, parse};
use super::routes::SiteRoute;

/// Includes within includes that are still followed; real configurations need three or four.
const MAX_CHAIN: usize = 16;

/// Directives that there may be once every include is replaced by what it pulls in. Two files that
/// include each next one twice are enough to make billions of a few kilobytes.
const MAX_EXPANDED: usize = 1_000_000;

/// Comparisons of a pattern with a path that all includes together may need.
const MAX_MATCHES: usize = 4_000_000;

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
    /// Which files each include's argument pulls in, in the order in which nginx loads them.
    includes: BTreeMap<String, Vec<usize>>,
    routes: Vec<SiteRoute>,
}

impl Dump {
    /// Reads what `nginx -T` wrote to its standard output.
    ///
    /// Returns an error if there is no file in it, if one of them is not nginx configuration, or if the
    /// includes make far more of them than any real configuration has.
    pub fn parse(dump: &str) -> Result<Self, NginxConfError> {
        let mut files: Vec<(&str, &str)> = Vec::new();
        let mut known = BTreeSet::new();
        let mut text_starts = 0;
        let mut at = 0;
        for line in dump.split_inclusive('\n') {
            if let Some(path) = heading(line) {
                if let Some(last) = files.last_mut() {
                    last.1 = &dump[text_starts..at];
                }
                if !known.insert(path) {
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
        Self::of(files.collect::<Result<_, _>>()?)
    }

    /// The dump as it would be with that text at `entry` in place of the file `replaced`, which may be another one. A
    /// file that only the new text includes is missing in it.
    ///
    /// Returns an error as `parse` does.
    pub fn with(&self, replaced: &str, entry: &str, text: &str) -> Result<Self, NginxConfError> {
        let kept = self.files.iter().filter(|file| file.path != replaced);
        let mut files: Vec<_> = kept.filter(|file| file.path != entry).cloned().collect();
        files.push(read(entry, text)?);
        Self::of(files)
    }

    /// Whether an include of that file leads to nothing that is known here.
    pub fn lacks_an_include_of(&self, path: &str) -> bool {
        let mut arguments = BTreeSet::new();
        let file = self.file(path);
        collect_arguments(file.map_or(&[], |file| &file.directives), &mut arguments);
        let mut arguments = arguments.into_iter();
        arguments.any(|argument| self.included(argument).is_empty())
    }

    /// The dump of these files, the main one first.
    fn of(files: Vec<ConfFile>) -> Result<Self, NginxConfError> {
        let mut dump = Self {
            files,
            includes: BTreeMap::new(),
            routes: Vec::new(),
        };
        dump.find_includes()?;
        let mut left = MAX_EXPANDED;
        dump.weigh(&dump.main().directives, &mut Vec::new(), &mut left)?;
        dump.routes = dump.find_routes()?;
        Ok(dump)
    }

    /// Notes what every include pulls in.
    fn find_includes(&mut self) -> Result<(), NginxConfError> {
        let mut arguments = BTreeSet::new();
        for file in &self.files {
            collect_arguments(&file.directives, &mut arguments);
        }
        let by_path: BTreeMap<&str, usize> = self
            .files
            .iter()
            .enumerate()
            .map(|(at, file)| (file.path.as_str(), at))
            .collect();
        let patterns = arguments.iter().filter(|argument| is_pattern(argument));
        if patterns.count().saturating_mul(by_path.len()) > MAX_MATCHES {
            return Err(NginxConfError::TooManyIncludes);
        }
        let mut includes = BTreeMap::new();
        for argument in arguments {
            let absolute = self.absolute(argument);
            let found = if is_pattern(&absolute) {
                let pattern = Pattern::new(&absolute);
                let matching = by_path.iter().filter(|(path, _)| pattern.matches(path));
                matching.map(|(_, at)| *at).collect()
            } else {
                by_path.get(absolute.as_str()).copied().into_iter().collect()
            };
            includes.insert(argument.to_owned(), found);
        }
        self.includes = includes;
        Ok(())
    }

    /// Counts what the includes make of the files, and refuses what is far too much.
    fn weigh(
        &self,
        directives: &[Directive],
        chain: &mut Vec<usize>,
        left: &mut usize,
    ) -> Result<(), NginxConfError> {
        for directive in directives {
            *left = left.checked_sub(1).ok_or(NginxConfError::TooManyIncludes)?;
            for &at in self.included_by(directive) {
                *left = left.checked_sub(1).ok_or(NginxConfError::TooManyIncludes)?;
                if at == 0 || chain.contains(&at) {
                    continue;
                }
                if chain.len() >= MAX_CHAIN {
                    return Err(NginxConfError::TooManyIncludes);
                }
                chain.push(at);
                self.weigh(&self.files[at].directives, chain, left)?;
                chain.pop();
            }
            if let Some(block) = &directive.block {
                self.weigh(block, chain, left)?;
            }
        }
        Ok(())
    }

    /// The files that a directive pulls in; none where it is no include.
    fn included_by(&self, directive: &Directive) -> &[usize] {
        include_argument(directive)
            .and_then(|argument| self.includes.get(argument))
            .map_or(&[], Vec::as_slice)
    }

    /// The server blocks of `http` and `stream`, in the order in which nginx reads them.
    pub fn routes(&self) -> &[SiteRoute] {
        &self.routes
    }

    /// The server blocks in which that file has a part.
    pub fn routes_involving(&self, path: &str) -> Vec<SiteRoute> {
        let involved = self.routes.iter().filter(|route| route.involves(path));
        involved.cloned().collect()
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

    /// The files that an include with this argument pulls in, in the order in which nginx loads them.
    pub(super) fn included(&self, argument: &str) -> Vec<&ConfFile> {
        let found = self.includes.get(argument).into_iter().flatten();
        found.map(|&at| &self.files[at]).collect()
    }

    /// Whether an include with this argument reads `path`, if it is there.
    pub(super) fn include_matches(&self, argument: &str, path: &str) -> bool {
        let argument = self.absolute(argument);
        if is_pattern(&argument) {
            Pattern::new(&argument).matches(path)
        } else {
            argument == path
        }
    }

    fn absolute(&self, argument: &str) -> String {
        // http://nginx.org/en/docs/ngx_core_module.html#include: a relative name is looked up in
        // the folder of the main file, whichever file the directive stands in.
        if argument.starts_with('/') {
            return argument.to_owned();
        }
        let main = &self.main().path;
        let folder = main.rfind('/').map_or("", |slash| &main[..slash]);
        format!("{folder}/{argument}")
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
        let Some(argument) = include_argument(directive) else {
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

fn include_argument(directive: &Directive) -> Option<&str> {
    match (directive.name.as_str(), directive.args.as_slice()) {
        ("include", [argument]) => Some(argument),
        _ => None,
    }
}

fn collect_arguments<'a>(directives: &'a [Directive], found: &mut BTreeSet<&'a str>) {
    for directive in directives {
        found.extend(include_argument(directive));
        collect_arguments(directive.block.as_deref().unwrap_or_default(), found);
    }
}

fn is_pattern(argument: &str) -> bool {
    argument.contains(['*', '?', '['])
}

/// No file's name is longer, and a longer pattern would only cost time.
const MAX_NAME: usize = 255;

/// A pattern as glob(3) reads it: `*` stops at a slash and does not see names that start with a dot.
/// It is matched name by name, because over slashes the time would grow without bound with the stars.
struct Pattern(Option<Vec<glob::Pattern>>);

impl Pattern {
    fn new(pattern: &str) -> Self {
        Self(
            pattern
                .split('/')
                // Two stars in a row mean the same as one, except to the library.
                .map(|part| glob::Pattern::new(&single_stars(part)).ok())
                .map(|part| part.filter(|part| part.as_str().len() <= MAX_NAME))
                .collect(),
        )
    }

    fn matches(&self, path: &str) -> bool {
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        self.0.as_ref().is_some_and(|patterns| {
            patterns.len() == path.split('/').count()
                && patterns
                    .iter()
                    .zip(path.split('/'))
                    .all(|(pattern, name)| pattern.matches_with(name, options))
        })
    }
}

fn single_stars(pattern: &str) -> String {
    let mut single = String::with_capacity(pattern.len());
    for character in pattern.chars() {
        if character != '*' || !single.ends_with('*') {
            single.push(character);
        }
    }
    single
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
            ("/etc/nginx/conf.d/**.conf", "/etc/nginx/conf.d/b.conf", true),
        ] {
            assert_eq!(dump.include_matches(argument, path), matches, "{argument} {path}");
        }
    }
}
