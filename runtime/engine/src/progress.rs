//! Live figures of a run, for progress bars and summaries. They are counted where
//! the work is done and read without locks.

use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_sandbox::CallUsage;

/// Figures of one run, over all its streams.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records that guests emitted, committed or not.
    pub records: AtomicU64,
    /// Bytes of those records.
    pub record_bytes: AtomicU64,
    /// Partitions that are being read.
    pub partitions_running: AtomicU64,
    /// Partitions read to their end or split.
    pub partitions_ended: AtomicU64,
    /// Partitions that wait for a time.
    pub partitions_parked: AtomicU64,
    /// Rows that are committed.
    pub rows_committed: AtomicU64,
    /// Objects that are committed.
    pub objects_committed: AtomicU64,
    /// Their bytes.
    pub object_bytes: AtomicU64,
    /// CPU time of guests, in microseconds.
    pub guest_cpu_us: AtomicU64,
    /// The greatest memory of any guest, in bytes.
    pub guest_peak_memory_bytes: AtomicU64,
    /// Calls of guests.
    pub guest_calls: AtomicU64,
}

impl Progress {
    /// Adds what one call of a guest used.
    pub fn add_call(&self, usage: &CallUsage) {
        self.guest_cpu_us.fetch_add(usage.cpu_us, Ordering::Relaxed);
        self.guest_peak_memory_bytes
            .fetch_max(usage.peak_memory_bytes, Ordering::Relaxed);
        self.guest_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// A figure, as of now.
    pub fn read(figure: &AtomicU64) -> u64 {
        figure.load(Ordering::Relaxed)
    }
}
