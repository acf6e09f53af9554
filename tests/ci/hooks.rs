//! A server for webhooks on loopback, which answers each path in its own way and keeps what it was told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The first part of the path, which says how it was answered.
    pub(crate) way: String,
    pub(crate) at: Timestamp,
    pub(crate) body: Value,
}

impl Told {
    /// All text of a message to Slack, or the moment of another.
    pub(crate) fn text(&self) -> String {
        match &self.body["moment"] {
            Value::String(moment) => moment.clone(),
            _ => format!("{}\n{}", self.body["text"], self.body["attachments"][0]["text"]),
        }
    }
}

#[derive(Default)]
struct Book {
    told: Mutex<Vec<Told>>,
    more: Condvar,
}

/// The server; it goes on until the test's process ends.
pub(crate) struct Hooks {
    address: SocketAddr,
    book: Arc<Book>,
}

impl Hooks {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let book = Arc::new(Book::default());
        let kept = Arc::clone(&book);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || answer(stream, &kept));
            }
        });
        Self { address, book }
    }

    /// An address that is answered in that way: `ok`, `broken`, `elsewhere`, `never`, or `late`, which is
    /// only answered once an `ok` was told of a success.
    pub(crate) fn url(&self, way: &str) -> String {
        format!("http://{}/{way}/{SECRET}", self.address)
    }

    /// Everything that was told so far in that way.
    pub(crate) fn told(&self, way: &str) -> Vec<Told> {
        let told = self.book.told.lock().unwrap();
        told.iter().filter(|told| told.way == way).cloned().collect()
    }
}

/// What makes an address a secret.
pub(crate) const SECRET: &str = "S3nt1nel-of-a-webhook";

/// An address at which nobody listens.
pub(crate) fn closed_door() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/closed/{SECRET}", listener.local_addr().unwrap())
}

fn answer(stream: TcpStream, book: &Book) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some((way, body)) = request(&mut reader) else {
        return;
    };
    let told = Told {
        way: way.clone(),
        at: Timestamp::now(),
        body,
    };
    book.told.lock().unwrap().push(told);
    book.more.notify_all();
    let answer = match way.as_str() {
        "broken" => "HTTP/1.1 500 Oops\r\ncontent-length: 10\r\n\r\nno_service",
        "elsewhere" => "HTTP/1.1 302 Found\r\nlocation: /ok/elsewhere\r\ncontent-length: 0\r\n\r\n",
        "never" => {
            // Until the other end has enough.
            let _ = reader.read(&mut [0]);
            return;
        }
        "late" => {
            wait_for_success(book);
            OK
        }
        _ => OK,
    };
    let mut stream = stream;
    let _ = stream.write_all(answer.as_bytes());
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn wait_for_success(book: &Book) {
    let told = book.told.lock().unwrap();
    let success = |told: &Told| told.way == "ok" && told.text().contains("deploy done");
    let waited = book
        .more
        .wait_timeout_while(told, Duration::from_secs(120), |told| !told.iter().any(success));
    drop(waited.unwrap());
}

fn request(reader: &mut impl BufRead) -> Option<(String, Value)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let way = line.strip_prefix("POST /")?.split('/').next()?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim().to_lowercase().split_once(": ") {
            None => break,
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((way, serde_json::from_slice(&body).unwrap()))
}
