//! Steps A0 to A3: taking a stream over and making store, disk and log agree.
//!
//! The log is the authority. Whatever it shows was committed; what the store
//! staged beyond it is kept only while it chains and its bytes exist; the rest is
//! abandoned and the cursor rewinds to before it.

use crate::Error;
use crate::announce;
use crate::cipher::StreamCipher;
use crate::log::{Log, Logged, Position, Put, stream_prefix};
use crate::stage::Staging;
use crate::target::Target;
use std::sync::Arc;
use tidegate_domain::id::{OwnerToken, PutId, Sha256, StreamKey};
use tidegate_domain::slot::{Entry, SLOT_VERSION, Slot};
use tidegate_domain::stream::StreamState;
use tidegate_store::clock::now_ms;
use tidegate_store::crash;
use tidegate_store::streams::{Intent, Lease, Reconciliation, StreamRow, StreamStore};

/// What the protocol needs to know of a stream.
#[derive(Clone)]
pub struct Stream {
    /// Which one.
    pub key: StreamKey,
    /// The database.
    pub store: Arc<dyn StreamStore>,
    /// Where it lands.
    pub target: Arc<dyn Target>,
    /// Where it is staged.
    pub staging: Arc<dyn Staging>,
    /// Seals its cursors.
    pub cipher: StreamCipher,
    /// Milliseconds after which another may take it from a silent owner.
    pub lease_ms: u64,
}

/// A stream that is ours, with store, disk and log in agreement.
#[derive(Debug)]
pub struct Owned {
    /// The right to change it.
    pub lease: Lease,
    /// What extraction resumes from.
    pub staged: StreamState,
    /// What the log proves.
    pub published: StreamState,
    /// Where the next slot goes.
    pub tail: Position,
    /// The number of the next batch.
    pub next_batch: u64,
    /// Intents to be committed before anything else, in order.
    pub kept: Vec<Intent>,
    /// How many intents were given up, their rows to be read again.
    pub abandoned: usize,
    /// How many slots the log was ahead of the store.
    pub adopted_slots: usize,
}

/// Draws 128 bits.
pub(crate) fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Takes the stream over.
///
/// # Errors
/// [`Error::Store`] while another's lease runs, [`Error::Fenced`] where another
/// took the stream meanwhile, [`Error::LogBehind`] and [`Error::LogBroken`] where a
/// person must look at the target.
pub async fn take_over(stream: &Stream) -> Result<Owned, Error> {
    stream.cipher.share_key(&*stream.target).await?;
    let log = Log::new(Arc::clone(&stream.target), stream.key.clone());
    let seen = stream.store.load(&stream.key).await?;
    let seen_tail = log.read_from(&position(&seen)).await?;
    let floor = epochs(&seen_tail).max().unwrap_or(0);

    crash::point("A0.before");
    let owner = OwnerToken::from_bytes(random_bytes());
    let lease = stream
        .store
        .acquire(&stream.key, owner, floor, stream.lease_ms)
        .await?;
    crash::point("A0.after");

    let owned = settle(stream, &log, &lease, (seen, seen_tail)).await;
    if owned.is_err() {
        // Ours, but not in agreement: the next try need not wait for it to run out.
        if let Err(lost) = stream.store.expire(&lease).await {
            tracing::debug!(stream = %stream.key, error = %lost, "the lease was lost already");
        }
    }
    owned
}

/// Steps A1 to A3, under the lease.
async fn settle(
    stream: &Stream,
    log: &Log,
    lease: &Lease,
    (seen, seen_tail): (StreamRow, Vec<Logged>),
) -> Result<Owned, Error> {
    let row = stream.store.load(&stream.key).await?;
    let known = is_as_seen(lease, seen, &row).then_some(seen_tail);
    let tail = read_and_fence(stream, log, lease, &row, known).await?;
    reconcile(stream, log, lease.clone(), row, tail).await
}

/// Whether nobody moved the stream since it was first looked at: the last owner gave it
/// back, ours is the very next epoch, and the row is as it was. Whoever puts a slot holds
/// the lease, and marks the slot before giving it back; so the log is as it was, too.
fn is_as_seen(lease: &Lease, seen: StreamRow, row: &StreamRow) -> bool {
    let is_next = lease.released_before && lease.epoch == seen.epoch + 1;
    let epoch = lease.epoch;
    is_next && *row == StreamRow { epoch, ..seen }
}

fn position(row: &StreamRow) -> Position {
    Position {
        slot: row.log_tail,
        previous: row.log_tail_sha256.clone(),
    }
}

fn epochs(tail: &[Logged]) -> impl Iterator<Item = u64> {
    tail.iter().map(|logged| logged.slot.epoch)
}

/// Steps A1 and A2. A former owner that gave its lease back has nothing in flight,
/// so it needs no fence. `known` is the log's tail where it was read already.
async fn read_and_fence(
    stream: &Stream,
    log: &Log,
    lease: &Lease,
    row: &StreamRow,
    mut known: Option<Vec<Logged>>,
) -> Result<Vec<Logged>, Error> {
    loop {
        crash::point("A1.before");
        let mut tail = match known.take() {
            Some(tail) => tail,
            None => log.read_from(&position(row)).await?,
        };
        crash::point("A1.after");
        if epochs(&tail).any(|epoch| epoch > lease.epoch) {
            return Err(Error::Fenced {
                stream: stream.key.clone(),
            });
        }
        if lease.released_before {
            return Ok(tail);
        }
        let fence = next_slot(lease, &end_of(row, &tail), Entry::Fence);
        crash::point("A2.before");
        let put = log.put(&fence).await?;
        crash::point("A2.after");
        if let Put::Ours(sha256) = put {
            tail.push(Logged {
                slot: fence,
                sha256,
            });
            return Ok(tail);
        }
    }
}

fn end_of(row: &StreamRow, tail: &[Logged]) -> Position {
    tail.last().map_or_else(
        || position(row),
        |last| Position {
            slot: last.slot.slot + 1,
            previous: Some(last.sha256.clone()),
        },
    )
}

/// A slot at `at`, by this owner.
pub(crate) fn next_slot(lease: &Lease, at: &Position, entry: Entry) -> Slot {
    Slot {
        v: SLOT_VERSION,
        slot: at.slot,
        entry,
        epoch: lease.epoch,
        owner: lease.owner,
        put_id: PutId::from_bytes(random_bytes()),
        prev_sha256: at.previous.clone(),
        written_at_ms: now_ms(),
    }
}

/// Step A3.
async fn reconcile(
    stream: &Stream,
    log: &Log,
    lease: Lease,
    row: StreamRow,
    tail: Vec<Logged>,
) -> Result<Owned, Error> {
    crash::point("A3.before");
    let end = end_of(&row, &tail);
    let mut published = row.published.clone();
    let mut next_batch = row.next_batch;
    let mut adopted = Vec::new();
    let mut adopted_slots = 0;
    let mut events = Vec::new();
    for logged in &tail {
        let Some((batch, change)) = log.open_change(&stream.cipher, logged).await? else {
            continue;
        };
        published = published
            .apply(&change)
            .map_err(|source| Error::LogBroken {
                stream: stream.key.clone(),
                slot: logged.slot.slot,
                reason: source.to_string(),
            })?;
        adopted_slots += 1;
        events.extend(announce::committed(stream, &logged.slot, &logged.sha256));
        next_batch = next_batch.max(batch + 1);
        let same = |intent: &&Intent| intent.batch == batch && intent.change == change;
        adopted.extend(row.intents.iter().find(same).map(|intent| intent.batch));
    }

    let (kept, abandoned, staged) = keep_chain(stream, &row.intents, &adopted, &published).await?;
    next_batch = row
        .intents
        .iter()
        .map(|intent| intent.batch + 1)
        .fold(next_batch, u64::max);
    let found = Reconciliation {
        published: published.clone(),
        log_tail: end.slot,
        log_tail_sha256: end.previous.clone(),
        adopted: adopted.clone(),
        abandoned: abandoned.iter().map(|intent| intent.batch).collect(),
        staged: staged.clone(),
        next_batch,
        events,
    };
    if !agrees(&row, &found) {
        stream.store.reconcile(&lease, found).await?;
    }
    crash::point("A3.after");

    let committed = row
        .intents
        .iter()
        .filter(|intent| adopted.contains(&intent.batch));
    remove_files(stream, committed.chain(&abandoned));
    Ok(Owned {
        lease,
        staged,
        published,
        tail: end,
        next_batch,
        kept,
        abandoned: abandoned.len(),
        adopted_slots,
    })
}

/// Whether the store has nothing to learn: the last owner came to its end. Should another
/// have taken the stream meanwhile, our first seal is refused as this write would be.
fn agrees(row: &StreamRow, found: &Reconciliation) -> bool {
    let known = Reconciliation {
        published: row.published.clone(),
        log_tail: row.log_tail,
        log_tail_sha256: row.log_tail_sha256.clone(),
        adopted: Vec::new(),
        abandoned: Vec::new(),
        staged: row.staged.clone(),
        next_batch: row.next_batch,
        events: Vec::new(),
    };
    row.intents.is_empty() && known == *found
}

/// Keeps the intents that chain from what the log proves and whose bytes exist; the
/// first that fails takes every later one with it.
async fn keep_chain(
    stream: &Stream,
    intents: &[Intent],
    adopted: &[u64],
    published: &StreamState,
) -> Result<(Vec<Intent>, Vec<Intent>, StreamState), Error> {
    let mut staged = published.clone();
    let mut open: Vec<Intent> = intents.to_vec();
    open.retain(|intent| !adopted.contains(&intent.batch));
    let mut kept = 0;
    for intent in &open {
        let Ok(next) = staged.apply(&intent.change) else {
            break;
        };
        if !bytes_exist(stream, intent).await? {
            break;
        }
        staged = next;
        kept += 1;
    }
    let abandoned = open.split_off(kept);
    Ok((open, abandoned, staged))
}

async fn bytes_exist(stream: &Stream, intent: &Intent) -> Result<bool, Error> {
    for staged in &intent.objects {
        let here = stream.staging.holds(&staged.path, &staged.object.sha256);
        if !here && !landed(stream, &staged.object.key, &staged.object.sha256).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the target holds the object with these bytes.
pub(crate) async fn landed(stream: &Stream, key: &str, sha256: &Sha256) -> Result<bool, Error> {
    let full = format!("{}/{key}", stream_prefix(&stream.key));
    let head = stream.target.head(&full).await?;
    Ok(head.is_some_and(|head| head.sha256.as_ref() == Some(sha256)))
}

/// A staged file that stays behind costs disk, never rows: start-up removes it.
fn remove_files<'a>(stream: &Stream, intents: impl Iterator<Item = &'a Intent>) {
    for staged in intents.flat_map(|intent| &intent.objects) {
        if let Err(error) = stream.staging.remove(&staged.path) {
            tracing::warn!(path = %staged.path.display(), %error, "a staged file could not be removed");
        }
    }
}
