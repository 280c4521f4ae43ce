//! What a call costs before the guest does anything: a fresh instance, and each call of
//! the host. `cargo bench -p tidegate-sandbox --bench guest`, once the guests are built;
//! those in other languages are measured where `cargo bench-guests` built them.
#![expect(clippy::unwrap_used, reason = "it measures and may stop")]

use async_trait::async_trait;
use divan::Bencher;
use divan::counter::ItemsCount;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tidegate_broker::{Broker, Connection, Keyring};
use tidegate_domain::id::{ConnectionId, PartitionId, TenantId};
use tidegate_domain::job::Class;
use tidegate_domain::stream::PlannedPartition;
use tidegate_domain::sync::Mode;
use tidegate_landing::page::Page;
use tidegate_sandbox::{
    CallContext, Caps, CompileLimits, Compiler, Config, Connector, Directive, PlanRequest,
    ReadOutcome, ReadRequest, Sandbox, Sink, SinkError, StreamInfo,
};
use tidegate_store::SqliteStore;
use tidegate_store::kv::KvScope;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// As often as the guest that floods the host asks for the time.
const CALLS: u64 = 1_000_000;

fn main() {
    divan::main();
}

/// A sandbox with one connector, on a runtime of its own.
struct Node {
    runtime: Runtime,
    sandbox: Sandbox,
    store: Arc<SqliteStore>,
    keyring: Arc<Keyring>,
    _folder: TempDir,
}

impl Node {
    fn new() -> Node {
        let runtime = Runtime::new().unwrap();
        // Requests of guests run where the sandbox was made.
        let entered = runtime.enter();
        let folder = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::open(&folder.path().join("node.key")).unwrap());
        let compiler = Compiler::Child {
            exe: PathBuf::from(env!("CARGO_BIN_EXE_tidegate-compile-component")),
            args: Vec::new(),
            limits: CompileLimits::default(),
        };
        let config = Config::new(folder.path().join("compiled"), compiler);
        let sandbox = Sandbox::new(config, Arc::clone(&keyring)).unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let store = Arc::new(SqliteStore::open(&state).unwrap());
        drop(entered);
        Node {
            runtime,
            sandbox,
            store,
            keyring,
            _folder: folder,
        }
    }

    fn admit(&self, component: &str) -> Arc<Connector> {
        let wasm = std::fs::read(root().join(component)).unwrap();
        self.runtime
            .block_on(self.sandbox.admit(wasm.into()))
            .unwrap()
    }

    fn context(&self, connector: &Connector) -> CallContext {
        let broker = Broker::new(
            tidegate_broker::Config::default(),
            Arc::clone(&self.store) as _,
            Arc::clone(&self.store) as _,
            Arc::clone(&self.keyring),
        );
        let tenant = TenantId::parse("bench").unwrap();
        let connection = ConnectionId::parse("guest").unwrap();
        let session = broker.unwrap().session(Connection {
            tenant: tenant.clone(),
            id: connection.clone(),
            manifest: Arc::clone(connector.manifest()),
            config: serde_json::Map::new(),
            secrets: BTreeMap::new(),
            oauth_app: None,
            account: None,
            quota_share: None,
            class: Class::Incremental,
            connector: None,
        });
        let scope = KvScope { tenant, connection };
        let hints = Arc::clone(&self.store) as _;
        let mut context = CallContext::new(session, hints, scope, CancellationToken::new());
        context.caps = Caps {
            host_calls_max: 2 * CALLS,
            ..Caps::default()
        };
        context
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Guests that plan without asking anybody.
fn planning() -> Vec<&'static str> {
    let guests = [
        "guest-connectors/target/wasm32-wasip2/release/pages.wasm",
        "target/bench-guests/contacts-js.wasm",
        "target/bench-guests/contacts-python.wasm",
    ];
    let is_built = |guest: &&str| root().join(guest).exists();
    guests.into_iter().filter(is_built).collect()
}

/// An instance from the pool, one answer that needs no host, and the instance's end.
#[divan::bench(args = planning())]
fn a_fresh_instance_that_plans(bencher: Bencher<'_, '_>, guest: &str) {
    let node = Node::new();
    let connector = node.admit(guest);
    let context = node.context(&connector);
    bencher.bench_local(|| {
        let request = PlanRequest {
            config: "{}".to_owned(),
            stream: "contacts".to_owned(),
            mode: Mode::FullRefresh,
            window: None,
            partitions_max: 1,
            previous: Vec::new(),
        };
        let planned = connector.plan(context.clone(), request);
        let (partitions, _) = node.runtime.block_on(planned).unwrap();
        assert_eq!(partitions.len(), 1);
    });
}

/// A million calls of the smallest import, in one instance.
#[divan::bench(sample_count = 10)]
fn host_calls(bencher: Bencher<'_, '_>) {
    let node = Node::new();
    let connector = node.admit("guest-connectors/target/wasm32-wasip2/release/hostile.wasm");
    let context = node.context(&connector);
    bencher.counter(ItemsCount::new(CALLS)).bench_local(|| {
        let read = connector.read(context.clone(), Box::new(Nowhere), flood());
        let report = node.runtime.block_on(read);
        assert!(matches!(report.outcome, Ok(ReadOutcome::Done { .. })));
    });
}

fn flood() -> ReadRequest {
    ReadRequest {
        config: r#"{"behaviour": "host-flood"}"#.to_owned(),
        stream: StreamInfo {
            name: "records".to_owned(),
            ..StreamInfo::default()
        },
        mode: Mode::FullRefresh,
        partition: PlannedPartition {
            id: PartitionId::parse("all").unwrap(),
            descriptor: "{}".to_owned(),
            window: None,
            estimated_records: None,
        },
        state: None,
        fields: Vec::new(),
    }
}

/// Takes nothing: the guest emits nothing.
struct Nowhere;

#[async_trait]
impl Sink for Nowhere {
    async fn push(&mut self, _page: Page) -> Result<(), SinkError> {
        Ok(())
    }

    async fn save(&mut self, _state: String) -> Result<Directive, SinkError> {
        Ok(Directive::Proceed)
    }

    fn poll(&self) -> Directive {
        Directive::Proceed
    }
}
