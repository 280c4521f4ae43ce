//! Answers that never end, never begin, lie about their length or unfold without bound:
//! the fault has its type, memory stays bounded, and nothing of such a page is sealed.

use crate::site::{Options, Site, shown, summary};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Memory of the whole process, compiler included, that no such answer may exceed.
const RESIDENT_BYTES_MAX: u64 = 400 << 20;

/// What a list page is answered with.
#[derive(Clone, Copy, Debug)]
enum Vice {
    /// A gzip body of a few kilobytes that unfolds to a gigabyte.
    Bomb,
    /// Bytes for ever, as fast as they are taken.
    Endless,
    /// One byte now and then.
    Drip,
    /// A length that is longer than the body.
    Short,
}

/// Passes everything on to the simulator but list pages.
async fn relay(vice: Vice, crm: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                // How a client leaves is its own affair.
                let _left = serve(stream, vice, crm).await;
            });
        }
    });
    (address, tasks)
}

async fn serve(mut client: TcpStream, vice: Vice, crm: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    if !head.starts_with(b"GET /crm/v3/objects/contacts") {
        let head = String::from_utf8_lossy(&head).replacen("\r\n", "\r\nconnection: close\r\n", 1);
        let mut server = TcpStream::connect(crm).await?;
        server.write_all(head.as_bytes()).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    // The first record is whole, so that a reader that gives up late would have it.
    let record = br#"{"results":[{"id":"1","properties":{},"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","archived":false},"#;
    let headers = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    client.write_all(headers).await?;
    match vice {
        Vice::Bomb => {
            let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            bomb.write_all(record)?;
            for _ in 0..1024 {
                bomb.write_all(&vec![b' '; 1 << 20])?;
            }
            let body = bomb.finish()?;
            let rest = format!(
                "content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            client.write_all(rest.as_bytes()).await?;
            client.write_all(&body).await?;
        }
        Vice::Endless => {
            client.write_all(b"connection: close\r\n\r\n").await?;
            client.write_all(record).await?;
            loop {
                client.write_all(&[b' '; 1 << 16]).await?;
            }
        }
        Vice::Drip => {
            client.write_all(b"content-length: 1000000\r\n\r\n").await?;
            client.write_all(record).await?;
            loop {
                client.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Vice::Short => {
            let rest = format!("content-length: {}\r\n\r\n", record.len() + 10);
            client.write_all(rest.as_bytes()).await?;
            client.write_all(record).await?;
        }
    }
    client.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sealed_of_a_body_that_lies_or_never_ends() {
    tokio::join!(
        refused(Vice::Bomb, 60_000, "larger"),
        refused(Vice::Endless, 60_000, "larger"),
        refused(Vice::Drip, 2_000, "no whole answer in time"),
        refused(Vice::Short, 60_000, "the body was cut"),
    );
}

async fn refused(vice: Vice, attempt_timeout_ms: u32, said: &str) {
    let site = Site::new(crm_sim::hubspot::Config::default(), Options::default()).await;
    let crm = site.crm.base_url().to_owned();
    let server = crm.strip_prefix("http://").unwrap().parse().unwrap();
    let (address, _relay) = relay(vice, server).await;
    let operator = std::fs::read_to_string(site.path("operator.yaml")).unwrap();
    let limits = format!(
        "broker:\n  retries_max: 0\n  body_bytes_max: 33554432\n  attempt_timeout_ms: {attempt_timeout_ms}"
    );
    let operator = operator
        .replace(&crm, &format!("http://{address}"))
        .replacen("broker:", &limits, 1);
    site.write("operator.yaml", &operator);

    let output = site.run(site.sync()).await;
    let text = shown(&output);
    assert!(!output.status.success(), "{vice:?}: {text}");
    assert!(!text.contains("panicked"), "{vice:?}: {text}");
    let summary = summary(&output);
    let outcome = &summary["streams"]["contacts"]["outcome"];
    let reason = outcome["reason"].as_str().unwrap();
    assert!(reason.contains(said), "{vice:?}: {outcome}");
    assert_eq!(summary["rows"], 0, "{vice:?}");
    assert!(site.landed().await.is_empty(), "{vice:?}: something landed");
    let staged = walk(&site.path("state/staged"));
    assert_eq!(staged, 0, "{vice:?}: bytes wait to be uploaded");
    let peak = summary["peak_rss_bytes"].as_u64().unwrap();
    assert!(peak < RESIDENT_BYTES_MAX, "{vice:?}: {peak} bytes");
}

/// Bytes of all files below a directory.
fn walk(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => walk(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(|entry| size(entry.unwrap())).sum()
}
