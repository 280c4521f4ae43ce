//! Sends telemetry over OTLP/HTTP, through the broker's dialer: the one TLS stack.

use super::Config;
use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use secrecy::ExposeSecret as _;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate_broker::Origin;
use tidegate_broker::dial::{Dialer, HttpClient, http_client};
use tokio::runtime::Handle;
use tracing::instrument::WithSubscriber as _;

/// One export, from the socket to the last byte of the answer.
const EXPORT: Duration = Duration::from_secs(10);
/// Bytes of a collector's answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What sends each kind.
pub(super) struct Exporters {
    pub(super) spans: SpanExporter,
    pub(super) metrics: MetricExporter,
    pub(super) logs: LogExporter,
}

/// None where no collector is configured.
pub(super) fn exporters(config: &Config) -> Result<Option<Exporters>> {
    let urls = (
        config.endpoint("v1/traces")?,
        config.endpoint("v1/metrics")?,
        config.endpoint("v1/logs")?,
    );
    let (Some(traces), Some(metrics), Some(logs)) = urls else {
        return Ok(None);
    };
    let origin = Origin::of(&traces).context("the collector's address has no origin")?;
    // The operator chose it, so it may be plain http and on a private address.
    let dialer = Dialer::new(&tidegate_broker::Config::default())?.reaching(&[origin]);
    let sender = Sender {
        client: http_client(&dialer),
        runtime: Handle::current(),
        is_down: Arc::default(),
    };
    let headers: HashMap<String, String> = config
        .headers()?
        .into_iter()
        .map(|(name, value)| (name, value.expose_secret().to_owned()))
        .collect();
    let exporters = Exporters {
        spans: SpanExporter::builder()
            .with_http()
            .with_http_client(sender.clone())
            .with_endpoint(traces)
            .with_headers(headers.clone())
            .build()?,
        metrics: MetricExporter::builder()
            .with_http()
            .with_http_client(sender.clone())
            .with_endpoint(metrics)
            .with_headers(headers.clone())
            .build()?,
        logs: LogExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_endpoint(logs)
            .with_headers(headers)
            .build()?,
    };
    Ok(Some(exporters))
}

/// Sends on the service's runtime: the exporters wait on threads of their own.
#[derive(Clone, Debug)]
struct Sender {
    client: HttpClient<Full<Bytes>>,
    runtime: Handle,
    /// Whether the last export failed, so that a collector that is away is one line of
    /// log and not one for each export.
    is_down: Arc<AtomicBool>,
}

#[async_trait]
impl opentelemetry_http::HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let send = async move {
            let exchange = async {
                let answer = client.send(request.map(Full::new)).await?;
                let (parts, body) = answer.into_parts();
                let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
                Ok::<_, HttpError>(Response::from_parts(parts, body.to_bytes()))
            };
            // Begun here, since whoever polls the exporter has no clock of the runtime's.
            tokio::time::timeout(EXPORT, exchange).await
        };
        // What an export logs would be exported in turn.
        let silent = send.with_subscriber(tracing::subscriber::NoSubscriber::default());
        let sent = match self.runtime.spawn(silent).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) => Err(anyhow!("no answer in time").into()),
            Err(error) => Err(error.into()),
        };
        let refused = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let was_down = self.is_down.swap(refused.is_some(), Ordering::Relaxed);
        match refused {
            Some(reason) if !was_down => {
                tracing::warn!(reason, "the telemetry collector takes nothing");
            }
            None if was_down => tracing::info!("the telemetry collector is back"),
            _ => {}
        }
        sent
    }
}
