//! Connections: accepting them, serving them, and ending them on demand.

use std::convert::Infallible;
use std::future::Future;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::reply::Body;

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
