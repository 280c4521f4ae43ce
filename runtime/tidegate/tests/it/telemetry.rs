//! What leaves a service about itself: one trace for one job, and no secret anywhere.

use crate::service::{Service, command};
use crate::site::{Options, Site, guest};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What left the service, by where it went.
type Sinks = Vec<(&'static str, Vec<u8>)>;

/// What a collector was sent, by path.
type Received = Arc<Mutex<Vec<(String, Bytes)>>>;

/// A collector that takes everything; its address.
async fn collector(received: Received, tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let received = Arc::clone(&received);
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let received = Arc::clone(&received);
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    received.lock().unwrap().push((path, body));
                    Ok::<_, hyper::Error>(http::Response::new(Full::new(Bytes::new())))
                }
            });
            connections.spawn(async move {
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                drop(served.await);
            });
        }
    });
    format!("http://{address}")
}

/// Runs one job with everything that exports switched on; ends the service.
fn run_a_job(site: (&Path, &Path, &str), collector: &str) -> (String, Sinks) {
    let (folder, file, token) = site;
    let mut command = command(folder);
    command
        .arg("--config")
        .arg(file)
        .env("TIDEGATE_LOG", "trace")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    let service = Service::start(folder, command);
    service.upload(&guest("hubspot"));
    service.configure(token, &folder.join("lake"));
    let job = service.must("POST", "/v1/syncs/crm/jobs", &Value::Null);
    let job = service.job_to_end(job["id"].as_str().unwrap());
    assert_eq!(job["state"], "succeeded", "{job}\n{}", service.log());
    let id = job["id"].as_str().unwrap();
    let attempts = service.must("GET", &format!("/v1/jobs/{id}/attempts"), &Value::Null);
    let lines = service.must("GET", &format!("/v1/jobs/{id}/log"), &Value::Null);
    let figures = service.health("/metrics").1;
    for name in [
        "connector_records_total",
        "http_client_request_duration_seconds",
        "wasm_call_duration",
        "connector_batch_staged_count 0",
        "connector_commit_lag_seconds",
        "ratelimit_budget_utilization",
        "job_class=\"incremental\"",
    ] {
        assert!(figures.contains(name), "{name} is missing: {figures}");
    }
    assert!(!figures.contains("otel_scope"), "{figures}");
    let (key, log) = (service.key.clone(), service.log());
    assert!(service.end().success());
    let sinks = vec![
        ("logs", log.into_bytes()),
        ("figures", figures.into_bytes()),
        ("attempts", attempts.to_string().into_bytes()),
        ("job log", lines.to_string().into_bytes()),
    ];
    (key, sinks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_one_trace_from_its_request_to_its_commit_and_no_sink_holds_a_secret() {
    let crm = crm_sim::hubspot::Config {
        contacts: 500,
        limit_scale: None,
        ..crm_sim::hubspot::Config::default()
    };
    let site = Site::new(crm, Options::default()).await;
    let url = site.crm.base_url();
    site.write(
        "serve.yaml",
        &format!(
            "node: {{ broker: {{ limit_scale: 1000, mappings: [{{ from: 'https://api.hubapi.com', to: '{url}' }}] }} }}\n"
        ),
    );
    let (received, mut tasks) = (Received::default(), JoinSet::new());
    let collector = collector(Arc::clone(&received), &mut tasks).await;
    let token = site.crm.private_app_token().to_owned();
    let (folder, file) = (site.folder.path().to_owned(), site.path("serve.yaml"));
    // The site's own files hold the token on purpose.
    for name in ["token", "sync.yaml", "operator.yaml"] {
        std::fs::remove_file(site.path(name)).unwrap();
    }
    let secret = token.clone();
    let ran = tokio::task::spawn_blocking(move || run_a_job((&folder, &file, &secret), &collector));
    let (key, mut sinks) = ran.await.unwrap();
    let received = std::mem::take(&mut *received.lock().unwrap());
    is_one_tree(&received);
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        assert!(
            received.iter().any(|(to, _)| to == path),
            "nothing for {path}"
        );
    }
    sinks.extend(
        received
            .into_iter()
            .map(|(_, body)| ("telemetry", body.to_vec())),
    );
    for file in files_below(site.folder.path()) {
        sinks.push(("files", std::fs::read(file).unwrap()));
    }
    for (sink, bytes) in sinks {
        for canary in [token.as_bytes(), key.as_bytes()] {
            let found = bytes.windows(canary.len()).any(|window| window == canary);
            assert!(!found, "{sink} hold a secret");
        }
    }
}

/// Every span of the request's trace hangs below it, in the order of the work.
fn is_one_tree(received: &[(String, Bytes)]) {
    let mut spans: BTreeMap<Vec<u8>, Span> = BTreeMap::new();
    for (_, body) in received.iter().filter(|(path, _)| path == "/v1/traces") {
        let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
        let scopes = request
            .resource_spans
            .into_iter()
            .flat_map(|it| it.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            spans.insert(span.span_id.clone(), span);
        }
    }
    let job = spans.values().find(|span| span.name == "job");
    let trace = job.expect("a job is traced").trace_id.clone();
    spans.retain(|_, span| span.trace_id == trace);
    let roots: Vec<_> = spans
        .values()
        .filter(|span| span.parent_span_id.is_empty())
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(roots, ["http.server.request"], "the trace is not one tree");
    let line = |name: &str| -> Vec<Vec<&str>> {
        let named = spans.values().filter(|span| span.name == name);
        named
            .map(|span| {
                let (mut names, mut at) = (Vec::new(), span);
                while let Some(parent) = spans.get(&at.parent_span_id) {
                    names.push(parent.name.as_str());
                    at = parent;
                }
                names
            })
            .collect()
    };
    for (name, above) in [
        ("partition", &["stream", "job", "http.server.request"][..]),
        (
            "guest.call",
            &["partition", "stream", "job", "http.server.request"],
        ),
        (
            "http.client.request",
            &[
                "guest.call",
                "partition",
                "stream",
                "job",
                "http.server.request",
            ],
        ),
        ("seal", &["stream", "job", "http.server.request"]),
        ("commit", &["stream", "job", "http.server.request"]),
        (
            "upload",
            &["commit", "stream", "job", "http.server.request"],
        ),
    ] {
        let lines = line(name);
        assert!(
            lines.iter().any(|line| line == above),
            "{name} hangs below {lines:?}"
        );
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path))
        } else {
            files.push(path)
        }
    }
    files
}
