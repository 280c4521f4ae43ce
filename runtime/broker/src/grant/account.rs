//! Requests to token endpoints in the record of requests and in what a session used.

use super::Grant;
use crate::Connection;
use crate::call::{Meter, Usage};
use crate::flow::{self, Recorder};
use crate::transport::{Broken, Received};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidegate_domain::id::Sha256;
use tidegate_store::flow::{RequestOrigin, RequestRecord};

/// Where the token requests of one grant in one session are counted and recorded.
#[derive(Clone)]
pub(super) struct Account {
    recorder: Arc<OnceLock<Recorder>>,
    connector: Option<Sha256>,
    meter: Arc<Meter>,
    /// What they are recorded under.
    origin: Option<Arc<RequestOrigin>>,
}

impl Account {
    pub(super) fn new(connection: &Connection, recorder: &Arc<OnceLock<Recorder>>) -> Self {
        Self {
            recorder: Arc::clone(recorder),
            connector: connection.connector.clone(),
            meter: Arc::default(),
            origin: None,
        }
    }
}

impl Grant {
    /// The same grant; its token requests are recorded under this.
    pub(crate) fn asked_for(&self, origin: Option<&Arc<RequestOrigin>>) -> Self {
        let mut grant = self.clone();
        grant.account.origin = origin.cloned();
        grant
    }

    /// What its token requests used in this session.
    pub(crate) fn usage(&self) -> Usage {
        self.account.meter.usage()
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.account.meter
    }

    /// Writes one token request down: no header, no body, no secret. `received` is none
    /// where the answer took too long.
    pub(super) fn record(
        &self,
        received: Option<&Result<Received, Broken>>,
        used: Usage,
        sent_at_ms: u64,
        took: Duration,
    ) {
        let Some(recorder) = self.account.recorder.get() else {
            return;
        };
        let fault = match received {
            None => Some(tidegate_domain::Fault::Transient),
            Some(Err(broken)) => Some(broken.fault.fault()),
            Some(Ok(_)) => None,
        };
        let answered = received.and_then(|received| received.as_ref().ok());
        recorder.record(RequestRecord {
            tenant: self.key.tenant.clone(),
            connection: self.key.connection.clone(),
            origin: self.account.origin.as_deref().cloned(),
            connector: self.account.connector.clone(),
            method: http::Method::POST.to_string(),
            endpoint: format!("token of {}", self.key.method),
            path: flow::template(self.token_url.path()),
            status: answered.map(|received| received.status),
            fault,
            bytes_sent: used.bytes_sent,
            bytes_received: used.bytes_received,
            sent_at_ms,
            waited_ms: 0,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
    }
}
