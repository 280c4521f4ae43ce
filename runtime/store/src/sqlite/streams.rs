//! Streams in SQLite. JSON is made and checked on the caller's thread where that
//! is possible, since every stream waits for the one thread that writes.

mod leases;
mod rows;
mod writes;

pub(super) use leases::expire_leases;

use super::SqliteStore;
use super::encoding::encode;
use super::failure::{Failure, Violation};
use crate::Error;
use crate::clock::now_ms;
use crate::events::NewEvent;
use crate::streams::{Intent, Lease, Reconciliation, StreamRow, StreamStore};
use async_trait::async_trait;
use std::path::PathBuf;
use tidegate_domain::id::{OwnerToken, Sha256, StreamKey};
use tidegate_domain::stream::{Change, StreamState};

#[async_trait]
impl StreamStore for SqliteStore {
    async fn load(&self, key: &StreamKey) -> Result<StreamRow, Error> {
        let key = key.clone();
        self.read("load", move |database| rows::load(database, &key))
            .await
    }

    async fn acquire(
        &self,
        key: &StreamKey,
        owner: OwnerToken,
        epoch_floor: u64,
        lifetime_ms: u64,
    ) -> Result<Lease, Error> {
        let key = key.clone();
        self.write("acquire", move |database| {
            leases::acquire(database, key, owner, epoch_floor, lifetime_ms)
        })
        .await
    }

    async fn renew(&self, lease: &Lease, lifetime_ms: u64) -> Result<(), Error> {
        let lease = lease.clone();
        self.write("renew", move |database| {
            leases::renew(database, &lease, lifetime_ms)
        })
        .await
    }

    async fn expire(&self, lease: &Lease) -> Result<(), Error> {
        let lease = lease.clone();
        self.write("expire", move |database| leases::renew(database, &lease, 0))
            .await
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        let lease = lease.clone();
        self.write("release", move |database| leases::release(database, &lease))
            .await
    }

    async fn reconcile(&self, lease: &Lease, found: Reconciliation) -> Result<(), Error> {
        let (lease, at_ms) = (lease.clone(), now_ms());
        self.write("reconcile", move |database| {
            writes::reconcile(database, &lease, &found, at_ms)
        })
        .await
    }

    async fn seal(
        &self,
        lease: &Lease,
        before: &StreamState,
        after: &StreamState,
        intent: Intent,
    ) -> Result<(), Error> {
        let seal = writes::Seal::new(lease, before, after, &intent)
            .map_err(|failure| failure.into_error("seal"))?;
        self.write("seal", move |database| writes::seal(database, &seal))
            .await
    }

    async fn mark_uploaded(&self, lease: &Lease, batch: u64) -> Result<(), Error> {
        let lease = lease.clone();
        self.write("mark uploaded", move |database| {
            writes::mark_uploaded(database, &lease, batch)
        })
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
        let mark = writes::CommitMark {
            lease: lease.clone(),
            batch,
            slot,
            slot_sha256: slot_sha256.clone(),
            published: published.clone(),
            events,
            at_ms: now_ms(),
        };
        self.write("mark committed", move |database| {
            writes::mark_committed(database, &mark)
        })
        .await
    }

    async fn staged_paths(&self) -> Result<Vec<PathBuf>, Error> {
        self.read("staged paths", rows::staged_paths).await
    }
}

/// Proves that `after` is `before` plus the change.
fn check_chain(
    before: &StreamState,
    change: &Change,
    after: &StreamState,
) -> Result<(), Violation> {
    if before.apply(change).map_err(Violation::Chain)? != *after {
        return Err(Violation::State);
    }
    Ok(())
}

fn fenced(lease: &Lease) -> Failure {
    Failure::Known(Error::Fenced {
        stream: lease.key.clone(),
    })
}

fn empty_state() -> Result<String, Failure> {
    encode(&StreamState::default())
}
