//! A source whose truth is known, and everything it lands in: a real SQLite store, a
//! real staging directory, a real directory target, each behind a wrapper that can
//! fail. A "crash" drops the writer in mid-step; what is on disk stays.

use crate::faults::{FaultyStaging, FaultyStore, FaultyTarget, Fuse, Mutation, Owners};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_broker::Keyring;
use tidegate_domain::batch::BatchPolicy;
use tidegate_domain::id::{PartitionId, StreamKey, StreamName, SyncId, TenantId};
use tidegate_domain::record::{Format, Operation};
use tidegate_domain::slot::{Entry, Slot};
use tidegate_domain::stream::{Change, GenerationKind, PlannedPartition};
use tidegate_domain::sync::{Landing, Mode};
use tidegate_landing::Error;
use tidegate_landing::by_operation::ByOperation;
use tidegate_landing::cipher::StreamCipher;
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::lake;
use tidegate_landing::page::{Page, Row, Text};
use tidegate_landing::partition::PartitionWriter;
use tidegate_landing::recover::Stream;
use tidegate_landing::stage::{StageDirectory, Staging};
use tidegate_landing::target::Target;
use tidegate_landing::writer::{Settings, StreamWriter};
use tidegate_store::SqliteStore;
use tidegate_store::control::{Actor, Commit, ControlStore as _, Expected, TenantState, Write};
use tidegate_store::events::EventStore as _;
use tidegate_store::streams::StreamStore;

/// Rows of each partition of the source.
pub(crate) const ROWS: u64 = 23;
const PAGE: u64 = 3;
/// The partitions of the plan; "wide" is split in two by whoever reads it first.
const PLAN: [&str; 2] = ["narrow", "wide"];

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    store: Option<Arc<SqliteStore>>,
    keyring: Arc<Keyring>,
    owners: Arc<Owners>,
    /// Whether rows have a place of their own, away from the log.
    pub(crate) apart: bool,
}

impl World {
    pub(crate) fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("db")).unwrap();
        let keyring = Keyring::open(&folder.path().join("node.key")).unwrap();
        World {
            folder,
            store: Some(Arc::new(store)),
            keyring: Arc::new(keyring),
            owners: Arc::default(),
            apart: false,
        }
    }

    fn store(&self) -> Arc<SqliteStore> {
        self.store.clone().expect("there is one but for a moment")
    }

    /// The staging disk is gone; a thread of the dead process may still be writing there.
    pub(crate) fn lose_disk(&self) {
        for _ in 0..1_000 {
            if std::fs::remove_dir_all(self.stage_dir()).is_ok() {
                return;
            }
            std::thread::yield_now();
        }
        panic!("the staging directory cannot be removed");
    }

    /// The database is gone, with everything in it; the node key is not.
    pub(crate) fn lose_store(&mut self) {
        let directory = self.folder.path().join("db");
        self.store = None;
        std::fs::remove_dir_all(&directory).unwrap();
        self.store = Some(Arc::new(SqliteStore::open(&directory).unwrap()));
    }

    /// Lets the service know the tenant, so that its events are kept.
    pub(crate) async fn make_tenant(&self) {
        let commit = Commit {
            tenant: self.key().tenant,
            actor: Actor::System,
            origin: None,
            action: "tenant.put".to_owned(),
            subject: "tenant".to_owned(),
            detail: "{}".to_owned(),
            at_ms: 0,
            writes: vec![Write::PutTenant {
                expected: Expected::Absent,
                title: String::new(),
                state: TenantState::Active,
                jobs_max: None,
            }],
            idempotency: None,
            events: Vec::new(),
        };
        self.store().commit(commit).await.unwrap();
    }

    /// Slots of which subscribers hear, with the event's id; once for each event.
    pub(crate) async fn told(&self) -> Vec<(u64, String)> {
        let events = self
            .store()
            .events(&self.key().tenant, 0, 999)
            .await
            .unwrap();
        let told = events.into_iter().map(|row| {
            assert_eq!(row.event.kind, "objects.committed");
            let body: serde_json::Value = serde_json::from_str(&row.event.body).unwrap();
            let id = body["id"].as_str().unwrap().to_owned();
            (body["slot"].as_u64().unwrap(), id)
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }

    /// Slots that made objects visible.
    pub(crate) fn slots_with_objects(&self) -> Vec<u64> {
        let read = |path: PathBuf| -> Slot {
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let slots = self.slots().into_iter().map(read);
        let landed = slots.filter(
            |slot| matches!(&slot.entry, Entry::Commit { objects, .. } if !objects.is_empty()),
        );
        landed.map(|slot| slot.slot).collect()
    }

    fn slots(&self) -> Vec<PathBuf> {
        let log = format!(
            "lake/{}/_log",
            tidegate_landing::log::stream_prefix(&self.key())
        );
        let files = std::fs::read_dir(self.folder.path().join(log)).unwrap();
        let mut slots: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        slots.sort();
        slots
    }

    pub(crate) fn remove_last_slot(&self) {
        std::fs::remove_file(self.slots().last().unwrap()).unwrap();
    }

    /// Changes a byte that only the hash chain covers.
    pub(crate) fn forge_first_slot(&self) {
        let slot = &self.slots()[0];
        let text = std::fs::read_to_string(slot).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["written_at_ms"] = 7.into();
        std::fs::remove_file(slot).unwrap();
        std::fs::write(slot, value.to_string()).unwrap();
    }

    pub(crate) async fn staged_paths(&self) -> Vec<PathBuf> {
        self.store().staged_paths().await.unwrap()
    }

    /// Writes that the store accepted from an owner that was no longer the newest.
    pub(crate) fn late_writes(&self) -> u64 {
        self.owners
            .late_writes
            .load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The stream's parts, with a staging disk that has no space.
    pub(crate) fn stream_on_full_disk(&self) -> Stream {
        let staging = FaultyStaging::new(
            StageDirectory::open(&self.stage_dir()).unwrap(),
            Fuse::never(),
            Mutation::None,
        );
        staging.fill();
        Stream {
            staging: Arc::new(staging),
            ..self.stream(&Fuse::never(), Mutation::None)
        }
    }

    /// The stream's parts, with a target behind `fuse`.
    pub(crate) fn stream_to_slow_target(&self, fuse: &Arc<Fuse>, lease_ms: u64) -> Stream {
        let target = FaultyTarget::new(self.target(), Arc::clone(fuse), Mutation::None);
        Stream {
            target: Arc::new(target),
            lease_ms,
            ..self.stream(&Fuse::never(), Mutation::None)
        }
    }

    pub(crate) fn key(&self) -> StreamKey {
        StreamKey {
            tenant: TenantId::parse("acme").unwrap(),
            sync: SyncId::parse("crm").unwrap(),
            stream: StreamName::parse("contacts").unwrap(),
        }
    }

    pub(crate) fn stage_dir(&self) -> PathBuf {
        self.folder.path().join("staged")
    }

    pub(crate) fn target(&self) -> Arc<dyn Target> {
        let at = |name: &str| -> Arc<dyn Target> {
            Arc::new(DirectoryTarget::open(&self.folder.path().join(name)).unwrap())
        };
        match self.apart {
            true => Arc::new(ByOperation::new(
                at("lake"),
                vec![
                    (Operation::Delete, at("deletes")),
                    (Operation::Upsert, at("rows")),
                ],
            )),
            false => at("lake"),
        }
    }

    /// The stream's parts behind `fuse` and `mutation`.
    pub(crate) fn stream(&self, fuse: &Arc<Fuse>, mutation: Mutation) -> Stream {
        let store: Arc<dyn StreamStore> = Arc::new(FaultyStore::new(
            self.store(),
            Arc::clone(fuse),
            mutation,
            Arc::clone(&self.owners),
        ));
        let target: Arc<dyn Target> =
            Arc::new(FaultyTarget::new(self.target(), Arc::clone(fuse), mutation));
        let staging: Arc<dyn Staging> = Arc::new(FaultyStaging::new(
            StageDirectory::open(&self.stage_dir()).unwrap(),
            Arc::clone(fuse),
            mutation,
        ));
        let cipher = StreamCipher::new(Arc::clone(&self.keyring), self.store(), self.key());
        Stream {
            key: self.key(),
            store,
            target,
            staging,
            cipher,
            lease_ms: 60_000,
        }
    }

    /// Lets the next owner take the stream, as when a process died and its lease ran
    /// out.
    pub(crate) async fn bury_owner(&self) {
        let newest = self.owners.newest.lock().unwrap().clone();
        if let Some(lease) = newest {
            // One that ended well has given its lease back.
            drop(self.store().expire(&lease).await);
        }
    }

    /// Whether readers see the truth; a damaged log is not whole either.
    pub(crate) async fn is_whole(&self) -> bool {
        match self.try_landed().await {
            Ok(landed) => landed == World::truth(),
            Err(_) => false,
        }
    }

    /// [`World::try_landed`], on a log that must be sound.
    pub(crate) async fn landed(&self) -> BTreeMap<String, Vec<u64>> {
        self.try_landed().await.unwrap()
    }

    /// Everything that a reader sees, as partition -> row numbers in order.
    pub(crate) async fn try_landed(&self) -> Result<BTreeMap<String, Vec<u64>>, Error> {
        let target = self.target();
        let view = lake::view(&target, &self.key()).await?;
        let mut rows: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for seen in &view.objects {
            let key = &seen.key;
            let bytes = target.read(key).await.unwrap().expect("a slot names it");
            assert_eq!(
                tidegate_landing::log::sha256(&bytes),
                seen.object.sha256,
                "{key}"
            );
            if seen.object.format == Format::CsvGzip {
                count_csv(&bytes, &mut rows);
                continue;
            }
            let text = zstd::decode_all(&bytes[..]).unwrap();
            let mut count = 0;
            for line in text
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                let row: serde_json::Value = serde_json::from_slice(line).unwrap();
                let part = row["part"].as_str().unwrap().to_owned();
                rows.entry(part)
                    .or_default()
                    .push(row["n"].as_u64().unwrap());
                count += 1;
            }
            assert_eq!(count, seen.object.rows, "{key}");
        }
        rows.values_mut()
            .for_each(|numbers| numbers.sort_unstable());
        Ok(rows)
    }

    /// What the source holds, in the shape of [`World::landed`].
    pub(crate) fn truth() -> BTreeMap<String, Vec<u64>> {
        PLAN.iter()
            .map(|part| ((*part).to_owned(), (0..ROWS).collect()))
            .collect()
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        policy: BatchPolicy {
            rows_max: 5,
            ..BatchPolicy::default()
        },
        format: Format::JsonlZstd,
        columns: None,
        gate: None,
    }
}

/// Adds the rows of a CSV file, where `n` has a column or is in `_tg_extra`.
fn count_csv(bytes: &[u8], rows: &mut BTreeMap<String, Vec<u64>>) {
    let mut reader = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(bytes));
    for row in reader.deserialize() {
        let row: BTreeMap<String, String> = row.unwrap();
        let n = match row.get("n") {
            Some(n) => n.parse().unwrap(),
            None => {
                let extra: serde_json::Value = serde_json::from_str(&row["_tg_extra"]).unwrap();
                extra["n"].as_u64().unwrap()
            }
        };
        rows.entry(row["part"].clone()).or_default().push(n);
    }
}

/// A page with rows `from..to` of `part`.
fn page(part: &str, from: u64, to: u64) -> Page {
    let mut body = Vec::new();
    let mut rows = Vec::new();
    for n in from..to {
        let start = u32::try_from(body.len()).unwrap();
        body.extend_from_slice(
            format!("{{\"id\":\"{part}-{n}\",\"part\":\"{part}\",\"n\":{n}}}").as_bytes(),
        );
        let end = u32::try_from(body.len()).unwrap();
        let key_end = start + 7 + u32::try_from(format!("{part}-{n}").len()).unwrap();
        rows.push(Row {
            record: start..end,
            key: Text::Body(start + 7..key_end),
            version: None,
            operation: Operation::Upsert,
        });
    }
    Page {
        body: Bytes::from(body),
        side: Bytes::new(),
        rows,
        rejected: Vec::new(),
        extracted_at_ms: 1,
        table: None,
    }
}

fn planned(id: &str) -> PlannedPartition {
    PlannedPartition {
        id: PartitionId::parse(id).unwrap(),
        descriptor: "{}".to_owned(),
        window: None,
        estimated_records: None,
    }
}

/// The bounds of a partition of the source: children halve "wide".
fn bounds(id: &str) -> (&str, u64, u64) {
    match id {
        "narrow" => ("narrow", 0, ROWS),
        "wide.low" => ("wide", 0, ROWS / 2),
        "wide.high" => ("wide", ROWS / 2, ROWS),
        other => panic!("no such partition: {other}"),
    }
}

/// One owner's life: takes the stream over and reads until everything is read, or
/// until something fails. Partitions take turns, page by page.
pub(crate) async fn live(stream: Stream) -> Result<usize, Error> {
    live_as(stream, settings()).await
}

/// [`live`], landing otherwise.
pub(crate) async fn live_as(stream: Stream, settings: Settings) -> Result<usize, Error> {
    let writer = StreamWriter::open(stream, settings).await?;
    let rewinds = writer.abandoned();
    let handle = writer.handle();
    let read = async {
        let state = handle.state();
        if state.kind.is_none() {
            let how = GenerationKind {
                mode: Mode::Incremental,
                landing: Landing::Append,
            };
            handle.change(Change::Begin { generation: 1, how }).await?;
        }
        if handle.state().run == 0 {
            let partitions = PLAN.iter().map(|id| planned(id)).collect();
            handle.change(Change::Plan { run: 1, partitions }).await?;
        }
        loop {
            let state = handle.state();
            let open: Vec<_> = state.open_partitions().cloned().collect();
            if open.is_empty() {
                return Ok::<(), Error>(());
            }
            for partition in open {
                let id = partition.planned.id;
                let spool = std::env::temp_dir();
                let mut part = PartitionWriter::new(handle.clone(), id.clone(), spool);
                if id.as_str() == "wide" {
                    part.split(vec![planned("wide.low"), planned("wide.high")])
                        .await?;
                    continue;
                }
                let (source, first, end) = bounds(id.as_str());
                let from = partition
                    .state
                    .map_or(first, |state| state.parse().unwrap());
                let to = (from + PAGE).min(end);
                part.push(page(source, from, to)).await?;
                if to == end {
                    part.finish(to.to_string()).await?;
                } else {
                    part.save(to.to_string()).await?;
                    // The next page begins where the stream's state says.
                    part.settle().await?;
                }
            }
        }
    };
    let read: Result<(), Error> = read.await;
    let closed = writer.close().await;
    read?;
    closed?;
    Ok(rewinds)
}
