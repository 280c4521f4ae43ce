#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use proptest::prelude::*;

const NO_CAPS: Caps = Caps {
    tenant_jobs_max: u32::MAX,
    connection_jobs_max: u32::MAX,
    connector_jobs_max: u32::MAX,
};

/// Names to borrow entries from.
struct Names {
    tenants: Vec<TenantId>,
    connections: Vec<ConnectionId>,
    connectors: Vec<Sha256>,
}

impl Names {
    fn new() -> Names {
        Names {
            tenants: (0..8)
                .map(|at| TenantId::parse(format!("t{at}")).unwrap())
                .collect(),
            connections: (0..4)
                .map(|at| ConnectionId::parse(format!("c{at}")).unwrap())
                .collect(),
            connectors: (0..3).map(|at| Sha256::from_bytes([at; 32])).collect(),
        }
    }

    fn entry(&self, job: Row) -> Entry<'_> {
        Entry {
            tenant: &self.tenants[job.tenant],
            class: job.class,
            connection: &self.connections[job.connection],
            connector: &self.connectors[job.connector],
            tenant_jobs_max: None,
            connection_jobs_max: None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Row {
    tenant: usize,
    class: Class,
    connection: usize,
    connector: usize,
}

fn of(class: Class, tenant: usize) -> Row {
    Row {
        tenant,
        class,
        connection: 0,
        connector: 0,
    }
}

/// One worker with one place: each row always has another job, which takes its time.
/// The milliseconds that each used.
fn serve(rows: &[(Row, u64)], jobs: usize) -> Vec<u64> {
    let names = Names::new();
    let due: Vec<_> = rows.iter().map(|(row, _)| names.entry(*row)).collect();
    let (mut shares, mut used) = (Shares::default(), vec![0; rows.len()]);
    for _ in 0..jobs {
        let picked = shares.pick(&due, &[], NO_CAPS, 1);
        let [at] = picked[..] else {
            panic!("a worker is idle: {picked:?}");
        };
        let took_ms = rows[at].1.max(START_MS);
        shares.charge(rows[at].0.class, due[at].tenant, took_ms - START_MS);
        used[at] += took_ms;
    }
    used
}

#[test]
fn classes_share_by_weight_whatever_their_jobs_take() {
    for times in [
        [1_000, 1_000, 1_000],
        [2_000, 5_000, 90_000],
        [60_000, 3_000, 1_000],
    ] {
        let rows: Vec<_> = Class::ALL
            .into_iter()
            .zip(times)
            .map(|(class, ms)| (of(class, 0), ms))
            .collect();
        let used = serve(&rows, 20_000);
        let all: u64 = used.iter().sum();
        for (class, used) in Class::ALL.into_iter().zip(&used) {
            let share = *used as f64 / all as f64 * 100.0;
            let expected = f64::from(class.weight());
            assert!(
                (share - expected).abs() < 1.0,
                "{class:?} got {share} of 100 with {times:?}"
            );
        }
    }
}

#[test]
fn what_a_class_leaves_the_others_get() {
    let rows = [(of(Class::Live, 0), 1_000), (of(Class::History, 1), 1_000)];
    let used = serve(&rows, 7_000);
    assert_eq!(used[0] / used[1], 6, "{used:?}");
    assert_eq!(serve(&rows[1..], 10), [10_000]);
}

#[test]
fn tenants_of_a_class_use_the_same_time() {
    let rows = [
        (of(Class::Incremental, 0), 1_000),
        (of(Class::Incremental, 1), 10_000),
        (of(Class::Incremental, 2), 100_000),
    ];
    let used = serve(&rows, 10_000);
    let (least, most) = (used.iter().min().unwrap(), used.iter().max().unwrap());
    assert!(most - least <= 100_000, "{used:?}");
}

#[test]
fn who_comes_back_has_saved_nothing_up() {
    let names = Names::new();
    let busy = names.entry(of(Class::Incremental, 0));
    let back = names.entry(of(Class::Incremental, 1));
    let mut shares = Shares::default();
    for _ in 0..1_000 {
        shares.pick(&[busy], &[], NO_CAPS, 1);
    }
    let order: Vec<_> = (0..6)
        .flat_map(|_| shares.pick(&[busy, back], &[], NO_CAPS, 1))
        .collect();
    let of_back = order.iter().filter(|at| **at == 1).count();
    assert!((3..=4).contains(&of_back), "{order:?}");
}

#[test]
fn a_thousand_jobs_of_one_tenant_delay_another_by_one() {
    let names = Names::new();
    let crowd = names.entry(of(Class::Incremental, 0));
    let single = names.entry(of(Class::Incremental, 1));
    let mut shares = Shares::default();
    for _ in 0..50 {
        shares.pick(&[crowd], &[], NO_CAPS, 1);
        shares.charge(Class::Incremental, crowd.tenant, 60_000);
    }
    assert_eq!(shares.pick(&[crowd, single], &[], NO_CAPS, 1), [1]);
}

#[test]
fn a_cap_of_its_own_goes_before_the_general_one() {
    let names = Names::new();
    let plain = names.entry(of(Class::Live, 0));
    let caps = Caps {
        tenant_jobs_max: 1,
        ..NO_CAPS
    };
    let mut shares = Shares::default();
    assert!(shares.pick(&[plain], &[plain], caps, 9).is_empty());
    let raised = Entry {
        tenant_jobs_max: Some(2),
        ..plain
    };
    assert_eq!(shares.pick(&[raised], &[plain], caps, 9), [0]);
    let closed = Entry {
        connection_jobs_max: Some(0),
        ..plain
    };
    assert!(shares.pick(&[closed], &[], NO_CAPS, 9).is_empty());
}

fn row() -> impl Strategy<Value = Row> {
    (0..8_usize, 0..3_usize, 0..4_usize, 0..3_usize).prop_map(
        |(tenant, class, connection, connector)| Row {
            tenant,
            class: Class::ALL[class],
            connection,
            connector,
        },
    )
}

proptest! {
    #[test]
    fn no_cap_is_passed_and_no_worker_is_idle(
        rounds in prop::collection::vec((prop::collection::vec(row(), 0..20), 0..6_usize), 1..20),
        maxima in (1..5_u32, 1..4_u32, 1..6_u32),
    ) {
        let names = Names::new();
        let caps = Caps {
            tenant_jobs_max: maxima.0,
            connection_jobs_max: maxima.1,
            connector_jobs_max: maxima.2,
        };
        let mut shares = Shares::default();
        let mut running: Vec<Row> = Vec::new();
        for (rows, free) in rounds {
            let due: Vec<_> = rows.iter().map(|row| names.entry(*row)).collect();
            let entries: Vec<_> = running.iter().map(|row| names.entry(*row)).collect();
            let picked = shares.pick(&due, &entries, caps, free);
            prop_assert!(picked.len() <= free);
            running.extend(picked.iter().map(|at| rows[*at]));
            let count = |same: &dyn Fn(&Row) -> bool| {
                u32::try_from(running.iter().filter(|row| same(row)).count()).unwrap()
            };
            let full = |row: &Row| {
                count(&|other| other.tenant == row.tenant) >= maxima.0
                    || count(&|other| (other.tenant, other.connection) == (row.tenant, row.connection)) >= maxima.1
                    || count(&|other| other.connector == row.connector) >= maxima.2
            };
            for row in &running {
                prop_assert!(count(&|other| other.tenant == row.tenant) <= maxima.0);
                prop_assert!(count(&|other| (other.tenant, other.connection) == (row.tenant, row.connection)) <= maxima.1);
                prop_assert!(count(&|other| other.connector == row.connector) <= maxima.2);
            }
            if picked.len() < free {
                for (at, row) in rows.iter().enumerate() {
                    prop_assert!(picked.contains(&at) || full(row), "{row:?} was left, with room");
                }
            }
            // Every other one ends.
            let mut at = 0;
            running.retain(|_| { at += 1; at % 2 == 0 });
        }
    }

    /// Of one tenant and class the job that is due longest comes first; that nobody else
    /// is passed over for ever is on the shares.
    #[test]
    fn nobody_starves(rows in prop::collection::vec((row(), 1_000..20_000_u64), 1..12)) {
        let mut rows = rows;
        rows.sort_by_key(|(row, _)| (row.class, row.tenant));
        rows.dedup_by_key(|(row, _)| (row.class, row.tenant));
        let used = serve(&rows, 1_000);
        prop_assert!(used.iter().all(|used| *used > 0), "{rows:?}: {used:?}");
    }
}
