//! Live figures of a run, for progress bars, summaries and records. They are counted
//! where the work is done, and summed when they are read.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_domain::Fault;
use tidegate_domain::id::{PartitionId, StreamName};
use tidegate_landing::writer::Landed;
use tidegate_sandbox::CallUsage;
use tidegate_store::clock::now_ms;
use tokio::sync::watch;

/// What a run, or one stream of it, came to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Records that guests emitted, committed or not.
    pub records: u64,
    /// Bytes of those records.
    pub record_bytes: u64,
    /// Rows that are committed.
    pub rows: u64,
    /// Rows that a cap or the schema refused, committed as such.
    pub rejected: u64,
    /// Objects that are committed.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Bytes of response bodies as they came.
    pub bytes_received: u64,
    /// CPU time of guests, in microseconds.
    pub guest_cpu_us: u64,
    /// The greatest memory of any guest, in bytes.
    pub guest_peak_memory_bytes: u64,
    /// Calls of guests.
    pub guest_calls: u64,
    /// Partitions that are being read.
    pub partitions_running: u64,
    /// Partitions read to their end or split.
    pub partitions_ended: u64,
    /// Partitions that wait for a time.
    pub partitions_parked: u64,
}

impl Add for Figures {
    type Output = Figures;

    fn add(self, other: Figures) -> Figures {
        Figures {
            records: self.records + other.records,
            record_bytes: self.record_bytes + other.record_bytes,
            rows: self.rows + other.rows,
            rejected: self.rejected + other.rejected,
            objects: self.objects + other.objects,
            object_bytes: self.object_bytes + other.object_bytes,
            requests: self.requests + other.requests,
            bytes_received: self.bytes_received + other.bytes_received,
            guest_cpu_us: self.guest_cpu_us + other.guest_cpu_us,
            guest_peak_memory_bytes: self
                .guest_peak_memory_bytes
                .max(other.guest_peak_memory_bytes),
            guest_calls: self.guest_calls + other.guest_calls,
            partitions_running: self.partitions_running + other.partitions_running,
            partitions_ended: self.partitions_ended + other.partitions_ended,
            partitions_parked: self.partitions_parked + other.partitions_parked,
        }
    }
}

/// Partitions of one stream that an attempt's record names; the rest is only counted.
const PARTITIONS_NAMED_MAX: usize = 500;

/// What an attempt did to one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionAttempt {
    /// How it ended.
    #[serde(flatten)]
    pub outcome: PartitionOutcome,
    /// When it was begun.
    pub started_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: u64,
    /// Records that its guest emitted.
    pub records: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Bytes of response bodies as they came.
    pub bytes_received: u64,
    /// CPU time of its guests, in microseconds.
    pub guest_cpu_us: u64,
    /// The greatest memory of any of its guests, in bytes.
    pub guest_peak_memory_bytes: u64,
}

/// How a partition's reading ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum PartitionOutcome {
    /// Read to its end, or replaced by smaller ones.
    Finished,
    /// Waits for a time.
    Parked {
        /// When it goes on, in milliseconds since the epoch.
        until_ms: u64,
    },
    /// Stopped on request.
    Stopped,
    /// Ended by a fault.
    Failed {
        /// The kind.
        fault: Fault,
        /// The error, for people; holds no secret.
        reason: String,
    },
}

/// The counters of one run: those of each stream, and of what belongs to none.
#[derive(Debug, Default)]
pub struct Progress {
    shared: Counters,
    streams: Mutex<BTreeMap<StreamName, Arc<Counters>>>,
}

impl Progress {
    /// Figures of the whole run, as of now.
    pub fn figures(&self) -> Figures {
        let streams = self.streams();
        streams
            .values()
            .fold(self.shared.figures(), |sum, stream| sum + stream.figures())
    }

    /// Figures of each stream, as of now.
    pub fn by_stream(&self) -> BTreeMap<StreamName, Figures> {
        let streams = self.streams();
        streams
            .iter()
            .map(|(name, stream)| (name.clone(), stream.figures()))
            .collect()
    }

    /// What became of the partitions of a stream, 500 at the most: those that did not
    /// finish before those that did.
    pub(crate) fn partitions(&self, name: &StreamName) -> BTreeMap<PartitionId, PartitionAttempt> {
        let counters = self.stream(name);
        let ended = counters.partitions();
        ended.clone()
    }

    /// Adds what one call used that belongs to no stream.
    pub(crate) fn add_call(&self, usage: &CallUsage) {
        self.shared.add_call(usage);
    }

    /// The counters of a stream.
    pub(crate) fn stream(&self, name: &StreamName) -> Arc<Counters> {
        Arc::clone(self.streams().entry(name.clone()).or_default())
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<StreamName, Arc<Counters>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counted without locks, save what the landing counts by itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    records: AtomicU64,
    record_bytes: AtomicU64,
    pub(crate) partitions_running: AtomicU64,
    pub(crate) partitions_ended: AtomicU64,
    pub(crate) partitions_parked: AtomicU64,
    requests: AtomicU64,
    bytes_received: AtomicU64,
    guest_cpu_us: AtomicU64,
    guest_peak_memory_bytes: AtomicU64,
    guest_calls: AtomicU64,
    landed: Mutex<Landings>,
    partitions: Mutex<BTreeMap<PartitionId, PartitionAttempt>>,
    /// The stream's counters, in those of one of its partitions.
    stream: Option<Arc<Counters>>,
}

/// What landed in writers that are closed, and in the one that is open.
#[derive(Debug, Default)]
struct Landings {
    closed: Figures,
    open: Option<watch::Receiver<Landed>>,
}

impl Counters {
    /// Counters of one partition, which count for its stream as well.
    pub(crate) fn of_partition(stream: &Arc<Counters>) -> Counters {
        Counters {
            stream: Some(Arc::clone(stream)),
            ..Counters::default()
        }
    }

    /// Adds what one call of a guest used.
    pub(crate) fn add_call(&self, usage: &CallUsage) {
        if let Some(stream) = &self.stream {
            stream.add_call(usage);
        }
        self.requests.fetch_add(usage.requests, Relaxed);
        self.bytes_received.fetch_add(usage.bytes_received, Relaxed);
        self.guest_cpu_us.fetch_add(usage.cpu_us, Relaxed);
        self.guest_peak_memory_bytes
            .fetch_max(usage.peak_memory_bytes, Relaxed);
        self.guest_calls.fetch_add(1, Relaxed);
    }

    /// Adds what a guest emitted.
    pub(crate) fn add_records(&self, records: u64, bytes: u64) {
        if let Some(stream) = &self.stream {
            stream.add_records(records, bytes);
        }
        self.records.fetch_add(records, Relaxed);
        self.record_bytes.fetch_add(bytes, Relaxed);
    }

    /// Notes how a partition of this stream ended, and what `counters` have of it.
    pub(crate) fn partition_ended(
        &self,
        id: PartitionId,
        counters: &Counters,
        outcome: PartitionOutcome,
        started_at_ms: u64,
    ) {
        let read = |figure: &AtomicU64| figure.load(Relaxed);
        let attempt = PartitionAttempt {
            outcome,
            started_at_ms,
            ended_at_ms: now_ms(),
            records: read(&counters.records),
            requests: read(&counters.requests),
            bytes_received: read(&counters.bytes_received),
            guest_cpu_us: read(&counters.guest_cpu_us),
            guest_peak_memory_bytes: read(&counters.guest_peak_memory_bytes),
        };
        let mut named = self.partitions();
        let is_finished = |it: &PartitionAttempt| it.outcome == PartitionOutcome::Finished;
        if named.len() >= PARTITIONS_NAMED_MAX && !named.contains_key(&id) {
            let dull = named.iter().find(|(_, it)| is_finished(it));
            match dull.map(|(id, _)| id.clone()) {
                Some(dull) if !is_finished(&attempt) => drop(named.remove(&dull)),
                _ => return,
            }
        }
        named.insert(id, attempt);
    }

    fn partitions(&self) -> MutexGuard<'_, BTreeMap<PartitionId, PartitionAttempt>> {
        self.partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows what a stream's writer lands.
    pub(crate) fn follow(&self, landed: watch::Receiver<Landed>) {
        let mut landings = self.landings();
        landings.closed = landings.figures();
        landings.open = Some(landed);
    }

    fn landings(&self) -> MutexGuard<'_, Landings> {
        self.landed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn figures(&self) -> Figures {
        let read = |figure: &AtomicU64| figure.load(Relaxed);
        let counted = Figures {
            records: read(&self.records),
            record_bytes: read(&self.record_bytes),
            requests: read(&self.requests),
            bytes_received: read(&self.bytes_received),
            guest_cpu_us: read(&self.guest_cpu_us),
            guest_peak_memory_bytes: read(&self.guest_peak_memory_bytes),
            guest_calls: read(&self.guest_calls),
            partitions_running: read(&self.partitions_running),
            partitions_ended: read(&self.partitions_ended),
            partitions_parked: read(&self.partitions_parked),
            ..Figures::default()
        };
        counted + self.landings().figures()
    }
}

impl Landings {
    fn figures(&self) -> Figures {
        let open = self.open.as_ref().map(|open| {
            let landed = open.borrow();
            Figures {
                rows: landed.rows,
                rejected: landed.rejected,
                objects: landed.objects,
                object_bytes: landed.bytes,
                ..Figures::default()
            }
        });
        self.closed + open.unwrap_or_default()
    }
}
