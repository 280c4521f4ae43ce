//! Batches between their seal and the log, as operators see them.

use tidegate_store::streams::Intent;
use tokio::time::Instant;

/// A sealed batch on its way to the log. Counted as long as it is here.
pub(crate) struct Sealed {
    pub(crate) intent: Intent,
    since: Instant,
}

impl Sealed {
    pub(crate) fn new(intent: Intent) -> Sealed {
        tracing::event!(target: "metric", tracing::Level::INFO, connector.batch.staged.count = 1i64);
        let since = Instant::now();
        Sealed { intent, since }
    }

    /// It is in the log.
    pub(crate) fn committed(&self) {
        let lag_s = self.since.elapsed().as_secs_f64();
        tracing::event!(target: "metric", tracing::Level::INFO, connector.commit.lag = lag_s);
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        tracing::event!(target: "metric", tracing::Level::INFO, connector.batch.staged.count = -1i64);
    }
}
