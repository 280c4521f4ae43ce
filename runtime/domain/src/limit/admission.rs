//! Who is next: a request passes all of its limits at once or none; classes share by
//! weight, tenants of a class evenly, and of one tenant the first that came is the
//! first to go.
//!
//! A request that lacks room in a limit claims it: nobody behind may spend there,
//! so that a large request is not overtaken for ever. Limits where it has room
//! stay open to others, so that a full bucket does not hold up another one.
//!
//! Requests of one tenant and class with the same limits stand in one lane; only the
//! head of a lane can go, so only heads are looked at. Accounts under the limits of one
//! application are held apart: each has an order of its own for its own limits, and
//! there is one for the application's, which rules while those are what is short.

use super::share::Share;
use super::{Gauge, Meter, Moment, Nanos, Spent, Wait};
use crate::job::Class;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

/// Requests that may wait in a lane; more are refused.
pub const WAITING_MAX: usize = 1_024;

/// One limit, or one gate that only opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(u32);

/// One account of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(u32);

/// The limits that a request of an account meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId {
    account: u32,
    lane: u32,
}

/// What asks to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which limits it meets.
    pub lane: LaneId,
    /// How urgent it is.
    pub class: Class,
    /// For whom, as a number that the caller gives to each tenant.
    pub tenant: u32,
    /// Units, where a limit counts cost; one elsewhere.
    pub units: u64,
}

/// One request in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket {
    place: Place,
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    lane: LaneId,
    class: Class,
    tenant: u32,
}

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

/// As many wait already as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

#[derive(Clone, Debug, Default)]
struct Slot {
    meter: Option<Meter>,
    closed_until: Nanos,
    is_shared: bool,
    counts_requests: bool,
}

impl Slot {
    fn units(&self, units: u64) -> u64 {
        if self.counts_requests { 1 } else { units }
    }
}

#[derive(Clone, Debug, Default)]
struct Account {
    lanes: Vec<Box<[SlotId]>>,
    waiting: BTreeMap<Place, Waiting>,
    share: Share,
}

/// The waiting requests of one tenant and class in one lane.
#[derive(Clone, Debug, Default)]
struct Waiting {
    requests: VecDeque<(u64, u64)>,
    /// Until when the first waits, as far as is known.
    opens: Option<Nanos>,
}

/// The limits that some requests share, and the queue before them.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    slots: Vec<Slot>,
    free_slots: Vec<SlotId>,
    accounts: Vec<Account>,
    free_accounts: Vec<AccountId>,
    /// Accounts where requests wait.
    busy: BTreeSet<u32>,
    tickets: u64,
    share: Share,
    /// Whether limits of the application were what was short when last looked.
    shared_is_short: bool,
}

impl Admission {
    /// Adds an account, for its lanes.
    pub fn add_account(&mut self) -> AccountId {
        self.free_accounts.pop().unwrap_or_else(|| {
            self.accounts.push(Account::default());
            AccountId(id_of(self.accounts.len() - 1))
        })
    }

    /// Adds a gate: a slot that opens and closes.
    pub fn add_gate(&mut self) -> SlotId {
        self.add(Slot::default())
    }

    /// Adds a limit. `is_shared` where other accounts draw on it, too;
    /// `counts_requests` where a request is one unit whatever it costs.
    pub fn add_limit(&mut self, meter: Meter, is_shared: bool, counts_requests: bool) -> SlotId {
        self.add(Slot {
            meter: Some(meter),
            closed_until: 0,
            is_shared,
            counts_requests,
        })
    }

    fn add(&mut self, slot: Slot) -> SlotId {
        if let Some(free) = self.free_slots.pop() {
            *self.slot_mut(free) = slot;
            return free;
        }
        self.slots.push(slot);
        SlotId(id_of(self.slots.len() - 1))
    }

    fn slot(&self, id: SlotId) -> &Slot {
        &self.slots[id.0 as usize]
    }

    fn slot_mut(&mut self, id: SlotId) -> &mut Slot {
        &mut self.slots[id.0 as usize]
    }

    /// The lane of requests that meet these limits.
    pub fn lane(&mut self, account: AccountId, slots: &[SlotId]) -> LaneId {
        let lanes = &mut self.accounts[account.0 as usize].lanes;
        let known = lanes.iter().position(|lane| **lane == *slots);
        let lane = known.unwrap_or_else(|| {
            lanes.push(slots.into());
            lanes.len() - 1
        });
        LaneId {
            account: account.0,
            lane: id_of(lane),
        }
    }

    /// Forgets an account with these slots of its own, in which nobody may be waiting.
    pub fn remove(&mut self, account: AccountId, slots: &[SlotId]) {
        self.accounts[account.0 as usize] = Account::default();
        self.busy.remove(&account.0);
        self.free_accounts.push(account);
        for slot in slots {
            *self.slot_mut(*slot) = Slot::default();
            self.free_slots.push(*slot);
        }
    }

    /// Whether a new slot would allow no more than this one.
    pub fn is_recovered(&mut self, slot: SlotId, moment: Moment) -> bool {
        let slot = self.slot_mut(slot);
        let open = slot.closed_until <= moment.now;
        open && slot
            .meter
            .as_mut()
            .is_none_or(|meter| meter.is_recovered(moment))
    }

    /// Admits a request at once where nobody waits; None where it must queue.
    pub fn admit(&mut self, request: Request, moment: Moment) -> Option<Turn> {
        let lane = request.lane;
        let slots = &self.accounts[lane.account as usize].lanes[lane.lane as usize];
        let alone = if slots.iter().any(|slot| self.slot(*slot).is_shared) {
            self.busy.is_empty()
        } else {
            !self.busy.contains(&lane.account)
        };
        if !alone {
            return None;
        }
        let looked = self.look(lane, request.class, request.units, moment, None);
        match looked {
            Looked::Room => {
                self.spend(lane, request.units, moment);
                Some(Turn::Admitted)
            }
            Looked::Never => Some(Turn::Never),
            Looked::Short { .. } | Looked::Closed(_) => None,
        }
    }

    /// Queues a request. It goes when [`Admission::turns`] says so.
    ///
    /// # Errors
    /// [`Full`] where [`WAITING_MAX`] wait in its lane.
    pub fn enqueue(&mut self, request: Request) -> Result<Ticket, Full> {
        let place = Place {
            lane: request.lane,
            class: request.class,
            tenant: request.tenant,
        };
        let account = &mut self.accounts[place.lane.account as usize];
        let waiting = account.waiting.entry(place).or_default();
        if waiting.requests.len() >= WAITING_MAX {
            return Err(Full);
        }
        let number = self.tickets;
        self.tickets += 1;
        waiting.requests.push_back((number, request.units));
        self.busy.insert(place.lane.account);
        Ok(Ticket { place, number })
    }

    /// Takes a request out of the queue. False where it is not in it.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let place = ticket.place;
        let account = &mut self.accounts[place.lane.account as usize];
        let Some(waiting) = account.waiting.get_mut(&place) else {
            return false;
        };
        let found = waiting
            .requests
            .binary_search_by_key(&ticket.number, |request| request.0);
        let Ok(at) = found else {
            return false;
        };
        waiting.requests.remove(at);
        self.tidy(place);
        true
    }

    /// Until when the first of a request's lane waits, as far as is known.
    pub fn opens(&self, ticket: Ticket) -> Option<Nanos> {
        let account = &self.accounts[ticket.place.lane.account as usize];
        account.waiting.get(&ticket.place)?.opens
    }

    /// Requests that wait in an account.
    pub fn waiting(&self, account: AccountId) -> usize {
        let account = &self.accounts[account.0 as usize];
        let lanes = account.waiting.values();
        lanes.map(|waiting| waiting.requests.len()).sum()
    }

    /// Admits all who may go now, and says what became of them, and until when those
    /// wait who are first in their lanes.
    pub fn turns(&mut self, moment: Moment) -> Vec<(Ticket, Turn)> {
        let mut turns = Vec::new();
        let mut claimed = HashSet::new();
        let mut passed = HashSet::new();
        let mut shared_is_short = false;
        while let Some((place, (number, units))) = self.next(&passed) {
            let ticket = Ticket { place, number };
            let looked = self.look(place.lane, place.class, units, moment, Some(&mut claimed));
            let turn = match looked {
                Looked::Room => {
                    self.spend(place.lane, units, moment);
                    self.charge(place, units);
                    self.drop_first(place);
                    Turn::Admitted
                }
                Looked::Never => {
                    self.drop_first(place);
                    Turn::Never
                }
                Looked::Closed(until) => {
                    passed.insert(place);
                    Turn::Waiting(Some(until))
                }
                Looked::Short { until, shared } => {
                    shared_is_short |= shared;
                    passed.insert(place);
                    Turn::Waiting(until)
                }
            };
            if let Turn::Waiting(opens) = turn {
                let account = &mut self.accounts[place.lane.account as usize];
                if let Some(waiting) = account.waiting.get_mut(&place) {
                    waiting.opens = opens;
                }
            }
            turns.push((ticket, turn));
        }
        self.shared_is_short = shared_is_short;
        turns
    }

    /// The first of a lane whose turn it is, of those that did not pass it.
    fn next(&self, passed: &HashSet<Place>) -> Option<(Place, (u64, u64))> {
        let accounts = self.busy.iter().map(|id| &self.accounts[*id as usize]);
        let heads = accounts.flat_map(|account| {
            let open = account
                .waiting
                .iter()
                .filter(|(place, _)| !passed.contains(place));
            open.filter_map(|(place, waiting)| {
                let share = if self.shared_is_short {
                    &self.share
                } else {
                    &account.share
                };
                let head = *waiting.requests.front()?;
                let rank = (share.rank(place.class, place.tenant), head.0);
                Some((rank, *place, head))
            })
        });
        let first = heads.min_by_key(|(rank, _, _)| *rank);
        first.map(|(_, place, head)| (place, head))
    }

    /// Whether all limits of the lane have room. With `claimed`, what others before it
    /// lack is not to be had, and what it lacks is claimed.
    fn look(
        &mut self,
        lane: LaneId,
        class: Class,
        units: u64,
        moment: Moment,
        mut claimed: Option<&mut HashSet<SlotId>>,
    ) -> Looked {
        let slots = &self.accounts[lane.account as usize].lanes[lane.lane as usize];
        let of = |id: &SlotId| id.0 as usize;
        let closed = slots.iter().map(|id| self.slots[of(id)].closed_until);
        let opens = closed.max().unwrap_or(0);
        if opens > moment.now {
            return Looked::Closed(opens);
        }
        if let Some(claimed) = claimed.as_deref()
            && let Some(taken) = slots.iter().find(|slot| claimed.contains(slot))
        {
            let shared = self.slots[of(taken)].is_shared;
            return Looked::Short {
                until: None,
                shared,
            };
        }
        let (mut short, mut shared, mut until) = (false, false, None);
        for id in slots {
            let slot = &mut self.slots[of(id)];
            let units = slot.units(units);
            let Some(meter) = &mut slot.meter else {
                continue;
            };
            match meter.check(moment, units, class) {
                Ok(()) => continue,
                Err(Wait::Never) => return Looked::Never,
                Err(Wait::Until(at)) => until = until.max(Some(at)),
                Err(Wait::Answer) => {}
            }
            short = true;
            shared |= slot.is_shared;
            // What is kept for live work is none of that work's.
            let kept = matches!(meter, Meter::Calendar(_)) && class != Class::Live;
            if let Some(claimed) = claimed.as_deref_mut().filter(|_| !kept) {
                claimed.insert(*id);
            }
        }
        if short {
            Looked::Short { until, shared }
        } else {
            Looked::Room
        }
    }

    fn spend(&mut self, lane: LaneId, units: u64, moment: Moment) {
        self.each(lane, units, |meter, units| meter.commit(moment, units));
    }

    fn charge(&mut self, place: Place, units: u64) {
        self.share.charge(place.class, place.tenant, units);
        let share = &mut self.accounts[place.lane.account as usize].share;
        share.charge(place.class, place.tenant, units);
        share.forget_the_level();
        self.share.forget_the_level();
    }

    fn drop_first(&mut self, place: Place) {
        let account = &mut self.accounts[place.lane.account as usize];
        if let Some(waiting) = account.waiting.get_mut(&place) {
            waiting.requests.pop_front();
        }
        self.tidy(place);
    }

    /// With nobody waiting, nobody is owed anything.
    fn tidy(&mut self, place: Place) {
        let account = &mut self.accounts[place.lane.account as usize];
        let empty = |waiting: &Waiting| waiting.requests.is_empty();
        if account.waiting.get(&place).is_some_and(empty) {
            account.waiting.remove(&place);
        }
        if account.waiting.is_empty() {
            account.share = Share::default();
            self.busy.remove(&place.lane.account);
        }
        if self.busy.is_empty() {
            self.share = Share::default();
        }
    }

    fn each(&mut self, lane: LaneId, units: u64, mut act: impl FnMut(&mut Meter, u64)) {
        let slots = &self.accounts[lane.account as usize].lanes[lane.lane as usize];
        for id in slots {
            let slot = &mut self.slots[id.0 as usize];
            let units = slot.units(units);
            if let Some(meter) = &mut slot.meter {
                act(meter, units);
            }
        }
    }

    /// The answer to an admitted request came, or will never come. It cost `actual`
    /// units where others were reserved.
    pub fn answered(&mut self, lane: LaneId, reserved: Spent, actual: u64, moment: Moment) {
        let slots = &self.accounts[lane.account as usize].lanes[lane.lane as usize];
        for id in slots {
            let slot = &mut self.slots[id.0 as usize];
            let (units, actual) = (slot.units(reserved.units), slot.units(actual));
            if let Some(meter) = &mut slot.meter {
                meter.answered(moment, Spent { units, ..reserved }, actual);
            }
        }
    }

    /// An admitted request is over to the last byte.
    pub fn finished(&mut self, lane: LaneId) {
        self.each(lane, 1, |meter, _| meter.finished());
    }

    /// Nobody waits for the answer to an admitted request any more; the provider may work
    /// on it until then.
    pub fn abandoned(&mut self, lane: LaneId, until: Nanos) {
        self.each(lane, 1, |meter, _| meter.abandoned(until));
    }

    /// An admitted request was not sent.
    pub fn returned(&mut self, lane: LaneId, spent: Spent, moment: Moment) {
        self.each(lane, spent.units, |meter, units| {
            meter.returned(moment, Spent { units, ..spent });
        });
    }

    /// Lets nothing pass until then; never opens earlier than it was told before.
    pub fn close(&mut self, slot: SlotId, until: Nanos) {
        let closed = &mut self.slot_mut(slot).closed_until;
        *closed = until.max(*closed);
    }

    /// How far the fullest of these limits is used up, from 0 to 1; none without one.
    pub fn utilization(&mut self, slots: &[SlotId], moment: Moment) -> Option<f64> {
        let gauges = slots.iter().filter_map(|slot| self.gauge(*slot, moment).0);
        gauges.map(Gauge::utilization).reduce(f64::max)
    }

    /// When all of these are open.
    pub fn opens_at(&self, slots: &[SlotId]) -> Nanos {
        let closed = slots.iter().map(|slot| self.slot(*slot).closed_until);
        closed.max().unwrap_or(0)
    }

    /// The meter of a limit.
    pub fn meter(&mut self, slot: SlotId) -> Option<&mut Meter> {
        self.slot_mut(slot).meter.as_mut()
    }

    /// How full a limit is, and until when it is closed, where it is.
    pub fn gauge(&mut self, slot: SlotId, moment: Moment) -> (Option<Gauge>, Option<Nanos>) {
        let slot = self.slot_mut(slot);
        let gauge = slot.meter.as_mut().map(|meter| meter.gauge(moment));
        let closed = slot.closed_until;
        (gauge, (closed > moment.now).then_some(closed))
    }

    /// The provider refused for this limit: see [`Meter::slow_down`]. Limits of the
    /// application are slowed only where the lane has no other: one account's refusal
    /// is not every account's.
    pub fn slow_down(&mut self, lane: LaneId, now: Nanos) {
        let slots = &self.accounts[lane.account as usize].lanes[lane.lane as usize];
        let counts = |id: &&SlotId| {
            let meter = &self.slots[id.0 as usize].meter;
            meter
                .as_ref()
                .is_some_and(|meter| !matches!(meter, Meter::Calendar(_)))
        };
        let is_own = |id: &&SlotId| !self.slots[id.0 as usize].is_shared;
        let mut slowed: Vec<SlotId> = slots
            .iter()
            .filter(counts)
            .filter(is_own)
            .copied()
            .collect();
        if slowed.is_empty() {
            slowed = slots.iter().filter(counts).copied().collect();
        }
        for slot in slowed {
            if let Some(meter) = self.meter(slot) {
                meter.slow_down(now);
            }
        }
    }
}

/// What a look at the limits of a lane showed.
enum Looked {
    Room,
    Never,
    Closed(Nanos),
    Short { until: Option<Nanos>, shared: bool },
}

/// There are never as many as a number can hold: each takes more than a byte.
fn id_of(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 limits fit into memory")
}

#[cfg(test)]
mod tests;
