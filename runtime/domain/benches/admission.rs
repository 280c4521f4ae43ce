//! What it costs to ask the limits where nobody waits, and what an account takes.
//! `cargo bench -p tidegate-domain --bench admission`; `cargo proof` keeps the figures.

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use tidegate_domain::job::Class;
use tidegate_domain::limit::{Admission, LaneId, MS, Meter, Moment, Request, Spent, Turn};
use tidegate_domain::manifest::{CalendarPeriod, Limit, LimitRule, LimitScope};

/// Counts the bytes, too.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Some moment in 2026.
const START: u64 = 1_790_000_123_456_000_000;
const ACCOUNTS: usize = 1_000_000;

fn main() {
    divan::main();
}

fn meter(rule: LimitRule) -> Meter {
    let limit = Limit {
        buckets: vec!["default".to_owned()],
        scope: LimitScope::RemoteAccount,
        rule,
        capacity: 1_000_000_000,
        per_ms: 10_000,
        remaining_header: None,
        reset_header: None,
    };
    Meter::new(&limit, 1.0, Moment::at(START)).expect("it can be counted")
}

fn day() -> LimitRule {
    LimitRule::Calendar {
        period: CalendarPeriod::Day,
        zone: Some("America/New_York".to_owned()),
    }
}

fn account(admission: &mut Admission, rules: &[LimitRule]) -> LaneId {
    let account = admission.add_account();
    let mut slots = vec![admission.add_gate()];
    for rule in rules {
        slots.push(admission.add_limit(meter(rule.clone()), false, false));
    }
    admission.lane(account, &slots)
}

/// Admitted, answered and over to the last byte.
fn one(admission: &mut Admission, lane: LaneId, at: u64) {
    let moment = Moment::at(at);
    let request = Request {
        lane,
        class: Class::Incremental,
        tenant: 1,
        units: 1,
    };
    assert_eq!(admission.admit(request, moment), Some(Turn::Admitted));
    admission.answered(lane, Spent { units: 1, at }, 1, moment);
    admission.finished(lane);
}

/// What a request of HubSpot (two), of Salesforce (three) and of none meets.
#[divan::bench(args = [0, 2, 3])]
fn a_request_where_nobody_waits(bencher: Bencher<'_, '_>, limits: usize) {
    let rules = [LimitRule::Rolling, day(), LimitRule::Concurrent];
    let mut admission = Admission::default();
    let lane = account(&mut admission, &rules[..limits]);
    let mut at = START;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        at += MS;
        one(&mut admission, black_box(lane), at);
    });
}

#[divan::bench]
fn a_request_of_one_in_a_million_accounts(bencher: Bencher<'_, '_>) {
    let rules = [LimitRule::Rolling, LimitRule::Concurrent];
    let mut admission = Admission::default();
    let lanes: Vec<_> = (0..ACCOUNTS)
        .map(|_| account(&mut admission, &rules))
        .collect();
    let (mut at, mut next) = (START, 0);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        at += MS;
        next = (next + 7_919) % ACCOUNTS; // far apart in memory
        one(&mut admission, black_box(lanes[next]), at);
    });
}

/// The bytes that this allocates are what so many accounts take.
#[divan::bench(args = [1_000, 100_000], sample_count = 3, sample_size = 1)]
fn accounts_with_two_limits(accounts: usize) -> Admission {
    let rules = [LimitRule::Rolling, LimitRule::Concurrent];
    let mut admission = Admission::default();
    for _ in 0..accounts {
        account(&mut admission, &rules);
    }
    admission
}
