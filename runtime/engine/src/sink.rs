//! The sandbox's sink over landing's partition writer: what a guest emits and saves
//! goes into the stream's open batch.

use crate::lag::Lag;
use crate::progress::Counters;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tidegate_landing::page::Page;
use tidegate_landing::partition::PartitionWriter;
use tidegate_sandbox::{Directive, Sink, SinkError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One partition's sink.
pub(crate) struct PartitionSink {
    writer: PartitionWriter,
    stop: CancellationToken,
    counters: Arc<Counters>,
    lag: Option<Arc<Lag>>,
    saves: u64,
    yield_at: Instant,
}

/// After this long a guest is asked to give its instance back: it goes on in a fresh
/// one from its checkpoint, well before the sandbox's wall clock would end it.
const TURN: Duration = Duration::from_secs(600);

impl PartitionSink {
    /// A sink that writes to `writer` and tells the guest to stop with `stop`.
    pub(crate) fn new(
        writer: PartitionWriter,
        stop: CancellationToken,
        counters: Arc<Counters>,
        lag: Option<Arc<Lag>>,
    ) -> Self {
        PartitionSink {
            writer,
            stop,
            counters,
            lag,
            saves: 0,
            yield_at: Instant::now() + TURN,
        }
    }

    /// The writer, once the call is over.
    pub(crate) fn writer(&mut self) -> &mut PartitionWriter {
        &mut self.writer
    }
}

#[async_trait]
impl Sink for PartitionSink {
    async fn push(&mut self, page: Page) -> Result<(), SinkError> {
        let bytes: u64 = page
            .rows
            .iter()
            .map(|row| u64::from(row.record.end - row.record.start))
            .sum();
        self.counters.add_records(page.rows.len() as u64, bytes);
        let pushed = self.writer.push(page).await;
        pushed.map_err(refuse)
    }

    async fn save(&mut self, state: String) -> Result<Directive, SinkError> {
        let saved = self.writer.save(state).await;
        saved.map_err(refuse)?;
        self.saves += 1;
        Ok(self.poll())
    }

    fn poll(&self) -> Directive {
        if self.stop.is_cancelled() {
            Directive::Stop
        } else if Instant::now() >= self.yield_at {
            Directive::YieldSoon
        } else {
            Directive::Proceed
        }
    }

    fn lag(&mut self, lag_ms: u64) {
        if let Some(lag) = &self.lag {
            lag.tell(lag_ms);
        }
    }

    fn has_saved(&self) -> bool {
        self.saves > 0
    }
}

fn refuse(error: tidegate_landing::Error) -> SinkError {
    SinkError::Failed {
        fault: error.fault(),
        source: Box::new(error),
    }
}
