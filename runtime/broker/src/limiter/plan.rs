//! The limits of one connection, by bucket, and the permit to send.

use super::{DEFAULT_BUCKET, Group, Ledger, PlannedLimit, THROTTLE_BACKOFF, scope_key};
use crate::answer;
use crate::{Class, Connection, Error};
use http::HeaderMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_domain::limit::{MS, Nanos, SlotId};
use tidegate_domain::manifest::LimitScope;
use tokio::time::Instant;

/// How long a permit may wait for a token. An older one is asked for again, so that
/// a restart knows how late a reserved unit can have been spent.
pub(super) const SEND_WITHIN_MS: u64 = 5_000;

/// The limits of one connection.
pub(crate) struct Plan {
    group: Arc<Group>,
    class: usize,
    /// Closed while the provider says `Retry-After`, for all of the account.
    account_gate: SlotId,
    buckets: BTreeMap<String, Arc<Bucket>>,
}

/// The limits of one bucket.
pub(crate) struct Bucket {
    /// Closed while the provider says "too many" and not until when.
    gate: SlotId,
    slots: Arc<[SlotId]>,
    ledgers: Vec<Arc<Ledger>>,
    headers: Vec<LimitHeaders>,
}

struct LimitHeaders {
    slot: SlotId,
    remaining: Option<String>,
    reset: Option<String>,
}

/// Why a request may not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It would have to wait until this time, in milliseconds since the epoch.
    Until(u64),
    /// It costs more than a limit ever holds.
    Never,
}

impl Plan {
    pub(super) fn new(
        connection: &Connection,
        group: Arc<Group>,
        limits: &[PlannedLimit<'_>],
    ) -> Self {
        let account = scope_key(connection, LimitScope::RemoteAccount);
        let declared = &connection.manifest.limits;
        let mut names: Vec<&str> = declared
            .iter()
            .flat_map(|limit| limit.buckets.iter().map(String::as_str))
            .collect();
        names.push(DEFAULT_BUCKET);
        let mut state = group.lock();
        let account_gate = state.gate(account.clone());
        let buckets = names.into_iter().map(|name| {
            let gate = state.gate(format!("{account}/{name}"));
            let of_bucket = || {
                let named =
                    |limit: &&PlannedLimit<'_>| limit.limit.buckets.iter().any(|b| b == name);
                limits.iter().filter(named)
            };
            let bucket = Bucket {
                gate,
                slots: [account_gate, gate]
                    .into_iter()
                    .chain(of_bucket().map(|limit| limit.slot))
                    .collect(),
                ledgers: of_bucket()
                    .filter_map(|limit| limit.ledger.clone())
                    .collect(),
                headers: of_bucket()
                    .map(|limit| LimitHeaders {
                        slot: limit.slot,
                        remaining: limit.limit.remaining_header.clone(),
                        reset: limit.limit.reset_header.clone(),
                    })
                    .collect(),
            };
            (name.to_owned(), Arc::new(bucket))
        });
        let buckets = buckets.collect();
        drop(state);
        Self {
            group,
            class: match connection.class {
                Class::Live => 0,
                Class::Incremental => 1,
                Class::History => 2,
            },
            account_gate,
            buckets,
        }
    }

    /// The bucket of this name. A name that the manifest does not declare has no
    /// limits of its own, so a guest may not make one up.
    pub(crate) fn bucket(&self, name: Option<&str>) -> Option<&Arc<Bucket>> {
        self.buckets.get(name.unwrap_or(DEFAULT_BUCKET))
    }

    /// Waits until all limits of the bucket allow the units, at most until
    /// `give_up`, and reserves them durably.
    pub(crate) async fn admit(
        &self,
        bucket: &Arc<Bucket>,
        units: u64,
        give_up: Instant,
    ) -> Result<Result<Permit, Refused>, Error> {
        let queued = self.group.enqueue(self.class, &bucket.slots, units);
        if let Err(refused) = queued.admitted(give_up).await {
            return Ok(Err(refused));
        }
        let permit = Permit {
            group: Arc::clone(&self.group),
            bucket: Arc::clone(bucket),
            units,
            admitted_at: self.group.clock.now(),
            stage: Stage::Admitted,
        };
        for ledger in &bucket.ledgers {
            ledger.draw(units).await?;
        }
        Ok(Ok(permit))
    }

    /// How far the bucket's fullest limit is used up, from 0 to 1; none without one.
    pub(crate) fn utilization(&self, bucket: &Bucket) -> Option<f64> {
        let now = self.group.clock.now();
        self.group.lock().admission.utilization(&bucket.slots, now)
    }

    /// The provider refused for a limit: nothing of the account goes before
    /// `retry_after_ms` have passed; where it did not say, nothing of the bucket for
    /// a while that grows. Returns when the bucket opens again.
    pub(crate) fn throttled(
        &self,
        bucket: &Bucket,
        retry_after_ms: Option<u64>,
        random: u64,
    ) -> Nanos {
        self.group.change(|state, now| {
            if let Some(wait_ms) = retry_after_ms {
                let until = now.saturating_add(wait_ms.saturating_mul(MS));
                state.admission.close(self.account_gate, until);
            } else if state.admission.opens_at(&[bucket.gate]) <= now {
                // Answers to one storm count once.
                let storms = state.storms.entry(bucket.gate).or_insert(0);
                *storms = storms.saturating_add(1);
                let half = THROTTLE_BACKOFF.ceiling_after(*storms) / 2;
                let wait_ms = half + THROTTLE_BACKOFF.wait_ms(*storms, random) / 2;
                state
                    .admission
                    .close(bucket.gate, now.saturating_add(wait_ms * MS));
            }
            state.admission.opens_at(&bucket.slots)
        })
    }

    /// The provider refused for long: nothing of the bucket goes before then.
    pub(crate) fn parked(&self, bucket: &Bucket, wait_ms: u64) -> Nanos {
        self.group.change(|state, now| {
            let until = now.saturating_add(wait_ms.saturating_mul(MS));
            state.admission.close(bucket.gate, until);
            state.admission.opens_at(&bucket.slots)
        })
    }

    /// The provider served a request: a storm is over.
    pub(crate) fn served(&self, bucket: &Bucket) {
        self.group.lock().storms.remove(&bucket.gate);
    }

    /// When the bucket's spent limits reset, by the answer's headers.
    pub(crate) fn reset_wait_ms(bucket: &Bucket, headers: &HeaderMap, now_ms: u64) -> Option<u64> {
        let resets = bucket.headers.iter().filter_map(|limit| {
            let name = limit.reset.as_deref()?;
            answer::reset_wait_ms(headers.get(name)?.to_str().ok()?, now_ms)
        });
        resets.max()
    }
}

/// How far an admitted request got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Admitted,
    Sent,
    Answered,
}

/// The right to send one request. Dropped unsent, it gives its units back.
pub(crate) struct Permit {
    group: Arc<Group>,
    bucket: Arc<Bucket>,
    units: u64,
    admitted_at: Nanos,
    stage: Stage,
}

impl Permit {
    /// Whether it still holds: no gate closed since, and it is fresh.
    pub(crate) fn is_open(&self) -> bool {
        let now = self.group.clock.now();
        let opens = self.group.lock().admission.opens_at(&self.bucket.slots);
        opens <= now && now.saturating_sub(self.admitted_at) < SEND_WITHIN_MS * MS
    }

    /// From here on the provider may count the request.
    pub(crate) fn sent(&mut self) {
        self.stage = Stage::Sent;
    }

    /// The headers came: the provider has counted; and what it says is left holds
    /// for everyone.
    pub(crate) fn answered(&mut self, headers: &HeaderMap) {
        self.stage = Stage::Answered;
        self.group.change(|state, now| {
            state
                .admission
                .answered(&self.bucket.slots, self.units, now);
            for limit in &self.bucket.headers {
                let named = limit.remaining.as_ref().and_then(|name| headers.get(name));
                if let Some(remaining) = named.and_then(answer::whole_number) {
                    state.admission.learn(limit.slot, now, remaining);
                }
            }
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.group.change(|state, now| {
            let slots = &self.bucket.slots;
            match self.stage {
                Stage::Admitted => state.admission.returned(slots, self.units),
                Stage::Sent => {
                    state.admission.answered(slots, self.units, now);
                    state.admission.finished(slots);
                }
                Stage::Answered => state.admission.finished(slots),
            }
        });
    }
}
