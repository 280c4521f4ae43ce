//! More changes of HubSpot's records than a search shows, found late: none is missed.

use crate::site::{Site, SyncDocument, is_proof, proof_fragment, shown, summary};
use crm_sim::Simulator;
use crm_sim::hubspot::{Config, CrmSim, Kind, iso};
use std::collections::BTreeMap;

/// What search shows of one query at most.
const SEARCH_MAX: usize = 10_000;
/// How long the index of search is behind.
const LAG_MS: u32 = 30_000;
/// Steps of an hour in which people work.
const STEPS: usize = 36;
/// Records that share each millisecond.
const TOGETHER: usize = 40;

#[derive(Debug)]
struct Sizes {
    contacts: u32,
    changed: usize,
    /// Of those, how many share one millisecond.
    tied: usize,
}

fn sizes() -> Sizes {
    if is_proof() {
        Sizes {
            contacts: 400_000,
            changed: 300_000,
            tied: 15_000,
        }
    } else {
        Sizes {
            contacts: 16_000,
            changed: 14_000,
            tied: 11_000,
        }
    }
}

/// The newest version of each key that landed.
async fn newest(site: &Site) -> BTreeMap<String, String> {
    let mut newest = BTreeMap::<String, String>::new();
    for (key, version) in site.landed().await.into_keys() {
        let known = newest.entry(key).or_default();
        *known = version.max(std::mem::take(known));
    }
    newest
}

fn truth(site: &Site) -> BTreeMap<String, String> {
    let current = site.crm.current(Kind::Contacts);
    current
        .map(|one| (one.id.to_string(), iso(one.modified_ms)))
        .collect()
}

async fn run(site: &Site) -> serde_json::Value {
    let output = site.run(site.sync()).await;
    assert!(output.status.success(), "{}", shown(&output));
    summary(&output)
}

/// How many records of a truth have not landed in their newest version.
fn missing(landed: &BTreeMap<String, String>, truth: &BTreeMap<String, String>) -> usize {
    let missing = truth
        .iter()
        .filter(|(id, version)| landed.get(*id) != Some(version));
    missing.count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_than_a_search_shows_are_all_found_though_it_shows_them_late() {
    let sizes = sizes();
    let crm = CrmSim::start(Config {
        contacts: sizes.contacts,
        limit_scale: None,
        ..Config::default()
    })
    .await
    .unwrap();
    // Hours of the CRM pass in this test; its clock must not pass ours.
    let advance = |site: &Site, by_ms: i64| {
        let body = serde_json::json!({ "clock_advance_ms": by_ms });
        site.crm.steer("POST", "settings", &body).unwrap();
    };
    let site = Site::around(crm);
    site.crm.clock().shift(-6 * 3_600_000);
    site.crm.set_search_lag_ms(LAG_MS);
    site.write("token", site.crm.private_app_token());
    site.write_sync(&SyncDocument {
        connector: "hubspot",
        auth: "config: { auth: private_app }\n  secrets: { token: '${file:{folder}/token}' }",
        streams: "[{ name: contacts, mode: incremental, landing: append_dedup, fields: [email, jobtitle] }]",
        target: "{ url: 'file://{folder}/lake', format: jsonl.zst }",
        batch: "{ rows_max: 200000 }",
    });
    site.write_operator(&site.crm, "limit_scale: .inf");
    run(&site).await;
    let history = newest(&site).await;
    assert_eq!(missing(&history, &truth(&site)), 0, "after the history");

    // An hour of work: many more changes than one search shows, and, half-way, more than
    // it shows at one single moment.
    let ids: Vec<u64> = site.crm.current(Kind::Contacts).map(|one| one.id).collect();
    let (tied, spread) = ids[..sizes.changed].split_at(sizes.tied);
    let steps = spread.chunks(spread.len().div_ceil(STEPS));
    for (step, worked) in steps.enumerate() {
        advance(&site, 3_600_000 / STEPS as i64);
        let now_ms = site.crm.clock().now_ms();
        for (before_ms, few) in (0..).zip(worked.chunks(TOGETHER)) {
            site.crm.edit(Kind::Contacts, few, now_ms - before_ms);
        }
        if step == STEPS / 2 {
            let edited = site.crm.edit(Kind::Contacts, tied, now_ms);
            assert!(edited.len() > SEARCH_MAX);
            assert!(
                edited.iter().all(|(_, at_ms)| *at_ms == now_ms),
                "one moment"
            );
        }
    }

    // At once: the index has nothing of the last step yet.
    let early = run(&site).await;
    let unseen = missing(&newest(&site).await, &truth(&site));
    assert!(unseen > 0, "the index did not lag");
    advance(&site, i64::from(LAG_MS) + 1_000);
    let late = run(&site).await;
    let truth = truth(&site);
    let landed = newest(&site).await;
    assert_eq!(landed.len(), truth.len());
    assert_eq!(missing(&landed, &truth), 0, "{unseen} were late");
    // Once, and once more where the second run looked back.
    let most = site.landed().await.into_values().max();
    assert!(most <= Some(2), "a version landed {most:?} times");
    proof_fragment(
        "hubspot-changes",
        &format!(
            "# More changes than HubSpot's search shows\n\n\
             Contacts changed since the last run, through a search that ends at {SEARCH_MAX} results and is {} seconds late.\n\n\
             | | |\n|---|---:|\n| contacts | {} |\n| changed since the last run | {} |\n| of those in one millisecond | {} |\n\
             | not in the index yet when the first run looked | {unseen} |\n\
             | rows, requests, seconds of the first run | {}, {}, {:.1} |\n\
             | rows, requests, seconds of the second | {}, {}, {:.1} |\n\
             | **missed, doubled in the deduplicated view** | **0, 0** |\n",
            LAG_MS / 1_000,
            sizes.contacts,
            sizes.changed,
            sizes.tied,
            early["rows"],
            early["requests"],
            early["seconds"].as_f64().unwrap_or_default(),
            late["rows"],
            late["requests"],
            late["seconds"].as_f64().unwrap_or_default(),
        ),
    );
}
