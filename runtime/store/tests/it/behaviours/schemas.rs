//! What discoveries found, and what streams land under.

use crate::fixtures::{connection, event, key, sha256, tenant};
use std::sync::Arc;
use tidegate_domain::catalog::{Catalog, CatalogStream};
use tidegate_domain::contract::{Contract, Found};
use tidegate_domain::id::TenantId;
use tidegate_store::Store;
use tidegate_store::schemas::{CATALOGS_KEPT, CatalogKey};

fn of(tenant: TenantId) -> CatalogKey {
    CatalogKey {
        tenant,
        connection: connection(),
    }
}

fn catalog(id: u8, field: &str) -> Catalog {
    let schema = serde_json::json!({ "properties": { field: { "type": "string" } } });
    let stream = serde_json::json!({
        "name": "contacts", "primary_key": ["/id"], "modes": ["incremental"],
        "has_deletes": true, "schema": schema,
    });
    let stream: CatalogStream = serde_json::from_str(&stream.to_string()).unwrap();
    Catalog {
        id: sha256(id),
        connector: sha256(99),
        streams: vec![stream],
    }
}

pub(crate) async fn a_catalog_is_confirmed_or_the_newest_of_a_history(store: Arc<dyn Store>) {
    let key = of(tenant());
    assert!(store.catalog(&key, None).await.unwrap().is_none());
    let keep = async |newest, id, at_ms| {
        let found = catalog(id, "a");
        store
            .keep_catalog(&key, newest, &found, &sha256(7), at_ms, vec![event("x")])
            .await
            .unwrap()
    };
    assert!(keep(None, 1, 10).await);
    assert!(
        keep(None, 1, 20).await,
        "the same is confirmed, whoever asks"
    );
    assert!(!keep(None, 2, 30).await, "another has been found meanwhile");
    assert!(keep(Some(1), 2, 40).await);
    assert!(keep(Some(2), 1, 50).await, "what was before may come back");

    let rows = store.catalogs(&key, None, 9).await.unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.number,
                row.catalog.id.clone(),
                row.found_at_ms,
                row.confirmed_at_ms,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (3, sha256(1), 50, 50),
            (2, sha256(2), 40, 40),
            (1, sha256(1), 10, 20)
        ]
    );
    assert_eq!(
        rows[0].catalog.streams[0].schema.get(),
        catalog(1, "a").streams[0].schema.get()
    );
    let before = store.catalogs(&key, Some(3), 1).await.unwrap();
    assert_eq!(before.iter().map(|row| row.number).collect::<Vec<_>>(), [2]);
    let one = store.catalog(&key, Some(2)).await.unwrap().unwrap();
    assert_eq!((one.number, one.asked), (2, sha256(7)));
    let newest = store.catalog(&key, None).await.unwrap().unwrap();
    assert_eq!(newest.number, 3);
    let other = of(TenantId::parse("globex").unwrap());
    assert!(store.catalog(&other, Some(2)).await.unwrap().is_none());
}

pub(crate) async fn only_the_newest_catalogs_are_kept(store: Arc<dyn Store>) {
    let key = of(tenant());
    let (mut newest, asked) = (None, sha256(7));
    for number in 1..=CATALOGS_KEPT + 2 {
        let found = catalog(u8::try_from(number).unwrap(), "a");
        let kept = store.keep_catalog(&key, newest, &found, &asked, number, Vec::new());
        assert!(kept.await.unwrap());
        newest = Some(number);
    }
    let rows = store.catalogs(&key, None, 999).await.unwrap();
    assert_eq!(rows.len() as u64, CATALOGS_KEPT);
    assert_eq!(rows.last().unwrap().number, 3);
}

pub(crate) async fn a_contract_moves_only_from_the_expected_revision(store: Arc<dyn Store>) {
    let key = key("contacts");
    let contract = |field: &str| {
        let catalog = catalog(1, field);
        Contract::first(&Found::of(&catalog.streams[0], &catalog.id).unwrap())
    };
    assert_eq!(store.contract(&key).await.unwrap(), None);
    let put = async |revision, field: &str| {
        store
            .put_contract(&key, revision, &contract(field), 5, Vec::new())
            .await
            .unwrap()
    };
    assert!(!put(Some(1), "a").await, "there is none");
    assert!(put(None, "a").await);
    assert!(!put(None, "b").await, "there is one");
    assert!(put(Some(1), "b").await);
    assert!(!put(Some(1), "c").await);
    let row = store.contract(&key).await.unwrap().unwrap();
    assert_eq!(
        (row.revision, row.contract, row.updated_at_ms),
        (2, contract("b"), 5)
    );
}
