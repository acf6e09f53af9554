//! A variable that one file sets for the servers that include it: who uses it, and where it leads.

use std::collections::BTreeSet;

use super::NginxConfError;
use super::dump::{Dump, Placed};
use super::routes::MAX_TARGETS;
use super::targets::{Names, Reached, Target};

/// What the servers that include a file make of the variable that it sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetVariable {
    /// Whether some `proxy_pass` leads where the variable says.
    pub is_used: bool,
    /// The other files that set the same variable in the same server.
    pub also_set_in: BTreeSet<String>,
    /// Every address to which the variable leads.
    pub targets: BTreeSet<Target>,
    /// Every address to which such a server leads without the variable, with the server's file.
    pub elsewhere: BTreeSet<(String, Target)>,
    /// Values that lead to no address that we know.
    pub unresolved: BTreeSet<String>,
}

impl Dump {
    /// What the servers that include `file` make of `variable`, which is named without its `$`; `None`
    /// where no server includes it.
    ///
    /// Returns an error if these servers lead to far more addresses than any real ones.
    pub fn variable_set_in(&self, file: &str, variable: &str) -> Result<Option<SetVariable>, NginxConfError> {
        let mut found = None;
        let mut left = MAX_TARGETS;
        let wanted = format!("${variable}");
        for section in self.top().into_iter().filter(|section| section.is("http")) {
            let block = self.expand(&section);
            let names = Names::of_block(self, &block);
            for server in block.iter().filter(|placed| placed.is("server")) {
                let inside = self.descendants(server);
                if !inside.iter().any(|placed| placed.chain.contains(&file)) {
                    continue;
                }
                let set = found.get_or_insert_with(SetVariable::default);
                let names = names.with_sets(&inside);
                let (mut reached, mut elsewhere) = (Reached::default(), Reached::default());
                set.look(&inside, file, variable, |to, file| {
                    names.follow(to, file, &mut elsewhere);
                });
                names.follow(&wanted, file, &mut reached);
                left = left
                    .checked_sub(reached.targets.len() + elsewhere.targets.len())
                    .ok_or(NginxConfError::TooManyTargets)?;
                let of_server = |target| (server.file.path.clone(), target);
                set.elsewhere.extend(elsewhere.targets.into_iter().map(of_server));
                set.targets.extend(reached.targets);
                set.unresolved.extend(reached.unresolved);
            }
        }
        Ok(found)
    }
}

impl SetVariable {
    fn look(
        &mut self,
        inside: &[Placed<'_>],
        file: &str,
        variable: &str,
        mut other_way: impl FnMut(&str, &str),
    ) {
        for placed in inside {
            match (placed.directive.name.as_str(), placed.args()) {
                ("set", [name, _])
                    if name.strip_prefix('$') == Some(variable) && placed.file.path != file =>
                {
                    self.also_set_in.insert(placed.file.path.clone());
                }
                ("proxy_pass", [to]) if leads_by(to, variable) => self.is_used = true,
                ("proxy_pass" | "grpc_pass", [to]) => other_way(to, &placed.file.path),
                _ => {}
            }
        }
    }
}

/// Whether a `proxy_pass` goes where the variable says, which then holds the scheme too.
fn leads_by(to: &str, variable: &str) -> bool {
    let Some(rest) = to.strip_prefix('$') else {
        return false;
    };
    if let Some(braced) = rest.strip_prefix('{') {
        return braced.split_once('}').is_some_and(|(name, _)| name == variable);
    }
    rest.strip_prefix(variable)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::print;
    use super::*;

    fn set(server: &str, include: &str) -> Option<SetVariable> {
        let main = format!("http {{ upstream up {{ server 10.0.0.1:1; }} server {{ {server} }} }}");
        let dump = print(&[("/e/nginx.conf", main.as_str()), ("/e/url.inc", include)]);
        let dump = Dump::parse(&dump).unwrap();
        dump.variable_set_in("/e/url.inc", "url").unwrap()
    }

    #[test]
    fn an_address_and_an_upstream_are_followed_and_other_locations_are_not() {
        let server =
            "include url.inc; location / { proxy_pass $url; } location /b { proxy_pass http://other:9; }";
        let one = set(server, "set $url http://127.0.0.1:8081;").unwrap();
        let hosts = |set: &SetVariable| set.targets.iter().map(|it| it.host.clone()).collect::<Vec<_>>();
        assert!(one.is_used);
        assert_eq!(hosts(&one), ["127.0.0.1"]);
        let (file, other) = one.elsewhere.first().unwrap();
        assert_eq!((file.as_str(), other.host.as_str()), ("/e/nginx.conf", "other"));
        let up = set(server, "set $url http://up;").unwrap();
        assert_eq!(hosts(&up), ["10.0.0.1"]);
    }

    #[test]
    fn a_variable_that_nobody_uses_and_one_that_is_set_twice_are_told() {
        let unused = set(
            "include url.inc; location / { proxy_pass $url2; }",
            "set $url http://up;",
        );
        assert!(!unused.unwrap().is_used);
        let path = set(
            "include url.inc; location / { proxy_pass ${url}/x; }",
            "set $url http://up;",
        );
        assert!(path.unwrap().is_used);
        let twice = set(
            "include url.inc; set $url http://127.0.0.1:1; location / { proxy_pass $url; }",
            "set $url http://up;",
        );
        assert_eq!(
            twice.unwrap().also_set_in,
            BTreeSet::from(["/e/nginx.conf".to_owned()])
        );
        assert_eq!(
            set("location / { proxy_pass $url; }", "set $url http://up;"),
            None
        );
    }
}
