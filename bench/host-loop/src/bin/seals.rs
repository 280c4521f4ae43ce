//! How many batches a second the store takes from their seal to their commit mark, each
//! with three writes that are on disk when they are answered, by how many streams do so at
//! once: `cargo run --release -p host-loop --bin seals [directory] [seconds]`.
#![expect(clippy::print_stdout, reason = "it prints its figures")]
#![expect(clippy::unwrap_used, reason = "it measures and may stop")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::id::{
    OwnerToken, PartitionId, Sha256, StreamKey, StreamName, SyncId, TenantId,
};
use tidegate_domain::record::{Format, Operation};
use tidegate_domain::slot::{Content, Object};
use tidegate_domain::stream::{Change, End, GenerationKind, PlannedPartition, Step, StreamState};
use tidegate_domain::sync::{Landing, Mode};
use tidegate_store::SqliteStore;
use tidegate_store::streams::{Intent, IntentState, Lease, StagedObject, StreamStore as _};
use tokio::task::JoinSet;
use tokio::time::Instant;

const STREAMS: [usize; 4] = [1, 4, 16, 64];
const LEASE_MS: u64 = 600_000;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let fresh = tempfile::tempdir().unwrap();
    let dir = arguments.next().map(PathBuf::from);
    let dir = dir.as_deref().unwrap_or(fresh.path());
    let seconds: f64 = arguments.next().map_or(3.0, |text| text.parse().unwrap());
    let mut figures = Vec::new();
    for streams in STREAMS {
        let of = dir.join(format!("{streams}-streams"));
        std::fs::create_dir_all(&of).unwrap();
        figures.push(measure(&of, streams, Duration::from_secs_f64(seconds)).await);
    }
    println!("{}", Value::from(figures));
}

async fn measure(dir: &Path, streams: usize, time: Duration) -> Value {
    let store = Arc::new(SqliteStore::open(dir).unwrap());
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for at in 0..streams {
        tasks.spawn(batches(Arc::clone(&store), key(at), began + time));
    }
    let counts = tasks.join_all().await;
    let seconds = began.elapsed().as_secs_f64();
    let sealed: u64 = counts.iter().sum();
    json!({ "streams": streams, "seals_per_s": sealed as f64 / seconds })
}

/// Takes a stream and seals one batch after another; how many it came to.
async fn batches(store: Arc<SqliteStore>, key: StreamKey, until: Instant) -> u64 {
    let owner = OwnerToken::from_bytes([7; 16]);
    let lease = store.acquire(&key, owner, 0, LEASE_MS).await.unwrap();
    let mut state = StreamState::default();
    let mut batch = 0;
    while Instant::now() < until {
        state = one(&store, &lease, &state, batch).await;
        batch += 1;
    }
    batch
}

async fn one(store: &SqliteStore, lease: &Lease, before: &StreamState, batch: u64) -> StreamState {
    let intent = intent(batch, before);
    let after = before.apply(&intent.change).unwrap();
    store.seal(lease, before, &after, intent).await.unwrap();
    store.mark_uploaded(lease, batch).await.unwrap();
    let hash = Sha256::from_bytes([1; 32]);
    let marked = store.mark_committed(lease, batch, batch, &hash, &after, Vec::new());
    marked.await.unwrap();
    after
}

fn key(at: usize) -> StreamKey {
    StreamKey {
        tenant: TenantId::parse("acme").unwrap(),
        sync: SyncId::parse("crm").unwrap(),
        stream: StreamName::parse(format!("stream-{at}")).unwrap(),
    }
}

fn intent(batch: u64, before: &StreamState) -> Intent {
    let object = Object {
        place: None,
        key: format!("gen=1/op=upsert/0000000001-{batch:012}-0-0123456789abcdef.jsonl.zst"),
        content: Content::Rows(Operation::Upsert),
        format: Format::JsonlZstd,
        sha256: Sha256::from_bytes([2; 32]),
        bytes: 1_000,
        rows: 10,
        schema: None,
    };
    let staged = StagedObject {
        path: format!("/staged/{batch}").into(),
        object,
    };
    let change = change(batch, before);
    let is_commit = matches!(change, Change::Commit { .. });
    Intent {
        batch,
        change,
        objects: is_commit.then_some(staged).into_iter().collect(),
        state: IntentState::Sealed,
    }
}

/// A generation, a plan of one partition, and then cursors that move.
fn change(batch: u64, before: &StreamState) -> Change {
    let partition = PartitionId::parse("all").unwrap();
    match batch {
        0 => Change::Begin {
            generation: 1,
            how: GenerationKind {
                mode: Mode::Incremental,
                landing: Landing::Append,
            },
        },
        1 => Change::Plan {
            run: 1,
            partitions: vec![PlannedPartition {
                id: partition,
                descriptor: "{}".to_owned(),
                window: None,
                estimated_records: None,
            }],
        },
        _ => {
            let step = Step {
                before: before.partitions[&partition].state.clone(),
                after: Some(format!("{{\"after\":{batch}}}")),
                end: End::Open,
            };
            Change::Commit {
                steps: BTreeMap::from([(partition, step)]),
            }
        }
    }
}
