//! Simulated Salesforce orgs behind one login host, as the real ones are, and the
//! documents that follow them.

use crate::oauth::{header, visit};
use crate::service::{Service, command};
use crate::site::guest;
use crm_sim::salesforce::{Config, Object, Salesforce};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::lake::{self, marks};
use tidegate_landing::target::Target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The newest version of each record, to the second, and whether that is a delete.
pub(super) type Newest = BTreeMap<String, (String, bool)>;

pub(super) struct Orgs {
    pub(super) sims: Vec<Arc<Salesforce>>,
    pub(super) folder: tempfile::TempDir,
    _login: JoinSet<()>,
}

impl Orgs {
    /// `count` orgs of `accounts` accounts, whose time stands at `now_ms`.
    /// `worker` is the worker's settings.
    pub(super) async fn new(count: usize, accounts: u32, now_ms: i64, worker: &Value) -> Orgs {
        let mut sims = Vec::new();
        for at in 0..count {
            let sim = Salesforce::start(Config {
                seed: at as u64 + 1,
                counts: BTreeMap::from([(Object::Account, accounts)]),
                limit_scale: None,
                tie_burst: accounts / 4,
                client_id: name(at),
                instance_url: Some(instance(at)),
                ..Config::default()
            });
            let sim = sim.await.unwrap();
            sim.clock().fix(now_ms);
            sims.push(Arc::new(sim));
        }
        let mut login = JoinSet::new();
        let host = login_host(&sims, &mut login).await;
        let folder = tempfile::tempdir().unwrap();
        write_settings(folder.path(), &sims, &host, worker);
        Orgs {
            sims,
            folder,
            _login: login,
        }
    }

    /// Starts the service. Blocks.
    pub(super) fn start(&self) -> Service {
        let mut command = command(self.folder.path());
        command
            .arg("--config")
            .arg(self.folder.path().join("serve.yaml"));
        Service::start(self.folder.path(), command)
    }

    pub(super) fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// Makes a connection to each org, which a person authorises, and a sync that
    /// follows its accounts. Blocks.
    pub(super) fn follow(&self, service: &Service, config: &Value) {
        service.upload(&guest("salesforce"));
        for (at, sim) in self.sims.iter().enumerate() {
            let org = name(at);
            let secret = json!({ "value": sim.config().client_secret });
            service.must("PUT", &format!("/v1/secrets/{org}"), &secret);
            let connection = json!({
                "connector": "salesforce",
                "config": config,
                "oauth_app": {
                    "client_id": sim.config().client_id,
                    "client_secret": format!("${{secret:{org}}}"),
                },
            });
            service.must("PUT", &format!("/v1/connections/{org}"), &connection);
            consent(service, &org);
            self.put_sync(service, at, "live", false);
        }
    }

    /// Writes the document of an org's sync. Blocks.
    pub(super) fn put_sync(&self, service: &Service, at: usize, mode: &str, paused: bool) {
        let org = name(at);
        let sync = json!({
            "connection": org,
            "streams": [{ "name": "Account", "mode": mode }],
            "target": { "url": format!("file://{}", self.lake().display()), "format": "jsonl.zst" },
            "paused": paused,
        });
        service.must("PUT", &format!("/v1/syncs/{org}"), &sync);
    }

    /// What a perfect copy of an org's accounts would hold.
    pub(super) fn truth(&self, at: usize) -> Newest {
        let sim = &self.sims[at];
        let current = sim.current(Object::Account);
        current
            .map(|version| {
                let moment = second(&crm_sim::salesforce::iso(version.modified_ms));
                let id = sim.wire_id(Object::Account, version.id);
                (id, (moment, version.archived))
            })
            .collect()
    }

    /// What readers see of an org's accounts: the newest row of each key over both logs.
    pub(super) async fn landed(&self, at: usize) -> (Newest, u64) {
        let target: Arc<dyn Target> = Arc::new(DirectoryTarget::open(&self.lake()).unwrap());
        let mut newest = Newest::new();
        let mut live_rows = 0;
        for stream in ["Account", "Account.live"] {
            let key = StreamKey {
                tenant: TenantId::parse("default").unwrap(),
                sync: SyncId::parse(name(at)).unwrap(),
                stream: StreamName::parse(stream).unwrap(),
            };
            let view = lake::view(&target, &key).await.unwrap();
            assert!(view.rejected.is_empty(), "rows were refused");
            for seen in view.objects {
                let bytes = target.read(&seen.key).await.unwrap();
                let bytes = bytes.expect("a slot names it");
                marks::for_each(seen.object.format, bytes, |mark| {
                    let version = second(mark.version.as_deref().unwrap_or_default());
                    let found = (version, mark.operation == "delete");
                    let known = newest.entry(mark.key.into_owned());
                    let known = known.or_insert_with(|| found.clone());
                    if found.0 >= known.0 {
                        *known = found;
                    }
                    live_rows += u64::from(stream.ends_with("live"));
                })
                .unwrap();
            }
        }
        (newest, live_rows)
    }
}

/// `2026-01-02T03:04:05`, whatever follows.
fn second(time: &str) -> String {
    time.chars().take(19).collect()
}

pub(super) fn name(at: usize) -> String {
    format!("org{at}")
}

fn instance(at: usize) -> String {
    format!("https://org{at}.my.salesforce.com")
}

fn write_settings(folder: &Path, sims: &[Arc<Salesforce>], login: &str, worker: &Value) {
    let mut mappings = vec![json!({ "from": "https://login.salesforce.com", "to": login })];
    let instances = sims.iter().enumerate();
    mappings
        .extend(instances.map(|(at, sim)| json!({ "from": instance(at), "to": sim.base_url() })));
    let settings = json!({
        "api": { "requests_per_second": 100_000, "requests_burst": 100_000 },
        "node": {
            "worker": worker,
            "broker": { "limit_scale": 1e6, "tenant_requests_max": 250, "mappings": mappings },
            "lease_ms": 2_000,
        },
    });
    std::fs::write(folder.join("serve.yaml"), settings.to_string()).unwrap();
}

/// Plays the person who consents. Blocks.
fn consent(service: &Service, connection: &str) {
    let path = format!("/v1/connections/{connection}/authorize");
    let begun = service.must("POST", &path, &json!({ "method": "oauth" }));
    let start = visit(begun["authorize_url"].as_str().unwrap(), "");
    let cookie = header(&start, "set-cookie").split(';').next().unwrap();
    let back = visit(header(&start, "location"), "");
    let page = visit(header(&back, "location"), cookie);
    assert!(page.contains("Authorised"), "{page}");
}

/// The host where everybody logs in: hands each request to the org whose application it
/// names.
async fn login_host(sims: &[Arc<Salesforce>], tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hosts: Vec<String> = sims
        .iter()
        .map(|sim| sim.base_url().trim_start_matches("http://").to_owned())
        .collect();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let hosts = hosts.clone();
            connections.spawn(async move { drop(pass_on(client, &hosts).await) });
        }
    });
    format!("http://{address}")
}

async fn pass_on(mut client: TcpStream, hosts: &[String]) -> std::io::Result<()> {
    let mut request = Vec::new();
    let (head, whole) = loop {
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or_default() {
                break (head.to_owned(), text.clone().into_owned());
            }
        }
    };
    let named = whole.split("client_id=org").nth(1).unwrap_or_default();
    let digits: String = named.chars().take_while(char::is_ascii_digit).collect();
    let at: usize = digits.parse().expect("each request names its application");
    let mut org = TcpStream::connect(&hosts[at]).await?;
    let kept: Vec<&str> = head
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
        .collect();
    let body = &whole[head.len()..];
    let asked = format!("{}\r\nconnection: close{body}", kept.join("\r\n"));
    org.write_all(asked.as_bytes()).await?;
    tokio::io::copy(&mut org, &mut client).await?;
    client.shutdown().await
}
