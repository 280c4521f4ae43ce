//! How far live reads are behind their sources: what each said last, and the time that
//! has passed since. Nothing is measured by comparing two machines' clocks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_domain::id::{StreamName, SyncId, TenantId};
use tokio::time::Instant;

/// Streams that are shown at the most: those that are furthest behind.
const SHOWN_MAX: usize = 1_000;

/// What a live read is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    /// Whose.
    pub tenant: TenantId,
    /// Of which sync.
    pub sync: SyncId,
    /// Of which stream.
    pub stream: StreamName,
}

/// The lag of one live read.
#[derive(Debug)]
pub struct Lag(Mutex<(u64, Instant)>);

impl Lag {
    fn new(lag_ms: u64) -> Lag {
        Lag(Mutex::new((lag_ms, Instant::now())))
    }

    /// What the read says of itself, in milliseconds.
    pub(crate) fn tell(&self, lag_ms: u64) {
        *self.lock() = (lag_ms, Instant::now());
    }

    /// As of now, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        let (lag_ms, told_at) = *self.lock();
        let passed = told_at.elapsed().as_millis();
        lag_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lags of the live reads that this process has, or had and may have again.
#[derive(Debug, Default)]
pub(crate) struct Lags(Mutex<BTreeMap<Of, Arc<Lag>>>);

impl Lags {
    /// The one of a read, which was last heard of so long ago, in milliseconds.
    pub(crate) fn of(&self, of: Of, silent_ms: u64) -> Arc<Lag> {
        let mut lags = self.lock();
        let lag = lags.entry(of);
        Arc::clone(lag.or_insert_with(|| Arc::new(Lag::new(silent_ms))))
    }

    /// It is over, or another process has it.
    pub(crate) fn forget(&self, of: &Of) {
        self.lock().remove(of);
    }

    /// Those that are furthest behind, in milliseconds.
    pub(crate) fn now_ms(&self) -> Vec<(Of, u64)> {
        let lags = self.lock();
        let mut all: Vec<(Of, u64)> = lags
            .iter()
            .map(|(of, lag)| (of.clone(), lag.now_ms()))
            .collect();
        drop(lags);
        all.sort_by_key(|(_, lag_ms)| std::cmp::Reverse(*lag_ms));
        all.truncate(SHOWN_MAX);
        all
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Of, Arc<Lag>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::time::Duration;

    fn of(stream: &str) -> Of {
        Of {
            tenant: TenantId::parse("acme").unwrap(),
            sync: SyncId::parse("crm").unwrap(),
            stream: StreamName::parse(stream).unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lag_grows_with_time_until_the_read_says_otherwise() {
        let lags = Lags::default();
        let lag = lags.of(of("Account"), 500);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(lag.now_ms(), 2_500);
        lag.tell(40);
        assert_eq!(lag.now_ms(), 40);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(lags.now_ms(), [(of("Account"), 60_040)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_begins_again_is_as_late_as_it_was() {
        let lags = Lags::default();
        lags.of(of("Account"), 0).tell(7_000);
        lags.of(of("Contact"), 0).tell(9_000);
        assert_eq!(lags.of(of("Account"), 0).now_ms(), 7_000);
        let furthest: Vec<u64> = lags.now_ms().into_iter().map(|(_, ms)| ms).collect();
        assert_eq!(furthest, [9_000, 7_000]);
        lags.forget(&of("Contact"));
        assert_eq!(lags.now_ms(), [(of("Account"), 7_000)]);
    }
}
