//! The commit log of one stream: numbered, create-only slots, each holding the
//! hash of the one before. The put of a slot is the moment at which a batch
//! becomes visible.

use crate::Error;
use crate::cipher::StreamCipher;
use crate::target::{Created, Payload, Stamp, Target};
use bytes::Bytes;
use sha2::{Digest, Sha256 as Hasher};
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::id::{Sha256, StreamKey};
use tidegate_domain::slot::{Object, SLOT_VERSION, Slot};
use tidegate_domain::stream::Change;

/// How often an unknown outcome is resolved by reading back before recovery has to.
const RESOLVE_ATTEMPTS: u32 = 6;
const RESOLVE_WAIT: Duration = Duration::from_millis(200);

/// A slot with the hash of its bytes.
#[derive(Clone, Debug)]
pub struct Logged {
    /// What it says.
    pub slot: Slot,
    /// The sha256 of its bytes.
    pub sha256: Sha256,
}

/// Whose a slot became.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// This put made it; the sha256 of its bytes.
    Ours(Sha256),
    /// Another owner's put made it.
    Taken,
}

/// Where a tail of the log starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first slot to read.
    pub slot: u64,
    /// The sha256 of the slot before it.
    pub previous: Option<Sha256>,
}

/// A stream's log on its target.
#[derive(Clone)]
pub struct Log {
    target: Arc<dyn Target>,
    key: StreamKey,
}

/// The stream's prefix below the target's.
pub fn stream_prefix(key: &StreamKey) -> String {
    format!(
        "tenant={}/sync={}/stream={}",
        key.tenant, key.sync, key.stream
    )
}

/// Where an object that a slot of `key`'s log names is, for people and engines. The
/// slot's own word goes before what the target is set to today.
pub fn location(target: &dyn Target, key: &StreamKey, object: &Object) -> String {
    let full = format!("{}/{}", stream_prefix(key), object.key);
    match &object.place {
        Some(place) => format!("{place}/{full}"),
        None => target.locate(&full),
    }
}

/// The object key of a slot.
pub fn slot_key(key: &StreamKey, slot: u64) -> String {
    format!("{}/_log/{slot:020}.json", stream_prefix(key))
}

/// The sha256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(Hasher::digest(bytes).into())
}

impl Log {
    /// The log of `key` on `target`.
    pub fn new(target: Arc<dyn Target>, key: StreamKey) -> Log {
        Log { target, key }
    }

    /// Reads every slot from `from` on and checks number, version and hash chain.
    ///
    /// # Errors
    /// [`Error::LogBehind`] where the slot before `from` is gone or changed,
    /// [`Error::LogBroken`] where a slot does not follow or one is missing in between.
    pub async fn read_from(&self, from: &Position) -> Result<Vec<Logged>, Error> {
        if let Some(expected) = &from.previous {
            let slot = from.slot.saturating_sub(1);
            let found = self.target.read(&slot_key(&self.key, slot)).await?;
            if found.map(|bytes| sha256(&bytes)).as_ref() != Some(expected) {
                return Err(Error::LogBehind {
                    stream: self.key.clone(),
                    slot,
                });
            }
        }
        let mut tail: Vec<Logged> = Vec::new();
        let mut next = from.clone();
        loop {
            while let Some(bytes) = self.target.read(&slot_key(&self.key, next.slot)).await? {
                let logged = self.check(&bytes, &next)?;
                next = Position {
                    slot: next.slot + 1,
                    previous: Some(logged.sha256.clone()),
                };
                tail.push(logged);
            }
            if !self.has_later(next.slot).await? {
                return Ok(tail);
            }
            // Its owner may have written both between our two looks.
            if self
                .target
                .head(&slot_key(&self.key, next.slot))
                .await?
                .is_none()
            {
                return Err(Error::LogBehind {
                    stream: self.key.clone(),
                    slot: next.slot,
                });
            }
        }
    }

    fn check(&self, bytes: &Bytes, at: &Position) -> Result<Logged, Error> {
        let broken = |reason: String| Error::LogBroken {
            stream: self.key.clone(),
            slot: at.slot,
            reason,
        };
        let slot: Slot =
            serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        if slot.v != SLOT_VERSION {
            return Err(broken(format!(
                "its format is version {}, this build reads {SLOT_VERSION}",
                slot.v
            )));
        }
        if slot.slot != at.slot {
            return Err(broken(format!("it says that it is slot {}", slot.slot)));
        }
        if slot.prev_sha256 != at.previous {
            return Err(broken(
                "it does not hold the hash of the slot before it".to_owned(),
            ));
        }
        Ok(Logged {
            slot,
            sha256: sha256(bytes),
        })
    }

    /// Whether there is a slot behind a missing one.
    async fn has_later(&self, missing: u64) -> Result<bool, Error> {
        let folder = format!("{}/_log/", stream_prefix(&self.key));
        let after = slot_key(&self.key, missing);
        let later = self.target.list(&folder, Some(&after), 1).await?;
        Ok(!later.is_empty())
    }

    /// Creates a slot and finds out whose it is. `Exists` and `Unknown` are both
    /// resolved by reading back: a lost success comes back as `Exists`.
    ///
    /// # Errors
    /// Where the outcome stays unknown; recovery will find out.
    pub async fn put(&self, slot: &Slot) -> Result<Put, Error> {
        let bytes = Bytes::from(serde_json::to_vec(slot).expect("a slot has only JSON types"));
        let hash = sha256(&bytes);
        let stamp = Stamp {
            sha256: hash.clone(),
            put_id: slot.put_id,
        };
        let key = slot_key(&self.key, slot.slot);
        let mut attempt = 0;
        loop {
            let payload = Payload::Bytes(bytes.clone());
            let doubt = match self.target.create(&key, payload, &stamp).await? {
                Created::Created => return Ok(Put::Ours(hash)),
                Created::Exists => None,
                Created::Unknown(error) => Some(error),
            };
            match self.target.read(&key).await {
                Ok(Some(found)) if found == bytes => return Ok(Put::Ours(hash)),
                Ok(Some(_)) => return Ok(Put::Taken),
                Ok(None) | Err(_) if attempt < RESOLVE_ATTEMPTS => {}
                Ok(None) => return Err(self.unresolved(slot.slot, doubt)),
                Err(error) => return Err(error.into()),
            }
            attempt += 1;
            tokio::time::sleep(RESOLVE_WAIT * attempt).await;
        }
    }

    fn unresolved(&self, slot: u64, doubt: Option<crate::target::Error>) -> Error {
        match doubt {
            Some(error) => error.into(),
            None => Error::LogBroken {
                stream: self.key.clone(),
                slot,
                reason: "the target says that it exists and that it does not".to_owned(),
            },
        }
    }

    /// Opens the change that a slot carries; none for a fence.
    ///
    /// # Errors
    /// Where the key is another one, or the change is not valid.
    pub async fn open_change(
        &self,
        cipher: &StreamCipher,
        logged: &Logged,
    ) -> Result<Option<(u64, Change)>, Error> {
        let Some((batch, sealed)) = logged.slot.entry.sealed_change() else {
            return Ok(None);
        };
        let text = cipher.open(batch, sealed).await?;
        let change = serde_json::from_slice(&text).map_err(|error| Error::LogBroken {
            stream: self.key.clone(),
            slot: logged.slot.slot,
            reason: error.to_string(),
        })?;
        Ok(Some((batch, change)))
    }
}
