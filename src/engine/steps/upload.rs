//! The jar to one host, unless it is there already with the right digest.

use std::path::Path;

use crate::engine::context::Context;
use crate::engine::crew::{answer, passed};
use crate::engine::fleet::Host;
use crate::model::event::{Event, Note};
use crate::model::failure::Failure;
use crate::model::names::HostName;
use crate::model::release::Release;
use crate::remote::answer::PutAnswer;
use crate::remote::command::{Command, Digest, Put};

pub(super) async fn upload<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    release: &Release,
    on_record: bool,
    jar: Option<&Path>,
) -> Result<Option<Note>, Failure> {
    if on_record {
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
        return Err(Failure::UploadFailed { reason });
    }
    let Some(source) = jar else {
        return Err(Failure::UploadFailed {
            reason: "the release is not on this host, and no jar was given".to_owned(),
        });
    };
    let put = Put {
        fence: context.crew.fence(host),
        release: release.id.clone(),
        sha256: release.sha256.clone(),
        size_bytes: release.size_bytes,
        jar_name: release.jar_name.clone(),
    };
    let mut progress = |sent_bytes| {
        context.tell(Event::Uploaded {
            host: host.clone(),
            sent_bytes,
            total_bytes: release.size_bytes,
        });
    };
    let answered = context.crew.put(host, put, source, &mut progress).await?;
    match passed(answer!(answered, Put)?)? {
        PutAnswer::Stored => Ok(None),
        PutAnswer::Mismatch { size_bytes, sha256 } => Err(Failure::UploadMismatch { size_bytes, sha256 }),
        PutAnswer::WriteFailed { reason } => Err(Failure::UploadFailed { reason }),
    }
}
