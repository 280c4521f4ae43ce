//! SQLite runs the conformance suite, and proves what only a file can get wrong.

use crate::behaviours::for_each_behaviour;
use crate::fixtures::{self, LONG_MS, connection, intent, key, seal, sha256, state, tenant, token};
use rusqlite::Connection;
use std::error::Error as _;
use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use tempfile::TempDir;
use tidegate_store::grants::{GrantKey, GrantStore as _};
use tidegate_store::kv::{KvScope, KvStore as _};
use tidegate_store::sqlite::{FILE_NAME, Options};
use tidegate_store::streams::StreamStore as _;
use tidegate_store::{Error, SqliteStore};

mod conformance {
    use super::{fixtures, for_each_behaviour};

    macro_rules! on_sqlite {
        ($($topic:ident :: $name:ident;)*) => {$(
            #[tokio::test]
            async fn $name() {
                let (store, _dir) = fixtures::sqlite();
                crate::behaviours::$topic::$name(store).await;
            }
        )*};
    }
    for_each_behaviour!(on_sqlite);
}

fn open(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(dir.path()).unwrap()
}

/// The file, opened behind the store's back.
fn raw(dir: &TempDir) -> Connection {
    Connection::open(dir.path().join(FILE_NAME)).unwrap()
}

fn scope() -> KvScope {
    KvScope {
        tenant: tenant(),
        connection: connection(),
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let lease = store
        .acquire(&key("s"), token(1), 0, LONG_MS)
        .await
        .unwrap();
    seal(&store, &lease, 0, 0).await.unwrap();
    store
        .mark_committed(&lease, 0, 0, &sha256(3), &state(1), Vec::new())
        .await
        .unwrap();
    seal(&store, &lease, 1, 1).await.unwrap();
    store.kv_set(&scope(), "k", b"v").await.unwrap();
    let row = store.load(&key("s")).await.unwrap();
    assert_eq!(row.intents, [intent(1, 1)]);
    drop(store);
    let store = open(&dir);
    assert_eq!(store.load(&key("s")).await.unwrap(), row);
    assert_eq!(
        store.kv_get(&scope(), "k").await.unwrap(),
        Some(b"v".to_vec())
    );
}

#[tokio::test]
async fn a_dead_process_leaves_no_lease_but_the_need_to_fence() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    store
        .acquire(&key("s"), token(1), 0, LONG_MS)
        .await
        .unwrap();
    drop(store);
    let next = open(&dir)
        .acquire(&key("s"), token(2), 0, LONG_MS)
        .await
        .unwrap();
    assert_eq!((next.epoch, next.released_before), (2, false));
}

#[tokio::test]
async fn a_dead_process_keeps_its_right_to_refresh_until_it_runs_out() {
    let dir = TempDir::new().unwrap();
    let grant = GrantKey {
        tenant: tenant(),
        connection: connection(),
        method: "oauth".to_owned(),
    };
    let store = open(&dir);
    store.put_grant(&grant, 1, b"sealed").await.unwrap();
    assert!(
        store
            .begin_refresh(&grant, 1, token(1), LONG_MS)
            .await
            .unwrap()
    );
    drop(store);
    assert!(
        !open(&dir)
            .begin_refresh(&grant, 1, token(2), LONG_MS)
            .await
            .unwrap()
    );
}

#[test]
fn a_directory_has_one_store_at_a_time() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let second = SqliteStore::open(dir.path()).err().unwrap();
    assert!(
        matches!(&second, Error::Locked { path } if path == dir.path()),
        "{second:?}"
    );
    drop(store);
    open(&dir);
}

#[test]
fn directory_and_file_are_made_private_and_left_tidy() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("deep/state");
    drop(SqliteStore::open(&state).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join(FILE_NAME)), 0o600);
    assert!(
        !state.join(format!("{FILE_NAME}-wal")).exists(),
        "the log was checkpointed"
    );
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    for version in [99, -1] {
        raw(&dir)
            .pragma_update(None, "user_version", version)
            .unwrap();
        let refused = SqliteStore::open(dir.path()).err().unwrap();
        assert!(matches!(refused, Error::Schema { found, known: 7 } if found == version));
        let left = raw(&dir).pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        assert_eq!(left.unwrap(), version);
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_with_the_reason() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(FILE_NAME), [b'x'; 8192]).unwrap();
    let refused = SqliteStore::open(dir.path()).err().unwrap();
    assert!(matches!(refused, Error::Open { .. }), "{refused:?}");
    assert_eq!(
        refused.source().unwrap().to_string(),
        "file is not a database"
    );
    assert_eq!(fs::read(dir.path().join(FILE_NAME)).unwrap(), [b'x'; 8192]);
}

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    for number in 0..50 {
        store
            .kv_set(&scope(), &format!("k{number}"), &[1; 2000])
            .await
            .unwrap();
    }
    drop(store);
    let path = dir.path().join(FILE_NAME);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let last_page = fs::metadata(&path).unwrap().len() - 4096;
    file.write_all_at(&[0xFF; 4096], last_page).unwrap();
    let refused = SqliteStore::open(dir.path()).err().unwrap();
    assert!(matches!(refused, Error::Open { .. }), "{refused:?}");
    assert!(
        refused.source().unwrap().to_string().contains("damaged"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_read_back_is_told_by_name() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    store
        .acquire(&key("s"), token(1), 0, LONG_MS)
        .await
        .unwrap();
    raw(&dir)
        .execute("UPDATE streams SET staged = '{\"generation\":'", [])
        .unwrap();
    let read = store.load(&key("s")).await;
    assert!(
        matches!(
            read,
            Err(Error::Corrupt {
                what: "staged state",
                ..
            })
        ),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let options = Options {
        pages_max: Some(100),
    };
    let store = SqliteStore::open_with(dir.path(), options).unwrap();
    let lease = store
        .acquire(&key("s"), token(1), 0, LONG_MS)
        .await
        .unwrap();
    seal(&store, &lease, 0, 0).await.unwrap();
    let mut stored = Vec::new();
    let full = loop {
        let name = format!("k{:03}", stored.len());
        match store.kv_set(&scope(), &name, &[7; 3000]).await {
            Ok(()) => stored.push(name),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::Full), "{full:?}");
    assert!(stored.len() > 5);
    assert_eq!(store.kv_keys(&scope(), "", 999).await.unwrap(), stored);
    for name in stored.drain(..4) {
        store.kv_remove(&scope(), &name).await.unwrap();
    }
    seal(&store, &lease, 1, 1).await.unwrap();
    drop(store);
    let verdict: String = raw(&dir)
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let store = open(&dir);
    assert_eq!(store.kv_keys(&scope(), "", 999).await.unwrap(), stored);
    assert_eq!(store.load(&key("s")).await.unwrap().staged, state(2));
}
