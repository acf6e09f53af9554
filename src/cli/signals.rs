//! The first signal turns a run around; the second ends the process at once.

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::watch;

use crate::engine::context::Interrupt;
use crate::model::outcome::{Exit, Signal};

/// Hears signals while a future runs. The first is passed on; at the second, `leave` says what to
/// print and the process ends with the signal's code.
pub(super) async fn hearing<T>(
    run: impl AsyncFnOnce(Interrupt) -> T,
    leave: impl Fn(),
) -> std::io::Result<T> {
    let mut streams = Streams {
        hangup: signal(SignalKind::hangup())?,
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    };
    let (sender, receiver) = watch::channel(None);
    let running = run(Interrupt::new(receiver));
    tokio::pin!(running);
    let mut heard = false;
    loop {
        let signal = tokio::select! {
            biased;
            ended = &mut running => return Ok(ended),
            signal = streams.next() => signal,
        };
        if heard {
            leave();
            std::process::exit(i32::from(Exit::Signalled(signal).code()));
        }
        heard = true;
        let _ = sender.send(Some(signal));
    }
}

struct Streams {
    hangup: Stream,
    interrupt: Stream,
    terminate: Stream,
}

impl Streams {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Hangup,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}
