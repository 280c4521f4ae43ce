//! Who decides whether a batch may be sealed that holds what fits no column: landing
//! knows the rows, and nothing of the source.

use crate::encode::Misfit;
use async_trait::async_trait;
use std::sync::Arc;
use tidegate_domain::Fault;
use tidegate_domain::schema::Columns;

/// Decides on batches with misfits. Reading waits meanwhile.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Whether the batch whose values these are may be sealed.
    async fn examine(&self, misfits: &[Misfit]) -> Pass;
}

/// What becomes of a batch, and of those after it.
pub enum Pass {
    /// It lands as it is, what fits no column in `_tg_extra`.
    Land,
    /// It lands as it is; those after it have these columns.
    Reshape(Arc<Columns>),
    /// It does not land: the writer fails, and the rows are read again another time.
    Refuse {
        /// The kind of failure.
        fault: Fault,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
