//! Sources that change under a sync, before and while it reads.

use crate::plant::{Plant, contacts, sync_document};
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, RecordBatch};
use crm_sim::hubspot::{Kind, PropertyChange, PropertyType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tidegate_domain::id::{ConnectionId, StreamKey, TenantId};
use tidegate_domain::job::{JobRequest, JobState, StreamOutcome, Warning, WarningKind};
use tidegate_engine::contracts;
use tidegate_landing::lake::StreamView;
use tidegate_store::clock::now_ms;
use tidegate_store::queue::QueuedJob;
use tidegate_store::schemas::CatalogKey;

const COLUMN: &str = "properties__renewal";

/// A plant whose sync lands all fields as Parquet under a policy. The catalog may be of
/// this age when a job begins.
async fn plant(records: u32, policy: &str, discovery_ms: u64) -> (Plant, TenantId) {
    let plant = Plant::with(records, |config| config.discovery_ms = discovery_ms).await;
    let tenant = plant.add_tenant("acme").await;
    put(&plant, &tenant, policy, json!([])).await;
    (plant, tenant)
}

async fn put(plant: &Plant, tenant: &TenantId, policy: &str, fields: Value) {
    let mut document = sync_document(plant);
    document["schema_policy"] = json!(policy);
    document["streams"][0]["fields"] = fields;
    document["target"]["format"] = json!("parquet");
    plant.put_sync(tenant, "crm", document, &[]).await;
}

/// The CRM's administrator adds the property, drops it, or gives it another type.
fn administer(plant: &Plant, archived: bool, property_type: PropertyType) {
    let change = PropertyChange {
        archived: Some(archived),
        property_type: Some(property_type),
    };
    assert!(plant.crm.change_property(Kind::Contacts, "renewal", change));
}

/// A run reads up to the last whole second of the provider's clock.
fn lately() -> i64 {
    i64::try_from(now_ms()).unwrap() - 5_000
}

/// Writes the property of some contacts.
fn fill(plant: &Plant, count: usize, value: &str) -> Vec<String> {
    let ids = plant
        .crm
        .edit_count(Kind::Contacts, count, lately(), lately());
    let ids = ids.into_iter().map(|(id, _)| id);
    ids.map(|id| {
        let written = plant
            .crm
            .set_property(Kind::Contacts, id, "renewal", Some(value), lately());
        assert!(written.is_some());
        id.to_string()
    })
    .collect()
}

/// All rows of an object.
async fn batches(view: &StreamView, at: usize) -> Vec<RecordBatch> {
    let path = view.objects[at]
        .location
        .trim_start_matches("file://")
        .to_owned();
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    reader.map(Result::unwrap).collect()
}

/// The keys of rows with a value in this column, over all objects that have it.
async fn keys_with(view: &StreamView, column: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for at in 0..view.objects.len() {
        for batch in batches(view, at).await {
            let Some(values) = batch.column_by_name(column) else {
                continue;
            };
            let all = batch.column_by_name("_tg_key").unwrap().as_string::<i32>();
            let filled = (0..batch.num_rows()).filter(|row| values.is_valid(*row));
            keys.extend(filled.map(|row| all.value(row).to_owned()));
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

async fn extras(view: &StreamView) -> Vec<String> {
    let mut extras = Vec::new();
    for at in 0..view.objects.len() {
        for batch in batches(view, at).await {
            let all = batch
                .column_by_name("_tg_extra")
                .unwrap()
                .as_string::<i32>();
            extras.extend(all.iter().flatten().map(str::to_owned));
        }
    }
    extras
}

fn schemas(view: &StreamView) -> Vec<String> {
    let ids = view
        .objects
        .iter()
        .map(|seen| seen.object.schema.clone().unwrap());
    ids.collect()
}

fn warnings(job: &QueuedJob) -> Vec<Warning> {
    job.row.job.warnings.values().flatten().cloned().collect()
}

fn told(job: &QueuedJob) -> String {
    warnings(job)
        .into_iter()
        .map(|warning| warning.text + "; ")
        .collect()
}

/// Subjects and bodies of the `schema.changed` events.
async fn events(plant: &Plant, tenant: &TenantId) -> Vec<(String, Value)> {
    let events = plant.node.store.events(tenant, 0, 999).await.unwrap();
    let events = events
        .into_iter()
        .filter(|row| row.event.kind == "schema.changed");
    events
        .map(|row| {
            (
                row.event.subject,
                serde_json::from_str(&row.event.body).unwrap(),
            )
        })
        .collect()
}

fn reason(job: &QueuedJob) -> String {
    match job.row.job.streams.values().next() {
        Some(StreamOutcome::Failed { reason, .. }) => reason.clone(),
        other => panic!("{other:?}"),
    }
}

async fn fails(plant: &Plant, tenant: &TenantId) -> String {
    let working = plant.work();
    let job = plant.enqueue(tenant, JobRequest::Sync).await;
    let failed = plant.to_state(tenant, &job, JobState::Failed).await;
    working.drain().await;
    reason(&failed)
}

async fn accept(plant: &Plant, tenant: &TenantId) {
    let store = &*plant.node.store;
    let key = CatalogKey {
        tenant: tenant.clone(),
        connection: ConnectionId::parse("hubspot").unwrap(),
    };
    let newest = store.catalog(&key, None).await.unwrap().unwrap();
    let mut document = sync_document(plant);
    document["schema_policy"] = json!("freeze");
    document["streams"][0]["fields"] = json!([]);
    let spec = serde_json::from_value(document).unwrap();
    let sync = crate::plant::sync();
    contracts::accept(store, tenant, &sync, &spec, &newest.catalog)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_evolve_a_new_field_is_a_new_column_and_a_new_schema_of_new_files() {
    let (plant, tenant) = plant(300, "evolve", 0).await;
    let first = plant.run(&tenant, JobRequest::Sync).await;
    assert_eq!(warnings(&first), []);
    assert_eq!(events(&plant, &tenant).await, []);
    let before = plant.view(&tenant, "contacts").await;

    administer(&plant, false, PropertyType::Bool);
    let filled = fill(&plant, 5, "true");
    let second = plant.run(&tenant, JobRequest::Sync).await;
    assert!(
        told(&second).contains("new field /properties/renewal (boolean)"),
        "{}",
        told(&second)
    );
    let view = plant.view(&tenant, "contacts").await;
    assert_eq!(keys_with(&view, COLUMN).await, filled_sorted(filled));
    assert!(extras(&view).await.is_empty());
    let ids = schemas(&view);
    let (old, new) = ids.split_at(before.objects.len());
    assert!(old.iter().all(|id| *id == ids[0]) && new.iter().all(|id| *id != ids[0]));
    let told_of = events(&plant, &tenant).await;
    let subjects: Vec<&str> = told_of
        .iter()
        .map(|(subject, _)| subject.as_str())
        .collect();
    assert_eq!(subjects, ["connection hubspot", "stream crm/contacts"]);
    let change =
        json!({"change": "field_added", "field": "/properties/renewal", "type": "boolean"});
    assert_eq!(
        told_of[0].1["changes"],
        json!([{"stream": "contacts", "changes": [change]}])
    );
    assert_eq!(told_of[1].1["after"], json!(new[0]));

    // Another type than the column's: a column beside, and the old one stays.
    administer(&plant, false, PropertyType::Date);
    let dated = fill(&plant, 3, "2027-01-31");
    plant.run(&tenant, JobRequest::Sync).await;
    let view = plant.view(&tenant, "contacts").await;
    assert_eq!(
        keys_with(&view, &format!("{COLUMN}__date")).await,
        filled_sorted(dated)
    );

    // Gone: its columns stay, null, and the job says so once.
    administer(&plant, true, PropertyType::Date);
    let last = plant.run(&tenant, JobRequest::Sync).await;
    assert!(
        told(&last).contains("field /properties/renewal is gone"),
        "{}",
        told(&last)
    );
    let quiet = plant.run(&tenant, JobRequest::Sync).await;
    assert_eq!(warnings(&quiet), []);
    assert_eq!(plant.view(&tenant, "contacts").await.schemas.len(), 3);
}

fn filled_sorted(mut keys: Vec<String>) -> Vec<String> {
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_warn_the_columns_stay_and_every_job_says_so() {
    let (plant, tenant) = plant(300, "warn", 0).await;
    plant.run(&tenant, JobRequest::Sync).await;
    administer(&plant, false, PropertyType::Bool);
    fill(&plant, 5, "true");
    for _ in 0..2 {
        let job = plant.run(&tenant, JobRequest::Sync).await;
        let kinds: Vec<WarningKind> = warnings(&job).iter().map(|warning| warning.kind).collect();
        assert_eq!(
            kinds,
            [WarningKind::SchemaChanged, WarningKind::UnknownFields]
        );
        assert!(
            told(&job).contains("new field /properties/renewal"),
            "{}",
            told(&job)
        );
    }
    let view = plant.view(&tenant, "contacts").await;
    assert_eq!(view.schemas.len(), 1);
    let extras = extras(&view).await;
    assert!(!extras.is_empty());
    assert!(
        extras
            .iter()
            .all(|extra| extra == &format!(r#"{{"{COLUMN}":"true"}}"#)),
        "{extras:?}"
    );
    assert_eq!(
        events(&plant, &tenant).await.len(),
        1,
        "the source changed once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_freeze_nothing_of_a_new_shape_lands_until_a_person_accepts_it() {
    let (plant, tenant) = plant(300, "freeze", 600_000).await;
    plant.run(&tenant, JobRequest::Sync).await;
    let before = plant.view(&tenant, "contacts").await;
    administer(&plant, false, PropertyType::Bool);
    let filled = fill(&plant, 5, "true");
    // The catalog is young, so the rows are what shows it.
    let reason = fails(&plant, &tenant).await;
    for part in [
        "new field /properties/renewal",
        "/v1/syncs/crm/schema/accept",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    let requests = plant.crm.counters().requests_total;
    fails(&plant, &tenant).await;
    // Once more it is known; the source is only asked whether it still is so.
    assert_eq!(plant.crm.counters().requests_total - requests, 6);
    let view = plant.view(&tenant, "contacts").await;
    assert_eq!(view.objects, before.objects);

    accept(&plant, &tenant).await;
    let done = plant.run(&tenant, JobRequest::Sync).await;
    assert_eq!(warnings(&done), []);
    let view = plant.view(&tenant, "contacts").await;
    assert_eq!(keys_with(&view, COLUMN).await, filled_sorted(filled));
    assert!(extras(&view).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_comes_while_a_stream_is_read_splits_files_at_a_batch() {
    let (plant, tenant) = plant(3_000, "evolve", 600_000).await;
    plant.slow_down(100);
    let first = plant.work();
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    plant.until_rows(&first, &tenant, &job).await;
    first.drain().await;
    let landed = plant.view(&tenant, "contacts").await.objects.len();
    administer(&plant, false, PropertyType::Bool);
    let ids: Vec<u64> = plant
        .crm
        .current(Kind::Contacts)
        .map(|version| version.id)
        .collect();
    for id in ids {
        plant
            .crm
            .set_property(Kind::Contacts, id, "renewal", Some("true"), lately());
    }
    plant.crm.clear_faults();
    let second = plant.work();
    let done = plant.to_state(&tenant, &job, JobState::Succeeded).await;
    second.drain().await;
    assert!(
        told(&done).contains("new field /properties/renewal"),
        "{}",
        told(&done)
    );

    let view = plant.view(&tenant, "contacts").await;
    let ids = schemas(&view);
    let turn = ids
        .iter()
        .position(|id| *id != ids[0])
        .expect("the columns changed");
    assert!(
        turn >= landed && ids[turn..].iter().all(|id| *id == ids[turn]),
        "{ids:?}"
    );
    for at in 0..ids.len() {
        for batch in batches(&view, at).await {
            let has_column = batch.column_by_name(COLUMN).is_some();
            assert_eq!(has_column, at >= turn, "object {at}");
        }
    }
    // What showed the change kept its values.
    let extras = extras(&view).await;
    assert!(!extras.is_empty() && extras.iter().all(|extra| extra.contains(COLUMN)));
    let rows: u64 = view.objects.iter().map(|seen| seen.object.rows).sum();
    assert_eq!(rows, 3_000);
    let subjects: Vec<String> = events(&plant, &tenant)
        .await
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(subjects, ["connection hubspot", "stream crm/contacts"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_young_catalog_is_not_asked_for_again_and_a_slip_in_a_field_is_refused() {
    let (plant, tenant) = plant(300, "warn", 600_000).await;
    plant.run(&tenant, JobRequest::Sync).await;
    put(&plant, &tenant, "warn", json!(["emial"])).await;
    let reason = fails(&plant, &tenant).await;
    assert!(
        reason.contains("it has no field emial; did you mean email?"),
        "{reason}"
    );

    // A field that came since the last discovery is looked for before it is refused.
    administer(&plant, false, PropertyType::Bool);
    put(&plant, &tenant, "freeze", json!(["email", "renewal"])).await;
    let filled = fill(&plant, 5, "true");
    let done = plant.run(&tenant, JobRequest::Sync).await;
    assert_eq!(warnings(&done), [], "a field that is named is wanted");
    let view = plant.view(&tenant, "contacts").await;
    assert_eq!(keys_with(&view, COLUMN).await, filled_sorted(filled));

    let store = &plant.node.store;
    let key = StreamKey {
        tenant: tenant.clone(),
        sync: crate::plant::sync(),
        stream: contacts(),
    };
    let contract = store.contract(&key).await.unwrap().unwrap().contract;
    assert!(contract.columns.live("/properties/renewal").is_some());
}
