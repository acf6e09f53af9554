//! The part of the vocabulary that is about nginx's files, its reloads and its watches.

use std::time::Duration;

use crate::model::lock::Fence;
use crate::model::names::{RemotePath, RunId};
use crate::model::playbook::ReloadWay;
use crate::model::process::ProcessIdentity;
use crate::model::token::TokenId;

/// The nginx of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NginxPlace {
    /// The nginx program.
    pub binary: String,
    /// The main configuration file.
    pub conf: RemotePath,
    /// The main error log, where it is a file.
    pub error_log: Option<RemotePath>,
    /// How it is told to reload.
    pub reload: ReloadWay,
    /// The running master, which must be the same before and after.
    pub master: ProcessIdentity,
}

/// What a switch puts where. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The name that nginx includes.
    pub entry: RemotePath,
    /// What is written: the bytes themselves, or a link.
    pub content: PlacedContent,
    /// Where it is written: the entry, or the file that the entry's link leads to (the link stays).
    pub target: RemotePath,
    /// The file of an earlier tool that is renamed to the entry first.
    pub takes_over: Option<RemotePath>,
    /// SHA-256 of what nginx reads at the entry (or at `takes_over`) now, as it was observed;
    /// `None` where nothing is. Anything else there at the commit is refused.
    pub expected_sha256: Option<String>,
}

/// What a switch writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacedContent {
    /// A regular file with these bytes; owner and mode of the file that it replaces, or root's 0644.
    File(String),
    /// A symbolic link to this path.
    Link(RemotePath),
}

/// See [`super::command::Command::Prepare`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepare {
    /// The fence.
    pub fence: Fence,
    /// The run whose home is saved, unless it was saved before.
    pub home: RunId,
    /// The nginx.
    pub nginx: NginxPlace,
    /// What will be put in place.
    pub placement: Placement,
    /// The bytes that nginx would read at the entry after the commit.
    pub candidate: String,
    /// Upstreams that are put in place once the test is passed: nothing names the new one yet.
    pub upstreams: Option<Upstreams>,
    /// The main file with its include led to the candidate; `{candidate}` stands for its path.
    pub shadow: String,
}

/// See [`Prepare`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstreams {
    /// The file.
    pub file: RemotePath,
    /// The digest of what was observed there; `None` where nothing was.
    pub expected_sha256: Option<String>,
    /// What will be there.
    pub text: String,
}

/// See [`super::command::Command::Commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The fence. Its epoch and number name the token that is armed.
    pub fence: Fence,
    /// The run whose home the watch puts back.
    pub home: RunId,
    /// When the watch goes home by itself, from now.
    pub watch: Duration,
    /// The nginx.
    pub nginx: NginxPlace,
    /// What is put in place; prepared before.
    pub placement: Placement,
    /// How long fresh workers may take to appear and old ones to step back.
    pub deadline: Duration,
}

/// See [`super::command::Command::Arm`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    /// The fence. Its epoch and number name the token that is armed.
    pub fence: Fence,
    /// The run whose home the watch puts back.
    pub home: RunId,
    /// The nginx.
    pub nginx: NginxPlace,
    /// When the watch goes home by itself, from now.
    pub watch: Duration,
    /// How long fresh workers may take to appear when it does.
    pub deadline: Duration,
}

/// See [`super::command::Command::Confirm`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// The fence.
    pub fence: Fence,
    /// Which token.
    pub token: TokenId,
}

/// See [`super::command::Command::Revert`]. Where home came from is on the host since the prepare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    /// The fence.
    pub fence: Fence,
    /// The run whose home is put back.
    pub home: RunId,
    /// The nginx.
    pub nginx: NginxPlace,
    /// How long fresh workers may take to appear and old ones to step back.
    pub deadline: Duration,
}

/// See [`super::command::Command::CleanNginx`]. Where a token is armed, nothing is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanNginx {
    /// The fence.
    pub fence: Fence,
    /// The name that nginx includes.
    pub entry: RemotePath,
    /// Where a candidate was written.
    pub target: RemotePath,
    /// The main configuration file.
    pub conf: RemotePath,
}

/// See [`super::command::Command::AwaitWorkers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitWorkers {
    /// The master.
    pub master: ProcessIdentity,
    /// When to stop waiting.
    pub deadline: Duration,
}
