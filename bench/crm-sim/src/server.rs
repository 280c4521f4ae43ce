//! Connections: accepting them, serving them, and ending them on demand.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A port of 127.0.0.1; 0 takes any free one.
pub(crate) async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("bind {address}"))
}

/// A response body: one buffer, a stream, or a cut one.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Accepts connections until stopped and answers each request with `respond`.
pub(crate) async fn serve<F, R>(
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
