//! Waiting for limits: the tokio side of `tidegate_domain::limit`.

mod clock;
mod group;
mod in_flight;
mod ledger;
mod plan;
mod queue;
mod terms;
mod view;
mod writer;

pub(crate) use plan::{Bucket, Permit, Plan, Refused};
pub(crate) use terms::{check_manifest, check_setting};
pub use view::LimitView;

use crate::{Config, Connection, Error};
use clock::Clock;
use group::Group;
use in_flight::InFlight;
use ledger::Ledger;
use plan::{Book, Drawn, LimitHeaders};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use terms::Term;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::id::TenantId;
use tidegate_domain::limit::{MS, Meter, Moment, SlotId};
use tidegate_domain::manifest::{LimitRule, LimitScope};
use tidegate_store::limits::LimitStore;
use tokio::sync::OnceCell;
use writer::Writer;

/// How long a bucket stays closed after answers that say "too many" without
/// saying until when.
const THROTTLE_BACKOFF: Backoff = Backoff {
    first_ms: 1_000,
    ceiling_ms: 60_000,
};

/// The bucket of requests that name none.
const DEFAULT_BUCKET: &str = "default";

/// Every limit of the process.
pub(crate) struct Limiter {
    config: Arc<Config>,
    store: Arc<dyn LimitStore>,
    running: OnceCell<Running>,
    groups: Mutex<Groups>,
    tenants: Mutex<HashMap<TenantId, u32>>,
    hashes: RandomState,
}

/// What starts with the first plan.
struct Running {
    clock: Clock,
    writer: Writer,
}

#[derive(Default)]
struct Groups {
    by_key: HashMap<Arc<str>, Arc<Group>>,
    /// Groups to have before idle ones are looked for again.
    tidy_at: usize,
}

impl Limiter {
    pub(crate) fn new(config: Arc<Config>, store: Arc<dyn LimitStore>) -> Self {
        Self {
            config,
            store,
            running: OnceCell::new(),
            groups: Mutex::default(),
            tenants: Mutex::default(),
            hashes: RandomState::new(),
        }
    }

    async fn running(&self) -> Result<&Running, Error> {
        let start = || async {
            let clock = Clock::open(&*self.store).await?;
            Ok(self.with_clock(clock))
        };
        self.running.get_or_try_init(start).await
    }

    fn with_clock(&self, clock: Clock) -> Running {
        let of_writer = clock.clone();
        let now_ms = move || of_writer.now_ms();
        Running {
            writer: Writer::start(Arc::clone(&self.store), now_ms),
            clock,
        }
    }

    /// The limits that requests of this connection meet.
    pub(crate) async fn plan(&self, connection: &Connection) -> Result<Plan, Error> {
        check_manifest(&connection.manifest)?;
        let terms = if self.config.limit_scale.is_finite() {
            terms::of(connection, &self.config.limits)?
        } else {
            Vec::new()
        };
        let running = self.running().await?;
        let group = self.group(connection, &terms, running)?;
        let _opening = group.opening.lock().await;
        let account = scope_key(connection, LimitScope::RemoteAccount);
        let mut plan = self.keep(connection, &group, &account, &terms);
        self.reopen(&group, &account).await?;
        for term in &terms {
            self.start(connection, &group, term, running).await?;
        }
        self.fill(connection, &terms, &mut plan)?;
        Ok(plan)
    }

    /// A plan without buckets: what it needs is not forgotten from here on.
    fn keep(
        &self,
        connection: &Connection,
        group: &Arc<Group>,
        account: &Arc<str>,
        terms: &[Term],
    ) -> Plan {
        let mut keys = vec![Arc::clone(account)];
        for term in terms {
            let key = scope_key(connection, term.limit.scope);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let mut state = group.lock();
        state.tidy(group.clock.now(), false);
        for key in &keys {
            state.key(key).plans += 1;
        }
        let account_gate = state.gate(account, "");
        drop(state);
        Plan {
            keys,
            account: Arc::clone(account),
            class: connection.class,
            tenant: self.tenant(&connection.tenant),
            account_gate,
            buckets: Default::default(),
            answer_within_ms: self.config.first_byte_timeout_ms,
            group: Arc::clone(group),
        }
    }

    /// Limits can be charged together only under one mutex. An account may be reached
    /// by several applications, so where limits of applications are used, all of the
    /// provider is one group; elsewhere each account is.
    fn group(
        &self,
        connection: &Connection,
        terms: &[Term],
        running: &Running,
    ) -> Result<Arc<Group>, Error> {
        let of_application = |term: &Term| term.limit.scope == LimitScope::Application;
        let key = if terms.iter().any(of_application) {
            connection.manifest.id.as_str().into()
        } else {
            scope_key(connection, LimitScope::RemoteAccount)
        };
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.by_key.get(&key) {
            return Ok(Arc::clone(group));
        }
        let max = self.config.limit_accounts_max;
        if groups.by_key.len() >= groups.tidy_at.max(1_024).min(max) {
            groups.tidy(&running.clock);
        }
        if groups.by_key.len() >= max {
            return Err(Error::TooManyAccounts { max });
        }
        let notes = running.writer.notes().clone();
        let group = Arc::new(Group::new(running.clock.clone(), notes));
        groups.by_key.insert(key, Arc::clone(&group));
        Ok(group)
    }

    /// Closes what the provider had closed before a restart.
    async fn reopen(&self, group: &Group, account: &Arc<str>) -> Result<(), Error> {
        let is_known = group.lock().key(account).gates.len() > 1;
        if is_known {
            return Ok(());
        }
        let closed = self.store.closed_gates(account).await?;
        let mut state = group.lock();
        for closure in closed {
            let gate = state.gate(account, &closure.gate);
            state
                .admission
                .close(gate, closure.until_ms.saturating_mul(MS));
        }
        Ok(())
    }

    /// Starts the limit, where it is not known, with what earlier processes spent.
    async fn start(
        &self,
        connection: &Connection,
        group: &Group,
        term: &Term,
        running: &Running,
    ) -> Result<(), Error> {
        let (key, name) = (scope_key(connection, term.limit.scope), term.name());
        if group.lock().has_limit(&key, &name) {
            return Ok(());
        }
        let moment = group.clock.now();
        let scale = self.config.limit_scale;
        let mut meter = Meter::new(&term.limit, scale, moment).map_err(|error| {
            Error::config(format!("connector {}: {error}", connection.manifest.id))
        })?;
        let book = self.book(format!("{key}/{name}"), term, &mut meter, moment, running);
        let book = book.await?;
        let is_shared =
            term.limit.scope == LimitScope::Application && connection.oauth_app.is_some();
        let mut state = group.lock();
        state.add_limit(&key, &name, term, meter, is_shared, book);
        Ok(())
    }

    /// What the limit remembers over a restart; the meter knows it from here on.
    async fn book(
        &self,
        name: String,
        term: &Term,
        meter: &mut Meter,
        moment: Moment,
        running: &Running,
    ) -> Result<Option<Book>, Error> {
        let store = Arc::clone(&self.store);
        let (notes, clock) = (running.writer.notes().clone(), running.clock.clone());
        if term.limit.rule == LimitRule::Concurrent {
            let capacity = meter.gauge(moment).capacity;
            let longest_ms = self.config.attempt_timeout_ms;
            let book = InFlight::new(name, capacity, longest_ms, store, notes, clock);
            book.restore(meter, moment.now).await?;
            return Ok(Some(Book::InFlight(Arc::new(book))));
        }
        let scale = self.config.limit_scale;
        let ledger = Ledger::new(name, &term.limit, scale, store, notes, clock);
        if let Some(ledger) = &ledger {
            ledger.restore(meter, moment.now).await?;
        }
        Ok(ledger.map(Book::Spent))
    }

    /// Puts the buckets together from limits that are all there.
    fn fill(&self, connection: &Connection, terms: &[Term], plan: &mut Plan) -> Result<(), Error> {
        let id = self.hashes.hash_one((&connection.tenant, &connection.id));
        let mut state = plan.group.lock();
        let limits: Vec<(&Term, SlotId, Option<Book>)> = terms
            .iter()
            .filter_map(|term| {
                let key = scope_key(connection, term.limit.scope);
                let (slot, book) = state.use_limit(&key, &term.name(), id, term)?;
                Some((term, slot, book))
            })
            .collect();
        let account = state.key(&plan.account).account;
        for name in terms::buckets(&connection.manifest) {
            let gate = state.gate(&plan.account, &name);
            let of_bucket: Vec<_> = limits
                .iter()
                .filter(|(term, _, _)| term.limit.buckets.contains(&name))
                .collect();
            let limited = of_bucket.iter().map(|(_, slot, _)| *slot);
            let slots: Box<[SlotId]> = [plan.account_gate, gate]
                .into_iter()
                .chain(limited)
                .collect();
            let draws = of_bucket.iter().filter_map(|(term, _, book)| {
                Some(Drawn {
                    book: book.clone()?,
                    counts_requests: term.counts_requests,
                })
            });
            let headers = of_bucket.iter().map(|(term, slot, _)| LimitHeaders {
                slot: *slot,
                remaining: term.limit.remaining_header.clone(),
                reset: term.limit.reset_header.clone(),
            });
            let bucket = Bucket {
                gate,
                lane: state.admission.lane(account, &slots),
                draws: draws.collect(),
                headers: headers.collect(),
                cost: terms::cost_source(&connection.manifest, &name)?,
                slots,
            };
            plan.buckets.insert(name, Arc::new(bucket));
        }
        Ok(())
    }

    fn tenant(&self, tenant: &TenantId) -> u32 {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(tenants.len()).unwrap_or(u32::MAX);
        *tenants.entry(tenant.clone()).or_insert(next)
    }

    /// Writes down what was spent of open blocks: the next process loses nothing.
    pub(crate) async fn close(&self) {
        let Some(running) = self.running.get() else {
            return;
        };
        let groups: Vec<_> = {
            let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
            groups.by_key.values().cloned().collect()
        };
        for group in groups {
            for book in group.lock().books() {
                book.close();
            }
        }
        running.writer.flush().await;
    }
}

impl Groups {
    /// Forgets groups without plans whose keys are all forgotten.
    fn tidy(&mut self, clock: &Clock) {
        let moment = clock.now();
        self.by_key.retain(|_, group| {
            if Arc::strong_count(group) > 1 {
                return true;
            }
            let mut state = group.lock();
            state.tidy(moment, true);
            !state.keys.is_empty()
        });
        self.tidy_at = self.by_key.len() * 2;
    }
}

/// Who shares a limit of this scope. What is not known is not shared.
fn scope_key(connection: &Connection, scope: LimitScope) -> Arc<str> {
    let provider = &connection.manifest.id;
    let key = match (scope, &connection.account, &connection.oauth_app) {
        (LimitScope::RemoteAccount, Some(account), _) => format!("{provider}/account/{account}"),
        (LimitScope::Application, _, Some(app)) => {
            format!("{provider}/application/{}", app.client_id)
        }
        _ => format!(
            "{provider}/connection/{}/{}",
            connection.tenant, connection.id
        ),
    };
    key.into()
}

#[cfg(test)]
mod tests;
