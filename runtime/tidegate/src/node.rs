//! From this program's documents to the engine's node: where secrets are read, and
//! which program compiles.

use crate::cli::Place;
use crate::config::{self, ConnectionFile};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tidegate_broker::{Connection, OauthApp, Session};
use tidegate_domain::id::TenantId;
use tidegate_domain::job::Class;
use tidegate_domain::spec::{SecretRef, TargetSpec};
use tidegate_engine::target::TargetSettings;
use tidegate_engine::{Config, Node};
use tidegate_sandbox::{CompileLimits, Compiler, Connector};

/// Secrets by the names that the manifest gives them.
pub(crate) type Secrets = BTreeMap<String, SecretString>;

/// Reads a connection's secrets from where they are.
pub(crate) fn secrets(file: &ConnectionFile) -> Result<Secrets> {
    let resolve = |(name, secret): (&String, &SecretRef)| {
        let secret = config::resolve(secret, &format!("connection.secrets.{name}"))?;
        Ok((name.clone(), secret))
    };
    file.secrets.iter().map(resolve).collect()
}

/// The operator's file; the defaults without `--operator`.
pub(crate) fn operator_file(place: &Place) -> Result<Config> {
    Ok(match &place.operator {
        Some(path) => config::read(path)?,
        None => Config::default(),
    })
}

/// Opens the node's directory.
pub(crate) async fn open(place: &Place, operator: Config) -> Result<Node> {
    Ok(Node::open(place.state(), compiler()?, operator).await?)
}

/// This program compiles, as a child of itself.
pub(crate) fn compiler() -> Result<Compiler> {
    Ok(Compiler::Child {
        exe: std::env::current_exe().context("cannot find the program's own file")?,
        args: vec!["compile-component".to_owned()],
        limits: CompileLimits::default(),
    })
}

/// Admits the component in `file`.
pub(crate) async fn connector(node: &Node, file: &Path) -> Result<Arc<Connector>> {
    let wasm = std::fs::read(file)
        .with_context(|| format!("cannot read the component {}", file.display()))?;
    let admitted = node.sandbox.admit(Bytes::from(wasm)).await;
    admitted.with_context(|| format!("{} cannot be used", file.display()))
}

/// A session for a connection.
pub(crate) fn session(
    node: &Node,
    tenant: &TenantId,
    file: &ConnectionFile,
    secrets: &Secrets,
    connector: &Connector,
) -> Result<Session> {
    let oauth_app = match &file.oauth_app {
        None => None,
        Some(app) => Some(OauthApp {
            client_id: app.client_id.clone(),
            client_secret: config::resolve(
                &app.client_secret,
                "connection.oauth_app.client_secret",
            )?,
        }),
    };
    Ok(node.broker.session(Connection {
        tenant: tenant.clone(),
        id: file.id.clone(),
        manifest: Arc::clone(connector.manifest()),
        config: file.config.clone(),
        secrets: secrets.clone(),
        oauth_app,
        account: file.account.clone(),
        quota_share: file.quota_share,
        class: Class::Incremental,
        connector: Some(connector.digest().clone()),
    }))
}

/// A target's settings, with its secrets read.
pub(crate) fn target_settings(file: &TargetSpec) -> Result<TargetSettings> {
    let key = |secret: &Option<SecretRef>, field: &str| -> Result<_, config::Error> {
        secret
            .as_ref()
            .map(|secret| config::resolve(secret, field))
            .transpose()
    };
    Ok(TargetSettings {
        url: file.url.clone(),
        operations: file
            .operations
            .iter()
            .map(|(operation, url)| (operation, url.to_owned()))
            .collect(),
        endpoint: file.endpoint.clone(),
        region: file.region.clone(),
        path_style: file.path_style,
        access_key: key(&file.access_key, "target.access_key")?,
        secret_key: key(&file.secret_key, "target.secret_key")?,
    })
}
