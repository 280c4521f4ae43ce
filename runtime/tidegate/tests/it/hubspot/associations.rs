//! What records are related to, end to end: associations, stages, owners and
//! pipelines land as the simulator has them, again after everything has changed.

use crate::site::{Site, SyncDocument, is_proof, proof_fragment, summary};
use crm_sim::hubspot::{Config, CrmSim, CustomType, Fault, Kind, Rule, When};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_landing::lake;
use tidegate_store::clock::now_ms;

/// Each pair of types that is associated, by the name of its stream.
const PAIRS: [(&str, Kind, Kind); 6] = [
    ("contacts-to-companies", Kind::Contacts, Kind::Companies),
    ("deals-to-contacts", Kind::Deals, Kind::Contacts),
    ("deals-to-companies", Kind::Deals, Kind::Companies),
    ("tickets-to-contacts", Kind::Tickets, Kind::Contacts),
    (MACHINES_TO_CONTACTS, Kind::Custom(0), Kind::Contacts),
    ("companies-to-companies", Kind::Companies, Kind::Companies),
];
const MACHINES_TO_CONTACTS: &str = "p20858235_machine-to-contacts";

/// Associated ids and kinds of association, by the record that they belong to.
type Edges = BTreeMap<u64, BTreeMap<u64, Vec<u32>>>;

fn many(small: u32) -> u32 {
    if is_proof() { small * 100 } else { small }
}

async fn site() -> Site {
    let site = Site::around(
        CrmSim::start(Config {
            contacts: many(1_500),
            companies: many(60),
            deals: many(400),
            tickets: many(200),
            custom_types: vec![CustomType::machines(many(100))],
            // So that some records have more associations than one answer shows.
            association_page_max: 2,
            limit_scale: None,
            ..Config::default()
        })
        .await
        .unwrap(),
    );
    let mut streams = String::from("\n");
    let whole = ["owners", "deals-pipelines", "tickets-pipelines"];
    for name in PAIRS.map(|(name, _, _)| name).into_iter().chain(whole) {
        streams.push_str(&format!(
            "  - {{ name: {name}, mode: full_refresh, landing: overwrite }}\n"
        ));
    }
    for name in ["deals-stages", "tickets-stages"] {
        streams.push_str(&format!(
            "  - {{ name: {name}, mode: incremental, landing: append_dedup }}\n"
        ));
    }
    site.write("token", site.crm.private_app_token());
    site.write_sync(&SyncDocument {
        connector: "hubspot",
        auth: "config: { auth: private_app }\n  secrets: { token: '${file:{folder}/token}' }",
        streams: &streams,
        target: "{ url: 'file://{folder}/lake', format: jsonl.zst }",
        batch: "{ rows_max: 100000 }",
    });
    site.write_operator(&site.crm, "limit_scale: .inf");
    for (seed, fault) in (1..).zip([Fault::Status(502), Fault::Status(500), Fault::Cut(500)]) {
        let when = When::Share { per_mille: 5, seed };
        let path = None;
        site.crm.install_fault(Rule { path, when, fault });
    }
    site
}

/// The rows of a stream that readers see, oldest first.
async fn rows(site: &Site, stream: &str) -> Vec<Value> {
    let key = StreamKey {
        tenant: TenantId::parse("acme").unwrap(),
        sync: SyncId::parse("crm").unwrap(),
        stream: StreamName::parse(stream).unwrap(),
    };
    let target = site.lake();
    let view = lake::view(&target, &key).await.unwrap();
    assert!(view.rejected.is_empty(), "{stream}: rows were refused");
    let mut rows = Vec::new();
    for seen in view.objects {
        let bytes = target.read(&seen.key).await.unwrap();
        let bytes = bytes.expect("a slot names it");
        let text = std::io::BufReader::new(zstd::Decoder::new(&bytes[..]).unwrap());
        let lines = text.lines();
        rows.extend(lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()));
    }
    rows
}

fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        value => value.as_u64().unwrap(),
    }
}

/// The associations of a stream; fails where one is there twice.
async fn landed(site: &Site, stream: &str) -> Edges {
    let mut edges = Edges::new();
    let mut keys = BTreeSet::new();
    for row in rows(site, stream).await {
        assert!(keys.insert(row["_tg_key"].to_string()), "{stream}: {row}");
        let ends = edges.entry(number(&row["from"]["id"])).or_default();
        for end in row["to"].as_array().unwrap() {
            let types = end["associationTypes"].as_array().unwrap().iter();
            let types = types.map(|one| u32::try_from(number(&one["typeId"])).unwrap());
            let twice = ends.insert(number(&end["toObjectId"]), types.collect());
            assert_eq!(twice, None, "{stream}: {row}");
        }
    }
    edges
}

async fn assert_landed(site: &Site, when: &str) -> u64 {
    let mut count = 0;
    for (stream, from, to) in PAIRS {
        let truth: Edges = site.crm.associations(from, to).collect();
        let landed = landed(site, stream).await;
        let same = landed == truth;
        let lost = truth
            .iter()
            .filter(|(id, ends)| landed.get(id) != Some(ends));
        let lost: Vec<_> = lost.take(3).collect();
        assert!(
            same,
            "{stream} after {when}: of these something is missing: {lost:?}"
        );
        count += truth.values().map(|ends| ends.len() as u64).sum::<u64>();
    }
    for (stream, kind, stage) in [
        ("deals-stages", Kind::Deals, "dealstage"),
        ("tickets-stages", Kind::Tickets, "hs_pipeline_stage"),
    ] {
        let mut newest: BTreeMap<u64, (String, Value)> = BTreeMap::new();
        for row in rows(site, stream).await {
            let version = row["_tg_version"].as_str().unwrap().to_owned();
            let known = newest.entry(number(&row["_tg_key"])).or_default();
            if version >= known.0 {
                *known = (version, row);
            }
        }
        newest.retain(|_, (_, row)| row["_tg_op"] != "delete");
        let live = site.crm.current(kind).filter(|one| !one.archived);
        let expected: BTreeMap<u64, String> = live
            .map(|one| (one.id, crm_sim::hubspot::iso(one.modified_ms)))
            .collect();
        let found: BTreeMap<u64, String> = newest
            .iter()
            .map(|(id, (version, _))| (*id, version.clone()))
            .collect();
        let wrong = found
            .iter()
            .filter(|one| expected.get(one.0) != Some(one.1));
        let lost = expected
            .iter()
            .filter(|one| found.get(one.0) != Some(one.1));
        let wrong: Vec<_> = wrong.take(3).collect();
        let lost: Vec<_> = lost.take(3).collect();
        assert!(
            found == expected,
            "{stream} after {when}: {wrong:?} for {lost:?}"
        );
        for (id, (_, row)) in &newest {
            let truth = site.crm.record_json(kind, *id).unwrap();
            let truth: Value = serde_json::from_str(&truth).unwrap();
            let history = row["propertiesWithHistory"][stage].as_array().unwrap();
            assert_eq!(
                history[0]["value"], truth["properties"][stage],
                "{stream} {id}"
            );
        }
    }
    count
}

/// Ends, begins and moves associations, most of which no record's own time tells.
fn change(site: &Site, round: u64) {
    let crm = &site.crm;
    let now = i64::try_from(now_ms()).unwrap();
    for (_, from, to) in PAIRS {
        let known: Vec<(u64, u64)> = crm
            .associations(from, to)
            .flat_map(|(id, ends)| ends.into_keys().map(move |end| (id, end)))
            .collect();
        let others: Vec<u64> = crm
            .current(to)
            .filter(|one| !one.archived)
            .map(|one| one.id)
            .collect();
        for (place, (id, end)) in (round..).zip(&known).step_by(7) {
            crm.associate((from, *id), (to, *end), false);
            let other = others[usize::try_from(place * 31).unwrap() % others.len()];
            crm.associate((from, *id), (to, other), true);
        }
        let hub = crm.current(from).find(|one| !one.archived).unwrap().id;
        for other in others.iter().skip(usize::try_from(round).unwrap()).take(9) {
            crm.associate((from, hub), (to, *other), true);
        }
    }
    let deals: Vec<u64> = crm
        .current(Kind::Deals)
        .filter(|one| !one.archived)
        .map(|one| one.id)
        .collect();
    for id in deals.iter().skip(3).step_by(5) {
        let stage = if round == 1 {
            "contractsent"
        } else {
            "closedwon"
        };
        crm.set_property(Kind::Deals, *id, "dealstage", Some(stage), now);
    }
    crm.merge(Kind::Deals, deals[0], deals[1], now).unwrap();
    crm.archive(Kind::Deals, &deals[2..3], now);
    crm.archive_count(Kind::Companies, 2, now);
    crm.create(Kind::Tickets, 5, now);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn associations_and_stages_land_as_they_are_and_as_they_become() {
    let site = site().await;
    let mut count = 0;
    let mut requests = 0;
    for round in 0..3 {
        if round > 0 {
            change(&site, round);
            // What changed in the last second lies beyond the bound by a whole-second date.
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        }
        let output = site.run(site.sync()).await;
        assert!(output.status.success(), "{}", crate::site::shown(&output));
        requests += summary(&output)["requests"].as_u64().unwrap();
        count = assert_landed(&site, &format!("round {round}")).await;
    }
    assert!(site.crm.counters().faulted > 0, "no fault struck");
    let owners = rows(&site, "owners").await;
    assert_eq!(owners.len(), 24);
    let stages = |rows: &[Value]| rows[0]["stages"].as_array().unwrap().len();
    assert_eq!(stages(&rows(&site, "deals-pipelines").await), 6);
    assert_eq!(stages(&rows(&site, "tickets-pipelines").await), 4);
    proof_fragment(
        "hubspot-associations",
        &format!(
            "# HubSpot's associations and stages land as they are\n\n\
             Three readings of six pairs of types and of the stages of deals and tickets, a seventh of the associations and a fifth of the deals' stages changed in between, with faults; \
             two associations on a page, so that most records take several.\n\n\
             | | |\n|---|---:|\n| associations at the end | {count} |\n| requests | {requests} |\n\
             | struck by a fault | {} |\n| **lost, doubled, stale** | **0, 0, 0** |\n",
            site.crm.counters().faulted
        ),
    );
}
