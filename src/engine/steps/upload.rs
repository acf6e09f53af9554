//! The jar to one host: sent, or taken from where a deploy agent has put it, unless it is there already with
//! the right digest.

use std::path::Path;

use crate::engine::context::Context;
use crate::engine::crew::{READS_A_JAR, answer, passed};
use crate::engine::fleet::Host;
use crate::model::event::{Event, Note};
use crate::model::failure::Failure;
use crate::model::names::{HostName, RemotePath};
use crate::model::release::Release;
use crate::remote::answer::PutAnswer;
use crate::remote::command::{Command, Digest, Put, Take};

/// Looks whether the release that a host has on record is whole.
pub(super) async fn is_there<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    release: &Release,
) -> Result<Option<Note>, Failure> {
    let command = Command::Digest(Digest {
        release: release.id.clone(),
    });
    let digest = answer!(context.crew.call(host, command).await?, Digest)?;
    if digest.as_deref() == Some(release.sha256.as_str()) {
        return Ok(Some(Note::AlreadyThere));
    }
    let found = digest.unwrap_or_else(|| "no jar".to_owned());
    let reason = format!(
        "release {} is damaged: its jar should have sha256 {}, and has {found}",
        release.id, release.sha256
    );
    Err(Failure::UploadFailed { reason })
}

/// Copies the jar that a deploy agent has put on the host.
pub(super) async fn take<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    release: &Release,
    from: &RemotePath,
) -> Result<Option<Note>, Failure> {
    let command = Command::Take(Take {
        put: put(context, host, release),
        from: from.clone(),
    });
    let answered = context.crew.call_within(host, command, READS_A_JAR).await?;
    match passed(answer!(answered, Take)?)? {
        PutAnswer::Stored => Ok(None),
        PutAnswer::Mismatch { sha256, .. } => {
            let reason = format!(
                "{from} is not what it was when it was looked at: it should have sha256 {}, and has {sha256}",
                release.sha256
            );
            Err(Failure::UploadFailed { reason })
        }
        PutAnswer::WriteFailed { reason } => Err(Failure::UploadFailed { reason }),
    }
}

/// Sends the controller's jar.
pub(super) async fn send<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    release: &Release,
    jar: Option<&Path>,
) -> Result<Option<Note>, Failure> {
    let Some(source) = jar else {
        return Err(Failure::UploadFailed {
            reason: "the release is not on this host, and no jar was given".to_owned(),
        });
    };
    let mut progress = |sent_bytes| {
        context.tell(Event::Uploaded {
            host: host.clone(),
            sent_bytes,
            total_bytes: release.size_bytes,
        });
    };
    let put = put(context, host, release);
    let answered = context.crew.put(host, put, source, &mut progress).await?;
    match passed(answer!(answered, Put)?)? {
        PutAnswer::Stored => Ok(None),
        PutAnswer::Mismatch { size_bytes, sha256 } => Err(Failure::UploadMismatch { size_bytes, sha256 }),
        PutAnswer::WriteFailed { reason } => Err(Failure::UploadFailed { reason }),
    }
}

fn put<H: Host>(context: &Context<'_, H>, host: &HostName, release: &Release) -> Put {
    Put {
        fence: context.crew.fence(host),
        release: release.id.clone(),
        sha256: release.sha256.clone(),
        size_bytes: release.size_bytes,
        jar_name: release.jar_name.clone(),
    }
}
