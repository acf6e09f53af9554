//! Asks `ssh -G` what the SSH configuration says about a host, and reads the answer.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::super::options::SshConfig;
use super::SettingsError;

/// Reading a configuration takes milliseconds; a `Match exec` in it may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked about. Values that are given here win over the configuration.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) host: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) port: Option<u16>,
}

/// What the configuration says about a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ClientConfig {
    pub(super) host_name: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) identity_files: Vec<String>,
    pub(super) identities_only: bool,
    pub(super) identity_agent: Option<String>,
    pub(super) proxy_jump: Option<String>,
    pub(super) proxy_command: Option<String>,
    pub(super) user_known_hosts: Option<Vec<String>>,
    pub(super) global_known_hosts: Option<Vec<String>>,
    pub(super) host_key_alias: Option<String>,
    pub(super) hash_known_hosts: bool,
}

/// Asks about one host; `None` where nothing is to be read.
pub(super) async fn ask(
    question: &Question<'_>,
    config: &SshConfig,
    home: Option<&Path>,
) -> Result<Option<ClientConfig>, SettingsError> {
    if *config == SshConfig::Ignored {
        return Ok(None);
    }
    let failed = |reason: String| SettingsError::SshClient {
        host: question.host.to_owned(),
        reason,
    };
    let mut command = Command::new("ssh");
    command
        .args(arguments(question, config))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Err(_) => return Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return without_ssh(config, home),
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(words.trim().to_owned()));
    }
    parse(question.host, &String::from_utf8_lossy(&output.stdout)).map(Some)
}

fn arguments(question: &Question<'_>, config: &SshConfig) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["-G".into()];
    if let SshConfig::File(file) = config {
        arguments.extend(["-F".into(), file.into()]);
    }
    if let Some(user) = question.user {
        arguments.extend(["-l".into(), user.into()]);
    }
    if let Some(port) = question.port {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    arguments.extend(["--".into(), question.host.into()]);
    arguments
}

/// Without `ssh` a configuration cannot be read, and passing over it could reach another host.
fn without_ssh(config: &SshConfig, home: Option<&Path>) -> Result<Option<ClientConfig>, SettingsError> {
    let file = match config {
        SshConfig::File(file) => Some(file.clone()),
        _ => home
            .map(|home| home.join(".ssh/config"))
            .filter(|file| file.exists()),
    };
    file.map_or(Ok(None), |file| Err(SettingsError::NoSshClient(file)))
}

fn parse(host: &str, answer: &str) -> Result<ClientConfig, SettingsError> {
    let mut config = ClientConfig::default();
    for line in answer.lines() {
        let Some((key, value)) = line.split_once(' ') else {
            continue;
        };
        let given = || (!value.eq_ignore_ascii_case("none")).then(|| value.to_owned());
        match key.to_ascii_lowercase().as_str() {
            "hostname" => config.host_name = Some(value.to_owned()),
            "user" => config.user = Some(value.to_owned()),
            "port" => {
                let bad = |_| SettingsError::Answer {
                    host: host.to_owned(),
                    line: line.to_owned(),
                };
                config.port = Some(value.parse().map_err(bad)?);
            }
            "identityfile" => config.identity_files.extend(given()),
            "identitiesonly" => config.identities_only = value == "yes",
            "identityagent" => config.identity_agent = Some(value.to_owned()),
            "proxyjump" => config.proxy_jump = given(),
            "proxycommand" => config.proxy_command = given(),
            "userknownhostsfile" => config.user_known_hosts = Some(split_paths(value)),
            "globalknownhostsfile" => config.global_known_hosts = Some(split_paths(value)),
            "hostkeyalias" => config.host_key_alias = given(),
            "hashknownhosts" => config.hash_known_hosts = value == "yes",
            _ => {}
        }
    }
    Ok(config)
}

/// `ssh -G` prints several paths with blanks between and does not quote those within: a word that
/// does not begin like a path goes on where the one before ended.
fn split_paths(value: &str) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for word in value.split(' ') {
        match paths.last_mut() {
            Some(path) if !word.starts_with(['/', '~']) => {
                path.push(' ');
                path.push_str(word);
            }
            _ => paths.push(word.to_owned()),
        }
    }
    paths.retain(|path| !path.eq_ignore_ascii_case("none"));
    paths
}

/// The names that OpenSSH tries by itself and we can read.
pub(super) const DEFAULT_IDENTITIES: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// Whether a configured key file is one of those that OpenSSH lists by itself.
pub(super) fn is_default_identity(file: &str) -> bool {
    file.strip_prefix("~/.ssh/id_").is_some_and(|kind| {
        [
            "rsa",
            "ecdsa",
            "ecdsa_sk",
            "ed25519",
            "ed25519_sk",
            "xmss",
            "dsa",
            "mldsa44_ed25519",
        ]
        .contains(&kind)
    })
}

/// OpenSSH's own places of known hosts.
pub(super) fn default_known_hosts(home: Option<&Path>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let user = home.map(|home| home.join(".ssh")).map_or(Vec::new(), |folder| {
        ["known_hosts", "known_hosts2"]
            .map(|name| folder.join(name))
            .to_vec()
    });
    let global = ["ssh_known_hosts", "ssh_known_hosts2"].map(|name| Path::new("/etc/ssh").join(name));
    (user, global.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_ssh_is_read() {
        let answer = "user bob\nhostname a.example.com\nport 2222\nidentityfile ~/.ssh/k\n\
            identityfile /k2\nidentitiesonly yes\nproxycommand none\nproxyjump u@b:2222,c\n\
            userknownhostsfile /root/.ssh/kh /tmp/with space/kh\nglobalknownhostsfile none\n";
        let config = parse("a", answer).expect("it is read");
        assert_eq!(config.identity_files, ["~/.ssh/k", "/k2"]);
        assert_eq!(
            config.user_known_hosts.expect("given"),
            ["/root/.ssh/kh", "/tmp/with space/kh"]
        );
        assert_eq!(config.global_known_hosts.expect("given"), Vec::<String>::new());
        assert_eq!((config.proxy_command, config.port), (None, Some(2222)));
        assert_eq!(config.proxy_jump.as_deref(), Some("u@b:2222,c"));
        assert!(config.identities_only);
    }
}
