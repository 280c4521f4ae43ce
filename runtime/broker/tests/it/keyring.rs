//! Envelope encryption on a real database.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tidegate_broker::{Error, Keyring};
use tidegate_domain::id::TenantId;
use tidegate_store::SqliteStore;
use tidegate_store::grants::GrantStore;

fn store(dir: &Path) -> SqliteStore {
    SqliteStore::open(&dir.join("state")).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

#[tokio::test]
async fn a_sealed_value_opens_only_in_its_own_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let keyring = Keyring::open(&dir.path().join("node.key")).unwrap();
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let sealed = keyring
        .seal(&store, &acme, "grant/a/1", b"plain")
        .await
        .unwrap();
    let again = keyring
        .seal(&store, &acme, "grant/a/1", b"plain")
        .await
        .unwrap();
    assert_ne!(sealed, again, "a nonce was used twice");
    let open = async |tenant: &TenantId, purpose: &str, bytes: &[u8]| {
        keyring.unseal(&store, tenant, purpose, bytes).await
    };
    assert_eq!(
        &open(&acme, "grant/a/1", &sealed).await.unwrap()[..],
        b"plain"
    );
    for (tenant, purpose) in [
        (&globex, "grant/a/1"),
        (&acme, "grant/a/2"),
        (&acme, "grant/b/1"),
        (&acme, ""),
    ] {
        assert!(
            open(tenant, purpose, &sealed).await.is_err(),
            "{tenant} {purpose}"
        );
    }
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(
            open(&acme, "grant/a/1", &changed).await.is_err(),
            "byte {at}"
        );
    }
    for length in 0..sealed.len() {
        assert!(open(&acme, "grant/a/1", &sealed[..length]).await.is_err());
    }
}

#[tokio::test]
async fn the_node_key_is_its_owners_alone_and_stays_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys/node.key");
    let first = Keyring::open(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1
    );
    let second = Keyring::open(&path).unwrap();
    assert_eq!(first.mac(b"x"), second.mac(b"x"));
    assert!(second.verify(b"x", &first.mac(b"x")));
    assert!(!second.verify(b"y", &first.mac(b"x")));
    assert!(!second.verify(b"x", &first.mac(b"x")[..31]));

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Keyring::open(&path), Err(Error::KeyFile { .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "short").unwrap();
    assert!(matches!(Keyring::open(&path), Err(Error::KeyFile { .. })));
}

#[tokio::test]
async fn processes_that_start_together_agree_on_one_node_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.key");
    let macs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Keyring::open(&path).unwrap().mac(b"x")))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(macs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_lost_store_is_opened_again_with_the_wrapped_key_that_survived() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Keyring::open(&dir.path().join("node.key")).unwrap();
    let acme = tenant("acme");
    let lost = store(&dir.path().join("lost"));
    let sealed = keyring
        .seal(&lost, &acme, "cursor", b"plain")
        .await
        .unwrap();
    let wrapped = keyring.wrapped_data_key(&lost, &acme).await.unwrap();
    drop(lost);

    let restarted = Keyring::open(&dir.path().join("node.key")).unwrap();
    let fresh = store(&dir.path().join("fresh"));
    restarted
        .adopt_data_key(&fresh, &acme, &wrapped)
        .await
        .unwrap();
    let plain = restarted
        .unseal(&fresh, &acme, "cursor", &sealed)
        .await
        .unwrap();
    assert_eq!(&plain[..], b"plain");

    let globex = tenant("globex");
    let stolen = restarted.adopt_data_key(&fresh, &globex, &wrapped).await;
    assert!(
        matches!(stolen, Err(Error::Unseal { .. })),
        "another tenant's key"
    );
    assert!(fresh.data_key(&globex).await.unwrap().is_none());
    let own = restarted.wrapped_data_key(&fresh, &globex).await.unwrap();
    assert_ne!(own, wrapped);
    let other = Keyring::open(&dir.path().join("other.key")).unwrap();
    assert!(
        other
            .unseal(&fresh, &acme, "cursor", &sealed)
            .await
            .is_err()
    );
}
