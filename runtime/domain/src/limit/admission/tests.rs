#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::limit::MS;
use crate::manifest::{CalendarPeriod, Limit, LimitRule, LimitScope};
use proptest::prelude::*;
use std::collections::HashMap;

const SECOND: Nanos = 1000 * MS;
const START: Nanos = 1_790_000_123_456_789_000;

fn meter(rule: LimitRule, capacity: u32, per_ms: u64) -> Meter {
    let limit = Limit {
        buckets: vec!["default".to_owned()],
        scope: LimitScope::Connection,
        rule,
        capacity,
        per_ms,
        remaining_header: None,
        reset_header: None,
    };
    Meter::new(&limit, 1.0, at(START)).unwrap()
}

fn rolling(capacity: u32, per_ms: u64) -> Meter {
    meter(LimitRule::Rolling, capacity, per_ms)
}

fn at(now: Nanos) -> Moment {
    Moment::at(now)
}

/// One account with one lane over these meters.
fn lane(admission: &mut Admission, meters: impl IntoIterator<Item = Meter>) -> LaneId {
    let account = admission.add_account();
    let slots: Vec<_> = meters
        .into_iter()
        .map(|meter| admission.add_limit(meter, false, false))
        .collect();
    admission.lane(account, &slots)
}

fn request(lane: LaneId, class: Class, tenant: u32, units: u64) -> Request {
    Request {
        lane,
        class,
        tenant,
        units,
    }
}

fn spent(units: u64, at: Nanos) -> Spent {
    Spent { units, at }
}

fn live(lane: LaneId, units: u64) -> Request {
    request(lane, Class::Live, 0, units)
}

fn admitted(turns: &[(Ticket, Turn)]) -> Vec<Ticket> {
    let ready = turns.iter().filter(|(_, turn)| *turn == Turn::Admitted);
    ready.map(|(ticket, _)| *ticket).collect()
}

#[test]
fn of_one_tenant_and_class_the_first_that_came_goes_first() {
    let mut admission = Admission::default();
    let lane = lane(&mut admission, [rolling(2, 1000)]);
    let tickets: Vec<_> = (0..5)
        .map(|_| admission.enqueue(live(lane, 1)).unwrap())
        .collect();
    assert_eq!(admitted(&admission.turns(at(START))), tickets[..2]);
    admission.answered(lane, spent(2, START), 2, at(START));
    let later = at(START + 2 * SECOND);
    assert_eq!(admitted(&admission.turns(later)), tickets[2..4]);
}

#[test]
fn a_large_request_is_not_overtaken_where_it_waits() {
    let mut admission = Admission::default();
    let account = admission.add_account();
    let shared = admission.add_limit(rolling(10, 1000), false, false);
    let other = admission.add_limit(rolling(10, 1000), false, false);
    let [both, one, aside] =
        [&[shared, other][..], &[shared], &[other]].map(|slots| admission.lane(account, slots));
    admission.enqueue(live(one, 5)).unwrap();
    admission.turns(at(START));
    let large = admission.enqueue(live(both, 10)).unwrap();
    let small = admission.enqueue(live(one, 1)).unwrap();
    let other = admission.enqueue(live(aside, 1)).unwrap();
    let first = admitted(&admission.turns(at(START)));
    assert_eq!(first, [other], "a full bucket held up another");
    admission.answered(one, spent(5, START), 5, at(START));
    admission.answered(aside, spent(1, START), 1, at(START));
    let later = at(START + 2 * SECOND);
    assert_eq!(admitted(&admission.turns(later)), [large]);
    assert!(admission.leave(small));
    assert!(!admission.leave(large));
}

#[test]
fn contending_classes_share_60_30_10_and_leave_nothing_unused() {
    let mut admission = Admission::default();
    let lane = lane(&mut admission, [rolling(100, 1000)]);
    for class in Class::ALL {
        for _ in 0..200 {
            admission.enqueue(request(lane, class, 0, 1)).unwrap();
        }
    }
    let mut shares = [0; 3];
    for ticket in admitted(&admission.turns(at(START))) {
        shares[ticket.place.class.index()] += 1;
    }
    assert_eq!(shares, [60, 30, 10]);

    let mut alone = Admission::default();
    let lane = self::lane(&mut alone, [rolling(100, 1000)]);
    for _ in 0..200 {
        let history = request(lane, Class::History, 0, 1);
        alone.enqueue(history).unwrap();
    }
    assert_eq!(admitted(&alone.turns(at(START))).len(), 100);
}

#[test]
fn tenants_of_one_account_share_evenly_whatever_their_requests_cost() {
    let mut admission = Admission::default();
    let lane = lane(&mut admission, [rolling(90, 1000)]);
    for _ in 0..60 {
        for (tenant, units) in [(1, 1), (2, 5), (3, 10)] {
            let asked = request(lane, Class::Incremental, tenant, units);
            admission.enqueue(asked).unwrap();
        }
    }
    let mut had: HashMap<u32, u64> = HashMap::new();
    for ticket in admitted(&admission.turns(at(START))) {
        let units = [0, 1, 5, 10][ticket.place.tenant as usize];
        *had.entry(ticket.place.tenant).or_default() += units;
    }
    assert!(
        had.values().all(|units| (25..=35).contains(units)),
        "{had:?}"
    );
}

#[test]
fn who_comes_late_is_owed_nothing_and_waits_for_nobodys_backlog() {
    let mut admission = Admission::default();
    let lane = lane(&mut admission, [rolling(10, 1000)]);
    let mut now = START;
    for _ in 0..500 {
        admission
            .enqueue(request(lane, Class::History, 1, 1))
            .unwrap();
    }
    for _ in 0..10 {
        let count = admitted(&admission.turns(at(now))).len() as u64;
        admission.answered(lane, spent(count, now), count, at(now));
        now += 2 * SECOND;
    }
    let late: Vec<_> = (0..20)
        .map(|_| {
            admission
                .enqueue(request(lane, Class::History, 2, 1))
                .unwrap()
        })
        .collect();
    let turns = admitted(&admission.turns(at(now)));
    let of_late = turns.iter().filter(|ticket| late.contains(ticket)).count();
    assert!((5..=6).contains(&of_late), "{of_late} of {}", turns.len());
}

/// One application over two accounts; what is short decides by whose order it goes.
#[test]
fn an_applications_limit_is_shared_by_class_and_an_accounts_own_by_its_own_work() {
    let mut admission = Admission::default();
    let application = admission.add_limit(rolling(70, 1000), true, false);
    let [first, second] = [0, 1].map(|_| {
        let account = admission.add_account();
        let own = admission.add_limit(rolling(1_000, 1000), false, false);
        admission.lane(account, &[application, own])
    });
    for _ in 0..200 {
        admission
            .enqueue(request(first, Class::History, 1, 1))
            .unwrap();
        admission
            .enqueue(request(first, Class::Live, 1, 1))
            .unwrap();
        admission
            .enqueue(request(second, Class::History, 2, 1))
            .unwrap();
    }
    let mut now = START;
    let mut had: HashMap<(LaneId, usize), u64> = HashMap::new();
    for _ in 0..2 {
        had.clear();
        for ticket in admitted(&admission.turns(at(now))) {
            let place = ticket.place;
            *had.entry((place.lane, place.class.index())).or_default() += 1;
            admission.answered(place.lane, spent(1, now), 1, at(now));
        }
        now += 2 * SECOND;
    }
    assert_eq!(had[&(first, 0)], 60, "{had:?}");
    assert_eq!(had[&(first, 2)], 5, "{had:?}");
    assert_eq!(had[&(second, 2)], 5, "{had:?}");
}

#[test]
fn an_accounts_history_goes_on_while_others_fill_the_application() {
    let mut admission = Admission::default();
    let application = admission.add_limit(rolling(1_000, 1000), true, false);
    let [busy, narrow] = [1_000, 14].map(|capacity| {
        let account = admission.add_account();
        let own = admission.add_limit(rolling(capacity, 1000), false, false);
        admission.lane(account, &[application, own])
    });
    let mut had = [0; 3];
    let mut now = START;
    for _ in 0..20 {
        for _ in 0..50 {
            admission
                .enqueue(request(busy, Class::History, 1, 1))
                .unwrap();
            for class in [Class::Live, Class::History] {
                admission.enqueue(request(narrow, class, 2, 1)).ok();
            }
        }
        for ticket in admitted(&admission.turns(at(now))) {
            if ticket.place.lane == narrow {
                had[ticket.place.class.index()] += 1;
            }
            admission.answered(ticket.place.lane, spent(1, now), 1, at(now));
        }
        now += 2 * SECOND;
    }
    assert_eq!((had[0], had[2]), (240, 40));
}

#[test]
fn nothing_passes_a_closed_gate_before_its_time() {
    let mut admission = Admission::default();
    let account = admission.add_account();
    let gate = admission.add_gate();
    let lane = admission.lane(account, &[gate]);
    admission.close(gate, START + SECOND);
    admission.close(gate, START + MS);
    assert_eq!(admission.admit(live(lane, 1), at(START)), None);
    let ticket = admission.enqueue(live(lane, 1)).unwrap();
    let waits = Turn::Waiting(Some(START + SECOND));
    let before = at(START + SECOND - 1);
    assert_eq!(admission.turns(before), [(ticket, waits)]);
    assert_eq!(admission.opens(ticket), Some(START + SECOND));
    let then = at(START + SECOND);
    assert_eq!(admission.turns(then), [(ticket, Turn::Admitted)]);
}

#[test]
fn a_request_larger_than_a_limit_is_told_so_at_once() {
    let mut admission = Admission::default();
    let lane = lane(&mut admission, [rolling(10, 1000)]);
    let ticket = admission.enqueue(live(lane, 11)).unwrap();
    assert_eq!(admission.turns(at(START)), [(ticket, Turn::Never)]);
    assert!(!admission.leave(ticket));
    assert_eq!(
        admission.admit(live(lane, 11), at(START)),
        Some(Turn::Never)
    );
}

#[test]
fn a_lane_takes_so_many_and_no_more() {
    let mut admission = Admission::default();
    let lane = lane(&mut admission, [meter(LimitRule::Concurrent, 1, 0)]);
    for _ in 0..WAITING_MAX {
        admission.enqueue(live(lane, 1)).unwrap();
    }
    assert_eq!(admission.enqueue(live(lane, 1)), Err(Full));
    let other = request(lane, Class::Live, 1, 1);
    assert!(
        admission.enqueue(other).is_ok(),
        "one tenant filled another's lane"
    );
}

#[test]
fn nobody_passes_those_who_wait() {
    let mut admission = Admission::default();
    let lane = lane(&mut admission, [rolling(10, 1000)]);
    assert_eq!(
        admission.admit(live(lane, 4), at(START)),
        Some(Turn::Admitted)
    );
    let waits = admission.enqueue(live(lane, 8)).unwrap();
    admission.turns(at(START));
    assert_eq!(admission.admit(live(lane, 1), at(START)), None);
    assert!(admission.leave(waits));
    assert_eq!(
        admission.admit(live(lane, 1), at(START)),
        Some(Turn::Admitted)
    );
}

#[test]
fn a_cost_counts_where_costs_are_counted_and_as_one_elsewhere() {
    let mut admission = Admission::default();
    let account = admission.add_account();
    let requests = admission.add_limit(rolling(3, 1000), false, true);
    let points = admission.add_limit(rolling(100, 1000), false, false);
    let lane = admission.lane(account, &[requests, points]);
    assert_eq!(
        admission.admit(live(lane, 40), at(START)),
        Some(Turn::Admitted)
    );
    assert_eq!(
        admission.admit(live(lane, 40), at(START)),
        Some(Turn::Admitted)
    );
    assert_eq!(admission.admit(live(lane, 40), at(START)), None);
    admission.answered(lane, spent(40, START), 10, at(START));
    assert_eq!(
        admission.admit(live(lane, 40), at(START)),
        Some(Turn::Admitted)
    );
    assert_eq!(
        admission.admit(live(lane, 1), at(START)),
        None,
        "three requests went"
    );
}

#[test]
fn what_is_kept_for_live_work_is_not_held_up_by_other_work() {
    let mut admission = Admission::default();
    let rule = LimitRule::Calendar {
        period: CalendarPeriod::Day,
        zone: None,
    };
    let lane = lane(&mut admission, [meter(rule, 10, 0)]);
    for _ in 0..9 {
        admission
            .enqueue(request(lane, Class::History, 1, 1))
            .unwrap();
    }
    assert_eq!(admitted(&admission.turns(at(START))).len(), 8);
    for _ in 0..3 {
        admission.enqueue(live(lane, 1)).unwrap();
    }
    assert_eq!(admitted(&admission.turns(at(START))).len(), 2);
}

#[test]
fn a_refusal_of_one_account_slows_not_every_account() {
    let mut admission = Admission::default();
    let application = admission.add_limit(rolling(10, 1000), true, false);
    let [slowed, other] = [0, 1].map(|_| {
        let account = admission.add_account();
        let own = admission.add_limit(rolling(8, 1000), false, false);
        admission.lane(account, &[application, own])
    });
    admission.slow_down(slowed, START);
    let went = |admission: &mut Admission, lane| {
        let tries = (0..20).filter(|_| admission.admit(live(lane, 1), at(START)).is_some());
        tries.count()
    };
    assert_eq!(went(&mut admission, slowed), 4);
    assert_eq!(went(&mut admission, other), 6);
}

#[test]
fn a_removed_accounts_place_is_used_again_and_starts_anew() {
    let mut admission = Admission::default();
    let mut places = HashSet::new();
    for _ in 0..100 {
        let account = admission.add_account();
        let slot = admission.add_limit(rolling(1, 1000), false, false);
        let lane = admission.lane(account, &[slot]);
        assert_eq!(
            admission.admit(live(lane, 1), at(START)),
            Some(Turn::Admitted)
        );
        assert!(!admission.is_recovered(slot, at(START)));
        admission.remove(account, &[slot]);
        places.insert((account, slot));
    }
    assert_eq!(places.len(), 1);
}

proptest! {
    #[test]
    fn a_request_spends_in_all_of_its_limits_or_in_none(
        requests in prop::collection::vec((0_usize..3, 0_u32..3, 1_u64..6, 0_u64..800), 1..60),
    ) {
        let mut admission = Admission::default();
        let account = admission.add_account();
        let narrow = admission.add_limit(rolling(7, 1000), false, false);
        let wide = admission.add_limit(rolling(20, 3000), false, false);
        let lane = admission.lane(account, &[narrow, wide]);
        let mut now = START;
        let mut sent: Vec<(Nanos, u64)> = Vec::new();
        let mut units_of = HashMap::new();
        for (class, tenant, units, pause_ms) in requests {
            now += pause_ms * MS;
            let asked = request(lane, Class::ALL[class], tenant, units);
            units_of.insert(admission.enqueue(asked).unwrap(), units);
            for ticket in admitted(&admission.turns(at(now))) {
                let units = units_of[&ticket];
                admission.answered(lane, spent(units, now), units, at(now));
                sent.push((now, units));
            }
            let (gauge, _) = admission.gauge(narrow, at(now));
            prop_assert!(gauge.unwrap().used <= 7);
        }
        for (per, capacity) in [(SECOND, 7), (3 * SECOND, 20)] {
            for &(begin, _) in &sent {
                let inside = sent.iter().filter(|(at, _)| (begin..begin + per).contains(at));
                prop_assert!(inside.map(|(_, units)| units).sum::<u64>() <= capacity);
            }
        }
    }

    #[test]
    fn nobody_with_demand_has_less_than_half_of_an_even_share_of_its_class(
        costs in prop::collection::vec(1_u64..8, 2..6),
        capacity in 40_u32..80,
    ) {
        let mut admission = Admission::default();
        let lane = lane(&mut admission, [rolling(capacity, 1000)]);
        let mut had = vec![0_u64; costs.len()];
        let mut now = START;
        for _ in 0..20 {
            for (tenant, units) in costs.iter().enumerate() {
                for _ in 0..capacity {
                    let asked = request(lane, Class::Incremental, tenant as u32, *units);
                    admission.enqueue(asked).ok();
                }
            }
            for ticket in admitted(&admission.turns(at(now))) {
                let tenant = ticket.place.tenant as usize;
                had[tenant] += costs[tenant];
                admission.answered(lane, spent(costs[tenant], now), costs[tenant], at(now));
            }
            now += 2 * SECOND;
        }
        let even = 20 * u64::from(capacity) / costs.len() as u64;
        prop_assert!(had.iter().all(|units| *units * 2 >= even), "{had:?} of {even}");
    }
}
