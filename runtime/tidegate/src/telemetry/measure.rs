//! From spans and events to figures: what a timed span took, and what events of the
//! target `metric` count. A fixed table says which, and by what they are told apart, so
//! that no tenant and nothing else without bounds becomes a label.

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, Value};
use std::collections::HashMap;
use std::fmt::Debug;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The target of events that are only counted.
const TARGET: &str = "metric";

/// Seconds of requests (the buckets of the semantic conventions), and of work.
const SHORT: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const LONG: &[f64] = &[
    0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0,
];
const BYTES: &[f64] = &[1e6, 4e6, 16e6, 64e6, 128e6, 256e6, 512e6, 1e9];
const SHARES: &[f64] = &[0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0];

/// A span, the figure of its duration, the fields that tell its values apart, and the
/// buckets.
type Timed = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [f64],
);

#[rustfmt::skip]
const TIMED: &[Timed] = &[
    ("http.server.request", "http.server.request.duration", &["http.request.method", "http.route", "http.response.status_code"], SHORT),
    ("http.client.request", "http.client.request.duration", &["connector.name", "http.request.method", "http.response.status_code", "error.type"], SHORT),
    ("job", "connector.sync.duration", &["job.class", "job.state"], LONG),
    ("guest.call", "wasm.call.duration", &["guest.call"], LONG),
    ("wasm.compile", "wasm.compile.duration", &[], LONG),
    ("seal", "connector.batch.seal.duration", &[], LONG),
    ("upload", "connector.batch.upload.duration", &[], LONG),
    ("commit", "connector.batch.commit.duration", &[], LONG),
    ("oauth.refresh", "oauth.refresh.duration", &["error.type"], SHORT),
];

/// What is counted, its unit and what it is.
#[rustfmt::skip]
const COUNTED: &[(&str, &str, &str)] = &[
    ("connector.records", "{record}", "Rows that were committed."),
    ("connector.bytes", "By", "Bytes of objects that were committed."),
    ("connector.fenced", "{event}", "Writers that found another in their place."),
    ("connector.rewind.count", "{event}", "Streams that are read anew because their cursor no longer holds."),
    ("egress.denied", "{request}", "Requests that policy refused, by rule."),
    ("egress.reported", "{request}", "Requests that policy would refuse and only reports, by rule."),
    ("wasm.trap", "{call}", "Calls of guests that were ended for what the guest did."),
];

/// What comes and goes.
#[rustfmt::skip]
const LEVELS: &[(&str, &str, &str)] = &[
    ("connector.batch.staged.count", "{batch}", "Batches that are sealed on this node and not yet in a log."),
];

/// What is spread over buckets.
#[rustfmt::skip]
const SPREAD: &[(&str, &str, &[f64], &str)] = &[
    ("ratelimit.wait.duration", "s", SHORT, "How long requests waited for a provider's limits."),
    ("ratelimit.budget.utilization", "1", SHARES, "How far the fullest limit of a request was used up when it was let through or refused."),
    ("connector.commit.lag", "s", LONG, "How long a batch takes from its seal on this node to its place in the log."),
    ("wasm.memory.usage", "By", BYTES, "The greatest memory of a call of a guest."),
];

/// Leaves the events that are only counted out of a log.
pub(super) fn off() -> Directive {
    let directive = format!("{TARGET}=off").parse();
    directive.expect("a target and a level make a directive")
}

/// The instruments.
pub(super) struct Measure {
    timed: HashMap<&'static str, (Histogram<f64>, &'static [&'static str])>,
    counted: HashMap<&'static str, Counter<u64>>,
    levels: HashMap<&'static str, UpDownCounter<i64>>,
    spread: HashMap<&'static str, Histogram<f64>>,
}

impl Measure {
    pub(super) fn new(meter: &Meter) -> Measure {
        let histogram = |name: &'static str, unit: &'static str, bounds: &[f64]| {
            let builder = meter.f64_histogram(name).with_unit(unit);
            builder.with_boundaries(bounds.to_vec())
        };
        let timed = TIMED.iter().map(|(span, name, fields, bounds)| {
            let description = format!("How long `{span}` takes.");
            let built = histogram(name, "s", bounds).with_description(description);
            (*span, (built.build(), *fields))
        });
        let counted = COUNTED.iter().map(|(name, unit, description)| {
            let built = meter.u64_counter(*name).with_unit(*unit);
            (*name, built.with_description(*description).build())
        });
        let levels = LEVELS.iter().map(|(name, unit, description)| {
            let built = meter.i64_up_down_counter(*name).with_unit(*unit);
            (*name, built.with_description(*description).build())
        });
        let spread = SPREAD.iter().map(|(name, unit, bounds, description)| {
            let built = histogram(name, unit, bounds);
            (*name, built.with_description(*description).build())
        });
        Measure {
            timed: timed.collect(),
            counted: counted.collect(),
            levels: levels.collect(),
            spread: spread.collect(),
        }
    }
}

/// What a timed span is told apart by, and since when it is there.
struct Timing {
    began: Instant,
    labels: Labels,
}

/// Fields that were asked for.
struct Labels {
    wanted: &'static [&'static str],
    found: Vec<KeyValue>,
}

impl Labels {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        if self.wanted.contains(&field.name()) {
            self.found.push(KeyValue::new(field.name(), value));
        }
    }
}

impl Visit for Labels {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.wanted.contains(&field.name()) {
            self.add(field, format!("{value:?}"));
        }
    }
}

impl<S> Layer<S> for Measure
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let (Some((_, wanted)), Some(span)) = (
            self.timed.get(attributes.metadata().name()),
            context.span(id),
        ) else {
            return;
        };
        let found = Vec::with_capacity(wanted.len());
        let mut labels = Labels { wanted, found };
        attributes.record(&mut labels);
        let began = Instant::now();
        span.extensions_mut().insert(Timing { began, labels });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(timing) = span.extensions_mut().get_mut::<Timing>()
        {
            values.record(&mut timing.labels);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let extensions = span.extensions();
        if let Some(timing) = extensions.get::<Timing>()
            && let Some((histogram, _)) = self.timed.get(span.name())
        {
            let seconds = timing.began.elapsed().as_secs_f64();
            histogram.record(seconds, &timing.labels.found);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TARGET {
            let mut counting = Counting::default();
            event.record(&mut counting);
            counting.add_to(self);
        }
    }
}

/// The figures of one event, and what they are told apart by.
#[derive(Default)]
struct Counting {
    figures: Vec<(&'static str, Figure)>,
    labels: Vec<KeyValue>,
}

#[derive(Clone, Copy)]
enum Figure {
    Count(u64),
    Step(i64),
    Value(f64),
}

impl Counting {
    fn add_to(self, measure: &Measure) {
        for (name, figure) in self.figures {
            match figure {
                Figure::Count(count) => {
                    if let Some(counter) = measure.counted.get(name) {
                        counter.add(count, &self.labels);
                    } else if let Some(histogram) = measure.spread.get(name) {
                        histogram.record(count as f64, &self.labels);
                    }
                }
                Figure::Step(by) => {
                    if let Some(level) = measure.levels.get(name) {
                        level.add(by, &self.labels);
                    }
                }
                Figure::Value(value) => {
                    if let Some(histogram) = measure.spread.get(name) {
                        histogram.record(value, &self.labels);
                    }
                }
            }
        }
    }
}

impl Visit for Counting {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.figures.push((field.name(), Figure::Count(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.figures.push((field.name(), Figure::Step(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.figures.push((field.name(), Figure::Value(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.labels
            .push(KeyValue::new(field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

#[cfg(test)]
mod tests;
