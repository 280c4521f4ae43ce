//! Intercom, from its API to the lake.

use crate::site::is_proof;
use crate::truth::{self, Crm, Stream, at, common_faults};
use crm_sim::intercom::{Config, IntercomSim};
use serde_json::{Value, json};
use std::sync::Arc;

const INTERCOM: Crm = Crm {
    name: "intercom",
    config: "{}",
    streams: &[
        Stream {
            // A company that is deleted leaves its contacts as old as they were.
            not_compared: &["companies"],
            ..Stream::of("contacts")
        },
        Stream {
            reads_again: true,
            // It follows the deletions of contacts, without an update of the company.
            not_compared: &["user_count"],
            ..Stream::of("companies")
        },
        Stream {
            tells_deletes: true,
            ties: 60,
            // Who wrote is told by name, and a contact that is renamed or deleted leaves
            // its conversations as old as they were.
            not_compared: &[
                "contacts",
                "source.author",
                "conversation_parts.conversation_parts.*.author",
            ],
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
    if is_proof() {
        return faults;
    }
    // A scroll whose first page is lost stays open for a minute, which proofs alone wait.
    let paths = ["list", "search", "read"].into_iter();
    let on_path = |path| faults.iter().map(move |fault| with_path(fault, path));
    paths.flat_map(on_path).collect()
}

fn with_path(fault: &Value, path: &str) -> Value {
    let mut fault = fault.clone();
    fault["path"] = path.into();
    fault
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lands_of_intercom_is_the_simulators_truth() {
    let (contacts, companies, conversations) = match is_proof() {
        true => (1_000_000, 30_000, 20_000),
        false => (2_000, 600, 300),
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
