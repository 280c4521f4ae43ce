//! A simulated org, the documents of a sync from it, and the program that runs it.

use crate::oauth::{header, visit};
use crate::site::{guest, shown, summary};
use crm_sim::salesforce::{Config, Object, Salesforce};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The host that the connector finds in the token's answer.
const INSTANCE: &str = "https://acme.my.salesforce.com";

/// What differs between the syncs of tests; YAML of the documents.
pub(crate) struct Options {
    /// In the connection's `config`, besides `login`.
    pub(crate) config: &'static str,
    /// The whole list of streams.
    pub(crate) streams: &'static str,
    /// Of the target: `jsonl.gz` is what tests read back.
    pub(crate) format: &'static str,
    /// The whole `batch`.
    pub(crate) batch: &'static str,
    /// Below `broker` of the operator's file.
    pub(crate) broker: &'static str,
    /// Other settings of the operator's file.
    pub(crate) node: &'static str,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            config: "",
            streams: "[{ name: Account, mode: incremental, landing: append_dedup }]",
            format: "jsonl.gz",
            batch: "{}",
            broker: "limit_scale: .inf",
            node: "",
        }
    }
}

/// An org whose user has consented.
pub(crate) struct Site {
    pub(crate) org: Salesforce,
    folder: tempfile::TempDir,
}

/// An org with so many records of some objects, and without limits.
pub(crate) fn org_of(counts: &[(Object, u32)]) -> Config {
    Config {
        counts: BTreeMap::from_iter(counts.iter().copied().chain([(Object::User, 20)])),
        limit_scale: None,
        instance_url: Some(INSTANCE.to_owned()),
        require_pkce: true,
        refresh_rotation: true,
        ..Config::default()
    }
}

impl Site {
    /// Starts the org and authorises a connection to it, as a person would.
    pub(crate) async fn new(org: Config, options: &Options) -> Site {
        let site = Site {
            org: Salesforce::start(org).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        site.write("client-secret", &site.org.config().client_secret);
        site.write_documents(options);
        site.authorize().await;
        site
    }

    pub(crate) fn write_documents(&self, options: &Options) {
        let folder = self.folder.path().display();
        self.write(
            "sync.yaml",
            &format!(
                "tenant: acme
sync: crm
connection:
  id: salesforce
  connector: {connector}
  config: {{ login: login{comma}{config} }}
  oauth_app: {{ client_id: {client}, client_secret: '${{file:{folder}/client-secret}}' }}
streams: {streams}
target: {{ url: 'file://{folder}/lake', format: {format} }}
batch: {batch}
",
                connector = guest("salesforce").display(),
                comma = if options.config.is_empty() { "" } else { ", " },
                config = options.config,
                client = self.org.config().client_id,
                streams = options.streams,
                format = options.format,
                batch = options.batch,
            ),
        );
        let org = self.org.base_url();
        self.write(
            "operator.yaml",
            &format!(
                "broker:
  {}
  mappings:
    - {{ from: 'https://login.salesforce.com', to: '{org}' }}
    - {{ from: '{INSTANCE}', to: '{org}' }}
{}
",
                options.broker, options.node
            ),
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs `connections authorize` and plays the person who consents.
    async fn authorize(&self) {
        let file = self.path("sync.yaml");
        let mut command = self.tidegate(&["connections", "authorize", file.to_str().unwrap()]);
        command.stderr(Stdio::piped());
        let done = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let mut lines = lines.map(|line| line.unwrap());
            let url = lines.find(|line| line.trim().starts_with("http"));
            let back = visit(url.expect("an address is shown").trim(), "");
            visit(header(&back, "location"), "");
            let rest: Vec<_> = lines.collect();
            assert!(child.wait().unwrap().success(), "{rest:?}");
        });
        done.await.unwrap();
    }

    fn tidegate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command
            .args(arguments)
            .env_remove("TIDEGATE_CRASH")
            .env("TIDEGATE_STATE", self.path("state"))
            .env("TIDEGATE_OPERATOR", self.path("operator.yaml"))
            .stdin(Stdio::null());
        command
    }

    /// `tidegate sync run --json` on the site's file.
    pub(crate) fn sync(&self) -> Command {
        let file = self.path("sync.yaml");
        self.tidegate(&["--json", "sync", "run", file.to_str().unwrap()])
    }

    /// Runs to its end, whatever that is.
    pub(crate) async fn run(&self) -> Output {
        let mut command = self.sync();
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// Runs to its end, which must be a success; the summary.
    pub(crate) async fn sync_to_end(&self) -> Value {
        let output = self.run().await;
        assert!(output.status.success(), "{}", shown(&output));
        summary(&output)
    }

    /// Goes on with what lies on the org's clock: deletes are listed by the minute.
    pub(crate) fn pass_minutes(&self, minutes: i64) {
        self.org.clock().advance(minutes * 60_000);
    }
}
