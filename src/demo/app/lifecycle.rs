//! From the command line to the end of the process: start, serve, and the graceful end that Spring
//! Boot has with `server.shutdown=graceful`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::arguments::{AppArguments, AppArgumentsError};
use super::jar::{AtStart, DemoJar, JarError, OnTerm};
use super::service::Service;

/// How long requests in flight may take after TERM; a phase of Spring Boot has the same.
const GRACE: Duration = Duration::from_secs(30);

/// Says why the application did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The command line cannot be followed.
    #[error(transparent)]
    Arguments(#[from] AppArgumentsError),
    /// The jar cannot be read.
    #[error("{jar} is not for the demo")]
    Jar {
        /// The file.
        jar: String,
        /// What is wrong with it.
        #[source]
        source: JarError,
    },
    /// The version is one that crashes.
    #[error("this version crashes at start")]
    Crash,
    /// The port is in use.
    #[error("port {port} was already in use or cannot be bound")]
    Port {
        /// The port.
        port: u16,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The kernel gives no more of something.
    #[error("failed to set up the process")]
    Setup(#[from] io::Error),
}

/// Runs the application until a signal ends it; `words` are those after `demo-app`.
///
/// Returns an error if it did not start.
pub fn main<S: AsRef<str>>(words: &[S]) -> Result<(), AppError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(application(words))
}

async fn application<S: AsRef<str>>(words: &[S]) -> Result<(), AppError> {
    let began = Instant::now();
    let arguments = AppArguments::parse(words)?;
    let jar = DemoJar::read(&arguments.jar).map_err(|source| AppError::Jar {
        jar: arguments.jar.display().to_string(),
        source,
    })?;
    let behaviour = jar.behaviour.on(&own_names());
    say("INFO", &format!("Starting demo-app {}", jar.version));
    // Before the port listens, so that no TERM finds the process without its handler.
    let mut term = signal(SignalKind::terminate())?;
    let mut eaten = Vec::new();
    match behaviour.at_start {
        AtStart::Listen => {}
        // The kernel gives a page where something is written.
        AtStart::Eat(mebibytes) => eaten = vec![1_u8; mebibytes << 20],
        AtStart::ListenAfter(delay) => tokio::time::sleep(delay).await,
        AtStart::Crash => return Err(AppError::Crash),
    }
    let (place, port) = (SocketAddr::new(arguments.address, arguments.port), arguments.port);
    let bound = TcpListener::bind(place).await;
    let listener = bound.map_err(|source| AppError::Port { port, source })?;
    let elapsed = began.elapsed().as_secs_f64();
    let started = format!(
        "Started demo-app {} on {place} in {elapsed:.3} seconds",
        jar.version
    );
    say("INFO", &started);
    let service = Service::new(jar.version, arguments.profile, port, behaviour.health);
    let ended = async {
        while term.recv().await.is_some() {
            match behaviour.on_term {
                OnTerm::Finish => break,
                OnTerm::Ignore => say("WARN", "TERM is ignored"),
            }
        }
    };
    serve(listener, Arc::new(service), ended).await;
    drop(std::hint::black_box(eaten));
    Ok(())
}

/// Serves until `ended`, and then until what is in flight is answered.
pub(in crate::demo) async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    ended: impl Future<Output = ()>,
) {
    let (leave, leaving) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut ended = std::pin::pin!(ended);
    loop {
        tokio::select! {
            biased;
            () = &mut ended => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&service), leaving.clone()));
                }
                // Out of descriptors: the next connection may close one.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    drop(listener);
    say("INFO", "Commencing graceful shutdown");
    leave.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    match tokio::time::timeout(GRACE, all).await {
        Ok(()) => say("INFO", "Graceful shutdown complete"),
        Err(_) => say("WARN", "Graceful shutdown aborted with requests still active"),
    }
}

async fn connection(stream: TcpStream, service: Arc<Service>, mut leaving: watch::Receiver<bool>) {
    // An answer that waits for a delayed acknowledgement would be measured as the deploy's fault.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // The peer's fault or its end: nothing is owed to anybody.
        _ = &mut serving => return,
        _ = leaving.wait_for(|leaving| *leaving) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

/// The names by which a jar may mean this host.
fn own_names() -> Vec<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let home = std::env::var_os("HOME").unwrap_or_default();
    let home = std::path::Path::new(&home).file_name();
    let home = home.map(|name| name.to_string_lossy().into_owned());
    home.into_iter().chain([kernel.trim().to_owned()]).collect()
}

/// Writes a line of the log; a log that cannot be written is no reason to stop serving.
fn say(level: &str, line: &str) {
    use std::io::Write as _;
    let now = jiff::Timestamp::now();
    let _ = writeln!(std::io::stdout(), "{now:.3} {level:>5} demo-app : {line}");
}
