//! The first start: a tenant, and the key that everything else is made with.

use anyhow::{Context as _, Result};
use secrecy::SecretString;
use serde_json::json;
use tidegate_api::key;
use tidegate_domain::access::Role;
use tidegate_domain::id::{Sha256, TenantId};
use tidegate_store::Error;
use tidegate_store::clock::now_ms;
use tidegate_store::control::{Actor, Commit, ControlStore, Expected, Page, TenantState, Write};

/// The tenant of the first start.
const FIRST_TENANT: &str = "default";

/// Makes the first tenant and an administrator's key of it, in one commit; none where
/// there is a tenant already.
pub(super) async fn begin(store: &dyn ControlStore) -> Result<Option<SecretString>> {
    let first = Page {
        after: None,
        limit: 1,
    };
    if !store.tenants(&first).await?.is_empty() {
        return Ok(None);
    }
    let tenant = Write::PutTenant {
        expected: Expected::Absent,
        title: "Default".to_owned(),
        state: TenantState::Active,
        jobs_max: None,
    };
    let title = "the first administrator's key";
    Ok(Some(
        mint(store, Role::PlatformAdmin, title, vec![tenant]).await?,
    ))
}

/// Makes a key of the first tenant without asking for one: whoever holds the state
/// directory holds the service.
pub(crate) async fn mint_locally(
    store: &dyn ControlStore,
    role: Role,
    title: &str,
) -> Result<SecretString> {
    mint(store, role, title, Vec::new()).await
}

async fn mint(
    store: &dyn ControlStore,
    role: Role,
    title: &str,
    mut writes: Vec<Write>,
) -> Result<SecretString> {
    let minted = key::mint().context("the operating system gives no random bytes")?;
    writes.push(Write::PutKey {
        id: minted.id.clone(),
        sha256: Sha256::from_bytes(minted.sha256),
        role,
        title: title.to_owned(),
        expires_at_ms: None,
    });
    let commit = Commit {
        tenant: TenantId::parse(FIRST_TENANT).expect("a word is an id"),
        actor: Actor::System,
        origin: None,
        action: "key.create".to_owned(),
        subject: format!("key {}", minted.id),
        detail: json!({ "role": role, "title": title }).to_string(),
        at_ms: now_ms(),
        writes,
        idempotency: None,
        events: Vec::new(),
    };
    match store.commit(commit).await {
        Ok(_) => Ok(minted.text),
        Err(error @ Error::NotFound { .. }) => {
            Err(error).context("start the service once, which makes its first tenant")
        }
        Err(error) => Err(error.into()),
    }
}
