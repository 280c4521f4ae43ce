//! Sealing the open batch: its files durable, what fits no column examined, its schema
//! readable, then the intent with the cursors.

use super::Actor;
use crate::Error;
use crate::gate::Pass;
use crate::lane::{BatchName, Encoded};
use crate::schema;
use crate::sealed::Sealed;
use std::sync::Arc;
use tidegate_domain::schema::Columns;
use tidegate_domain::stream::Change;
use tidegate_store::crash;
use tidegate_store::streams::{Intent, IntentState, StagedObject};
use tracing::Instrument as _;

impl Actor {
    pub(super) async fn seal_open(&mut self) -> Result<(), Error> {
        if self.steps.is_empty() {
            return Ok(());
        }
        let name = BatchName {
            epoch: self.lease.epoch,
            batch: self.next_batch,
            generation: self.open.generation,
        };
        let span = tracing::info_span!("seal", batch.number = name.batch, batch.rows = self.rows);
        let sealing = async {
            let stopped = || Error::Stopped {
                stream: self.stream.key.clone(),
            };
            let encoded = self.lane.finish(name).await.ok_or_else(stopped)??;
            let columns = self.pass(&encoded).await?;
            self.publish_schema(&encoded).await?;
            let steps = std::mem::take(&mut self.steps);
            self.count(0);
            self.opened_at = None;
            self.seal(Change::Commit { steps }, encoded.objects).await?;
            self.reshape(columns).await
        };
        sealing.instrument(span).await
    }

    /// What is written from now on has these columns, if they are others.
    async fn reshape(&mut self, columns: Option<Arc<Columns>>) -> Result<(), Error> {
        let Some(columns) = columns else {
            return Ok(());
        };
        self.columns = Some(Arc::clone(&columns));
        match self.lane.reshape(columns).await {
            true => Ok(()),
            false => Err(Error::Stopped {
                stream: self.stream.key.clone(),
            }),
        }
    }

    /// Says what the schema id of the batch's objects means, before a slot names it.
    async fn publish_schema(&mut self, encoded: &Encoded) -> Result<(), Error> {
        let staged = encoded.objects.iter();
        let used = staged
            .filter_map(|staged| staged.object.schema.as_ref())
            .next();
        let (Some(id), Some(columns)) = (used, &self.columns) else {
            return Ok(());
        };
        if self.published_schema.as_ref() != Some(id) {
            let stream = &self.stream;
            schema::publish(&*stream.target, &stream.key, columns).await?;
            self.published_schema = Some(id.clone());
        }
        Ok(())
    }

    /// Asks whether the batch may be sealed; the columns of those after it, where they
    /// are others.
    async fn pass(&self, encoded: &Encoded) -> Result<Option<Arc<Columns>>, Error> {
        let Some(gate) = self.gate.as_ref().filter(|_| !encoded.misfits.is_empty()) else {
            return Ok(None);
        };
        match gate.examine(&encoded.misfits).await {
            Pass::Land => Ok(None),
            Pass::Reshape(columns) => Ok(Some(columns)),
            Pass::Refuse { fault, source } => {
                for staged in &encoded.objects {
                    if let Err(error) = self.stream.staging.remove(&staged.path) {
                        tracing::warn!(path = %staged.path.display(), %error, "a staged file could not be removed");
                    }
                }
                Err(Error::Refused {
                    stream: self.stream.key.clone(),
                    fault,
                    source,
                })
            }
        }
    }

    /// Step S3: from here on the rows survive this process.
    pub(super) async fn seal(
        &mut self,
        change: Change,
        objects: Vec<StagedObject>,
    ) -> Result<(), Error> {
        let intent = Intent {
            batch: self.next_batch,
            change,
            objects,
            state: IntentState::Sealed,
        };
        crash::point("S3.before");
        let sealing = self
            .stream
            .store
            .seal(&self.lease, &self.staged, &self.open, intent.clone());
        sealing.await?;
        crash::point("S3.after");
        self.staged = self.open.clone();
        self.next_batch += 1;
        self.state.send_replace(self.open.clone());
        let handed = self.sealed.send(Sealed::new(intent)).await;
        handed.map_err(|_| Error::Stopped {
            stream: self.stream.key.clone(),
        })
    }
}
