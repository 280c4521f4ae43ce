//! Reading again what was read: all of a stream, or a span of it.

use crate::plant::{Plant, assert_same, contacts, sync};
use tidegate_domain::id::StreamName;
use tidegate_domain::job::{JobRequest, JobState};

fn resync() -> JobRequest {
    JobRequest::Resync {
        streams: vec![contacts()],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resync_opens_one_generation_however_often_it_is_interrupted() {
    let plant = Plant::new(2_000).await;
    let tenant = plant.add_tenant("acme").await;
    plant.run(&tenant, JobRequest::Sync).await;

    plant.slow_down(60);
    let job = plant.enqueue(&tenant, resync()).await;
    let first = plant.work();
    plant.until_rows(&first, &tenant, &job).await;
    first.kill().await;
    let second = plant.work();
    plant.until_rows(&second, &tenant, &job).await;
    second.drain().await;
    let third = plant.work();
    plant.to_state(&tenant, &job, JobState::Succeeded).await;
    third.drain().await;

    let view = plant.view(&tenant, "contacts").await;
    let last = view.objects.iter().map(|seen| seen.generation).max();
    assert_eq!(last, Some(2));
    let mut twice = plant.truth(|_| true);
    twice.values_mut().for_each(|times| *times = 2);
    assert_same(&plant.rows(&view).await, &twice);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_lands_beside_the_stream_and_leaves_its_cursors_alone() {
    let plant = Plant::new(1_500).await;
    let tenant = plant.add_tenant("acme").await;
    plant.run(&tenant, JobRequest::Sync).await;
    let before = plant.view(&tenant, "contacts").await;

    let mut moments: Vec<i64> = plant
        .crm
        .current(crm_sim::hubspot::Kind::Contacts)
        .map(|version| version.modified_ms)
        .collect();
    moments.sort_unstable();
    let (since, until) = (moments[300], moments[900]);
    let request = serde_json::json!({
        "kind": "backfill",
        "stream": "contacts",
        "window": { "since": crm_sim::hubspot::iso(since), "until": crm_sim::hubspot::iso(until) },
    });
    let request: JobRequest = serde_json::from_value(request).unwrap();
    plant.run(&tenant, request.clone()).await;
    let log = format!("contacts.backfill-{since}-{until}");
    let within = plant.truth(|modified| (since..until).contains(&modified));
    assert!(within.len() > 500);
    assert_same(&plant.landed(&tenant, &log).await, &within);
    assert_eq!(plant.view(&tenant, "contacts").await, before);

    let node = &plant.node;
    let logs = node.logs(&tenant, &sync()).await.unwrap();
    let beside = StreamName::parse(log.as_str()).unwrap();
    assert_eq!(logs, [contacts(), beside.clone()]);
    let slots = node.slots(&tenant, &sync(), &beside, 0, 2).await.unwrap();
    assert_eq!(
        slots.iter().map(|slot| slot.slot).collect::<Vec<_>>(),
        [0, 1]
    );

    // Once more is a new generation of the same log.
    plant.run(&tenant, request).await;
    let view = plant.view(&tenant, &log).await;
    let last = view.objects.iter().map(|seen| seen.generation).max();
    assert_eq!(last, Some(2));
}
