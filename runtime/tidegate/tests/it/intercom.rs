//! Intercom, from its API to the lake.

use crate::truth::{self, Crm, Stream, at, common_faults};
use crm_sim::intercom::{Config, IntercomSim};
use serde_json::{Value, json};
use std::sync::Arc;

const INTERCOM: Crm = Crm {
    name: "intercom",
    config: "{}",
    streams: &[
        Stream::of("contacts"),
        Stream {
            reads_again: true,
            ..Stream::of("companies")
        },
        Stream {
            tells_deletes: true,
            ..Stream::of("conversations")
        },
    ],
    clock_behind_ms: 86_400_000,
    settings: r#"{"search_lag_ms": 150000}"#,
    faults,
    nonsense: &["html", "truncated", "empty"],
};

fn faults(per_mille: u32) -> Vec<Value> {
    let mut faults = common_faults(per_mille);
    faults.push(at(7, 2, &json!({"throttle": {"retry_after_s": 1}})));
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lands_of_intercom_is_the_simulators_truth() {
    let (contacts, companies, conversations) = match crate::site::is_proof() {
        true => (1_000_000, 30_000, 20_000),
        false => (2_000, 600, 600),
    };
    let simulator = IntercomSim::start(Config {
        contacts,
        companies,
        conversations,
        limit_scale: None,
        ..Config::default()
    });
    truth::check(&INTERCOM, Arc::new(simulator.await.unwrap())).await;
}
