//! Who receives webhooks.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A delivery as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Answers each delivery with the next of some statuses, the last one again and again.
pub(crate) struct Receiver {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    _serving: JoinSet<()>,
}

impl Received {
    /// A header's value, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Receiver {
    pub(crate) async fn answering(statuses: &'static [u16]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let whole = loop {
                    let read = stream.read_buf(&mut bytes).await.unwrap();
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some(whole) = whole(&text) {
                        break whole;
                    }
                    assert_ne!(read, 0, "the delivery broke off");
                };
                kept.lock().unwrap().push(whole);
                let status = statuses[number.min(statuses.len() - 1)];
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Receiver {
            url,
            received,
            _serving: serving,
        }
    }

    /// The first deliveries, once there are this many.
    pub(crate) async fn deliveries(&self, count: usize) -> Vec<Received> {
        loop {
            let received = self.received.lock().unwrap().clone();
            if received.len() >= count {
                return received;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The first events, of deliveries that hold lists of them, once there are this many.
    pub(crate) async fn events(&self, count: usize) -> Vec<Value> {
        for deliveries in 1.. {
            let received = self.deliveries(deliveries).await;
            let lists = received.iter().map(|one| one.json());
            let events: Vec<Value> = lists
                .flat_map(|list| list.as_array().unwrap().clone())
                .collect();
            if events.len() >= count {
                return events;
            }
        }
        unreachable!("deliveries are waited for without an end")
    }
}

/// A request, once all of it is there.
fn whole(text: &str) -> Option<Received> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let received = Received {
        head: head.to_owned(),
        body: body.to_owned(),
    };
    let length: usize = received.header("content-length")?.parse().unwrap();
    (body.len() == length).then_some(received)
}
