//! A broker with a database, a key file and one connector, ready to use.

use crate::server::Server;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tidegate_broker::{
    Broker, Call, Config, Connection, FetchFault, Keyring, Mapping, Meter, Method, OauthApp,
    Origin, Payload, Request, Response, Session, Target,
};
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_domain::job::Class;
use tidegate_domain::manifest::{
    AuthKind, AuthMethod, Endpoint, EndpointRole, KeyPart, KeyPlace, Limit, LimitRule, LimitScope,
    Manifest, OauthClient, OauthCode, OauthJwt, ResponseClass, ResponseRule,
};
use tidegate_store::SqliteStore;
use tidegate_store::grants::GrantStore;
use tidegate_store::limits::LimitStore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The connector's own idea of where its provider lives.
pub(crate) const API: &str = "https://api.crm.test";
pub(crate) const LOGIN: &str = "https://login.crm.test";
pub(crate) const CLIENT_ID: &str = "client-7";
pub(crate) const CLIENT_SECRET: &str = "CANARY-client-secret";

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) grants: Arc<dyn GrantStore>,
    limits: Arc<SqliteStore>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) broker: Broker,
    pub(crate) config: Config,
    pub(crate) manifest: Manifest,
}

impl Fixture {
    /// The connector's provider is this server.
    pub(crate) fn new(server: &Server) -> Self {
        Self::with(server, |_, _| ())
    }

    pub(crate) fn with(server: &Server, change: impl FnOnce(&mut Config, &mut Manifest)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("state")).unwrap());
        Self::on(dir, Arc::clone(&store) as _, store, server, change)
    }

    pub(crate) fn on(
        dir: TempDir,
        grants: Arc<dyn GrantStore>,
        limits: Arc<SqliteStore>,
        server: &Server,
        change: impl FnOnce(&mut Config, &mut Manifest),
    ) -> Self {
        let keyring = Arc::new(Keyring::open(&dir.path().join("keys/node.key")).unwrap());
        let mut config = config(server);
        config.spool_dir = dir.path().to_owned();
        let mut manifest = manifest();
        change(&mut config, &mut manifest);
        let broker = Broker::new(
            config.clone(),
            Arc::clone(&grants),
            Arc::clone(&limits) as _,
            Arc::clone(&keyring),
        )
        .unwrap();
        Self {
            dir,
            grants,
            limits,
            keyring,
            broker,
            config,
            manifest,
        }
    }

    pub(crate) fn limits(&self) -> Arc<dyn LimitStore> {
        Arc::clone(&self.limits) as _
    }

    /// Another process on the same database, as far as the broker can tell.
    pub(crate) fn second_broker(&self) -> Broker {
        Broker::new(
            self.config.clone(),
            Arc::clone(&self.grants),
            Arc::clone(&self.limits) as _,
            Arc::clone(&self.keyring),
        )
        .unwrap()
    }

    pub(crate) fn connection(&self) -> Connection {
        let secrets = [
            ("key", "CANARY-static-key"),
            ("username", "CANARY-user"),
            ("password", "CANARY-password"),
        ];
        let secrets = secrets.map(|(name, value)| (name.to_owned(), value.into()));
        Connection {
            tenant: TenantId::parse("acme").unwrap(),
            id: ConnectionId::parse("crm-1").unwrap(),
            manifest: Arc::new(self.manifest.clone()),
            config: serde_json::Map::new(),
            secrets: BTreeMap::from(secrets),
            oauth_app: Some(OauthApp {
                client_id: CLIENT_ID.to_owned(),
                client_secret: CLIENT_SECRET.into(),
            }),
            account: None,
            quota_share: None,
            class: Class::Incremental,
            connector: None,
        }
    }

    pub(crate) fn session(&self) -> Session {
        self.broker.session(self.connection())
    }

    /// Walks a person's consent; the server must answer the token request.
    pub(crate) async fn authorise(&self, session: &Session) {
        let pending = session
            .authorize_url("oauth", "http://localhost/back", false)
            .await
            .unwrap();
        let state = pending.state.clone();
        session
            .complete_authorization(pending, "code-1", &state)
            .await
            .unwrap();
    }
}

pub(crate) fn config(server: &Server) -> Config {
    let to = Origin::parse(&server.origin).unwrap();
    let mapping = |from| Mapping {
        from: Origin::parse(from).unwrap(),
        to: to.clone(),
    };
    Config {
        mappings: vec![mapping(API), mapping(LOGIN)],
        attempt_timeout_ms: 10_000,
        ..Config::default()
    }
}

fn manifest() -> Manifest {
    let method = |name: &str, kind| AuthMethod {
        name: name.to_owned(),
        kind,
    };
    let key = |place| {
        AuthKind::StaticKeys(vec![KeyPart {
            secret: "key".to_owned(),
            place,
            prefix: String::new(),
        }])
    };
    Manifest {
        id: "crm".to_owned(),
        title: "CRM".to_owned(),
        version: "1.0.0".to_owned(),
        config_schema: "{}".to_owned(),
        endpoints: vec![
            endpoint("api", API, &["/v1/"]),
            endpoint("own", "https://{token.host}", &[]),
            endpoint("loopback", "https://127.0.0.1:1", &[]),
            endpoint("named", "https://localhost:1", &[]),
        ],
        allowed_hosts: Vec::new(),
        auth: vec![
            method("oauth", AuthKind::Oauth2Code(oauth_code())),
            method("client", AuthKind::Oauth2Client(oauth_client())),
            method("jwt", AuthKind::Oauth2Jwt(oauth_jwt())),
            method("header_key", key(KeyPlace::Header("x-key".to_owned()))),
            method("query_key", key(KeyPlace::Query("api_key".to_owned()))),
            method("basic", AuthKind::Basic),
        ],
        limits: Vec::new(),
        secrets: Vec::new(),
        response_headers: vec!["location".to_owned(), "x-shown".to_owned()],
        responses: Vec::new(),
        paging_pointers: Vec::new(),
        extra: "{}".to_owned(),
    }
}

pub(crate) fn endpoint(name: &str, base_url: &str, paths: &[&str]) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        role: EndpointRole::Data,
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        cookies: false,
    }
}

fn oauth_code() -> OauthCode {
    OauthCode {
        authorize_url: format!("{LOGIN}/authorize"),
        token_url: format!("{LOGIN}/token"),
        scopes: vec!["read".to_owned(), "offline".to_owned()],
        pkce: true,
        basic_client_auth: false,
        keep: vec![("host".to_owned(), "/instance_url".to_owned())],
    }
}

fn oauth_client() -> OauthClient {
    OauthClient {
        token_url: format!("{LOGIN}/token"),
        scopes: vec!["read".to_owned()],
        basic_client_auth: true,
        keep: Vec::new(),
    }
}

fn oauth_jwt() -> OauthJwt {
    OauthJwt {
        token_url: format!("{LOGIN}/token"),
        audience: LOGIN.to_owned(),
        scopes: Vec::new(),
        keep: vec![("host".to_owned(), "/instance_url".to_owned())],
    }
}

pub(crate) fn rolling(capacity: u32, per_ms: u64) -> Limit {
    Limit {
        buckets: vec!["default".to_owned()],
        scope: LimitScope::RemoteAccount,
        rule: LimitRule::Rolling,
        capacity,
        per_ms,
        remaining_header: None,
        reset_header: None,
    }
}

pub(crate) fn rule(status: u16, class: ResponseClass) -> ResponseRule {
    ResponseRule {
        status: (status, status),
        body: None,
        class,
    }
}

pub(crate) fn request(method: Method, path: &str) -> Request {
    Request {
        method,
        target: Target::Endpoint {
            endpoint: "api".to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
        },
        headers: Vec::new(),
        payload: Payload::None,
        auth: None,
        bucket: None,
        cost: 1,
        idempotency_key: None,
        timeout_ms: None,
        body_bytes_max: None,
    }
}

pub(crate) fn get(path: &str) -> Request {
    request(Method::Get, path)
}

/// To `/x` of an endpoint.
pub(crate) fn at(endpoint: &str) -> Request {
    Request {
        target: Target::Endpoint {
            endpoint: endpoint.to_owned(),
            path: "/x".to_owned(),
            query: Vec::new(),
        },
        ..get("")
    }
}

/// To a link, as a provider gives it.
pub(crate) fn absolute(link: &str) -> Request {
    Request {
        target: Target::Absolute(link.to_owned()),
        ..get("")
    }
}

/// With a header of the guest.
pub(crate) fn with_header(name: &str) -> Request {
    Request {
        headers: vec![(name.to_owned(), "v".to_owned())],
        ..get("/v1/x")
    }
}

pub(crate) fn signed(path: &str, auth: &str) -> Request {
    Request {
        auth: Some(auth.to_owned()),
        ..get(path)
    }
}

pub(crate) fn call() -> Call {
    Call {
        deadline: Instant::now() + Duration::from_secs(60),
        cancel: CancellationToken::new(),
        meter: Arc::new(Meter::default()),
        origin: None,
    }
}

pub(crate) async fn fetch(session: &Session, request: Request) -> Result<Response, FetchFault> {
    session.fetch(request, &call()).await
}

/// The fault, where there must be one.
pub(crate) async fn fault(session: &Session, request: Request) -> FetchFault {
    match fetch(session, request).await {
        Ok(response) => panic!("answered {}", response.status),
        Err(fault) => fault,
    }
}
