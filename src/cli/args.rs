//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::model::hook::{HookId, InvalidHook};
use crate::model::names::{AppName, HostName, ReleaseId, SlotName, UserName};
use crate::report::output::ColorChoice;
use crate::report::text::advice::Given;

use super::commands::init::{Hosts, Ports, Style};

/// Deploys a jar to plain servers over SSH without losing a request.
#[derive(Debug, Parser)]
#[command(name = "nonstop", version, about, max_term_width = 100, propagate_version = true, after_help = EXIT_CODES)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub(super) common: Common,
}

impl Args {
    /// Parses the command line of this process.
    ///
    /// Returns what is to be printed where it makes no sense, or asks for help.
    pub(super) fn read() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        let mut args =
            Self::from_arg_matches(&matches).map_err(|error| error.format(&mut Self::command()))?;
        let by_hand = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
        let common = &args.common;
        let files = [
            ("inventory", "-i", &common.inventory),
            ("playbook", "-p", &common.playbook),
        ];
        let files = files.into_iter().filter(|(name, ..)| by_hand(name));
        let words: Vec<String> = files
            .flat_map(|(_, option, file)| [option.to_owned(), file.display().to_string()])
            .collect();
        args.common.given = Given::new(words.iter().map(String::as_str));
        Ok(args)
    }
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 a bug · 2 usage · 3 inventory or playbook refused · \
4 refused before any change · 5 locked by somebody else · 6 failed before the switch, traffic is where it was · \
7 rolled back after the switch · 8 MIXED, a person is needed · 129/130/143 interrupted";

/// Options of every command.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Common {
    /// The inventory: Ansible's YAML, or the output of `ansible-inventory --list`.
    #[arg(
        short,
        long,
        global = true,
        env = "NONSTOP_INVENTORY",
        default_value = "inventory.yml",
        value_name = "FILE"
    )]
    pub(super) inventory: PathBuf,
    /// The playbook.
    #[arg(
        short,
        long,
        global = true,
        env = "NONSTOP_PLAYBOOK",
        default_value = "playbook.yml",
        value_name = "FILE"
    )]
    pub(super) playbook: PathBuf,
    /// Which of both were given by hand.
    #[arg(skip)]
    pub(super) given: Given,
    /// How many SSH handshakes may run at once.
    #[arg(long, global = true, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) forks: u16,
    /// What to do with a host that known_hosts does not know; a changed key is always refused.
    #[arg(long, global = true, value_enum, default_value_t = HostKey::Strict, value_name = "POLICY")]
    pub(super) host_key: HostKey,
    /// The ssh_config file to use in place of the standard ones; `none` for none.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ssh_config: Option<String>,
    /// When to use colours (NO_COLOR is honoured).
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(super) color: ColorChoice,
    /// Say more: -v what is done, -vv every command.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Write the log of -v there and not to standard error.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) log_file: Option<PathBuf>,
    /// Print the answer as JSON on standard output (status, plan, doctor, check, history; events of a run).
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Look only at hosts that match (reading commands only).
    #[arg(long, global = true, value_name = "PATTERN")]
    pub(super) limit: Option<String>,
}

/// What to do with an unknown host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum HostKey {
    /// Refuse it.
    Strict,
    /// Record its key and go on.
    AcceptNew,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Bring a jar to every WAS host and switch every nginx to it.
    Deploy(Deploy),
    /// Show what `deploy` would do; change nothing.
    Plan(Plan),
    /// Go back to the release before the live one, or take back a run that waits.
    Rollback(Rollback),
    /// Let a run go on that waits, from any machine.
    Promote(Promote),
    /// Finish a run that was interrupted, forward or back, from any machine.
    Resume(Resume),
    /// Prove that going back works: to the release before the live one and forward again.
    Drill(Drill),
    /// Show what runs where.
    Status(Leaving),
    /// Write an inventory and a playbook to start from.
    Init(Init),
    /// Read inventory and playbook, offline.
    Check,
    /// Look at every host and list everything that would stand in the way.
    Doctor(Leaving),
    /// Take the lock of every host and keep it, so that nobody deploys.
    Lock(Lock),
    /// Give back the locks that you took with `lock` on this machine.
    Unlock(Unlock),
    /// Show the end of the live application's logs.
    Logs(Logs),
    /// Show what was done to the hosts, run by run: their audit trails, merged.
    History(History),
    /// Watch a deploy, a bad deploy and a rollback on a fleet inside this machine.
    Demo(Demo),
    /// The small application of the demo.
    #[command(hide = true, disable_help_flag = true)]
    DemoApp(DemoApp),
}

impl Command {
    /// The options of a command that changes the fleet.
    pub(super) fn changing(&self) -> Option<&Changing> {
        match self {
            Self::Deploy(deploy) => Some(&deploy.changing),
            Self::Rollback(rollback) => Some(&rollback.changing),
            Self::Promote(promote) => Some(&promote.changing),
            Self::Resume(resume) => Some(&resume.changing),
            _ => None,
        }
    }
}

/// Options of commands that change the fleet.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Changing {
    /// How long to wait while somebody else holds the lock, such as `5m`.
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "TIME")]
    pub(super) lock_wait: Duration,
    /// How long the whole run may take, its way back included, such as `55s`: early enough before, it turns around
    /// as at a signal, and ends with 6 or 7. Too short for the playbook's own waits is refused.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) deadline: Option<Duration>,
    /// Write every event as a JSON line there.
    #[arg(long, value_name = "FILE")]
    pub(super) events: Option<PathBuf>,
    /// Write a JUnit report there: a suite for each host, a case for each phase. It is there whatever becomes
    /// of the run.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Hosts to leave out.
    #[command(flatten)]
    pub(super) leaving: Leaving,
    /// Requests all the while.
    #[command(flatten)]
    pub(super) probing: Probing,
}

/// Requests that go on while a fleet is changed, to count those that fail.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Probing {
    /// Send requests there all the while, from this machine, and count those that fail: any answer but 2xx and
    /// 3xx, or none within 10 s.
    #[arg(long, value_name = "URL")]
    pub(super) probe: Option<String>,
    /// How many a second.
    #[arg(long, default_value_t = 10, requires = "probe", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(super) probe_rate: u32,
}

/// See [`Command::Drill`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Drill {
    /// Show how earlier drills went, and warn where it gets worse; change nothing.
    #[arg(long, conflicts_with_all = ["probe", "without", "deadline"])]
    pub(super) history: bool,
    /// Say nothing unless something is wrong: for cron.
    #[arg(long)]
    pub(super) quiet: bool,
    /// How long to wait while somebody else holds the lock, such as `5m`.
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "TIME")]
    pub(super) lock_wait: Duration,
    /// How long both ways may take, the end on one release included, such as `10m`: a way back that is not through
    /// while there is time for a way forward as long turns around. Too short for the playbook's own waits is refused.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) deadline: Option<Duration>,
    /// Requests all the while.
    #[command(flatten)]
    pub(super) probing: Probing,
    /// Hosts to leave out.
    #[command(flatten)]
    pub(super) leaving: Leaving,
}

/// Hosts to leave out.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Leaving {
    /// Leave this host out, for it is gone (repeatable). A WAS host leaves every routing; of an nginx host
    /// you say with this that it carries no traffic.
    #[arg(long, value_name = "HOST")]
    pub(super) without: Vec<HostName>,
}

/// See [`Command::Deploy`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Deploy {
    /// This jar, and not the newest that the playbook's `artifact` matches.
    #[arg(long, value_name = "FILE")]
    pub(super) jar: Option<PathBuf>,
    /// Options of commands that change the fleet.
    #[command(flatten)]
    pub(super) changing: Changing,
}

/// See [`Command::Plan`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Plan {
    /// This jar, and not the newest that the playbook's `artifact` matches.
    #[arg(long, value_name = "FILE")]
    pub(super) jar: Option<PathBuf>,
    /// Hosts to leave out.
    #[command(flatten)]
    pub(super) leaving: Leaving,
}

/// See [`Command::Rollback`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Rollback {
    /// This release, and not the one before the live one (see `status`).
    #[arg(long, value_name = "RELEASE")]
    pub(super) to: Option<ReleaseId>,
    /// Options of commands that change the fleet.
    #[command(flatten)]
    pub(super) changing: Changing,
}

/// See [`Command::Promote`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Promote {
    /// To its end, without waiting at any other step.
    #[arg(long)]
    pub(super) full: bool,
    /// Options of commands that change the fleet.
    #[command(flatten)]
    pub(super) changing: Changing,
}

/// See [`Command::Resume`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Resume {
    /// Bring every nginx host to this slot, where they disagree and no run is left to finish; shows what it
    /// would do, and asks.
    #[arg(long, value_name = "SLOT")]
    pub(super) to: Option<SlotName>,
    /// Do not ask.
    #[arg(long, requires = "to")]
    pub(super) yes: bool,
    /// This hook counts as done, where it began and nobody knows how it ended: HOOK, or HOOK@HOST for one host
    /// (repeatable).
    #[arg(long, value_name = "HOOK", conflicts_with = "to")]
    pub(super) hook_done: Vec<HookAt>,
    /// This hook runs again, where it began and nobody knows how it ended (repeatable).
    #[arg(long, value_name = "HOOK", conflicts_with = "to")]
    pub(super) hook_again: Vec<HookAt>,
    /// Options of commands that change the fleet.
    #[command(flatten)]
    pub(super) changing: Changing,
}

/// A hook, and perhaps one host: `validate_service.1@was-1`.
#[derive(Debug, Clone)]
pub(super) struct HookAt {
    /// The hook.
    pub(super) hook: HookId,
    /// The host; every one where it is absent.
    pub(super) host: Option<HostName>,
}

impl FromStr for HookAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (hook, host) = match text.split_once('@') {
            Some((hook, host)) => (hook, Some(host)),
            None => (text, None),
        };
        let host = host.map(HostName::new).transpose();
        Ok(Self {
            hook: hook.parse().map_err(|error: InvalidHook| error.to_string())?,
            host: host.map_err(|error| error.to_string())?,
        })
    }
}

/// See [`Command::Lock`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Lock {
    /// Why, for those who meet the lock.
    #[arg(long, value_name = "TEXT")]
    pub(super) message: Option<String>,
}

/// See [`Command::Unlock`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Unlock {
    /// Break the lock of somebody else; what they are doing is cut off in the middle.
    #[arg(long)]
    pub(super) force: bool,
}

/// See [`Command::Logs`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Logs {
    /// How many lines of each log.
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) lines: u32,
    /// The slot; the live one where it is absent.
    #[arg(long, value_name = "SLOT")]
    pub(super) slot: Option<SlotName>,
    /// Only this host.
    #[arg(long, value_name = "HOST")]
    pub(super) host: Option<HostName>,
}

/// See [`Command::History`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct History {
    /// Only this run; the beginning of its name is enough.
    #[arg(long, value_name = "ID")]
    pub(super) run: Option<String>,
    /// How many runs, the newest last.
    #[arg(short = 'n', long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) runs: u32,
}

/// See [`Command::Init`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Init {
    /// How nginx is told; asks nothing, and takes options and defaults.
    #[arg(long, value_enum, value_name = "STYLE")]
    pub(super) style: Option<Style>,
    /// The application's name; the folder's where it is absent.
    #[arg(long, value_name = "NAME")]
    pub(super) app: Option<AppName>,
    /// The hosts that run it, such as `was-1,was-2`.
    #[arg(long, value_name = "HOSTS")]
    pub(super) was: Option<Hosts>,
    /// The nginx hosts in front of them.
    #[arg(long, value_name = "HOSTS")]
    pub(super) nginx: Option<Hosts>,
    /// The login user on all hosts.
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<UserName>,
    /// The ports of the two slots, such as `8080,8081`.
    #[arg(long, value_name = "PORTS")]
    pub(super) ports: Option<Ports>,
    /// Where the build leaves the jar: a glob on this machine.
    #[arg(long, value_name = "GLOB")]
    pub(super) artifact: Option<String>,
    /// The name that users type.
    #[arg(long, value_name = "NAME")]
    pub(super) server_name: Option<String>,
}

/// See [`Command::Demo`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Demo {
    /// Deploy this Spring Boot jar in place of the built-in application (needs `java`).
    #[arg(long, value_name = "FILE")]
    pub(super) jar: Option<PathBuf>,
}

/// See [`Command::DemoApp`].
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct DemoApp {
    /// What `java` would be given.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) words: Vec<String>,
}

/// The longest that anybody waits: more than a year is a slip, and some of that no clock can count.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST => Err("is longer than a year".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}
