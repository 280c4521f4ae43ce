//! What only a file can get wrong of the control plane: upgrades, forged audit
//! logs, claims of dead processes, backups.

use crate::fixtures::{
    LONG_MS, commit, event, intent, key, make_tenant, new_job, put_job, put_tenant, settled,
    sha256, state, sync, tenant, token,
};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use tempfile::TempDir;
use tidegate_domain::id::JobId;
use tidegate_domain::job::{JobState, StreamOutcome};
use tidegate_store::control::{AuditVerdict, ControlStore as _, DocumentKind, Expected, Write};
use tidegate_store::events::EventStore as _;
use tidegate_store::grants::{GrantKey, GrantState, GrantStore as _};
use tidegate_store::jobs::JobStore as _;
use tidegate_store::kv::{KvScope, KvStore as _};
use tidegate_store::limits::{LimitStore as _, Reserved};
use tidegate_store::queue::QueueStore as _;
use tidegate_store::schedules::ScheduleStore as _;
use tidegate_store::sqlite::FILE_NAME;
use tidegate_store::streams::StreamStore as _;
use tidegate_store::upkeep::UpkeepStore as _;
use tidegate_store::{Error, SqliteStore};
use tokio::task::JoinSet;

fn open(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(dir.path()).unwrap()
}

fn raw(dir: &TempDir) -> Connection {
    Connection::open(dir.path().join(FILE_NAME)).unwrap()
}

/// A database as schema 1 left it, with a row in every table.
fn first_schema(dir: &TempDir) {
    let database = raw(dir);
    let schema = include_str!("../../src/sqlite/migrations/0001_initial.sql");
    database.execute_batch(schema).unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
    let staged = serde_json::to_string(&state(1)).unwrap();
    let (empty, one) = (serde_json::to_string(&state(0)).unwrap(), intent(0, 0));
    database
        .execute(
            "INSERT INTO streams VALUES (1, 'acme', 'crm', 's', 4, ?1, 9e12, ?2, ?3, 7, ?4, 1)",
            (token(1).to_string(), staged, empty, sha256(3).as_str()),
        )
        .unwrap();
    database
        .execute(
            "INSERT INTO intents VALUES (1, 0, ?1, ?2, 'uploaded')",
            (
                serde_json::to_string(&one.change).unwrap(),
                serde_json::to_string(&one.objects).unwrap(),
            ),
        )
        .unwrap();
    database
        .execute_batch(
            r#"INSERT INTO grants VALUES ('acme', 'crm-eu', 'oauth', 2, x'0102', 'unknown', NULL, 0);
            INSERT INTO data_keys VALUES ('acme', x'03');
            INSERT INTO kv VALUES ('acme', 'crm-eu', CAST('k' AS BLOB), x'04');
            INSERT INTO jobs VALUES ('j', 'acme', 'crm',
                '{"state":"running","attempts":1,"fruitless":2,
                  "streams":{"contacts":{"outcome":"failed","fault":"auth","reason":"no"}}}', 0, 5, 6);
            INSERT INTO reserved_units VALUES ('daily', 7, 8);"#,
        )
        .unwrap();
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_upgraded_with_all_it_holds() {
    let dir = TempDir::new().unwrap();
    first_schema(&dir);
    let store = open(&dir);
    let version = raw(&dir).pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    assert_eq!(version.unwrap(), 7);
    let row = store.load(&key("s")).await.unwrap();
    assert_eq!((row.staged, row.epoch, row.log_tail), (state(1), 4, 7));
    assert_eq!(row.intents.len(), 1);
    let grant = GrantKey {
        tenant: tenant(),
        connection: crate::fixtures::connection(),
        method: "oauth".to_owned(),
    };
    let grant = store.grant(&grant).await.unwrap().unwrap();
    assert_eq!((grant.version, grant.state), (2, GrantState::Unknown));
    assert_eq!(store.data_key(&tenant()).await.unwrap(), Some(vec![3]));
    let scope = KvScope {
        tenant: tenant(),
        connection: crate::fixtures::connection(),
    };
    assert_eq!(store.kv_get(&scope, "k").await.unwrap(), Some(vec![4]));
    let limits = store.reserved_units("daily").await.unwrap();
    let kept = Reserved {
        at_ms: 7,
        units: 8,
        is_settled: false,
    };
    assert_eq!(limits, [kept]);
    let job = store
        .job(&JobId::parse("j").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((job.job.attempts, job.job.streams.len()), (1, 1));

    // And it serves: the old job is none of the queue's.
    make_tenant(&store).await;
    put_job(&store, new_job("new"), true).await;
    let due = store.candidates(9_999).await.unwrap().due;
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].id.as_str(), "new");
    drop(store);
    open(&dir);
}

/// The verdict after a statement behind the store's back.
async fn verdict_after(sql: &str) -> AuditVerdict {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    make_tenant(&store).await;
    for _ in 0..3 {
        store.commit(commit(tenant(), Vec::new())).await.unwrap();
    }
    drop(store);
    let database = raw(&dir);
    database
        .execute_batch("DROP TRIGGER audit_is_never_changed")
        .unwrap();
    database
        .execute_batch("DROP TRIGGER audit_goes_from_its_start")
        .unwrap();
    database.execute_batch(sql).unwrap();
    open(&dir).verify_audit().await.unwrap()
}

#[tokio::test]
async fn a_forged_audit_log_breaks_at_the_first_forged_entry() {
    for (sql, seq) in [
        ("UPDATE audit SET subject = 'else' WHERE seq = 2", 2),
        ("UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 1", 1),
        ("UPDATE audit SET tenant = '?' WHERE seq = 4", 4),
        ("UPDATE audit SET origin = '' WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 1", 1),
        (
            "UPDATE audit SET sha256 = (SELECT sha256 FROM audit WHERE seq = 1) WHERE seq = 3",
            3,
        ),
        ("UPDATE audit SET seq = seq + 1 WHERE seq = 4", 4),
    ] {
        let verdict = verdict_after(sql).await;
        assert_eq!(verdict, AuditVerdict::Broken { seq }, "{sql}");
    }
    let untouched = verdict_after("SELECT 1").await;
    assert!(matches!(untouched, AuditVerdict::Intact { entries: 4, .. }));
}

#[tokio::test]
async fn the_file_itself_refuses_to_change_the_audit_log() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    make_tenant(&store).await;
    for sql in [
        "UPDATE audit SET subject = 'else'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit",
    ] {
        let refused = raw(&dir).execute(sql, []);
        assert!(refused.is_err(), "{sql}: {refused:?}");
    }
    let verdict = store.verify_audit().await.unwrap();
    assert!(matches!(verdict, AuditVerdict::Intact { entries: 1, .. }));
}

#[tokio::test]
async fn a_dead_process_leaves_its_job_to_the_next_which_fences_it() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    make_tenant(&store).await;
    put_job(&store, new_job("j"), false).await;
    let id = new_job("j").id;
    let claimed = store.claim(&id, token(1), 5_000, LONG_MS).await.unwrap();
    let (stale, queued) = claimed.unwrap();
    drop(store);
    let store = open(&dir);
    assert_eq!(store.candidates(5_000).await.unwrap().due.len(), 1);
    let claimed = store.claim(&id, token(2), 5_000, LONG_MS).await.unwrap();
    let (fresh, _) = claimed.unwrap();
    assert_eq!(fresh.epoch, 2);
    let done = settled(queued.row.job, StreamOutcome::Succeeded, 5_000);
    let late = store.settle(&stale, done.clone()).await;
    assert!(matches!(late, Err(Error::ClaimLost { .. })), "{late:?}");
    store.settle(&fresh, done).await.unwrap();
    let attempts = store.attempts(&tenant(), &id).await.unwrap();
    assert_eq!(attempts.len(), 1);
}

/// The state directory as a kill at this moment would leave it.
fn killed(dir: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("{FILE_NAME}{suffix}");
        fs::copy(dir.path().join(&name), copy.path().join(&name)).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_kill_after_any_step_leaves_the_step_done_and_no_other() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    make_tenant(&store).await;
    let id = new_job("j").id;
    let schedule = Write::SetSchedule {
        sync: sync(),
        next_at_ms: Some(1_000),
    };
    store
        .commit(commit(tenant(), vec![schedule]))
        .await
        .unwrap();
    let due = store.due_schedules(1_000, 9).await.unwrap().due.remove(0);
    let enqueue = tidegate_store::queue::Enqueue {
        job: new_job("j"),
        attach: true,
    };
    // Fired: the job is there and the schedule has moved on, in the same file.
    store
        .fire(&due, Some(enqueue), Some(2_000), 1_000)
        .await
        .unwrap()
        .unwrap();
    let copy = killed(&dir);
    let after = open(&copy);
    let next = after.schedule(&tenant(), &sync()).await.unwrap().unwrap();
    assert_eq!((next.next_at_ms, next.job), (2_000, Some(id.clone())));
    assert_eq!(after.candidates(5_000).await.unwrap().due.len(), 1);

    // Claimed: it is due again, under a greater epoch.
    let (claim, queued) = store
        .claim(&id, token(1), 5_000, LONG_MS)
        .await
        .unwrap()
        .unwrap();
    let copy = killed(&dir);
    let after = open(&copy);
    let again = after
        .claim(&id, token(2), 5_000, LONG_MS)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.0.epoch, claim.epoch + 1);

    // Settled: state, attempt and event are there, and nothing is due.
    let mut done = settled(queued.row.job, StreamOutcome::Succeeded, 5_000);
    done.events = vec![event("job.finished")];
    store.settle(&claim, done).await.unwrap();
    let copy = killed(&dir);
    let after = open(&copy);
    let over = after.queued_job(&tenant(), &id).await.unwrap().unwrap();
    assert_eq!(over.row.job.state, JobState::Succeeded);
    assert_eq!(after.attempts(&tenant(), &id).await.unwrap().len(), 1);
    assert_eq!(after.undispatched(9).await.unwrap().len(), 1);
    assert_eq!(after.candidates(5_000).await.unwrap().due, []);
}

#[tokio::test]
async fn a_backup_is_whole_private_and_opens_elsewhere() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    make_tenant(&store).await;
    let lease = store
        .acquire(&key("s"), token(1), 0, LONG_MS)
        .await
        .unwrap();
    put_job(&store, new_job("j"), false).await;
    let elsewhere = TempDir::new().unwrap();
    let to = elsewhere.path().join(FILE_NAME);
    store.backup(&to).await.unwrap();
    let mode = fs::metadata(&to).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let listed: Vec<_> = fs::read_dir(elsewhere.path()).unwrap().collect();
    assert_eq!(listed.len(), 1, "nothing else is left");

    let taken = store.backup(&to).await;
    assert!(matches!(taken, Err(Error::Backup { .. })), "{taken:?}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    let nowhere = store.backup(&elsewhere.path().join("no/such/dir")).await;
    assert!(matches!(nowhere, Err(Error::Backup { .. })), "{nowhere:?}");

    // Work went on, and the copy knows nothing of it.
    store.renew(&lease, LONG_MS).await.unwrap();
    let late = Write::PutDocument {
        kind: DocumentKind::Sync,
        id: "late".to_owned(),
        expected: Expected::Any,
        body: "{}".to_owned(),
        references: Vec::new(),
    };
    store.commit(commit(tenant(), vec![late])).await.unwrap();
    let restored = open(&elsewhere);
    let tenant = tenant();
    let late = restored.document(&tenant, DocumentKind::Sync, "late").await;
    assert_eq!(late.unwrap(), None);
    assert_eq!(restored.candidates(5_000).await.unwrap().due.len(), 1);
    let next = restored
        .acquire(&key("s"), token(2), 0, LONG_MS)
        .await
        .unwrap();
    assert_eq!((next.epoch, next.released_before), (2, false));
    let verdict = restored.verify_audit().await.unwrap();
    assert!(matches!(verdict, AuditVerdict::Intact { entries: 2, .. }));
}

#[tokio::test]
async fn a_commit_that_fails_harms_none_that_share_its_transaction() {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(open(&dir));
    make_tenant(&*store).await;
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let expected = [Expected::Any, Expected::Absent][number % 2];
        let (store, change) = (
            Arc::clone(&store),
            commit(tenant(), vec![put_tenant(expected)]),
        );
        tasks.spawn(async move { store.commit(change).await.is_ok() });
    }
    let done = tasks.join_all().await.into_iter().filter(|done| *done);
    assert_eq!(done.count(), 10);
    assert_eq!(store.audit(None, 1, 99).await.unwrap().len(), 10);
    let verdict = store.verify_audit().await.unwrap();
    assert!(matches!(verdict, AuditVerdict::Intact { entries: 11, .. }));
}
