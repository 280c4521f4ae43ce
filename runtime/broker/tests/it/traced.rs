//! Everything that is traced on this thread, at every level, as text.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// What was traced so far.
#[derive(Clone, Default)]
pub(crate) struct Traced(Arc<Mutex<String>>);

impl Traced {
    /// Listens until the guard is dropped.
    pub(crate) fn listen() -> (Self, DefaultGuard) {
        let traced = Self::default();
        let subscriber = All {
            text: traced.clone(),
            spans: AtomicU64::new(1),
        };
        (traced, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, metadata: Option<&Metadata<'_>>, record: impl FnOnce(&mut dyn Visit)) {
        let mut line = Line(String::new());
        if let Some(metadata) = metadata {
            line.0 = format!("{} {}", metadata.target(), metadata.name());
        }
        record(&mut line);
        let mut text = self.0.lock().unwrap();
        text.push_str(&line.0);
        text.push('\n');
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

struct All {
    text: Traced,
    spans: AtomicU64,
}

impl Subscriber for All {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.text
            .add(Some(span.metadata()), |visit| span.record(visit));
        Id::from_u64(self.spans.fetch_add(1, Ordering::SeqCst))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.text.add(None, |visit| values.record(visit));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.text
            .add(Some(event.metadata()), |visit| event.record(visit));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
