//! Limits that can meet in one request, under one mutex that is never held over an
//! await, and the queue before them.

use super::clock::Clock;
use super::plan::Book;
use super::queue::{Queued, Told};
use super::terms::Term;
use super::writer::Notes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_domain::limit::{
    AccountId, Admission, Full, LaneId, MS, Meter, Moment, Nanos, Request, SlotId, Spent, Ticket,
    Turn,
};
use tidegate_store::limits::Closure;
use tokio::sync::watch;

/// Closures shorter than this are over before a process is back.
const WRITTEN_FROM_MS: u64 = 1_000;

/// Limits that can meet in one request, and the queue before them.
pub(crate) struct Group {
    pub(super) clock: Clock,
    pub(super) notes: Notes,
    // Async, because what the store remembers is awaited under it: two plans must not
    // start one limit twice.
    pub(super) opening: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) admission: Admission,
    pub(super) keys: HashMap<Arc<str>, Key>,
    waiting: HashMap<Ticket, watch::Sender<Told>>,
    /// Keys to have before idle ones are looked for again.
    tidy_at: usize,
}

/// What shares limits of one scope: an account, a connection or an application.
pub(super) struct Key {
    pub(super) account: AccountId,
    pub(super) gates: Vec<Gate>,
    pub(super) limits: Vec<Named>,
    /// Plans that use it.
    pub(super) plans: usize,
}

/// Closed while the provider says so.
pub(super) struct Gate {
    /// A bucket; empty for all of the account.
    pub(super) name: Box<str>,
    pub(super) slot: SlotId,
    /// Storms in a row that closed it.
    pub(super) storms: u32,
}

/// One limit of a key.
pub(super) struct Named {
    pub(super) name: Box<str>,
    pub(super) slot: SlotId,
    pub(super) book: Option<Book>,
    /// The capacity that the meter was made with.
    full: f64,
    /// The capacity that each connection may use; the least of them holds.
    parts: Vec<(u64, f64)>,
}

impl State {
    pub(super) fn key(&mut self, name: &Arc<str>) -> &mut Key {
        if !self.keys.contains_key(name) {
            self.tidy_at = self.tidy_at.max(1_024);
            let key = Key {
                account: self.admission.add_account(),
                gates: Vec::new(),
                limits: Vec::new(),
                plans: 0,
            };
            self.keys.insert(Arc::clone(name), key);
        }
        self.keys.get_mut(name).expect("it was just put there")
    }

    pub(super) fn has_limit(&self, key: &str, name: &str) -> bool {
        let limits = self.keys.get(key).map(|key| key.limits.iter());
        limits.is_some_and(|mut limits| limits.any(|limit| *limit.name == *name))
    }

    pub(super) fn add_limit(
        &mut self,
        key: &Arc<str>,
        name: &str,
        term: &Term,
        meter: Meter,
        is_shared: bool,
        book: Option<Book>,
    ) {
        let slot = self
            .admission
            .add_limit(meter, is_shared, term.counts_requests);
        let named = Named {
            name: name.into(),
            slot,
            book,
            full: f64::from(term.limit.capacity),
            parts: Vec::new(),
        };
        self.key(key).limits.push(named);
    }

    /// The limit as this connection may use it; nobody's part is exceeded.
    pub(super) fn use_limit(
        &mut self,
        key: &str,
        name: &str,
        connection: u64,
        term: &Term,
    ) -> Option<(SlotId, Option<Book>)> {
        let key = self.keys.get_mut(key)?;
        let limit = key.limits.iter_mut().find(|one| *one.name == *name)?;
        let part = f64::from(term.limit.capacity) * term.part;
        limit.parts.retain(|(one, _)| *one != connection);
        limit.parts.push((connection, part));
        let least = limit.parts.iter().map(|(_, part)| *part);
        let ratio = least.fold(f64::INFINITY, f64::min) / limit.full;
        if let Some(meter) = self.admission.meter(limit.slot) {
            meter.set_ratio(ratio);
        }
        Some((limit.slot, limit.book.clone()))
    }

    pub(super) fn gate(&mut self, key: &Arc<str>, name: &str) -> SlotId {
        let known = self.key(key).gates.iter().find(|gate| *gate.name == *name);
        if let Some(gate) = known {
            return gate.slot;
        }
        let slot = self.admission.add_gate();
        let gate = Gate {
            name: name.into(),
            slot,
            storms: 0,
        };
        self.key(key).gates.push(gate);
        slot
    }

    /// Forgets keys that nobody uses and whose limits have wholly recovered: a new one
    /// would allow no less.
    pub(super) fn tidy(&mut self, moment: Moment, at_once: bool) {
        if !at_once && self.keys.len() < self.tidy_at {
            return;
        }
        let admission = &mut self.admission;
        self.keys.retain(|_, key| {
            let limits = key.limits.iter().map(|limit| limit.slot);
            let slots: Vec<_> = limits
                .chain(key.gates.iter().map(|gate| gate.slot))
                .collect();
            let idle = key.plans == 0
                && admission.waiting(key.account) == 0
                && slots
                    .iter()
                    .all(|slot| admission.is_recovered(*slot, moment));
            if idle {
                for book in key.limits.iter().filter_map(|limit| limit.book.as_ref()) {
                    book.close();
                }
                admission.remove(key.account, &slots);
            }
            !idle
        });
        self.tidy_at = (self.keys.len() * 2).max(1_024);
    }
}

impl State {
    pub(super) fn books(&self) -> Vec<Book> {
        let limits = self.keys.values().flat_map(|key| &key.limits);
        limits.filter_map(|limit| limit.book.clone()).collect()
    }
}

impl Group {
    pub(super) fn new(clock: Clock, notes: Notes) -> Self {
        Self {
            clock,
            notes,
            opening: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, then tells everyone whose turn changed by it.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State, Moment) -> T) -> T {
        let moment = self.clock.now();
        let mut state = self.lock();
        let result = act(&mut state, moment);
        state.tell(moment);
        result
    }

    /// Goes at once where nobody waits, else queues.
    pub(super) fn ask(&self, request: Request) -> Result<Asked<'_>, Full> {
        let moment = self.clock.now();
        let mut state = self.lock();
        match state.admission.admit(request, moment) {
            Some(Turn::Admitted) => return Ok(Asked::Admitted(moment.now)),
            Some(Turn::Never) => return Ok(Asked::Never),
            Some(Turn::Waiting(_)) | None => {}
        }
        let ticket = state.admission.enqueue(request)?;
        let (sender, turn) = watch::channel(Told::default());
        state.waiting.insert(ticket, sender);
        state.tell(moment);
        drop(state);
        Ok(Asked::Queued(Queued {
            group: self,
            ticket,
            turn,
            request,
            taken: false,
        }))
    }

    /// Closes a gate, and remembers it where that lasts.
    pub(super) fn close(&self, state: &mut State, key: &str, gate: SlotId, now: u64, until: u64) {
        state.admission.close(gate, until);
        let known = state
            .keys
            .get(key)
            .and_then(|key| key.gates.iter().find(|one| one.slot == gate));
        if let Some(gate) = known.filter(|_| until.saturating_sub(now) >= WRITTEN_FROM_MS * MS) {
            self.notes.closed(Closure {
                account: key.to_owned(),
                gate: gate.name.to_string(),
                until_ms: until.div_ceil(MS),
            });
        }
    }
}

impl State {
    fn tell(&mut self, moment: Moment) {
        if self.waiting.is_empty() {
            return;
        }
        for (ticket, turn) in self.admission.turns(moment) {
            if let Some(sender) = self.waiting.get(&ticket) {
                sender.send_if_modified(|known| {
                    let told = Told {
                        turn,
                        at: moment.now,
                    };
                    std::mem::replace(known, told).turn != turn
                });
            }
        }
    }

    /// Whoever waited has looked at the turn.
    pub(super) fn taken(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
    }

    /// Whoever waited is gone; what was admitted unseen is given back.
    pub(super) fn left(&mut self, ticket: Ticket, lane: LaneId, units: u64, moment: Moment) {
        let left = self.admission.leave(ticket);
        let sender = self.waiting.remove(&ticket);
        let admitted = sender
            .map(|sender| *sender.borrow())
            .filter(|told| told.turn == Turn::Admitted);
        if let Some(told) = admitted.filter(|_| !left) {
            let spent = Spent { units, at: told.at };
            self.admission.returned(lane, spent, moment);
        }
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// What a request came to at once.
pub(super) enum Asked<'a> {
    /// When its units were spent.
    Admitted(Nanos),
    Never,
    Queued(Queued<'a>),
}
