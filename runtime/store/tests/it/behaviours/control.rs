//! Commits: all or nothing, once, and each with its entry in the audit log.

use crate::fixtures::{commit, event, make_tenant, new_job, put_tenant, sha256, sync, tenant};
use std::sync::Arc;
use tidegate_domain::access::Role;
use tidegate_domain::id::{Sha256, TenantId};
use tidegate_store::control::{
    ANSWER_KEPT_MS, Actor, AuditVerdict, Commit, Committed, ConnectorState, DocumentKind, Expected,
    Idempotency, Page, Reference, TenantState, Write,
};
use tidegate_store::queue::{Enqueue, Enqueued};
use tidegate_store::{Error, ServiceStore};
use tokio::task::JoinSet;

const FIRST: Page = Page {
    after: None,
    limit: 99,
};

fn other() -> TenantId {
    TenantId::parse("other").unwrap()
}

fn put(kind: DocumentKind, id: &str, expected: Expected, references: &[Reference]) -> Write {
    Write::PutDocument {
        kind,
        id: id.to_owned(),
        expected,
        body: format!("{{\"of\":\"{id}\"}}"),
        references: references.to_vec(),
    }
}

fn delete(kind: DocumentKind, id: &str, expected: Expected) -> Write {
    Write::DeleteDocument {
        kind,
        id: id.to_owned(),
        expected,
    }
}

fn secret(name: &str, value: &[u8]) -> Write {
    Write::PutSecret {
        name: name.to_owned(),
        sealed: value.to_vec(),
        fingerprint: format!("{}", value.len()),
    }
}

async fn write(store: &dyn ServiceStore, writes: Vec<Write>) -> Result<Committed, Error> {
    store.commit(commit(tenant(), writes)).await
}

fn assert_conflict<T: std::fmt::Debug>(result: Result<T, Error>, revision: Option<u64>) {
    match result {
        Err(Error::Conflict { found, .. }) => assert_eq!(found, revision),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn nothing_is_written_for_a_tenant_that_does_not_exist(
    store: Arc<dyn ServiceStore>,
) {
    let document = put(DocumentKind::Sync, "crm", Expected::Any, &[]);
    let schedule = Write::SetSchedule {
        sync: sync(),
        next_at_ms: Some(1),
    };
    let late = vec![secret("s", b"1"), put_tenant(Expected::Any)];
    for writes in [vec![document], vec![schedule], late, vec![]] {
        let refused = write(&*store, writes).await;
        assert!(
            matches!(refused, Err(Error::NotFound { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(store.audit(None, 0, 9).await.unwrap(), []);
}

pub(crate) async fn a_tenant_is_made_once_and_suspended(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let again = write(&*store, vec![put_tenant(Expected::Absent)]).await;
    assert_conflict(again, Some(1));
    let suspend = Write::PutTenant {
        expected: Expected::Revision(1),
        title: "Acme".to_owned(),
        state: TenantState::Suspended,
        jobs_max: Some(3),
    };
    assert_eq!(write(&*store, vec![suspend]).await.unwrap().revision, 2);
    let row = store.tenant(&tenant()).await.unwrap().unwrap();
    assert_eq!(
        (row.revision, row.state, row.jobs_max, row.created_at_ms),
        (2, TenantState::Suspended, Some(3), 1_000)
    );
    assert_eq!(store.tenants(&FIRST).await.unwrap(), [row]);
}

pub(crate) async fn a_key_is_found_by_its_hash_until_it_is_forgotten(store: Arc<dyn ServiceStore>) {
    let key = |id: &str, hash| Write::PutKey {
        id: id.to_owned(),
        sha256: sha256(hash),
        role: Role::TenantViewer,
        title: "ci".to_owned(),
        expires_at_ms: Some(5_000),
    };
    let first = vec![put_tenant(Expected::Absent), key("k1", 1)];
    write(&*store, first).await.unwrap();
    assert_conflict(write(&*store, vec![key("k2", 1)]).await, None);
    assert_conflict(write(&*store, vec![key("k1", 2)]).await, None);
    store.touch_key("k1", 1_500).await.unwrap();
    let found = store.key_by_hash(&sha256(1)).await.unwrap().unwrap();
    assert_eq!((&*found.id, &found.tenant), ("k1", &tenant()));
    assert_eq!(
        (found.role, found.used_at_ms),
        (Role::TenantViewer, Some(1_500))
    );
    assert!(found.is_valid_at(4_999) && !found.is_valid_at(5_000));
    assert_eq!(store.key_by_hash(&sha256(2)).await.unwrap(), None);

    let revoke = || Write::RevokeKey {
        id: "k1".to_owned(),
    };
    let stranger = commit(other(), vec![put_tenant(Expected::Absent), revoke()]);
    let refused = store.commit(stranger).await;
    assert!(
        matches!(refused, Err(Error::NotFound { .. })),
        "{refused:?}"
    );
    for _ in 0..2 {
        write(&*store, vec![revoke()]).await.unwrap();
    }
    let ended = store.keys(&tenant(), &FIRST).await.unwrap().pop().unwrap();
    assert_eq!(ended.revoked_at_ms, Some(1_000));
    assert!(!ended.is_valid_at(1_000));
}

pub(crate) async fn a_document_moves_only_from_the_expected_revision(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let kind = DocumentKind::Sync;
    let made = write(&*store, vec![put(kind, "crm", Expected::Absent, &[])]).await;
    assert_eq!(made.unwrap().revision, 2);
    for (expected, found) in [
        (Expected::Absent, Some(2)),
        (Expected::Revision(1), Some(2)),
    ] {
        assert_conflict(
            write(&*store, vec![put(kind, "crm", expected, &[])]).await,
            found,
        );
        assert_conflict(
            write(&*store, vec![delete(kind, "crm", expected)]).await,
            found,
        );
    }
    for (expected, revision) in [
        (Expected::Revision(2), 3),
        (Expected::Present, 4),
        (Expected::Any, 5),
    ] {
        let put = write(&*store, vec![put(kind, "crm", expected, &[])]).await;
        assert_eq!(put.unwrap().revision, revision);
    }
    let row = store
        .document(&tenant(), kind, "crm")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row.revision, &*row.body), (5, r#"{"of":"crm"}"#));
    write(&*store, vec![delete(kind, "crm", Expected::Revision(5))])
        .await
        .unwrap();
    assert_eq!(store.document(&tenant(), kind, "crm").await.unwrap(), None);
    assert_conflict(
        write(&*store, vec![put(kind, "crm", Expected::Revision(5), &[])]).await,
        None,
    );
    let missing = write(&*store, vec![delete(kind, "crm", Expected::Present)]).await;
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );
    let again = write(&*store, vec![put(kind, "crm", Expected::Absent, &[])]).await;
    assert_eq!(again.unwrap().revision, 7, "a revision is never used twice");
}

pub(crate) async fn documents_are_listed_by_kind_and_tenant(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let ids = ["c", "a", "b"];
    let writes = ids.map(|id| put(DocumentKind::Sync, id, Expected::Any, &[]));
    write(&*store, writes.to_vec()).await.unwrap();
    let connection = put(DocumentKind::Connection, "d", Expected::Any, &[]);
    write(&*store, vec![connection]).await.unwrap();
    let theirs = put(DocumentKind::Sync, "e", Expected::Any, &[]);
    let theirs = commit(other(), vec![put_tenant(Expected::Absent), theirs]);
    store.commit(theirs).await.unwrap();
    for (after, limit, expected) in [
        (None, 9, &["a", "b", "c"][..]),
        (Some("a"), 1, &["b"]),
        (Some("c"), 9, &[]),
    ] {
        let page = Page {
            after: after.map(str::to_owned),
            limit,
        };
        let found = store.documents(&tenant(), DocumentKind::Sync, &page).await;
        let found: Vec<_> = found.unwrap().into_iter().map(|row| row.id).collect();
        assert_eq!(found, expected);
    }
    let foreign = store.document(&tenant(), DocumentKind::Sync, "e").await;
    assert_eq!(foreign.unwrap(), None);
}

pub(crate) async fn what_is_mentioned_must_exist_and_stays(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let to_connection = Reference::Document(DocumentKind::Connection, "crm".to_owned());
    let to_secret = Reference::Secret("token".to_owned());
    let connection = || {
        let references = [to_secret.clone()];
        put(DocumentKind::Connection, "crm", Expected::Any, &references)
    };
    let sync = || {
        put(
            DocumentKind::Sync,
            "crm",
            Expected::Any,
            std::slice::from_ref(&to_connection),
        )
    };
    let dangling = |result: Result<Committed, Error>| match result {
        Err(Error::Dangling { from, to }) => (from, to),
        other => panic!("{other:?}"),
    };
    let wants = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(
        dangling(write(&*store, vec![sync()]).await),
        wants("sync crm", "connection crm")
    );
    assert_eq!(
        dangling(write(&*store, vec![sync(), connection()]).await),
        wants("connection crm", "secret token")
    );
    // In any order.
    let all = vec![sync(), connection(), secret("token", b"1")];
    write(&*store, all).await.unwrap();
    let referrers = store.referrers(&tenant(), &to_connection).await.unwrap();
    assert_eq!(referrers, [(DocumentKind::Sync, "crm".to_owned())]);

    let drop_secret = || Write::DeleteSecret {
        name: "token".to_owned(),
    };
    let drop_connection = || delete(DocumentKind::Connection, "crm", Expected::Any);
    assert_eq!(
        dangling(write(&*store, vec![drop_secret()]).await),
        wants("connection crm", "secret token")
    );
    assert_eq!(
        dangling(write(&*store, vec![drop_connection()]).await),
        wants("sync crm", "connection crm")
    );
    // Made anew in the same commit, it was never gone.
    write(&*store, vec![drop_connection(), connection()])
        .await
        .unwrap();
    let drop_sync = delete(DocumentKind::Sync, "crm", Expected::Any);
    write(&*store, vec![drop_connection(), drop_secret(), drop_sync])
        .await
        .unwrap();
    assert_eq!(store.referrers(&tenant(), &to_secret).await.unwrap(), []);
    assert_eq!(store.secret(&tenant(), "token").await.unwrap(), None);
}

pub(crate) async fn a_commit_that_fails_leaves_nothing(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let job = Enqueue {
        job: new_job("j"),
        attach: false,
    };
    let writes = vec![
        put(DocumentKind::Sync, "crm", Expected::Any, &[]),
        secret("s", b"1"),
        Write::PutJob(Box::new(job)),
        Write::SetSchedule {
            sync: sync(),
            next_at_ms: Some(1),
        },
        put(DocumentKind::Sync, "erp", Expected::Present, &[]),
    ];
    let failing = Commit {
        events: vec![event("sync.changed")],
        ..commit(tenant(), writes)
    };
    let failed = store.commit(failing).await;
    assert!(matches!(failed, Err(Error::NotFound { .. })), "{failed:?}");
    assert_eq!(
        store
            .document(&tenant(), DocumentKind::Sync, "crm")
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.secrets(&tenant(), &FIRST).await.unwrap(), []);
    assert_eq!(store.candidates(9_999).await.unwrap(), Default::default());
    assert_eq!(store.schedule(&tenant(), &sync()).await.unwrap(), None);
    assert_eq!(store.events(&tenant(), 0, 9).await.unwrap(), []);
    assert_eq!(store.audit(None, 1, 9).await.unwrap(), []);
}

pub(crate) async fn a_repeated_request_is_answered_and_not_done_again(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    let asking = |request: Sha256, id: &str, at_ms| {
        let job = Enqueue {
            job: new_job(id),
            attach: false,
        };
        Commit {
            at_ms,
            idempotency: Some(Idempotency {
                key: "once".to_owned(),
                request_sha256: request,
                answer: format!("{{\"job\":\"{id}\"}}"),
            }),
            ..commit(tenant(), vec![Write::PutJob(Box::new(job))])
        }
    };
    let first = store.commit(asking(sha256(1), "j1", 1_000)).await.unwrap();
    assert_eq!(first.replayed, None);
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let (store, again) = (
            Arc::clone(&store),
            asking(sha256(1), &format!("x{number}"), 2_000),
        );
        tasks.spawn(async move { store.commit(again).await.unwrap() });
    }
    for replay in tasks.join_all().await {
        let expected = Committed {
            replayed: Some(r#"{"job":"j1"}"#.to_owned()),
            ..first.clone()
        };
        assert_eq!(replay, expected);
    }
    let reused = store.commit(asking(sha256(2), "j2", 2_000)).await;
    assert!(matches!(reused, Err(Error::KeyReused)), "{reused:?}");
    let late = asking(sha256(2), "j2", 1_000 + ANSWER_KEPT_MS);
    assert_eq!(store.commit(late).await.unwrap().replayed, None);
    assert_eq!(store.audit(None, 1, 9).await.unwrap().len(), 2);

    let elsewhere = Commit {
        tenant: other(),
        writes: vec![put_tenant(Expected::Absent)],
        ..asking(sha256(3), "j3", 2_000)
    };
    let elsewhere = store.commit(elsewhere).await.unwrap();
    assert_eq!(elsewhere.replayed, None, "a key belongs to its tenant");
}

pub(crate) async fn secrets_show_their_names_and_fingerprints_only(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    write(&*store, vec![secret("b", b"1"), secret("a", b"22")])
        .await
        .unwrap();
    write(&*store, vec![secret("b", b"333")]).await.unwrap();
    let listed = store.secrets(&tenant(), &FIRST).await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|row| (&*row.name, &*row.fingerprint))
        .collect();
    assert_eq!(listed, [("a", "2"), ("b", "3")]);
    let sealed = store.secret(&tenant(), "b").await.unwrap();
    assert_eq!(sealed.as_deref(), Some(&b"333"[..]));
    assert_eq!(store.secret(&other(), "b").await.unwrap(), None);
}

fn connector(shared: bool, digest: u8, version: &str) -> Write {
    Write::PutConnector {
        shared,
        digest: sha256(digest),
        name: "hubspot".to_owned(),
        version: version.to_owned(),
        manifest: "{}".to_owned(),
        state: ConnectorState::Pending,
        wasm: Arc::from([digest; 5]),
    }
}

pub(crate) async fn a_connector_version_is_one_digest(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    write(&*store, vec![connector(false, 1, "1.0.0")])
        .await
        .unwrap();
    let approve = |digest| Write::SetConnectorState {
        shared: false,
        digest: sha256(digest),
        state: ConnectorState::Approved,
    };
    write(&*store, vec![approve(1)]).await.unwrap();
    // Sent again it stays as it is; changed it is refused.
    write(&*store, vec![connector(false, 1, "1.0.0")])
        .await
        .unwrap();
    assert_conflict(
        write(&*store, vec![connector(false, 2, "1.0.0")]).await,
        None,
    );
    let row = store
        .connector(&tenant(), &sha256(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row.state, row.wasm_bytes), (ConnectorState::Approved, 5));
    let unknown = write(&*store, vec![approve(7)]).await;
    assert!(
        matches!(unknown, Err(Error::NotFound { .. })),
        "{unknown:?}"
    );
}

pub(crate) async fn a_shared_connector_is_seen_by_all_and_an_own_one_by_its_tenant(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    let writes = vec![
        connector(true, 1, "1.0.0"),
        connector(false, 1, "1.0.0"),
        connector(false, 2, "2.0.0"),
    ];
    write(&*store, writes).await.unwrap();
    let listed = |rows: Vec<tidegate_store::control::ConnectorRow>| -> Vec<(bool, Sha256)> {
        rows.into_iter()
            .map(|row| (row.shared, row.digest))
            .collect()
    };
    let ours = store.connectors(&tenant(), &FIRST).await.unwrap();
    assert_eq!(listed(ours), [(false, sha256(1)), (false, sha256(2))]);
    let theirs = store.connectors(&other(), &FIRST).await.unwrap();
    assert_eq!(listed(theirs), [(true, sha256(1))]);
    assert_eq!(
        store.connector_wasm(&other(), &sha256(1)).await.unwrap(),
        Some(vec![1; 5])
    );
    assert_eq!(
        store.connector_wasm(&other(), &sha256(2)).await.unwrap(),
        None
    );

    let pinned = [Reference::Connector(sha256(2))];
    let pinned = put(DocumentKind::Connection, "crm", Expected::Any, &pinned);
    write(&*store, vec![pinned]).await.unwrap();
    let drop_it = |shared, digest| Write::DeleteConnector {
        shared,
        digest: sha256(digest),
    };
    let used = write(&*store, vec![drop_it(false, 2)]).await;
    assert!(matches!(used, Err(Error::Dangling { .. })), "{used:?}");
    write(&*store, vec![drop_it(false, 1)]).await.unwrap();
    let shared = store
        .connector(&tenant(), &sha256(1))
        .await
        .unwrap()
        .unwrap();
    assert!(shared.shared, "the bytes are kept for the other owner");
    let wasm = store.connector_wasm(&tenant(), &sha256(1)).await.unwrap();
    assert_eq!(wasm, Some(vec![1; 5]));
    write(&*store, vec![drop_it(true, 1)]).await.unwrap();
    assert_eq!(
        store.connector_wasm(&tenant(), &sha256(1)).await.unwrap(),
        None
    );
}

pub(crate) async fn every_commit_is_an_entry_that_follows_from_the_last(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    let refusal = Commit {
        actor: Actor::Key("k1".to_owned()),
        origin: Some("192.0.2.7".to_owned()),
        action: "sync.put".to_owned(),
        subject: "sync \"crm\"\n".to_owned(),
        detail: r#"{"refused":"forbidden"}"#.to_owned(),
        ..commit(tenant(), Vec::new())
    };
    store.commit(refusal).await.unwrap();
    store
        .commit(commit(other(), vec![put_tenant(Expected::Absent)]))
        .await
        .unwrap();
    let all = store.audit(None, 0, 9).await.unwrap();
    let numbers: Vec<_> = all.iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let entry = &all[1];
    assert_eq!(
        (&*entry.actor, entry.origin.as_deref(), &*entry.subject),
        ("key:k1", Some("192.0.2.7"), "sync \"crm\"\n")
    );
    let theirs = store.audit(Some(&other()), 0, 9).await.unwrap();
    assert_eq!(theirs, all[2..]);
    assert_eq!(store.audit(None, 1, 1).await.unwrap(), all[1..2]);
    let verdict = store.verify_audit().await.unwrap();
    let head = all[2].sha256.clone();
    assert_eq!(verdict, AuditVerdict::Intact { entries: 3, head });
}

pub(crate) async fn an_attached_job_is_remembered_with_the_answer(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let asking = |id: &str, key: &str| {
        let job = Enqueue {
            job: new_job(id),
            attach: true,
        };
        Commit {
            idempotency: Some(Idempotency {
                key: key.to_owned(),
                request_sha256: sha256(1),
                answer: String::new(),
            }),
            ..commit(tenant(), vec![Write::PutJob(Box::new(job))])
        }
    };
    let first = store.commit(asking("j1", "a")).await.unwrap();
    let id = new_job("j1").id;
    assert_eq!(first.jobs, [Enqueued::New(id.clone())]);
    for _ in 0..2 {
        let second = store.commit(asking("j2", "b")).await.unwrap();
        assert_eq!(second.jobs, [Enqueued::Attached(id.clone())]);
    }
}
