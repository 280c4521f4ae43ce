//! Streams that are followed as they change, through the whole program: whatever happens
//! to sessions, servers, replay ids and the service itself, what landed is what is there.

mod org;

use crate::service::Service;
use crate::site::{is_proof, proof_fragment};
use crm_sim::salesforce::{Object, Order, Salesforce};
use org::{Orgs, name};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How much of it.
#[derive(Clone, Copy)]
struct Size {
    orgs: usize,
    accounts: u32,
    /// Simulated.
    hours: usize,
    /// Rounds of changes in an hour.
    rounds: usize,
    /// How long a connect is held that brings nothing, in milliseconds.
    hold_ms: u64,
    /// The hours after which the service is killed, and those after which it is drained.
    kills: &'static [usize],
    drains: &'static [usize],
}

const SMALL: Size = Size {
    orgs: 2,
    accounts: 120,
    hours: 24,
    rounds: 1,
    hold_ms: 250,
    kills: &[10],
    drains: &[17],
};
const WHOLE: Size = Size {
    orgs: 50,
    accounts: 400,
    hours: 24,
    rounds: 4,
    hold_ms: 2_000,
    kills: &[4, 9, 15, 20],
    drains: &[7, 18],
};

const HOUR_MS: i64 = 3_600_000;
/// How far behind a stream may be that has read everything, in seconds: it says so with
/// each answer, and the time since is added.
const CAUGHT_UP_S: f64 = 60.0;
/// How long anything may take that is not broken, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What happens to an org's streaming API in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Cut,
    Restart,
    /// Every event is forgotten, those that nobody has seen among them.
    Stale,
    Gaps,
    /// Changes that only a query finds.
    Overflow,
    ExpiredToken,
    Stall,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::Cut,
    Trouble::Restart,
    Trouble::Stale,
    Trouble::Gaps,
    Trouble::Overflow,
    Trouble::ExpiredToken,
    Trouble::Stall,
];

/// What was done to all orgs.
#[derive(Default)]
struct Done {
    changes: u64,
    troubles: BTreeMap<Trouble, u64>,
    longest_lag_s: f64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_of_a_day_is_missing_whatever_happens_to_the_stream() {
    let size = if is_proof() { WHOLE } else { SMALL };
    let now_ms = i64::try_from(tidegate_store::clock::now_ms()).unwrap();
    let began_ms = (now_ms - 30 * HOUR_MS) / 1_000 * 1_000;
    // One place for jobs that end: live ones must not take it.
    let worker = json!({
        "jobs_max": 1, "live_jobs_max": 100, "tenant_live_jobs_max": 100, "claim_ms": 2_000,
    });
    let orgs = Orgs::new(size.orgs, size.accounts, began_ms, &worker).await;
    let orgs = Arc::new(orgs);
    for sim in &orgs.sims {
        sim.stream(Order::HoldMs(size.hold_ms));
    }
    let played = Arc::clone(&orgs);
    let began = Instant::now();
    let done = tokio::task::spawn_blocking(move || play(&played, size));
    let done = done.await.unwrap();
    let mut live_rows = 0;
    for at in 0..size.orgs {
        let (landed, rows) = orgs.landed(at).await;
        live_rows += rows;
        assert_whole(&landed, &orgs.truth(at), at);
    }
    let streamed = orgs.sims.iter().map(|sim| sim.stream_counters());
    let streamed: Vec<_> = streamed.collect();
    let sum = |of: fn(&crm_sim::salesforce::StreamCounters) -> u64| -> u64 {
        streamed.iter().map(of).sum()
    };
    assert!(sum(|it| it.refused) > 0, "no trouble was met");
    let mut troubles = String::new();
    for (trouble, times) in &done.troubles {
        troubles.push_str(&format!("| {trouble:?} | {times} |\n"));
    }
    proof_fragment(
        "salesforce-live",
        &format!(
            "# Salesforce, followed as it changes\n\n\
             Change events over CometD through `tidegate serve` to a directory, with the simulated clock; looks by query\n\
             are switched off, so that only events, and what their loss makes the connector do, can find a change. The\n\
             newest landed version of every record equals the org's own.\n\n\
             | | |\n|---|---|\n| orgs, each followed by a stream of its own | {} |\n\
             | simulated hours | {} |\n| changes committed in the orgs | {} |\n\
             | events delivered | {} |\n| sessions (handshakes) | {} |\n\
             | messages that Salesforce refused | {} |\n| rows landed by the live logs | {live_rows} |\n\
             | kills (SIGKILL) and drains (SIGTERM) of the service | {} and {} |\n\
             | longest lag in `/metrics` while a server stalled | {:.0} s |\n\
             | records whose newest landed version is not the org's | 0 |\n\
             | real time | {:.0} s |\n\n| trouble | hours of an org |\n|---|---|\n{troubles}",
            size.orgs,
            size.hours,
            done.changes,
            sum(|it| it.delivered),
            sum(|it| it.handshakes),
            sum(|it| it.refused),
            size.kills.len(),
            size.drains.len(),
            done.longest_lag_s,
            began.elapsed().as_secs_f64(),
        ),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_jobs_take_turns_keep_nobody_waiting_and_end_with_their_mode() {
    let now_ms = i64::try_from(tidegate_store::clock::now_ms()).unwrap();
    let worker = json!({
        "jobs_max": 1, "live_jobs_max": 1, "live_turn_ms": 500, "claim_ms": 2_000,
    });
    let orgs = Orgs::new(2, 50, now_ms / 1_000 * 1_000, &worker).await;
    for sim in &orgs.sims {
        sim.stream(Order::HoldMs(200));
    }
    let orgs = Arc::new(orgs);
    let played = Arc::clone(&orgs);
    tokio::task::spawn_blocking(move || take_turns(&played))
        .await
        .unwrap();
    for at in 0..2 {
        assert_whole(&orgs.landed(at).await.0, &orgs.truth(at), at);
    }
}

/// Blocks.
fn take_turns(orgs: &Orgs) {
    let service = orgs.start();
    orgs.follow(&service, &json!({ "login": "login" }));
    wait_for_jobs(&service, 2);
    for _ in 0..2 {
        for sim in &orgs.sims {
            sim.clock().advance(10_000);
            sim.edit_count(
                Object::Account,
                3,
                sim.clock().now_ms(),
                sim.clock().now_ms(),
            );
        }
        // One place for two: each of them gets it.
        wait_until_read(orgs, &service, &BTreeSet::from([0]));
        wait_until_read(orgs, &service, &BTreeSet::from([1]));
    }
    // What ends by itself does not wait for what does not.
    let resync = json!({ "kind": "resync" });
    let job = service.must("POST", "/v1/syncs/org0/jobs", &resync);
    let job = service.job_to_end(job["id"].as_str().unwrap());
    assert_eq!(job["state"], "succeeded", "{job}");
    let live = live_jobs(&service, 0);
    assert_eq!(live.len(), 1, "{live:?}");
    assert_eq!(live[0]["is_final"], false, "{live:?}");
    // Cancelled, it comes again, and goes on in the same log.
    let id = live[0]["id"].as_str().unwrap();
    service.must("POST", &format!("/v1/jobs/{id}/cancel"), &Value::Null);
    wait_for(&service, |_| {
        (live_jobs(&service, 0).len() == 2).then_some(())
    });
    // Paused, it rests; of another mode, it ends.
    orgs.put_sync(&service, 0, "live", true);
    wait_for(&service, |_| {
        is_at_rest(&live_jobs(&service, 0)[0]).then_some(())
    });
    orgs.put_sync(&service, 0, "incremental", false);
    wait_for(&service, |_| {
        let is_over = |job: &Value| job["state"] == "cancelled";
        live_jobs(&service, 0).iter().all(is_over).then_some(())
    });
    wait_for(&service, |lags| (!lags.contains_key("org0")).then_some(()));
    wait_until_read(orgs, &service, &BTreeSet::from([1]));
    assert!(service.end().success());
}

/// An org's live jobs, the newest first. Blocks.
fn live_jobs(service: &Service, at: usize) -> Vec<Value> {
    let path = format!("/v1/jobs?limit=200&sync={}", name(at));
    let jobs = service.must("GET", &path, &Value::Null);
    let jobs = jobs["items"].as_array().unwrap().iter();
    let live = jobs.filter(|job| job["request"]["kind"] == "live");
    live.cloned().collect()
}

/// It waits for its sync, and nothing looks at it.
fn is_at_rest(job: &Value) -> bool {
    job["is_final"] == false && job["claimed"] == false && job.get("wake_at_ms").is_none()
}

/// Follows the orgs through the day; ends the service. Blocks.
fn play(orgs: &Orgs, size: Size) -> Done {
    let mut done = Done::default();
    let mut service = orgs.start();
    let key = service.key.clone();
    // Nothing but events, and what their loss makes it do, may find a change.
    let config = json!({ "login": "login", "live_check_s": 1_000_000 });
    orgs.follow(&service, &config);
    wait_for_jobs(&service, size.orgs);
    let everyone: BTreeSet<usize> = (0..size.orgs).collect();
    wait_until_read(orgs, &service, &everyone);
    for hour in 0..size.hours {
        for at in 0..size.orgs {
            let trouble = TROUBLES[(hour + at * 3) % TROUBLES.len()];
            *done.troubles.entry(trouble).or_default() += 1;
            spoil(&orgs.sims[at], trouble, size, &mut done);
        }
        let stalled = |at: &usize| TROUBLES[(hour + at * 3) % TROUBLES.len()] == Trouble::Stall;
        let (late, others): (BTreeSet<_>, _) = everyone.iter().copied().partition(stalled);
        wait_until_read(orgs, &service, &others);
        for at in late {
            let lag_s = wait_for(&service, |lags| {
                let lag_s = lags.get(&name(at)).copied()?;
                (lag_s >= 1_000.0).then_some(lag_s)
            });
            done.longest_lag_s = done.longest_lag_s.max(lag_s);
            orgs.sims[at].stream(Order::Stall(false));
        }
        if size.kills.contains(&hour) {
            service.kill();
            service = orgs.start();
            service.key.clone_from(&key);
        }
        if size.drains.contains(&hour) {
            assert!(service.end().success());
            service = orgs.start();
            service.key.clone_from(&key);
        }
        wait_until_read(orgs, &service, &everyone);
    }
    wait_until_whole(orgs, &service);
    for at in 0..size.orgs {
        let live = live_jobs(&service, at);
        assert_eq!(live.len(), 1, "one job follows the stream: {live:?}");
        assert_eq!(live[0]["is_final"], false, "{live:?}");
        assert_eq!(live[0]["class"], "live", "{live:?}");
    }
    assert!(service.end().success(), "it did not drain in time");
    done
}

/// An hour of an org: changes in rounds, and trouble among them.
fn spoil(sim: &Salesforce, trouble: Trouble, size: Size, done: &mut Done) {
    let accounts = Object::Account;
    for round in 0..size.rounds {
        sim.clock().advance(HOUR_MS / size.rounds as i64);
        let now_ms = sim.clock().now_ms();
        if trouble == Trouble::Gaps {
            sim.stream(Order::Gaps(4));
        }
        if trouble == Trouble::Stall {
            sim.stream(Order::Stall(true));
        }
        let edited = sim.edit_count(accounts, 4, now_ms, now_ms).len();
        let created = sim.create(accounts, 1, now_ms).len();
        let deleted = sim.delete_count(accounts, 1, now_ms);
        done.changes += (edited + created + deleted.len()) as u64;
        match trouble {
            Trouble::Cut => drop(sim.stream(Order::Cut)),
            Trouble::Restart => drop(sim.stream(Order::Restart)),
            Trouble::Stale => {
                sim.stream(Order::Purge);
                sim.stream(Order::Restart);
            }
            Trouble::Overflow => {
                let some: Vec<u64> = sim.current(accounts).take(60).map(|it| it.id).collect();
                sim.clock().advance(1_000);
                done.changes += sim.touch(accounts, &some, now_ms + 1_000).len() as u64;
                let entity = "Account".to_owned();
                sim.stream(Order::Overflow {
                    entity,
                    commit_ms: None,
                });
            }
            Trouble::ExpiredToken => sim.expire_access_tokens(),
            // Deleted for good before anybody looks: only the event knows.
            Trouble::Gaps if round == 0 => sim.purge(accounts),
            Trouble::Gaps | Trouble::Stall => {}
        }
        sim.clock().advance(2_000);
        // What left the bin does not come back.
        if trouble != Trouble::Gaps || round > 0 {
            let back = sim.undelete(accounts, &deleted, sim.clock().now_ms());
            done.changes += back.len() as u64;
        }
        sim.clock().advance(2_000);
    }
}

/// Seconds by sync, as an operator reads them. Blocks.
fn lags(service: &Service) -> BTreeMap<String, f64> {
    let figures = service.health("/metrics").1;
    let series = figures.lines().filter_map(|line| {
        let (labels, value) = line
            .strip_prefix("connector_live_lag_seconds{")?
            .split_once("} ")?;
        assert!(labels.contains("stream_name=\"Account\""), "{labels}");
        let sync = labels.split("sync_id=\"").nth(1)?.split('"').next()?;
        Some((sync.to_owned(), value.trim().parse().ok()?))
    });
    series.collect()
}

fn wait_for<T>(service: &Service, mut found: impl FnMut(&BTreeMap<String, f64>) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lags = lags(service);
        if let Some(found) = found(&lags) {
            return found;
        }
        assert!(Instant::now() < deadline, "{lags:?}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until these orgs' streams say that they have read everything, and have asked
/// again since: the last change of each org is as old as its clock.
fn wait_until_read(orgs: &Orgs, service: &Service, of: &BTreeSet<usize>) {
    let asked = |at: usize| orgs.sims[at].stream_counters().connects;
    let before: BTreeMap<usize, u64> = of.iter().map(|at| (*at, asked(*at))).collect();
    wait_for(service, |lags| {
        let is_read = |(at, before): (&usize, &u64)| {
            // The first of them began after now, and what it brought is read.
            let has_asked = asked(*at) >= before + 2;
            has_asked && lags.get(&name(*at)).is_some_and(|lag| *lag < CAUGHT_UP_S)
        };
        before.iter().all(is_read).then_some(())
    });
}

/// Waits until all that was done is on the target, while the service runs.
fn wait_until_whole(orgs: &Orgs, service: &Service) {
    let runtime = tokio::runtime::Handle::current();
    let deadline = Instant::now() + PATIENCE;
    for at in 0..orgs.sims.len() {
        let truth = orgs.truth(at);
        loop {
            let wrong = wrong(&runtime.block_on(orgs.landed(at)).0, &truth);
            if wrong.is_empty() {
                break;
            }
            let log = || service.log();
            assert!(Instant::now() < deadline, "org {at}: {wrong:?}\n{}", log());
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

/// Records that are not in their newest version: their ids, what is there, what landed.
fn wrong(landed: &org::Newest, truth: &org::Newest) -> Vec<String> {
    let is_wrong = |(id, newest): &(&String, &(String, bool))| landed.get(*id) != Some(*newest);
    let wrong = truth.iter().filter(is_wrong);
    wrong
        .map(|(id, newest)| format!("{id}: {newest:?}, landed {:?}", landed.get(id)))
        .collect()
}

/// Waits for the runs that read what was there before: they have one place for all,
/// while live jobs run.
fn wait_for_jobs(service: &Service, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let jobs = service.must("GET", "/v1/jobs?limit=200&state=succeeded", &Value::Null);
        if jobs["items"].as_array().unwrap().len() >= count {
            return;
        }
        assert!(Instant::now() < deadline, "{jobs}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Every record is there in its newest version; what is there beside them was deleted
/// for good.
fn assert_whole(landed: &org::Newest, truth: &org::Newest, at: usize) {
    let wrong: Vec<_> = truth
        .iter()
        .filter(|(id, newest)| landed.get(*id) != Some(newest))
        .map(|(id, newest)| (id, newest, landed.get(id)))
        .collect();
    assert!(
        wrong.is_empty(),
        "org {at}: {} of {} records are not as they are there: {:?}",
        wrong.len(),
        truth.len(),
        &wrong[..wrong.len().min(5)]
    );
    let foreign: Vec<_> = landed
        .iter()
        .filter(|(id, (_, is_deleted))| !truth.contains_key(*id) && !is_deleted)
        .collect();
    assert!(foreign.is_empty(), "org {at}: {foreign:?} are not there");
}
