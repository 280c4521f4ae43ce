//! What the operator decides about telemetry.

use crate::config::resolve;
use anyhow::{Context as _, Result, bail};
use opentelemetry_sdk::trace::Sampler;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidegate_domain::spec::SecretRef;
use tracing_subscriber::EnvFilter;
use url::Url;

/// The environment's own names, which every OpenTelemetry program honours.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Logs, and where traces, figures and logs are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// How log lines look; without it JSON with `--json`, else for people.
    pub(crate) log: Option<Format>,
    /// What is logged, such as `info,tidegate_broker=debug`. `TIDEGATE_LOG` comes first.
    pub(crate) log_filter: String,
    /// Where an OpenTelemetry collector takes OTLP over HTTP, such as
    /// `http://127.0.0.1:4318`. Without it `OTEL_EXPORTER_OTLP_ENDPOINT`, and without
    /// that nothing is sent.
    pub(crate) otlp_endpoint: Option<String>,
    /// Headers of what is sent there.
    pub(crate) otlp_headers: BTreeMap<String, SecretRef>,
    /// The share of traces that are sent, from 0 to 1. A trace is sent whole.
    pub(crate) traces_ratio: f64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON object in each line.
    Json,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            log: None,
            log_filter: "info".to_owned(),
            otlp_endpoint: None,
            otlp_headers: BTreeMap::new(),
            traces_ratio: 1.0,
        }
    }
}

impl Config {
    /// Checks what the types cannot, secrets included.
    pub(crate) fn check(&self) -> Result<()> {
        EnvFilter::try_new(&self.log_filter).context("telemetry.log_filter")?;
        if !(0.0..=1.0).contains(&self.traces_ratio) {
            bail!("telemetry.traces_ratio: use a number from 0 to 1");
        }
        self.endpoint("v1/traces")?;
        self.headers()?;
        Ok(())
    }

    /// What is logged.
    pub(super) fn filter(&self) -> EnvFilter {
        let by_variable = EnvFilter::try_from_env(super::LOG_VARIABLE);
        by_variable.unwrap_or_else(|_| EnvFilter::new(&self.log_filter))
    }

    /// Which traces are sent.
    pub(super) fn sampler(&self) -> Sampler {
        let ratio = Sampler::TraceIdRatioBased(self.traces_ratio);
        Sampler::ParentBased(Box::new(ratio))
    }

    /// Where one kind (`v1/traces`) is sent; none: nowhere.
    pub(super) fn endpoint(&self, path: &str) -> Result<Option<Url>> {
        let (name, text) = match &self.otlp_endpoint {
            Some(text) => ("telemetry.otlp_endpoint", text.clone()),
            None => match std::env::var(ENDPOINT_VARIABLE) {
                Ok(text) if !text.is_empty() => (ENDPOINT_VARIABLE, text),
                _ => return Ok(None),
            },
        };
        let whole = format!("{}/{path}", text.trim_end_matches('/'));
        let url = Url::parse(&whole).ok().filter(|url| {
            let is_plain = url.username().is_empty() && url.password().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain
        });
        let url = url.with_context(|| format!("{name}: use http(s)://host[:port][/path]"))?;
        Ok(Some(url))
    }

    /// Headers of what is sent, read from where they are.
    pub(super) fn headers(&self) -> Result<Vec<(String, SecretString)>> {
        let read = |(name, place): (&String, &SecretRef)| -> Result<_> {
            let secret = resolve(place, &format!("telemetry.otlp_headers.{name}"))?;
            Ok((name.clone(), secret))
        };
        self.otlp_headers.iter().map(read).collect()
    }
}
