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

fn at(now: Nanos) -> Moment {
    Moment::at(now)
}

fn meter(rule: LimitRule, capacity: u32, per_ms: u64) -> Meter {
    Meter::new(&limit(rule, capacity, per_ms), 1.0, at(START)).unwrap()
}

/// Live work, which no reserve holds back.
fn check(meter: &mut Meter, now: Nanos, units: u64) -> Result<(), Wait> {
    meter.check(at(now), units, Class::Live)
}

fn spent(units: u64, at: Nanos) -> Spent {
    Spent { units, at }
}

fn one(at: Nanos) -> Spent {
    spent(1, at)
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
            meter.answered(at(answer), one(answer), 1);
        }
        match check(meter, now, 1) {
            Ok(()) => {
                meter.commit(at(now), 1);
                let &(arrival, rest) = turn.next().unwrap();
                counted.push(now + arrival);
                in_flight.push(now + arrival + rest);
                in_flight.sort_unstable_by(|left, right| right.cmp(left));
            }
            Err(Wait::Until(opens)) => {
                assert!(opens > now, "waiting for the past");
                now = in_flight
                    .last()
                    .map_or(opens, |&answer| opens.min(answer))
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
            match check(&mut pace, now, 1) {
                Ok(()) => { pace.commit(at(now), 1); admitted += 1; }
                Err(Wait::Until(opens)) => now = opens,
                Err(other) => panic!("{other:?}"),
            }
        }
        let refilled = u64::from(capacity) * span_ms / 1000 + 1;
        prop_assert!(admitted <= u64::from(burst) + refilled);
    }

    /// The provider's bucket drains at the pace, and is charged what a request took, when
    /// it took it; it never holds more than the burst.
    #[test]
    fn a_cost_that_is_settled_late_never_overfills_the_providers_bucket(
        steps in prop::collection::vec((0..400_u64, 1..=20_u64, 0..=20_u64, 0..4_000_u64), 1..120)
    ) {
        const BURST: u64 = 20;
        let interval = SECOND / 20;
        let mut pace = meter(LimitRule::Paced(20), 20, 1000);
        let mut now = START + 10 * SECOND;
        let (mut level, mut drained_at) = (0_u64, now);
        let mut open: Vec<(Nanos, Spent, u64)> = Vec::new();
        for (pause_ms, reserved, share, latency_ms) in steps {
            now += pause_ms * MS;
            open.sort_unstable_by_key(|(answer, _, _)| *answer);
            while open.first().is_some_and(|(answer, _, _)| *answer <= now) {
                let (answer, spent, actual) = open.remove(0);
                pace.answered(at(answer), spent, actual);
            }
            if check(&mut pace, now, reserved).is_ok() {
                pace.commit(at(now), reserved);
                let actual = reserved * share / 20;
                level = level.saturating_sub(now - drained_at) + actual * interval;
                drained_at = now;
                prop_assert!(level <= BURST * interval, "{} of {BURST}", level / interval);
                open.push((now + latency_ms * MS, spent(reserved, now), actual));
            }
        }
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
            if check(&mut window, now, units).is_ok() {
                window.commit(at(now), units);
                window.answered(at(now), Spent { units, at: now }, units);
            }
        }
        if let Err(Wait::Until(opens)) = check(&mut window, now, units) {
            prop_assert!(check(&mut window.clone(), opens - 1, units).is_err());
            prop_assert!(check(&mut window, opens, units).is_ok());
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
    assert_eq!(
        check(&mut pace, START, 1),
        Err(Wait::Until(START + 100 * MS))
    );
    assert_eq!(check(&mut pace, START + 500 * MS, 5), Ok(()));
    assert_eq!(check(&mut pace, START + SECOND, 6), Err(Wait::Never));
}

#[test]
fn a_unit_in_flight_occupies_its_window_until_the_answer_left_it() {
    let mut window = meter(LimitRule::Rolling, 1, 1000);
    window.commit(at(START), 1);
    assert_eq!(
        check(&mut window, START + 90 * SECOND, 1),
        Err(Wait::Answer)
    );
    window.answered(at(START + 90 * SECOND), one(START), 1);
    assert!(check(&mut window, START + 91 * SECOND - MS, 1).is_err());
    assert_eq!(check(&mut window, START + 91 * SECOND + MS, 1), Ok(()));
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
        assert_eq!(check(&mut meter, now, 1), Ok(()), "{rule:?}");
        meter.commit(at(now), 1);
        assert!(check(&mut meter, now, 1).is_err(), "{rule:?}");
        meter.returned(at(now), one(now));
        assert_eq!(check(&mut meter, now, 1), Ok(()), "{rule:?}");
    }
}

#[test]
fn headers_only_lower_what_is_left() {
    let now = START + 10 * SECOND;
    for rule in [LimitRule::Rolling, LimitRule::Paced(10), midnight()] {
        let mut meter = meter(rule.clone(), 10, 1000);
        meter.learn(at(now), 4);
        meter.learn(at(now), 900);
        assert!(check(&mut meter, now, 5).is_err(), "{rule:?}");
        assert_eq!(check(&mut meter, now, 4), Ok(()), "{rule:?}");
    }
}

#[test]
fn units_of_an_earlier_process_stay_spent() {
    let mut window = meter(LimitRule::Rolling, 10, 60_000);
    window.restore(START - 50 * SECOND, 6);
    window.restore(START - 10 * SECOND, 4);
    let Err(Wait::Until(opens)) = check(&mut window, START, 6) else {
        panic!("the window is full")
    };
    assert!((START + 10 * SECOND..START + 11 * SECOND).contains(&opens));

    let mut day = meter(midnight(), 10, 0);
    day.restore(START - 400 * 24 * 3600 * SECOND, 9);
    day.restore(START, 9);
    assert_eq!(check(&mut day, START, 1), Ok(()));
    assert!(check(&mut day, START, 2).is_err());
}

#[test]
fn a_day_is_whole_again_at_midnight_but_for_what_is_in_flight() {
    let mut day = meter(midnight(), 3, 0);
    for _ in 0..3 {
        day.commit(at(START), 1);
    }
    day.answered(at(START), one(START), 1);
    let Err(Wait::Until(end)) = check(&mut day, START, 1) else {
        panic!("the day is spent")
    };
    assert_eq!(end % (24 * 3600 * SECOND), 0);
    assert_eq!(check(&mut day, end, 1), Ok(()));
    assert!(check(&mut day, end, 2).is_err());
}

#[test]
fn requests_in_flight_are_capped_until_their_last_byte() {
    let mut concurrent = meter(LimitRule::Concurrent, 2, 0);
    concurrent.commit(at(START), 1);
    concurrent.commit(at(START), 50);
    concurrent.answered(at(START), one(START), 1);
    assert_eq!(check(&mut concurrent, START, 1), Err(Wait::Answer));
    concurrent.finished();
    assert_eq!(check(&mut concurrent, START, 1), Ok(()));
}

#[test]
fn what_nobody_waits_for_any_more_is_in_flight_as_long_as_the_provider_may_work_on_it() {
    let mut concurrent = meter(LimitRule::Concurrent, 5, 0);
    // Of a process that died.
    concurrent.restore(START + 60 * SECOND, 3);
    for _ in 0..2 {
        assert_eq!(check(&mut concurrent, START, 1), Ok(()));
        concurrent.commit(at(START), 1);
    }
    assert_eq!(check(&mut concurrent, START, 1), Err(Wait::Answer));
    concurrent.abandoned(START + 20 * SECOND);
    concurrent.abandoned(START + 20 * SECOND);
    let opens = START + 20 * SECOND;
    assert_eq!(check(&mut concurrent, START, 1), Err(Wait::Until(opens)));
    assert_eq!(concurrent.gauge(at(START)).remaining(), 0);
    assert_eq!(concurrent.gauge(at(opens)).remaining(), 2);
    assert_eq!(check(&mut concurrent, opens, 1), Ok(()));
    assert!(!concurrent.is_recovered(at(opens)));
    assert!(concurrent.is_recovered(at(START + 60 * SECOND)));
}

#[test]
fn what_a_dead_process_may_have_sent_around_midnight_counts_on_both_sides() {
    let mut day = meter(midnight(), 10, 0);
    let Meter::Calendar(calendar) = &day else {
        panic!("a day is a calendar's")
    };
    let end = calendar.end();
    day.restore(end - SECOND, 2);
    day.restore(end + SECOND, 3);
    assert_eq!(check(&mut day, end - MS, 5), Ok(()));
    assert!(check(&mut day, end - MS, 6).is_err());
    assert_eq!(check(&mut day, end, 7), Ok(()));
    assert!(check(&mut day, end, 8).is_err());
    // And then no more.
    assert_eq!(check(&mut day, end + 24 * 3600 * SECOND, 10), Ok(()));
}

#[test]
fn limits_that_cannot_be_counted_are_refused() {
    let zoned = LimitRule::Calendar {
        period: CalendarPeriod::Month,
        zone: Some("Europe/Atlantis".to_owned()),
    };
    for (rule, capacity, per_ms) in [
        (zoned, 10, 0),
        (LimitRule::Rolling, 0, 1000),
        (LimitRule::Rolling, 10, 0),
        (LimitRule::Paced(0), 10, 1000),
    ] {
        let limit = limit(rule, capacity, per_ms);
        assert!(Meter::new(&limit, 1.0, at(START)).is_err(), "{limit:?}");
    }
}

#[test]
fn scaling_keeps_at_least_one_unit_and_never_overflows() {
    let limit = limit(LimitRule::Rolling, 100, 1000);
    let mut tenfold = Meter::new(&limit, 10.0, at(START)).unwrap();
    assert_eq!(check(&mut tenfold, START, 1000), Ok(()));
    assert_eq!(check(&mut tenfold, START, 1001), Err(Wait::Never));
    let mut tiny = Meter::new(&limit, 1e-9, at(START)).unwrap();
    assert_eq!(check(&mut tiny, START, 1), Ok(()));
    let mut huge = Meter::new(&limit, f64::MAX, at(START)).unwrap();
    assert_eq!(check(&mut huge, START, u64::from(u32::MAX)), Ok(()));
}

#[test]
fn other_work_leaves_live_work_a_fifth_until_the_last_tenth_of_the_day() {
    const DAY: Nanos = 24 * 3600 * SECOND;
    let mut day = meter(midnight(), 100, 0);
    let begin = START / DAY * DAY;
    day.commit(at(begin), 80);
    day.answered(at(begin), spent(80, begin), 80);
    assert_eq!(check(&mut day, begin, 20), Ok(()));
    let history = |day: &mut Meter, now, units| day.check(at(now), units, Class::History);
    let Err(Wait::Until(opens)) = history(&mut day, begin, 10) else {
        panic!("the reserve was spent")
    };
    assert_eq!((opens - begin) / (DAY / 100), 95);
    assert!(history(&mut day, opens - SECOND, 10).is_err());
    assert_eq!(history(&mut day, opens, 10), Ok(()));
    assert_eq!(history(&mut day, begin + DAY - SECOND, 19), Ok(()));
}

#[test]
fn a_month_is_paced_but_for_live_work() {
    const DAY: Nanos = 24 * 3600 * SECOND;
    let rule = LimitRule::Calendar {
        period: CalendarPeriod::Month,
        zone: None,
    };
    let mut month = meter(rule, 30_000, 0);
    let Err(Wait::Until(end)) = check(&mut month, START, 30_000).and_then(|()| {
        month.commit(at(START), 30_000);
        let full = check(&mut month, START, 1);
        month.answered(at(START), spent(30_000, START), 0);
        full
    }) else {
        panic!("the month was not spent")
    };
    let begin = end - 30 * DAY; // September 2026
    let mut spent = [0_u64; 30];
    for (day, spent) in spent.iter_mut().enumerate() {
        for hour in 0..24 {
            let now = begin + day as u64 * DAY + hour * DAY / 24;
            while month.check(at(now), 10, Class::Incremental).is_ok() {
                month.commit(at(now), 10);
                month.answered(at(now), Spent { units: 10, at: now }, 10);
                *spent += 10;
            }
        }
    }
    let total: u64 = spent.iter().sum();
    assert!((29_900..=30_000).contains(&total), "{total}");
    assert!(
        spent[1..26].iter().all(|one| (780..=820).contains(one)),
        "{spent:?}"
    );
    assert!(
        spent[0] <= 1_600 && spent[26..].iter().all(|one| *one <= 3_000),
        "{spent:?}"
    );
}

#[test]
fn a_clock_that_is_set_forward_opens_no_budget_early() {
    let mut day = meter(midnight(), 1, 0);
    day.commit(at(START), 1);
    day.answered(at(START), one(START), 1);
    let Err(Wait::Until(end)) = check(&mut day, START, 1) else {
        panic!("the day is spent")
    };
    // The system's clock is an hour behind the one that never goes back.
    let hour = 3600 * SECOND;
    let behind = |now| Moment { now, behind: hour };
    assert_eq!(
        day.check(behind(end), 1, Class::Live),
        Err(Wait::Until(end + hour))
    );
    assert_eq!(day.check(behind(end + hour), 1, Class::Live), Ok(()));
}

#[test]
fn a_cost_is_settled_by_what_the_provider_took() {
    let now = START + 10 * SECOND;
    for rule in [LimitRule::Rolling, LimitRule::Paced(10), midnight()] {
        for (actual, left) in [(2, 8), (7, 3)] {
            let mut meter = meter(rule.clone(), 10, 1000);
            meter.commit(at(now), 5);
            assert!(check(&mut meter, now, 6).is_err(), "{rule:?}");
            meter.answered(at(now), spent(5, now), actual);
            assert_eq!(check(&mut meter, now, left), Ok(()), "{rule:?}");
            assert!(check(&mut meter, now, left + 1).is_err(), "{rule:?}");
        }
    }
}

#[test]
fn a_refusal_halves_the_speed_and_twenty_minutes_bring_it_back() {
    let minute = 60 * SECOND;
    let mut window = meter(LimitRule::Rolling, 100, 1000);
    window.slow_down(START);
    window.slow_down(START);
    window.commit(at(START), 25);
    assert!(check(&mut window, START, 1).is_err());
    window.answered(at(START), spent(25, START), 25);
    let later = START + 5 * minute;
    assert_eq!(check(&mut window, later, 1), Ok(()));
    window.commit(at(later), 50);
    assert!(check(&mut window, later, 1).is_err());
    window.answered(at(later), spent(50, START), 0);
    assert!(!window.is_recovered(at(later)));
    assert!(window.is_recovered(at(START + 15 * minute)));

    let mut pace = meter(LimitRule::Paced(1), 10, 1000);
    pace.slow_down(START);
    let counted = greedy(&mut pace, &[(0, MS)], 10 * SECOND);
    assert!((48..=53).contains(&counted.len()), "{}", counted.len());

    let mut large = meter(LimitRule::Rolling, 100, 1000);
    for _ in 0..9 {
        large.slow_down(START);
    }
    assert_eq!(
        check(&mut large, START, 100),
        Ok(()),
        "a large request never passes"
    );
}

#[test]
fn what_others_spent_is_what_the_provider_last_said() {
    let minute = 60 * SECOND;
    let mut day = meter(LimitRule::Rolling, 1_000, 24 * 3600 * 1000);
    day.commit(at(START), 100);
    day.answered(at(START), spent(100, START), 100);
    day.learn(at(START), 300);
    assert!(check(&mut day, START, 301).is_err());
    // The provider's figures go up and down within a minute.
    day.learn(at(START + SECOND), 320);
    assert!(check(&mut day, START + SECOND, 301).is_err());
    for minutes in 2..5 {
        day.learn(at(START + minutes * minute), 800);
    }
    let now = START + 5 * minute;
    assert_eq!(check(&mut day, now, 800), Ok(()));
    assert!(check(&mut day, now, 801).is_err());
    // Headers never raise what our own count leaves.
    day.learn(at(now + minute), 1_000_000);
    assert!(check(&mut day, now + minute, 901).is_err());
}

#[test]
fn a_window_of_a_day_takes_a_bounded_list() {
    let hours = |hours: u64| hours * 3600 * SECOND;
    let mut day = Window::new(1_000_000, hours(24));
    for step in 0..200_000 {
        let now = START + step * 2 * SECOND;
        day.check(now, 1).unwrap();
        day.commit(1);
        day.answered(now, 1, 1);
    }
    assert!(day.entries() <= 1_026, "{}", day.entries());
    let (_, used) = day.gauge(START + 400_000 * SECOND);
    assert!((43_200..=43_300).contains(&used), "{used}");
}

#[test]
fn a_part_of_a_limit_is_left_to_others() {
    let now = START + 10 * SECOND;
    for rule in [
        LimitRule::Rolling,
        LimitRule::Paced(10),
        LimitRule::Concurrent,
        midnight(),
    ] {
        let mut meter = meter(rule.clone(), 10, 1000);
        meter.set_ratio(0.3);
        for _ in 0..3 {
            assert_eq!(check(&mut meter, now, 1), Ok(()), "{rule:?}");
            meter.commit(at(now), 1);
        }
        assert!(check(&mut meter, now, 1).is_err(), "{rule:?}");
        meter.set_ratio(1.0);
        let later = now + SECOND;
        assert_eq!(check(&mut meter, later, 1), Ok(()), "{rule:?}");
    }
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
        assert_eq!(meter.gauge(at(now)).utilization(), 0.0, "{meter:?}");
        for _ in 0..2 {
            check(&mut meter, now, 1).unwrap();
            meter.commit(at(now), 1);
        }
        assert_eq!(meter.gauge(at(now)).utilization(), 0.25, "{meter:?}");
    }
}
