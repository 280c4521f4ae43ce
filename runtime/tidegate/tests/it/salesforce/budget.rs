//! A contract of 10,000 calls a month: how fresh two objects are kept within it.

use crate::salesforce::org::{Options, Site, org_of};
use crate::salesforce::truth::Landed;
use crate::site::{is_proof, proof_fragment};
use crm_sim::salesforce::{Config, Object, PathKind};
use std::collections::BTreeSet;

const CALLS_A_MONTH: u64 = 10_000;
const DAYS_A_MONTH: u64 = 30;
/// One run in half an hour.
const RUNS_A_DAY: u64 = 48;
const OBJECTS: [Object; 2] = [Object::Account, Object::Contact];

const STREAMS: &str = "[{ name: Account, mode: incremental, landing: append_dedup }, \
    { name: Contact, mode: incremental, landing: append_dedup }]";
const USUAL: Options = Options {
    config: "objects: [Account, Contact]",
    streams: STREAMS,
    format: "jsonl.gz",
    batch: "{}",
    broker: "limit_scale: 1.0",
    // What the org offers is asked for once a day; each run describes what it reads.
    node: "discovery_ms: 86400000",
};
const FIRST_OF_DAY: Options = Options {
    node: "discovery_ms: 0",
    ..USUAL
};

/// Calls that the org counts: all but those that bring tokens.
fn calls(site: &Site) -> u64 {
    let tally = site.org.counters().tally;
    let of = |kind| tally.requests.get(&kind).copied().unwrap_or_default();
    tally.requests_total - of(PathKind::Authorize) - of(PathKind::Token)
}

/// What people do in half an hour.
fn change(site: &Site) {
    let now_ms = site.org.clock().now_ms();
    for object in OBJECTS {
        site.org.edit_count(object, 20, now_ms - 1_500_000, now_ms);
        site.org.create(object, 2, now_ms - 60_000);
        site.org.delete_count(object, 1, now_ms - 120_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_objects_are_kept_half_an_hour_fresh_within_10_000_calls_a_month() {
    let (records, days, runs_a_day) = match is_proof() {
        true => (100_000, DAYS_A_MONTH, RUNS_A_DAY),
        false => (1_500, 2, 3),
    };
    let org = Config {
        limit_scale: Some(1.0),
        ..org_of(&OBJECTS.map(|object| (object, records)))
    };
    let site = Site::new(org, &FIRST_OF_DAY).await;
    site.sync_to_end().await;
    let history = calls(&site);
    let (mut most_of_run, mut most_of_first, mut most_seconds) = (0, 0, 0_f64);
    for run in 0..days * runs_a_day {
        let is_first = run % runs_a_day == 0;
        site.write_documents(if is_first { &FIRST_OF_DAY } else { &USUAL });
        site.pass_minutes(30);
        change(&site);
        let before = calls(&site);
        let summary = site.sync_to_end().await;
        most_seconds = most_seconds.max(summary["seconds"].as_f64().unwrap());
        let cost = calls(&site) - before;
        match is_first {
            true => most_of_first = most_of_first.max(cost),
            false => most_of_run = most_of_run.max(cost),
        }
        if run % runs_a_day == runs_a_day - 1 && !is_proof() {
            check(&site, "at the end of a day").await;
        }
    }
    check(&site, "at the end").await;
    assert!(most_of_run <= 6, "a run cost {most_of_run} calls");
    assert!(
        most_of_first <= 9,
        "a day's first cost {most_of_first} calls"
    );
    let month = history + DAYS_A_MONTH * ((RUNS_A_DAY - 1) * most_of_run + most_of_first);
    assert!(month <= CALLS_A_MONTH, "a month would cost {month} calls");
    let counted = calls(&site);
    assert!(counted <= CALLS_A_MONTH, "{counted} calls");
    proof_fragment(
        "salesforce-month",
        &format!(
            "# Salesforce: {CALLS_A_MONTH} calls a month\n\n\
             {} records in two objects, read once and kept in sync for {days} simulated days, {runs_a_day} runs a day, each a process of its own: \
             {counted} calls by the org's count, {history} of them for the history, requests for tokens apart; {} are left for anything else. \
             A run cost {most_of_run} calls at most, the first of a day {most_of_first} (it also asks what the org offers). \
             Between two runs of the org's clock 40 records are edited, 4 created and 2 deleted; at the end the lake is the org's truth.\n\n\
             Freshness: a change is in the lake 30 minutes after it was made, and the run's time ({most_seconds:.1} s at most here), at the latest.\n\n\
             Simulated: the org's clock, which the connector goes by; the month passed in the time that the processes took. That the limiter keeps a \
             monthly budget in simulated time is proven apart, in limit-month.md.\n",
            2 * records,
            CALLS_A_MONTH - counted.min(CALLS_A_MONTH),
        ),
    );
}

async fn check(site: &Site, when: &str) {
    for object in OBJECTS {
        let landed = Landed::of(site, object, &BTreeSet::new()).await;
        landed.assert_is_truth(site, object, when);
    }
}
