//! Traces that outlive a request: a job carries the W3C `traceparent` of whoever asked
//! for it, and its attempts go on in that trace, on whatever node they run.
//!
//! Which library exports traces is the program's to know; without one nothing is
//! carried.

use std::sync::OnceLock;
use tracing::Span;

/// How the program's tracing library names a trace, and goes on with a named one.
#[derive(Clone, Copy, Debug)]
pub struct Carrier {
    /// The `traceparent` of the current span.
    pub current: fn() -> Option<String>,
    /// Makes a span that was not entered yet a child of the one that `traceparent` names.
    pub resume: fn(&Span, &str),
}

static CARRIER: OnceLock<Carrier> = OnceLock::new();

/// Sets how traces are carried: once in a process, and only the first counts.
pub fn install(carrier: Carrier) {
    CARRIER.get_or_init(|| carrier);
}

pub(crate) fn current() -> Option<String> {
    (CARRIER.get()?.current)()
}

pub(crate) fn resume(span: &Span, traceparent: Option<&str>) {
    if let (Some(carrier), Some(traceparent)) = (CARRIER.get(), traceparent) {
        (carrier.resume)(span, traceparent);
    }
}
