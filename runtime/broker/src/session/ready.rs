//! From policy to a permit and a signature: what must hold before a socket opens.

use super::Inner;
use super::checked::Checked;
use crate::call::Meters;
use crate::endpoint::{Allowed, Policy, kept_name};
use crate::grant::{self, Credential, Current};
use crate::limiter::{Bucket, Permit, Plan, Refused};
use crate::request::Target;
use crate::{Error, FetchFault, Rule};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::manifest::Endpoint;
use tokio::time::Instant;

/// What a try is signed with; the version tells which token the provider refused.
pub(super) struct Signature {
    pub(super) credential: Option<Credential>,
    pub(super) version: Option<u64>,
}

/// What a guest is told of a failure to sign.
fn signing(error: Error) -> FetchFault {
    match error {
        Error::Auth(text) => FetchFault::Auth(text),
        Error::TokenEndpoint { .. } => FetchFault::Connect(error.to_string()),
        other => FetchFault::Host(other),
    }
}

impl Inner {
    /// Policy, then limits, then a fresh token; and policy again, where the token's
    /// answer may have moved the endpoint.
    pub(super) async fn ready(
        &self,
        checked: &Checked<'_>,
        plan: &Plan,
        bucket: &Arc<Bucket>,
        refused: Option<u64>,
        deadline: Instant,
        meters: Meters<'_>,
    ) -> Result<(Allowed, Signature, Permit), FetchFault> {
        let kept = self.kept(checked).await?;
        let allowed = self.allow(checked, &kept)?;
        let permit = self
            .admit(plan, bucket, checked.units, deadline, meters)
            .await?;
        let (signature, current) = self.signature(checked, refused, meters).await?;
        let allowed = match current {
            Some(current) if current.tokens.kept != kept => {
                self.allow(checked, &current.tokens.kept)?
            }
            _ => allowed,
        };
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
                let kept = self.shared.grants.kept(grant, name, ask).await;
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
            return Err(FetchFault::denied(
                Rule::Credential,
                "no credential goes to a host that the manifest does not name in full",
            ));
        }
        let signed = grant::signed_query(method);
        if allowed
            .url
            .query_pairs()
            .any(|(name, _)| signed.iter().any(|own| *own == name))
        {
            return Err(FetchFault::denied(
                Rule::Credential,
                "the host sets the query parameter of the key",
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
            let waited_s = begun.elapsed().as_secs_f64();
            tracing::event!(target: "metric", tracing::Level::INFO, ratelimit.wait.duration = waited_s);
            meters.add(|meter| &meter.limit_waits, 1);
            meters.add(|meter| &meter.limit_wait_ms, waited);
        }
        if let Some(used) = plan.utilization(bucket) {
            let connector = self.connection.manifest.id.as_str();
            tracing::event!(target: "metric", tracing::Level::INFO, ratelimit.budget.utilization = used, connector.name = connector);
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
