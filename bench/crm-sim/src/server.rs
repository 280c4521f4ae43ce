//! Connections: accepting them, serving them, and ending them on demand.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::Body;
use crate::control::Steered;

/// Listeners of a simulator and everything that runs on them. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Servers {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A bound port that nobody answers on yet.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
}

impl Port {
    /// A port of 127.0.0.1; 0 takes any free one.
    pub(crate) async fn bind(port: u16) -> anyhow::Result<Port> {
        let listener = bind(port).await?;
        let url = format!("http://{}", listener.local_addr()?);
        Ok(Port { listener, url })
    }

    /// The same, where a port was asked for.
    pub(crate) async fn bind_some(port: Option<u16>) -> anyhow::Result<Option<Port>> {
        match port {
            Some(port) => Ok(Some(Port::bind(port).await?)),
            None => Ok(None),
        }
    }
}

impl Servers {
    pub(crate) fn new() -> Servers {
        Servers {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Answers on a port until stopped; returns its address.
    pub(crate) fn answer<F, R>(&self, port: Port, respond: F) -> String
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let served = serve(
            port.listener,
            self.stop.clone(),
            self.tasks.clone(),
            respond,
        );
        self.tasks.spawn(served);
        port.url
    }

    /// Runs a task until stopped.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Closes every connection and waits until all tasks have ended.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("bind {address}"))
}

/// Accepts connections until stopped and answers each request with `respond`.
async fn serve<F, R>(
    listener: TcpListener,
    stop: CancellationToken,
    connections: TaskTracker,
    respond: F,
) where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A failed accept concerns one client; the next may do better.
        let Ok((stream, _)) = accepted else { continue };
        // Without it only latency suffers.
        let _delayed = stream.set_nodelay(true);
        let stop = stop.clone();
        let respond = respond.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = respond(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let connection = http
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // How a client leaves is its own affair.
                _left = connection => {}
            }
        });
    }
}

/// Gives an answer the simulated time as its `Date`, by which clients tell whose clock
/// is ahead.
pub(crate) async fn dated<A: Steered>(
    api: Arc<A>,
    answer: impl Future<Output = Response<Body>>,
) -> Response<Body> {
    let mut response = answer.await;
    let now = jiff::Timestamp::from_millisecond(api.clock().now_ms());
    let text = now.map(|now| now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    // Without one the server writes its own.
    if let Ok(value) = text.map(HeaderValue::try_from)
        && let Ok(value) = value
    {
        response.headers_mut().insert(header::DATE, value);
    }
    response
}
