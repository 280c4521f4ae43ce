//! Events on their way to whoever subscribed to them: sent, and sent again until they
//! are taken or given up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Headers of a delivery.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// An attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it went.
    pub url: String,
    /// How often it had been tried before.
    pub attempt: u32,
    /// What the receiver answered; nothing where it did not in time.
    pub status: Option<u16>,
}

/// An event for one subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) url: String,
    /// The `Authorization` that the subscriber asked for.
    pub(crate) authorization: Option<String>,
    pub(crate) content: Value,
}

/// Who sends events, and how they stand on the wire.
pub(crate) trait Sender: Send + Sync + 'static {
    fn outbox(&self) -> &Outbox;
    /// Headers and body of an attempt, of which the first has number 0.
    fn sealed(&self, event: &Event, attempt: u32) -> (Headers, String);
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    attempt: u32,
    due: Instant,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    deliveries: Vec<Delivery>,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    woken: Notify,
    /// How long a receiver may take, in milliseconds.
    patience_ms: u64,
    /// Waits before each further attempt, in milliseconds.
    waits_ms: Vec<u64>,
}

impl Outbox {
    pub(crate) fn new(patience_ms: u64, waits_ms: &[u64]) -> Outbox {
        Outbox {
            state: Mutex::default(),
            woken: Notify::new(),
            patience_ms,
            waits_ms: waits_ms.to_vec(),
        }
    }

    pub(crate) fn put(&self, event: Event) {
        let due = Instant::now();
        self.lock().waiting.push_back(Waiting {
            event,
            attempt: 0,
            due,
        });
        self.woken.notify_one();
    }

    /// Every attempt so far, oldest first.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    /// The event that is due first, or when it will be; nothing where none waits.
    fn next(&self) -> Option<Result<Waiting, Instant>> {
        let mut state = self.lock();
        let due = state.waiting.iter().map(|waiting| waiting.due).min()?;
        if due > Instant::now() {
            return Some(Err(due));
        }
        let at = state
            .waiting
            .iter()
            .position(|waiting| waiting.due == due)?;
        state.waiting.remove(at).map(Ok)
    }

    fn settle(&self, mut waiting: Waiting, status: Option<u16>) {
        let mut state = self.lock();
        state.deliveries.push(Delivery {
            url: waiting.event.url.clone(),
            attempt: waiting.attempt,
            status,
        });
        let is_taken = status.is_some_and(|status| (200..300).contains(&status));
        let wait = self.waits_ms.get(waiting.attempt as usize);
        if let (false, Some(wait_ms)) = (is_taken, wait) {
            waiting.attempt += 1;
            waiting.due = Instant::now() + Duration::from_millis(*wait_ms);
            state.waiting.push_back(waiting);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delivers until dropped.
pub(crate) async fn deliver<S: Sender>(sender: Arc<S>) {
    let outbox = sender.outbox();
    loop {
        match outbox.next() {
            None => outbox.woken.notified().await,
            Some(Err(due)) => {
                tokio::select! {
                    () = outbox.woken.notified() => {}
                    () = tokio::time::sleep_until(due) => {}
                }
            }
            Some(Ok(waiting)) => {
                let (headers, body) = sender.sealed(&waiting.event, waiting.attempt);
                let patience = Duration::from_millis(outbox.patience_ms);
                let sent = post(&waiting.event.url, &headers, body);
                // Whatever kept the receiver from answering, the event is tried again.
                let status = match tokio::time::timeout(patience, sent).await {
                    Ok(sent) => sent.ok(),
                    Err(_) => None,
                };
                outbox.settle(waiting, status);
            }
        }
    }
}

/// Posts JSON on a connection of its own; the status of the answer. Redirects are not
/// followed.
pub(crate) async fn post(url: &str, headers: &Headers, body: String) -> anyhow::Result<u16> {
    let address = url::Url::parse(url)?;
    let port = address.port_or_known_default().unwrap_or(80);
    let host = address.host_str().context("an address without a host")?;
    let stream = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let target = match address.query() {
        Some(query) => format!("{}?{query}", address.path()),
        None => address.path().to_owned(),
    };
    let request = Request::post(target)
        .header("host", address.authority())
        .header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, value)
    });
    let request = request.body(Full::new(Bytes::from(body)))?;
    let answer = sender.send_request(request).await?;
    Ok(answer.status().as_u16())
}
