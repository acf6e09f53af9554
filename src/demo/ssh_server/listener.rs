//! Accepts connections and keeps hold of their sockets, so that they can be cut.

use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use russh::MethodKind;
use russh::keys::PrivateKey;
use russh::server::Config;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::session::Session;
use super::{Forwarding, Order, SshServerOptions};

pub(super) async fn serve(
    listener: StdListener,
    host_key: PrivateKey,
    options: SshServerOptions,
    forwarding: watch::Receiver<Forwarding>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    accepted: &AtomicU64,
) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let config = Arc::new(Config {
        keys: vec![host_key],
        methods: (&[MethodKind::PublicKey][..]).into(),
        // Nobody guesses keys on loopback; a wait would only slow the demo.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    });
    let options = Arc::new(options);
    let mut sockets: Vec<StdStream> = Vec::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => {
                for socket in sockets.drain(..) {
                    let _ = socket.shutdown(Shutdown::Both);
                }
                match order {
                    Some(Order::DropConnections) => {}
                    Some(Order::Stop) | None => return,
                }
            }
            Some(_) = connections.join_next() => {}
            stream = listener.accept() => {
                let Ok((stream, socket)) = stream.and_then(|(stream, _)| duplicate(stream)) else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                accepted.fetch_add(1, Ordering::Relaxed);
                sockets.push(socket);
                let session = Session::new(&stream, Arc::clone(&options), forwarding.clone());
                connections.spawn(connection(Arc::clone(&config), stream, session));
            }
        }
    }
}

async fn connection(config: Arc<Config>, stream: TcpStream, session: Session) {
    // A client that goes away in the middle of the handshake is no concern of the host's.
    if let Ok(running) = russh::server::run_stream(config, stream, session).await {
        let _ = running.await;
    }
}

fn duplicate(stream: TcpStream) -> std::io::Result<(TcpStream, StdStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let socket = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, socket))
}
