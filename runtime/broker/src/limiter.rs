//! Waiting for limits: the tokio side of `tidegate_domain::limit`. One private
//! mutex for each set of limits that can meet in one request; it is never held
//! over an await.

mod ledger;
mod plan;
mod queue;

pub(crate) use plan::{Bucket, Permit, Plan, Refused};

use crate::{Connection, Error};
use ledger::Ledger;
use queue::Queued;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_domain::backoff::Backoff;
use tidegate_domain::limit::{Admission, MS, Meter, Nanos, SlotId, Ticket, Turn};
use tidegate_domain::manifest::{Limit, LimitScope, Manifest};
use tidegate_store::clock::now_ms;
use tidegate_store::limits::LimitStore;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a bucket stays closed after answers that say "too many" without
/// saying until when.
const THROTTLE_BACKOFF: Backoff = Backoff {
    first_ms: 1_000,
    ceiling_ms: 60_000,
};

/// The bucket of requests that name none.
const DEFAULT_BUCKET: &str = "default";

/// The wall clock at the start, and monotonic from there: a clock that is set
/// while the process runs neither adds nor loses units.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    origin: Nanos,
}

impl Clock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            origin: now_ms().saturating_mul(MS),
        }
    }

    pub(crate) fn now(self) -> Nanos {
        self.at(Instant::now())
    }

    pub(crate) fn now_ms(self) -> u64 {
        self.now() / MS
    }

    fn at(self, instant: Instant) -> Nanos {
        let elapsed = instant.saturating_duration_since(self.start).as_nanos();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.origin.saturating_add(elapsed)
    }

    fn instant(self, at: Nanos) -> Instant {
        let since = std::time::Duration::from_nanos(at.saturating_sub(self.origin));
        // Far enough for any wait, near enough for the addition.
        let year = std::time::Duration::from_secs(366 * 24 * 3600);
        self.start + since.min(year)
    }
}

/// Refuses what this build cannot count.
pub(crate) fn check_manifest(manifest: &Manifest) -> Result<(), Error> {
    for limit in &manifest.limits {
        Meter::new(limit, 1.0, 0).map_err(|error| unsupported(manifest, &error))?;
        if limit.buckets.is_empty() {
            return Err(Error::config(format!(
                "a limit of connector {} names no bucket",
                manifest.id
            )));
        }
    }
    Ok(())
}

fn unsupported(manifest: &Manifest, error: &tidegate_domain::limit::Unsupported) -> Error {
    Error::config(format!("connector {}: {error}", manifest.id))
}

/// Every limit of the process.
pub(crate) struct Limiter {
    scale: f64,
    store: Arc<dyn LimitStore>,
    clock: Clock,
    groups: Mutex<HashMap<String, Arc<Group>>>,
}

impl Limiter {
    pub(crate) fn new(scale: f64, store: Arc<dyn LimitStore>) -> Self {
        Self {
            scale,
            store,
            clock: Clock::new(),
            groups: Mutex::default(),
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// The limits that requests of this connection meet.
    pub(crate) async fn plan(&self, connection: &Connection) -> Result<Plan, Error> {
        check_manifest(&connection.manifest)?;
        let group = self.group(connection);
        let mut limits = Vec::new();
        if self.scale.is_finite() {
            for limit in &connection.manifest.limits {
                limits.push(self.limit(connection, &group, limit).await?);
            }
        }
        Ok(Plan::new(connection, group, &limits))
    }

    /// Limits can be charged together only under one mutex; so a group is as wide
    /// as the widest scope that the manifest uses, and at least one account.
    fn group(&self, connection: &Connection) -> Arc<Group> {
        let limits = &connection.manifest.limits;
        let shared = limits
            .iter()
            .any(|limit| limit.scope == LimitScope::Application);
        let scope = if shared {
            LimitScope::Application
        } else {
            LimitScope::RemoteAccount
        };
        let key = scope_key(connection, scope);
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups
            .entry(key)
            .or_insert_with(|| Arc::new(Group::new(self.clock)));
        Arc::clone(group)
    }

    /// Finds the limit, or starts it with what an earlier process spent.
    async fn limit<'a>(
        &self,
        connection: &Connection,
        group: &Group,
        limit: &'a Limit,
    ) -> Result<PlannedLimit<'a>, Error> {
        let name = format!(
            "{}/{:?}/{}/{}ms/{}",
            scope_key(connection, limit.scope),
            limit.rule,
            limit.capacity,
            limit.per_ms,
            limit.buckets.join("+")
        );
        let known = group.lock().named.get(&name).cloned();
        let (slot, ledger) = match known {
            Some(known) => known,
            None => {
                let now = self.clock.now();
                let mut meter = Meter::new(limit, self.scale, now)
                    .map_err(|error| unsupported(&connection.manifest, &error))?;
                let ledger = Ledger::new(&name, limit, self.scale, Arc::clone(&self.store));
                if let Some(ledger) = &ledger {
                    ledger.restore(&mut meter, now).await?;
                }
                group.lock().named(name, meter, ledger)
            }
        };
        Ok(PlannedLimit {
            limit,
            slot,
            ledger,
        })
    }
}

/// A limit of a manifest and where it is counted.
struct PlannedLimit<'a> {
    limit: &'a Limit,
    slot: SlotId,
    ledger: Option<Arc<Ledger>>,
}

/// Who shares a limit of this scope. What is not known is not shared.
fn scope_key(connection: &Connection, scope: LimitScope) -> String {
    let provider = &connection.manifest.id;
    let own = || {
        format!(
            "{provider}/connection/{}/{}",
            connection.tenant, connection.id
        )
    };
    match (scope, &connection.account, &connection.oauth_app) {
        (LimitScope::RemoteAccount, Some(account), _) => format!("{provider}/account/{account}"),
        (LimitScope::Application, _, Some(app)) => {
            format!("{provider}/application/{}", app.client_id)
        }
        _ => own(),
    }
}

type NamedLimit = (SlotId, Option<Arc<Ledger>>);

/// Limits that can meet in one request, and the queue before them.
pub(crate) struct Group {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    admission: Admission,
    named: HashMap<String, NamedLimit>,
    gates: HashMap<String, SlotId>,
    /// Storms in a row, by the gate that they closed.
    storms: HashMap<SlotId, u32>,
    waiting: HashMap<Ticket, watch::Sender<Turn>>,
}

impl State {
    fn named(&mut self, name: String, meter: Meter, ledger: Option<Arc<Ledger>>) -> NamedLimit {
        let admission = &mut self.admission;
        self.named
            .entry(name)
            .or_insert_with(|| (admission.add(Some(meter)), ledger))
            .clone()
    }

    fn gate(&mut self, name: String) -> SlotId {
        let admission = &mut self.admission;
        *self
            .gates
            .entry(name)
            .or_insert_with(|| admission.add(None))
    }
}

impl Group {
    fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, then tells everyone whose turn changed by it.
    fn change<T>(&self, act: impl FnOnce(&mut State, Nanos) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        let result = act(&mut state, now);
        for (ticket, turn) in state.admission.turns(now) {
            if let Some(sender) = state.waiting.get(&ticket) {
                sender.send_if_modified(|known| std::mem::replace(known, turn) != turn);
            }
        }
        result
    }

    fn enqueue(&self, class: usize, slots: &Arc<[SlotId]>, units: u64) -> Queued<'_> {
        let (sender, turn) = watch::channel(Turn::Waiting(None));
        let ticket = self.change(|state, _| {
            let ticket = state.admission.enqueue(class, Arc::clone(slots), units);
            state.waiting.insert(ticket, sender);
            ticket
        });
        Queued {
            group: self,
            ticket,
            turn,
            slots: Arc::clone(slots),
            units,
            taken: false,
        }
    }
}

#[cfg(test)]
mod tests;
