//! The way out of one connection: one request from policy to answer.
//!
//! The order is the law: resolve and policy, then the limits, then a fresh token,
//! then the signature, then the socket.

mod attempt;

use crate::broker::{Shared, Tenant};
use crate::call::Meters;
use crate::endpoint::{Allowed, Policy, kept_name};
use crate::grant::{self, Credential, Current, Grant, PendingAuthorization};
use crate::limiter::{Bucket, Permit, Plan, Refused};
use crate::request::{Payload, Target};
use crate::{Call, Connection, Error, FetchFault, Meter, Request, Response, Usage, header};
use attempt::{Attempt, Verdict};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::manifest::{AuthKind, AuthMethod, Endpoint};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

/// Between tries that failed for no limit.
const BACKOFF: Backoff = Backoff {
    first_ms: 200,
    ceiling_ms: 30_000,
};

/// The way out for one connection. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    tenant: Tenant,
    connection: Connection,
    meter: Meter,
    plan: OnceCell<Plan>,
    /// By auth method; those that can be made.
    grants: BTreeMap<String, Grant>,
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
            let grant = Grant::of(&connection, method, &tenant, &shared.config).ok()??;
            Some((method.name.clone(), grant))
        };
        let grants = connection.manifest.auth.iter().filter_map(grant).collect();
        let inner = Inner {
            tenant,
            grants,
            shared,
            connection,
            meter: Meter::default(),
            plan: OnceCell::new(),
        };
        Self {
            inner: Arc::new(inner),
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
        let run = Box::pin(self.inner.fetch(&request, call, deadline));
        tokio::select! {
            biased;
            () = call.cancel.cancelled() => Err(FetchFault::Cancelled),
            answer = timeout_at(deadline, run) => {
                answer.unwrap_or_else(|_| Err(late("the call's deadline passed")))
            }
        }
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
            _ => Ok(grant::of_secrets(&inner.connection, declared).is_ok()),
        }
    }

    /// What the session used so far.
    pub fn usage(&self) -> Usage {
        self.inner.meter.usage()
    }
}

fn late(what: &str) -> FetchFault {
    FetchFault::Timeout(what.to_owned())
}

/// What a guest is told of a failure to sign.
fn signing(error: Error) -> FetchFault {
    match error {
        Error::Auth(text) => FetchFault::Auth(text),
        Error::TokenEndpoint { .. } => FetchFault::Connect(error.to_string()),
        other => FetchFault::Host(other),
    }
}

/// A request whose parts were checked once, for every try.
struct Checked<'a> {
    request: &'a Request,
    headers: HeaderMap,
    body: Bytes,
    method: Option<&'a AuthMethod>,
    grant: Option<Grant>,
    units: u64,
}

/// What a try is signed with; the version tells which token the provider refused.
struct Signature {
    credential: Option<Credential>,
    version: Option<u64>,
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
        Grant::of(&self.connection, method, &self.tenant, &self.shared.config)?
            .ok_or_else(|| Error::config(format!("{name} has no token endpoint")))
    }

    async fn fetch(
        &self,
        request: &Request,
        call: &Call,
        deadline: Instant,
    ) -> Result<Response, FetchFault> {
        let meters = Meters([&self.meter, &call.meter]);
        let checked = self.check(request)?;
        let plan = self.plan().await?;
        let bucket = plan
            .bucket(request.bucket.as_deref())
            .ok_or_else(|| FetchFault::Invalid("the manifest has no such bucket".to_owned()))?;
        let mut failures = 0;
        let mut refused = None;
        loop {
            let tried = self
                .attempt(&checked, plan, bucket, refused, deadline, meters)
                .await;
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

    fn check<'a>(&'a self, request: &'a Request) -> Result<Checked<'a>, FetchFault> {
        let missing = || FetchFault::Invalid("the manifest has no such auth method".to_owned());
        let name = request.auth.as_deref();
        let method = match name {
            Some(name) => Some(self.method(name).map_err(|_| missing())?),
            None => None,
        };
        let signed = method.map(grant::signed_headers).unwrap_or_default();
        let config = &self.shared.config;
        let mut headers = header::outgoing(&request.headers, &signed, config)?;
        let body = body(&request.payload, &mut headers)?;
        let gzip = HeaderValue::from_static("gzip");
        headers.insert(http::header::ACCEPT_ENCODING, gzip);
        headers
            .entry(http::header::USER_AGENT)
            .or_insert(HeaderValue::from_static("tidegate"));
        let grant = match method.map(|method| &method.kind) {
            Some(AuthKind::Oauth2Code(_) | AuthKind::Oauth2Client(_)) => Some(
                self.grant(name.unwrap_or_default())
                    .map_err(FetchFault::Host)?,
            ),
            _ => None,
        };
        Ok(Checked {
            request,
            headers,
            body,
            method,
            grant,
            units: u64::from(request.cost.max(1)),
        })
    }

    async fn plan(&self) -> Result<&Plan, FetchFault> {
        let init = || async {
            let manifest = &self.connection.manifest;
            crate::endpoint::check_manifest(manifest)?;
            grant::check_manifest(manifest)?;
            self.shared.limiter.plan(&self.connection).await
        };
        Ok(self.plan.get_or_try_init(init).await?)
    }

    /// One try, from policy to verdict.
    async fn attempt(
        &self,
        checked: &Checked<'_>,
        plan: &Plan,
        bucket: &Arc<Bucket>,
        refused: Option<u64>,
        deadline: Instant,
        meters: Meters<'_>,
    ) -> Verdict {
        let (allowed, signature, permit, _slot) = loop {
            let ready = self.ready(checked, plan, bucket, refused, deadline, meters);
            let (allowed, signature, permit) = match ready.await {
                Ok(ready) => ready,
                Err(fault @ FetchFault::Connect(_)) => return Verdict::Again(Err(fault)),
                Err(fault) => return Verdict::Done(Err(fault)),
            };
            let Ok(slot) = self.tenant.in_flight.acquire().await else {
                return Verdict::Done(Err(FetchFault::Host(Error::Closed)));
            };
            // A gate may have closed meanwhile: then back into the queue.
            if permit.is_open() {
                break (allowed, signature, permit, slot);
            }
        };
        let attempt = Attempt {
            shared: &self.shared,
            tenant: &self.tenant,
            manifest: &self.connection.manifest,
            plan,
            bucket,
            meters,
        };
        attempt.run(checked, allowed, signature, permit).await
    }

    /// Policy, then limits, then a fresh token; and policy again, since a token
    /// answer may have moved the endpoint.
    async fn ready(
        &self,
        checked: &Checked<'_>,
        plan: &Plan,
        bucket: &Arc<Bucket>,
        refused: Option<u64>,
        deadline: Instant,
        meters: Meters<'_>,
    ) -> Result<(Allowed, Signature, Permit), FetchFault> {
        let kept = self.kept(checked).await?;
        self.allow(checked, &kept)?;
        let permit = self
            .admit(plan, bucket, checked.units, deadline, meters)
            .await?;
        let (signature, current) = self.signature(checked, refused, meters).await?;
        let kept = current.map_or(kept, |current| current.tokens.kept.clone());
        let allowed = self.allow(checked, &kept)?;
        Ok((allowed, signature, permit))
    }

    /// What a token answer kept, where the address needs it. A link may lead to any
    /// endpoint, so for one nothing is asked for that is not there.
    async fn kept(&self, checked: &Checked<'_>) -> Result<BTreeMap<String, String>, FetchFault> {
        let endpoints = &self.connection.manifest.endpoints;
        let (endpoint, ask) = match &checked.request.target {
            Target::Endpoint { endpoint, .. } => {
                let named = |one: &&Endpoint| one.name == *endpoint;
                (endpoints.iter().find(named), true)
            }
            Target::Absolute(_) => {
                let kept = |one: &&Endpoint| kept_name(&one.base_url).is_some();
                (endpoints.iter().find(kept), false)
            }
        };
        let Some(name) = endpoint.and_then(|endpoint| kept_name(&endpoint.base_url)) else {
            return Ok(BTreeMap::new());
        };
        // A request without a credential goes to the same account's host.
        let own = checked.grant.as_ref();
        let grant = own.or_else(|| self.grants.values().find(|grant| grant.keeps(name)));
        match grant {
            Some(grant) => {
                let kept = self.shared.grants.kept(grant, ask).await;
                kept.map_err(signing)
            }
            None => Ok(BTreeMap::new()),
        }
    }

    fn allow(
        &self,
        checked: &Checked<'_>,
        kept: &BTreeMap<String, String>,
    ) -> Result<Allowed, FetchFault> {
        let policy = Policy {
            config: &self.shared.config,
            connection: &self.connection,
            kept,
        };
        let allowed = policy.allow(&checked.request.target)?;
        let Some(method) = checked.method else {
            return Ok(allowed);
        };
        if !allowed.takes_credentials {
            return Err(FetchFault::Denied(
                "no credential goes to a host that only a wildcard allows".to_owned(),
            ));
        }
        let signed = grant::signed_query(method);
        if allowed
            .url
            .query_pairs()
            .any(|(name, _)| signed.iter().any(|own| *own == name))
        {
            return Err(FetchFault::Denied(
                "the host sets the query parameter of the key".to_owned(),
            ));
        }
        Ok(allowed)
    }

    async fn admit(
        &self,
        plan: &Plan,
        bucket: &Arc<Bucket>,
        units: u64,
        deadline: Instant,
        meters: Meters<'_>,
    ) -> Result<Permit, FetchFault> {
        let begun = Instant::now();
        let patience = Duration::from_millis(self.shared.config.patience_ms);
        let admitted = plan
            .admit(bucket, units, deadline.min(begun + patience))
            .await?;
        let waited = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if waited > 0 {
            meters.add(|meter| &meter.limit_waits, 1);
            meters.add(|meter| &meter.limit_wait_ms, waited);
        }
        admitted.map_err(|refused| match refused {
            Refused::Until(until_ms) => FetchFault::Throttled { until_ms },
            Refused::Never => {
                FetchFault::Invalid("the cost is larger than a limit's capacity".to_owned())
            }
        })
    }

    async fn signature(
        &self,
        checked: &Checked<'_>,
        refused: Option<u64>,
        meters: Meters<'_>,
    ) -> Result<(Signature, Option<Arc<Current>>), FetchFault> {
        let unsigned = |credential| Signature {
            credential,
            version: None,
        };
        match (checked.method, &checked.grant) {
            (None, _) => Ok((unsigned(None), None)),
            (Some(_), Some(grant)) => {
                let token = self.shared.grants.token(grant, refused).await;
                let (current, renewed) = token.map_err(signing)?;
                if renewed {
                    meters.add(|meter| &meter.refreshes, 1);
                }
                let signature = Signature {
                    credential: Some(Credential::Bearer(current.tokens.access.clone())),
                    version: Some(current.version),
                };
                Ok((signature, Some(current)))
            }
            (Some(method), None) => {
                let credential = grant::of_secrets(&self.connection, method).map_err(signing)?;
                Ok((unsigned(Some(credential)), None))
            }
        }
    }
}

fn random() -> Result<u64, FetchFault> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn body(payload: &Payload, headers: &mut HeaderMap) -> Result<Bytes, FetchFault> {
    let (content_type, body) = match payload {
        Payload::None => return Ok(Bytes::new()),
        Payload::Json(text) => ("application/json", Bytes::from(text.clone())),
        Payload::Form(pairs) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs);
            (
                "application/x-www-form-urlencoded",
                Bytes::from(form.finish()),
            )
        }
        Payload::Raw {
            content_type,
            bytes,
        } => (content_type.as_str(), bytes.clone()),
    };
    let value = HeaderValue::from_str(content_type)
        .map_err(|_| FetchFault::Invalid("the content type".to_owned()))?;
    // A vendor's own JSON type may be set as a header.
    headers.entry(http::header::CONTENT_TYPE).or_insert(value);
    Ok(body)
}
