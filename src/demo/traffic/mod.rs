//! A stream of requests that counts what is lost. It runs on a thread of its own, so that nothing
//! that is measured can disturb the measurement. Its clients behave as HTTP libraries do: a
//! kept-alive connection that was closed before any byte of an answer is retried once on a new one,
//! and such retries are counted apart.

mod client;
mod generator;
mod summary;

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use summary::{Counts, FailureExample, Latency, Summary};

/// Which requests are sent, and where to.
#[derive(Debug, Clone)]
pub struct TrafficOptions {
    /// The listener.
    pub address: SocketAddr,
    /// The `Host` header.
    pub host_header: String,
    /// How many requests are begun in a second.
    pub requests_per_second: u32,
    /// What is asked for with GET. The answer of `/version` is counted by version.
    pub get_path: String,
    /// Where every second request posts a body to; an answer that is not the body is a failure.
    /// Without it all requests are GET.
    pub echo_path: Option<String>,
    /// How many connections are kept alive; half of the requests use them, in turn, and the other
    /// half open one each.
    pub kept_alive: usize,
    /// When a request without an answer counts as failed.
    pub deadline: Duration,
}

impl TrafficOptions {
    /// A hundred requests a second to the demo's application or the test fleet's.
    pub fn new(address: SocketAddr, host_header: impl Into<String>) -> Self {
        Self {
            address,
            host_header: host_header.into(),
            requests_per_second: 100,
            get_path: "/version".to_owned(),
            echo_path: Some("/echo".to_owned()),
            kept_alive: 8,
            deadline: Duration::from_secs(30),
        }
    }
}

/// A running stream of requests. Dropping it ends the stream.
#[derive(Debug)]
pub struct Traffic {
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<Summary>>,
}

/// What the thread can be asked.
#[derive(Debug)]
enum Order {
    Count(oneshot::Sender<Counts>),
    Stop,
}

impl Traffic {
    /// Begins to send requests.
    pub fn start(options: TrafficOptions) -> std::io::Result<Self> {
        let (orders, received) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("traffic".to_owned())
            .spawn(move || {
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, generator::generate(options, received))
            })?;
        Ok(Self {
            orders,
            thread: Some(thread),
        })
    }

    /// What has been answered up to now.
    pub async fn counts(&self) -> Counts {
        let (answer, counts) = oneshot::channel();
        // A thread that has ended answers nothing: there is nothing to count.
        let _ = self.orders.send(Order::Count(answer));
        counts.await.unwrap_or_default()
    }

    /// Sends no more requests, waits for those in flight, and says how all of them went.
    pub fn stop(mut self) -> Summary {
        self.finish().unwrap_or_default()
    }

    fn finish(&mut self) -> Option<Summary> {
        let _ = self.orders.send(Order::Stop);
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests;
