//! Wrappers over the real store, disk and target: they crash, hang and lose answers
//! at a chosen operation, and each [`Mutation`] breaks one rule of the protocol, so
//! that a test can show that the rule is needed and that its loss is seen.

use async_trait::async_trait;
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tidegate_domain::id::{OwnerToken, Sha256, StreamKey};
use tidegate_domain::slot::Slot;
use tidegate_domain::stream::StreamState;
use tidegate_landing::stage::{StageDirectory, Staging};
use tidegate_landing::target::{Created, Error as TargetError, Head, Payload, Stamp, Target};
use tidegate_store::Error;
use tidegate_store::events::NewEvent;
use tidegate_store::streams::{Intent, Lease, Reconciliation, StreamRow, StreamStore};
use tokio::sync::watch;

/// A rule of the protocol that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The protocol as it is.
    None,
    /// Recovery gives up an intent but leaves the cursor behind it.
    SkipRewind,
    /// "The key exists" is taken for another writer's success; the next slot is used.
    TrustForeign,
    /// Guarded writes compare nothing.
    DropEpochGuard,
    /// The staged file is written some time after the seal.
    SealBeforeFsync,
}

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The process is gone before it.
    CrashBefore,
    /// The process is gone behind it, before its answer is seen.
    CrashAfter,
    /// It waits until it is told to go on, as in a paused process.
    Hang,
    /// A put takes effect, and its answer is lost.
    LoseAnswer,
}

/// Counts operations and blows at one of them.
pub(crate) struct Fuse {
    at: u64,
    blow: Blow,
    passed: AtomicU64,
    blown: watch::Sender<bool>,
    resumed: watch::Sender<bool>,
}

impl Fuse {
    pub(crate) fn at(at: u64, blow: Blow) -> Arc<Fuse> {
        Arc::new(Fuse {
            at,
            blow,
            passed: AtomicU64::new(0),
            blown: watch::channel(false).0,
            resumed: watch::channel(false).0,
        })
    }

    pub(crate) fn never() -> Arc<Fuse> {
        Fuse::at(u64::MAX, Blow::CrashBefore)
    }

    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn has_blown(&self) -> bool {
        *self.blown.borrow()
    }

    pub(crate) async fn blown(&self) {
        let mut blown = self.blown.subscribe();
        blown
            .wait_for(|blown| *blown)
            .await
            .expect("the fuse outlives its watchers");
    }

    pub(crate) fn resume(&self) {
        self.resumed.send_replace(true);
    }

    fn hit(&self) -> bool {
        self.passed.fetch_add(1, Ordering::SeqCst) == self.at
    }

    fn blow_now(&self) {
        self.blown.send_replace(true);
    }

    async fn gone(&self) {
        std::future::pending().await
    }

    /// A dead process does nothing more, on any of its tasks.
    fn is_dead(&self) -> bool {
        self.has_blown() && matches!(self.blow, Blow::CrashBefore | Blow::CrashAfter)
    }

    async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        if self.is_dead() {
            self.gone().await;
        }
        if !self.hit() {
            return work.await;
        }
        match self.blow {
            Blow::CrashBefore => {
                self.blow_now();
                self.gone().await;
            }
            Blow::Hang => {
                self.blow_now();
                let mut resumed = self.resumed.subscribe();
                let waited = resumed.wait_for(|resumed| *resumed).await;
                waited.expect("the fuse outlives its watchers");
            }
            Blow::CrashAfter | Blow::LoseAnswer => {}
        }
        let done = work.await;
        // Only now, so that whoever waits for the blow finds its effect.
        self.blow_now();
        if self.blow == Blow::CrashAfter {
            self.gone().await;
        }
        done
    }
}

pub(crate) struct FaultyStore {
    inner: Arc<dyn StreamStore>,
    fuse: Arc<Fuse>,
    mutation: Mutation,
    owners: Arc<Owners>,
}

/// What the test knows of owners: the lease that was taken last, and how many
/// writes the store accepted from any other.
#[derive(Default)]
pub(crate) struct Owners {
    pub(crate) newest: Mutex<Option<Lease>>,
    pub(crate) late_writes: AtomicU64,
}

impl FaultyStore {
    pub(crate) fn new(
        inner: Arc<dyn StreamStore>,
        fuse: Arc<Fuse>,
        mutation: Mutation,
        owners: Arc<Owners>,
    ) -> FaultyStore {
        FaultyStore {
            inner,
            fuse,
            mutation,
            owners,
        }
    }

    /// The lease that the store gets to see.
    fn shown(&self, lease: &Lease) -> Lease {
        match self.mutation {
            Mutation::DropEpochGuard => self
                .owners
                .newest
                .lock()
                .unwrap()
                .clone()
                .unwrap_or_else(|| lease.clone()),
            _ => lease.clone(),
        }
    }

    async fn guarded(
        &self,
        lease: &Lease,
        write: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let is_newest = || self.owners.newest.lock().unwrap().as_ref() == Some(lease);
        // Asked when the write begins, after any pause: one that was accepted while its
        // owner was the newest is not late because another came before its answer.
        let watched = async {
            let is_late = !is_newest();
            let written = write.await;
            if written.is_ok() && is_late {
                self.owners.late_writes.fetch_add(1, Ordering::SeqCst);
            }
            written
        };
        self.fuse.around(watched).await
    }
}

#[async_trait]
impl StreamStore for FaultyStore {
    async fn load(&self, key: &StreamKey) -> Result<StreamRow, Error> {
        self.fuse.around(self.inner.load(key)).await
    }

    async fn acquire(
        &self,
        key: &StreamKey,
        owner: OwnerToken,
        epoch_floor: u64,
        lifetime_ms: u64,
    ) -> Result<Lease, Error> {
        let taking = async {
            let lease = self
                .inner
                .acquire(key, owner, epoch_floor, lifetime_ms)
                .await?;
            *self.owners.newest.lock().unwrap() = Some(lease.clone());
            Ok(lease)
        };
        self.fuse.around(taking).await
    }

    async fn renew(&self, lease: &Lease, lifetime_ms: u64) -> Result<(), Error> {
        self.guarded(lease, self.inner.renew(&self.shown(lease), lifetime_ms))
            .await
    }

    async fn expire(&self, lease: &Lease) -> Result<(), Error> {
        self.fuse.around(self.inner.expire(lease)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        self.guarded(lease, self.inner.release(&self.shown(lease)))
            .await
    }

    async fn reconcile(&self, lease: &Lease, mut found: Reconciliation) -> Result<(), Error> {
        if self.mutation == Mutation::SkipRewind && !found.abandoned.is_empty() {
            found.staged = self.inner.load(&lease.key).await?.staged;
        }
        self.guarded(lease, self.inner.reconcile(&self.shown(lease), found))
            .await
    }

    async fn seal(
        &self,
        lease: &Lease,
        before: &StreamState,
        after: &StreamState,
        intent: Intent,
    ) -> Result<(), Error> {
        self.guarded(
            lease,
            self.inner.seal(&self.shown(lease), before, after, intent),
        )
        .await
    }

    async fn mark_uploaded(&self, lease: &Lease, batch: u64) -> Result<(), Error> {
        self.guarded(lease, self.inner.mark_uploaded(&self.shown(lease), batch))
            .await
    }

    async fn mark_committed(
        &self,
        lease: &Lease,
        batch: u64,
        slot: u64,
        slot_sha256: &Sha256,
        published: &StreamState,
        events: Vec<NewEvent>,
    ) -> Result<(), Error> {
        let shown = self.shown(lease);
        let marking =
            self.inner
                .mark_committed(&shown, batch, slot, slot_sha256, published, events);
        self.guarded(lease, marking).await
    }

    async fn staged_paths(&self) -> Result<Vec<PathBuf>, Error> {
        self.inner.staged_paths().await
    }
}

pub(crate) struct FaultyTarget {
    inner: Arc<dyn Target>,
    fuse: Arc<Fuse>,
    mutation: Mutation,
}

impl FaultyTarget {
    pub(crate) fn new(inner: Arc<dyn Target>, fuse: Arc<Fuse>, mutation: Mutation) -> FaultyTarget {
        FaultyTarget {
            inner,
            fuse,
            mutation,
        }
    }

    async fn create_once(
        &self,
        key: &str,
        payload: Payload,
        stamp: &Stamp,
    ) -> Result<Created, TargetError> {
        let was_blown = self.fuse.has_blown();
        let created = self
            .fuse
            .around(self.inner.create(key, payload, stamp))
            .await?;
        let lost = !was_blown && self.fuse.has_blown() && self.fuse.blow == Blow::LoseAnswer;
        if lost {
            return Ok(Created::Unknown(TargetError::Unreachable {
                target: "the test".to_owned(),
                operation: "losing an answer",
                source: "lost".into(),
            }));
        }
        Ok(created)
    }

    /// What a client does that retries a conditional put and believes the answer.
    async fn create_naively(
        &self,
        key: &str,
        payload: Payload,
        stamp: &Stamp,
    ) -> Result<Created, TargetError> {
        let Payload::Bytes(bytes) = &payload else {
            return self.create_once(key, payload, stamp).await;
        };
        if !key.contains("/_log/") {
            return self.create_once(key, payload, stamp).await;
        }
        let mut slot: Slot = serde_json::from_slice(bytes).unwrap();
        let mut key = key.to_owned();
        loop {
            let body = Payload::Bytes(serde_json::to_vec(&slot).unwrap().into());
            match self.create_once(&key, body, stamp).await? {
                Created::Created => return Ok(Created::Created),
                Created::Unknown(_) => {}
                Created::Exists => {
                    let there = self.inner.read(&key).await?.unwrap();
                    slot.prev_sha256 = Some(tidegate_landing::log::sha256(&there));
                    let next = format!("{:020}.json", slot.slot + 1);
                    key = key.replace(&format!("{:020}.json", slot.slot), &next);
                    slot.slot += 1;
                }
            }
        }
    }
}

#[async_trait]
impl Target for FaultyTarget {
    async fn create(
        &self,
        key: &str,
        payload: Payload,
        stamp: &Stamp,
    ) -> Result<Created, TargetError> {
        if self.mutation == Mutation::TrustForeign {
            return self.create_naively(key, payload, stamp).await;
        }
        self.create_once(key, payload, stamp).await
    }
    async fn read(&self, key: &str) -> Result<Option<Bytes>, TargetError> {
        self.fuse.around(self.inner.read(key)).await
    }
    async fn head(&self, key: &str) -> Result<Option<Head>, TargetError> {
        self.fuse.around(self.inner.head(key)).await
    }
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, TargetError> {
        self.fuse
            .around(self.inner.list(prefix, after, limit))
            .await
    }
    fn locate(&self, key: &str) -> String {
        self.inner.locate(key)
    }

    fn place(&self, key: &str) -> Option<String> {
        self.inner.place(key)
    }
}

pub(crate) struct FaultyStaging {
    inner: StageDirectory,
    fuse: Arc<Fuse>,
    mutation: Mutation,
    full: AtomicBool,
}

impl FaultyStaging {
    pub(crate) fn new(inner: StageDirectory, fuse: Arc<Fuse>, mutation: Mutation) -> FaultyStaging {
        FaultyStaging {
            inner,
            fuse,
            mutation,
            full: AtomicBool::new(false),
        }
    }

    /// From now on the disk has no space.
    pub(crate) fn fill(&self) {
        self.full.store(true, Ordering::SeqCst);
    }
}

impl Staging for FaultyStaging {
    fn root(&self) -> &Path {
        self.inner.root()
    }

    fn create(&self) -> io::Result<(File, PathBuf)> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.inner.create()
    }

    fn persist(&self, file: &File, temporary: &Path, name: &str) -> io::Result<PathBuf> {
        if self.fuse.is_dead() {
            return Err(io::Error::other("the process is gone"));
        }
        if self.mutation == Mutation::SealBeforeFsync {
            // The bytes are still in memory when the seal is durable: a crash in
            // between finds a name without a file.
            return Ok(temporary.with_file_name(name));
        }
        self.inner.persist(file, temporary, name)
    }

    fn holds(&self, path: &Path, sha256: &Sha256) -> bool {
        self.inner.holds(path, sha256)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.fuse.is_dead() {
            return Ok(());
        }
        self.inner.remove(path)
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        self.inner.files()
    }
}
