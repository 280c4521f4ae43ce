//! LeadSquared, from its API to the lake.

use crate::truth::{self, Crm, Stream, at, usual_faults};
use crm_sim::leadsquared::{Config, LeadSquaredSim};
use serde_json::{Value, json};
use std::sync::Arc;

const LEADSQUARED: Crm = Crm {
    name: "leadsquared",
    config: "{ region: api }",
    streams: &[
        Stream {
            record_at: "/LeadPropertyList",
            ..Stream::of("leads")
        },
        Stream::of("activities"),
        // Latest change first: what is edited meanwhile pushes others to the next page.
        Stream {
            reads_again: true,
            ..Stream::of("opportunities")
        },
    ],
    clock_behind_ms: 86_400_000,
    settings: "{}",
    faults,
    nonsense: &["html", "truncated", "empty"],
};

fn faults(per_mille: u32) -> Vec<Value> {
    let mut faults = usual_faults(per_mille);
    faults.push(at(7, 2, &json!({"throttle": {"retry_after_s": null}})));
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lands_of_leadsquared_is_the_simulators_truth() {
    let tenth = truth::records(12_000) / 10;
    let simulator = LeadSquaredSim::start(Config {
        leads: 6 * tenth,
        activities: 3 * tenth,
        opportunities: tenth,
        limit_scale: None,
        ..Config::default()
    });
    truth::check(&LEADSQUARED, Arc::new(simulator.await.unwrap())).await;
}
