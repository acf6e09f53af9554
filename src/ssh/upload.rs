//! A file of the controller into a command's standard input, with bounded memory and progress.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use russh::ChannelWriteHalf;
use russh::client::Msg;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::exec::{ExecError, ExecOutput, NotSent};
use super::running::{Deadline, Run};
use super::session::Session;

/// How much is read from the file at once. Two of these and the server's window (2 MiB with OpenSSH)
/// are all the memory that an upload needs.
const CHUNK_BYTES: usize = 256 * 1024;

/// How much goes out between two signs of progress; the largest packet that OpenSSH takes.
const PIECE_BYTES: usize = 32 * 1024;

/// A file to upload.
#[derive(Debug, Clone)]
pub struct UploadRequest {
    /// The command line that reads the file from its standard input.
    pub command: String,
    /// The file on the controller.
    pub source: PathBuf,
    /// How long it is; another length is an error.
    pub size_bytes: u64,
    /// How long nothing may move.
    pub stall: Duration,
    /// How long everything may take, the end of the command included.
    pub deadline: Duration,
    /// How many bytes of each output stream are kept.
    pub limit_bytes: usize,
}

impl Session {
    /// Streams a file into a command's standard input, and tells how many bytes the server has made
    /// room for so far. A command that ends early ends the upload: its exit status says why.
    pub async fn upload(
        &self,
        request: UploadRequest,
        mut progress: impl FnMut(u64),
    ) -> Result<ExecOutput, ExecError> {
        let source = open(&request)
            .await
            .map_err(|error| ExecError::NotSent(NotSent::Source(error)))?;
        let deadline = Deadline::after(request.deadline);
        let mut channel = self.channel(deadline).await?;
        let feed = Feed {
            write: Arc::clone(&channel.write),
            source,
            size_bytes: request.size_bytes,
            stall: request.stall,
        };
        let run = Run {
            session: self,
            deadline,
            limit_bytes: request.limit_bytes,
        };
        run.command(
            &mut channel,
            request.command,
            feed.stream(&mut progress),
            &mut |_| {},
        )
        .await
    }
}

async fn open(request: &UploadRequest) -> Result<File, String> {
    let file = File::open(&request.source)
        .await
        .map_err(|error| error.to_string())?;
    let length = file.metadata().await.map_err(|error| error.to_string())?.len();
    if length == request.size_bytes {
        return Ok(file);
    }
    Err(format!(
        "it has {length} bytes and should have {}",
        request.size_bytes
    ))
}

struct Feed {
    write: Arc<ChannelWriteHalf<Msg>>,
    source: File,
    size_bytes: u64,
    stall: Duration,
}

impl Feed {
    async fn stream(mut self, progress: &mut dyn FnMut(u64)) -> Result<(), ExecError> {
        let (mut sent_bytes, mut buffer) = (0, BytesMut::new());
        while sent_bytes < self.size_bytes {
            let left = usize::try_from(self.size_bytes - sent_bytes).unwrap_or(usize::MAX);
            buffer.reserve(CHUNK_BYTES.min(left));
            let mut some = (&mut self.source).take(left as u64);
            if some.read_buf(&mut buffer).await.map_err(ExecError::Source)? == 0 {
                return Err(ExecError::Source(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let mut chunk = buffer.split().freeze();
            while !chunk.is_empty() {
                let piece = chunk.split_to(PIECE_BYTES.min(chunk.len()));
                let length = piece.len() as u64;
                let stalled = |_| ExecError::Stalled {
                    sent_bytes,
                    after: self.stall,
                };
                let sent = timeout(self.stall, self.write.data_bytes(piece));
                if sent.await.map_err(stalled)?.is_err() {
                    // The connection is gone; what the channel says about it counts.
                    return Ok(());
                }
                sent_bytes += length;
                progress(sent_bytes);
            }
        }
        let _ = self.write.eof().await;
        Ok(())
    }
}
