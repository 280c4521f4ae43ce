//! What every test needs: a sandbox with guests, a way out to a loopback server, a
//! sink that keeps what it is given.

use crate::server::Server;
use async_trait::async_trait;
use bytes::Bytes;
use std::any::Any;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tidegate_broker::{Broker, Connection, Keyring, Mapping, Origin};
use tidegate_domain::id::{ConnectionId, PartitionId, TenantId};
use tidegate_domain::job::Class;
use tidegate_domain::stream::PlannedPartition;
use tidegate_domain::sync::Mode;
use tidegate_landing::page::{Page, Scratch};
use tidegate_sandbox::{
    CallContext, CompileLimits, Compiler, Config, Connector, Directive, Line, LogSink, ReadRequest,
    Sandbox, Sink, SinkError, StreamInfo,
};
use tidegate_store::SqliteStore;
use tidegate_store::kv::KvScope;
use tokio_util::sync::CancellationToken;

/// The token of the test connection; it must not be found where it does not belong.
pub(crate) const TOKEN: &str = "canary-token-5f1c9ad0";

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) sandbox: Sandbox,
    store: Arc<SqliteStore>,
    keyring: Arc<Keyring>,
}

/// A guest built for wasm32-wasip2.
pub(crate) fn guest(name: &str) -> Bytes {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-connectors");
    let path = root.join(format!("target/wasm32-wasip2/release/{name}.wasm"));
    match std::fs::read(&path) {
        Ok(wasm) => wasm.into(),
        Err(error) => panic!(
            "{}: {error}; build the guests first: \
             cargo build --release --target wasm32-wasip2 --manifest-path guest-connectors/Cargo.toml",
            path.display()
        ),
    }
}

pub(crate) fn compiler(limits: CompileLimits) -> Compiler {
    Compiler::Child {
        exe: PathBuf::from(env!("CARGO_BIN_EXE_tidegate-compile-component")),
        args: Vec::new(),
        limits,
    }
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::open(&dir.path().join("node.key")).unwrap());
        let mut config = Config::new(
            dir.path().join("compiled"),
            compiler(CompileLimits::default()),
        );
        config.instances_max = 4;
        config.threads = 2;
        change(&mut config);
        let sandbox = Sandbox::new(config, Arc::clone(&keyring)).unwrap();
        let state = dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let store = Arc::new(SqliteStore::open(&state).unwrap());
        Bench {
            dir,
            sandbox,
            store,
            keyring,
        }
    }

    pub(crate) async fn admit(&self, name: &str) -> Arc<Connector> {
        self.sandbox.admit(guest(name)).await.unwrap()
    }

    /// A context whose requests to the connector's endpoints reach the server.
    pub(crate) fn context(&self, connector: &Connector, server: &Server) -> CallContext {
        let to = Origin::parse(&format!("http://{}", server.address)).unwrap();
        let mut mappings: Vec<Mapping> = Vec::new();
        for endpoint in &connector.manifest().endpoints {
            let from = Origin::parse(&endpoint.base_url).unwrap();
            if !mappings.iter().any(|mapping| mapping.from == from) {
                mappings.push(Mapping {
                    from,
                    to: to.clone(),
                });
            }
        }
        let config = tidegate_broker::Config {
            mappings,
            limit_scale: f64::INFINITY,
            ..tidegate_broker::Config::default()
        };
        let broker = Broker::new(
            config,
            Arc::clone(&self.store) as _,
            Arc::clone(&self.store) as _,
            Arc::clone(&self.keyring),
        )
        .unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let connection = ConnectionId::parse("crm").unwrap();
        let session = broker.session(Connection {
            tenant: tenant.clone(),
            id: connection.clone(),
            manifest: Arc::clone(connector.manifest()),
            config: serde_json::Map::new(),
            secrets: BTreeMap::from([("token".to_owned(), TOKEN.to_owned().into())]),
            oauth_app: None,
            account: None,
            quota_share: None,
            class: Class::Incremental,
            connector: None,
        });
        let scope = KvScope { tenant, connection };
        CallContext::new(
            session,
            Arc::clone(&self.store) as _,
            scope,
            CancellationToken::new(),
        )
    }
}

/// A read of one whole stream.
pub(crate) fn request(config: &str, stream: &str, descriptor: &str) -> ReadRequest {
    ReadRequest {
        config: config.to_owned(),
        stream: StreamInfo {
            name: stream.to_owned(),
            schema: "{}".to_owned(),
            primary_key: vec!["/id".to_owned()],
            modes: vec![Mode::FullRefresh],
            ..StreamInfo::default()
        },
        mode: Mode::FullRefresh,
        partition: PlannedPartition {
            id: PartitionId::parse("all").unwrap(),
            descriptor: descriptor.to_owned(),
            window: None,
            estimated_records: None,
        },
        state: None,
        fields: Vec::new(),
    }
}

/// Keeps pages and states.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) pages: Vec<Page>,
    pub(crate) saves: Vec<String>,
    /// Says stop at this save.
    pub(crate) stop_at: Option<usize>,
}

impl Kept {
    pub(crate) fn records(&self) -> Vec<String> {
        let texts = |page: &Page| -> Vec<String> {
            let text = |row: &tidegate_landing::page::Row| {
                String::from_utf8(page.record(&row.record, &mut Scratch::default()).to_vec())
                    .unwrap()
            };
            page.rows.iter().map(text).collect()
        };
        self.pages.iter().flat_map(texts).collect()
    }
}

#[async_trait]
impl Sink for Kept {
    async fn push(&mut self, page: Page) -> Result<(), SinkError> {
        self.pages.push(page);
        Ok(())
    }

    async fn save(&mut self, state: String) -> Result<Directive, SinkError> {
        self.saves.push(state);
        Ok(self.poll())
    }

    fn poll(&self) -> Directive {
        match self.stop_at {
            Some(saves) if self.saves.len() >= saves => Directive::Stop,
            _ => Directive::Proceed,
        }
    }

    fn has_saved(&self) -> bool {
        !self.saves.is_empty()
    }
}

/// What the sink of a read was given.
pub(crate) fn kept(sink: Box<dyn Sink>) -> Kept {
    let sink: Box<dyn Any> = sink;
    *sink.downcast::<Kept>().unwrap()
}

/// Keeps log lines.
#[derive(Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<Line>>);

impl LogSink for Lines {
    fn enabled(&self, _level: tidegate_sandbox::Level) -> bool {
        true
    }

    fn write(&self, line: Line) {
        self.0.lock().unwrap().push(line);
    }
}
