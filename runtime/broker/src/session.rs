//! The way out of one connection.

use crate::broker::Shared;
use crate::grant::PendingAuthorization;
use crate::{Call, Connection, Error, FetchFault, Meter, Request, Response, Usage};
use std::sync::Arc;

/// The way out for one connection. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    _shared: Arc<Shared>,
    _connection: Connection,
    meter: Meter,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        let inner = Inner {
            _shared: shared,
            _connection: connection,
            meter: Meter::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Sends one request under every rule, and reads its whole answer.
    ///
    /// # Errors
    /// See [`FetchFault`].
    pub async fn fetch(&self, _request: Request, _call: &Call) -> Result<Response, FetchFault> {
        Err(FetchFault::Host(Error::Closed))
    }

    /// Where a person consents, and what completes it.
    ///
    /// # Errors
    /// [`Error::Config`] where the method is not an authorization code.
    pub async fn authorize_url(
        &self,
        _method: &str,
        _redirect_uri: &str,
    ) -> Result<PendingAuthorization, Error> {
        Err(Error::Closed)
    }

    /// Exchanges the code and stores the grant durably.
    ///
    /// # Errors
    /// [`Error::Auth`] where the state or the code is not what was asked for.
    pub async fn complete_authorization(
        &self,
        _pending: PendingAuthorization,
        _code: &str,
        _state: &str,
    ) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// Whether the connection was authorised by this method and may be used.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn has_grant(&self, _method: &str) -> Result<bool, Error> {
        Err(Error::Closed)
    }

    /// What the session used so far.
    pub fn usage(&self) -> Usage {
        self.inner.meter.usage()
    }
}
