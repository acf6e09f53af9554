//! Puts the settings of a host together, its bastions included.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{Uid, User};
use tokio::sync::Semaphore;

use crate::model::inventory::{Connection, Inventory};
use crate::model::names::{HostName, Port, UserName};

use super::super::options::{ConnectorOptions, SshConfig};
use super::client_config::{self, ClientConfig, DEFAULT_IDENTITIES, Question};
use super::jump::{self, Jump};
use super::{Identity, NamedBy, Settings, SettingsError};

/// How many `ssh -G` run at once.
const QUESTIONS: usize = 8;

/// A chain of bastions longer than this is a mistake.
const LONGEST_CHAIN: usize = 8;

/// Finds out where hosts are.
#[derive(Debug)]
pub(in super::super) struct Resolver {
    config: SshConfig,
    key: Option<PathBuf>,
    user: Option<String>,
    agent: Option<PathBuf>,
    user_known_hosts: Option<PathBuf>,
    global_known_hosts: Option<Vec<PathBuf>>,
    home: Option<PathBuf>,
    login: Option<String>,
    questions: Semaphore,
}

/// A host that is asked for, and what is said about it besides the configuration.
struct Wanted {
    label: String,
    /// What `ssh` would be called with: this is what `Host` lines of a configuration match.
    name: String,
    connection: Connection,
    /// A chain from a longer `ProxyJump`; it wins over everything.
    jumps: Option<Vec<Jump>>,
}

impl Resolver {
    pub(in super::super) fn new(options: &ConnectorOptions) -> Self {
        let person = User::from_uid(Uid::current()).ok().flatten();
        let environment = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = person.as_ref().map(|person| person.dir.clone());
        let login = person.map(|person| person.name);
        Self {
            config: options.ssh_config.clone(),
            key: options.key.clone(),
            user: options.user.clone(),
            agent: options.agent.clone(),
            user_known_hosts: options.user_known_hosts.clone(),
            global_known_hosts: options.global_known_hosts.clone(),
            home: home.or_else(|| environment("HOME").map(PathBuf::from)),
            login: environment("USER")
                .and_then(|user| user.into_string().ok())
                .or(login),
            questions: Semaphore::new(QUESTIONS),
        }
    }

    /// Finds out where a host of the inventory is.
    pub(in super::super) async fn resolve(
        &self,
        host: &HostName,
        inventory: &Inventory,
    ) -> Result<Settings, SettingsError> {
        let entry = inventory.hosts.get(host);
        let entry = entry.ok_or_else(|| SettingsError::UnknownHost(host.to_string()))?;
        let wanted = Wanted::of_inventory(host.as_str(), &self.of_this_run(&entry.connection)?);
        self.resolve_wanted(wanted, inventory, &mut Vec::new()).await
    }

    /// What the inventory says of a host, with key and user of this run in place of its own.
    fn of_this_run(&self, connection: &Connection) -> Result<Connection, SettingsError> {
        let mut connection = connection.clone();
        if let Some(user) = &self.user {
            let user = UserName::new(user.as_str()).map_err(|_| SettingsError::BadUser(user.clone()))?;
            connection.user = Some(user);
        }
        connection.identity_file = self.key.clone().or(connection.identity_file);
        Ok(connection)
    }

    async fn resolve_wanted(
        &self,
        wanted: Wanted,
        inventory: &Inventory,
        way: &mut Vec<String>,
    ) -> Result<Settings, SettingsError> {
        let given = &wanted.connection;
        let step = format!("{} {:?} {:?}", wanted.name, given.user, given.port);
        let circle = way.contains(&step) || way.len() > LONGEST_CHAIN;
        way.push(step);
        if circle {
            return Err(SettingsError::JumpCircle(wanted.label));
        }
        let config = self.ask(&wanted).await?;
        let jumps = match (&wanted.jumps, &given.proxy_jump, &config.proxy_jump) {
            (Some(chain), _, _) => chain.clone(),
            (None, Some(text), _) | (None, None, Some(text)) => jump::parse(text)?,
            (None, None, None) => match &config.proxy_command {
                Some(command) => return Err(SettingsError::ProxyCommand(command.clone())),
                None => Vec::new(),
            },
        };
        // A bastion inherits the `ProxyJump` of a group, too; it is not behind itself.
        let behind_itself = jumps.iter().any(|jump| wanted.is(jump));
        let jumps = if behind_itself { Vec::new() } else { jumps };
        let via = self.bastion(jumps, inventory, way).await?;
        self.put_together(wanted, config, via)
    }

    async fn ask(&self, wanted: &Wanted) -> Result<ClientConfig, SettingsError> {
        let question = Question {
            host: &wanted.name,
            user: wanted.connection.user.as_ref().map(UserName::as_str),
            port: wanted.connection.port.map(Port::number),
        };
        let _turn = self
            .questions
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let answer = client_config::ask(&question, &self.config, self.home.as_deref()).await?;
        Ok(answer.unwrap_or_default())
    }

    /// The last bastion of a chain leads to the host, and the chain before it leads there.
    async fn bastion(
        &self,
        mut jumps: Vec<Jump>,
        inventory: &Inventory,
        way: &mut Vec<String>,
    ) -> Result<Option<Arc<Settings>>, SettingsError> {
        let Some(last) = jumps.pop() else { return Ok(None) };
        let known = HostName::new(last.host.as_str()).ok();
        let known = known.and_then(|name| inventory.hosts.get(&name));
        let known = known.map(|host| self.of_this_run(&host.connection)).transpose()?;
        let mut wanted = Wanted::of_jump(&last, known);
        if !jumps.is_empty() {
            wanted.jumps = Some(jumps);
        }
        let settings = Box::pin(self.resolve_wanted(wanted, inventory, way)).await?;
        Ok(Some(Arc::new(settings)))
    }

    fn put_together(
        &self,
        wanted: Wanted,
        config: ClientConfig,
        via: Option<Arc<Settings>>,
    ) -> Result<Settings, SettingsError> {
        let given = wanted.connection;
        let user = given
            .user
            .map(String::from)
            .or(config.user)
            // For a bastion of which nobody says more.
            .or_else(|| self.user.clone())
            .or_else(|| self.login.clone());
        let mut settings = Settings {
            host: config.host_name.unwrap_or(wanted.name.clone()),
            port: given.port.map(u16::from).or(config.port).unwrap_or(22),
            user: user.ok_or(SettingsError::NoUser)?,
            identities: Vec::new(),
            identities_only: config.identities_only,
            agent: self.agent.clone(),
            user_known_hosts: Vec::new(),
            global_known_hosts: Vec::new(),
            host_key_alias: given.host_key_alias.or(config.host_key_alias),
            hash_known_hosts: config.hash_known_hosts,
            via,
            label: wanted.label,
        };
        if let Some(agent) = &config.identity_agent {
            settings.agent = self.agent_socket(agent, &settings, &wanted.name)?;
        }
        self.fill_identities(
            &mut settings,
            given.identity_file,
            &config.identity_files,
            &wanted.name,
        )?;
        let (user_files, global_files) = client_config::default_known_hosts(self.home.as_deref());
        let expand = |files: Vec<String>| files.iter().map(|file| self.at_home(file)).collect();
        settings.user_known_hosts = match (given.user_known_hosts_file, &self.user_known_hosts) {
            (Some(file), _) => vec![self.at_home(&file.to_string_lossy())?],
            (None, Some(file)) => vec![file.clone()],
            (None, None) => config.user_known_hosts.map_or(Ok(user_files), expand)?,
        };
        settings.global_known_hosts = match &self.global_known_hosts {
            Some(files) => files.clone(),
            None => config.global_known_hosts.map_or(Ok(global_files), expand)?,
        };
        Ok(settings)
    }

    fn fill_identities(
        &self,
        settings: &mut Settings,
        given: Option<PathBuf>,
        configured: &[String],
        name: &str,
    ) -> Result<(), SettingsError> {
        if let Some(file) = given {
            let path = self.at_home(&file.to_string_lossy())?;
            settings.identities = vec![Identity {
                path,
                named_by: NamedBy::Inventory,
            }];
            settings.identities_only = true;
            return Ok(());
        }
        let own = configured
            .iter()
            .filter(|file| !client_config::is_default_identity(file));
        for file in own {
            let path = self.at_home(&fill_tokens(file, settings, name, self.home.as_deref())?)?;
            settings.identities.push(Identity {
                path,
                named_by: NamedBy::Config,
            });
        }
        if !settings.identities.is_empty() {
            return Ok(());
        }
        if let Some(key) = &self.key {
            settings.identities.push(Identity {
                path: key.clone(),
                named_by: NamedBy::Inventory,
            });
            settings.identities_only = true;
        } else if let Some(home) = &self.home {
            let defaults = DEFAULT_IDENTITIES.iter().map(|file| home.join(".ssh").join(file));
            let defaults = defaults.map(|path| Identity {
                path,
                named_by: NamedBy::Default,
            });
            settings.identities.extend(defaults);
        }
        Ok(())
    }

    /// `IdentityAgent`: a socket, `SSH_AUTH_SOCK`, `none`, or `$VARIABLE`.
    fn agent_socket(
        &self,
        word: &str,
        settings: &Settings,
        name: &str,
    ) -> Result<Option<PathBuf>, SettingsError> {
        match word {
            "none" => Ok(None),
            "SSH_AUTH_SOCK" => Ok(self.agent.clone()),
            _ if word.starts_with('$') => Ok(std::env::var_os(&word[1..]).map(PathBuf::from)),
            _ => {
                let filled = fill_tokens(word, settings, name, self.home.as_deref())?;
                self.at_home(&filled).map(Some)
            }
        }
    }

    fn at_home(&self, path: &str) -> Result<PathBuf, SettingsError> {
        match path.strip_prefix("~/") {
            None => Ok(PathBuf::from(path)),
            Some(rest) => {
                let home = self
                    .home
                    .as_ref()
                    .ok_or_else(|| SettingsError::NoHome(path.to_owned()))?;
                Ok(home.join(rest))
            }
        }
    }
}

impl Wanted {
    fn of_inventory(label: &str, connection: &Connection) -> Self {
        let name = connection.host_name.as_ref().map_or(label, |name| name.as_str());
        Self {
            label: label.to_owned(),
            name: name.to_owned(),
            connection: connection.clone(),
            jumps: None,
        }
    }

    /// Whether a bastion is the host itself.
    fn is(&self, jump: &Jump) -> bool {
        let (host, port) = (jump.host.as_str(), self.connection.port);
        let by_label = self.label == host && (jump.port.is_none() || jump.port == port);
        let number = |port: Option<Port>| port.map_or(22, Port::number);
        by_label || self.name == host && number(jump.port) == number(port)
    }

    /// A bastion that the inventory knows is taken from there; user and port of the jump win.
    fn of_jump(jump: &Jump, known: Option<Connection>) -> Self {
        let mut wanted = Self::of_inventory(jump.host.as_str(), &known.unwrap_or_default());
        if let Some(user) = &jump.user {
            wanted.connection.user = Some(user.clone());
        }
        if let Some(port) = jump.port {
            wanted.connection.port = Some(port);
        }
        wanted
    }
}

/// Fills in the tokens of ssh_config(5), section TOKENS, that need nobody else.
fn fill_tokens(
    text: &str,
    settings: &Settings,
    name: &str,
    home: Option<&Path>,
) -> Result<String, SettingsError> {
    let mut filled = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            filled.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => filled.push('%'),
            Some('d') => filled.push_str(&home.unwrap_or(Path::new("")).to_string_lossy()),
            Some('h') => filled.push_str(&settings.host),
            Some('n') => filled.push_str(name),
            Some('p') => filled.push_str(&settings.port.to_string()),
            Some('r') => filled.push_str(&settings.user),
            Some('u') => filled.push_str(&std::env::var("USER").unwrap_or_default()),
            Some('i') => filled.push_str(&Uid::current().to_string()),
            _ => return Err(SettingsError::Token(text.to_owned())),
        }
    }
    Ok(filled)
}
