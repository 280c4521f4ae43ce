//! Cursors set by hand: where a stream goes on is changed by a slot of its own log, so
//! that a person's edit survives whatever a batch survives.

use crate::documents;
use crate::error::Error;
use crate::node::Node;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_domain::id::{PartitionId, StreamKey, StreamName};
use tidegate_domain::stream::{Change, CursorEdit};
use tidegate_landing as landing;
use tidegate_landing::cipher::StreamCipher;
use tidegate_landing::recover::Stream;
use tidegate_landing::writer::{Settings, StreamWriter};

impl Node {
    /// Sets the cursors of partitions, all of them or none. Each must still be where the
    /// edit says that it was. While a job reads the stream, its lease refuses.
    ///
    /// # Errors
    /// [`Error::Edit`] where a cursor was moved meanwhile or a partition is not in the
    /// plan; [`Error::BeingRead`] while a job reads the stream; [`Error::Setting`] where
    /// the sync is not complete; [`Error::Landing`] where store or target fail.
    pub async fn edit_checkpoints(
        &self,
        key: StreamKey,
        edits: BTreeMap<PartitionId, CursorEdit>,
    ) -> Result<(), Error> {
        let spec = documents::sync(&*self.store, &key.tenant, &key.sync).await?;
        let target = self
            .stored_target(&key.tenant, &key.sync, &spec.target)
            .await?;
        let name = key.stream.clone();
        let refused = |error| refusal(name.clone(), error);
        let store = Arc::clone(&self.store);
        let cipher = StreamCipher::new(Arc::clone(&self.keyring), store as _, key.clone());
        let stream = Stream {
            key,
            store: Arc::clone(&self.store) as _,
            target,
            staging: Arc::clone(&self.staging),
            cipher,
            lease_ms: self.config.lease_ms,
        };
        let settings = Settings {
            policy: spec.batch,
            format: spec.target.format,
            columns: None, // no row is encoded
            gate: None,
        };
        let writer = StreamWriter::open(stream, settings)
            .await
            .map_err(refused)?;
        let edited = writer.handle().change(Change::Edit { edits }).await;
        let closed = writer.close().await;
        edited.map_err(refused)?;
        closed.map_err(refused)?;
        Ok(())
    }
}

fn refusal(stream: StreamName, error: landing::Error) -> Error {
    match error {
        landing::Error::Chain { source, .. } => Error::Edit { stream, source },
        landing::Error::Store(tidegate_store::Error::Held { .. }) => Error::BeingRead { stream },
        error => Error::Landing {
            stream,
            source: Box::new(error),
        },
    }
}
