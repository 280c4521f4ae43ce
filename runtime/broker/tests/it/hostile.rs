//! Servers that mean harm: each ends as a typed fault, within its time and its memory,
//! and never as a body that looks whole.

use crate::fixture::{Fixture, call, get, request};
use crate::server::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_broker::{Config, FetchFault, Method, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// What is written after a request has come.
#[derive(Clone)]
enum Write {
    /// Once, then the connection is closed.
    Once(Vec<u8>),
    /// Once, then a piece over and over.
    Endless(Vec<u8>, Vec<u8>),
    /// Byte by byte, with a pause before each.
    Slow(Vec<u8>, Duration),
}

/// A server that speaks no HTTP of its own.
struct Raw {
    server: Server,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Raw {
    async fn start(write: Write) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let write = write.clone();
                open.spawn(async move {
                    let mut request = [0; 4096];
                    let Ok(1..) = stream.read(&mut request).await else {
                        return;
                    };
                    let _gone = respond(&mut stream, write).await;
                });
            }
        });
        let mut server = Server::start(|_| std::future::pending()).await;
        server.origin = format!("http://localhost:{port}");
        Self {
            server,
            connections,
            _tasks: tasks,
        }
    }

    async fn fetch(
        &self,
        change: impl FnOnce(&mut Config),
        request: Request,
    ) -> (Result<Response, FetchFault>, usize) {
        let fixture = Fixture::with(&self.server, |config, _| change(config));
        let answer = fixture.session().fetch(request, &call()).await;
        (answer, self.connections.load(Ordering::SeqCst))
    }
}

async fn respond(stream: &mut tokio::net::TcpStream, write: Write) -> std::io::Result<()> {
    match write {
        Write::Once(bytes) => stream.write_all(&bytes).await,
        Write::Endless(head, piece) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&piece).await?;
            }
        }
        Write::Slow(bytes, pause) => {
            for byte in bytes {
                sleep(pause).await;
                stream.write_all(&[byte]).await?;
            }
            std::future::pending().await
        }
    }
}

fn head(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes()
}

fn whole(headers: &str, body: &[u8]) -> Write {
    Write::Once([head(headers), body.to_vec()].concat())
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[tokio::test]
async fn a_body_of_another_length_than_was_said_is_a_fault_and_no_answer() {
    let odd: Vec<(&str, Write)> = vec![
        ("too short", whole("content-length: 9\r\n", b"{}")),
        (
            "cut chunks",
            whole("transfer-encoding: chunked\r\n", b"5\r\n{}"),
        ),
        (
            "no last chunk",
            whole("transfer-encoding: chunked\r\n", &chunk(b"{}")),
        ),
        (
            "chunk without size",
            whole("transfer-encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
        ),
        ("negative", whole("content-length: -2\r\n", b"{}")),
        ("signed", whole("content-length: +2\r\n", b"{}")),
        (
            "two lengths",
            whole("content-length: 2\r\ncontent-length: 3\r\n", b"{} "),
        ),
        ("listed lengths", whole("content-length: 2, 3\r\n", b"{} ")),
        (
            "overflow",
            whole("content-length: 99999999999999999999\r\n", b"{}"),
        ),
        ("not HTTP", Write::Once(b"220 smtp ready\r\n".to_vec())),
        ("nothing", Write::Once(Vec::new())),
        (
            "obsolete folding",
            whole("x: a\r\n b\r\ncontent-length: 2\r\n", b"{}"),
        ),
    ];
    for (name, write) in odd {
        let raw = Raw::start(write).await;
        let (answer, _) = raw
            .fetch(|config| config.retries_max = 0, get("/v1/x"))
            .await;
        let fault = answer
            .err()
            .unwrap_or_else(|| panic!("{name} passed as an answer"));
        assert!(
            matches!(fault, FetchFault::Protocol(_) | FetchFault::Connect(_)),
            "{name}: {fault:?}"
        );
    }
}

#[tokio::test]
async fn bytes_behind_a_body_never_become_the_next_answer() {
    let hidden = b"{}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhidden";
    let raw = Raw::start(whole("content-length: 2\r\n", hidden)).await;
    let fixture = Fixture::with(&raw.server, |config, _| config.retries_max = 0);
    let session = fixture.session();
    for _ in 0..3 {
        let answer = session.fetch(get("/v1/x"), &call()).await.ok().unwrap();
        assert_eq!(&answer.body[..], b"{}");
    }
    assert_eq!(
        raw.connections.load(Ordering::SeqCst),
        3,
        "no such connection is used again"
    );
}

#[tokio::test]
async fn slow_answers_end_at_the_first_byte_the_idle_or_the_whole_timeout() {
    let drip = |bytes: Vec<u8>| Write::Slow(bytes, Duration::from_millis(40));
    let long = [head("content-length: 100\r\n"), vec![b'x'; 100]].concat();
    let begun = Instant::now();
    let silent = Raw::start(Write::Slow(b"H".to_vec(), Duration::from_secs(600))).await;
    let slow_head = Raw::start(drip(head(&"x: y\r\n".repeat(50)))).await;
    let stuck = Raw::start(Write::Slow(Vec::new(), Duration::ZERO)).await;
    let cases = [
        (&silent, "no answer began in time"),
        (&slow_head, "no answer began in time"),
        (&stuck, "no answer began in time"),
    ];
    for (raw, text) in cases {
        let hasty = |config: &mut Config| {
            config.retries_max = 0;
            config.first_byte_timeout_ms = 200;
        };
        let (answer, _) = raw.fetch(hasty, get("/v1/x")).await;
        let fault = answer.err().unwrap();
        assert!(
            matches!(&fault, FetchFault::Timeout(found) if found == text),
            "{fault:?}"
        );
    }
    // A guest that knows an API to be slow may wait longer for its answer to begin.
    let slow = Server::start(|_| async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        Ok(crate::server::reply(200, "{}"))
    })
    .await;
    let fixture = Fixture::with(&slow, |config, _| config.first_byte_timeout_ms = 200);
    let mut patient = get("/v1/x");
    patient.timeout_ms = Some(20_000);
    assert!(fixture.session().fetch(patient, &call()).await.is_ok());

    let dripping = Raw::start(drip(long)).await;
    let stops = Server::start(|_| async { Ok(crate::server::cut_after(b"{", false)) }).await;
    let fixture = Fixture::with(&stops, |config, _| {
        config.retries_max = 0;
        config.idle_timeout_ms = 100;
    });
    let fault = fixture
        .session()
        .fetch(get("/v1/x"), &call())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&fault, FetchFault::Timeout(found) if found == "the body stood still"),
        "{fault:?}"
    );
    let whole = |config: &mut Config| {
        config.retries_max = 0;
        config.attempt_timeout_ms = 4_500;
        config.idle_timeout_ms = 1_000;
    };
    let (answer, _) = dripping.fetch(whole, get("/v1/x")).await;
    let fault = answer.err().unwrap();
    assert!(
        matches!(&fault, FetchFault::Timeout(found) if found == "no whole answer in time"),
        "{fault:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn bodies_and_headers_without_end_are_too_large_within_little_memory() {
    let before = resident_bytes();
    let members = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
        encoder.finish().unwrap()
    };
    let skippable = [&[0x50, 0x2A, 0x4D, 0x18, 0, 0, 1, 0][..], &[0; 1 << 16]].concat();
    let endless = [
        ("plain", "", vec![b'x'; 1 << 16]),
        ("gzip members", "content-encoding: gzip\r\n", members),
        (
            "zstd frames without content",
            "content-encoding: zstd\r\n",
            skippable,
        ),
    ];
    for (name, headers, piece) in endless {
        for chunked in [false, true] {
            let (framing, piece) = match chunked {
                true => ("transfer-encoding: chunked\r\n", chunk(&piece)),
                false => ("connection: close\r\n", piece.clone()),
            };
            let head = head(&format!("{framing}{headers}"));
            let raw = Raw::start(Write::Endless(head, piece)).await;
            let (answer, connections) = raw
                .fetch(|config| config.body_bytes_max = 16 << 20, get("/v1/x"))
                .await;
            let fault = answer.err().unwrap();
            assert!(
                matches!(fault, FetchFault::TooLarge(_)),
                "{name}: {fault:?}"
            );
            assert_eq!(connections, 1, "{name} is not fetched twice");
        }
    }
    for begin in ["", "x: ", "x"] {
        let head = format!("HTTP/1.1 200 OK\r\n{begin}").into_bytes();
        let piece = if begin.is_empty() { "a: b\r\n" } else { "aaaa" };
        let raw = Raw::start(Write::Endless(head, piece.repeat(1000).into_bytes())).await;
        let (answer, _) = raw
            .fetch(
                |config| config.retries_max = 0,
                request(Method::Post, "/v1/x"),
            )
            .await;
        assert!(answer.is_err());
    }
    // Other tests of this process run beside it; what came in was without end.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 256 << 20, "{} MiB more", grown >> 20);
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
