//! One command: a shell in the host's folder, its streams on the channel, its exit status at once
//! when it ends, and the channel's end when its output has ended as well.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use super::SshServerOptions;

pub(super) fn spawn(
    command: &[u8],
    options: &SshServerOptions,
    ends: Option<(SocketAddr, SocketAddr)>,
) -> io::Result<Child> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
    let user = user.ok().flatten().map_or_else(String::new, |user| user.name);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(OsStr::from_bytes(command))
        .current_dir(&options.home)
        .env_clear()
        .env("HOME", &options.home)
        .env("USER", &user)
        .env("LOGNAME", &user)
        .env("SHELL", "/bin/sh")
        .env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"))
        .envs(&options.environment)
        // A signal from the terminal is for the one who typed it and not for the hosts.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some((client, server)) = ends {
        let connection = [client, server].map(|end| format!("{} {}", end.ip(), end.port()));
        shell.env("SSH_CONNECTION", connection.join(" "));
    }
    shell.spawn()
}

pub(super) async fn attend(channel: Channel<Msg>, mut child: Child) {
    let (input, output) = channel.split();
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let mut out = output.make_writer();
    let mut err = output.make_writer_ext(Some(1));
    let pumps = async {
        tokio::join!(
            async {
                if let Some(mut stdout) = stdout {
                    let _ = tokio::io::copy(&mut stdout, &mut out).await;
                }
            },
            async {
                if let Some(mut stderr) = stderr {
                    let _ = tokio::io::copy(&mut stderr, &mut err).await;
                }
            },
        );
    };
    let status = async {
        if let Ok(status) = child.wait().await {
            let code = status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal));
            let code = code.and_then(|code| u32::try_from(code).ok());
            let _ = output.exit_status(code.unwrap_or(255)).await;
        }
    };
    let served = async {
        tokio::join!(pumps, status);
    };
    tokio::select! {
        () = served => {}
        // Without a client nobody reads: closed pipes tell the command so, as with sshd.
        () = feed(input, stdin) => {}
    }
    let _ = output.eof().await;
    let _ = output.close().await;
}

/// Passes on what the client sends, and comes back when the client is gone.
async fn feed(mut input: ChannelReadHalf, mut stdin: Option<ChildStdin>) {
    while let Some(message) = input.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(pipe) = &mut stdin
                    && pipe.write_all(&data).await.is_err()
                {
                    stdin = None;
                }
            }
            ChannelMsg::Eof => stdin = None,
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}
