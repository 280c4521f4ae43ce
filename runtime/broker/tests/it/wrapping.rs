//! What wraps data keys: a node key that is rotated under load, the environment, and a
//! key service over HTTP.

use crate::server::{Reply, Seen, Server, reply};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_broker::dial::Dialer;
use tidegate_broker::{Config, Error, Keyring, Origin, Transit};
use tidegate_domain::Fault;
use tidegate_domain::id::TenantId;
use tidegate_store::SqliteStore;
use tidegate_store::grants::GrantStore;

fn tenant(number: usize) -> TenantId {
    TenantId::parse(format!("tenant-{number}")).unwrap()
}

fn store(dir: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&dir.join("state")).unwrap())
}

#[tokio::test]
async fn a_node_key_is_rotated_under_load_and_nothing_fails_to_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.key");
    let store = store(dir.path());
    let running = Arc::new(Keyring::open(&path).unwrap());
    let code = running.mac(b"x");
    let stop = Arc::new(AtomicBool::new(false));
    let opened = Arc::new(AtomicUsize::new(0));
    let mut load = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (store, running) = (Arc::clone(&store), Arc::clone(&running));
        let (stop, opened, path) = (Arc::clone(&stop), Arc::clone(&opened), path.clone());
        load.spawn(async move {
            let mut round = 0;
            while !stop.load(Ordering::SeqCst) || round < 3 {
                // New tenants come all the time, and every other one asks a process
                // that was started just now.
                let tenant = tenant(number * 1000 + round);
                let sealed = running.seal(&*store, &tenant, "p", b"plain").await.unwrap();
                let fresh = Keyring::open(&path).unwrap();
                let keyring = if round % 2 == 0 { &fresh } else { &*running };
                let plain = keyring
                    .unseal(&*store, &tenant, "p", &sealed)
                    .await
                    .unwrap();
                assert_eq!(&plain[..], b"plain");
                opened.fetch_add(1, Ordering::SeqCst);
                round += 1;
                tokio::task::yield_now().await;
            }
        });
    }
    let mut rewrapped = 0;
    for round in 1..=5 {
        // There is something under the key of before, however busy the machine is.
        while opened.load(Ordering::SeqCst) < round * 8 {
            tokio::task::yield_now().await;
        }
        Keyring::rotate_file(&path).unwrap();
        rewrapped += running.rewrap_all(&*store).await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    assert!(opened.load(Ordering::SeqCst) >= 24);
    assert!(rewrapped > 0);
    running.rewrap_all(&*store).await.unwrap();
    assert_eq!(
        running.rewrap_all(&*store).await.unwrap(),
        0,
        "all are under the newest"
    );

    // The newest alone opens all of them, and codes are what they were.
    let lines = std::fs::read_to_string(&path).unwrap();
    assert_eq!(lines.lines().count(), 6);
    assert_eq!(Keyring::open(&path).unwrap().mac(b"x"), code);
    let newest = Keyring::from_text(&lines.lines().next().unwrap().into()).unwrap();
    for (tenant, _) in store.data_keys().await.unwrap() {
        newest.seal(&*store, &tenant, "p", b"x").await.unwrap();
    }
    let oldest = Keyring::from_text(&lines.lines().last().unwrap().into()).unwrap();
    let refused = oldest.seal(&*store, &tenant(0), "p", b"x").await;
    assert!(matches!(refused, Err(Error::Unseal { .. })));
}

#[tokio::test]
async fn a_node_key_may_come_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let text = "ab".repeat(32);
    let keyring = Keyring::from_text(&text.as_str().into()).unwrap();
    let sealed = keyring
        .seal(&*store, &tenant(1), "p", b"plain")
        .await
        .unwrap();
    let file = dir.path().join("node.key");
    std::fs::write(&file, &text).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let same = Keyring::open(&file).unwrap();
    assert!(same.unseal(&*store, &tenant(1), "p", &sealed).await.is_ok());
    for wrong in ["", "ab", &"zz".repeat(32)] {
        let refused = Keyring::from_text(&wrong.into());
        assert!(matches!(refused, Err(Error::Config(text)) if !text.contains("zz")));
    }
}

#[tokio::test]
async fn a_tenant_whose_key_was_destroyed_is_shredded_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let keyring = Keyring::open(&dir.path().join("node.key")).unwrap();
    let elsewhere = Keyring::open(&dir.path().join("node.key")).unwrap();
    let (gone, stays) = (tenant(1), tenant(2));
    let sealed = keyring.seal(&*store, &gone, "p", b"plain").await.unwrap();
    let kept = keyring.seal(&*store, &stays, "p", b"plain").await.unwrap();
    assert!(elsewhere.unseal(&*store, &gone, "p", &sealed).await.is_ok());
    assert!(keyring.destroy(&*store, &gone).await.unwrap());
    let refused = keyring.unseal(&*store, &gone, "p", &sealed).await;
    assert!(matches!(refused, Err(Error::Unseal { .. })));
    assert!(keyring.unseal(&*store, &stays, "p", &kept).await.is_ok());
    // Another process forgets it after a while.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
    let refused = elsewhere.unseal(&*store, &gone, "p", &sealed).await;
    assert!(matches!(refused, Err(Error::Unseal { .. })));
}

/// Speaks as Vault's transit engine does. Its "cipher" binds the text to its context
/// and version and hides nothing: that is not what is tested.
#[derive(Default)]
struct Vault {
    version: usize,
    down: bool,
    asked: Vec<String>,
}

impl Vault {
    fn answer(&mut self, seen: &Seen) -> Reply {
        if self.down {
            return reply(503, r#"{"errors":["sealed"]}"#);
        }
        if seen.header("x-vault-token") != Some("CANARY-token") {
            return reply(403, r#"{"errors":["permission denied"]}"#);
        }
        let operation = seen.path.strip_prefix("/v1/transit/").unwrap();
        let operation = operation.strip_suffix("/tidegate").unwrap().to_owned();
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let context = body["associated_data"].as_str().unwrap();
        self.asked.push(operation.clone());
        let make = |plain: &str| {
            let inner = format!("{context}|{plain}");
            format!(
                "vault:v{}:{}",
                self.version + 1,
                BASE64.encode(inner.as_bytes())
            )
        };
        if operation == "encrypt" {
            let made = make(body["plaintext"].as_str().unwrap());
            return reply(200, json!({ "data": { "ciphertext": made } }).to_string());
        }
        let sealed = body["ciphertext"].as_str().unwrap();
        let inner = sealed
            .rsplit(':')
            .next()
            .and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let inner = inner.map(|inner| String::from_utf8_lossy(&inner).into_owned());
        let plain = inner
            .as_deref()
            .and_then(|inner| inner.strip_prefix(&format!("{context}|")));
        let Some(plain) = plain else {
            return reply(
                400,
                r#"{"errors":["cipher: message authentication failed"]}"#,
            );
        };
        let answer = match operation.as_str() {
            "decrypt" => json!({ "data": { "plaintext": plain } }),
            _ => json!({ "data": { "ciphertext": make(plain) } }),
        };
        reply(200, answer.to_string())
    }
}

fn keyring(dir: &Path, server: &Server, token: &str) -> Keyring {
    let dialer = Dialer::new(&Config::default()).unwrap();
    let origin = Origin::parse(&server.origin).unwrap();
    let transit = Transit::new(&dialer, origin, "transit", "tidegate", token.into()).unwrap();
    Keyring::open(&dir.join("node.key"))
        .unwrap()
        .wrapping_with(Arc::new(transit))
}

#[tokio::test]
async fn a_key_service_wraps_rewraps_and_may_be_away_for_a_while() {
    let vault = Arc::new(Mutex::new(Vault::default()));
    let log = Arc::clone(&vault);
    let server = Server::start(move |seen| {
        let answer = log.lock().unwrap().answer(&seen);
        async move { Ok(answer) }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = keyring(dir.path(), &server, "CANARY-token");
    let sealed = first
        .seal(&*store, &tenant(1), "p", b"plain")
        .await
        .unwrap();
    let open = async |keyring: &Keyring, number| {
        keyring.unseal(&*store, &tenant(number), "p", &sealed).await
    };
    assert_eq!(&open(&first, 1).await.unwrap()[..], b"plain");
    assert_eq!(vault.lock().unwrap().asked, ["encrypt", "decrypt"]);

    // A wrapped key of another tenant comes back to nobody.
    let wrapped = store.data_key(&tenant(1)).await.unwrap().unwrap();
    store.put_data_key(&tenant(2), &wrapped).await.unwrap();
    assert!(matches!(open(&first, 2).await, Err(Error::Unseal { .. })));
    store.destroy_data_key(&tenant(2)).await.unwrap();

    assert_eq!(first.rewrap_all(&*store).await.unwrap(), 0);
    vault.lock().unwrap().version = 1;
    assert_eq!(first.rewrap_all(&*store).await.unwrap(), 1);
    let rewrapped = store.data_key(&tenant(1)).await.unwrap().unwrap();
    assert!(rewrapped.starts_with(b"vault:v2:"));

    vault.lock().unwrap().down = true;
    assert!(open(&first, 1).await.is_ok(), "an opened key is remembered");
    let second = keyring(dir.path(), &server, "CANARY-token");
    let failed = open(&second, 1).await.unwrap_err();
    assert_eq!(failed.fault(), Fault::Transient, "{failed}");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
    assert!(matches!(open(&first, 1).await, Err(Error::KeyService(_))));
    vault.lock().unwrap().down = false;
    assert!(open(&first, 1).await.is_ok());

    let stranger = keyring(dir.path(), &server, "CANARY-other");
    let refused = open(&stranger, 1).await.unwrap_err();
    let shown = format!("{stranger:?} {refused:?} {refused}");
    assert!(!shown.contains("CANARY"), "{shown}");
}
