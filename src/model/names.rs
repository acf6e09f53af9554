//! Identifiers, each checked once when it is made, so that no later floor has to ask whether a
//! value could harm a shell, a path or an nginx file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Says why a text cannot be the identifier that it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{value}` {reason}")]
pub struct InvalidName {
    /// What the text was meant to be, such as "host name".
    pub kind: &'static str,
    /// The text, shortened to 80 characters.
    pub value: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl InvalidName {
    fn new(kind: &'static str, value: &str, reason: &'static str) -> Self {
        let value = value.chars().take(80).flat_map(char::escape_debug).collect();
        Self { kind, value, reason }
    }
}

type Rule = fn(&str) -> Result<(), &'static str>;

fn check(kind: &'static str, value: &str, rule: Rule) -> Result<(), InvalidName> {
    rule(value).map_err(|reason| InvalidName::new(kind, value, reason))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks the text and makes the identifier of it.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                check($kind, &value, $rule)?;
                Ok(Self(value))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.0
            }
        }
    };
}

name!(
    /// The application's name: it names state folders and nginx upstreams.
    AppName, "application name", word
);
name!(
    /// A host's name in the inventory; not necessarily what SSH connects to.
    HostName, "host name", host
);
name!(
    /// A group of hosts in the inventory.
    GroupName, "group name", word
);
name!(
    /// A slot's name, such as `blue`.
    SlotName, "slot name", word
);
name!(
    /// A login name on a host.
    UserName, "user name", user
);
name!(
    /// A release on the hosts; sorts by the time of its first upload and names its jar.
    ReleaseId, "release id", release
);
name!(
    /// One run of a command that changes the fleet; sorts by time.
    RunId, "run id", word
);
name!(
    /// What the processes of one start carry in their environment, and nobody else's do.
    StartWord, "start's word", start_word
);
name!(
    /// A service of systemd, such as `app@8081.service`.
    UnitName, "unit", unit
);
name!(
    /// What nginx proxies to and what health asks for: a DNS name, or an IPv4 or IPv6 address.
    Address, "address", address
);
name!(
    /// An absolute path on a host, or one below the login user's home (`~/…`), free of characters
    /// that mean something to a shell or to nginx.
    RemotePath, "remote path", path
);

name!(
    /// Jars on a host: an absolute folder, or one below the login user's home, and a pattern of a file's
    /// name in it, with `*` and `?`.
    JarPattern, "jar pattern", jar_pattern
);

impl JarPattern {
    /// The folder.
    pub fn folder(&self) -> RemotePath {
        RemotePath(self.0.clone()).parent()
    }

    /// The pattern of the file's name.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl RunId {
    /// What the switch to a run's routing of that number is called: its generation, its home and its tokens.
    /// The first one has the run's own name, the second `RUN.2`.
    #[must_use]
    pub fn of_switch(&self, number: u32) -> Self {
        match number {
            0 | 1 => self.clone(),
            number => Self(format!("{}.{number}", self.0)),
        }
    }

    /// The name of a leg of the run: it has tokens and a home of its own.
    #[must_use]
    pub fn leg(&self, number: u32) -> Self {
        Self(format!("{}-{number}", self.0))
    }

    /// Which leg of `run` has this name; `None` for one of another run.
    pub fn leg_of(&self, run: &Self) -> Option<u32> {
        let number = self.0.strip_prefix(run.as_str())?.strip_prefix('-')?;
        let number = number.parse().ok()?;
        (*self == run.leg(number)).then_some(number)
    }

    /// Which switch of `run` has this name; `None` for one of another run.
    pub fn switch_of(&self, run: &Self) -> Option<u32> {
        let rest = self.0.strip_prefix(run.as_str())?;
        if rest.is_empty() {
            return Some(1);
        }
        let number = rest.strip_prefix('.')?.parse().ok()?;
        (number > 1 && *self == run.of_switch(number)).then_some(number)
    }
}

impl RemotePath {
    /// The path of `relative` below this one.
    pub fn join(&self, relative: &str) -> Result<Self, InvalidName> {
        Self::new(format!("{}/{relative}", self.0.trim_end_matches('/')))
    }

    /// The folder that holds this path, or the path itself at the root.
    pub fn parent(&self) -> Self {
        match self.0.rfind('/') {
            Some(0) | None => Self("/".to_owned()),
            Some(at) => Self(self.0[..at].to_owned()),
        }
    }

    /// The part after the last slash.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl Address {
    /// The address as a URL or an nginx `server` line writes it: IPv6 in brackets.
    pub fn in_url(&self) -> String {
        if self.0.contains(':') {
            format!("[{}]", self.0)
        } else {
            self.0.clone()
        }
    }
}

fn word(value: &str) -> Result<(), &'static str> {
    if value.len() > 64 {
        return Err("must have 1 to 64 characters");
    }
    start_word(value)
}

/// A word with numbers behind it.
fn start_word(value: &str) -> Result<(), &'static str> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if value.is_empty() || value.len() > 128 {
        return Err("must have 1 to 128 characters");
    }
    if !value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err("must start with a letter, a digit or `_`");
    }
    if !value.chars().all(ok) || value.contains("..") {
        return Err("may hold only letters, digits, `_`, `-` and single dots");
    }
    Ok(())
}

fn release(value: &str) -> Result<(), &'static str> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    if value.is_empty() || value.len() > 160 {
        return Err("must have 1 to 160 characters");
    }
    if !value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err("must start with a letter or a digit");
    }
    if !value.chars().all(ok) || value.contains("..") {
        return Err("may hold only letters, digits, `_`, `-`, `+` and single dots");
    }
    Ok(())
}

fn host(value: &str) -> Result<(), &'static str> {
    if value.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(());
    }
    let ok = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if value.is_empty() || value.len() > 253 {
        return Err("must have 1 to 253 characters");
    }
    if !value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err("must start with a letter, a digit or `_`");
    }
    if !value.chars().all(ok) || value.contains("..") {
        return Err("may hold only letters, digits, `_`, `-` and single dots");
    }
    Ok(())
}

fn user(value: &str) -> Result<(), &'static str> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "_.@\\-".contains(c);
    if value.is_empty() || value.len() > 64 {
        return Err("must have 1 to 64 characters");
    }
    if !value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') || !value.chars().all(ok) {
        return Err(
            "may hold only letters, digits, `_`, `.`, `-`, `@` and `\\`, and must start with one of the first three",
        );
    }
    Ok(())
}

fn address(value: &str) -> Result<(), &'static str> {
    if value.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    if value.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err("looks like an IPv4 address and is not one");
    }
    host(value)
}

fn path(value: &str) -> Result<(), &'static str> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "/._@%+=:,~-".contains(c);
    if !(value.starts_with('/') || value.starts_with("~/")) {
        return Err("must be absolute, or start with `~/`");
    }
    if value.len() > 1024 {
        return Err("is longer than 1024 characters");
    }
    if !value.chars().all(ok) || value[1..].contains('~') {
        return Err("may hold only letters, digits and `/._@%+=:,-`");
    }
    if value.split('/').any(|part| part == ".." || part == ".") || value.contains("//") {
        return Err("must not hold `.`, `..` or empty parts");
    }
    Ok(())
}

fn jar_pattern(value: &str) -> Result<(), &'static str> {
    let (folder, name) = value
        .rsplit_once('/')
        .ok_or("must be absolute, or start with `~/`")?;
    if folder.contains(['*', '?']) {
        return Err("may hold `*` and `?` in the file's name only");
    }
    path(&value.replace(['*', '?'], "x"))?;
    if folder.is_empty() || name.contains(['~', ':']) {
        return Err("must name files in a folder, such as `/home/ec2-user/app/zip/*.jar`");
    }
    let jar = std::path::Path::new(name)
        .extension()
        .is_some_and(|end| end == "jar");
    if !jar && !name.ends_with('*') {
        return Err("must name jar files, such as `/home/ec2-user/app/zip/*.jar`");
    }
    Ok(())
}

fn unit(value: &str) -> Result<(), &'static str> {
    let Some(stem) = value.strip_suffix(".service") else {
        return Err("must end in `.service`, such as `app@8081.service`");
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.@-".contains(c);
    let begins = stem.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || value.len() > 255 || !stem.chars().all(plain) || stem.contains("..") {
        return Err("may hold only letters, digits and `:_.@-`, and begins with a letter or a digit");
    }
    if stem.ends_with('@') {
        return Err(
            "is a template without an instance: write what stands behind the `@`, such as `app@8081.service`",
        );
    }
    Ok(())
}

/// A TCP port; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Port(u16);

impl Port {
    /// Makes a port of a number from 1 to 65535.
    pub fn new(number: u16) -> Result<Self, InvalidName> {
        if number == 0 {
            return Err(InvalidName::new("port", "0", "must be 1 to 65535"));
        }
        Ok(Self(number))
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Port {
    type Error = InvalidName;
    fn try_from(number: u16) -> Result<Self, InvalidName> {
        Self::new(number)
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> u16 {
        port.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Port {
    type Err = InvalidName;
    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let number = value
            .parse()
            .map_err(|_| InvalidName::new("port", value, "must be 1 to 65535"))?;
        Self::new(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_harm_a_shell_or_a_path_is_refused() {
        for bad in [
            "", "a b", "a;b", "$(x)", "-rf", "../x", "a..b", "a\nb", "é", "a'b",
        ] {
            assert!(AppName::new(bad).is_err(), "{bad:?}");
            assert!(HostName::new(bad).is_err(), "{bad:?}");
            assert!(RemotePath::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["relative", "/a/../b", "/a//b", "/a b", "/a~b", "/x;y", "/x{y}"] {
            assert!(RemotePath::new(bad).is_err(), "{bad:?}");
        }
        assert!(RemotePath::new("~/zero-down-confs/sokdak-8081.conf").is_ok());
    }

    #[test]
    fn a_pattern_of_jars_has_its_stars_in_the_name_only_and_nothing_for_a_shell() {
        for good in [
            "/srv/zip/*.jar",
            "~/app/step3/zip/app-?.jar",
            "/srv/app.jar",
            "/srv/app-*",
        ] {
            assert!(JarPattern::new(good).is_ok(), "{good:?}");
        }
        for bad in [
            "*.jar",
            "/*.jar",
            "zip/*.jar",
            "/srv/*/x.jar",
            "/srv/../*.jar",
            "/srv/$(id)/*.jar",
            "/srv/[a]*.jar",
            "/srv/a b.jar",
            "/srv/`x`.jar",
            "/srv/*.war",
            "/srv/",
            "/srv/x;*.jar",
            "/srv/{a,b}.jar",
            "/srv/~*.jar",
        ] {
            assert!(JarPattern::new(bad).is_err(), "{bad:?}");
        }
        let pattern = JarPattern::new("/srv/zip/*.jar").unwrap();
        assert_eq!(
            (pattern.folder().as_str(), pattern.file_name()),
            ("/srv/zip", "*.jar")
        );
    }

    #[test]
    fn a_unit_is_a_service_with_its_instance_and_nothing_for_a_shell() {
        for good in ["app.service", "app@8081.service", "a-b_c:1@blue.x.service"] {
            assert!(UnitName::new(good).is_ok(), "{good:?}");
        }
        for bad in [
            "app",
            "app@.service",
            ".service",
            "-app.service",
            "@8081.service",
            "app@8081.socket",
            "a b.service",
            "a/b.service",
            "a*.service",
            "a..b.service",
            "a;b.service",
            "a$b.service",
        ] {
            assert!(UnitName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_switch_is_told_from_those_of_other_runs() {
        let run = |name: &str| RunId::new(name).expect("valid");
        assert_eq!(run("r1").of_switch(1), run("r1"));
        assert_eq!(run("r1").of_switch(2), run("r1.2"));
        for number in [1, 2, 17] {
            assert_eq!(run("r1").of_switch(number).switch_of(&run("r1")), Some(number));
        }
        for other in ["r2", "r11", "r1.x", "r1.1", "r1.02", "r1.2.3", "r"] {
            assert_eq!(run(other).switch_of(&run("r1")), None, "{other}");
        }
    }

    #[test]
    fn a_misspelt_address_is_no_host_name() {
        assert!(Address::new("127.0.01").is_err());
        assert!(Address::new("10.0.0.1").is_ok());
        assert_eq!(Address::new("::1").expect("valid").in_url(), "[::1]");
    }
}
