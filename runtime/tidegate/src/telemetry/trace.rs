//! Traces: which spans are exported, and how a trace goes on in a job that runs later.

use super::{SCOPE, Sink};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::collections::HashMap;
use tidegate_engine::trace::Carrier;
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;

/// The field of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// Exports our own spans, whatever is logged; never their log lines, which are exported
/// as logs.
pub(super) fn layer(provider: &SdkTracerProvider) -> Sink {
    let is_ours = |metadata: &Metadata<'_>| {
        let target = metadata.target();
        metadata.is_span() && target.starts_with(SCOPE) && *metadata.level() <= Level::INFO
    };
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_ours))
        .boxed()
}

/// Lets jobs carry the trace of whoever asked for them.
pub(super) fn carry() {
    tidegate_engine::trace::install(Carrier { current, resume });
}

fn current() -> Option<String> {
    let mut fields = HashMap::new();
    let context = Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut fields);
    fields.remove(TRACEPARENT)
}

fn resume(span: &Span, traceparent: &str) {
    let fields = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&fields);
    if let Err(error) = span.set_parent(context) {
        tracing::debug!(?error, "a trace could not be gone on with");
    }
}
