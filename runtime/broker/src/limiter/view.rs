//! How full the limits of a connection are.

use super::{Limiter, scope_key, terms};
use crate::{Connection, Error};
use tidegate_domain::limit::MS;
use tidegate_domain::manifest::{LimitRule, LimitScope};

/// One limit as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitView {
    /// Whom it is shared by: the account, the connection or the application, by the
    /// provider's id.
    pub key: String,
    /// See [`LimitScope`].
    pub scope: LimitScope,
    /// The buckets that draw on it.
    pub buckets: Vec<String>,
    /// How units are counted.
    pub rule: LimitRule,
    /// The window in milliseconds, where the rule has one.
    pub per_ms: u64,
    /// Units as declared, or as the operator set them.
    pub declared: u64,
    /// Units that may be spent: scaled, without what is left to others, and fewer for a
    /// time after a refusal.
    pub capacity: u64,
    /// Units that are spent now.
    pub used: u64,
    /// Units that are left now.
    pub remaining: u64,
    /// Until when it is closed by the provider's word, in milliseconds since the epoch.
    pub closed_until_ms: Option<u64>,
}

impl Limiter {
    /// The limits of a connection as they are now.
    pub(crate) async fn view(&self, connection: &Connection) -> Result<Vec<LimitView>, Error> {
        let plan = self.plan(connection).await?;
        if !self.config.limit_scale.is_finite() {
            return Ok(Vec::new());
        }
        let moment = plan.group.clock.now();
        let mut state = plan.group.lock();
        let mut views = Vec::new();
        for term in terms::of(connection, &self.config.limits)? {
            let (key, name) = (scope_key(connection, term.limit.scope), term.name());
            let slot = state.keys.get(&key).and_then(|key| {
                let limit = key.limits.iter().find(|limit| *limit.name == *name)?;
                Some(limit.slot)
            });
            let Some((Some(gauge), _)) = slot.map(|slot| state.admission.gauge(slot, moment))
            else {
                continue;
            };
            let buckets = term.limit.buckets.iter();
            let gates = buckets.filter_map(|bucket| plan.bucket(Some(bucket)));
            let opens = gates.map(|bucket| state.admission.opens_at(&bucket.slots));
            let closed_until = opens.max().filter(|opens| *opens > moment.now);
            views.push(LimitView {
                key: key.to_string(),
                scope: term.limit.scope,
                rule: term.limit.rule,
                per_ms: term.limit.per_ms,
                declared: u64::from(term.limit.capacity),
                capacity: gauge.capacity,
                used: gauge.used,
                remaining: gauge.remaining(),
                closed_until_ms: closed_until.map(|until| until.div_ceil(MS)),
                buckets: term.limit.buckets,
            });
        }
        Ok(views)
    }
}
