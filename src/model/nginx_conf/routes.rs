//! Every server block of a dump and the addresses that it reaches.

use std::collections::BTreeSet;

use super::NginxConfError;
use super::dump::{Dump, Placed};
use super::targets::{Names, Reached, Target, split_authority};

/// Addresses to which all server blocks together may lead. A thousand servers that share an upstream of
/// two hundred hosts are within it.
pub(super) const MAX_TARGETS: usize = 200_000;

/// A server block and where its requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRoute {
    /// The file in which the block is written.
    pub file: String,
    /// The line of `server`, counted from 1.
    pub line: usize,
    /// The names of `server_name`, in lower case; empty without any.
    pub server_names: Vec<String>,
    /// What it listens on; nginx's default `*:80` without any `listen`. Unix sockets are left out.
    pub listens: Vec<Listen>,
    /// Every address that a `proxy_pass` or `grpc_pass` of the block can lead to.
    pub targets: Vec<Target>,
    /// The `proxy_pass` arguments that lead to a variable without a known value or to a Unix socket.
    pub unresolved: Vec<String>,
    /// The files, the main one left out, on the way of includes to the block and inside it.
    pub includes: BTreeSet<String>,
    /// The files that write an upstream, a variable or an address that it uses.
    pub sources: BTreeSet<String>,
}

/// One `listen` of a server block.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// The address, IPv6 without brackets; `*` for all of IPv4.
    pub address: String,
    /// The port.
    pub port: u16,
    /// Whether it is marked as `default_server`.
    pub is_default: bool,
    /// Whether it is marked as `ssl`.
    pub is_tls: bool,
    /// Whether it is marked as `proxy_protocol`.
    pub is_proxied: bool,
}

impl SiteRoute {
    /// Whether `path` has a part in this block or in where it leads.
    pub fn involves(&self, path: &str) -> bool {
        self.file == path || self.includes.contains(path) || self.sources.contains(path)
    }

    /// Whether the block listens on that port, at whichever address.
    pub fn listens_on(&self, port: u16) -> bool {
        self.listens.iter().any(|listen| listen.port == port)
    }

    /// Whether the block answers to that name.
    pub fn has_name(&self, name: &str) -> bool {
        self.server_names
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl Dump {
    /// Finds the server blocks of `http` and `stream`, in the order in which nginx reads them.
    ///
    /// Returns an error if they lead to far more addresses than any real ones.
    pub(super) fn find_routes(&self) -> Result<Vec<SiteRoute>, NginxConfError> {
        let mut routes = Vec::new();
        let mut left = MAX_TARGETS;
        for section in self.top() {
            if !section.is("http") && !section.is("stream") {
                continue;
            }
            let block = self.expand(&section);
            let names = Names::of_block(self, &block);
            let servers = block.iter().filter(|placed| placed.is("server"));
            for server in servers {
                let route = self.route(server, &names, left)?;
                left = left.saturating_sub(route.targets.len());
                routes.push(route);
            }
        }
        Ok(routes)
    }

    fn route(&self, server: &Placed, names: &Names, left: usize) -> Result<SiteRoute, NginxConfError> {
        let inside = self.descendants(server);
        let names = names.with_sets(&inside);
        let mut reached = Reached::default();
        let mut includes = BTreeSet::new();
        for placed in inside.iter().chain([server]) {
            includes.extend(placed.chain.iter().map(|&path| path.to_owned()));
            if let ("proxy_pass" | "grpc_pass", [argument]) = (placed.directive.name.as_str(), placed.args())
            {
                names.follow(argument, &placed.file.path, &mut reached);
                if reached.targets.len() > left {
                    return Err(NginxConfError::TooManyTargets);
                }
            }
        }
        let direct = self.expand(server);
        let server_names = direct.iter().filter(|placed| placed.is("server_name"));
        Ok(SiteRoute {
            file: server.file.path.clone(),
            line: server.directive.line,
            server_names: server_names
                .flat_map(|placed| placed.args().iter().map(|name| name.to_ascii_lowercase()))
                .collect(),
            listens: listens(&direct),
            targets: reached.targets.into_iter().collect(),
            unresolved: reached.unresolved.into_iter().collect(),
            includes,
            sources: reached.sources,
        })
    }

    /// Everything within a block, at any depth.
    pub(super) fn descendants<'a>(&'a self, of: &Placed<'a>) -> Vec<Placed<'a>> {
        let mut found = Vec::new();
        let mut open = self.expand(of);
        open.reverse();
        while let Some(placed) = open.pop() {
            open.extend(self.expand(&placed).into_iter().rev());
            found.push(placed);
        }
        found
    }
}

fn listens(direct: &[Placed]) -> Vec<Listen> {
    let written: Vec<_> = direct.iter().filter(|placed| placed.is("listen")).collect();
    if written.is_empty() {
        // http://nginx.org/en/docs/http/ngx_http_core_module.html#listen: `*:80` for a master with
        // root's rights, and those are the ones that serve.
        return vec![Listen {
            address: "*".to_owned(),
            port: 80,
            is_default: false,
            is_tls: false,
            is_proxied: false,
        }];
    }
    let listens = written.into_iter().filter_map(|placed| {
        let (place, flags) = placed.args().split_first()?;
        let (address, port) = match place.parse::<u16>() {
            Ok(port) => ("*".to_owned(), port),
            Err(_) => split_authority(place, 80)?,
        };
        Some(Listen {
            address,
            port,
            is_default: flags
                .iter()
                .any(|flag| flag == "default_server" || flag == "default"),
            is_tls: flags.iter().any(|flag| flag == "ssl"),
            is_proxied: flags.iter().any(|flag| flag == "proxy_protocol"),
        })
    });
    listens.collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DEFAULT_SITE, SITES, debian, print};
    use super::*;

    fn addresses(route: &SiteRoute) -> Vec<String> {
        let targets = route.targets.iter();
        targets
            .map(|target| format!("{}:{}*{}", target.host, target.port, target.weight))
            .collect()
    }

    #[test]
    fn a_site_of_several_hosts_behind_an_upstream_is_followed() {
        let site = "upstream sokdak { server 10.0.1.11:8080 weight=3; server 10.0.1.12:8080;
            server [fd00::1]:8080 backup; server unix:/x.sock; }
            server { listen 80; listen [::]:80 ipv6only=on; listen 443 ssl; listen unix:/y;
              server_name Sokdak.example www.sokdak.example;
              location / { proxy_pass http://sokdak; } }";
        let dump = debian(&[("default", DEFAULT_SITE), ("sokdak-8080.conf", site)]);
        let routes = dump.routes_involving(&format!("{SITES}/sokdak-8080.conf"));
        let [route] = routes.as_slice() else {
            panic!("{routes:?}")
        };
        assert_eq!(
            addresses(route),
            ["10.0.1.11:8080*3", "10.0.1.12:8080*1", "fd00::1:8080*1"]
        );
        assert!(route.targets[2].backup);
        assert_eq!(route.server_names, ["sokdak.example", "www.sokdak.example"]);
        assert!(route.has_name("SOKDAK.example") && route.listens_on(443) && !route.listens_on(8080));
        let ipv6 = &route.listens[1];
        assert_eq!((ipv6.address.as_str(), ipv6.port), ("::", 80));
    }

    #[test]
    fn a_service_url_in_an_included_file_is_followed() {
        let main = "http { server { listen 80 default_server; server_name localhost;
            include /etc/nginx/conf.d/service-url.inc;
            location / { proxy_pass $service_url; } location /b { proxy_pass http://localhost:8080/x/$uri; } } }";
        let dump = print(&[
            ("/etc/nginx/nginx.conf", main),
            (
                "/etc/nginx/conf.d/service-url.inc",
                "set $service_url http://127.0.0.1:8081;",
            ),
        ]);
        let routes = Dump::parse(&dump)
            .unwrap()
            .routes_involving("/etc/nginx/conf.d/service-url.inc");
        assert_eq!(addresses(&routes[0]), ["127.0.0.1:8081*1", "localhost:8080*1"]);
        assert_eq!(routes[0].targets[0].file, "/etc/nginx/conf.d/service-url.inc");
        assert_eq!(routes[0].file, "/etc/nginx/nginx.conf");
    }

    #[test]
    fn maps_lead_to_all_their_values_and_unknown_variables_are_said() {
        let site = "upstream Blue { server a:1; } upstream green { server b:2; }
            map $cookie_x $color { default blue; ~g green; }
            server { location / { proxy_pass http://$color; } location /x { proxy_pass http://$host:81; }
              location /y { if ($a) { proxy_pass https://c; } } }";
        let routes = debian(&[("s", site)]).routes().to_vec();
        assert_eq!(addresses(&routes[0]), ["a:1*1", "b:2*1", "c:443*1"]);
        assert_eq!(routes[0].unresolved, ["http://$host:81"]);
        assert_eq!(routes[0].listens[0].port, 80);
    }

    #[test]
    fn variables_that_name_each_other_come_to_an_end() {
        let site = "server { set $a $b$b; set $b $a$a; location / { proxy_pass http://$a; } }";
        let routes = debian(&[("s", site)]).routes().to_vec();
        assert_eq!(routes[0].unresolved, ["http://$a"]);
    }

    #[test]
    fn files_that_include_each_other_come_to_an_end() {
        let dump = print(&[
            (
                "/e/nginx.conf",
                "http { include a; } stream { server { listen 1; proxy_pass h:2; } }",
            ),
            ("/e/a", "include b; server { listen 80; }"),
            ("/e/b", "include a; include /e/nginx.conf;"),
        ]);
        let routes = Dump::parse(&dump).unwrap().routes().to_vec();
        assert_eq!(routes.len(), 2);
        assert_eq!(addresses(&routes[1]), ["h:2*1"]);
    }
}
