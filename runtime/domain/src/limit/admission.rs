//! Who is next: a request passes all of its limits at once or none, classes share
//! by weight, and within a class the first that came is the first to go.
//!
//! A request that lacks room in a limit claims it: nobody behind may spend there,
//! so that a large request is not overtaken for ever. Limits where it has room
//! stay open to others, so that a full bucket does not hold up another one.

use super::{Meter, Nanos, Wait};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// One limit, or one gate that only opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(usize);

/// One request in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What became of a request in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may go; its units are spent.
    Admitted,
    /// It waits, at least until the time given, or for others to end.
    Waiting(Option<Nanos>),
    /// It asks for more than a limit ever holds; it left the queue.
    Never,
}

/// Weights 60, 30 and 10 as strides: what a unit costs a class.
const STRIDES: [u64; 3] = [1, 2, 6];

#[derive(Clone, Debug)]
struct Slot {
    meter: Option<Meter>,
    closed_until: Nanos,
}

#[derive(Clone, Debug)]
struct Waiter {
    ticket: Ticket,
    slots: Arc<[SlotId]>,
    units: u64,
}

#[derive(Clone, Debug, Default)]
struct Class {
    waiting: VecDeque<Waiter>,
    /// What the class has had; the class with the least is next.
    pass: u64,
}

/// The limits that some requests share, and the queue before them.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    slots: Vec<Slot>,
    classes: [Class; 3],
    tickets: u64,
}

impl Admission {
    /// Adds a limit, or a gate where there is no meter.
    pub fn add(&mut self, meter: Option<Meter>) -> SlotId {
        self.slots.push(Slot {
            meter,
            closed_until: 0,
        });
        SlotId(self.slots.len() - 1)
    }

    /// Queues a request of a class (0 live, 1 incremental, 2 history). It goes
    /// when [`Admission::turns`] says so.
    pub fn enqueue(&mut self, class: usize, slots: Arc<[SlotId]>, units: u64) -> Ticket {
        let class = class.min(STRIDES.len() - 1);
        if self.classes[class].waiting.is_empty() {
            // What it did not use while it was away is not saved up.
            let others = self.classes.iter().filter(|one| !one.waiting.is_empty());
            let least = others.map(|one| one.pass).min();
            let own = self.classes[class].pass;
            self.classes[class].pass = own.max(least.unwrap_or(own));
        }
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.classes[class].waiting.push_back(Waiter {
            ticket,
            slots,
            units,
        });
        ticket
    }

    /// Takes a request out of the queue. False where it is not in it.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        for class in &mut self.classes {
            if let Ok(at) = class
                .waiting
                .binary_search_by_key(&ticket, |waiter| waiter.ticket)
            {
                class.waiting.remove(at);
                return true;
            }
        }
        false
    }

    /// Admits all who may go now, and says of everyone in the queue what became of
    /// them.
    pub fn turns(&mut self, now: Nanos) -> Vec<(Ticket, Turn)> {
        let mut turns = Vec::new();
        let mut claimed = HashSet::new();
        let mut next = [0; 3];
        loop {
            let open = (0..3).filter(|&class| next[class] < self.classes[class].waiting.len());
            let Some(class) = open.min_by_key(|&class| self.classes[class].pass) else {
                return turns;
            };
            let at = next[class];
            let waiter = self.classes[class].waiting[at].clone();
            let turn = self.turn(&waiter, now, &mut claimed);
            turns.push((waiter.ticket, turn));
            match turn {
                Turn::Waiting(_) => next[class] += 1,
                Turn::Never => drop(self.classes[class].waiting.remove(at)),
                Turn::Admitted => {
                    self.classes[class].waiting.remove(at);
                    self.classes[class].pass += waiter.units * STRIDES[class];
                }
            }
        }
    }

    fn turn(&mut self, waiter: &Waiter, now: Nanos, claimed: &mut HashSet<SlotId>) -> Turn {
        let closed = waiter
            .slots
            .iter()
            .map(|slot| self.slots[slot.0].closed_until);
        let opens = closed.max().unwrap_or(0);
        if opens > now {
            return Turn::Waiting(Some(opens));
        }
        if waiter.slots.iter().any(|slot| claimed.contains(slot)) {
            return Turn::Waiting(None);
        }
        let mut lacking = false;
        let mut until = None;
        for slot in waiter.slots.iter() {
            let Some(meter) = &mut self.slots[slot.0].meter else {
                continue;
            };
            match meter.check(now, waiter.units) {
                Ok(()) => continue,
                Err(Wait::Never) => return Turn::Never,
                Err(Wait::Until(at)) => until = until.max(Some(at)),
                Err(Wait::Answer) => {}
            }
            lacking = true;
            claimed.insert(*slot);
        }
        if lacking {
            return Turn::Waiting(until);
        }
        self.each(&waiter.slots, |meter| meter.commit(now, waiter.units));
        Turn::Admitted
    }

    fn each(&mut self, slots: &[SlotId], mut act: impl FnMut(&mut Meter)) {
        for slot in slots {
            if let Some(meter) = &mut self.slots[slot.0].meter {
                act(meter);
            }
        }
    }

    /// The answer to an admitted request came, or will never come.
    pub fn answered(&mut self, slots: &[SlotId], units: u64, now: Nanos) {
        self.each(slots, |meter| meter.answered(now, units));
    }

    /// An admitted request is over to the last byte.
    pub fn finished(&mut self, slots: &[SlotId]) {
        self.each(slots, Meter::finished);
    }

    /// An admitted request was not sent.
    pub fn returned(&mut self, slots: &[SlotId], units: u64) {
        self.each(slots, |meter| meter.returned(units));
    }

    /// Lets nothing pass until then; never opens earlier than it was told before.
    pub fn close(&mut self, slot: SlotId, until: Nanos) {
        let closed = &mut self.slots[slot.0].closed_until;
        *closed = until.max(*closed);
    }

    /// How far the fullest of these limits is used up, from 0 to 1; none without one.
    pub fn utilization(&self, slots: &[SlotId], now: Nanos) -> Option<f64> {
        let meters = slots
            .iter()
            .filter_map(|slot| self.slots[slot.0].meter.as_ref());
        meters.map(|meter| meter.utilization(now)).reduce(f64::max)
    }

    /// When all of these are open.
    pub fn opens_at(&self, slots: &[SlotId]) -> Nanos {
        let closed = slots.iter().map(|slot| self.slots[slot.0].closed_until);
        closed.max().unwrap_or(0)
    }

    /// The provider says what is left of a limit.
    pub fn learn(&mut self, slot: SlotId, now: Nanos, remaining: u64) {
        if let Some(meter) = &mut self.slots[slot.0].meter {
            meter.learn(now, remaining);
        }
    }
}
