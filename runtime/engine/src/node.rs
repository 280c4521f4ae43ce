//! The composition of one node: its parts, built in order from its directory and the
//! operator's settings. The command line and the service share it.

use crate::config::Config;
use crate::error::Error;
use crate::kept::Kept;
use crate::target::{self, AllowedDirectories, TargetSettings, Use};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_broker::{Broker, Keyring};
use tidegate_domain::id::{Sha256, StreamKey, TenantId};
use tidegate_landing::cipher::StreamCipher;
use tidegate_landing::stage::{self, StageDirectory, Staging};
use tidegate_landing::target::Target;
use tidegate_sandbox::{Compiler, Connector, Sandbox};
use tidegate_store::{ServiceStore, SqliteStore};

/// Compiled connectors that are kept in memory, and targets that stay open.
const CONNECTORS_KEPT: usize = 128;
const TARGETS_KEPT: usize = 1_024;

/// Everything that the runs of a process share.
pub struct Node {
    /// The database.
    pub store: Arc<dyn ServiceStore>,
    /// The node key and what is derived from it.
    pub keyring: Arc<Keyring>,
    /// The way out.
    pub broker: Broker,
    /// Runs connectors.
    pub sandbox: Sandbox,
    /// Where batches are staged.
    pub staging: Arc<dyn Staging>,
    /// Where large bodies go.
    pub spool_dir: PathBuf,
    /// What the operator decided.
    pub config: Config,
    pub(crate) allowed_directories: AllowedDirectories,
    /// What was found of the targets' conditional puts.
    probes: PathBuf,
    pub(crate) connectors: Kept<Sha256, Arc<Connector>>,
    pub(crate) targets: Kept<[u8; 32], Arc<dyn Target>>,
}

impl Node {
    /// Opens the node's directory `state`, made where it does not exist.
    ///
    /// The node key lies outside the database's directory, so that a backup of the
    /// one does not open the other.
    ///
    /// # Errors
    /// [`Error::Setting`] before anything is touched; then whatever part cannot be
    /// built.
    pub async fn open(state: &Path, compiler: Compiler, config: Config) -> Result<Node, Error> {
        config.check()?;
        let folder = |name: &str| -> Result<PathBuf, Error> {
            let path = state.join(name);
            match std::fs::create_dir_all(&path) {
                Ok(()) => Ok(path),
                Err(source) => Err(Error::Directory { path, source }),
            }
        };
        let (database, keys, cache) = (folder("db")?, folder("keys")?, folder("cache")?);
        let (staged, spool_dir, probes) = (folder("staged")?, folder("spool")?, folder("probes")?);
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&database)).await;
        let store: Arc<dyn ServiceStore> = match opened {
            Ok(opened) => Arc::new(opened?),
            Err(_) => return Err(Error::Store(tidegate_store::Error::Closed)),
        };
        let keyring = Arc::new(config.keys.open(&keys.join("node.key"), &config.broker)?);
        let mut broker_config = config.broker.clone();
        broker_config.spool_dir.clone_from(&spool_dir);
        broker_config.salvage_dir = Some(folder("salvage")?);
        let broker = Broker::new(
            broker_config,
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            Arc::clone(&keyring),
        )?;
        broker.record_requests(Arc::clone(&store) as _).await?;
        let mut sandbox_config = tidegate_sandbox::Config::new(cache, compiler);
        if let Some(threads) = config.guest_threads {
            sandbox_config.threads = threads;
        }
        let sandbox = Sandbox::new(sandbox_config, Arc::clone(&keyring))?;
        let staging: Arc<dyn Staging> = Arc::new(StageDirectory::open(&staged)?);
        let allowed_directories = AllowedDirectories::of(&config, state)?;
        let removed = stage::remove_orphans(&*staging, &store.staged_paths().await?)?;
        if removed > 0 {
            tracing::info!(
                removed,
                "staged files of a former run that no batch needs were removed"
            );
        }
        Ok(Node {
            store,
            keyring,
            broker,
            sandbox,
            staging,
            spool_dir,
            config,
            allowed_directories,
            probes,
            connectors: Kept::new(CONNECTORS_KEPT),
            targets: Kept::new(TARGETS_KEPT),
        })
    }

    /// Opens a target to commit there; its conditional put is tried first, unless this
    /// node has done that lately.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing; [`Error::Target`] says what the
    /// target refuses.
    pub async fn target(&self, settings: &TargetSettings) -> Result<Arc<dyn Target>, Error> {
        let probes = &self.probes;
        target::open(settings, &self.config, Use::Write { probes }).await
    }

    /// Forgets what this process remembers of a tenant that was deleted: its data key
    /// and its tokens.
    ///
    /// # Errors
    /// [`Error::Broker`] where the store fails; its rows are gone already.
    pub async fn forget_tenant(&self, tenant: &TenantId) -> Result<(), Error> {
        self.keyring.destroy(&*self.store, tenant).await?;
        self.broker.forget_tenant(tenant);
        Ok(())
    }

    /// Before anything of a tenant is sealed, its data key is taken from the target or
    /// kept there: a lost database is rebuilt with the node key alone. `key` is any
    /// stream of the tenant.
    ///
    /// # Errors
    /// [`Error::Landed`] where the target holds another key or cannot be read.
    pub async fn share_key(&self, key: StreamKey, target: &dyn Target) -> Result<(), Error> {
        let store = Arc::clone(&self.store) as _;
        let cipher = StreamCipher::new(Arc::clone(&self.keyring), store, key);
        Ok(cipher.share_key(target).await?)
    }
}

/// Whether the connector asked to run blind: it then never sees a record.
pub fn runs_blind(connector: &Connector) -> bool {
    let extra: serde_json::Value =
        serde_json::from_str(&connector.manifest().extra).unwrap_or_default();
    extra["blind"] == serde_json::Value::Bool(true)
}
