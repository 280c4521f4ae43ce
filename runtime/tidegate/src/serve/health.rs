//! The second listener: figures for Prometheus, and whether the service lives and
//! should get work. It asks for no key, so it names no tenant.

use crate::telemetry::Figures;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidegate_store::ServiceStore;
use tidegate_store::clock::now_ms;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections at a time: probes and scrapers are few.
const CONNECTIONS_MAX: usize = 64;
/// One connection, from its begin to its end.
const CONNECTION: Duration = Duration::from_secs(30);
/// How long to rest where the system refuses connections.
const REFUSED_REST: Duration = Duration::from_millis(100);
/// No key has this id: a write that goes all the way and changes nothing.
const NO_KEY: &str = "readiness";

/// What readiness depends on.
pub(super) struct Readiness {
    pub(super) store: Arc<dyn ServiceStore>,
    pub(super) state: PathBuf,
    pub(super) disk_free_bytes_min: u64,
    pub(super) draining: CancellationToken,
}

/// Why the service should get no work.
struct Reason {
    code: &'static str,
    detail: String,
}

impl Readiness {
    async fn reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut because = |code, detail: &str| {
            let detail = detail.to_owned();
            reasons.push(Reason { code, detail });
        };
        if self.draining.is_cancelled() {
            because("draining", "the service is going away");
        }
        let written = self.store.touch_key(NO_KEY, now_ms());
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database cannot be written");
                because("database", "the database cannot be written");
            }
            Err(_) => because("database", "the database does not answer"),
        }
        match disk_free_bytes(&self.state) {
            Some(free) if free < self.disk_free_bytes_min => {
                let floor = self.disk_free_bytes_min;
                because(
                    "disk",
                    &format!("{free} bytes are free, of {floor} at least"),
                );
            }
            Some(_) => {}
            None => because("disk", "the state directory cannot be looked at"),
        }
        reasons
    }
}

/// Bytes that this program may still write below a directory.
pub(super) fn disk_free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Serves until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    figures: Figures,
    shutdown: CancellationToken,
) {
    let shared = Arc::new((readiness, figures));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = shutdown.cancelled() => break,
            next = next => next,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(REFUSED_REST).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(answer(&request, &shared.0, &shared.1).await) }
        });
        connections.spawn(async move {
            let _place = place;
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // Whoever goes away or is slow is no concern of the service.
            drop(tokio::time::timeout(CONNECTION, served).await);
        });
    }
}

async fn answer(
    request: &Request<Incoming>,
    readiness: &Readiness,
    figures: &Figures,
) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match request.uri().path() {
        // The loop that answers this is the one that does everything else.
        "/healthz" => json_of(StatusCode::OK, &json!({ "status": "ok" })),
        "/readyz" => {
            let reasons = readiness.reasons().await;
            let (status, word) = match reasons.is_empty() {
                true => (StatusCode::OK, "ready"),
                false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
            };
            let reasons: Vec<_> = reasons
                .iter()
                .map(|reason| json!({ "code": reason.code, "detail": reason.detail }))
                .collect();
            json_of(status, &json!({ "status": word, "reasons": reasons }))
        }
        "/metrics" => text(StatusCode::OK, figures.text()),
        _ => {
            let paths = "/metrics, /healthz and /readyz are here\n";
            text(StatusCode::NOT_FOUND, paths.to_owned())
        }
    }
}

fn json_of(status: StatusCode, value: &serde_json::Value) -> Response<Full<Bytes>> {
    with(status, "application/json", format!("{value}\n"))
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    with(status, "text/plain; version=0.0.4; charset=utf-8", text)
}

fn with(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
