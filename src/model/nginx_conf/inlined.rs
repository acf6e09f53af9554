//! A shadow for an entry that servers include, once or several times and perhaps from a file of their own:
//! the main file in which each file on the way to the entry stands in place of its include.

use super::NginxConfError;
use super::dump::{ConfFile, Dump};
use super::shadow::{CANDIDATE, Include, includes_of, statement};

/// No configuration is larger; files that include each other several times could make any size of it.
const MAX_BYTES: usize = 4 << 20;

/// A file that is tested beside the candidate, with the text that it will have.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// Its path.
    pub path: &'a str,
    /// The text.
    pub text: &'a str,
}

struct Shadow<'a> {
    dump: &'a Dump,
    entry: &'a str,
    beside: Option<Beside<'a>>,
    found_entry: bool,
    found_beside: bool,
}

impl Dump {
    /// The main file with each include that reads `entry` led to `{candidate}`, and with the text of
    /// `beside` in place of that file.
    ///
    /// Returns an error if no include reads one of the two.
    pub fn shadow_within(&self, entry: &str, beside: Option<Beside<'_>>) -> Result<String, NginxConfError> {
        if let Some(file) = self.files().iter().find(|file| file.text.contains(CANDIDATE)) {
            let main = file.path.clone();
            return Err(NginxConfError::Placeholder { main });
        }
        let mut shadow = Shadow {
            dump: self,
            entry,
            beside,
            found_entry: false,
            found_beside: false,
        };
        let text = shadow.text(self.main(), &mut vec![self.main().path.as_str()])?;
        let missing = match beside {
            _ if !shadow.found_entry => Some(entry),
            Some(beside) if !shadow.found_beside => Some(beside.path),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(NginxConfError::NotIncluded {
                entry: missing.to_owned(),
                main: self.main().path.clone(),
                includes: self.arguments(),
            });
        }
        Ok(text.unwrap_or_default())
    }

    fn arguments(&self) -> Vec<String> {
        let includes = self.files().iter().flat_map(includes_of);
        includes.map(|include| include.argument.to_owned()).collect()
    }
}

impl<'a> Shadow<'a> {
    /// A file with everything on the way to the entry put in place of its include; `None` where nothing
    /// in it leads there.
    fn text(
        &mut self,
        file: &'a ConfFile,
        chain: &mut Vec<&'a str>,
    ) -> Result<Option<String>, NginxConfError> {
        let mut includes = includes_of(file);
        includes.sort_by_key(|include| include.span.start);
        let mut text = String::new();
        let mut copied = 0;
        for include in &includes {
            if let Some(parts) = self.parts(include, chain)? {
                text.push_str(&file.text[copied..include.span.start]);
                text.push_str(&parts.join(" "));
                copied = include.span.end;
            }
            if text.len() > MAX_BYTES {
                return Err(NginxConfError::TooManyIncludes);
            }
        }
        if copied == 0 {
            return Ok(None);
        }
        text.push_str(&file.text[copied..]);
        Ok(Some(text))
    }

    /// What stands in place of an include; `None` where it may stay.
    fn parts(
        &mut self,
        include: &Include<'_>,
        chain: &mut Vec<&'a str>,
    ) -> Result<Option<Vec<String>>, NginxConfError> {
        let mut paths: Vec<&'a str> = Vec::new();
        paths.extend(
            self.dump
                .included(include.argument)
                .iter()
                .map(|file| file.path.as_str()),
        );
        let ours = [Some(self.entry), self.beside.map(|beside| beside.path)];
        for path in ours.into_iter().flatten() {
            if !paths.contains(&path) && self.dump.include_matches(include.argument, path) {
                paths.push(path);
            }
        }
        paths.sort_unstable_by_key(|path| path.as_bytes());
        let mut is_on_the_way = false;
        let mut parts = Vec::new();
        for path in paths {
            let beside = self.beside.filter(|beside| beside.path == path);
            parts.push(if path == self.entry {
                (self.found_entry, is_on_the_way) = (true, true);
                format!("include \"{CANDIDATE}\";")
            } else if let Some(beside) = beside {
                (self.found_beside, is_on_the_way) = (true, true);
                alone(beside.text)
            } else {
                match self.inner(path, chain)? {
                    Some(text) => {
                        is_on_the_way = true;
                        alone(&text)
                    }
                    None => statement(path)?,
                }
            });
        }
        Ok(is_on_the_way.then_some(parts))
    }

    fn inner(&mut self, path: &'a str, chain: &mut Vec<&'a str>) -> Result<Option<String>, NginxConfError> {
        let Some(file) = self.dump.file(path).filter(|_| !chain.contains(&path)) else {
            return Ok(None);
        };
        chain.push(path);
        let text = self.text(file, chain);
        chain.pop();
        text
    }
}

/// A file's text within another one: what it ends with, such as a comment, ends there.
fn alone(text: &str) -> String {
    format!("\n{text}\n")
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::print;
    use super::*;

    const ENTRY: &str = "/e/conf.d/service-url.inc";
    const SERVER: &str =
        "server { listen 80; include conf.d/service-url.inc; location / { proxy_pass $url; } } # end";

    fn dump(main: &str, site: &str) -> Dump {
        let files = [
            ("/e/nginx.conf", main),
            ("/e/conf.d/a.conf", "# a"),
            ("/e/sites/site", site),
            (ENTRY, "set $url http://127.0.0.1:1;"),
        ];
        Dump::parse(&print(&files)).unwrap()
    }

    #[test]
    fn an_entry_in_a_server_of_the_main_file_is_led_to_the_candidate() {
        let main = format!("http {{ include conf.d/*.conf; {SERVER}\n}}\n");
        let shadow = dump(&main, "").shadow_within(ENTRY, None).unwrap();
        assert_eq!(
            shadow,
            main.replace("include conf.d/service-url.inc;", "include \"{candidate}\";")
        );
    }

    #[test]
    fn a_file_on_the_way_stands_in_place_of_its_include() {
        let dump = dump(
            "http { include conf.d/*.conf; include sites/*; }",
            &format!("{SERVER}\n{SERVER}"),
        );
        let shadow = dump.shadow_within(ENTRY, None).unwrap();
        let led = SERVER.replace("include conf.d/service-url.inc;", "include \"{candidate}\";");
        assert_eq!(
            shadow,
            format!("http {{ include conf.d/*.conf; \n{led}\n{led}\n }}")
        );
    }

    #[test]
    fn a_file_beside_it_is_tested_with_its_new_text_whether_it_is_there_or_not() {
        let main = format!("http {{ include conf.d/*.conf; {SERVER}\n}}\n");
        let dump = dump(&main, "");
        let beside = |path| {
            let text = "upstream up { server 10.0.0.1:1; }";
            dump.shadow_within(ENTRY, Some(Beside { path, text }))
        };
        let first = beside("/e/conf.d/0.conf").unwrap();
        let block = "upstream up { server 10.0.0.1:1; }";
        assert!(
            first.contains(&format!(
                "http {{ \n{block}\n include \"/e/conf.d/a.conf\"; server {{"
            )),
            "{first}"
        );
        let in_place = beside("/e/conf.d/a.conf").unwrap();
        assert!(
            in_place.contains(&format!("http {{ \n{block}\n server {{")),
            "{in_place}"
        );
        let elsewhere = beside("/srv/up.conf").unwrap_err().to_string();
        assert!(
            elsewhere.starts_with("`/srv/up.conf` cannot be shadowed: no include of"),
            "{elsewhere}"
        );
    }

    #[test]
    fn files_that_include_each_other_come_to_an_end() {
        let files = [
            ("/e/nginx.conf", "http { include a; include nginx.conf; }"),
            ("/e/a", "include b; server { include conf.d/service-url.inc; }"),
            ("/e/b", "include a;"),
        ];
        let dump = Dump::parse(&print(&files)).unwrap();
        assert!(dump.shadow_within(ENTRY, None).unwrap().contains(CANDIDATE));
    }
}
