//! A node with tenants, a simulated CRM and a directory to land in.

use crm_sim::hubspot::{CrmSim, ExtraProperty, Fault, Kind, PathKind, PropertyType, Rule, When};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tidegate_broker::{Mapping, Origin};
use tidegate_domain::id::{JobId, Sha256, StreamKey, StreamName, SyncId, TenantId};
use tidegate_domain::job::{JobRequest, JobState, Trigger};
use tidegate_domain::spec::SecretName;
use tidegate_engine::config::WorkerConfig;
use tidegate_engine::worker::{Drained, Handle, Worker};
use tidegate_engine::{Config, Node, enqueue, secret};
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::lake::{self, StreamView, marks};
use tidegate_landing::target::Target;
use tidegate_sandbox::{CompileLimits, Compiler};
use tidegate_store::clock::now_ms;
use tidegate_store::control::{
    Actor, Commit, Committed, ConnectorState, DocumentKind, Expected, Reference, TenantState, Write,
};
use tidegate_store::queue::QueuedJob;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Rows by (key, version), with how often each landed.
pub(crate) type Rows = BTreeMap<(String, String), u32>;

/// How long anything in a test may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Plant {
    pub(crate) crm: CrmSim,
    pub(crate) node: Arc<Node>,
    pub(crate) folder: TempDir,
}

/// A worker that runs.
pub(crate) struct Working {
    pub(crate) handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<Drained>,
}

impl Working {
    pub(crate) async fn drain(self) -> Drained {
        self.shutdown.cancel();
        self.task.await.unwrap()
    }

    /// Drops everything that it holds, as a killed process would.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn sync() -> SyncId {
    SyncId::parse("crm").unwrap()
}

pub(crate) fn contacts() -> StreamName {
    StreamName::parse("contacts").unwrap()
}

/// The documents of the tests' sync.
pub(crate) fn sync_document(plant: &Plant) -> Value {
    json!({
        "connection": "hubspot",
        "streams": [{
            "name": "contacts", "mode": "incremental", "landing": "append", "fields": ["email"],
        }],
        "target": {
            "url": format!("file://{}", plant.lake().display()),
            "format": "jsonl.zst",
        },
        "batch": { "rows_max": 400 },
    })
}

impl Plant {
    pub(crate) async fn new(contacts: u32) -> Plant {
        Plant::with(contacts, |_| {}).await
    }

    pub(crate) async fn with(contacts: u32, change: impl FnOnce(&mut Config)) -> Plant {
        let crm = CrmSim::start(crm_sim::hubspot::Config {
            contacts,
            limit_scale: None,
            tie_burst: 30,
            extra_properties: vec![ExtraProperty {
                kind: Kind::Contacts,
                name: "renewal".to_owned(),
                property_type: PropertyType::Bool,
                archived: true,
            }],
            ..crm_sim::hubspot::Config::default()
        })
        .await
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let to = Origin::parse(crm.base_url()).unwrap();
        let mapping = |from: &str| Mapping {
            from: Origin::parse(from).unwrap(),
            to: to.clone(),
        };
        let mut config = Config {
            lease_ms: 1_500,
            worker: WorkerConfig {
                claim_ms: 1_500,
                ..WorkerConfig::default()
            },
            ..Config::default()
        };
        config.broker.mappings = vec![
            mapping("https://api.hubapi.com"),
            mapping("https://app.hubspot.com"),
        ];
        config.broker.limit_scale = f64::INFINITY;
        change(&mut config);
        let state = folder.path().join("state");
        let node = Node::open(&state, compiler(), config).await.unwrap();
        Plant {
            crm,
            node: Arc::new(node),
            folder,
        }
    }

    pub(crate) fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// A tenant with a connection to the CRM and a sync of its contacts.
    pub(crate) async fn add_tenant(&self, name: &str) -> TenantId {
        let tenant = tenant(name);
        let token = self.crm.private_app_token().to_owned();
        self.put_secret(&tenant, &token).await;
        let wasm = guest("hubspot");
        let digest = Sha256::from_bytes(sha2::Sha256::digest(&wasm).into());
        let connector = Write::PutConnector {
            shared: false,
            digest: digest.clone(),
            name: "hubspot".to_owned(),
            version: "1.0.0".to_owned(),
            manifest: "{}".to_owned(),
            state: ConnectorState::Approved,
            wasm: wasm.into(),
        };
        self.commit(&tenant, vec![connector]).await;
        let connection = json!({
            "connector": "hubspot",
            "digest": digest,
            "config": { "auth": "private_app" },
            "secrets": { "token": "${secret:token}" },
        });
        self.put_connection(&tenant, connection).await;
        self.put_sync(&tenant, "crm", sync_document(self), &[])
            .await;
        tenant
    }

    pub(crate) async fn put_connection(&self, tenant: &TenantId, body: Value) {
        let write = Write::PutDocument {
            kind: DocumentKind::Connection,
            id: "hubspot".to_owned(),
            expected: Expected::Any,
            body: body.to_string(),
            references: vec![Reference::Secret("token".to_owned())],
        };
        self.commit(tenant, vec![write]).await;
    }

    /// The stored connection's document.
    pub(crate) async fn connection(&self, tenant: &TenantId) -> Value {
        let kind = DocumentKind::Connection;
        let found = self.node.store.document(tenant, kind, "hubspot").await;
        serde_json::from_str(&found.unwrap().unwrap().body).unwrap()
    }

    pub(crate) async fn put_sync(&self, tenant: &TenantId, id: &str, body: Value, after: &[&str]) {
        let mut references = vec![Reference::Document(
            DocumentKind::Connection,
            "hubspot".to_owned(),
        )];
        let after = after.iter();
        references
            .extend(after.map(|id| Reference::Document(DocumentKind::Sync, (*id).to_owned())));
        let write = Write::PutDocument {
            kind: DocumentKind::Sync,
            id: id.to_owned(),
            expected: Expected::Any,
            body: body.to_string(),
            references,
        };
        self.commit(tenant, vec![write]).await;
    }

    pub(crate) async fn put_secret(&self, tenant: &TenantId, value: &str) {
        self.put_secret_as(tenant, "token", value).await;
    }

    pub(crate) async fn put_secret_as(&self, tenant: &TenantId, name: &str, value: &str) {
        let name = SecretName::parse(name).unwrap();
        let (store, keyring) = (&self.node.store, &self.node.keyring);
        let sealed = keyring
            .seal(&**store, tenant, &secret::purpose(&name), value.as_bytes())
            .await
            .unwrap();
        let writes = vec![
            Write::PutTenant {
                expected: Expected::Any,
                title: String::new(),
                state: TenantState::Active,
                jobs_max: None,
            },
            Write::PutSecret {
                name: name.to_string(),
                sealed,
                fingerprint: secret::fingerprint(keyring, tenant, &name, value.as_bytes()),
            },
        ];
        self.commit(tenant, writes).await;
    }

    pub(crate) async fn commit(&self, tenant: &TenantId, writes: Vec<Write>) -> Committed {
        let commit = Commit {
            tenant: tenant.clone(),
            actor: Actor::System,
            origin: None,
            action: "test.put".to_owned(),
            subject: "test".to_owned(),
            detail: "{}".to_owned(),
            at_ms: now_ms(),
            writes,
            idempotency: None,
            events: Vec::new(),
        };
        self.node.store.commit(commit).await.unwrap()
    }

    /// Asks for a job of the tenant's sync.
    pub(crate) async fn enqueue(&self, tenant: &TenantId, request: JobRequest) -> JobId {
        self.enqueue_of(tenant, &sync(), request).await
    }

    pub(crate) async fn enqueue_of(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
        request: JobRequest,
    ) -> JobId {
        let store = &*self.node.store;
        let job = enqueue::job_for(store, tenant, sync, Trigger::Api, request);
        let job = job.await.unwrap();
        let committed = self
            .commit(tenant, vec![Write::PutJob(Box::new(job))])
            .await;
        committed.jobs[0].id().clone()
    }

    pub(crate) async fn cancel(&self, tenant: &TenantId, job: &JobId) {
        let write = Write::CancelJob {
            id: job.clone(),
            events: Vec::new(),
        };
        self.commit(tenant, vec![write]).await;
    }

    pub(crate) fn work(&self) -> Working {
        let (worker, handle) = Worker::new(Arc::clone(&self.node));
        let shutdown = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the test ends it")]
        let task = tokio::spawn(worker.run(shutdown.clone()));
        Working {
            handle,
            shutdown,
            task,
        }
    }

    pub(crate) async fn job(&self, tenant: &TenantId, job: &JobId) -> QueuedJob {
        let found = self.node.store.queued_job(tenant, job).await.unwrap();
        found.unwrap()
    }

    /// What landed of the contacts must be what the source has.
    pub(crate) async fn assert_whole(&self, tenant: &TenantId) {
        assert_same(
            &self.landed(tenant, "contacts").await,
            &self.truth(|_| true),
        );
    }

    /// Waits until the job is as wanted.
    pub(crate) async fn until(
        &self,
        tenant: &TenantId,
        job: &JobId,
        wanted: impl Fn(&QueuedJob) -> bool,
    ) -> QueuedJob {
        let look = async || {
            let found = self.job(tenant, job).await;
            let is_wrong = found.row.job.state.is_final() && !wanted(&found);
            assert!(!is_wrong, "{:?}", found.row.job);
            wanted(&found).then_some(found)
        };
        eventually(look).await
    }

    pub(crate) async fn to_state(
        &self,
        tenant: &TenantId,
        job: &JobId,
        state: JobState,
    ) -> QueuedJob {
        self.until(tenant, job, |found| found.row.job.state == state)
            .await
    }

    /// Runs a job to its end, which must be a success.
    pub(crate) async fn run(&self, tenant: &TenantId, request: JobRequest) -> QueuedJob {
        let working = self.work();
        let job = self.enqueue(tenant, request).await;
        working.handle.wake();
        let done = self.to_state(tenant, &job, JobState::Succeeded).await;
        assert_eq!(working.drain().await.cut_off, 0);
        done
    }

    /// Waits until a running job has committed rows.
    pub(crate) async fn until_rows(&self, working: &Working, tenant: &TenantId, job: &JobId) {
        let look = async || {
            let snapshot = working.handle.snapshot(tenant, job)?;
            (snapshot.figures.rows > 0).then_some(())
        };
        eventually(look).await;
    }

    /// Lets every page of the CRM come late.
    pub(crate) fn slow_down(&self, delay_ms: u64) {
        self.crm.install_fault(Rule {
            path: Some(PathKind::List),
            when: When::Always,
            fault: Fault::Delay(delay_ms),
        });
    }

    pub(crate) async fn view(&self, tenant: &TenantId, log: &str) -> StreamView {
        self.view_of(tenant, "crm", log).await
    }

    pub(crate) async fn view_of(&self, tenant: &TenantId, sync: &str, log: &str) -> StreamView {
        let key = StreamKey {
            tenant: tenant.clone(),
            sync: SyncId::parse(sync).unwrap(),
            stream: StreamName::parse(log).unwrap(),
        };
        lake::view(&self.target(), &key).await.unwrap()
    }

    fn target(&self) -> Arc<dyn Target> {
        Arc::new(DirectoryTarget::open(&self.lake()).unwrap())
    }

    /// What readers see of a log.
    pub(crate) async fn landed(&self, tenant: &TenantId, log: &str) -> Rows {
        let view = self.view(tenant, log).await;
        self.rows(&view).await
    }

    pub(crate) async fn rows(&self, view: &StreamView) -> Rows {
        self.rows_on(&self.target(), view).await
    }

    pub(crate) async fn rows_on(&self, target: &Arc<dyn Target>, view: &StreamView) -> Rows {
        assert!(view.rejected.is_empty(), "rows were refused");
        let mut rows = Rows::new();
        for seen in &view.objects {
            let bytes = target.read(&seen.key).await.unwrap().unwrap();
            marks::for_each(seen.object.format, bytes, |mark| {
                let version = mark.version.as_deref().unwrap_or_default().to_owned();
                *rows.entry((mark.key.into_owned(), version)).or_default() += 1;
            })
            .unwrap();
        }
        rows
    }

    /// Every current contact that is not archived and passes, once.
    pub(crate) fn truth(&self, passes: impl Fn(i64) -> bool) -> Rows {
        let current = self.crm.current(Kind::Contacts);
        current
            .filter(|version| !version.archived && passes(version.modified_ms))
            .map(|version| {
                let modified = crm_sim::hubspot::iso(version.modified_ms);
                ((version.id.to_string(), modified), 1)
            })
            .collect()
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.expect("what is waited for comes")
}

/// Fails with a short account of how two sets of rows differ.
pub(crate) fn assert_same(landed: &Rows, truth: &Rows) {
    let lost = truth
        .keys()
        .filter(|row| !landed.contains_key(*row))
        .count();
    let doubled = landed
        .iter()
        .filter(|(row, times)| truth.get(*row) < Some(times))
        .count();
    let foreign = landed
        .keys()
        .filter(|row| !truth.contains_key(*row))
        .count();
    assert!(
        landed == truth,
        "{lost} of {} rows lost, {doubled} too often, {foreign} unexpected",
        truth.len()
    );
}

pub(crate) fn compiler() -> Compiler {
    Compiler::Child {
        exe: PathBuf::from(env!("CARGO_BIN_EXE_tidegate-engine-compile-component")),
        args: Vec::new(),
        limits: CompileLimits::default(),
    }
}

/// A built guest.
fn guest(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-connectors");
    let path = root.join(format!("target/wasm32-wasip2/release/{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo ci` builds it", path.display()))
}
