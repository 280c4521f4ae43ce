use super::*;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};
use tracing_subscriber::layer::SubscriberExt as _;

/// The figures that `work` leaves, as Prometheus reads them.
fn figures_of(work: impl FnOnce()) -> String {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter.build().expect("a new registry takes it"))
        .build();
    let measure = Measure::new(&provider.meter("test"));
    let subscriber = tracing_subscriber::registry().with(measure);
    tracing::subscriber::with_default(subscriber, work);
    let mut text = Vec::new();
    let encoded = TextEncoder::new().encode(&registry.gather(), &mut text);
    encoded.expect("figures are text");
    String::from_utf8(text).expect("Prometheus reads UTF-8")
}

#[test]
fn a_timed_span_is_told_apart_by_the_table_and_never_by_its_tenant() {
    let text = figures_of(|| {
        let span = tracing::info_span!(
            "job",
            tenant.id = "acme",
            job.class = "history",
            job.state = tracing::field::Empty
        );
        span.record("job.state", "succeeded");
    });
    assert!(
        text.contains("connector_sync_duration_seconds_count"),
        "{text}"
    );
    assert!(
        text.contains("job_class=\"history\",job_state=\"succeeded\""),
        "{text}"
    );
    assert!(!text.contains("acme"), "{text}");
}

#[test]
fn events_of_the_target_are_counted_and_others_are_not() {
    let text = figures_of(|| {
        tracing::event!(target: "metric", tracing::Level::INFO, connector.records = 3u64);
        tracing::event!(target: "metric", tracing::Level::INFO, connector.records = 4u64);
        tracing::info!(connector.records = 100u64, "not a figure");
        tracing::event!(target: "metric", tracing::Level::INFO, wasm.trap = 1u64, wasm.trap.kind = "limit");
        for step in [1i64, 1, -1] {
            tracing::event!(target: "metric", tracing::Level::INFO, connector.batch.staged.count = step);
        }
    });
    let counted = text
        .lines()
        .find(|line| line.starts_with("connector_records_total"));
    let counted = counted.unwrap_or_else(|| panic!("{text}"));
    assert!(counted.ends_with(" 7"), "{counted}");
    assert!(text.contains("wasm_trap_kind=\"limit\""), "{text}");
    let staged = text
        .lines()
        .find(|line| line.starts_with("connector_batch_staged_count"));
    assert!(staged.is_some_and(|line| line.ends_with(" 1")), "{text}");
}
