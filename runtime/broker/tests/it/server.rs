//! A loopback server that each test scripts, and that remembers what it saw.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// One request as it came.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
    pub(crate) peer: SocketAddr,
    pub(crate) version: http::Version,
    /// How many came before it.
    pub(crate) index: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn form(&self) -> std::collections::BTreeMap<String, String> {
        let pairs = url::form_urlencoded::parse(&self.body);
        pairs.into_owned().collect()
    }
}

pub(crate) type Reply = Response<BoxBody<Bytes, io::Error>>;
type Answer = Pin<Box<dyn Future<Output = Result<Reply, io::Error>> + Send>>;

/// A server; dropping it closes it.
pub(crate) struct Server {
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Answers with what the script says; an error closes the connection.
    pub(crate) async fn start<F, A>(script: F) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Reply, io::Error>> + Send + 'static,
    {
        Self::start_with(script, None).await
    }

    pub(crate) async fn start_with<F, A>(script: F, tls: Option<TlsAcceptor>) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Reply, io::Error>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let script: Arc<dyn Fn(Seen) -> Answer + Send + Sync> =
            Arc::new(move |seen| Box::pin(script(seen)));
        let mut tasks = JoinSet::new();
        let (log, count) = (Arc::clone(&seen), Arc::clone(&connections));
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (log, script, tls) = (Arc::clone(&log), Arc::clone(&script), tls.clone());
                open.spawn(async move {
                    match tls {
                        None => serve(TokioIo::new(stream), peer, log, script).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(TokioIo::new(stream), peer, log, script).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            origin: format!("{scheme}://localhost:{port}"),
            seen,
            connections,
            _tasks: tasks,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    log: Arc<Mutex<Vec<Seen>>>,
    script: Arc<dyn Fn(Seen) -> Answer + Send + Sync>,
) where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (log, script) = (Arc::clone(&log), Arc::clone(&script));
        async move {
            let at = Instant::now();
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let seen = {
                let mut log = log.lock().unwrap();
                let seen = Seen {
                    method: head.method,
                    path: head.uri.path_and_query().unwrap().to_string(),
                    headers: head.headers,
                    body,
                    at,
                    peer,
                    version: head.version,
                    index: log.len(),
                };
                log.push(seen.clone());
                seen
            };
            script(seen).await
        }
    });
    // A client that goes away is part of some tests.
    let _gone = auto::Builder::new(TokioExecutor::new())
        .serve_connection(stream, service)
        .await;
}

pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    let body = Full::new(body.into())
        .map_err(|never| match never {})
        .boxed();
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    let json = http::HeaderValue::from_static("application/json");
    reply.headers_mut().insert("content-type", json);
    reply
}

pub(crate) fn with(mut reply: Reply, name: &'static str, value: &str) -> Reply {
    reply.headers_mut().insert(name, value.parse().unwrap());
    reply
}

/// Sends the beginning of a body and then closes the connection, or keeps it.
pub(crate) fn cut_after(begin: &'static [u8], close: bool) -> Reply {
    let frames = stream::unfold(0, move |at| async move {
        match at {
            0 => Some((Ok(Frame::data(Bytes::from_static(begin))), 1)),
            _ if close => {
                // What came before must be on its way, or the headers are cut, too.
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                Some((Err(io::Error::other("cut")), 2))
            }
            _ => std::future::pending().await,
        }
    });
    Response::new(BodyExt::boxed(StreamBody::new(frames)))
}
