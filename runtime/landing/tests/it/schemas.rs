//! Schemas that change while a stream is written, and files of several schemas as their
//! readers find them.

use crate::faults::{Blow, Fuse, Mutation};
use crate::world::{World, live, live_as, settings};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;
use tidegate_domain::Fault;
use tidegate_domain::id::{Sha256, StreamKey, StreamName};
use tidegate_domain::record::{Format, Operation};
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::{Content, Object};
use tidegate_domain::stream::GenerationKind;
use tidegate_domain::sync::{Landing, Mode};
use tidegate_landing::encode::{Misfit, Why, encoder, schema_id};
use tidegate_landing::gate::{Gate, Pass};
use tidegate_landing::lake::{self, StreamView, VisibleObject, duckdb_view};
use tidegate_landing::page::{Page, Row, Text};
use tidegate_landing::writer::Settings;
use tidegate_landing::{Error, schema};

fn columns(fields: Value) -> Columns {
    let schema = json!({ "properties": fields }).to_string();
    Columns::from_json_schema(&schema, &[]).unwrap()
}

/// The source's rows have `n`, which these columns do not.
fn narrow() -> Columns {
    columns(json!({"id": {"type": "string"}, "part": {"type": "string"}}))
}

fn wide() -> Columns {
    let found = columns(json!({"n": {"type": "integer"}}));
    narrow().evolve(found.as_slice()).unwrap()
}

/// Widens the columns, or lets nothing pass.
struct Always {
    refuses: bool,
}

#[async_trait]
impl Gate for Always {
    async fn examine(&self, misfits: &[Misfit]) -> Pass {
        assert!(
            misfits
                .iter()
                .all(|it| it.name == "n" && it.why == Why::Unknown)
        );
        match self.refuses {
            false => Pass::Reshape(Arc::new(wide())),
            true => Pass::Refuse {
                fault: Fault::Config,
                source: "it is frozen".into(),
            },
        }
    }
}

fn shaped(format: Format, refuses: bool) -> Settings {
    Settings {
        format,
        columns: Some(Arc::new(narrow())),
        gate: Some(Arc::new(Always { refuses })),
        ..settings()
    }
}

/// The schema ids of the log's objects in order, after a look at each object's header.
async fn schemas(world: &World) -> Vec<String> {
    let target = world.target();
    let view = lake::view(&target, &world.key()).await.unwrap();
    let mut ids = Vec::new();
    for seen in &view.objects {
        let id = seen.object.schema.clone().unwrap();
        let columns = schema::read(&*target, &world.key(), &id).await.unwrap();
        let columns = columns.expect("a slot names it, so it can be looked up");
        assert_eq!(schema_id(&columns), id);
        let bytes = target.read(&seen.key).await.unwrap().unwrap();
        let mut text = String::new();
        let mut plain = flate2::read::MultiGzDecoder::new(&bytes[..]);
        plain.read_to_string(&mut text).unwrap();
        let header: Vec<&str> = text.lines().next().unwrap().split(',').skip(4).collect();
        let names = columns.as_slice().iter().map(|column| column.name.as_str());
        assert_eq!(header, names.chain(["_tg_extra"]).collect::<Vec<_>>());
        ids.push(id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_never_has_two_schemas_whatever_the_crash() {
    let csv = || shaped(Format::CsvGzip, false);
    let undisturbed = World::new();
    let fuse = Fuse::never();
    live_as(undisturbed.stream(&fuse, Mutation::None), csv())
        .await
        .unwrap();
    assert_eq!(undisturbed.landed().await, World::truth());
    let ids = schemas(&undisturbed).await;
    let (old, new) = (schema_id(&narrow()), schema_id(&wide()));
    assert_eq!(
        ids[0], old,
        "the batch that showed the change lands as it is"
    );
    assert!(
        ids.len() > 3 && ids[1..].iter().all(|id| *id == new),
        "{ids:?}"
    );
    let newest = schema::newest(&undisturbed.target(), &undisturbed.key())
        .await
        .unwrap();
    assert_eq!(newest, Some(wide()), "a lost store gets its columns back");

    let step = if std::env::var_os("TIDEGATE_PROOF").is_some() {
        1
    } else {
        5
    };
    for at in (0..fuse.passed()).step_by(step) {
        for blow in [Blow::CrashBefore, Blow::CrashAfter] {
            let world = World::new();
            let fuse = Fuse::at(at, blow);
            tokio::select! {
                _ = live_as(world.stream(&fuse, Mutation::None), csv()) => {}
                () = fuse.blown() => {}
            }
            world.bury_owner().await;
            live_as(world.stream(&Fuse::never(), Mutation::None), csv())
                .await
                .unwrap();
            assert_eq!(
                world.landed().await,
                World::truth(),
                "{blow:?} at operation {at}"
            );
            schemas(&world).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_pass_does_not_land_and_is_read_again() {
    for format in [Format::CsvGzip, Format::JsonlZstd] {
        let world = World::new();
        let stream = world.stream(&Fuse::never(), Mutation::None);
        let error = live_as(stream, shaped(format, true)).await.unwrap_err();
        let is_refused = matches!(
            &error,
            Error::Refused {
                fault: Fault::Config,
                ..
            }
        );
        assert!(is_refused, "{error:?}");
        assert!(world.landed().await.is_empty());
        let staged = std::fs::read_dir(world.stage_dir()).unwrap().count();
        assert_eq!(staged, 0, "nothing is left of it");
        world.bury_owner().await;
        live(world.stream(&Fuse::never(), Mutation::None))
            .await
            .unwrap();
        assert_eq!(world.landed().await, World::truth());
    }
}

/// A log of one stream, made file by file.
struct Log {
    view: StreamView,
    folder: tempfile::TempDir,
}

impl Log {
    fn new(log: &str, landing: Landing) -> Log {
        let world = World::new();
        let key = StreamKey {
            stream: StreamName::parse(log).unwrap(),
            ..world.key()
        };
        Log {
            view: StreamView {
                key,
                how: Some(GenerationKind {
                    mode: Mode::Incremental,
                    landing,
                }),
                complete: false,
                slots: 0,
                objects: Vec::new(),
                rejected: Vec::new(),
                schemas: Default::default(),
                backfills: Vec::new(),
            },
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A file of records, each with its key in `id` and its version in `v`.
    fn add(&mut self, format: Format, columns: &Columns, extracted_at_ms: u64, records: &[Value]) {
        let slot = self.view.objects.len() as u64;
        let path = self
            .folder
            .path()
            .join(format!("{slot}.{}", format.extension()));
        let content = Content::Rows(Operation::Upsert);
        let file = std::fs::File::create(&path).unwrap();
        let mut encoder = encoder(format, Some(columns), file, content).unwrap();
        let (mut body, mut side, mut rows) = (Vec::new(), String::new(), Vec::new());
        let mut text = |text: &str| {
            let start = u32::try_from(side.len()).unwrap();
            side.push_str(text);
            Text::Side(start..u32::try_from(side.len()).unwrap())
        };
        for record in records {
            let start = u32::try_from(body.len()).unwrap();
            body.extend_from_slice(record.to_string().as_bytes());
            rows.push(Row {
                record: start..u32::try_from(body.len()).unwrap(),
                key: text(record["id"].as_str().unwrap()),
                version: Some(text(record["v"].as_str().unwrap())),
                operation: Operation::Upsert,
            });
        }
        let page = Page {
            body: body.into(),
            side: side.into(),
            rows,
            rejected: Vec::new(),
            extracted_at_ms,
            table: None,
        };
        encoder
            .write(&page, &(0..records.len()).collect::<Vec<_>>())
            .unwrap();
        let finished = encoder.finish().unwrap();
        let schema = schema_id(columns);
        self.view.schemas.insert(schema.clone(), columns.clone());
        self.view.objects.push(VisibleObject {
            slot,
            generation: 1,
            object: Object {
                key: String::new(),
                place: None,
                content,
                format,
                sha256: Sha256::from_bytes([0; 32]),
                bytes: finished.bytes,
                rows: finished.rows,
                schema: Some(schema),
            },
            key: String::new(),
            location: format!("file://{}", path.display()),
        });
    }
}

/// What DuckDB answers to a query of the view, as JSON; none where it is not installed.
fn ask(sql: &str, query: &str) -> Option<Value> {
    let python = std::env::var_os("TIDEGATE_TEST_PYTHON")?;
    let script = "import duckdb, json, sys\n\
        base = duckdb.connect()\n\
        base.execute(\"SET TimeZone = 'UTC'\")\n\
        base.execute(sys.argv[1])\n\
        print(json.dumps(base.execute(sys.argv[2]).fetchall(), default=str))";
    let output = std::process::Command::new(python)
        .args(["-c", script, sql, query])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{sql}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn before() -> Columns {
    columns(json!({
        "id": {"type": "string"}, "v": {"type": "string"}, "n": {"type": "integer"},
        "sum": {"type": "string", "format": "decimal", "precision": 30, "scale": 2},
        "at": {"type": "string", "format": "date-time"}, "note": {"type": "string"},
    }))
}

fn after() -> Columns {
    let found = columns(json!({
        "n": {"type": "string"}, "new \"one\"": {"type": "boolean"},
    }));
    before().evolve(found.as_slice()).unwrap()
}

#[test]
fn duckdb_joins_files_of_several_schemas_by_name_and_keeps_every_digit() {
    for format in [Format::CsvGzip, Format::Parquet] {
        let mut log = Log::new("contacts", Landing::AppendDedup);
        log.add(format, &before(), 1, &[
            json!({"id": "a", "v": "1", "n": 9_007_199_254_740_993_i64, "note": ""}),
            json!({"id": "b", "v": "1", "sum": "1234567890123456789012345678.90", "at": "2024-02-29T12:00:00.5+01:00"}),
        ]);
        log.add(format, &after(), 2, &[
            json!({"id": "a", "v": "2", "n": "many", "new \"one\"": true, "note": "x,\"y\"\nz"}),
            json!({"id": "c", "v": "1", "at": 1500}),
        ]);
        let sql = duckdb_view(&log.view);
        let query = "SELECT _tg_key, _tg_version, n, n__text, \"new \"\"one\"\"\", sum, CAST(\"at\" AS VARCHAR), note FROM crm_contacts ORDER BY 1";
        let Some(rows) = ask(&sql, query) else { return };
        assert_eq!(
            rows,
            json!([
                ["a", "2", null, "many", true, null, null, "x,\"y\"\nz"],
                [
                    "b",
                    "1",
                    null,
                    null,
                    null,
                    "1234567890123456789012345678.90",
                    "2024-02-29 11:00:00.5+00",
                    null
                ],
                [
                    "c",
                    "1",
                    null,
                    null,
                    null,
                    null,
                    "1970-01-01 00:00:01.5+00",
                    null
                ],
            ]),
            "{format:?}"
        );
        log.view.how = None;
        let all = ask(
            &duckdb_view(&log.view),
            "SELECT n, note FROM crm_contacts WHERE _tg_version = '1' AND _tg_key = 'a'",
        );
        assert_eq!(
            all,
            Some(json!([[9_007_199_254_740_993_i64, ""]])),
            "{format:?}"
        );
    }
}

fn record(id: &str, v: &str) -> Value {
    json!({"id": id, "v": v})
}

#[test]
fn a_view_of_a_stream_has_its_backfills_too() {
    let mut own = Log::new("contacts", Landing::AppendDedup);
    own.add(
        Format::Parquet,
        &before(),
        2_000,
        &[record("a", "5"), record("b", "5")],
    );
    let mut early = Log::new("contacts.backfill-1-2", Landing::AppendDedup);
    early.add(
        Format::Parquet,
        &after(),
        1_000,
        &[record("a", "4"), record("gone", "1")],
    );
    let mut late = Log::new("contacts.backfill-3-4", Landing::AppendDedup);
    late.add(
        Format::Parquet,
        &after(),
        3_000,
        &[record("b", "6"), record("c", "1")],
    );
    let mut other = Log::new("deals.backfill-x-2", Landing::Append);
    other.add(Format::Parquet, &before(), 1, &[record("d", "1")]);

    let views = [&early, &other, &own, &late].map(|log| log.view.clone());
    let mut views = lake::with_backfills(views.to_vec());
    let names: Vec<&str> = views.iter().map(|view| view.key.stream.as_str()).collect();
    assert_eq!(
        names,
        ["deals.backfill-x-2", "contacts"],
        "a name that is none of ours"
    );
    let beside: BTreeSet<&str> = views[1]
        .backfills
        .iter()
        .map(|view| view.key.stream.as_str())
        .collect();
    assert_eq!(
        beside,
        BTreeSet::from(["contacts.backfill-1-2", "contacts.backfill-3-4"])
    );
    let query = "SELECT _tg_key, _tg_version FROM crm_contacts ORDER BY 1";
    let mut shown = |change: &dyn Fn(&mut StreamView)| {
        change(&mut views[1]);
        ask(&duckdb_view(&views[1]), query)
    };
    let Some(rows) = shown(&|_| {}) else { return };
    assert_eq!(
        rows,
        json!([["a", "5"], ["b", "6"], ["c", "1"], ["gone", "1"]])
    );
    // A complete pass at 2,000 did not see `gone`: a backfill from before brings
    // nothing back.
    let rows = shown(&|view| view.complete = true);
    assert_eq!(rows, Some(json!([["a", "5"], ["b", "6"], ["c", "1"]])));
    let rows = shown(&|view| {
        view.how = view.how.map(|how| GenerationKind {
            landing: Landing::Append,
            ..how
        })
    });
    assert_eq!(rows.unwrap().as_array().unwrap().len(), 6);

    let alone = lake::with_backfills(vec![late.view.clone()]);
    assert_eq!(alone[0].key.stream.as_str(), "contacts");
    let rows = ask(&duckdb_view(&alone[0]), query);
    assert_eq!(rows, Some(json!([["b", "6"], ["c", "1"]])));
}

#[test]
fn a_live_log_is_shown_with_the_stream_that_it_is_of() {
    let mut own = Log::new("contacts", Landing::AppendDedup);
    own.add(
        Format::Parquet,
        &before(),
        1_000,
        &[record("a", "5"), record("b", "5")],
    );
    let mut live = Log::new("contacts.live", Landing::AppendDedup);
    live.add(
        Format::Parquet,
        &before(),
        2_000,
        &[record("b", "6"), record("c", "1")],
    );
    let views = lake::with_backfills(vec![live.view.clone(), own.view.clone()]);
    assert_eq!(views.len(), 1);
    assert_eq!(views[0].key.stream.as_str(), "contacts");
    assert_eq!(views[0].backfills[0].key.stream.as_str(), "contacts.live");
    let query = "SELECT _tg_key, _tg_version FROM crm_contacts ORDER BY 1";
    if let Some(rows) = ask(&duckdb_view(&views[0]), query) {
        assert_eq!(rows, json!([["a", "5"], ["b", "6"], ["c", "1"]]));
    }
}
