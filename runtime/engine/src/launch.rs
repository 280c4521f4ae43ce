//! From a queued job, and the documents and secrets that it names, to a run: what the
//! command line reads from a file, the service reads from its store.

use crate::documents;
use crate::enqueue::{log_of_backfill, log_of_live};
use crate::error::Error;
use crate::joblog::JobLog;
use crate::lag::Lag;
use crate::node::{Node, runs_blind};
use crate::progress::Progress;
use crate::source::Source;
use crate::stream::{StreamSpec, SyncContext};
use crate::target::TargetSettings;
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_broker::{Connection, OauthApp};
use tidegate_domain::id::{ConnectionId, Sha256, SyncId, TenantId};
use tidegate_domain::job::{Class, JobRequest};
use tidegate_domain::spec::{self, Problem, SyncSpec, TargetSpec};
use tidegate_domain::sync::{Landing, Mode, Window};
use tidegate_landing::target::Target;
use tidegate_sandbox::Connector;
use tidegate_store::control::ConnectorState;
use tidegate_store::flow::RequestOrigin;
use tidegate_store::queue::QueuedJob;
use tokio_util::sync::CancellationToken;

/// How old a batch of a live read may become, in milliseconds.
const LIVE_BATCH_MS: u64 = 15_000;

/// A run that is ready to start.
pub(crate) struct Launched {
    pub(crate) context: SyncContext,
    pub(crate) specs: Vec<StreamSpec>,
}

/// What a run is given by whoever starts it.
pub(crate) struct Frame {
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    pub(crate) stop: CancellationToken,
    pub(crate) progress: Arc<Progress>,
    pub(crate) log: Arc<JobLog>,
    /// What a live job says of its lag.
    pub(crate) lag: Option<Arc<Lag>>,
}

impl Node {
    /// A connector that the tenant may use, compiled.
    ///
    /// # Errors
    /// [`Error::Setting`] where the tenant does not see it or it is not approved.
    pub async fn connector(
        &self,
        tenant: &TenantId,
        digest: &Sha256,
    ) -> Result<Arc<Connector>, Error> {
        let name = || format!("connector sha256:{digest}");
        let row = self.store.connector(tenant, digest).await?;
        match row.map(|row| row.state) {
            Some(ConnectorState::Approved) => {}
            Some(ConnectorState::Pending) => {
                return Err(Error::setting(
                    name(),
                    "waits for an administrator's approval",
                ));
            }
            Some(ConnectorState::Disabled) => {
                return Err(Error::setting(
                    name(),
                    "was disabled; choose another version",
                ));
            }
            None => return Err(Error::setting(name(), "does not exist")),
        }
        self.connectors
            .or_make(digest.clone(), || async {
                let wasm = self.store.connector_wasm(tenant, digest).await?;
                let wasm = wasm.ok_or_else(|| Error::setting(name(), "has no component"))?;
                Ok(self.sandbox.admit(Bytes::from(wasm)).await?)
            })
            .await
    }

    /// A stored connection, ready to be asked.
    ///
    /// # Errors
    /// [`Error::Setting`] names the document, connector or secret that is missing.
    pub async fn source(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
        class: Class,
    ) -> Result<Source, Error> {
        let spec = documents::connection(&*self.store, tenant, id).await?;
        let digest = documents::digest(id, &spec)?;
        let connector = self.connector(tenant, &digest).await?;
        let mut secrets = BTreeMap::new();
        for (name, reference) in &spec.secrets {
            let place = format!("connection {id}: secrets.{name}");
            let secret = self.secret(tenant, reference, &place).await?;
            secrets.insert(name.clone(), secret);
        }
        let oauth_app = match &spec.oauth_app {
            None => None,
            Some(app) => {
                let place = format!("connection {id}: oauth_app.client_secret");
                Some(OauthApp {
                    client_id: app.client_id.clone(),
                    client_secret: self.secret(tenant, &app.client_secret, &place).await?,
                })
            }
        };
        let config = serde_json::Value::Object(spec.config.clone()).to_string();
        let session = self.broker.session(Connection {
            tenant: tenant.clone(),
            id: id.clone(),
            manifest: Arc::clone(connector.manifest()),
            config: spec.config,
            secrets: secrets.clone(),
            oauth_app,
            account: spec.account,
            quota_share: spec.quota_share,
            class,
            connector: Some(digest),
        });
        Ok(Source {
            tenant: tenant.clone(),
            connection: id.clone(),
            blind: runs_blind(&connector),
            connector,
            session,
            secrets: Arc::new(secrets),
            config,
            hints: Arc::clone(&self.store) as _,
        })
    }

    /// Why a tenant may not land there, as far as the operator's settings say it.
    pub fn check_target(&self, spec: &TargetSpec) -> Option<Problem> {
        self.allowed_directories.check(spec)
    }

    /// The target of a stored sync, opened to commit there. It is opened once for as
    /// long as its settings and secrets stay the same.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing; [`Error::Target`] says what the
    /// target refuses.
    pub async fn stored_target(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
        spec: &TargetSpec,
    ) -> Result<Arc<dyn Target>, Error> {
        if let Some(problem) = self.check_target(spec) {
            let place = format!("sync {sync}: {}", problem.pointer);
            return Err(Error::setting(place, problem.reason));
        }
        let settings = self.target_settings(tenant, sync, spec).await?;
        let key = self.keyring.mac(&identity(&settings));
        self.targets.or_make(key, || self.target(&settings)).await
    }

    /// A stored target's settings, with its secrets.
    ///
    /// # Errors
    /// [`Error::Setting`] names the secret that is missing.
    pub async fn target_settings(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
        spec: &TargetSpec,
    ) -> Result<TargetSettings, Error> {
        let mut keys = [None, None];
        let references = [
            (&spec.access_key, "access_key"),
            (&spec.secret_key, "secret_key"),
        ];
        for (key, (reference, field)) in keys.iter_mut().zip(references) {
            if let Some(reference) = reference {
                let place = format!("sync {sync}: target.{field}");
                *key = Some(self.secret(tenant, reference, &place).await?);
            }
        }
        let [access_key, secret_key] = keys;
        Ok(TargetSettings {
            url: spec.url.clone(),
            operations: spec
                .operations
                .iter()
                .map(|(operation, url)| (operation, url.to_owned()))
                .collect(),
            endpoint: spec.endpoint.clone(),
            region: spec.region.clone(),
            path_style: spec.path_style,
            access_key,
            secret_key,
        })
    }

    /// Builds everything that a run of the job needs; nothing is read from the CRM yet.
    pub(crate) async fn launch(
        &self,
        queued: &QueuedJob,
        spec: &SyncSpec,
        frame: Frame,
    ) -> Result<Launched, Error> {
        let (tenant, sync) = (&queued.row.tenant, &queued.row.sync);
        let source = self.source(tenant, &spec.connection, queued.class).await?;
        let target = self.stored_target(tenant, sync, &spec.target).await?;
        let specs = specs(spec, queued)?;
        let is_live = matches!(queued.request, JobRequest::Live { .. });
        let context = SyncContext {
            source,
            sync: sync.clone(),
            store: Arc::clone(&self.store) as _,
            keyring: Arc::clone(&self.keyring),
            target,
            staging: Arc::clone(&self.staging),
            spool_dir: self.spool_dir.clone(),
            format: spec.target.format,
            policy: match is_live {
                true => spec.batch.at_most(LIVE_BATCH_MS),
                false => spec.batch,
            },
            schema_policy: spec.schema_policy,
            discovery_ms: self.config.discovery_ms,
            lease_ms: self.config.lease_ms,
            stop: frame.stop,
            progress: frame.progress,
            lag: frame.lag,
            log: Some(frame.log),
            origin: Some(RequestOrigin {
                job: queued.row.id.clone(),
                attempt: frame.attempt,
                stream: None,
                partition: None,
            }),
        };
        Ok(Launched { context, specs })
    }
}

/// Every setting with its length, so that no two targets are spelled alike.
fn identity(settings: &TargetSettings) -> Vec<u8> {
    let secret = |secret: &Option<SecretString>| {
        secret
            .as_ref()
            .map(|secret| secret.expose_secret().to_owned())
            .unwrap_or_default()
    };
    let mut bytes = b"target 1".to_vec();
    let others = settings.operations.iter();
    let others = others.flat_map(|(operation, url)| [operation.as_str().to_owned(), url.clone()]);
    for part in [
        settings.url.clone(),
        settings.endpoint.clone().unwrap_or_default(),
        settings.region.clone(),
        settings.path_style.to_string(),
        secret(&settings.access_key),
        secret(&settings.secret_key),
    ]
    .into_iter()
    .chain(others)
    {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn specs(spec: &SyncSpec, queued: &QueuedJob) -> Result<Vec<StreamSpec>, Error> {
    match &queued.request {
        JobRequest::Sync | JobRequest::Resync { .. } => {
            Ok(spec.streams.iter().map(StreamSpec::from).collect())
        }
        JobRequest::Backfill { stream, window } => {
            let Some(found) = spec.streams.iter().find(|spec| spec.name == *stream) else {
                return Ok(Vec::new()); // the attempt says that it is gone
            };
            let landing = match found.landing {
                Landing::Overwrite => Landing::AppendDedup,
                landing => landing,
            };
            Ok(vec![StreamSpec {
                log: log_of_backfill(stream, *window)?,
                mode: Mode::Incremental,
                landing,
                window: Some(window.window()),
                is_bounded: true,
                ..StreamSpec::from(found)
            }])
        }
        JobRequest::Live { stream } => {
            let mut streams = spec.streams.iter();
            let wanted = |spec: &&spec::StreamSpec| spec.name == *stream && spec.mode == Mode::Live;
            let Some(found) = streams.find(wanted) else {
                return Ok(Vec::new()); // who runs it ends it
            };
            Ok(vec![StreamSpec {
                log: log_of_live(stream)?,
                mode: Mode::Live,
                // What was there before is the matter of the sync's own runs.
                window: Some(Window {
                    since_ms: queued.row.created_at_ms,
                    until_ms: u64::MAX,
                }),
                partitions_max: 1,
                ..StreamSpec::from(found)
            }])
        }
    }
}

impl From<&spec::StreamSpec> for StreamSpec {
    fn from(spec: &spec::StreamSpec) -> StreamSpec {
        StreamSpec {
            name: spec.name.clone(),
            log: spec.name.clone(),
            mode: match spec.mode {
                Mode::Live => Mode::Incremental,
                mode => mode,
            },
            landing: spec.landing,
            fields: spec.fields.clone(),
            window: spec.window.map(spec::WindowSpec::window),
            partitions_max: spec.partitions_max,
            generation_min: 0,
            is_bounded: false,
        }
    }
}
