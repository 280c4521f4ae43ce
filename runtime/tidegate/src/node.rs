//! The composition root: one node's parts, built in order from its directory and
//! the operator's file.

use crate::cli::Place;
use crate::config::{self, ConnectionFile, OperatorFile, TargetFile};
use crate::report;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_broker::dial::Dialer;
use tidegate_broker::{Broker, Class, Connection, Keyring, OauthApp, Session};
use tidegate_domain::id::TenantId;
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::s3::{Conditional, S3Config, S3Target};
use tidegate_landing::stage::{self, StageDirectory, Staging};
use tidegate_landing::target::Target;
use tidegate_sandbox::{CompileLimits, Compiler, Connector, Sandbox};
use tidegate_store::{SqliteStore, Store};

/// A stream's lease unless the operator says otherwise, in milliseconds.
const LEASE_MS: u64 = 30_000;
const LEASE_MS_MIN: u64 = 1_000;

/// Everything that a run shares.
pub(crate) struct Node {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) broker: Broker,
    pub(crate) sandbox: Sandbox,
    pub(crate) staging: Arc<dyn Staging>,
    pub(crate) spool_dir: PathBuf,
    pub(crate) lease_ms: u64,
    operator: OperatorFile,
}

/// Secrets by the names that the manifest gives them.
pub(crate) type Secrets = BTreeMap<String, SecretString>;

/// Reads a connection's secrets from where they are.
pub(crate) fn secrets(file: &ConnectionFile) -> Result<Secrets> {
    let resolve = |(name, secret): (&String, &config::Secret)| {
        let secret = secret.resolve(&format!("connection.secrets.{name}"))?;
        Ok((name.clone(), secret))
    };
    file.secrets.iter().map(resolve).collect()
}

/// The operator's file; an empty one without `--operator`.
pub(crate) fn operator_file(place: &Place) -> Result<OperatorFile> {
    Ok(match &place.operator {
        Some(path) => config::read(path)?,
        None => OperatorFile::default(),
    })
}

impl Node {
    /// Opens the node's directory.
    ///
    /// The node key lies outside the database's directory, so that a backup of the
    /// one does not open the other.
    pub(crate) async fn open(place: &Place, operator: OperatorFile) -> Result<Node> {
        let folder = |name: &str| -> Result<PathBuf> {
            let path = place.state.join(name);
            std::fs::create_dir_all(&path).with_context(|| {
                format!(
                    "cannot make {}; choose another directory with --state",
                    path.display()
                )
            })?;
            Ok(path)
        };
        let (database, keys, cache) = (folder("db")?, folder("keys")?, folder("cache")?);
        let (staged, spool_dir) = (folder("staged")?, folder("spool")?);
        let store = tokio::task::spawn_blocking(move || SqliteStore::open(&database)).await??;
        let store: Arc<dyn Store> = Arc::new(store);
        let keyring = Arc::new(Keyring::open(&keys.join("node.key"))?);
        let mut broker_config = operator.broker.clone();
        broker_config.spool_dir.clone_from(&spool_dir);
        let broker = Broker::new(broker_config, Arc::clone(&store), Arc::clone(&keyring))?;
        let sandbox = Sandbox::new(sandbox_config(cache, &operator)?, Arc::clone(&keyring))?;
        let staging: Arc<dyn Staging> = Arc::new(StageDirectory::open(&staged)?);
        let removed = stage::remove_orphans(&*staging, &store.staged_paths().await?)?;
        if removed > 0 {
            tracing::info!(
                removed,
                "staged files of a former run that no batch needs were removed"
            );
        }
        let lease_ms = operator.lease_ms.unwrap_or(LEASE_MS);
        if lease_ms < LEASE_MS_MIN {
            bail!(
                "lease_ms must be {LEASE_MS_MIN} at least, or owners lose streams that they read"
            );
        }
        Ok(Node {
            store,
            keyring,
            broker,
            sandbox,
            staging,
            spool_dir,
            lease_ms,
            operator,
        })
    }

    /// Admits the component in `file`.
    pub(crate) async fn connector(&self, file: &Path) -> Result<Arc<Connector>> {
        let wasm = std::fs::read(file)
            .with_context(|| format!("cannot read the component {}", file.display()))?;
        let admitted = self.sandbox.admit(Bytes::from(wasm)).await;
        admitted.with_context(|| format!("{} cannot be used", file.display()))
    }

    /// A session for a connection.
    pub(crate) fn session(
        &self,
        tenant: &TenantId,
        file: &ConnectionFile,
        secrets: &Secrets,
        connector: &Connector,
    ) -> Result<Session> {
        let oauth_app = match &file.oauth_app {
            None => None,
            Some(app) => Some(OauthApp {
                client_id: app.client_id.clone(),
                client_secret: app
                    .client_secret
                    .resolve("connection.oauth_app.client_secret")?,
            }),
        };
        let serde_json::Value::Object(config) = file.config.clone() else {
            bail!("connection.config must be a mapping");
        };
        Ok(self.broker.session(Connection {
            tenant: tenant.clone(),
            id: file.id.clone(),
            manifest: Arc::clone(connector.manifest()),
            config,
            secrets: secrets.clone(),
            oauth_app,
            account: file.account.clone(),
            class: Class::Incremental,
        }))
    }

    /// Opens a target and tries its conditional put.
    pub(crate) async fn target(&self, file: &TargetFile) -> Result<Arc<dyn Target>> {
        open_target(file, &self.operator, Use::Write).await
    }
}

fn sandbox_config(cache_dir: PathBuf, operator: &OperatorFile) -> Result<tidegate_sandbox::Config> {
    let exe = std::env::current_exe().context("cannot find the program's own file")?;
    let compiler = Compiler::Child {
        exe,
        args: vec!["compile-component".to_owned()],
        limits: CompileLimits::default(),
    };
    let mut config = tidegate_sandbox::Config::new(cache_dir, compiler);
    if let Some(threads) = operator.guest_threads {
        config.threads = threads;
    }
    Ok(config)
}

/// Whether the connector asked to run blind: it then never sees a record.
pub(crate) fn runs_blind(connector: &Connector) -> bool {
    let extra: serde_json::Value =
        serde_json::from_str(&connector.manifest().extra).unwrap_or_default();
    extra["blind"] == serde_json::Value::Bool(true)
}

/// What a target is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// To read the log; nothing is written.
    Read,
    /// To commit; its conditional put is tried first.
    Write,
}

/// Opens a target without a node.
pub(crate) async fn open_target(
    file: &TargetFile,
    operator: &OperatorFile,
    use_of: Use,
) -> Result<Arc<dyn Target>> {
    if let Some(path) = file.url.strip_prefix("file://") {
        if !path.starts_with('/') {
            bail!(
                "target.url {}: use three slashes and an absolute path",
                file.url
            );
        }
        return Ok(Arc::new(DirectoryTarget::open(Path::new(path))?));
    }
    let Some(rest) = file.url.strip_prefix("s3://") else {
        bail!(
            "target.url {}: use file:///directory or s3://bucket/prefix",
            file.url
        );
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let key = |secret: &Option<config::Secret>, field: &str| match secret {
        Some(secret) => secret.resolve(field),
        None => bail_missing(field),
    };
    let config = S3Config {
        endpoint: file.endpoint.clone(),
        region: file.region.clone(),
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        path_style: file.path_style,
        access_key: key(&file.access_key, "target.access_key")?
            .expose_secret()
            .to_owned(),
        secret_key: key(&file.secret_key, "target.secret_key")?,
        session_token: None,
    };
    let dialer = Dialer::new(&operator.broker)?.reaching(&operator.target_origins);
    let target = S3Target::connect(config, &dialer)?;
    if use_of == Use::Write && target.probe().await? == Conditional::Racy {
        report::say(&format!(
            "warning: {} lets several writers create one key; let only this node write there",
            file.url
        ));
    }
    Ok(Arc::new(target))
}

fn bail_missing(field: &str) -> Result<secrecy::SecretString, config::Error> {
    Err(config::Error::Value {
        field: field.to_owned(),
        reason: "an s3:// target needs it; name it as ${env:NAME}".to_owned(),
    })
}
