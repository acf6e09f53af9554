//! Files that would win over ours, or keep sending requests to what we are about to stop.

use std::collections::BTreeSet;
use std::fmt;

use super::dump::Dump;
use super::routes::SiteRoute;

/// What our site is, so that others can be held against it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The name under which nginx includes our file.
    pub entry: &'a str,
    /// The file of an earlier tool that the commit renames to `entry`.
    pub takes_over: Option<&'a str>,
    /// The names of our server block.
    pub server_names: &'a [String],
    /// The ports on which it listens.
    pub ports: &'a [u16],
    /// The addresses that only our file may lead to.
    pub endpoints: &'a [(String, u16)],
}

/// A file that is in our way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// The file in which the server block is written.
    pub file: String,
    /// The line of `server`, counted from 1.
    pub line: usize,
    /// Why it is in our way.
    pub reason: StrayReason,
}

/// Why a file is in our way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum StrayReason {
    /// It has our name on our port: nginx uses the first of the two by file name, and only warns.
    SameName {
        /// The name.
        server_name: String,
        /// The port.
        port: u16,
    },
    /// It sends requests to one of our endpoints, which no switch of ours would move.
    SameEndpoint {
        /// The endpoint's host as the file writes it.
        host: String,
        /// The endpoint's port.
        port: u16,
    },
}

impl fmt::Display for StrayReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameName { server_name, port } => {
                write!(
                    f,
                    "has the same server name `{server_name}` on the same port {port}"
                )
            }
            Self::SameEndpoint { host, port } => {
                write!(
                    f,
                    "sends requests to {host}:{port}, which a switch would not move"
                )
            }
        }
    }
}

impl Claim<'_> {
    fn is_ours(&self, path: &str) -> bool {
        path == self.entry || self.takes_over == Some(path)
    }

    fn is_included_by(&self, route: &SiteRoute) -> bool {
        route.includes.iter().any(|source| self.is_ours(source))
    }

    fn reasons(&self, route: &SiteRoute) -> Vec<StrayReason> {
        let mut reasons = Vec::new();
        if self.is_ours(&route.file) {
            return reasons;
        }
        let ports = if self.is_included_by(route) {
            &[]
        } else {
            self.ports
        };
        for &port in ports.iter().filter(|&&port| route.listens_on(port)) {
            let same = self.server_names.iter().filter(|name| route.has_name(name));
            reasons.extend(same.map(|name| StrayReason::SameName {
                server_name: name.to_ascii_lowercase(),
                port,
            }));
        }
        for target in &route.targets {
            let ours = |(host, port): &(String, u16)| target.reaches(host, *port);
            if !self.is_ours(&target.file) && self.endpoints.iter().any(ours) {
                reasons.push(StrayReason::SameEndpoint {
                    host: target.host.clone(),
                    port: target.port,
                });
            }
        }
        reasons
    }
}

impl Dump {
    /// The server blocks, ours left out, that are in our way, each reason once.
    pub fn strays(&self, claim: &Claim) -> Vec<Stray> {
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        for route in self.routes() {
            for reason in claim.reasons(route) {
                let stray = Stray {
                    file: route.file.clone(),
                    line: route.line,
                    reason,
                };
                if known.insert(stray.clone()) {
                    found.push(stray);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DEFAULT_SITE, SITES, debian, print};
    use super::*;

    const SITE: &str = "upstream up { server 10.0.0.1:8080; }
        server { listen 80; server_name sokdak.example; location / { proxy_pass http://up; } }";

    fn strays(dump: &Dump, entry: &str, takes_over: Option<&str>) -> Vec<String> {
        let claim = Claim {
            entry,
            takes_over,
            server_names: &["Sokdak.example".to_owned()],
            ports: &[80],
            endpoints: &[("10.0.0.1".to_owned(), 8080), ("127.0.0.1".to_owned(), 8081)],
        };
        let found = dump.strays(&claim).into_iter();
        found
            .map(|stray| format!("{} {}", stray.file, stray.reason))
            .collect()
    }

    #[test]
    fn a_forgotten_copy_of_our_site_is_found_and_other_sites_are_not() {
        let other =
            "server { listen 80; server_name other.example; location / { proxy_pass http://10.0.0.1:9090; } }
            server { listen 81; server_name sokdak.example; }";
        let dump = debian(&[
            ("default", DEFAULT_SITE),
            ("other", other),
            ("s.conf", SITE),
            (
                "s.conf.bak",
                &SITE
                    .replace("http://up", "http://10.0.0.1:8080")
                    .replace("upstream up", "upstream b"),
            ),
        ]);
        let found = strays(&dump, &format!("{SITES}/s.conf"), None);
        assert_eq!(
            found,
            [
                "/etc/nginx/sites-enabled/s.conf.bak has the same server name `sokdak.example` on the same port 80",
                "/etc/nginx/sites-enabled/s.conf.bak sends requests to 10.0.0.1:8080, which a switch would not move",
            ]
        );
        let taken_over = format!("{SITES}/s.conf.bak");
        assert!(strays(&dump, &format!("{SITES}/s.conf"), Some(&taken_over)).is_empty());
    }

    #[test]
    fn a_server_elsewhere_that_uses_our_upstream_moves_with_us_and_its_own_addresses_do_not() {
        let www = "server { listen 80; server_name www; location / { proxy_pass http://up; }
            location /old { proxy_pass http://localhost:8081; } }";
        let dump = debian(&[("s.conf", SITE), ("www", www)]);
        assert_eq!(
            strays(&dump, &format!("{SITES}/s.conf"), None),
            ["/etc/nginx/sites-enabled/www sends requests to localhost:8081, which a switch would not move"]
        );
    }

    #[test]
    fn the_server_that_includes_our_entry_is_not_a_stray() {
        let dump = print(&[
            (
                "/e/nginx.conf",
                "http { server { listen 80; server_name sokdak.example; include url.inc;
                 location / { proxy_pass $u; } } }",
            ),
            ("/e/url.inc", "set $u http://10.0.0.1:8080;"),
        ]);
        assert!(strays(&Dump::parse(&dump).unwrap(), "/e/url.inc", None).is_empty());
    }
}
