//! Hooks: commands of the user's own at fixed points of a run, with the names that CodeDeploy has for them. The
//! playbook holds them, the planner puts them between its stages, and every host keeps what became of each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::names::{HostName, RunId, UserName};

/// How long what belongs to a hook may go on after TERM, until it gets KILL.
pub const END_GRACE: Duration = Duration::from_secs(5);

/// A point of a run at which hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPoint {
    /// Before the jar goes to any host.
    BeforeInstall,
    /// When every host has the jar.
    AfterInstall,
    /// When the new instances listen.
    ApplicationStart,
    /// When the new instances are healthy.
    ValidateService,
    /// Before nginx is switched for the first time.
    BeforeAllowTraffic,
    /// When the last switch is confirmed everywhere.
    AfterAllowTraffic,
    /// Before the old slot is told to end.
    BeforeStop,
    /// At the end of a way back.
    OnFailure,
}

impl HookPoint {
    /// All of them, in the order of a run.
    pub const ALL: [Self; 8] = [
        Self::BeforeInstall,
        Self::AfterInstall,
        Self::ApplicationStart,
        Self::ValidateService,
        Self::BeforeAllowTraffic,
        Self::AfterAllowTraffic,
        Self::BeforeStop,
        Self::OnFailure,
    ];

    /// The key of the playbook.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeInstall => "before_install",
            Self::AfterInstall => "after_install",
            Self::ApplicationStart => "application_start",
            Self::ValidateService => "validate_service",
            Self::BeforeAllowTraffic => "before_allow_traffic",
            Self::AfterAllowTraffic => "after_allow_traffic",
            Self::BeforeStop => "before_stop",
            Self::OnFailure => "on_failure",
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A hook by its point and its place in the playbook's list there, counted from 1: `validate_service.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId {
    /// When it runs.
    pub point: HookPoint,
    /// Which of those that run then.
    pub number: u32,
}

impl fmt::Display for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.point, self.number)
    }
}

/// The text names no hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no hook's name, such as `validate_service.1`")]
pub struct InvalidHook;

impl FromStr for HookId {
    type Err = InvalidHook;

    fn from_str(text: &str) -> Result<Self, InvalidHook> {
        let (point, number) = text.split_once('.').ok_or(InvalidHook)?;
        let point = HookPoint::ALL.into_iter().find(|it| it.as_str() == point);
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number = number.parse().ok().filter(|_| is_plain);
        Ok(Self {
            point: point.ok_or(InvalidHook)?,
            number: number.ok_or(InvalidHook)?,
        })
    }
}

impl Serialize for HookId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A hook as the playbook says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// Its name.
    pub id: HookId,
    /// What runs.
    pub body: HookBody,
    /// Where.
    #[serde(rename = "on")]
    pub place: HookPlace,
    /// How long it may run.
    #[serde(rename = "timeout_seconds", serialize_with = "super::seconds::serialize")]
    pub timeout: Duration,
    /// As whom, where that is not the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as: Option<UserName>,
    /// Whether it may run again where nobody knows how it ended.
    pub repeats: Repeats,
}

impl Hook {
    /// Which hook it is, whatever its place in the playbook: what runs, where and as whom.
    pub fn digest(&self) -> HookDigest {
        let script = match &self.body {
            HookBody::Command(_) => "",
            HookBody::Script(script) => script.text.as_str(),
        };
        let run_as = self.run_as.as_ref().map(UserName::as_str).unwrap_or_default();
        let line = self.body.command_line();
        let mut hash = Sha256::new();
        for part in [line.as_str(), script, self.place.as_str(), run_as] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        HookDigest(data_encoding::HEXLOWER.encode(&hash.finalize()))
    }
}

/// What tells one hook from another that has taken its name: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookDigest(String);

impl fmt::Display for HookDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HookDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidDigest)
        }
    }
}

/// The text is no hook's digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no digest of a hook")]
pub struct InvalidDigest;

/// What a hook runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HookBody {
    /// A command line for the shell of its host.
    Command(String),
    /// A file of the project.
    Script(HookScript),
}

/// A file of the project that a hook runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookScript {
    /// The file on the controller.
    pub file: PathBuf,
    /// What is in it, which travels to the hosts.
    #[serde(skip)]
    pub text: String,
    /// What follows it on the command line.
    pub arguments: String,
}

impl HookBody {
    /// The command line that the shell gets; a file of the project is its `$0`.
    pub fn command_line(&self) -> String {
        match self {
            Self::Command(line) => line.clone(),
            Self::Script(script) => format!("\"$0\"{}", script.arguments),
        }
    }

    /// The command line as the playbook has it, on one line.
    pub fn shown(&self) -> String {
        let line = match self {
            Self::Command(line) => line.clone(),
            Self::Script(script) => {
                let name = script.file.file_name().unwrap_or_default().to_string_lossy();
                format!("{name}{}", script.arguments)
            }
        };
        line.lines().next().unwrap_or_default().to_owned()
    }
}

/// Where a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HookPlace {
    /// On the controller, in the playbook's folder.
    Controller,
    /// On every WAS host that the point is about.
    Was,
    /// On every nginx host.
    Nginx,
    /// On the first of those WAS hosts.
    First,
}

impl HookPlace {
    /// The word of the playbook.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Was => "was",
            Self::Nginx => "nginx",
            Self::First => "first",
        }
    }
}

/// Whether a hook may run again where nobody knows how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeats {
    /// A person is asked.
    Never,
    /// Twice is as good as once.
    Freely,
}

/// The hooks of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Hooks(Vec<Hook>);

impl Hooks {
    /// These hooks, in their order.
    pub fn new(hooks: Vec<Hook>) -> Self {
        Self(hooks)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Hook> {
        self.0.iter()
    }

    /// Those of a point, in the order in which they run.
    pub fn at(&self, point: HookPoint) -> impl Iterator<Item = &Hook> {
        self.all().filter(move |hook| hook.id.point == point)
    }

    /// The hook of that name.
    pub fn get(&self, id: HookId) -> Option<&Hook> {
        self.all().find(|hook| hook.id == id)
    }

    /// How long a way back may wait for its hooks, each with its end, and for the end of one that still runs.
    pub fn longest_way_back(&self) -> Duration {
        let whole = |hook: &Hook| hook.timeout + END_GRACE;
        let on_failure: Duration = self.at(HookPoint::OnFailure).map(whole).sum();
        if self.0.is_empty() {
            Duration::ZERO
        } else {
            on_failure + END_GRACE
        }
    }
}

/// A hook that is run on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookCall {
    /// The hook.
    #[serde(flatten)]
    pub hook: Hook,
    /// The run that it is known by on the hosts: of one that has legs the whole.
    #[serde(skip)]
    pub run: RunId,
    /// What it finds in its environment.
    pub env: BTreeMap<String, String>,
}

/// What a host knows of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookObserved {
    /// The run to which it belongs.
    pub run: RunId,
    /// The hook.
    pub hook: HookId,
    /// What became of it.
    pub state: HookState,
    /// Which hook had that name when it began; of a record that does not say so, nothing is known.
    #[serde(skip)]
    pub digest: Option<HookDigest>,
}

impl HookObserved {
    /// Whether it may be this hook of the playbook.
    pub fn is(&self, hook: &Hook) -> bool {
        self.digest.as_ref().is_none_or(|digest| *digest == hook.digest())
    }
}

/// What became of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HookState {
    /// It began, and nobody wrote down how it ended; or it was ended before it was through.
    Unknown,
    /// It runs.
    Running,
    /// It runs longer than it may, and nobody is there who would end it.
    Overdue,
    /// It ended well.
    Done,
    /// It did not.
    Failed,
}

impl HookState {
    /// Whether something of it runs.
    pub fn runs(self) -> bool {
        matches!(self, Self::Running | Self::Overdue)
    }
}

/// What a person says of a hook of which nobody knows how it ended, or of one that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookWord {
    /// The hook.
    pub hook: HookId,
    /// On which host; on every one where it is absent.
    pub host: Option<HostName>,
    /// What they say.
    pub recall: Recall,
}

/// What is to become of a hook that began and of which nobody knows how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// Nothing: a person is asked.
    Ask,
    /// It counts as done.
    Done,
    /// It runs again.
    Again,
}

/// What a person says of a hook on a host.
pub fn recall(words: &[HookWord], hook: HookId, host: &HostName) -> Recall {
    let meant = |word: &&HookWord| word.hook == hook && word.host.as_ref().is_none_or(|it| it == host);
    words.iter().find(meant).map_or(Recall::Ask, |word| word.recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting(point: HookPoint, number: u32, seconds: u64) -> Hook {
        Hook {
            id: HookId { point, number },
            body: HookBody::Command("true".to_owned()),
            place: HookPlace::Was,
            timeout: Duration::from_secs(seconds),
            run_as: None,
            repeats: Repeats::Never,
        }
    }

    #[test]
    fn a_way_back_has_time_for_the_end_of_each_of_its_hooks_and_of_one_that_runs() {
        let way_back = |hooks| Hooks::new(hooks).longest_way_back();
        assert_eq!(way_back(Vec::new()), Duration::ZERO);
        let before = lasting(HookPoint::BeforeStop, 1, 100);
        assert_eq!(way_back(vec![before.clone()]), END_GRACE);
        let last = [1, 2].map(|number| lasting(HookPoint::OnFailure, number, 30));
        let all = [vec![before], last.to_vec()].concat();
        assert_eq!(way_back(all), Duration::from_secs(60) + END_GRACE * 3);
    }

    #[test]
    fn a_hook_is_another_where_anything_differs_that_it_does() {
        let hook = lasting(HookPoint::BeforeStop, 1, 5);
        let is = |hook: &Hook| hook.digest();
        let moved = lasting(HookPoint::AfterInstall, 2, 60);
        assert_eq!(is(&hook), is(&moved));
        assert_eq!(is(&hook).to_string().parse(), Ok(is(&hook)));
        let script = |text: &str| Hook {
            body: HookBody::Script(HookScript {
                file: "a.sh".into(),
                text: text.to_owned(),
                arguments: String::new(),
            }),
            ..hook.clone()
        };
        let others = [
            Hook {
                body: HookBody::Command("false".to_owned()),
                ..hook.clone()
            },
            Hook {
                place: HookPlace::First,
                ..hook.clone()
            },
            Hook {
                run_as: Some(UserName::new("app").expect("a name")),
                ..hook.clone()
            },
            script("one"),
            script("two"),
        ];
        for (number, other) in others.iter().enumerate() {
            assert_ne!(is(&hook), is(other));
            assert!(others[..number].iter().all(|it| is(it) != is(other)));
        }
        assert_eq!("0f".parse::<HookDigest>(), Err(InvalidDigest));
    }

    #[test]
    fn a_hook_is_known_by_its_name_again_and_nothing_else_is_one() {
        for point in HookPoint::ALL {
            let id = HookId { point, number: 12 };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in [
            "",
            "validate_service",
            "validate_service.",
            "validate_service.0",
            "validate_service.01",
        ] {
            assert_eq!(text.parse::<HookId>(), Err(InvalidHook), "{text}");
        }
        for text in [
            "validate.1",
            "before_stop.+1",
            "before_stop.1.1",
            "before_stop.99999999999",
        ] {
            assert_eq!(text.parse::<HookId>(), Err(InvalidHook), "{text}");
        }
    }
}
