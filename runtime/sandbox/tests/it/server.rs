//! A provider on a loopback port: answers what a function says, and keeps what it
//! was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// What was asked: the request line and headers, as they came.
type Heads = Arc<Mutex<Vec<String>>>;
type Answer = Arc<dyn Fn(&str) -> String + Send + Sync>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: Heads,
    _accepting: AbortOnDropHandle<()>,
}

impl Server {
    /// `answer` gets the path with its query and gives a JSON body.
    pub(crate) async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Heads::default();
        let (kept, answer): (Heads, Answer) = (Arc::clone(&heads), Arc::new(answer));
        let accepting = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                connections.spawn(serve(stream, kept, answer));
            }
        };
        let accepting = tokio::runtime::Handle::current().spawn(accepting);
        Server {
            address,
            heads,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, kept: Heads, answer: Answer) {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await.unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        kept.lock().unwrap().push(head);
        let body = answer(&path);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
