//! The limiter through crashes and restarts, in simulated time, against a provider that
//! counts by itself: every figure is taken from the provider's own log. Widened by
//! `cargo proof`.

use super::still::Still;
use super::*;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_domain::manifest::CalendarPeriod;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// A provider: it notes when a request arrives and for whom, and nothing else.
#[derive(Clone)]
struct Provider {
    began: Instant,
    log: Arc<Mutex<Vec<(u64, &'static str)>>>,
}

impl Provider {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            log: Arc::default(),
        }
    }

    /// By the provider's own clock, which is right.
    fn now(&self) -> u64 {
        START + u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    fn arrive(&self, whose: &'static str) {
        self.log.lock().unwrap().push((self.now(), whose));
    }

    fn log(&self) -> Vec<(u64, &'static str)> {
        self.log.lock().unwrap().clone()
    }

    fn most_in_any(&self, window: u64) -> usize {
        let log = self.log();
        let mut first = 0;
        let held = (0..log.len()).map(|last| {
            while log[first].0 + window <= log[last].0 {
                first += 1;
            }
            last - first + 1
        });
        held.max().unwrap_or(0)
    }

    fn most_in_a_day(&self) -> usize {
        let mut days = HashMap::new();
        for (at, _) in self.log() {
            *days.entry(at / DAY).or_insert(0) += 1;
        }
        days.into_values().max().unwrap_or(0)
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

/// A process: a limiter on the database, and tasks that send as fast as they may.
struct Process {
    limiter: Arc<Limiter>,
    tasks: JoinSet<()>,
}

/// What survives a process.
struct World {
    _dir: tempfile::TempDir,
    store: Arc<Still>,
    provider: Provider,
    /// Requests on the wire; they outlive who sent them.
    wire: Arc<tokio::sync::Mutex<JoinSet<()>>>,
    /// What the system's clock says beyond the truth, in milliseconds, plus a day.
    set: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
        Self {
            store: Arc::new(Still::new(store)),
            _dir: dir,
            provider: Provider::new(),
            wire: Arc::default(),
            set: Arc::new(AtomicU64::new(DAY)),
        }
    }

    fn start(&self) -> Process {
        let (provider, set) = (self.provider.clone(), Arc::clone(&self.set));
        let system = Arc::new(move || provider.now() + set.load(Ordering::Relaxed) - DAY);
        let clock = Clock::simulated(self.provider.now(), Some(system));
        let store = Arc::clone(&self.store) as _;
        Process {
            limiter: Arc::new(limiter_on(store, clock, Config::default())),
            tasks: JoinSet::new(),
        }
    }

    /// A task of the process that sends for a tenant as fast as it may.
    async fn send(
        &self,
        process: &mut Process,
        connection: &Connection,
        whose: &'static str,
        seed: u64,
    ) {
        let plan = process.limiter.plan(connection).await.unwrap();
        let (provider, wire) = (self.provider.clone(), Arc::clone(&self.wire));
        process.tasks.spawn(async move {
            let mut dice = Dice(seed);
            loop {
                match admit(&plan, "default", LONG).await {
                    Ok(mut permit) => {
                        permit.sent();
                        let [there, back] =
                            [dice.roll(75), dice.roll(75)].map(Duration::from_millis);
                        let provider = provider.clone();
                        wire.lock().await.spawn(async move {
                            tokio::time::sleep(there).await;
                            provider.arrive(whose);
                        });
                        tokio::time::sleep(there + back).await;
                        permit.answered(&http::HeaderMap::new());
                    }
                    Err(Refused::Until(until_ms)) => {
                        // As a job parks.
                        let wait_ms = until_ms.saturating_sub(provider.now() / MS);
                        tokio::time::sleep(Duration::from_millis(wait_ms.max(1))).await;
                    }
                    Err(Refused::Never) => panic!("one unit must fit"),
                }
            }
        });
    }

    /// Kills the process: nothing that it had in memory is written down.
    async fn kill(&self, mut process: Process) {
        process.limiter.running.get().unwrap().writer.kill();
        tokio::task::yield_now().await;
        process.tasks.shutdown().await;
    }
}

fn tenant_of(mut connection: Connection, tenant: &str) -> Connection {
    connection.tenant = TenantId::parse(tenant).unwrap();
    connection.account = Some("portal".to_owned());
    connection
}

fn rolling(capacity: u32, per_ms: u64) -> Limit {
    Limit {
        per_ms,
        ..limit("default", LimitRule::Rolling, capacity)
    }
}

fn calendar(period: CalendarPeriod, capacity: u32) -> Limit {
    let rule = LimitRule::Calendar { period, zone: None };
    limit("default", rule, capacity)
}

pub(super) fn is_proof() -> bool {
    std::env::var_os("TIDEGATE_PROOF").is_some()
}

/// Leaves a page for `docs/proof/`.
pub(super) fn publish(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("TIDEGATE_PROOF_DIR") {
        std::fs::write(std::path::Path::new(&folder).join(name), text).unwrap();
    }
}

/// RL1, RL2 (over restarts), RL10.
#[tokio::test(start_paused = true)]
async fn a_saturated_window_is_never_exceeded_and_used_to_95_percent_through_crashes() {
    let mut page =
        String::from("# 100 calls in any 10 s, saturated for 10 minutes, with crashes\n\n");
    page.push_str("The provider's own log, in simulated time, latencies of 0 to 150 ms.\n\n");
    page.push_str("| crashes | most in any 10 s | calls | used |\n|---|---|---|---|\n");
    let seeds = if is_proof() { 20 } else { 2 };
    for seed in 1..=seeds {
        let world = World::new();
        let connection = connection(vec![rolling(100, 10_000)], Class::Incremental);
        let mut dice = Dice(seed);
        let mut crashes = 0;
        let end = START + 600 * SECOND;
        while world.provider.now() < end {
            let mut process = world.start();
            for task in 0..32 {
                world
                    .send(&mut process, &connection, "acme", seed * 100 + task)
                    .await;
            }
            let life = Duration::from_millis(20_000 + dice.roll(60_000));
            let left = Duration::from_nanos(end - world.provider.now());
            tokio::time::sleep(life.min(left)).await;
            world.kill(process).await;
            crashes += 1;
            tokio::time::sleep(Duration::from_millis(dice.roll(300))).await;
        }
        let most = world.provider.most_in_any(10 * SECOND);
        let log = world.provider.log();
        let calls = log.iter().filter(|(at, _)| *at < end).count();
        writeln!(
            page,
            "| {crashes} | {most} | {calls} | {} % |",
            calls * 100 / 6_000
        )
        .unwrap();
        assert!(most <= 100, "{most} in one window, seed {seed}");
        assert!(
            calls >= 5_700,
            "only {calls} of 6000 after {crashes} crashes, seed {seed}"
        );
    }
    publish("limit-window.md", &page);
}

/// RL3, and the pacing of a month with its reserve for live work.
#[tokio::test(start_paused = true)]
async fn a_months_budget_is_never_exceeded_through_crashes_and_live_work_always_has_some() {
    let (budget, crashes): (u32, u32) = if is_proof() {
        (10_000, 1_000)
    } else {
        (500, 40)
    };
    let world = World::new();
    let connection = |class| connection(vec![calendar(CalendarPeriod::Month, budget)], class);
    let (history, live) = (connection(Class::History), connection(Class::Live));
    // From the first of October on, and into November.
    tokio::time::sleep(Duration::from_secs(812_700)).await;
    let life = 33 * DAY / u64::from(crashes);
    let mut dice = Dice(7);
    let mut live_wanted = 0;
    for crash in 0..crashes {
        let mut process = world.start();
        for task in 0..2 {
            world
                .send(
                    &mut process,
                    &history,
                    "history",
                    u64::from(crash) * 10 + task,
                )
                .await;
        }
        if crash % 10 == 3 {
            let plan = process.limiter.plan(&live).await.unwrap();
            for _ in 0..budget / 200 {
                live_wanted += 1;
                let permit = admit(&plan, "default", Duration::ZERO).await;
                permit.expect("live work has some left").sent();
                world.provider.arrive("live");
            }
        }
        let life = life / 2 + dice.roll(life / SECOND) * SECOND;
        tokio::time::sleep(Duration::from_nanos(life)).await;
        world.kill(process).await;
    }
    let log = world.provider.log();
    let months = by_month(&log);
    assert!(months.values().all(|calls| *calls <= budget), "{months:?}");
    let live_sent = log.iter().filter(|(_, whose)| *whose == "live").count();
    assert_eq!(live_sent, live_wanted);
    // The database knows of at least as many as the provider, month by month.
    let name = "crm/connection/acme/crm-1/Month@UTC/1000ms/default";
    let known: u64 = world
        .store
        .reserved_units(name)
        .await
        .unwrap()
        .iter()
        .map(|one| one.units)
        .sum();
    assert!(known >= log.len() as u64, "{known} of {}", log.len());
    // October is the one month that it ran in full.
    let full = months["2026-10"];
    assert!(full * 100 >= budget * 85, "{months:?}");
    // Live work takes all that is left of November, and more often than not the process
    // dies with a block in hand.
    let left = budget - months.get("2026-11").copied().unwrap_or(0);
    let mut loops = 0;
    while loops < 60 + left / 20 {
        let mut process = world.start();
        for task in 0..3 {
            world
                .send(&mut process, &live, "last", u64::from(loops) * 10 + task)
                .await;
        }
        tokio::time::sleep(Duration::from_millis(300 + dice.roll(1_200))).await;
        world.kill(process).await;
        loops += 1;
    }
    let last = by_month(&world.provider.log());
    assert!(last.values().all(|calls| *calls <= budget), "{last:?}");
    assert!(last["2026-11"] * 100 >= budget * 50, "{last:?}");
    publish(
        "limit-month.md",
        &format!(
            "# {budget} calls a month, through {crashes} crashes\n\nThe provider's own log, in simulated time: {months:?}, of them {live_sent} live; none of these waited. The database knew of {known}. Then live work took all that was left of November in a loop of {loops} crashes, each within two seconds: {last:?}.\n"
        ),
    );
}

fn by_month(log: &[(u64, &str)]) -> std::collections::BTreeMap<String, u32> {
    let mut months = std::collections::BTreeMap::new();
    for (at, _) in log {
        let at = jiff::Timestamp::from_nanosecond(i128::from(*at)).unwrap();
        *months.entry(at.strftime("%Y-%m").to_string()).or_default() += 1;
    }
    months
}

/// Classes that all want more than there is.
#[tokio::test(start_paused = true)]
async fn contending_classes_have_60_30_and_10_of_100_by_the_providers_log() {
    let world = World::new();
    let mut process = world.start();
    let classes = [
        (Class::Live, "live"),
        (Class::Incremental, "incremental"),
        (Class::History, "history"),
    ];
    for (class, whose) in classes {
        let paced = limit("default", LimitRule::Paced(2), 10);
        let connection = tenant_of(connection(vec![paced], class), "a");
        for task in 0..12 {
            world.send(&mut process, &connection, whose, task).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    world.kill(process).await;
    let log = world.provider.log();
    let had = classes.map(|(_, whose)| log.iter().filter(|(_, who)| *who == whose).count());
    assert!(log.len() >= 1_150, "{} of 1200", log.len());
    let share = had.map(|calls| calls * 100 / log.len());
    for (share, weight) in share.into_iter().zip([60, 30, 10]) {
        assert!(share.abs_diff(weight) <= 1, "{had:?}");
    }
}

/// RL5, over a restart too.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_retry_after_whatever_happens_to_the_process() {
    let world = World::new();
    let connection = connection(vec![rolling(100, 1_000)], Class::Live);
    let first = world.start();
    let plan = first.limiter.plan(&connection).await.unwrap();
    let bucket = plan.bucket(None).unwrap();
    let until = plan.throttled(bucket, Some(600_000), 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(plan);
    world.kill(first).await;
    let mut second = world.start();
    world.send(&mut second, &connection, "acme", 1).await;
    tokio::time::sleep(Duration::from_secs(590)).await;
    assert_eq!(world.provider.log(), []);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let log = world.provider.log();
    assert!(log.len() > 100 && log[0].0 >= until, "{:?}", log.first());
}

/// RL6 and RL7.
#[tokio::test(start_paused = true)]
async fn every_tenant_has_its_floor_and_live_work_waits_little_behind_a_backfill() {
    let world = World::new();
    let of = |tenant, class| {
        let paced = Limit {
            per_ms: 10_000,
            ..limit("default", LimitRule::Paced(5), 100)
        };
        tenant_of(connection(vec![paced], class), tenant)
    };
    let mut process = world.start();
    let tenants = [("a", 30), ("b", 10), ("c", 3), ("d", 2), ("e", 2)];
    for (tenant, tasks) in tenants {
        for task in 0..tasks {
            world
                .send(&mut process, &of(tenant, Class::History), tenant, task)
                .await;
        }
    }
    let live = process.limiter.plan(&of("a", Class::Live)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let begun = world.provider.now();
    let mut waits = Vec::new();
    for _ in 0..200 {
        let asked = Instant::now();
        admit(&live, "default", LONG).await.unwrap().sent();
        waits.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(837)).await;
    }
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100 - 1];
    assert!(
        p99 <= Duration::from_millis(250),
        "p99 of live work {p99:?}"
    );
    let log = world.provider.log();
    let minute = |whose| {
        let inside = |at: u64| (begun..begun + 60 * SECOND).contains(&at);
        log.iter()
            .filter(|(at, who)| inside(*at) && *who == whose)
            .count()
    };
    let had = tenants.map(|(tenant, _)| minute(tenant) as f64);
    let total: f64 = had.iter().sum();
    let jain = total * total / (5.0 * had.iter().map(|one| one * one).sum::<f64>());
    assert!(
        had.iter().all(|calls| calls * 5.0 >= total * 0.9),
        "{had:?}"
    );
    assert!(jain > 0.99, "{jain}");
    publish(
        "limit-fairness.md",
        &format!(
            "# Fairness at 10 calls a second\n\nFive tenants with 30, 10, 3, 2 and 2 requests at once had {had:?} calls in a minute: Jain's index {jain:.4}. Live work waited {p99:?} at the 99th percentile of 200.\n"
        ),
    );
    world.kill(process).await;
}

/// RL8.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_lets_nothing_pass() {
    let world = World::new();
    let limits = vec![rolling(20, 3_600_000), calendar(CalendarPeriod::Day, 300)];
    let connection = connection(limits, Class::Live);
    let mut dice = Dice(5);
    let hours = |count: i64| (DAY as i64 + count * HOUR as i64) as u64;
    for (number, jump) in [0, 1, -1, 0, 1, 0, -1, 1, 0].into_iter().enumerate() {
        let mut process = world.start();
        for task in 0..3 {
            world
                .send(&mut process, &connection, "acme", number as u64 * 10 + task)
                .await;
        }
        tokio::time::sleep(Duration::from_nanos(3 * HOUR)).await;
        world.set.store(hours(jump), Ordering::Relaxed);
        // The machine sleeps: nothing runs, and then everything is late at once.
        tokio::time::advance(Duration::from_nanos(HOUR / 2 + dice.roll(HOUR))).await;
        tokio::time::sleep(Duration::from_nanos(5 * HOUR)).await;
        world.kill(process).await;
    }
    assert!(world.provider.most_in_any(HOUR) <= 20);
    assert!(world.provider.most_in_a_day() <= 300);
    assert!(
        world.provider.log().len() > 700,
        "{}",
        world.provider.log().len()
    );
}
