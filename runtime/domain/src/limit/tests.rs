#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::manifest::{CalendarPeriod, LimitScope};
use proptest::prelude::*;

const SECOND: Nanos = 1000 * MS;
/// Some moment in 2026, not aligned to anything.
const START: Nanos = 1_790_000_123_456_789_000;

fn limit(rule: LimitRule, capacity: u32, per_ms: u64) -> Limit {
    Limit {
        buckets: vec!["default".to_owned()],
        scope: LimitScope::Connection,
        rule,
        capacity,
        per_ms,
        remaining_header: None,
        reset_header: None,
    }
}

fn meter(rule: LimitRule, capacity: u32, per_ms: u64) -> Meter {
    Meter::new(&limit(rule, capacity, per_ms), 1.0, START).unwrap()
}

fn midnight() -> LimitRule {
    LimitRule::Calendar {
        period: CalendarPeriod::Day,
        zone: None,
    }
}

/// Sends greedily, one unit at a time, each answered after its latency, and returns
/// when each was counted by the provider: somewhere between sending and answer.
fn greedy(meter: &mut Meter, latencies: &[(u64, u64)], span: Nanos) -> Vec<Nanos> {
    let mut now = START;
    let mut in_flight: Vec<Nanos> = Vec::new();
    let mut counted = Vec::new();
    let mut turn = latencies.iter().cycle();
    while now < START + span {
        in_flight.sort_unstable_by(|left, right| right.cmp(left));
        while in_flight.last().is_some_and(|&answer| answer <= now) {
            let answer = in_flight.pop().unwrap();
            meter.answered(answer, 1);
        }
        match meter.check(now, 1) {
            Ok(()) => {
                meter.commit(now, 1);
                let &(arrival, rest) = turn.next().unwrap();
                counted.push(now + arrival);
                in_flight.push(now + arrival + rest);
                in_flight.sort_unstable_by(|left, right| right.cmp(left));
            }
            Err(Wait::Until(at)) => {
                assert!(at > now, "waiting for the past");
                now = in_flight
                    .last()
                    .map_or(at, |&answer| at.min(answer))
                    .max(now + 1);
            }
            Err(Wait::Answer) => now = (*in_flight.last().unwrap()).max(now + 1),
            Err(Wait::Never) => panic!("one unit must fit"),
        }
    }
    counted.sort_unstable();
    counted
}

fn most_in_any_window(counted: &[Nanos], per: Nanos) -> usize {
    let windows = counted.iter().enumerate().map(|(first, &begin)| {
        counted[first..]
            .iter()
            .take_while(|&&at| at < begin + per)
            .count()
    });
    windows.max().unwrap_or(0)
}

fn latencies() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..900 * MS, 0..900 * MS), 1..40)
}

proptest! {
    #[test]
    fn no_window_of_the_provider_holds_more_than_the_capacity(
        latencies in latencies(),
        capacity in 1_u32..40,
        per_ms in 1_u64..3000,
    ) {
        let mut window = meter(LimitRule::Rolling, capacity, per_ms);
        let counted = greedy(&mut window, &latencies, 10 * SECOND);
        prop_assert!(most_in_any_window(&counted, per_ms * MS) <= capacity as usize);
    }

    #[test]
    fn fixed_slices_of_any_alignment_hold_at_most_the_capacity(
        latencies in latencies(),
        capacity in 1_u32..40,
        offset in 0..SECOND,
    ) {
        let mut fixed = meter(LimitRule::Fixed, capacity, 1000);
        let counted = greedy(&mut fixed, &latencies, 10 * SECOND);
        let mut slices = std::collections::HashMap::new();
        for at in counted {
            *slices.entry((at + offset) / SECOND).or_insert(0_u32) += 1;
        }
        prop_assert!(slices.values().all(|&held| held <= capacity));
    }

    #[test]
    fn pace_never_refills_past_its_burst(
        capacity in 1_u32..100,
        burst in 1_u32..20,
        idle_ms in 0_u64..100_000,
        span_ms in 0_u64..5000,
    ) {
        let mut pace = meter(LimitRule::Paced(burst), capacity, 1000);
        let begin = START + idle_ms * MS;
        let mut now = begin;
        let mut admitted = 0_u64;
        while now <= begin + span_ms * MS {
            match pace.check(now, 1) {
                Ok(()) => { pace.commit(now, 1); admitted += 1; }
                Err(Wait::Until(at)) => now = at,
                Err(other) => panic!("{other:?}"),
            }
        }
        let refilled = u64::from(capacity) * span_ms / 1000 + 1;
        prop_assert!(admitted <= u64::from(burst) + refilled);
    }

    #[test]
    fn what_is_waited_for_is_the_first_time_that_works(
        spent in prop::collection::vec((0_u64..5000, 1_u64..4), 0..30),
        units in 1_u64..10,
    ) {
        let mut window = meter(LimitRule::Rolling, 10, 2000);
        let mut now = START;
        for (pause_ms, units) in spent {
            now += pause_ms * MS;
            if window.check(now, units).is_ok() {
                window.commit(now, units);
                window.answered(now, units);
            }
        }
        if let Err(Wait::Until(at)) = window.check(now, units) {
            prop_assert!(window.clone().check(at - 1, units).is_err());
            prop_assert!(window.check(at, units).is_ok());
        }
    }

    #[test]
    fn a_request_spends_in_all_of_its_limits_or_in_none(
        requests in prop::collection::vec((0_usize..3, 1_u64..6, 0_u64..800), 1..60),
    ) {
        let mut admission = Admission::default();
        let narrow = admission.add(Some(meter(LimitRule::Rolling, 7, 1000)));
        let wide = admission.add(Some(meter(LimitRule::Rolling, 20, 3000)));
        let mut now = START;
        let mut sent: Vec<(Nanos, u64)> = Vec::new();
        let mut units_of = std::collections::HashMap::new();
        for (class, units, pause_ms) in requests {
            now += pause_ms * MS;
            let ticket = admission.enqueue(class, [narrow, wide].into(), units);
            units_of.insert(ticket, units);
            for (ticket, turn) in admission.turns(now) {
                if turn == Turn::Admitted {
                    admission.answered(&[narrow, wide], units_of[&ticket], now);
                    sent.push((now, units_of[&ticket]));
                }
            }
        }
        for (per, capacity) in [(SECOND, 7), (3 * SECOND, 20)] {
            for &(begin, _) in &sent {
                let inside = sent.iter().filter(|(at, _)| (begin..begin + per).contains(at));
                prop_assert!(inside.map(|(_, units)| units).sum::<u64>() <= capacity);
            }
        }
    }
}

#[test]
fn a_window_with_demand_is_used_to_95_percent() {
    let latencies = [(20 * MS, 30 * MS), (80 * MS, 150 * MS)];
    let mut window = meter(LimitRule::Rolling, 100, 10_000);
    let counted = greedy(&mut window, &latencies, 200 * SECOND);
    assert!(counted.len() >= 1900, "only {} of 2000", counted.len());
}

#[test]
fn a_pace_with_demand_is_used_to_95_percent() {
    let mut pace = meter(LimitRule::Paced(1), 10, 1000);
    let counted = greedy(&mut pace, &[(0, 30 * MS)], 100 * SECOND);
    assert!((950..=1001).contains(&counted.len()), "{}", counted.len());
}

#[test]
fn a_pace_starts_empty_so_that_restarts_do_not_add_bursts() {
    let mut pace = meter(LimitRule::Paced(5), 10, 1000);
    assert_eq!(pace.check(START, 1), Err(Wait::Until(START + 100 * MS)));
    assert_eq!(pace.check(START + 500 * MS, 5), Ok(()));
    assert_eq!(pace.check(START + SECOND, 6), Err(Wait::Never));
}

#[test]
fn a_unit_in_flight_occupies_its_window_until_the_answer_left_it() {
    let mut window = meter(LimitRule::Rolling, 1, 1000);
    window.commit(START, 1);
    assert_eq!(window.check(START + 90 * SECOND, 1), Err(Wait::Answer));
    window.answered(START + 90 * SECOND, 1);
    assert!(window.check(START + 91 * SECOND - MS, 1).is_err());
    assert_eq!(window.check(START + 91 * SECOND + MS, 1), Ok(()));
}

#[test]
fn what_was_not_sent_can_be_spent_again() {
    for rule in [
        LimitRule::Rolling,
        LimitRule::Paced(1),
        LimitRule::Concurrent,
        midnight(),
    ] {
        let mut meter = meter(rule.clone(), 1, 1000);
        let now = START + SECOND;
        assert_eq!(meter.check(now, 1), Ok(()), "{rule:?}");
        meter.commit(now, 1);
        assert!(meter.check(now, 1).is_err(), "{rule:?}");
        meter.returned(1);
        assert_eq!(meter.check(now, 1), Ok(()), "{rule:?}");
    }
}

#[test]
fn headers_only_lower_what_is_left() {
    let now = START + 10 * SECOND;
    for rule in [LimitRule::Rolling, LimitRule::Paced(10), midnight()] {
        let mut meter = meter(rule.clone(), 10, 1000);
        meter.learn(now, 4);
        meter.learn(now, 900);
        assert!(meter.check(now, 5).is_err(), "{rule:?}");
        assert_eq!(meter.check(now, 4), Ok(()), "{rule:?}");
    }
}

#[test]
fn units_of_an_earlier_process_stay_spent() {
    let mut window = meter(LimitRule::Rolling, 10, 60_000);
    window.restore(START - 50 * SECOND, 6);
    window.restore(START - 10 * SECOND, 4);
    let Err(Wait::Until(at)) = window.check(START, 6) else {
        panic!("the window is full")
    };
    assert!((START + 10 * SECOND..START + 11 * SECOND).contains(&at));

    let mut day = meter(midnight(), 10, 0);
    day.restore(START - 400 * 24 * 3600 * SECOND, 9);
    day.restore(START, 9);
    assert_eq!(day.check(START, 1), Ok(()));
    assert!(day.check(START, 2).is_err());
}

#[test]
fn a_day_is_whole_again_at_midnight_but_for_what_is_in_flight() {
    let mut day = meter(midnight(), 3, 0);
    for _ in 0..3 {
        day.commit(START, 1);
    }
    day.answered(START, 1);
    let Err(Wait::Until(end)) = day.check(START, 1) else {
        panic!("the day is spent")
    };
    assert_eq!(end % (24 * 3600 * SECOND), 0);
    assert_eq!(day.check(end, 1), Ok(()));
    assert!(day.check(end, 2).is_err());
}

#[test]
fn requests_in_flight_are_capped_until_their_last_byte() {
    let mut concurrent = meter(LimitRule::Concurrent, 2, 0);
    concurrent.commit(START, 1);
    concurrent.commit(START, 50);
    concurrent.answered(START, 1);
    assert_eq!(concurrent.check(START, 1), Err(Wait::Answer));
    concurrent.finished();
    assert_eq!(concurrent.check(START, 1), Ok(()));
}

#[test]
fn limits_that_cannot_be_counted_are_refused() {
    let zoned = LimitRule::Calendar {
        period: CalendarPeriod::Month,
        zone: Some("Europe/Berlin".to_owned()),
    };
    for (rule, capacity, per_ms) in [
        (zoned, 10, 0),
        (LimitRule::Rolling, 0, 1000),
        (LimitRule::Rolling, 10, 0),
        (LimitRule::Paced(0), 10, 1000),
    ] {
        let limit = limit(rule, capacity, per_ms);
        assert!(Meter::new(&limit, 1.0, START).is_err(), "{limit:?}");
    }
}

#[test]
fn scaling_keeps_at_least_one_unit_and_never_overflows() {
    let limit = limit(LimitRule::Rolling, 100, 1000);
    let mut tenfold = Meter::new(&limit, 10.0, START).unwrap();
    assert_eq!(tenfold.check(START, 1000), Ok(()));
    assert_eq!(tenfold.check(START, 1001), Err(Wait::Never));
    let mut tiny = Meter::new(&limit, 1e-9, START).unwrap();
    assert_eq!(tiny.check(START, 1), Ok(()));
    let mut huge = Meter::new(&limit, f64::MAX, START).unwrap();
    assert_eq!(huge.check(START, u64::from(u32::MAX)), Ok(()));
}

fn admitted(turns: &[(Ticket, Turn)]) -> Vec<Ticket> {
    let ready = turns.iter().filter(|(_, turn)| *turn == Turn::Admitted);
    ready.map(|(ticket, _)| *ticket).collect()
}

#[test]
fn within_a_class_the_first_that_came_goes_first() {
    let mut admission = Admission::default();
    let slot = admission.add(Some(meter(LimitRule::Rolling, 2, 1000)));
    let tickets: Vec<_> = (0..5)
        .map(|_| admission.enqueue(1, [slot].into(), 1))
        .collect();
    assert_eq!(admitted(&admission.turns(START)), tickets[..2]);
    admission.answered(&[slot], 2, START);
    assert_eq!(
        admitted(&admission.turns(START + 2 * SECOND)),
        tickets[2..4]
    );
}

#[test]
fn a_large_request_is_not_overtaken_where_it_waits() {
    let mut admission = Admission::default();
    let shared = admission.add(Some(meter(LimitRule::Rolling, 10, 1000)));
    let other = admission.add(Some(meter(LimitRule::Rolling, 10, 1000)));
    admission.enqueue(1, [shared].into(), 5);
    admission.turns(START);
    let large = admission.enqueue(1, [shared, other].into(), 10);
    let small = admission.enqueue(1, [shared].into(), 1);
    let aside = admission.enqueue(1, [other].into(), 1);
    assert_eq!(
        admitted(&admission.turns(START)),
        [aside],
        "a full bucket held up another"
    );
    admission.answered(&[shared], 5, START);
    admission.answered(&[other], 1, START);
    let later = START + 2 * SECOND;
    assert_eq!(admitted(&admission.turns(later)), [large]);
    assert!(admission.leave(small));
    assert!(!admission.leave(large));
}

#[test]
fn contending_classes_share_60_30_10_and_leave_nothing_unused() {
    let mut admission = Admission::default();
    let slot = admission.add(Some(meter(LimitRule::Rolling, 100, 1000)));
    let mut classes = std::collections::HashMap::new();
    for class in 0..3 {
        for _ in 0..200 {
            classes.insert(admission.enqueue(class, [slot].into(), 1), class);
        }
    }
    let mut shares = [0; 3];
    for ticket in admitted(&admission.turns(START)) {
        shares[classes[&ticket]] += 1;
    }
    assert_eq!(shares, [60, 30, 10]);

    let mut alone = Admission::default();
    let slot = alone.add(Some(meter(LimitRule::Rolling, 100, 1000)));
    for _ in 0..200 {
        alone.enqueue(2, [slot].into(), 1);
    }
    assert_eq!(admitted(&alone.turns(START)).len(), 100);
}

#[test]
fn nothing_passes_a_closed_gate_before_its_time() {
    let mut admission = Admission::default();
    let gate = admission.add(None);
    admission.close(gate, START + SECOND);
    admission.close(gate, START + MS);
    let ticket = admission.enqueue(0, [gate].into(), 1);
    let waits = Turn::Waiting(Some(START + SECOND));
    assert_eq!(admission.turns(START + SECOND - 1), [(ticket, waits)]);
    assert_eq!(admission.turns(START + SECOND), [(ticket, Turn::Admitted)]);
}

#[test]
fn a_request_larger_than_a_limit_is_told_so_at_once() {
    let mut admission = Admission::default();
    let slot = admission.add(Some(meter(LimitRule::Rolling, 10, 1000)));
    let ticket = admission.enqueue(0, [slot].into(), 11);
    assert_eq!(admission.turns(START), [(ticket, Turn::Never)]);
    assert!(!admission.leave(ticket));
}

#[test]
fn a_limit_s_utilization_is_what_is_spent_of_it() {
    for rule in [
        LimitRule::Paced(8),
        LimitRule::Rolling,
        midnight(),
        LimitRule::Concurrent,
    ] {
        let mut meter = meter(rule, 8, 1_000);
        // A pace starts empty.
        let now = START + 10 * SECOND;
        assert_eq!(meter.utilization(now), 0.0, "{meter:?}");
        for _ in 0..2 {
            meter.check(now, 1).unwrap();
            meter.commit(now, 1);
        }
        assert_eq!(meter.utilization(now), 0.25, "{meter:?}");
    }
}
