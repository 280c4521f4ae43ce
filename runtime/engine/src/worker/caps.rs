//! How many jobs of a connection may run at once, as its document says: read seldom,
//! since the queue is looked at often.

use crate::documents;
use crate::error::Error;
use std::collections::HashMap;
use std::time::Duration;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_store::control::ControlStore;
use tidegate_store::queue::Candidate;
use tokio::time::Instant;

/// How old a cap may be.
const AGE_MAX: Duration = Duration::from_secs(10);
/// Connections that are remembered.
const CONNECTIONS_MAX: usize = 4_096;

/// Caps of connections that had jobs due.
#[derive(Default)]
pub(super) struct ConnectionCaps {
    known: HashMap<(TenantId, ConnectionId), (Option<u32>, Instant)>,
}

impl ConnectionCaps {
    /// The cap of a candidate's connection; none where its document sets none. A
    /// document that cannot be read has none either: the job will say what is wrong.
    pub(super) async fn of(
        &mut self,
        store: &dyn ControlStore,
        candidate: &Candidate,
    ) -> Result<Option<u32>, Error> {
        let key = (candidate.tenant.clone(), candidate.connection.clone());
        if let Some((cap, read_at)) = self.known.get(&key)
            && read_at.elapsed() < AGE_MAX
        {
            return Ok(*cap);
        }
        let cap = match documents::connection(store, &key.0, &key.1).await {
            Ok(spec) => spec.concurrency_max,
            Err(Error::Setting { .. }) => None,
            Err(error) => return Err(error),
        };
        if self.known.len() >= CONNECTIONS_MAX {
            self.known.clear();
        }
        self.known.insert(key, (cap, Instant::now()));
        Ok(cap)
    }
}
