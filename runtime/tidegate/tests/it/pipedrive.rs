//! Pipedrive, from its API to the lake.

mod mapping;

use crate::truth::{self, Crm, Stream, at, usual_faults};
use crm_sim::pipedrive::{Config, PipedriveSim};
use serde_json::{Value, json};
use std::sync::Arc;

const PIPEDRIVE: Crm = Crm {
    name: "pipedrive",
    config: "{}",
    streams: &[
        Stream::of("persons"),
        Stream::of("organizations"),
        Stream {
            tells_deletes: true,
            undeletes: true,
            ..Stream::of("deals")
        },
        Stream::of("activities"),
    ],
    clock_behind_ms: 86_400_000,
    settings: "{}",
    faults,
    nonsense: &["html", "truncated", "empty"],
};

fn faults(per_mille: u32) -> Vec<Value> {
    let mut faults = usual_faults(per_mille);
    faults.push(at(7, 2, &json!({"throttle": {"retry_after_s": 1}})));
    faults.push(at(11, 1, &json!("expire_token")));
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lands_of_pipedrive_on_s3_is_the_simulators_truth() {
    let tenth = truth::records(6_000) / 10;
    let simulator = PipedriveSim::start(Config {
        persons: 4 * tenth,
        organizations: tenth,
        deals: 4 * tenth,
        activities: tenth,
        limit_scale: None,
        daily_tokens: Some(u64::from(u32::MAX)),
        api_domain: Some("https://acme.pipedrive.com".to_owned()),
        refresh_rotation: true,
        ..Config::default()
    });
    truth::check_on_s3(&PIPEDRIVE, Arc::new(simulator.await.unwrap())).await;
}
