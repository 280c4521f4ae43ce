//! A target whose operations land in places of their own: another directory, prefix or
//! bucket for the rows of one operation, the log and everything else in the first.

use crate::target::{Created, Error, Head, Payload, Stamp, Target};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tidegate_domain::record::Operation;

/// A target, and other ones for single operations.
pub struct ByOperation {
    log: Arc<dyn Target>,
    others: Vec<(Operation, Arc<dyn Target>)>,
}

impl ByOperation {
    /// Rows of the operations in `others` land there; the log and all else in `log`.
    pub fn new(log: Arc<dyn Target>, others: Vec<(Operation, Arc<dyn Target>)>) -> ByOperation {
        ByOperation { log, others }
    }

    /// The place that the operation in a key (`…/op=delete/file`) has of its own.
    fn other(&self, key: &str) -> Option<&dyn Target> {
        let word = key.rsplit('/').nth(1)?.strip_prefix("op=")?;
        let other = self
            .others
            .iter()
            .find(|(operation, _)| operation.as_str() == word);
        other.map(|(_, target)| &**target)
    }

    fn of(&self, key: &str) -> &dyn Target {
        self.other(key).unwrap_or(&*self.log)
    }
}

#[async_trait]
impl Target for ByOperation {
    async fn create(&self, key: &str, payload: Payload, stamp: &Stamp) -> Result<Created, Error> {
        self.of(key).create(key, payload, stamp).await
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.of(key).read(key).await
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        self.of(key).head(key).await
    }

    /// Of the log's place: only logs are ever listed.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        self.log.list(prefix, after, limit).await
    }

    fn locate(&self, key: &str) -> String {
        self.log.locate(key)
    }

    fn place(&self, key: &str) -> Option<String> {
        let root = self.other(key)?.locate("");
        Some(root.trim_end_matches('/').to_owned())
    }
}
