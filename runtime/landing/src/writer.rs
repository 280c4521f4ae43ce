//! The writer of one stream: gathers what its partitions save into one open batch,
//! seals it with the cursors, and commits sealed batches in order.
//!
//! One actor owns the stream's state; partitions hold cheap handles. A second task
//! commits, so that reading goes on while the last batch is uploaded.

mod seal;

use crate::Error;
use crate::commit::Committer;
use crate::gate::Gate;
use crate::heartbeat;
use crate::lane::{Lane, Shape};
use crate::page::Page;
use crate::recover::{Owned, Stream, take_over};
use crate::sealed::Sealed;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_domain::batch::{BatchPolicy, Decision, OpenBatch};
use tidegate_domain::id::PartitionId;
use tidegate_domain::record::Format;
use tidegate_domain::schema::Columns;
use tidegate_domain::stream::{Change, End, Step, StreamState};
use tidegate_store::crash;
use tidegate_store::streams::{Intent, Lease};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Saves that may wait for the actor.
const QUEUE: usize = 8;
/// Sealed batches that may wait for their upload (`max_staged_batches`): bounds
/// both the staging disk and what a lost disk costs in source calls.
const STAGED_BATCHES: usize = 2;

/// How a stream lands.
#[derive(Clone)]
pub struct Settings {
    /// When a batch is sealed.
    pub policy: BatchPolicy,
    /// The file format.
    pub format: Format,
    /// The columns, for formats that have any. JSON lines are only looked through for
    /// what fits none of them.
    pub columns: Option<Arc<Columns>>,
    /// Is asked before a batch is sealed that holds what fits no column; without one
    /// every batch lands.
    pub gate: Option<Arc<dyn Gate>>,
}

/// What a stream has landed so far in this run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landed {
    /// Rows in committed objects.
    pub rows: u64,
    /// Refused rows in committed objects.
    pub rejected: u64,
    /// Committed objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Committed slots.
    pub slots: u64,
}

enum Message {
    Save {
        partition: PartitionId,
        pages: Vec<Page>,
        after: Option<String>,
        end: End,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Change {
        change: Change,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Flush {
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

/// Owns the tasks of one stream's writer.
pub struct StreamWriter {
    handle: WriterHandle,
    tasks: JoinSet<Result<(), Error>>,
    lease: Lease,
    stream: Stream,
    abandoned: usize,
}

/// A cheap handle to a writer.
#[derive(Clone)]
pub struct WriterHandle {
    messages: mpsc::Sender<Message>,
    state: watch::Receiver<StreamState>,
    landed: watch::Receiver<Landed>,
    first_error: Arc<Mutex<Option<Error>>>,
    key: tidegate_domain::id::StreamKey,
    rows_max: u64,
    /// Rows of the open batch, as of the last save that was answered.
    open_rows: Arc<AtomicU64>,
}

impl StreamWriter {
    /// Takes the stream over (steps A0 to A3), and begins to commit what recovery
    /// kept.
    ///
    /// # Errors
    /// Those of [`take_over`].
    pub async fn open(stream: Stream, settings: Settings) -> Result<StreamWriter, Error> {
        let owned = take_over(&stream).await?;
        Ok(Self::start(stream, settings, owned))
    }

    fn start(stream: Stream, settings: Settings, owned: Owned) -> StreamWriter {
        let (messages, inbox) = mpsc::channel(QUEUE);
        let (sealed, to_commit) = mpsc::channel(STAGED_BATCHES);
        let (state_sender, state) = watch::channel(owned.staged.clone());
        let (landed_sender, landed) = watch::channel(Landed::default());
        let (committed_sender, committed) = watch::channel(
            owned
                .kept
                .first()
                .map_or(owned.next_batch, |kept| kept.batch),
        );
        let first_error = Arc::new(Mutex::new(None));
        let mut tasks = JoinSet::new();
        let shape = Shape {
            format: settings.format,
            columns: settings.columns.clone(),
        };
        let lane = Lane::start(shape, Arc::clone(&stream.staging), &mut tasks);
        let committer = Committer::new(
            stream.clone(),
            owned.lease.clone(),
            owned.published,
            owned.tail,
        );
        let kept = owned.kept;
        let failed = Arc::clone(&first_error);
        let commits = run_commits(
            committer,
            kept,
            to_commit,
            landed_sender,
            committed_sender,
            failed,
        );
        tasks.spawn(commits.in_current_span());
        let lost = CancellationToken::new();
        tasks.spawn({
            let (stream, lease) = (stream.clone(), owned.lease.clone());
            let (first_error, lost) = (Arc::clone(&first_error), lost.clone());
            async move {
                keep_first(&first_error, heartbeat::beat(&stream, &lease).await);
                lost.cancel();
                Ok(())
            }
        });
        let open_rows = Arc::new(AtomicU64::new(0));
        let actor = Actor {
            open_rows: Arc::clone(&open_rows),
            gate: settings.gate,
            columns: settings.columns,
            published_schema: None,
            stream: stream.clone(),
            lease: owned.lease.clone(),
            policy: settings.policy,
            staged: owned.staged.clone(),
            open: owned.staged,
            steps: BTreeMap::new(),
            rows: 0,
            opened_at: None,
            next_batch: owned.next_batch,
            lane,
            sealed,
            committed,
            state: state_sender,
            first_error: Arc::clone(&first_error),
            lost,
        };
        tasks.spawn(actor.run(inbox).in_current_span());
        let key = stream.key.clone();
        let handle = WriterHandle {
            rows_max: settings.policy.rows_max,
            open_rows,
            messages,
            state,
            landed,
            first_error,
            key,
        };
        StreamWriter {
            handle,
            tasks,
            lease: owned.lease,
            stream,
            abandoned: owned.abandoned,
        }
    }

    /// How many sealed batches recovery gave up because their bytes were gone; their
    /// rows are read again.
    pub fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// A handle for partitions and for watching.
    pub fn handle(&self) -> WriterHandle {
        self.handle.clone()
    }

    /// Seals and commits what is open, then gives the lease back. Handles that are
    /// still held fail from then on.
    ///
    /// # Errors
    /// The first failure of the writer.
    pub async fn close(self) -> Result<Landed, Error> {
        let flushed = self.handle.flush().await;
        let StreamWriter {
            handle,
            mut tasks,
            lease,
            stream,
            ..
        } = self;
        // After a flush nothing is in flight; after a failure the protocol treats
        // what is cut off here as a crash.
        tasks.abort_all();
        while let Some(joined) = tasks.join_next().await {
            if let Err(error) = joined
                && !error.is_cancelled()
            {
                tracing::error!(stream = %stream.key, %error, "a writer task died");
            }
        }
        if let Err(error) = flushed {
            // Not a release: a put may still be under way, so the next owner fences.
            if let Err(lost) = stream.store.expire(&lease).await {
                tracing::debug!(stream = %stream.key, error = %lost, "the lease was lost already");
            }
            return Err(error);
        }
        stream.store.release(&lease).await?;
        Ok(handle.landed.borrow().clone())
    }
}

impl WriterHandle {
    /// The stream's state with everything saved so far, sealed or not.
    pub fn state(&self) -> StreamState {
        self.state.borrow().clone()
    }

    /// What has landed so far; changes with every commit.
    pub fn landed(&self) -> watch::Receiver<Landed> {
        self.landed.clone()
    }

    /// Opens a generation, sets a plan or completes: sealed as a batch of its own,
    /// after what is open.
    ///
    /// # Errors
    /// [`Error::Chain`] where it does not follow, or the writer's first failure.
    pub async fn change(&self, change: Change) -> Result<(), Error> {
        self.ask(|reply| Message::Change { change, reply }).await
    }

    /// Seals what is open and waits until everything sealed is committed.
    ///
    /// # Errors
    /// The writer's first failure.
    pub async fn flush(&self) -> Result<(), Error> {
        self.ask(|reply| Message::Flush { reply }).await
    }

    /// Hands a partition's rows and its new state over; the answer comes once they are
    /// in the open batch.
    pub(crate) async fn save(
        &self,
        partition: PartitionId,
        pages: Vec<Page>,
        after: Option<String>,
        end: End,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        self.send(|reply| Message::Save {
            partition,
            pages,
            after,
            end,
            reply,
        })
        .await
    }

    async fn ask(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Message,
    ) -> Result<(), Error> {
        let answer = self.send(message).await?;
        self.answered(answer.await)
    }

    async fn send(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Message,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        match self.messages.send(message(reply)).await {
            Ok(()) => Ok(answer),
            Err(_) => Err(self.failure()),
        }
    }

    /// Whether so many rows more fill the open batch, as far as is known.
    pub(crate) fn is_filled_by(&self, rows: u64) -> bool {
        self.open_rows.load(Ordering::Relaxed).saturating_add(rows) >= self.rows_max
    }

    /// What an answer says; one that never comes is the writer's failure.
    pub(crate) fn answered(
        &self,
        answer: Result<Result<(), Error>, oneshot::error::RecvError>,
    ) -> Result<(), Error> {
        answer.unwrap_or_else(|_| Err(self.failure()))
    }

    /// The first failure goes to the first who asks; the others learn that it was.
    fn failure(&self) -> Error {
        let mut first = self
            .first_error
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        first.take().unwrap_or_else(|| Error::Stopped {
            stream: self.key.clone(),
        })
    }
}

fn keep_first(slot: &Mutex<Option<Error>>, error: Error) {
    let mut first = slot.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    first.get_or_insert(error);
}

async fn run_commits(
    mut committer: Committer,
    kept: Vec<Intent>,
    mut sealed: mpsc::Receiver<Sealed>,
    landed: watch::Sender<Landed>,
    committed: watch::Sender<u64>,
    first_error: Arc<Mutex<Option<Error>>>,
) -> Result<(), Error> {
    let kept: Vec<Sealed> = kept.into_iter().map(Sealed::new).collect();
    let mut kept = kept.into_iter();
    loop {
        let next = match kept.next() {
            Some(sealed) => Some(sealed),
            None => sealed.recv().await,
        };
        let Some(sealed) = next else { return Ok(()) };
        let intent = &sealed.intent;
        if let Err(error) = committer.commit(intent).await {
            keep_first(&first_error, error);
            return Ok(()); // dropping the receiver tells the actor
        }
        sealed.committed();
        landed.send_modify(|landed| count(landed, intent));
        committed.send_replace(intent.batch + 1);
    }
}

fn count(landed: &mut Landed, intent: &Intent) {
    use tidegate_domain::slot::Content;
    landed.slots += 1;
    for staged in &intent.objects {
        landed.objects += 1;
        landed.bytes += staged.object.bytes;
        match staged.object.content {
            Content::Rows(_) => landed.rows += staged.object.rows,
            Content::Rejected => landed.rejected += staged.object.rows,
        }
    }
}

/// Comes at that time; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The one owner of a stream's state.
struct Actor {
    gate: Option<Arc<dyn Gate>>,
    columns: Option<Arc<Columns>>,
    /// The schema id of which this writer knows that readers can look it up.
    published_schema: Option<String>,
    stream: Stream,
    lease: Lease,
    policy: BatchPolicy,
    /// As the store has it.
    staged: StreamState,
    /// With the open batch.
    open: StreamState,
    steps: BTreeMap<PartitionId, Step>,
    rows: u64,
    /// The same, for who saves.
    open_rows: Arc<AtomicU64>,
    opened_at: Option<Instant>,
    next_batch: u64,
    lane: Lane,
    sealed: mpsc::Sender<Sealed>,
    committed: watch::Receiver<u64>,
    state: watch::Sender<StreamState>,
    first_error: Arc<Mutex<Option<Error>>>,
    /// The lease is gone, or the store is.
    lost: CancellationToken,
}

impl Actor {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Result<(), Error> {
        loop {
            let full_at = self.seal_at();
            let done = tokio::select! {
                biased;
                () = self.lost.cancelled() => return Ok(()),
                () = at(full_at) => self.seal_if_full().await,
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message).await,
                    None => return Ok(()),
                },
            };
            if let Err(error) = done {
                keep_first(&self.first_error, error);
                return Ok(()); // dropping the inbox tells the handles
            }
        }
    }

    async fn on_message(&mut self, message: Message) -> Result<(), Error> {
        let (done, reply) = match message {
            Message::Save {
                partition,
                pages,
                after,
                end,
                reply,
            } => (self.save(partition, pages, after, end).await, reply),
            Message::Change { change, reply } => (self.change(change).await, reply),
            Message::Flush { reply } => (self.flush().await, reply),
        };
        match done {
            // A save that does not follow is its partition's fault and changes
            // nothing; the stream goes on.
            Err(error @ Error::Chain { .. }) => {
                drop(reply.send(Err(error)));
                Ok(())
            }
            Err(error) => {
                keep_first(&self.first_error, error);
                drop(reply); // the asker takes the first error
                Err(Error::Stopped {
                    stream: self.stream.key.clone(),
                })
            }
            Ok(()) => {
                drop(reply.send(Ok(()))); // an asker that left wants no answer
                Ok(())
            }
        }
    }

    /// Appends, atomically, a partition's rows and its new state to the open batch.
    async fn save(
        &mut self,
        partition: PartitionId,
        pages: Vec<Page>,
        after: Option<String>,
        end: End,
    ) -> Result<(), Error> {
        let is_split = matches!(end, End::Split(_));
        let before = self
            .open
            .partitions
            .get(&partition)
            .and_then(|found| found.state.clone());
        let step = Step { before, after, end };
        let change = Change::Commit {
            steps: BTreeMap::from([(partition.clone(), step.clone())]),
        };
        self.open = self
            .open
            .apply(&change)
            .map_err(|source| self.chain(source))?;
        let rows = pages.iter().map(|page| page.rows.len() as u64);
        self.count(self.rows + rows.sum::<u64>());
        crash::point("S1.before");
        if !pages.is_empty() && !self.lane.write(pages).await {
            return Err(Error::Stopped {
                stream: self.stream.key.clone(),
            });
        }
        crash::point("S1.after");
        self.opened_at.get_or_insert_with(Instant::now);
        match self.steps.get_mut(&partition) {
            Some(merged) => {
                merged.after = step.after;
                merged.end = step.end;
            }
            None => {
                self.steps.insert(partition, step);
            }
        }
        self.state.send_replace(self.open.clone());
        // Children may save from now on, and a batch's steps have no order.
        if is_split {
            return self.seal_open().await;
        }
        self.seal_if_full().await
    }

    /// Sets how many rows the open batch has.
    fn count(&mut self, rows: u64) {
        self.rows = rows;
        self.open_rows.store(rows, Ordering::Relaxed);
    }

    async fn change(&mut self, change: Change) -> Result<(), Error> {
        let after = self
            .open
            .apply(&change)
            .map_err(|source| self.chain(source))?;
        self.seal_open().await?;
        self.open = after;
        self.seal(change, Vec::new()).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.seal_open().await?;
        let wanted = self.next_batch;
        match self
            .committed
            .wait_for(|committed| *committed >= wanted)
            .await
        {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Stopped {
                stream: self.stream.key.clone(),
            }),
        }
    }

    fn chain(&self, source: tidegate_domain::stream::Break) -> Error {
        Error::Chain {
            stream: self.stream.key.clone(),
            source,
        }
    }

    fn seal_at(&self) -> Option<Instant> {
        match self.decide() {
            Decision::Idle => None,
            Decision::Fill { remaining_ms } => {
                Some(Instant::now() + Duration::from_millis(remaining_ms))
            }
            Decision::Seal => Some(Instant::now()),
        }
    }

    fn decide(&self) -> Decision {
        let age = self
            .opened_at
            .map(|opened_at| opened_at.elapsed().as_millis());
        self.policy.decide(OpenBatch {
            bytes: self.lane.encoded_bytes(),
            rows: self.rows,
            age_ms: age.map(|age| u64::try_from(age).unwrap_or(u64::MAX)),
        })
    }

    async fn seal_if_full(&mut self) -> Result<(), Error> {
        match self.decide() {
            Decision::Seal => self.seal_open().await,
            Decision::Idle | Decision::Fill { .. } => Ok(()),
        }
    }
}
