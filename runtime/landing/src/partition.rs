//! One partition's side of the batch: holds what was emitted since the last save,
//! and hands it over together with the new state.

use crate::Error;
use crate::page::Page;
use crate::writer::WriterHandle;
use std::path::PathBuf;
use tidegate_broker::spool;
use tidegate_domain::id::PartitionId;
use tidegate_domain::stream::{End, PlannedPartition};
use tokio::sync::oneshot;

/// Bytes that wait in memory for a save; what is above goes to disk.
const UNSAVED_BYTES_MAX: usize = 8 << 20;

/// Saves of more bytes are waited for: what waits behind them is memory, and what they cost
/// hides two threads that meet.
const LATE_BYTES_MAX: usize = 1 << 20;

/// Rows, refused ones included, that may wait for a save: their places stay in memory
/// when the bodies are spilled.
const UNSAVED_ROWS_MAX: usize = 2_000_000;

/// Pages of one partition since its last save.
pub struct PartitionWriter {
    writer: WriterHandle,
    partition: PartitionId,
    unsaved: Vec<Page>,
    unsaved_bytes: usize,
    unsaved_rows: usize,
    /// The answer to the last save. One may be on its way, so that the reader goes on
    /// while the writer takes it.
    unanswered: Option<oneshot::Receiver<Result<(), Error>>>,
    spool_dir: PathBuf,
}

impl PartitionWriter {
    /// The partition's side of `writer`. Bodies above the memory bound go to
    /// unlinked files in `spool_dir`.
    pub fn new(
        writer: WriterHandle,
        partition: PartitionId,
        spool_dir: PathBuf,
    ) -> PartitionWriter {
        PartitionWriter {
            writer,
            partition,
            unsaved: Vec::new(),
            unsaved_bytes: 0,
            unsaved_rows: 0,
            unanswered: None,
            spool_dir,
        }
    }

    /// Takes a page; it counts only with the next save or end.
    ///
    /// # Errors
    /// [`Error::Unsaved`] where too much waits for a save, or where the spool's disk
    /// fails.
    pub async fn push(&mut self, mut page: Page) -> Result<(), Error> {
        self.unsaved_rows += page.rows.len() + page.rejected.len();
        if self.unsaved_rows > UNSAVED_ROWS_MAX {
            return Err(Error::Unsaved {
                partition: self.partition.clone(),
                rows_max: UNSAVED_ROWS_MAX,
            });
        }
        if self.unsaved_bytes >= UNSAVED_BYTES_MAX {
            let (spool_dir, body) = (self.spool_dir.clone(), page.body.clone());
            let spilled =
                tokio::task::spawn_blocking(move || spool::spill(&spool_dir, &body)).await;
            page.body = spilled
                .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
                .map_err(|source| Error::Stage {
                    operation: "spill records",
                    path: self.spool_dir.clone(),
                    source,
                })?;
        } else {
            self.unsaved_bytes += page.body.len() + page.side.len();
        }
        self.unsaved.push(page);
        Ok(())
    }

    /// Hands over a state with everything pushed before it. Whether it is in the open
    /// batch is known with the next save, [`PartitionWriter::settle`] or the end; it is
    /// durable only after the batch is sealed.
    ///
    /// # Errors
    /// The writer's failure, also that of the save before.
    pub async fn save(&mut self, state: String) -> Result<(), Error> {
        self.hand_over(Some(state), End::Open).await
    }

    /// Waits until the last save is in the open batch.
    ///
    /// # Errors
    /// The writer's failure.
    pub async fn settle(&mut self) -> Result<(), Error> {
        match &mut self.unanswered {
            None => Ok(()),
            Some(answer) => {
                let answer = answer.await;
                self.unanswered = None;
                self.writer.answered(answer)
            }
        }
    }

    /// The partition was read to its end.
    ///
    /// # Errors
    /// The writer's failure.
    pub async fn finish(&mut self, state: String) -> Result<(), Error> {
        self.hand_over(Some(state), End::Done).await?;
        self.settle().await
    }

    /// The partition is replaced by smaller ones.
    ///
    /// # Errors
    /// [`Error::Chain`] where a child's id is taken, or the writer's failure.
    pub async fn split(&mut self, children: Vec<PlannedPartition>) -> Result<(), Error> {
        self.discard();
        self.hand_over(None, End::Split(children)).await?;
        self.settle().await
    }

    /// Forgets what was pushed since the last save.
    pub fn discard(&mut self) {
        self.unsaved.clear();
        self.unsaved_bytes = 0;
        self.unsaved_rows = 0;
    }

    async fn hand_over(&mut self, state: Option<String>, end: End) -> Result<(), Error> {
        self.settle().await?;
        // Nothing more is read until a full batch is sealed: so much less to read again.
        let fills = self.writer.is_filled_by(self.unsaved_rows as u64);
        let is_large = self.unsaved_bytes > LATE_BYTES_MAX;
        let pages = std::mem::take(&mut self.unsaved);
        self.unsaved_bytes = 0;
        self.unsaved_rows = 0;
        let partition = self.partition.clone();
        let answer = self.writer.save(partition, pages, state, end).await?;
        self.unanswered = Some(answer);
        match fills || is_large {
            true => self.settle().await,
            false => Ok(()),
        }
    }
}
