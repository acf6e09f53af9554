//! Commands, uploads and HTTP over one connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nonstop::ssh::{ExecError, ExecRequest, Exit, HttpError, HttpRequest, UploadRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{
    self,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::fixture::{Sshd, run};

#[tokio::test]
async fn a_command_gets_its_input_and_gives_its_output_and_status() {
    let sshd = Sshd::start();
    let session = sshd.connect().await;
    let mut request = ExecRequest::new("cat; echo oops >&2; exit 3");
    request.stdin = Bytes::from_static(b"hello\n");
    let output = session.exec(request).await.expect("an answer");
    assert_eq!(output.status, Exit::Code(3));
    assert_eq!(
        (output.stdout.text(), output.stderr.text()),
        ("hello\n".into(), "oops\n".into())
    );
}

#[tokio::test]
async fn an_upload_arrives_whole_and_tells_its_progress() {
    let sshd = Sshd::start();
    let session = sshd.connect().await;
    let source = sshd.path("source");
    let content: Vec<u8> = (0..1_250_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    std::fs::write(&source, &content).expect("written");
    let target = sshd.path("target");
    let request = UploadRequest {
        command: format!("cat > {}; echo done", target.display()),
        source,
        size_bytes: content.len() as u64,
        stall: Duration::from_secs(10),
        deadline: Duration::from_secs(60),
        limit_bytes: 1024,
    };
    let mut steps = Vec::new();
    let output = session
        .upload(request, |sent| steps.push(sent))
        .await
        .expect("an answer");
    assert!(output.status.is_success());
    assert_eq!(output.stdout.text(), "done\n");
    assert!(
        std::fs::read(&target).expect("the file") == content,
        "the bytes differ"
    );
    assert!(steps.len() > 5 && steps.is_sorted());
    assert_eq!(steps.last(), Some(&(content.len() as u64)));
}

/// A server that answers each request with how many requests its connection has seen.
async fn counting_server() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut seen, mut buffer) = (0, [0; 4096]);
                while let Ok(1..) = stream.read(&mut buffer).await {
                    seen += 1;
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{seen}");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn http_goes_through_the_tunnel_and_keeps_its_connection() {
    let sshd = Sshd::start();
    let session = sshd.connect().await;
    let port = counting_server().await;
    let request = HttpRequest::get("127.0.0.1", port, "/health?x=1");
    for seen in ["1", "2", "3"] {
        let response = session.http(&request).await.expect("an answer");
        assert_eq!((response.status, &response.body[..]), (200, seen.as_bytes()));
    }
    session.close_http("127.0.0.1", port);
    assert_eq!(&session.http(&request).await.expect("an answer").body[..], b"1");
}

#[tokio::test]
async fn an_app_that_does_not_listen_is_told_from_an_sshd_that_forbids_forwarding() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let request = HttpRequest::get("127.0.0.1", port, "/");
    let open = Sshd::start();
    let result = open.connect().await.http(&request).await;
    assert!(matches!(result, Err(HttpError::Refused { .. })), "{result:?}");
    let closed = Sshd::with("AllowTcpForwarding no");
    let result = closed.connect().await.http(&request).await;
    assert!(
        matches!(result, Err(HttpError::ForwardingRefused { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_deadline_says_that_the_command_may_still_run() {
    let sshd = Sshd::start();
    let session = sshd.connect().await;
    let mut request = ExecRequest::new("echo begun; exec sleep 30");
    request.deadline = Duration::from_millis(500);
    let error = session.exec(request).await.expect_err("no answer");
    assert!(matches!(error, ExecError::Deadline { .. }), "{error:?}");
    assert!(error.may_have_run());
    let next = session
        .exec(ExecRequest::new("echo on"))
        .await
        .expect("the session lives");
    assert_eq!(next.stdout.text(), "on\n");
}

/// A TLS listener with a certificate that nobody vouches for; it answers with the server name that it
/// was asked for, and how many requests its connection has seen.
async fn tls_server(folder: &std::path::Path) -> u16 {
    let (key, certificate) = (folder.join("tls.key"), folder.join("tls.der"));
    let path = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=elsewhere";
    let mut arguments: Vec<_> = make.split(' ').map(str::to_owned).collect();
    arguments.extend(["-outform", "DER", "-keyout"].map(str::to_owned));
    arguments.extend([path(&key), "-out".to_owned(), path(&certificate)]);
    run(
        "openssl",
        &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let key = PrivateKeyDer::from_pem_file(&key).expect("a key");
    let certificate = CertificateDer::from(std::fs::read(certificate).expect("a certificate"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth();
    let config = Arc::new(
        config
            .with_single_cert(vec![certificate], key)
            .expect("they match"),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(Arc::clone(&config));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let name = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
                let (mut seen, mut buffer) = (0, [0; 4096]);
                while let Ok(1..) = stream.read(&mut buffer).await {
                    seen += 1;
                    let body = format!("{name} {seen}");
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                    let _ = stream.flush().await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_tls_listener_of_the_host_is_asked_by_its_public_name() {
    let sshd = Sshd::start();
    let session = sshd.connect().await;
    let port = tls_server(sshd.folder.path()).await;
    let named = HttpRequest {
        unverified_tls_name: Some("www.example.com".to_owned()),
        ..HttpRequest::get("127.0.0.1", port, "/")
    };
    for answer in ["www.example.com 1", "www.example.com 2"] {
        assert_eq!(session.http(&named).await.expect("an answer").body, answer);
    }
    session.close_http("127.0.0.1", port);
    assert_eq!(
        session.http(&named).await.expect("an answer").body,
        "www.example.com 1"
    );
    let other = HttpRequest {
        unverified_tls_name: Some("127.0.0.1".to_owned()),
        ..named.clone()
    };
    assert_eq!(session.http(&other).await.expect("an answer").body, "none 1");
    let plain = HttpRequest {
        connect_port: counting_server().await,
        ..named
    };
    let error = session.http(&plain).await.expect_err("no TLS there");
    assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
}
