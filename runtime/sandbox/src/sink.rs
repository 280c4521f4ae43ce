//! Where a read call's records and states go.

use async_trait::async_trait;
use tidegate_domain::Fault;
use tidegate_landing::page::Page;

/// One partition's side of the stream's batch.
///
/// The owner gets its sink back in the report and may downcast it.
///
/// A call may be dropped at any await: a `push` or `save` that did not return may
/// have happened or not, and what was pushed after the last save is the owner's to
/// drop.
#[async_trait]
pub trait Sink: std::any::Any + Send {
    /// Takes records, in order. May wait: that is the back-pressure.
    async fn push(&mut self, page: Page) -> Result<(), SinkError>;

    /// Takes a new state, which covers everything pushed before it.
    async fn save(&mut self, state: String) -> Result<Directive, SinkError>;

    /// What the guest should do next.
    fn poll(&self) -> Directive;

    /// Hears how far behind its source a live partition is, in milliseconds.
    fn lag(&mut self, _lag_ms: u64) {}

    /// Whether a state was saved since the sink was made.
    fn has_saved(&self) -> bool;
}

/// What the host wants of a reading guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Keep going.
    Proceed,
    /// Return `more` soon.
    YieldSoon,
    /// Save and return now.
    Stop,
}

/// Why a batch does not take more.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The run is being stopped; the guest may still save and return.
    #[error("the run is being stopped")]
    Stopping,
    /// It failed; the guest is ended.
    #[error("the batch failed")]
    Failed {
        /// The kind of failure.
        fault: Fault,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
