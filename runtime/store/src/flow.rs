//! The record of requests to providers: who asked what of whom, when, for which job.
//! No header, no query, no body is in it.

use crate::Error;
use async_trait::async_trait;
use tidegate_domain::Fault;
use tidegate_domain::id::{ConnectionId, JobId, Sha256, StreamName, TenantId};

/// For what a request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestOrigin {
    /// The job.
    pub job: JobId,
    /// The attempt of the job, from 1.
    pub attempt: u32,
    /// The stream.
    pub stream: Option<StreamName>,
    /// The partition, by the connector's id of it.
    pub partition: Option<String>,
}

/// One request, as the host sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Whose.
    pub tenant: TenantId,
    /// Of which connection.
    pub connection: ConnectionId,
    /// For which job; none for what a person asked.
    pub origin: Option<RequestOrigin>,
    /// The connector's digest.
    pub connector: Option<Sha256>,
    /// GET, POST and so on.
    pub method: String,
    /// The endpoint of the manifest.
    pub endpoint: String,
    /// The path with what names a record replaced by `{id}`; no query.
    pub path: String,
    /// The status of the answer; none where none came.
    pub status: Option<u16>,
    /// Why there is no whole answer.
    pub fault: Option<Fault>,
    /// Bytes of the request's body.
    pub bytes_sent: u64,
    /// Bytes of the answer's body, as they came.
    pub bytes_received: u64,
    /// When it was sent, in milliseconds since the epoch.
    pub sent_at_ms: u64,
    /// Milliseconds that it waited for its limits before.
    pub waited_ms: u64,
    /// Milliseconds from sending to the last byte.
    pub took_ms: u64,
}

/// Which records are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestsLost {
    /// Records that were dropped because the store was slower than the requests.
    pub dropped: u64,
    /// How often a process ended without writing down the requests of its last moments.
    pub cut_short: u64,
}

/// Requests in the order in which they were written down.
#[async_trait]
pub trait FlowStore: Send + Sync {
    /// Says that a process begins to record. What the one before did not end is counted
    /// as cut short.
    async fn begin_recording(&self) -> Result<(), Error>;

    /// Writes records down, and counts those that were dropped since the last time.
    async fn record_requests(&self, records: Vec<RequestRecord>, dropped: u64)
    -> Result<(), Error>;

    /// Says that everything was written down.
    async fn end_recording(&self) -> Result<(), Error>;

    /// Requests of a job after this number, with their numbers.
    async fn requests_of_job(
        &self,
        tenant: &TenantId,
        job: &JobId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, RequestRecord)>, Error>;

    /// What is missing, of all tenants.
    async fn requests_lost(&self) -> Result<RequestsLost, Error>;
}
