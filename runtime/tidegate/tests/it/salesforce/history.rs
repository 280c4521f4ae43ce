//! A whole history, then rounds of changes, while everything that Salesforce does to a
//! reader happens: what landed is the org's truth after each.

use crate::salesforce::org::{Options, Site, org_of};
use crate::salesforce::truth::{Landed, Same};
use crate::site::{is_proof, proof_fragment};
use crm_sim::salesforce::{ExtraField, Fault, FieldType, Object, PathKind, Rule, When};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

const OBJECTS: [Object; 2] = [Object::Account, Object::Contact];

/// How much of it.
struct Size {
    /// Of each object.
    records: u32,
    /// Changes of each kind in a round.
    changes: usize,
    /// Of a thousand requests, those that each fault strikes.
    per_mille: u32,
    /// Sessions that expire amid the pages, of each kind.
    expiries: u64,
    config: &'static str,
    batch: &'static str,
}

const SMALL: Size = Size {
    records: 2_400,
    changes: 20,
    per_mille: 40,
    expiries: 2,
    config: "bulk_above: 300, window_records: 280, bulk_page_records: 500",
    batch: "{ rows_max: 900 }",
};
const WHOLE: Size = Size {
    records: 500_000,
    changes: 3_000,
    per_mille: 10,
    expiries: 20,
    config: "window_records: 20000",
    batch: "{ rows_max: 200000 }",
};

/// Every way in which Salesforce fails a request, for a share of them and for one surely.
fn faults(size: &Size) -> Vec<Rule> {
    let ways = [
        (None, Fault::Status(503)),
        (None, Fault::Status(500)),
        (None, Fault::Status(406)),
        // The limit of requests at once: a 403 like that of the day.
        (
            None,
            Fault::Throttle {
                retry_after_s: None,
            },
        ),
        (
            Some(PathKind::BulkResults),
            Fault::Problem("INVALID_QUERY_LOCATOR".to_owned()),
        ),
        (Some(PathKind::Query), Fault::Cut(600)),
        (Some(PathKind::BulkResults), Fault::Cut(600)),
        (None, Fault::Delay(400)),
    ];
    let share = |seed| When::Share {
        per_mille: size.per_mille,
        seed,
    };
    let once = |skip| When::Ordinal { skip, take: 1 };
    // Not twice in a row: a new session that is refused is a person's matter.
    let expiries = (0..size.expiries).flat_map(|at| {
        [PathKind::Query, PathKind::BulkResults].map(|path| Rule {
            path: Some(path),
            when: once(2 + at * 40),
            fault: Fault::ExpireToken,
        })
    });
    let rules = (3..).zip(ways).flat_map(|(at, (path, fault))| {
        [share(at), once(at)].map(|when| Rule {
            path,
            when,
            fault: fault.clone(),
        })
    });
    rules.chain(expiries).collect()
}

/// What was changed, by key: looked at field by field afterwards.
type Touched = BTreeMap<Object, BTreeSet<String>>;

/// A round of changes of every kind to an object.
fn change(site: &Site, object: Object, size: &Size, touched: &mut Touched) {
    let org = &site.org;
    let now_ms = org.clock().now_ms();
    let count = size.changes;
    let mut ids: Vec<u64> = Vec::new();
    // Spread over some minutes, a few in each second.
    let edited = org.edit_count(object, count, now_ms - 120_000, now_ms);
    ids.extend(edited.iter().map(|(id, _)| *id));
    // Ties: all in one second, that of the last edit too.
    let tied: Vec<u64> = ids.iter().copied().step_by(2).collect();
    org.edit(object, &tied, now_ms);
    // Late commits: transactions that began before the last run and end now.
    let late = org.edit_count(object, count, now_ms - 500_000, now_ms - 400_000);
    ids.extend(late.iter().map(|(id, _)| *id));
    // Automation moves the system's time alone.
    org.touch(object, &tied[..tied.len() / 2], now_ms);
    ids.extend(org.create(object, count, now_ms));
    let gone = org.delete_count(object, count, now_ms);
    ids.extend(&gone);
    // Some come back at once, some after the next run; others are gone for good.
    org.undelete(object, &gone[..count / 4], now_ms + 1_000);
    let keys = ids.iter().map(|id| org.wire_id(object, *id));
    touched.entry(object).or_default().extend(keys);
}

/// Brings back what the bin of an object still holds of `share`, and empties it.
fn empty_the_bin(site: &Site, object: Object, count: usize) {
    let deleted = site.org.current(object).filter(|version| version.archived);
    let deleted: Vec<u64> = deleted.map(|version| version.id).take(count).collect();
    let now_ms = site.org.clock().now_ms();
    site.org.undelete(object, &deleted, now_ms);
    site.org.purge(object);
}

/// Edits records while others read, so that they move between pages and windows.
struct Editing {
    over: Arc<AtomicBool>,
    edits: Option<JoinHandle<Vec<(Object, u64)>>>,
}

impl Drop for Editing {
    /// A run that failed leaves nobody behind.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

impl Editing {
    fn begin(site: Arc<Site>) -> Editing {
        let over = Arc::new(AtomicBool::new(false));
        let edits = Some(keep_editing(site, Arc::clone(&over)));
        Editing { over, edits }
    }

    /// Ends; what was edited.
    async fn end(mut self) -> Vec<(Object, u64)> {
        self.over.store(true, Ordering::Release);
        let edits = self.edits.take().expect("it ends once");
        edits.await.unwrap()
    }
}

fn keep_editing(site: Arc<Site>, over: Arc<AtomicBool>) -> JoinHandle<Vec<(Object, u64)>> {
    tokio::task::spawn_blocking(move || {
        let mut moved = Vec::new();
        while !over.load(Ordering::Acquire) {
            for object in OBJECTS {
                let now_ms = site.org.clock().now_ms();
                let edited = site.org.edit_count(object, 2, now_ms, now_ms);
                moved.extend(edited.iter().map(|(id, _)| (object, *id)));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        moved
    })
}

/// A run while records move, then one that finds what has moved.
async fn run(site: &Arc<Site>, touched: &mut Touched) -> f64 {
    let editing = Editing::begin(Arc::clone(site));
    let first = site.sync_to_end().await;
    for (object, id) in editing.end().await {
        let key = site.org.wire_id(object, id);
        touched.entry(object).or_default().insert(key);
    }
    site.pass_minutes(3);
    let second = site.sync_to_end().await;
    first["seconds"].as_f64().unwrap() + second["seconds"].as_f64().unwrap()
}

async fn compare(site: &Site, touched: &Touched, when: &str) -> BTreeMap<Object, Same> {
    let mut same = BTreeMap::new();
    for object in OBJECTS {
        let closely = touched.get(&object).cloned().unwrap_or_default();
        let landed = Landed::of(site, object, &closely).await;
        same.insert(object, landed.assert_is_truth(site, object, when));
    }
    same
}

fn figures(page: &mut String, round: &str, same: &BTreeMap<Object, Same>, seconds: f64) {
    for (object, same) in same {
        writeln!(
            page,
            "| {round} | {} | {} | {} | {} | {} | {seconds:.0} |",
            object.name(),
            same.live,
            same.deleted,
            same.rows,
            same.whole
        )
        .unwrap();
    }
}

const SCORE: &str = "Score__c";

/// A field of each object that is added in the second round and dropped in the third.
fn add_field(site: &Site, touched: &Touched) {
    for object in OBJECTS {
        let added = site.org.add_field(&ExtraField {
            object,
            name: SCORE.to_owned(),
            field_type: FieldType::Double,
            external_id: false,
        });
        assert!(added);
        let now_ms = site.org.clock().now_ms();
        for key in touched[&object].iter().take(30) {
            let id = site.org.parse_id(object, key).unwrap();
            site.org
                .set_field(object, id, SCORE, Some("12.125"), now_ms);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_and_three_rounds_of_changes_land_as_the_truth_among_faults_of_every_kind() {
    let size = if is_proof() { WHOLE } else { SMALL };
    let options = Options {
        config: size.config,
        streams: "[{ name: Account, mode: incremental, landing: append_dedup }, \
                  { name: Contact, mode: incremental, landing: append_dedup }]",
        batch: size.batch,
        // The faults are many, and their waits are not what is measured.
        broker: "limit_scale: .inf\n  refusal_confirmed_after_ms: 100",
        // A field that is new must be known as a number before Bulk tells it.
        node: "discovery_ms: 0",
        ..Options::default()
    };
    let org = org_of(&OBJECTS.map(|object| (object, size.records)));
    let site = Arc::new(Site::new(org, &options).await);
    for rule in faults(&size) {
        site.org.install_fault(rule);
    }
    let mut touched = Touched::new();
    let mut page = String::new();
    let seconds = run(&site, &mut touched).await;
    let same = compare(&site, &touched, "after the history").await;
    assert_eq!(same[&Object::Account].live, size.records as usize);
    figures(&mut page, "history", &same, seconds);

    for object in OBJECTS {
        change(&site, object, &size, &mut touched);
    }
    let seconds = run(&site, &mut touched).await;
    let same = compare(&site, &touched, "after the first round").await;
    figures(&mut page, "1: changes", &same, seconds);

    // A transaction that is open for half an hour, and a field that is new.
    let began_ms = site.org.clock().now_ms();
    site.org.set_open_transaction_ms(Some(began_ms));
    site.pass_minutes(30);
    for object in OBJECTS {
        change(&site, object, &size, &mut touched);
        empty_the_bin(&site, object, size.changes / 4);
    }
    add_field(&site, &touched);
    let seconds = run(&site, &mut touched).await;
    let same = compare(&site, &touched, "after the second round").await;
    assert!(same[&Object::Account].deleted > 0);
    figures(&mut page, "2: a field more", &same, seconds);

    // It commits at last, with times that every run has passed.
    for object in OBJECTS {
        let late = site
            .org
            .edit_count(object, size.changes, began_ms + 60_000, began_ms + 120_000);
        let keys = late.iter().map(|(id, _)| site.org.wire_id(object, *id));
        touched.get_mut(&object).unwrap().extend(keys);
        change(&site, object, &size, &mut touched);
        assert!(site.org.drop_field(object, SCORE));
    }
    site.org.set_open_transaction_ms(None);
    let seconds = run(&site, &mut touched).await;
    let same = compare(&site, &touched, "after the third round").await;
    figures(&mut page, "3: a field less", &same, seconds);

    let counters = site.org.counters();
    let tally = &counters.tally;
    for kind in [
        PathKind::Query,
        PathKind::BulkResults,
        PathKind::Replication,
    ] {
        assert!(tally.requests.contains_key(&kind), "no {kind:?}: {tally:?}");
    }
    assert!(tally.refreshes > 0 && tally.throttled > 0, "{tally:?}");
    proof_fragment(
        "salesforce-truth",
        &format!(
            "# Salesforce: a history and three rounds, among faults\n\n\
             {} Accounts and {} Contacts, by REST and Bulk as the connector chose. While each run reads, records move: 4 are edited every 25 ms. \
             Each round edits, ties, commits late, touches, creates, deletes, undeletes {} records of each kind of change and object; in the second \
             a field comes, a bin is emptied and a transaction stays open for half an hour; in the third that commits, and the field goes. \
             Of a thousand requests each of these strikes {}: 503, 500, 406, the 403 of requests at once, an answer 400 ms late; of queries \
             and pages of results a cut body; of the latter an invalid locator. {} sessions expire amid queries, and as many amid pages of results.\n\n\
             After each round keys, versions and deletes are compared with the org's truth, and what was changed field by field: 0 differences.\n\n\
             | round | object | live | deleted | rows landed | compared whole | s |\n|---|---|---:|---:|---:|---:|---:|\n{page}\n\
             The org saw {} requests ({:?}), failed {} of them, and issued {} tokens for expired ones.\n",
            size.records,
            size.records,
            size.changes,
            size.per_mille,
            size.expiries,
            tally.requests_total,
            tally.requests,
            tally.faulted,
            tally.refreshes
        ),
    );
}
