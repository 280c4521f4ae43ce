//! What operators see of a running service: logs on standard error, figures for
//! Prometheus and, where a collector is configured, traces, figures and logs over
//! OTLP/HTTP.
//!
//! The crates below speak `tracing` alone: spans that are timed become figures here, and
//! events of the target `metric` are counted, so that nothing is measured twice and no
//! other crate knows how it is exported.

mod config;
mod export;
mod measure;
mod trace;

pub(crate) use config::{Config, Format};

use anyhow::{Context as _, Result};
use measure::Measure;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};
use std::io::IsTerminal as _;
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

/// Who says something: the name of our instruments' scope.
const SCOPE: &str = "tidegate";
/// How long the collector has to take the last of it.
const LAST_EXPORT: Duration = Duration::from_secs(2);
/// The variable that chooses what is logged, for every command.
const LOG_VARIABLE: &str = "TIDEGATE_LOG";

/// A layer of any kind.
type Sink = Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>;

/// What a service says of itself, while it runs.
pub(crate) struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
    loggers: Option<SdkLoggerProvider>,
}

/// Logs of a command that runs once.
pub(crate) fn of_command() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = log_layer(Format::Human);
    let sinks: Vec<Sink> = vec![log.with_filter(without_figures(filter)).boxed()];
    tracing_subscriber::registry().with(sinks).init();
}

impl Telemetry {
    /// Starts it, for the whole process and once in it. Exports run on the current
    /// runtime.
    pub(crate) fn start(config: &Config, format: Format) -> Result<Telemetry> {
        let filter = || without_figures(config.filter());
        let mut sinks = vec![log_layer(format).with_filter(filter()).boxed()];
        let resource = Resource::builder()
            .with_service_name("tidegate")
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        let registry = Registry::new();
        let prometheus = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            // All are of one scope: it would only be a label of every series.
            .scope_info_enabled(false);
        let prometheus = prometheus.build().context("the figures cannot be kept")?;
        let mut meters = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(prometheus);
        let (mut tracers, mut loggers) = (None, None);
        if let Some(exporters) = export::exporters(config)? {
            meters = meters.with_periodic_exporter(exporters.metrics);
            let traced = SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_sampler(config.sampler())
                .with_batch_exporter(exporters.spans)
                .build();
            sinks.push(trace::layer(&traced));
            tracers = Some(traced);
            let logged = SdkLoggerProvider::builder()
                .with_resource(resource)
                .with_batch_exporter(exporters.logs)
                .build();
            let bridge =
                opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge::new(&logged);
            sinks.push(bridge.with_filter(filter()).boxed());
            loggers = Some(logged);
        }
        let meters = meters.build();
        sinks.push(Measure::new(&meters.meter(SCOPE)).boxed());
        tracing_subscriber::registry().with(sinks).try_init()?;
        trace::carry();
        Ok(Telemetry {
            registry,
            meters,
            tracers,
            loggers,
        })
    }

    /// Where the service's own figures are registered.
    pub(crate) fn meter(&self) -> Meter {
        self.meters.meter(SCOPE)
    }

    /// The figures as Prometheus reads them.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            registry: self.registry.clone(),
        }
    }

    /// Sends what was not sent yet. Blocks, for a bounded time.
    pub(crate) fn stop(self) {
        let traced = self.tracers.map(|it| it.shutdown_with_timeout(LAST_EXPORT));
        let logged = self.loggers.map(|it| it.shutdown_with_timeout(LAST_EXPORT));
        let measured = self.meters.shutdown_with_timeout(LAST_EXPORT);
        let all = [traced, logged, Some(measured)];
        for error in all.into_iter().flatten().filter_map(Result::err) {
            tracing::warn!(%error, "the last of the telemetry was not sent");
        }
    }
}

/// The figures, to be read at any time.
#[derive(Clone)]
pub(crate) struct Figures {
    registry: Registry,
}

impl Figures {
    /// In Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        if let Err(error) = encoded {
            tracing::warn!(%error, "the figures cannot be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

fn log_layer(format: Format) -> Sink {
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        Format::Human => layer.boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// Figures are not for reading.
fn without_figures(filter: EnvFilter) -> EnvFilter {
    // Below `info`, h2 shows every frame: paths, and with them keys in their queries.
    let frames = "h2=info".parse();
    filter
        .add_directive(measure::off())
        .add_directive(frames.expect("a target and a level make a directive"))
}
