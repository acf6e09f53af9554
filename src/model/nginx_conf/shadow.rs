//! The main file as it looks when nginx is to read a candidate in place of an entry, so that a
//! candidate is tested while it is not yet at its live name.

use std::ops::Range;

use super::NginxConfError;
use super::directive::Directive;
use super::dump::{ConfFile, Dump};

/// What stands for the candidate's path in a shadow.
pub const CANDIDATE: &str = "{candidate}";

/// An include and the bytes that it takes.
pub(super) struct Include<'a> {
    pub(super) argument: &'a str,
    pub(super) span: Range<usize>,
}

impl Dump {
    /// The main file, every byte as it is, except that the include that reads `entry` is replaced by
    /// one include for each other file that it pulls in, and `include "{candidate}";` at the place
    /// where nginx would load `entry` (the order decides which server is the default). The file
    /// `takes_over`, which the commit renames to `entry`, is left out.
    ///
    /// Returns an error that says what is there if exactly one include of the main file does not
    /// match.
    pub fn shadow(&self, entry: &str, takes_over: Option<&str>) -> Result<String, NginxConfError> {
        let main = self.main();
        if main.text.contains(CANDIDATE) {
            return Err(NginxConfError::Placeholder {
                main: main.path.clone(),
            });
        }
        self.only_the_main_file_includes(entry)?;
        let mut includes = includes_of(main);
        includes.sort_by_key(|include| include.span.start);
        let matching: Vec<&Include> = includes.iter().filter(|i| self.reads(i, entry)).collect();
        match matching.len() {
            1 => {}
            0 => {
                return Err(NginxConfError::NotIncluded {
                    entry: entry.to_owned(),
                    main: main.path.clone(),
                    includes: includes.iter().map(|i| i.argument.to_owned()).collect(),
                });
            }
            _ => {
                return Err(NginxConfError::IncludedTwice {
                    entry: entry.to_owned(),
                    includes: matching.iter().map(|i| i.argument.to_owned()).collect(),
                });
            }
        }
        if let Some(path) = takes_over {
            self.only_the_main_file_includes(path)?;
        }
        let mut shadow = String::with_capacity(main.text.len() + 256);
        let mut copied = 0;
        for include in &includes {
            let is_entrys = self.reads(include, entry);
            if is_entrys || takes_over.is_some_and(|path| self.reads(include, path)) {
                shadow.push_str(&main.text[copied..include.span.start]);
                shadow.push_str(&self.explicit(include, entry, takes_over, is_entrys)?);
                copied = include.span.end;
            }
        }
        shadow.push_str(&main.text[copied..]);
        Ok(shadow)
    }

    fn reads(&self, include: &Include, path: &str) -> bool {
        self.include_matches(include.argument, path)
    }

    fn only_the_main_file_includes(&self, path: &str) -> Result<(), NginxConfError> {
        for file in &self.files()[1..] {
            if let Some(include) = includes_of(file).iter().find(|i| self.reads(i, path)) {
                return Err(NginxConfError::IncludedElsewhere {
                    entry: path.to_owned(),
                    file: file.path.clone(),
                    include: include.argument.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// What stands in place of an include, on one line so that nginx's messages keep their numbers.
    fn explicit(
        &self,
        include: &Include,
        entry: &str,
        takes_over: Option<&str>,
        with_candidate: bool,
    ) -> Result<String, NginxConfError> {
        let others = self.included(include.argument).into_iter();
        let mut paths: Vec<&str> = others.map(|file| file.path.as_str()).collect();
        paths.retain(|&path| path != entry && Some(path) != takes_over);
        let mut lines = paths
            .iter()
            .map(|path| statement(path))
            .collect::<Result<Vec<_>, _>>()?;
        if with_candidate {
            let place = paths.partition_point(|path| path.as_bytes() < entry.as_bytes());
            lines.insert(place, format!("include \"{CANDIDATE}\";"));
        }
        Ok(lines.join(" "))
    }
}

/// The include of one file.
pub(super) fn statement(path: &str) -> Result<String, NginxConfError> {
    if path.contains(['*', '?', '[']) || path.chars().any(char::is_control) {
        return Err(NginxConfError::UnusableName {
            path: path.to_owned(),
        });
    }
    let quoted = path.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("include \"{quoted}\";"))
}

/// Every include of a file, at any depth of its blocks.
pub(super) fn includes_of(file: &ConfFile) -> Vec<Include<'_>> {
    let mut found = Vec::new();
    collect(&file.directives, &mut found);
    found
}

fn collect<'a>(directives: &'a [Directive], found: &mut Vec<Include<'a>>) {
    for directive in directives {
        if let ("include", [argument]) = (directive.name.as_str(), directive.args.as_slice()) {
            found.push(Include {
                argument,
                span: directive.span.clone(),
            });
        }
        collect(directive.block.as_deref().unwrap_or_default(), found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DEBIAN, DEFAULT_SITE, SITES, debian, print};
    use super::*;

    #[test]
    fn the_candidate_stands_where_its_name_sorts_and_every_other_byte_stays() {
        let dump = debian(&[("a", ""), ("m.conf", ""), ("old-8080.conf", ""), ("z \"q", "")]);
        let shadow = dump
            .shadow(
                &format!("{SITES}/m.conf"),
                Some(&format!("{SITES}/old-8080.conf")),
            )
            .unwrap();
        let expected = DEBIAN.replace(
            "include /etc/nginx/sites-enabled/*;",
            "include \"/etc/nginx/sites-enabled/a\"; include \"{candidate}\"; \
             include \"/etc/nginx/sites-enabled/z \\\"q\";",
        );
        assert_eq!(shadow, expected);
    }

    #[test]
    fn an_entry_that_is_not_there_yet_is_shadowed_too() {
        let dump = debian(&[("default", DEFAULT_SITE)]);
        let shadow = dump.shadow(&format!("{SITES}/sokdak.conf"), None).unwrap();
        assert!(
            shadow.contains("include \"/etc/nginx/sites-enabled/default\"; include \"{candidate}\";\n}"),
            "{shadow}"
        );
        let first = dump.shadow("/etc/nginx/conf.d/sokdak.conf", None).unwrap();
        assert!(
            first.contains("\tinclude \"{candidate}\";\n\tinclude /etc/nginx/sites-enabled/*;"),
            "{first}"
        );
    }

    #[test]
    fn what_is_taken_over_from_another_folder_leaves_its_own_include() {
        let dump = print(&[
            ("/etc/nginx/nginx.conf", DEBIAN),
            ("/etc/nginx/conf.d/a.conf", ""),
            ("/etc/nginx/conf.d/old.conf", ""),
        ]);
        let shadow = Dump::parse(&dump)
            .unwrap()
            .shadow(&format!("{SITES}/x"), Some("/etc/nginx/conf.d/old.conf"))
            .unwrap();
        assert!(
            shadow.contains("\tinclude \"/etc/nginx/conf.d/a.conf\";\n\tinclude \"{candidate}\";\n"),
            "{shadow}"
        );
    }

    #[test]
    fn what_cannot_be_shadowed_says_what_is_there() {
        let dump = debian(&[("vhosts", "include /srv/vhosts/*.conf;")]);
        let elsewhere = dump.shadow("/srv/vhosts/x.conf", None).unwrap_err();
        assert_eq!(
            elsewhere.to_string(),
            "`/srv/vhosts/x.conf` cannot be shadowed: `include /srv/vhosts/*.conf` stands in \
             `/etc/nginx/sites-enabled/vhosts`, not in the main file"
        );
        let nowhere = dump.shadow("/srv/x.conf", None).unwrap_err().to_string();
        assert!(nowhere.contains("conf.d/*.conf"), "{nowhere}");
        let twice = print(&[("/e/nginx.conf", "include s/*; include s/*.conf;")]);
        let twice = Dump::parse(&twice).unwrap();
        assert!(matches!(
            twice.shadow("/e/s/a.conf", None),
            Err(NginxConfError::IncludedTwice { .. })
        ));
        let odd = debian(&[("a*b", "")]);
        assert!(matches!(
            odd.shadow(&format!("{SITES}/x"), None),
            Err(NginxConfError::UnusableName { .. })
        ));
    }
}
