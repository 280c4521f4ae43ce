//! The limits of one connection, by bucket, and the permit to send.

use super::THROTTLE_BACKOFF;
use super::group::{Asked, Group};
use super::in_flight::InFlight;
use super::ledger::Ledger;
use super::terms::CostSource;
use crate::Error;
use crate::answer;
use http::HeaderMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_domain::job::Class;
use tidegate_domain::limit::{LaneId, MS, Nanos, Request, SlotId, Spent};
use tidegate_store::limits::BlockId;
use tokio::time::Instant;

/// How long a permit may wait for a token. An older one is asked for again, so that
/// a restart knows how late a reserved unit can have been spent.
pub(super) const SEND_WITHIN_MS: u64 = 5_000;

/// The limits of one connection.
pub(crate) struct Plan {
    pub(super) group: Arc<Group>,
    /// The keys that are kept as long as this is.
    pub(super) keys: Vec<Arc<str>>,
    /// The key whose gates close.
    pub(super) account: Arc<str>,
    pub(super) class: Class,
    pub(super) tenant: u32,
    /// Closed while the provider says `Retry-After`, for all of the account.
    pub(super) account_gate: SlotId,
    pub(super) buckets: BTreeMap<String, Arc<Bucket>>,
    /// For so long may the provider work on a request that nobody waits for any more.
    pub(super) answer_within_ms: u64,
}

impl Drop for Plan {
    fn drop(&mut self) {
        let mut state = self.group.lock();
        for key in &self.keys {
            if let Some(key) = state.keys.get_mut(key) {
                key.plans = key.plans.saturating_sub(1);
            }
        }
    }
}

/// The limits of one bucket.
pub(crate) struct Bucket {
    /// Closed while the provider says "too many" and not until when.
    pub(super) gate: SlotId,
    pub(super) lane: LaneId,
    pub(super) slots: Box<[SlotId]>,
    pub(super) draws: Vec<Drawn>,
    pub(super) headers: Vec<LimitHeaders>,
    pub(super) cost: CostSource,
}

/// What a limit remembers over a restart.
#[derive(Clone)]
pub(super) enum Book {
    /// Units that are spent for a time.
    Spent(Arc<Ledger>),
    /// Requests that are under way.
    InFlight(Arc<InFlight>),
}

impl Book {
    /// A clean end: what is known is written down.
    pub(super) fn close(&self) {
        match self {
            Book::Spent(ledger) => ledger.close(),
            Book::InFlight(book) => book.close(),
        }
    }
}

/// A limit that is drawn from durably.
pub(super) struct Drawn {
    pub(super) book: Book,
    pub(super) counts_requests: bool,
}

impl Drawn {
    fn units(&self, units: u64) -> u64 {
        if self.counts_requests { 1 } else { units }
    }

    /// Durable on return.
    async fn draw(&self, units: u64) -> Result<Option<BlockId>, Error> {
        match &self.book {
            Book::Spent(ledger) => ledger.draw(self.units(units)).await.map(Some),
            Book::InFlight(book) => book.begin().await.map(|()| None),
        }
    }
}

pub(super) struct LimitHeaders {
    pub(super) slot: SlotId,
    pub(super) remaining: Option<String>,
    pub(super) reset: Option<String>,
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
    /// The clock that limits go by.
    pub(crate) fn now_ms(&self) -> u64 {
        self.group.clock.now_ms()
    }

    /// The bucket of this name. A name that the manifest does not declare has no
    /// limits of its own, so a guest may not make one up.
    pub(crate) fn bucket(&self, name: Option<&str>) -> Option<&Arc<Bucket>> {
        self.buckets.get(name.unwrap_or(super::DEFAULT_BUCKET))
    }

    /// Waits until all limits of the bucket allow the units, at most until
    /// `give_up`, and reserves them durably.
    pub(crate) async fn admit(
        &self,
        bucket: &Arc<Bucket>,
        units: u64,
        give_up: Instant,
    ) -> Result<Result<Permit, Refused>, Error> {
        let request = Request {
            lane: bucket.lane,
            class: self.class,
            tenant: self.tenant,
            units,
        };
        let admitted_at = match self.group.ask(request) {
            Ok(Asked::Admitted(at)) => at,
            Ok(Asked::Never) => return Ok(Err(Refused::Never)),
            Ok(Asked::Queued(queued)) => match queued.admitted(give_up).await {
                Ok(at) => at,
                Err(refused) => return Ok(Err(refused)),
            },
            // So many wait that this one would wait in vain.
            Err(_) => return Ok(Err(Refused::Until(self.now_ms() + 1_000))),
        };
        let mut permit = Permit {
            group: Arc::clone(&self.group),
            bucket: Arc::clone(bucket),
            units,
            admitted_at,
            answer_within_ms: self.answer_within_ms,
            lingers_until: None,
            stage: Stage::Admitted,
            blocks: Vec::new(),
        };
        for drawn in &bucket.draws {
            permit.blocks.push(drawn.draw(units).await?);
        }
        Ok(Ok(permit))
    }

    /// How far the bucket's fullest limit is used up, from 0 to 1; none without one.
    pub(crate) fn utilization(&self, bucket: &Bucket) -> Option<f64> {
        let moment = self.group.clock.now();
        self.group
            .lock()
            .admission
            .utilization(&bucket.slots, moment)
    }

    /// The provider refused for a limit: the bucket goes half as fast from now on, and
    /// nothing of the account goes before `retry_after_ms` have passed; where it did
    /// not say, nothing of the bucket for a while that grows. Returns when the bucket
    /// opens again.
    pub(crate) fn throttled(
        &self,
        bucket: &Bucket,
        retry_after_ms: Option<u64>,
        random: u64,
    ) -> Nanos {
        self.group.change(|state, moment| {
            let now = moment.now;
            let was_open = state.admission.opens_at(&bucket.slots) <= now;
            if was_open {
                // Answers to one storm count once.
                state.admission.slow_down(bucket.lane, now);
            }
            if let Some(wait_ms) = retry_after_ms {
                let until = now.saturating_add(wait_ms.saturating_mul(MS));
                let account = &self.account;
                self.group
                    .close(state, account, self.account_gate, now, until);
            } else if state.admission.opens_at(&[bucket.gate]) <= now {
                let storms = self.storms(state, bucket);
                let half = THROTTLE_BACKOFF.ceiling_after(storms) / 2;
                let wait_ms = half + THROTTLE_BACKOFF.wait_ms(storms, random) / 2;
                let until = now.saturating_add(wait_ms * MS);
                self.group
                    .close(state, &self.account, bucket.gate, now, until);
            }
            state.admission.opens_at(&bucket.slots)
        })
    }

    /// One more storm in a row.
    fn storms(&self, state: &mut super::group::State, bucket: &Bucket) -> u32 {
        let key = state.key(&self.account);
        let gate = key.gates.iter_mut().find(|gate| gate.slot == bucket.gate);
        gate.map_or(1, |gate| {
            gate.storms = gate.storms.saturating_add(1);
            gate.storms
        })
    }

    /// The provider refused for long: nothing of the bucket goes before then.
    pub(crate) fn parked(&self, bucket: &Bucket, wait_ms: u64) -> Nanos {
        self.group.change(|state, moment| {
            let until = moment.now.saturating_add(wait_ms.saturating_mul(MS));
            self.group
                .close(state, &self.account, bucket.gate, moment.now, until);
            state.admission.opens_at(&bucket.slots)
        })
    }

    /// The provider served a request: a storm is over.
    pub(crate) fn served(&self, bucket: &Bucket) {
        let mut state = self.group.lock();
        let key = state.key(&self.account);
        let gate = key.gates.iter_mut().find(|gate| gate.slot == bucket.gate);
        if let Some(gate) = gate {
            gate.storms = 0;
        }
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
    answer_within_ms: u64,
    /// Where it was sent and no answer began: until when the provider may work on it.
    lingers_until: Option<Nanos>,
    stage: Stage,
    /// What was drawn, in the order of the bucket's books.
    blocks: Vec<Option<BlockId>>,
}

impl Permit {
    /// Whether it still holds: no gate closed since, and it is fresh.
    pub(crate) fn is_open(&self) -> bool {
        let now = self.group.clock.now().now;
        let opens = self.group.lock().admission.opens_at(&self.bucket.slots);
        opens <= now && now.saturating_sub(self.admitted_at) < SEND_WITHIN_MS * MS
    }

    /// From here on the provider may count the request.
    pub(crate) fn sent(&mut self) {
        self.stage = Stage::Sent;
        let now = self.group.clock.now().now;
        self.lingers_until = Some(now.saturating_add(self.answer_within_ms.saturating_mul(MS)));
    }

    /// It did not get as far as the provider, which works on nothing.
    pub(crate) fn unreached(&mut self) {
        self.lingers_until = None;
    }

    /// The headers came: the provider has counted; and what it says is left holds
    /// for everyone.
    pub(crate) fn answered(&mut self, headers: &HeaderMap) {
        self.lingers_until = None;
        let cost = &self.bucket.cost;
        let named = cost.header.as_ref().and_then(|name| headers.get(name));
        let actual = named.and_then(answer::whole_number);
        // A cost that stands in the body is settled when that is read.
        if actual.is_some() || cost.pointer.is_none() {
            self.settle(actual.unwrap_or(self.units));
        }
        self.group.change(|state, moment| {
            for limit in &self.bucket.headers {
                let named = limit.remaining.as_ref().and_then(|name| headers.get(name));
                let meter = state.admission.meter(limit.slot);
                if let (Some(remaining), Some(meter)) = (named.and_then(answer::remaining), meter) {
                    meter.learn(moment, remaining);
                }
            }
        });
    }

    /// The body came: it may say what the request cost.
    pub(crate) fn received(&mut self, body: &[u8]) {
        if self.stage != Stage::Sent {
            return;
        }
        let pointer = self.bucket.cost.pointer.as_deref();
        let actual = pointer.and_then(|pointer| answer::cost_in(body, pointer));
        self.settle(actual.unwrap_or(self.units));
    }

    fn settle(&mut self, actual: u64) {
        self.stage = Stage::Answered;
        let (lane, reserved) = (self.bucket.lane, self.spent());
        self.group.change(|state, moment| {
            state.admission.answered(lane, reserved, actual, moment);
        });
        for (drawn, block) in self.bucket.draws.iter().zip(&self.blocks) {
            if let (Book::Spent(ledger), Some(block)) = (&drawn.book, block) {
                let (reserved, actual) = (drawn.units(self.units), drawn.units(actual));
                ledger.answered(*block, reserved, actual);
            }
        }
    }

    fn spent(&self) -> Spent {
        Spent {
            units: self.units,
            at: self.admitted_at,
        }
    }

    fn in_flight(&self) -> impl Iterator<Item = &InFlight> {
        let drawn = self.bucket.draws.iter().zip(&self.blocks);
        drawn.filter_map(|(drawn, _)| match &drawn.book {
            Book::InFlight(book) => Some(&**book),
            Book::Spent(_) => None,
        })
    }

    fn give_back(&self) {
        for (drawn, block) in self.bucket.draws.iter().zip(&self.blocks) {
            match (&drawn.book, block) {
                (Book::Spent(ledger), Some(block)) => {
                    ledger.returned(*block, drawn.units(self.units));
                }
                (Book::InFlight(book), _) => book.finished(),
                (Book::Spent(_), None) => {}
            }
        }
        let (lane, spent) = (self.bucket.lane, self.spent());
        self.group
            .change(|state, moment| state.admission.returned(lane, spent, moment));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let lane = self.bucket.lane;
        match self.stage {
            Stage::Admitted => return self.give_back(),
            // No answer came: the provider may have counted it all the same.
            Stage::Sent => self.settle(self.units),
            Stage::Answered => {}
        }
        match self.lingers_until {
            Some(until) => {
                self.in_flight().for_each(|book| book.abandoned(until));
                self.group
                    .change(|state, _| state.admission.abandoned(lane, until));
            }
            None => {
                self.in_flight().for_each(InFlight::finished);
                self.group.change(|state, _| state.admission.finished(lane));
            }
        }
    }
}
