//! A long history in windows: many at once, and one after the other.

use crate::salesforce::org::{Options, Site, org_of};
use crate::salesforce::truth::for_each_line;
use crate::site::{is_proof, proof_fragment};
use crm_sim::salesforce::{Fault, Object, PathKind, Rule, When};

/// How long each answer of the org takes.
const LATENCY_MS: u64 = 100;

/// What the reading of five years came to.
struct Read {
    rows: u64,
    seconds: f64,
    /// Of queries and descriptions; the most of them at once.
    requests: u64,
    at_once: u64,
}

async fn read(contacts: u32, streams: &'static str) -> Read {
    let options = Options {
        config: "objects: [Contact], window_records: 1",
        streams,
        ..Options::default()
    };
    let site = Site::new(org_of(&[(Object::Contact, contacts)]), &options).await;
    site.org.install_fault(Rule {
        path: None,
        when: When::Always,
        fault: Fault::Delay(LATENCY_MS),
    });
    site.org.reset_counters();
    let summary = site.sync_to_end().await;
    let mut rows = 0;
    for_each_line(&site, Object::Contact, |_| rows += 1).await;
    // 2021-01-01 to 2026-01-01.
    let span = 1_609_459_200_000..1_767_225_600_000;
    let truth = site.org.current(Object::Contact);
    let truth = truth.filter(|version| span.contains(&version.modified_ms));
    assert_eq!(rows, truth.count() as u64);
    let tally = site.org.counters().tally;
    assert_eq!(tally.requests.get(&PathKind::BulkQuery), None, "by query");
    Read {
        rows,
        seconds: summary["seconds"].as_f64().unwrap(),
        requests: tally.requests_total,
        at_once: tally.in_flight_max,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_of_a_long_history_are_read_at_once_where_that_is_asked_for() {
    let contacts = if is_proof() { 300_000 } else { 3_000 };
    let one = read(
        contacts,
        "[{ name: Contact, mode: incremental, landing: append, partitions_max: 1, \
           window: { since: 2021-01-01T00:00:00Z, until: 2026-01-01T00:00:00Z } }]",
    )
    .await;
    let many = read(
        contacts,
        "[{ name: Contact, mode: incremental, landing: append, partitions_max: 16, \
           window: { since: 2021-01-01T00:00:00Z, until: 2026-01-01T00:00:00Z } }]",
    )
    .await;
    assert_eq!(one.rows, many.rows);
    assert_eq!(one.requests, many.requests, "windows cost the same calls");
    assert!(one.requests >= 61, "five years have 61 windows of 30 days");
    assert_eq!(one.at_once, 1, "one window after the other");
    assert!(many.at_once >= 8, "{} requests at once", many.at_once);
    proof_fragment(
        "salesforce-windows",
        &format!(
            "# Salesforce: five years in windows of 30 days, {LATENCY_MS} ms to each answer\n\n\
             {} Contacts in 61 windows, {} requests either way, debug build.\n\n\
             | windows | seconds | requests at once, at most |\n|---|---:|---:|\n\
             | one after the other | {:.1} | {} |\n| 16 in parallel | {:.1} | {} |\n",
            one.rows, one.requests, one.seconds, one.at_once, many.seconds, many.at_once
        ),
    );
}
