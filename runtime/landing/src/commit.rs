//! Steps S4 to S8: a sealed batch becomes visible. One batch at a time, in order:
//! the log's slots are strictly sequential.

use crate::Error;
use crate::announce;
use crate::log::{Log, Position, Put, stream_prefix};
use crate::recover::{Stream, landed, next_slot, random_bytes};
use crate::target::{Created, Payload, Stamp};
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::id::PutId;
use tidegate_domain::slot::{Entry, Object};
use tidegate_domain::stream::{Change, StreamState};
use tidegate_store::crash;
use tidegate_store::streams::{Intent, IntentState, Lease, StagedObject};
use tokio::time::Instant;
use tracing::Instrument as _;

/// How often a put whose outcome is unknown is sent again.
const UPLOAD_ATTEMPTS: u32 = 6;
const UPLOAD_WAIT: Duration = Duration::from_millis(250);

/// Commits the intents of one owner.
pub(crate) struct Committer {
    pub(crate) stream: Stream,
    pub(crate) log: Log,
    pub(crate) lease: Lease,
    pub(crate) published: StreamState,
    pub(crate) tail: Position,
    renewed_at: Instant,
}

impl Committer {
    pub(crate) fn new(
        stream: Stream,
        lease: Lease,
        published: StreamState,
        tail: Position,
    ) -> Committer {
        let log = Log::new(Arc::clone(&stream.target), stream.key.clone());
        Committer {
            stream,
            log,
            lease,
            published,
            tail,
            renewed_at: Instant::now(),
        }
    }

    /// Steps S4 to S8 for one intent. Every step may be repeated.
    pub(crate) async fn commit(&mut self, intent: &Intent) -> Result<(), Error> {
        let span = tracing::info_span!("commit", batch.number = intent.batch);
        self.steps(intent).instrument(span).await?;
        let objects = intent.objects.iter().map(|staged| &staged.object);
        let (rows, bytes) = objects.fold((0, 0), |(rows, bytes), object| {
            (rows + object.rows, bytes + object.bytes)
        });
        tracing::event!(target: "metric", tracing::Level::INFO, connector.records = rows, connector.bytes = bytes);
        Ok(())
    }

    async fn steps(&mut self, intent: &Intent) -> Result<(), Error> {
        let published = self
            .published
            .apply(&intent.change)
            .map_err(|source| Error::Chain {
                stream: self.stream.key.clone(),
                source,
            })?;
        crash::point("S4.before");
        for staged in &intent.objects {
            // What a former run uploaded may have been deleted since.
            let there = intent.state == IntentState::Uploaded
                && landed(&self.stream, &staged.object.key, &staged.object.sha256).await?;
            if !there {
                let bytes = staged.object.bytes;
                let span = tracing::info_span!("upload", object.bytes = bytes);
                self.upload(staged).instrument(span).await?;
            }
        }
        crash::point("S4.after");
        crash::point("S5.before");
        // A batch without objects has nothing that another node need not read again.
        if !intent.objects.is_empty() {
            let marked = self.stream.store.mark_uploaded(&self.lease, intent.batch);
            marked.await?;
        }
        crash::point("S5.after");
        self.renew_when_old().await?;
        crash::point("S6.before");
        let slot = next_slot(
            &self.lease,
            &self.tail,
            self.entry(intent, &published).await?,
        );
        let Put::Ours(sha256) = self.log.put(&slot).await? else {
            tracing::event!(target: "metric", tracing::Level::INFO, connector.fenced = 1u64);
            return Err(Error::Fenced {
                stream: self.stream.key.clone(),
            });
        };
        crash::point("S6.after");
        crash::point("S7.before");
        let marked = self.stream.store.mark_committed(
            &self.lease,
            intent.batch,
            slot.slot,
            &sha256,
            &published,
            Vec::from_iter(announce::committed(&self.stream, &slot, &sha256)),
        );
        marked.await?;
        crash::point("S7.after");
        self.published = published;
        self.tail = Position {
            slot: slot.slot + 1,
            previous: Some(sha256),
        };
        crash::point("S8.before");
        for staged in &intent.objects {
            if let Err(error) = self.stream.staging.remove(&staged.path) {
                tracing::warn!(path = %staged.path.display(), %error, "a staged file could not be removed");
            }
        }
        crash::point("S8.after");
        Ok(())
    }

    /// An owner that was silent for long asks before it writes where others read.
    /// This only saves work: the slot itself refuses a stale owner.
    async fn renew_when_old(&mut self) -> Result<(), Error> {
        let third = Duration::from_millis(self.stream.lease_ms / 3);
        if self.renewed_at.elapsed() >= third {
            self.stream
                .store
                .renew(&self.lease, self.stream.lease_ms)
                .await?;
            self.renewed_at = Instant::now();
        }
        Ok(())
    }

    async fn upload(&self, staged: &StagedObject) -> Result<(), Error> {
        let object = &staged.object;
        let key = format!("{}/{}", stream_prefix(&self.stream.key), object.key);
        let stamp = Stamp {
            sha256: object.sha256.clone(),
            put_id: PutId::from_bytes(random_bytes()),
        };
        // After a takeover the bytes may be on the target alone.
        if !staged.path.exists() && landed(&self.stream, &object.key, &object.sha256).await? {
            return Ok(());
        }
        for attempt in 1.. {
            let payload = Payload::File {
                path: staged.path.clone(),
                bytes: object.bytes,
            };
            let doubt = match self.stream.target.create(&key, payload, &stamp).await? {
                Created::Created => return Ok(()),
                Created::Exists => None,
                Created::Unknown(error) => Some(error),
            };
            // The key holds the hash of the bytes: the same bytes are success,
            // whoever put them there.
            match landed(&self.stream, &object.key, &object.sha256).await {
                Ok(true) => return Ok(()),
                Ok(false) | Err(_) if attempt < UPLOAD_ATTEMPTS => {}
                Err(error) => return Err(error),
                Ok(false) => {
                    return Err(doubt.map_or_else(|| self.foreign(&key), Error::from));
                }
            }
            tokio::time::sleep(UPLOAD_WAIT * attempt).await;
        }
        unreachable!("the loop returns at the last attempt")
    }

    fn foreign(&self, key: &str) -> Error {
        let target = &self.stream.target;
        let place = target.place(key).map(|place| format!("{place}/{key}"));
        Error::Target(crate::target::Error::Config {
            target: place.unwrap_or_else(|| target.locate(key)),
            reason: "an object of this name holds other bytes; was it changed by hand?".to_owned(),
        })
    }

    /// The objects of an intent, each with the place where this owner put it.
    fn placed(&self, intent: &Intent) -> Vec<Object> {
        let prefix = stream_prefix(&self.stream.key);
        let placed = |staged: &StagedObject| {
            let mut object = staged.object.clone();
            object.place = self
                .stream
                .target
                .place(&format!("{prefix}/{}", object.key));
            object
        };
        intent.objects.iter().map(placed).collect()
    }

    async fn entry(&self, intent: &Intent, after: &StreamState) -> Result<Entry, Error> {
        let plain = serde_json::to_vec(&intent.change).expect("a change has only JSON types");
        let change = self.stream.cipher.seal(intent.batch, &plain).await?;
        let batch = intent.batch;
        Ok(match &intent.change {
            Change::Begin { generation, how } => Entry::Begin {
                generation: *generation,
                how: *how,
                batch,
                change,
            },
            Change::Plan { run, partitions } => Entry::Plan {
                run: *run,
                partitions: partitions.len() as u64,
                batch,
                change,
            },
            Change::Commit { .. } => Entry::Commit {
                generation: after.generation,
                batch,
                objects: self.placed(intent),
                change,
            },
            Change::Edit { .. } => Entry::Edit {
                generation: after.generation,
                batch,
                change,
            },
            Change::Complete { generation } => Entry::Complete {
                generation: *generation,
                batch,
                change,
            },
        })
    }
}
