//! A node with the API on a port of its own, and a tenant with one of everything.

use crate::client::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_api::{Api, Config, key};
use tidegate_domain::access::Role;
use tidegate_domain::id::{Sha256, TenantId};
use tidegate_engine::worker::Worker;
use tidegate_engine::{CompileLimits, Compiler, Node};
use tidegate_store::clock::now_ms;
use tidegate_store::control::{Actor, Commit, ConnectorState, Expected, TenantState, Write};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) struct Site {
    pub(crate) node: Arc<Node>,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) server: JoinSet<()>,
    pub(crate) folder: tempfile::TempDir,
}

/// The digest of the connector that every tenant sees.
pub(crate) const CONNECTOR: &str =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

impl Site {
    pub(crate) async fn new() -> Site {
        Site::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Site {
        let folder = tempfile::tempdir().unwrap();
        // Nothing is compiled here: connectors that run are tested with the whole program.
        let compiler = Compiler::Child {
            exe: "/nonexistent".into(),
            args: Vec::new(),
            limits: CompileLimits::default(),
        };
        let operator = tidegate_engine::Config {
            target_directories: vec!["/tmp".into(), folder.path().into()],
            ..tidegate_engine::Config::default()
        };
        let node = Node::open(folder.path(), compiler, operator).await.unwrap();
        let node = Arc::new(node);
        let stop = CancellationToken::new();
        // Nothing runs jobs here; tests play the worker.
        let (_, worker) = Worker::new(Arc::clone(&node));
        let api = Api::new(Arc::clone(&node), worker, config, stop.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(tidegate_api::serve(
            listener,
            tidegate_api::router(&api),
            stop.clone(),
            Duration::from_secs(5),
        ));
        let site = Site {
            node,
            address,
            stop,
            server,
            folder,
        };
        site.write("platform", vec![tenant("platform")]).await;
        site.write(
            "platform",
            vec![connector("hubspot", "1.0.0", CONNECTOR, true)],
        )
        .await;
        site
    }

    /// The database's file.
    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("db/tidegate.db")
    }

    /// Writes past the API.
    pub(crate) async fn write(&self, tenant: &str, writes: Vec<Write>) {
        let commit = Commit {
            tenant: TenantId::parse(tenant).unwrap(),
            actor: Actor::System,
            origin: None,
            action: "test.write".to_owned(),
            subject: "test".to_owned(),
            detail: "{}".to_owned(),
            at_ms: now_ms(),
            writes,
            idempotency: None,
            events: Vec::new(),
        };
        self.node.store.commit(commit).await.unwrap();
    }

    pub(crate) fn nobody(&self) -> Client {
        Client {
            address: self.address,
            key: None,
        }
    }

    /// A caller of a tenant, which is made if it is new.
    pub(crate) async fn caller(&self, tenant_id: &str, role: Role) -> Client {
        let id = TenantId::parse(tenant_id).unwrap();
        if self.node.store.tenant(&id).await.unwrap().is_none() {
            self.write(tenant_id, vec![tenant(tenant_id)]).await;
        }
        let minted = key::mint().unwrap();
        let write = Write::PutKey {
            id: minted.id,
            sha256: Sha256::from_bytes(minted.sha256),
            role,
            title: format!("{tenant_id} {role}"),
            expires_at_ms: None,
        };
        self.write(tenant_id, vec![write]).await;
        Client {
            address: self.address,
            key: Some(minted.text.expose_secret().to_owned()),
        }
    }

    pub(crate) async fn admin(&self, tenant: &str) -> Client {
        self.caller(tenant, Role::TenantAdmin).await
    }
}

fn tenant(id: &str) -> Write {
    Write::PutTenant {
        expected: Expected::Any,
        title: format!("tenant {id}"),
        state: TenantState::Active,
        jobs_max: None,
    }
}

/// An approved connector; its component is no component.
pub(crate) fn connector(name: &str, version: &str, digest: &str, shared: bool) -> Write {
    let manifest = json!({
        "id": name, "title": name, "version": version, "config_schema": "{}",
        "endpoints": [], "allowed_hosts": [], "auth": [], "limits": [], "secrets": ["token"],
        "response_headers": [], "responses": [], "paging_pointers": [], "extra": "{}",
    });
    Write::PutConnector {
        shared,
        digest: Sha256::try_from(digest.to_owned()).unwrap(),
        name: name.to_owned(),
        version: version.to_owned(),
        manifest: manifest.to_string(),
        state: ConnectorState::Approved,
        wasm: Arc::from(format!("no component {digest}").into_bytes()),
    }
}

pub(crate) fn connection() -> Value {
    json!({ "connector": "hubspot" })
}

pub(crate) fn sync(connection: &str) -> Value {
    json!({
        "connection": connection,
        "streams": [{ "name": "contacts" }, { "name": "companies" }],
        "target": { "url": "file:///tmp/tidegate-nowhere" },
    })
}

/// A connection `crm` and a sync `crm` of the caller's tenant.
pub(crate) async fn with_sync(client: &Client) {
    client
        .put("/v1/connections/crm", &connection())
        .await
        .expect(201);
    client.put("/v1/syncs/crm", &sync("crm")).await.expect(201);
}
