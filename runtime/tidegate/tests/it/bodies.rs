//! Answers that never end, never begin, lie about their length or unfold without bound:
//! the fault has its type, memory stays bounded, and nothing of such a page is sealed.

use crate::site::{Options, Site, shown};
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
    for (vice, said) in [
        (Vice::Bomb, "larger"),
        (Vice::Endless, "larger"),
        (Vice::Drip, "in time"),
        (Vice::Short, "broken answer"),
    ] {
        let options = Options {
            broker: "limit_scale: .inf\n  retries_max: 0\n  attempt_timeout_ms: 3000\n  body_bytes_max: 67108864",
            ..Options::default()
        };
        let site = Site::new(crm_sim::hubspot::Config::default(), options).await;
        let crm = site.crm.base_url().to_owned();
        let server = crm.strip_prefix("http://").unwrap().parse().unwrap();
        let (address, _relay) = relay(vice, server).await;
        let operator = std::fs::read_to_string(site.path("operator.yaml")).unwrap();
        site.write(
            "operator.yaml",
            &operator.replace(&crm, &format!("http://{address}")),
        );

        let mut command = site.sync();
        command.env("TIDEGATE_LOG", "error");
        let output = site.run(command).await;
        let text = shown(&output);
        assert!(!output.status.success(), "{vice:?}: {text}");
        assert!(text.contains(said), "{vice:?}: {text}");
        assert!(!text.contains("panicked"), "{vice:?}: {text}");
        assert!(site.landed().await.is_empty(), "{vice:?}: something landed");
        let staged = walk(&site.path("state/staged"));
        assert_eq!(staged, 0, "{vice:?}: bytes wait to be uploaded");
        let peak = peak_rss_bytes(&output.stdout);
        assert!(
            peak < RESIDENT_BYTES_MAX,
            "{vice:?}: {peak} bytes of memory"
        );
    }
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

/// As the summary of the run says it.
fn peak_rss_bytes(stdout: &[u8]) -> u64 {
    let summary: serde_json::Value = serde_json::from_slice(stdout).unwrap();
    summary["peak_rss_bytes"].as_u64().unwrap()
}
