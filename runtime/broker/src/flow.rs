//! Records every request that is sent, behind the requests and never in their way: in
//! batches, in bounded memory. What finds no room is counted in place of being kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate_store::flow::{FlowStore, RequestRecord};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Records that may wait for the store.
const WAITING_MAX: usize = 8_192;
/// Records that are written in one transaction.
const TOGETHER_MAX: usize = 1_024;
/// How long records gather: a crash loses no more than that.
const GATHER: Duration = Duration::from_millis(100);
/// What is kept of a path.
const PATH_CHARS_MAX: usize = 256;

enum Note {
    Record(Box<RequestRecord>),
    Written(oneshot::Sender<()>),
}

/// Takes records; the task that writes them ends when this is dropped.
pub(crate) struct Recorder {
    queue: mpsc::Sender<Note>,
    dropped: Arc<AtomicU64>,
    store: Arc<dyn FlowStore>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

impl Recorder {
    pub(crate) fn start(store: Arc<dyn FlowStore>) -> Self {
        let (queue, receiver) = mpsc::channel(WAITING_MAX);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let dropped = Arc::new(AtomicU64::new(0));
        let stopped = stop.clone();
        let (of_task, to) = (Arc::clone(&dropped), Arc::clone(&store));
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = write(to, receiver, of_task) => {}
            }
        });
        Self {
            queue,
            dropped,
            store,
            tasks,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn record(&self, record: RequestRecord) {
        if self.queue.try_send(Note::Record(Box::new(record))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was recorded is on disk, and says that nothing is missing.
    pub(crate) async fn close(&self) {
        let (written, done) = oneshot::channel();
        if self.queue.send(Note::Written(written)).await.is_ok() {
            done.await.ok(); // the task may have ended
        }
        if let Err(error) = self.store.end_recording().await {
            tracing::warn!(%error, "the end of the record of requests was not written down");
        }
        self.tasks.close();
    }
}

async fn write(
    store: Arc<dyn FlowStore>,
    mut queue: mpsc::Receiver<Note>,
    dropped: Arc<AtomicU64>,
) {
    let mut notes = Vec::with_capacity(TOGETHER_MAX);
    while queue.recv_many(&mut notes, TOGETHER_MAX).await > 0 {
        let (mut records, mut waiting) = (Vec::new(), Vec::new());
        for note in notes.drain(..) {
            match note {
                Note::Record(record) => records.push(*record),
                Note::Written(done) => waiting.push(done),
            }
        }
        let (count, missing) = (records.len() as u64, dropped.swap(0, Ordering::Relaxed));
        if let Err(error) = store.record_requests(records, missing).await {
            dropped.fetch_add(count + missing, Ordering::Relaxed);
            tracing::warn!(%error, count, "requests could not be recorded");
        }
        for done in waiting {
            done.send(()).ok(); // nobody may wait any more
        }
        sleep(GATHER).await;
    }
}

/// A path without what names a record or a person: only segments that are plain words
/// or versions stay.
pub(crate) fn template(path: &str) -> String {
    let mut template: String = path
        .split('/')
        .map(|segment| if is_word(segment) { segment } else { "{id}" })
        .collect::<Vec<_>>()
        .join("/");
    if template.len() > PATH_CHARS_MAX {
        template.truncate(PATH_CHARS_MAX); // words are ASCII
        template.push('…');
    }
    template
}

fn is_word(segment: &str) -> bool {
    let version = segment.strip_prefix('v').unwrap_or_default();
    let is_version = !version.is_empty()
        && version.len() <= 6
        && version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.');
    is_version || (segment.len() <= 40 && segment.bytes().all(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_words_and_versions_and_nothing_else() {
        for (path, kept) in [
            (
                "/crm/v3/objects/contacts/123",
                "/crm/v3/objects/contacts/{id}",
            ),
            (
                "/services/data/v62.0/query/01gD0-2000",
                "/services/data/v62.0/query/{id}",
            ),
            ("/users/jane%40acme.test/notes", "/users/{id}/notes"),
            ("/x/7f000001-aaaa-bbbb-cccc-000000000000", "/x/{id}"),
            ("/", "/"),
            (
                "/sobjects/My_Object__c/describe",
                "/sobjects/My_Object__c/describe",
            ),
        ] {
            assert_eq!(template(path), kept);
        }
        let long = "/abcdefghij".repeat(60);
        assert!(template(&long).len() <= PATH_CHARS_MAX + '…'.len_utf8());
    }
}
