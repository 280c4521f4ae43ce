//! Intercom, from its API to the lake.

use crate::site::{is_proof, proof_fragment};
use crate::truth::{self, Crm, Stream, at, usual_faults};
use crm_sim::intercom::{Config, IntercomSim, PathKind};
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
    let mut faults = usual_faults(per_mille);
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

const CONVERSATIONS: Crm = Crm {
    streams: &[Stream::of("conversations")],
    ..INTERCOM
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_are_read_one_by_one_at_the_limit_and_never_above_it() {
    let conversations: u32 = if is_proof() { 20_000 } else { 2_000 };
    let config = Config {
        contacts: 1_000,
        companies: 0,
        conversations,
        ..Config::default()
    };
    let window = u64::from(config.calls_per_minute.div_ceil(6));
    let simulator = Arc::new(IntercomSim::start(config).await.unwrap());
    let site = truth::connected(
        &CONVERSATIONS,
        Arc::<IntercomSim>::clone(&simulator),
        "limit_scale: 1.0",
    )
    .await;
    simulator.reset_counters();
    simulator.begin_journal();
    let summary = site.sync_to_end().await;
    assert_eq!(summary["rows"], conversations);
    let counters = simulator.counters();
    assert_eq!(counters.tally.throttled, 0, "Intercom had to refuse");
    assert!(
        counters.ten_second_max <= window,
        "{} requests in ten seconds",
        counters.ten_second_max
    );
    let seen = simulator.journal();
    let details = counters.tally.requests[&PathKind::Read];
    assert_eq!(details, u64::from(conversations), "details asked for");
    let came = || seen.iter().map(|seen| seen.began);
    let seconds = (came().max().unwrap() - came().min().unwrap()).as_secs_f64();
    let calls = seen.len() as u64;
    // Whoever fills every window from its start needs no more for the last one.
    let least = ((calls - 1) / window * 10) as f64;
    let share = 100.0 * least / seconds;
    proof_fragment(
        "intercom-details",
        &format!(
            "# Intercom's conversations, one by one, at its limit\n\n\
             {details} details of conversations by `fetch-many` and {lists} other calls, in {seconds:.1} s: \
             {reached:.1} calls a second. The limit, {window} in ten seconds, lets so many through in {least:.0} s at \
             the least, so this is {share:.1} % of it. By the simulator's own count there were {most} calls in the fullest \
             of its windows of ten seconds, and {refused} were refused.\n",
            lists = calls - details,
            reached = calls as f64 / seconds,
            most = counters.ten_second_max,
            refused = counters.tally.throttled,
        ),
    );
    if is_proof() {
        assert!(share >= 95.0, "{share} % of the limit");
    }
}
