//! Grants: fresh tokens, one refresh at a time, durable before first use.
//!
//! A refresh runs to its end even where its caller is gone: the provider may have
//! replaced the pair already, and then the answer is all that is left of the grant.

mod account;
mod assertion;
mod authorize;
mod credential;
mod exchange;
mod refresh;
mod rest;
mod salvage;
mod tokens;

pub use authorize::PendingAuthorization;
pub(crate) use authorize::complete;
pub(crate) use authorize::pending;
pub(crate) use credential::{Credential, check_manifest, of_secrets, signed_headers, signed_query};
pub(crate) use tokens::Tokens;

use crate::broker::{Shared, Tenant};
use crate::connection::OauthApp;
use crate::{Config, Connection, Error, Keyring};
use account::Account;
use assertion::Signer;
use data_encoding::HEXLOWER;
use exchange::Client;
use salvage::Salvage;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_domain::manifest::{AuthKind, AuthMethod};
use tidegate_store::clock::now_ms;
use tidegate_store::grants::{GrantKey, GrantState, GrantStore};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use url::Url;

/// The name of the kept value of a token answer that says who authorised.
const IDENTITY: &str = "identity";
/// As often may a person authorise an application for one grant before a further time
/// must be confirmed. Salesforce keeps five and ends the oldest, whoever uses it.
const APPROVALS_MAX: u32 = 4;

/// All grants of the process.
pub(crate) struct Grants {
    vault: Arc<Vault>,
    cells: Mutex<HashMap<GrantKey, Cell>>,
    tasks: TaskTracker,
}

/// Where grants are kept.
pub(crate) struct Vault {
    store: Arc<dyn GrantStore>,
    keyring: Arc<Keyring>,
    salvage: Option<Salvage>,
    rests: rest::Rests,
}

/// One grant in this process. The lock is async because a refresh is awaited under
/// it: that is the single flight.
type Cell = Arc<tokio::sync::Mutex<CellState>>;

#[derive(Default)]
pub(crate) struct CellState {
    current: Option<Arc<Current>>,
    /// Exchanged, but the store did not take it yet; never used before it did.
    unsaved: Option<refresh::Unsaved>,
    /// The token endpoint declined: until then, the same answer.
    rests_until: Option<Instant>,
}

/// A usable pair of tokens.
pub(crate) struct Current {
    /// Where it is kept.
    holder: String,
    pub(crate) version: u64,
    pub(crate) tokens: Tokens,
}

/// One OAuth method of one connection.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) key: GrantKey,
    method: Arc<AuthMethod>,
    app: OauthApp,
    token_url: Url,
    keep: Arc<[(String, String)]>,
    client: Client,
    account: Account,
    /// Of a JWT bearer.
    signer: Option<Arc<Signer>>,
}

impl Grant {
    /// None where the method has no token endpoint.
    pub(crate) fn of(
        connection: &Connection,
        method: &AuthMethod,
        tenant: &Tenant,
        shared: &Shared,
    ) -> Result<Option<Self>, Error> {
        let config = &shared.config;
        let (token_url, keep) = match &method.kind {
            AuthKind::Oauth2Code(code) => (&code.token_url, &code.keep),
            AuthKind::Oauth2Client(client) => (&client.token_url, &client.keep),
            AuthKind::Oauth2Jwt(jwt) => (&jwt.token_url, &jwt.keep),
            _ => return Ok(None),
        };
        let app = connection.oauth_app.clone().ok_or_else(|| {
            Error::config(format!(
                "connection {} uses OAuth method {} and has no OAuth application",
                connection.id, method.name
            ))
        })?;
        let url = crate::endpoint::fill_url(token_url, &connection.config)?;
        let signer = match &method.kind {
            AuthKind::Oauth2Jwt(jwt) => {
                let signer = Signer::of(connection, &app.client_id, &jwt.audience)?;
                Some(Arc::new(signer))
            }
            _ => None,
        };
        Ok(Some(Self {
            key: GrantKey {
                tenant: connection.tenant.clone(),
                connection: connection.id.clone(),
                method: method.name.clone(),
            },
            method: Arc::new(method.clone()),
            app,
            token_url: mapped(config, url),
            keep: keep.as_slice().into(),
            client: Client::new(tenant.client(&connection.id, Some(&method.name)), config),
            account: Account::new(connection, &shared.recorder),
            signer,
        }))
    }

    /// Whether its token answers hold the value of this name.
    pub(crate) fn keeps(&self, name: &str) -> bool {
        self.keep.iter().any(|(kept, _)| kept == name)
    }

    /// Where the pair is kept that a person gave: under the person's name, where the
    /// answer says it, so that connections of one application share it.
    fn shared_holder(&self, tokens: &Tokens) -> Option<String> {
        let identity = tokens.kept.get(IDENTITY)?;
        let AuthKind::Oauth2Code(code) = &self.method.kind else {
            return None;
        };
        let mut scopes = code.scopes.clone();
        scopes.sort_unstable();
        let mut hash = Sha256::new();
        for part in [&self.app_key(), &scopes.join(" "), identity] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Some(format!("~{}", HEXLOWER.encode(&hash.finalize())))
    }

    fn app_key(&self) -> String {
        format!("{} {}", self.token_url, self.app.client_id)
    }
}

/// The URL after the operator's mapping.
pub(crate) fn mapped(config: &Config, url: Url) -> Url {
    let origin = crate::Origin::of(&url);
    match origin.and_then(|origin| config.mapped(&origin).cloned()) {
        Some(to) => to.replace_in(&url),
        None => url,
    }
}

impl Grants {
    pub(crate) fn new(
        store: Arc<dyn GrantStore>,
        keyring: Arc<Keyring>,
        salvage_dir: Option<PathBuf>,
    ) -> Self {
        Self {
            vault: Arc::new(Vault {
                store,
                keyring,
                salvage: salvage_dir.map(Salvage::new),
                rests: rest::Rests::default(),
            }),
            cells: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    pub(crate) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn cell(&self, key: &GrantKey) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.entry(key.clone()).or_default();
        Arc::clone(cell)
    }

    /// A token that is good for now. `refused` is the version that the provider
    /// did not take: only a newer one will do. Says whether it was renewed.
    pub(crate) async fn token(
        &self,
        grant: &Grant,
        refused: Option<u64>,
    ) -> Result<(Arc<Current>, bool), Error> {
        let cell = self.cell(&grant.key);
        let mut state = cell.lock_owned().await;
        if let Some(current) = state.usable(refused) {
            return Ok((current, false));
        }
        if self.tasks.is_closed() {
            return Err(Error::Closed);
        }
        let vault = Arc::clone(&self.vault);
        let grant = grant.clone();
        let renewal = self.tasks.spawn(async move {
            let renewed = refresh::renew(&vault, &grant, &mut state, refused).await;
            match renewed {
                // An old token serves while a new one is not to be had.
                Err(Error::TokenEndpoint { .. }) => match state.alive(refused) {
                    Some(current) => Ok((current, false)),
                    None => renewed,
                },
                renewed => renewed,
            }
        });
        renewal.await.map_err(|_| Error::Closed)?
    }

    /// What the token answer kept, without a look at its age: an expired token belongs
    /// to the same account as the next. `ask` says whether the token endpoint may be
    /// asked where no answer kept `name`.
    pub(crate) async fn kept(
        &self,
        grant: &Grant,
        name: &str,
        ask: bool,
    ) -> Result<BTreeMap<String, String>, Error> {
        let cell = self.cell(&grant.key);
        let mut known = cell.lock().await.current.clone();
        if known.is_none() {
            let stored = self.vault.load(&grant.key).await?;
            known = stored.map(|(current, _)| current);
        }
        let kept = |current: &Current| current.tokens.kept.contains_key(name);
        if ask && !known.as_deref().is_some_and(kept) {
            known = Some(self.token(grant, None).await?.0);
        }
        Ok(known.map_or_else(BTreeMap::new, |current| current.tokens.kept.clone()))
    }

    /// Whether a person authorised, and need not do so again.
    pub(crate) async fn is_authorised(&self, key: &GrantKey) -> Result<bool, Error> {
        let stored = self.vault.store.grant(key).await?;
        Ok(stored.is_some_and(|grant| grant.state != GrantState::NeedsReauth))
    }

    /// A newer pair where the stored one is older than this.
    pub(crate) async fn keep_alive(&self, grant: &Grant, idle_ms: u64) -> Result<bool, Error> {
        match self.vault.store.grant(&grant.key).await? {
            Some(stored)
                if stored.state == GrantState::Active
                    && stored.noted_at_ms.saturating_add(idle_ms) <= now_ms() =>
            {
                let (_, renewed) = self.token(grant, Some(stored.version)).await?;
                Ok(renewed)
            }
            _ => Ok(false),
        }
    }

    /// Forgets the grant here and in the store.
    pub(crate) async fn revoke(&self, key: &GrantKey) -> Result<bool, Error> {
        let cell = self.cell(key);
        let mut state = cell.lock().await;
        let store = &self.vault.store;
        let holder = store.grant(key).await?.map(|stored| stored.holder);
        let removed = store.remove_grant(key).await?;
        if let Some(holder) = holder
            && store.held_grant(&key.tenant, &holder).await?.is_none()
        {
            self.vault.forget_salvaged(key, &holder).await?;
        }
        *state = CellState::default();
        Ok(removed)
    }

    /// Forgets the tokens of a connection that is no more.
    pub(crate) fn forget_connection(&self, tenant: &TenantId, connection: &ConnectionId) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.retain(|key, _| key.tenant != *tenant || key.connection != *connection);
    }

    /// Forgets the tokens of a tenant that is no more.
    pub(crate) fn forget_tenant(&self, tenant: &TenantId) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.retain(|key, _| key.tenant != *tenant);
    }

    /// Refuses where one more approval may end another one of the same person.
    pub(crate) async fn check_approvals(&self, key: &GrantKey) -> Result<(), Error> {
        let stored = self.vault.store.grant(key).await?;
        let many = stored.filter(|stored| {
            stored.holder != key.own_holder() && stored.approvals >= APPROVALS_MAX
        });
        many.map_or(Ok(()), |stored| {
            Err(Error::Approvals {
                method: key.method.clone(),
                approvals: stored.approvals,
            })
        })
    }

    /// Stores a first pair, whatever was there.
    pub(crate) async fn replace(&self, grant: &Grant, tokens: Tokens) -> Result<(), Error> {
        let cell = self.cell(&grant.key);
        let mut state = cell.lock().await;
        let current = match grant.shared_holder(&tokens) {
            Some(holder) => self.vault.share(&grant.key, holder, tokens).await?,
            None => {
                let stored = self.vault.store.grant(&grant.key).await?;
                if stored.is_some_and(|stored| stored.holder != grant.key.own_holder()) {
                    // What others go on using stays theirs.
                    self.vault.store.remove_grant(&grant.key).await?;
                }
                self.vault.put(&grant.key, tokens).await?
            }
        };
        let vault = &self.vault;
        vault.forget_salvaged(&grant.key, &current.holder).await?;
        *state = CellState {
            current: Some(current),
            ..CellState::default()
        };
        Ok(())
    }
}

impl CellState {
    fn usable(&self, refused: Option<u64>) -> Option<Arc<Current>> {
        self.newer(refused)
            .filter(|current| current.tokens.is_fresh(now_ms()))
    }

    fn alive(&self, refused: Option<u64>) -> Option<Arc<Current>> {
        self.newer(refused)
            .filter(|current| current.tokens.is_alive(now_ms()))
    }

    fn newer(&self, refused: Option<u64>) -> Option<Arc<Current>> {
        let current = self.current.clone()?;
        refused
            .is_none_or(|refused| current.version > refused)
            .then_some(current)
    }
}

/// Binds the ciphertext to its row and version; the tenant is bound by the key.
fn purpose(holder: &str, version: u64) -> String {
    format!("grant/{holder}/{version}")
}

/// A grant's state, and since when.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    state: GrantState,
    noted_at_ms: u64,
}

impl Vault {
    /// Takes over a pair that a dead process was given and could not store. It counts
    /// only where no other pair came after.
    async fn recover(&self, key: &GrantKey) -> Result<(), Error> {
        let Some(salvage) = &self.salvage else {
            return Ok(());
        };
        let Some(stored) = self.store.grant(key).await? else {
            return Ok(());
        };
        let Some(found) = salvage.find(&key.tenant, &stored.holder).await? else {
            return Ok(());
        };
        if stored.version + 1 == found.version {
            let taken = self.store.put_grant(key, found.version, &found.sealed);
            if taken.await? {
                tracing::warn!(connection.id = %key.connection, method = key.method, "a pair of tokens was salvaged");
            }
        }
        salvage.forget(&key.tenant, &stored.holder).await
    }

    /// The store has the pair, or a newer one, or nobody uses it any more.
    async fn forget_salvaged(&self, key: &GrantKey, holder: &str) -> Result<(), Error> {
        match &self.salvage {
            Some(salvage) => salvage.forget(&key.tenant, holder).await,
            None => Ok(()),
        }
    }

    async fn load(&self, key: &GrantKey) -> Result<Option<(Arc<Current>, Standing)>, Error> {
        let Some(stored) = self.store.grant(key).await? else {
            return Ok(None);
        };
        let store = &*self.store;
        let purpose = purpose(&stored.holder, stored.version);
        let plain = self
            .keyring
            .unseal(store, &key.tenant, &purpose, &stored.sealed)
            .await?;
        let tokens = Tokens::from_bytes(&plain).ok_or(Error::Unseal { purpose })?;
        let current = Current {
            holder: stored.holder,
            version: stored.version,
            tokens,
        };
        let standing = Standing {
            state: stored.state,
            noted_at_ms: stored.noted_at_ms,
        };
        Ok(Some((Arc::new(current), standing)))
    }

    async fn seal(
        &self,
        tenant: &TenantId,
        holder: &str,
        version: u64,
        tokens: &Tokens,
    ) -> Result<Vec<u8>, Error> {
        let store = &*self.store;
        let plain = tokens.to_bytes();
        self.keyring
            .seal(store, tenant, &purpose(holder, version), &plain)
            .await
    }

    /// Puts the pair over whatever version is stored.
    async fn put(&self, key: &GrantKey, tokens: Tokens) -> Result<Arc<Current>, Error> {
        loop {
            let stored = self.store.grant(key).await?;
            let version = stored.as_ref().map_or(0, |grant| grant.version) + 1;
            let holder = stored.map_or_else(|| key.own_holder(), |grant| grant.holder);
            let sealed = self.seal(&key.tenant, &holder, version, &tokens).await?;
            if self.store.put_grant(key, version, &sealed).await? {
                return Ok(Arc::new(Current {
                    holder,
                    version,
                    tokens,
                }));
            }
        }
    }

    /// Puts the pair where all connections of its person find it.
    async fn share(
        &self,
        key: &GrantKey,
        holder: String,
        tokens: Tokens,
    ) -> Result<Arc<Current>, Error> {
        loop {
            let stored = self.store.held_grant(&key.tenant, &holder).await?;
            let version = stored.map_or(0, |grant| grant.version) + 1;
            let sealed = self.seal(&key.tenant, &holder, version, &tokens).await?;
            let shared = self.store.share_grant(key, &holder, version, &sealed);
            let Some(approvals) = shared.await? else {
                continue;
            };
            if approvals >= APPROVALS_MAX {
                tracing::warn!(
                    connection.id = %key.connection,
                    approvals,
                    "one person authorised this application often; the provider may end the oldest"
                );
            }
            return Ok(Arc::new(Current {
                holder,
                version,
                tokens,
            }));
        }
    }
}
