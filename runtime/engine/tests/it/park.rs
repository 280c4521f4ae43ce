//! A parked job is a row and nothing else, and goes on at once when its time has come.

use crate::plant::{Plant, contacts, eventually, sync, sync_document};
use crm_sim::hubspot::{Fault, PathKind, Rule, Seen, When};
use std::fmt::Write as _;
use std::path::Path;
use tidegate_domain::id::{JobId, OwnerToken, StreamKey, SyncId, TenantId};
use tidegate_domain::job::{JobRequest, JobState};
use tidegate_store::clock::now_ms;
use tokio::runtime::Handle;

const HOUR_S: u32 = 3_600;

fn refuse_pages(plant: &Plant, retry_after_s: u32) {
    plant.crm.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Always,
        fault: Fault::Throttle {
            retry_after_s: Some(retry_after_s),
        },
    });
}

/// What the process holds, beyond connections that stay open.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    jobs: usize,
    instances: usize,
    guest_tasks: usize,
    tasks: usize,
}

/// Once nothing of the last attempt is left.
async fn held(plant: &Plant, running: impl Fn() -> usize) -> Held {
    let look = || Held {
        jobs: running(),
        instances: plant.node.sandbox.instances(),
        guest_tasks: plant.node.sandbox.guest_tasks(),
        tasks: Handle::current().metrics().num_alive_tasks(),
    };
    eventually(async || (look().jobs == 0 && look().guest_tasks == 0).then_some(())).await;
    // What is told to end takes a moment to be gone: the least of many looks.
    let mut least = look();
    for _ in 0..200 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let now = look();
        least.tasks = least.tasks.min(now.tasks);
        least.instances = least.instances.min(now.instances);
    }
    least
}

async fn assert_nothing_is_held(plant: &Plant, tenant: &TenantId, sync: &SyncId, job: &JobId) {
    let store = &plant.node.store;
    let parked = plant.job(tenant, job).await;
    assert!(!parked.claimed, "a claim");
    let hour_ms = u64::from(HOUR_S) * 1_000;
    let wakes_in_ms = parked.wake_at_ms.saturating_sub(now_ms());
    assert!(
        (hour_ms - 60_000..=hour_ms).contains(&wakes_in_ms),
        "{wakes_in_ms} ms"
    );
    let key = StreamKey {
        tenant: tenant.clone(),
        sync: sync.clone(),
        stream: contacts(),
    };
    // One that was held, or left by somebody who died, would be refused or need a fence.
    let lease = store
        .acquire(&key, OwnerToken::from_bytes([7; 16]), 0, 1_000)
        .await;
    let lease = lease.unwrap();
    assert!(
        lease.released_before || lease.epoch == 1,
        "a lease: {lease:?}"
    );
    store.release(&lease).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_are_parked_for_an_hour_hold_nothing() {
    let plant = Plant::with(300, |config| {
        config.broker.patience_ms = 100;
        // One after another, so that all of them leave one connection open.
        config.worker.jobs_max = 1;
    })
    .await;
    let tenant = plant.add_tenant("acme").await;
    refuse_pages(&plant, HOUR_S);
    let working = plant.work();
    let running = || working.handle.running();
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    plant.to_state(&tenant, &job, JobState::Parked).await;
    let of_one = held(&plant, running).await;
    assert_eq!(
        (of_one.jobs, of_one.instances, of_one.guest_tasks),
        (0, 0, 0)
    );
    let mut jobs = vec![(sync(), job)];
    for at in 0..40 {
        let sync = SyncId::parse(format!("crm-{at}")).unwrap();
        plant
            .put_sync(&tenant, sync.as_str(), sync_document(&plant), &[])
            .await;
        let job = plant.enqueue_of(&tenant, &sync, JobRequest::Sync).await;
        jobs.push((sync, job));
    }
    working.handle.wake();
    for (_, job) in &jobs {
        plant.to_state(&tenant, job, JobState::Parked).await;
    }
    assert_eq!(
        held(&plant, running).await,
        of_one,
        "forty more hold something"
    );
    let found = plant.node.store.candidates(now_ms()).await.unwrap();
    assert!(found.due.is_empty() && found.running.is_empty());
    for (sync, job) in &jobs {
        assert_nothing_is_held(&plant, &tenant, sync, job).await;
    }
    working.drain().await;
}

/// Microseconds from the claim until a request was at the CRM: the first, with which the
/// guest discovers, and the first for a page.
struct Resumed {
    first_us: u64,
    page_us: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_job_is_taken_again_when_its_time_has_come() {
    let wanted = if std::env::var_os("TIDEGATE_PROOF").is_some() {
        60
    } else {
        3
    };
    let plant = Plant::with(300, |config| config.broker.patience_ms = 100).await;
    let tenant = plant.add_tenant("acme").await;
    let journal_at_us = now_ms() * 1_000;
    plant.crm.begin_journal();
    refuse_pages(&plant, 1);
    let working = plant.work();
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    plant
        .until(&tenant, &job, |found| found.row.job.attempts > wanted)
        .await;
    plant.crm.clear_faults();
    plant.to_state(&tenant, &job, JobState::Succeeded).await;
    working.drain().await;

    let journal = plant.crm.journal();
    let attempts = plant.node.store.attempts(&tenant, &job).await.unwrap();
    let mut resumed = Vec::new();
    // The first was no park's end.
    for row in attempts.iter().skip(1) {
        let (from, to) = (row.attempt.started_at_ms, row.attempt.ended_at_ms);
        let at_us = |seen: &&Seen| journal_at_us + u64::try_from(seen.began.as_micros()).unwrap();
        let mut asked = journal
            .iter()
            .filter(|seen| (from * 1_000..=to * 1_000).contains(&at_us(seen)));
        let Some(first) = asked.next() else { continue };
        let page = [first]
            .into_iter()
            .chain(asked)
            .find(|seen| seen.target.contains("/objects/contacts?"));
        let since = |seen| at_us(&seen) - from * 1_000;
        if let Some(page) = page {
            resumed.push(Resumed {
                first_us: since(first),
                page_us: since(page),
            });
        }
    }
    assert!(
        resumed.len() + 1 >= wanted as usize,
        "{} of {wanted} attempts asked",
        resumed.len()
    );
    report(resumed);
}

fn report(resumed: Vec<Resumed>) {
    let mut page = format!(
        "# From the claim of a parked job to its guest's request\n\nA job that waits for a second, again and again: milliseconds from the claim (to the millisecond) until the \
         CRM had the request, over {} parks. A lean bound of the promise: it holds the guest's start, its calls, \
         the limits and the network, too.\n\n| request | median | p90 | max |\n|---|---:|---:|---:|\n",
        resumed.len()
    );
    for (name, of) in [
        (
            "the first: what there is to read",
            (|one| one.first_us) as fn(&Resumed) -> u64,
        ),
        ("the first for a page", |one| one.page_us),
    ] {
        let mut times: Vec<u64> = resumed.iter().map(of).collect();
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100] as f64 / 1_000.0;
        writeln!(
            page,
            "| {name} | {:.1} | {:.1} | {:.1} |",
            at(50),
            at(90),
            at(100)
        )
        .unwrap();
    }
    if let Some(folder) = std::env::var_os("TIDEGATE_PROOF_DIR") {
        std::fs::write(Path::new(&folder).join("park.md"), page).unwrap();
    }
}
