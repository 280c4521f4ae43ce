//! Writes down, behind the requests, what a restart should know exactly: what was spent
//! of reserved blocks, and what providers closed. What is lost here makes the next
//! process more careful, never less.

use std::sync::Arc;
use tidegate_store::limits::{Closure, LimitStore, Settlement};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Notes that may wait for the store.
const WAITING_MAX: usize = 4_096;
/// Notes that are written in one transaction.
const TOGETHER_MAX: usize = 512;

enum Note {
    Settled(Settlement),
    Closed(Closure),
    Written(oneshot::Sender<()>),
}

/// Takes notes for the task that writes.
#[derive(Clone)]
pub(super) struct Notes {
    queue: mpsc::Sender<Note>,
}

impl Notes {
    pub(super) fn settled(&self, settlement: Settlement) {
        // A block that stays open is counted as a whole.
        self.queue.try_send(Note::Settled(settlement)).ok();
    }

    pub(super) fn closed(&self, closure: Closure) {
        self.queue.try_send(Note::Closed(closure)).ok();
    }
}

/// The task that writes; it ends when this is dropped.
pub(super) struct Writer {
    notes: Notes,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Writer {
    pub(super) fn start(
        store: Arc<dyn LimitStore>,
        now_ms: impl Fn() -> u64 + Send + 'static,
    ) -> Self {
        let (queue, receiver) = mpsc::channel(WAITING_MAX);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let stopped = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = write(store, receiver, now_ms) => {}
            }
        });
        Self {
            notes: Notes { queue },
            tasks,
            stop,
        }
    }

    pub(super) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Ends the task as a crash would.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        self.stop.cancel();
    }

    /// Waits until all that was noted before is on disk.
    pub(super) async fn flush(&self) {
        let (written, done) = oneshot::channel();
        if self.notes.queue.send(Note::Written(written)).await.is_ok() {
            done.await.ok(); // the task may have ended
        }
        self.tasks.close();
    }
}

async fn write(
    store: Arc<dyn LimitStore>,
    mut queue: mpsc::Receiver<Note>,
    now_ms: impl Fn() -> u64,
) {
    let mut notes = Vec::with_capacity(TOGETHER_MAX);
    while queue.recv_many(&mut notes, TOGETHER_MAX).await > 0 {
        let (mut settled, mut closed, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for note in notes.drain(..) {
            match note {
                Note::Settled(settlement) => settled.push(settlement),
                Note::Closed(closure) => closed.push(closure),
                Note::Written(done) => waiting.push(done),
            }
        }
        if !settled.is_empty()
            && let Err(error) = store.settle_units(settled).await
        {
            tracing::warn!(%error, "what was spent of limits was not written down");
        }
        if !closed.is_empty()
            && let Err(error) = store.close_gates(closed, now_ms()).await
        {
            tracing::warn!(%error, "closed limits were not written down");
        }
        for done in waiting {
            done.send(()).ok(); // nobody may wait any more
        }
    }
}
