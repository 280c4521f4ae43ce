//! A subscriber on loopback: it keeps what it is sent, and answers as it is told.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A message that came.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Got {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Checks the signature with nothing but a hash.
    pub(super) fn is_signed_with(&self, key: &[u8]) -> bool {
        let [id, at] = ["webhook-id", "webhook-timestamp"].map(|name| &self.headers[name]);
        let signed = format!("{id}.{at}.{}", self.body);
        let code = data_encoding::BASE64.encode(&hmac_sha256(key, signed.as_bytes()));
        self.headers["webhook-signature"] == format!("v1,{code}")
    }
}

/// RFC 2104, for keys of at most one block.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize();
    outer.into()
}

pub(super) struct Receiver {
    pub(super) port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Listens. What it answers depends on the path: `/slow` never, `/flaky` 500 and
    /// then 200, `/moved` 302, `/gone` 410, `/vast` with an endless body, others 200.
    pub(super) async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&got);
        tasks.spawn(async move {
            let mut streams = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                streams.spawn(async move {
                    drop(serve(stream, &seen).await); // a caller may leave when it likes
                });
            }
        });
        Receiver {
            port,
            got,
            _tasks: tasks,
        }
    }

    /// What came to the path, in order.
    pub(super) fn got(&self, path: &str) -> Vec<Got> {
        let got = self.got.lock().unwrap();
        got.iter().filter(|it| it.path == path).cloned().collect()
    }
}

async fn serve(stream: TcpStream, seen: &Mutex<Vec<Got>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(got) = read(&mut stream).await? else {
            return Ok(());
        };
        let path = got.path.clone();
        let times = {
            let mut seen = seen.lock().unwrap();
            seen.push(got);
            seen.iter().filter(|it| it.path == path).count()
        };
        let answer = match path.as_str() {
            "/slow" => std::future::pending().await,
            "/flaky" if times == 1 => "500 Oh no\r\ncontent-length: 0",
            "/moved" => "302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0",
            "/gone" => "410 Gone\r\ncontent-length: 0",
            "/vast" => "200 OK\r\ncontent-length: 1000000000000",
            _ => "200 OK\r\ncontent-length: 2",
        };
        stream
            .write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes())
            .await?;
        match path.as_str() {
            "/vast" => loop {
                stream.write_all(&[b' '; 4096]).await?;
            },
            _ if answer.ends_with('2') => stream.write_all(b"ok").await?,
            _ => {}
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Got>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    assert!(line.starts_with("POST "), "{line}");
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers["content-length"].parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8(body).unwrap();
    Ok(Some(Got {
        path,
        headers,
        body,
    }))
}
