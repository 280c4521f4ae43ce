//! The way out of one connection: one request from policy to answer.
//!
//! The order is the law: resolve and policy, then the limits, then a fresh token,
//! then the signature, then the socket.

mod attempt;
mod checked;
mod ready;

use crate::broker::{Shared, Tenant};
use crate::call::Meters;
use crate::cookie::Jar;
use crate::dial::HttpClient;
use crate::grant::{self, Grant, PendingAuthorization};
use crate::limiter::{Bucket, Plan};
use crate::{Call, Connection, Error, FetchFault, LimitView, Meter, Request, Response, Usage};
use attempt::{Attempt, Verdict};
use bytes::Bytes;
use checked::Checked;
use http_body_util::Full;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::manifest::{AuthKind, AuthMethod};
use tidegate_store::flow::RequestOrigin;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

/// The name of the kept value of a token answer that says whose limits are used.
const ACCOUNT: &str = "account";

/// Between tries that failed for no limit.
const BACKOFF: Backoff = Backoff {
    first_ms: 200,
    ceiling_ms: 30_000,
};

/// The way out for one connection. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
    jar: Arc<Jar>,
}

struct Inner {
    shared: Arc<Shared>,
    tenant: Tenant,
    connection: Connection,
    meter: Meter,
    plan: OnceCell<Plan>,
    /// By auth method; those that can be made.
    grants: BTreeMap<String, Grant>,
    once: Once,
}

/// What `extra.once` of a manifest names: prefixes of paths where even a GET changes
/// something, such as a scroll that moves on, so that no request is sent twice.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Once {
    once: Vec<String>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Session")
            .field("tenant", &self.inner.connection.tenant)
            .field("connection", &self.inner.connection.id)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        let tenant = shared.tenant(&connection.tenant);
        let grant = |method: &AuthMethod| {
            // One that cannot be made fails where it is asked for.
            let grant = Grant::of(&connection, method, &tenant, &shared).ok()??;
            Some((method.name.clone(), grant))
        };
        let grants = connection.manifest.auth.iter().filter_map(grant).collect();
        // What cannot be read is refused before the first request, with the limits.
        let once = serde_json::from_str(&connection.manifest.extra).unwrap_or_default();
        let inner = Inner {
            tenant,
            grants,
            once,
            shared,
            connection,
            meter: Meter::default(),
            plan: OnceCell::new(),
        };
        Self {
            inner: Arc::new(inner),
            jar: Arc::default(),
        }
    }

    /// The same way out with a cookie jar of its own: for another partition.
    #[must_use]
    pub fn with_own_cookies(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            jar: Arc::default(),
        }
    }

    /// Sends one request under every rule, and reads its whole answer.
    ///
    /// # Errors
    /// See [`FetchFault`]. An answer that the provider gave is no error, whatever
    /// its status, unless it says "too many" or refuses the credential.
    pub async fn fetch(&self, request: Request, call: &Call) -> Result<Response, FetchFault> {
        let total = Duration::from_millis(self.inner.shared.config.total_timeout_ms);
        let deadline = call.deadline.min(Instant::now() + total);
        let run = Box::pin(self.inner.fetch(&request, &self.jar, call, deadline));
        let fetched = tokio::select! {
            biased;
            () = call.cancel.cancelled() => Err(FetchFault::Cancelled),
            answer = timeout_at(deadline, run) => {
                answer.unwrap_or_else(|_| Err(late("the call's deadline passed")))
            }
        };
        if let Some(rule) = fetched.as_ref().err().and_then(FetchFault::rule) {
            tracing::event!(target: "metric", tracing::Level::INFO, egress.denied = 1u64, egress.denied.reason = rule);
        }
        fetched
    }

    /// Where a person consents, and what completes it.
    ///
    /// # Errors
    /// [`Error::Config`] where the method is not an authorization code, or the
    /// connection has no application.
    pub async fn authorize_url(
        &self,
        method: &str,
        redirect_uri: &str,
        is_confirmed: bool,
    ) -> Result<PendingAuthorization, Error> {
        let inner = &self.inner;
        let AuthKind::Oauth2Code(code) = &inner.method(method)?.kind else {
            return Err(Error::config(format!("{method} needs no authorisation")));
        };
        let app = inner
            .connection
            .oauth_app
            .as_ref()
            .ok_or_else(|| Error::config(format!("{method} needs an OAuth application")))?;
        if !is_confirmed {
            let key = inner.grant(method)?.key;
            inner.shared.grants.check_approvals(&key).await?;
        }
        let config = &inner.shared.config;
        grant::pending(config, &inner.connection, code, app, method, redirect_uri)
    }

    /// Exchanges the code and stores the grant durably.
    ///
    /// # Errors
    /// [`Error::Auth`] where the state or the code is not what was asked for,
    /// [`Error::TokenEndpoint`] where no answer came.
    pub async fn complete_authorization(
        &self,
        pending: PendingAuthorization,
        code: &str,
        state: &str,
    ) -> Result<(), Error> {
        let grant = self.inner.grant(&pending.method)?;
        grant::complete(&self.inner.shared.grants, &grant, pending, code, state).await
    }

    /// Whether the method can sign: authorised and not ended, or its secrets are
    /// there.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Config`] for a method that is not in the
    /// manifest.
    pub async fn has_grant(&self, method: &str) -> Result<bool, Error> {
        let inner = &self.inner;
        let declared = inner.method(method)?;
        match &declared.kind {
            AuthKind::Oauth2Code(_) => {
                let key = inner.grant(method)?.key;
                inner.shared.grants.is_authorised(&key).await
            }
            AuthKind::Oauth2Client(_) => Ok(inner.connection.oauth_app.is_some()),
            AuthKind::Oauth2Jwt(_) => Ok(inner.grant(method).is_ok()),
            _ => Ok(grant::of_secrets(&inner.connection, declared).is_ok()),
        }
    }

    /// Renews the pair of a grant that was not renewed for `idle_ms`, so that the
    /// provider does not let it lapse. Says whether it was.
    ///
    /// # Errors
    /// As a request that needs a fresh token.
    pub async fn keep_alive(&self, method: &str, idle_ms: u64) -> Result<bool, Error> {
        let grant = self.inner.grant(method)?;
        self.inner.shared.grants.keep_alive(&grant, idle_ms).await
    }

    /// Forgets the grant: its tokens are gone from the store, and nothing is signed
    /// with it again. False where there was none.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Config`] for a method that has no grant.
    pub async fn revoke(&self, method: &str) -> Result<bool, Error> {
        let key = self.inner.grant(method)?.key;
        self.inner.shared.grants.revoke(&key).await
    }

    /// The limits of the connection as they are now.
    pub(crate) async fn limits(&self) -> Result<Vec<LimitView>, Error> {
        let connection = self.inner.with_account(false, None).await?;
        self.inner.shared.limiter.view(&connection).await
    }

    /// What the session used so far, its token requests included.
    pub fn usage(&self) -> Usage {
        let grants = self.inner.grants.values();
        grants.fold(self.inner.meter.usage(), |mut usage, grant| {
            let tokens = grant.usage();
            usage.requests += tokens.requests;
            usage.bytes_received += tokens.bytes_received;
            usage.bytes_sent += tokens.bytes_sent;
            usage
        })
    }
}

fn late(what: &str) -> FetchFault {
    FetchFault::Timeout(what.to_owned())
}

impl Inner {
    fn method(&self, name: &str) -> Result<&AuthMethod, Error> {
        let manifest = &self.connection.manifest;
        manifest
            .auth_method(name)
            .ok_or_else(|| Error::config("the manifest has no such auth method"))
    }

    fn grant(&self, name: &str) -> Result<Grant, Error> {
        if let Some(grant) = self.grants.get(name) {
            return Ok(grant.clone());
        }
        let method = self.method(name)?;
        Grant::of(&self.connection, method, &self.tenant, &self.shared)?
            .ok_or_else(|| Error::config(format!("{name} has no token endpoint")))
    }

    async fn fetch(
        &self,
        request: &Request,
        jar: &Jar,
        call: &Call,
        deadline: Instant,
    ) -> Result<Response, FetchFault> {
        let meters = Meters([&self.meter, &call.meter]);
        let mut checked = self.check(request, jar)?;
        let origin = call.origin.as_ref();
        checked.grant = checked.grant.map(|grant| grant.asked_for(origin));
        let plan = self.plan(origin).await?;
        let bucket = plan
            .bucket(request.bucket.as_deref())
            .ok_or_else(|| FetchFault::Invalid("the manifest has no such bucket".to_owned()))?;
        let mut failures = 0;
        let mut refused = None;
        loop {
            let way = Way {
                plan,
                bucket,
                call,
                meters,
            };
            let tried = self.attempt(&checked, way, refused, deadline).await;
            let (outcome, wait_ms) = match tried {
                Verdict::Done(outcome) => return outcome,
                Verdict::Renew { version, outcome } => {
                    if refused.is_some() {
                        return outcome;
                    }
                    refused = Some(version);
                    meters.add(|meter| &meter.retries, 1);
                    continue;
                }
                // The gate is closed; the next admission waits for it.
                Verdict::Throttled(outcome) => (outcome, 0),
                Verdict::Again(outcome) => (outcome, BACKOFF.wait_ms(failures + 1, random()?)),
            };
            failures += 1;
            let wait = Duration::from_millis(wait_ms);
            if failures > self.shared.config.retries_max || Instant::now() + wait >= deadline {
                return outcome;
            }
            meters.add(|meter| &meter.retries, 1);
            sleep(wait).await;
        }
    }

    /// The pool of this connection and auth method.
    fn client(&self, checked: &Checked<'_>) -> HttpClient<Full<Bytes>> {
        let method = checked.method.map(|method| method.name.as_str());
        self.tenant.client(&self.connection.id, method)
    }

    async fn plan(&self, origin: Option<&Arc<RequestOrigin>>) -> Result<&Plan, FetchFault> {
        let init = || async {
            let manifest = &self.connection.manifest;
            crate::endpoint::check_manifest(manifest)?;
            grant::check_manifest(manifest)?;
            let connection = self.with_account(true, origin).await?;
            self.shared.limiter.plan(&connection).await
        };
        Ok(self.plan.get_or_try_init(init).await?)
    }

    /// The connection with its account as a token answer named it, so that connections
    /// to one account share its limits without a person who types its id. `ask` says
    /// whether the token endpoint may be asked.
    async fn with_account(
        &self,
        ask: bool,
        origin: Option<&Arc<RequestOrigin>>,
    ) -> Result<Connection, Error> {
        let mut connection = self.connection.clone();
        for grant in self.grants.values().filter(|grant| grant.keeps(ACCOUNT)) {
            if connection.account.is_some() {
                break;
            }
            match self
                .shared
                .grants
                .kept(&grant.asked_for(origin), ACCOUNT, ask)
                .await
            {
                Ok(mut kept) => connection.account = kept.remove(ACCOUNT),
                // Not the one that signs; or it cannot sign, which its request will say.
                Err(Error::Auth(_) | Error::TokenEndpoint { .. } | Error::Application { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(connection)
    }

    /// One try, from policy to verdict.
    async fn attempt(
        &self,
        checked: &Checked<'_>,
        way: Way<'_>,
        refused: Option<u64>,
        deadline: Instant,
    ) -> Verdict {
        let mut slot = None;
        let begun = Instant::now();
        let (allowed, signature, permit) = loop {
            let ready = self.ready(checked, way.plan, way.bucket, refused, deadline, way.meters);
            let (allowed, signature, permit) = match ready.await {
                Ok(ready) => ready,
                Err(fault @ FetchFault::Connect(_)) => return Verdict::Again(Err(fault)),
                Err(fault) => return Verdict::Done(Err(fault)),
            };
            if slot.is_none() {
                slot = self.tenant.in_flight.acquire().await.ok();
            }
            // The permit may have grown old meanwhile, or a gate closed: then once
            // more through the queue, with the slot in hand.
            if permit.is_open() {
                break (allowed, signature, permit);
            }
        };
        let attempt = Attempt {
            shared: &self.shared,
            client: self.client(checked),
            connection: &self.connection,
            once: &self.once.once,
            way,
            waited: begun.elapsed(),
        };
        attempt.run(checked, allowed, signature, permit).await
    }
}

/// What all tries of a request share.
#[derive(Clone, Copy)]
struct Way<'a> {
    plan: &'a Plan,
    bucket: &'a Arc<Bucket>,
    call: &'a Call,
    meters: Meters<'a>,
}

fn random() -> Result<u64, FetchFault> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(u64::from_ne_bytes(bytes))
}
