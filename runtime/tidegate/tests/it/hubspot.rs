//! HubSpot, from its API to the lake.

mod associations;
mod changes;

use crate::truth::{self, Crm, Stream, at, usual_faults};
use crm_sim::hubspot::{Config, CrmSim, CustomType};
use serde_json::{Value, json};
use std::sync::Arc;

/// A record may land twice in one run: where the index shows a change late, a search
/// finds it under its old time and shows it as it is, and another one finds it again.
const fn records(name: &'static str) -> Stream {
    Stream {
        tells_deletes: true,
        undeletes: true,
        reads_again: true,
        ..Stream::of(name)
    }
}

const HUBSPOT: Crm = Crm {
    name: "hubspot",
    config: "{}",
    streams: &[
        records("contacts"),
        records("companies"),
        records("deals"),
        records("tickets"),
        Stream {
            kind: "custom-1",
            ..records("p20858235_machine")
        },
    ],
    clock_behind_ms: 86_400_000,
    settings: r#"{"search_lag_ms": 30000}"#,
    faults,
    nonsense: &["html", "truncated", "empty"],
};

fn faults(per_mille: u32) -> Vec<Value> {
    let mut faults = usual_faults(per_mille);
    faults.push(at(7, 2, &json!({"throttle": {"retry_after_s": 1}})));
    faults.push(at(11, 1, &json!("expire_token")));
    faults.push(at(23, 3, &json!({"short_page": 2})));
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lands_of_hubspot_is_the_simulators_truth() {
    let tenth = truth::records(6_000) / 10;
    let simulator = CrmSim::start(Config {
        contacts: 4 * tenth,
        companies: tenth,
        deals: 3 * tenth,
        tickets: tenth,
        custom_types: vec![CustomType::machines(tenth)],
        limit_scale: None,
        ..Config::default()
    });
    truth::check(&HUBSPOT, Arc::new(simulator.await.unwrap())).await;
}
