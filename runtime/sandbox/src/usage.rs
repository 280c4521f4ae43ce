//! What a call takes: counted as it goes, so that a call that was killed is
//! accounted for like any other.

use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

/// What one call took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallUsage {
    /// CPU time in microseconds: the guest's own and the host's inside its calls.
    pub cpu_us: u64,
    /// Wall clock in milliseconds.
    pub wall_ms: u64,
    /// The most linear memory that it held at once.
    pub peak_memory_bytes: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Bytes of response bodies as they came, before decompression.
    pub bytes_received: u64,
    /// Records pushed, deletes included.
    pub emitted_records: u64,
    /// Bytes of records pushed.
    pub emitted_bytes: u64,
    /// Records refused by a cap or a schema.
    pub rejected_records: u64,
    /// Calls of imports.
    pub host_calls: u64,
    /// Bytes of log lines that were kept.
    pub log_bytes: u64,
    /// Bytes of log lines that were dropped.
    pub log_bytes_dropped: u64,
    /// Series that the guest reported, by name and labels.
    pub metrics: BTreeMap<String, Series>,
}

/// One series of a guest's metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Series {
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

/// The counters of a running call.
#[derive(Default)]
pub(crate) struct Meter {
    cpu_before_ns: AtomicU64,
    poll_began_ns: AtomicU64,
    memory_bytes: AtomicU64,
    peak_memory_bytes: AtomicU64,
    memory_refused: AtomicBool,
    pub(crate) emitted_records: AtomicU64,
    pub(crate) emitted_bytes: AtomicU64,
    pub(crate) rejected_records: AtomicU64,
    pub(crate) host_calls: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) log_bytes_dropped: AtomicU64,
    metrics: Mutex<BTreeMap<String, Series>>,
}

impl Meter {
    /// CPU time so far. Only from within a metered poll, on its thread.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let running = thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Relaxed));
        self.cpu_before_ns.load(Relaxed) + running
    }

    /// Takes note of memory before it grows; false refuses it.
    pub(crate) fn grow_memory(&self, more: u64, max: u64) -> bool {
        let total = self.memory_bytes.load(Relaxed).saturating_add(more);
        if total > max {
            self.memory_refused.store(true, Relaxed);
            return false;
        }
        self.memory_bytes.store(total, Relaxed);
        self.peak_memory_bytes.fetch_max(total, Relaxed);
        true
    }

    /// Whether the guest asked for more memory than it may have.
    pub(crate) fn memory_refused(&self) -> bool {
        self.memory_refused.load(Relaxed)
    }

    /// Adds a value to a series; a new series past the cap is dropped.
    pub(crate) fn record(&self, series: String, value: f64, series_max: usize) {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        if metrics.len() < series_max || metrics.contains_key(&series) {
            let entry = metrics.entry(series).or_default();
            entry.count += 1;
            entry.sum += value;
        }
    }

    pub(crate) fn usage(&self, wall_ms: u64, network: tidegate_broker::Usage) -> CallUsage {
        CallUsage {
            cpu_us: self.cpu_before_ns.load(Relaxed) / 1_000,
            wall_ms,
            peak_memory_bytes: self.peak_memory_bytes.load(Relaxed),
            requests: network.requests,
            bytes_received: network.bytes_received,
            emitted_records: self.emitted_records.load(Relaxed),
            emitted_bytes: self.emitted_bytes.load(Relaxed),
            rejected_records: self.rejected_records.load(Relaxed),
            host_calls: self.host_calls.load(Relaxed),
            log_bytes: self.log_bytes.load(Relaxed),
            log_bytes_dropped: self.log_bytes_dropped.load(Relaxed),
            metrics: self
                .metrics
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

/// Polls a guest and charges the thread's CPU time of each poll to its meter.
pub(crate) struct Metered<'a, F> {
    pub(crate) future: Pin<Box<F>>,
    pub(crate) meter: &'a Meter,
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began_ns = thread_cpu_ns();
        self.meter.poll_began_ns.store(began_ns, Relaxed);
        let poll = self.future.as_mut().poll(context);
        let spent_ns = thread_cpu_ns().saturating_sub(began_ns);
        self.meter.cpu_before_ns.fetch_add(spent_ns, Relaxed);
        poll
    }
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u64::try_from(time.tv_nsec).unwrap_or_default(),
    );
    seconds * 1_000_000_000 + nanoseconds
}
