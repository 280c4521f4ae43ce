//! A simulated CRM and the documents of one sync from it, for tests that start the
//! real program as a process of its own.

use crm_sim::Simulator;
use crm_sim::hubspot::{CrmSim, Kind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::lake::{self, marks};
use tidegate_landing::target::Target;

/// Rows by (key, version), with how often each landed.
pub(crate) type Rows = BTreeMap<(String, String), u32>;

pub(crate) struct Site<C = CrmSim> {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) crm: C,
}

/// What differs between the syncs of tests; YAML of the documents.
pub(crate) struct Options {
    /// Below `streams[0]`, besides its name.
    pub(crate) stream: &'static str,
    /// The whole `target`; `{folder}` is the site's.
    pub(crate) target: String,
    /// The whole `batch`.
    pub(crate) batch: &'static str,
    /// Below `broker` of the operator's file.
    pub(crate) broker: &'static str,
    /// Whether the connection uses OAuth rather than a private app's token.
    pub(crate) oauth: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            stream: "mode: incremental, landing: append, fields: [email, firstname]",
            target: "{ url: 'file://{folder}/lake', format: jsonl.zst }".to_owned(),
            batch: "{ rows_max: 400 }",
            broker: "limit_scale: .inf",
            oauth: false,
        }
    }
}

impl Site {
    pub(crate) async fn new(crm: crm_sim::hubspot::Config, options: Options) -> Site {
        let site = Site::around(CrmSim::start(crm).await.unwrap());
        site.write("token", site.crm.private_app_token());
        site.write("client-secret", &site.crm.config().client_secret);
        site.write_documents(&options);
        site
    }

    pub(crate) fn write_documents(&self, options: &Options) {
        let folder = self.path("").display().to_string();
        let auth = if options.oauth {
            format!(
                "oauth_app: {{ client_id: {}, client_secret: '${{file:{folder}/client-secret}}' }}",
                self.crm.config().client_id
            )
        } else {
            format!(
                "config: {{ auth: private_app }}\n  secrets: {{ token: '${{file:{folder}/token}}' }}"
            )
        };
        self.write_sync(&SyncDocument {
            connector: "hubspot",
            auth: &auth,
            streams: &format!("[{{ name: contacts, {} }}]", options.stream),
            target: &options.target,
            batch: options.batch,
        });
        self.write_operator(&self.crm, options.broker);
    }

    /// What readers see of the contacts, through the log of a directory target.
    pub(crate) async fn landed(&self) -> Rows {
        rows(&self.lake()).await
    }

    /// Every current contact that is not archived, once.
    pub(crate) fn truth(&self) -> Rows {
        truth_of(&self.crm)
    }
}

/// What a sync file says, as YAML; `{folder}` is the site's.
pub(crate) struct SyncDocument<'a> {
    /// Name of the connector, and of the connection.
    pub(crate) connector: &'a str,
    /// Below `connection`, besides.
    pub(crate) auth: &'a str,
    pub(crate) streams: &'a str,
    pub(crate) target: &'a str,
    pub(crate) batch: &'a str,
}

impl<C> Site<C> {
    /// An empty folder beside a simulator.
    pub(crate) fn around(crm: C) -> Site<C> {
        Site {
            folder: tempfile::tempdir().unwrap(),
            crm,
        }
    }

    pub(crate) fn write_sync(&self, document: &SyncDocument<'_>) {
        let SyncDocument {
            connector,
            auth,
            streams,
            target,
            batch,
        } = document;
        let text = format!(
            "tenant: acme
sync: crm
connection:
  id: {connector}
  connector: {}
  {auth}
streams: {streams}
target: {target}
batch: {batch}
",
            guest(connector).display(),
        );
        let folder = self.path("").display().to_string();
        self.write("sync.yaml", &text.replace("{folder}", &folder));
    }

    /// Leads what the connector asks to the simulator; `broker` is below `broker`.
    pub(crate) fn write_operator(&self, crm: &dyn Simulator, broker: &str) {
        let mut text = format!("broker:\n  {broker}\n  mappings:\n");
        for origin in crm.origins() {
            let to = crm.base_url();
            text.push_str(&format!("    - {{ from: '{origin}', to: '{to}' }}\n"));
        }
        self.write("operator.yaml", &text);
    }

    /// The directory target of the site.
    pub(crate) fn lake(&self) -> Arc<dyn Target> {
        Arc::new(DirectoryTarget::open(&self.path("lake")).unwrap())
    }

    /// Lets targets name this S3 endpoint.
    pub(crate) fn allow_target(&self, endpoint: &str) {
        let operator = std::fs::read_to_string(self.path("operator.yaml")).unwrap();
        self.write(
            "operator.yaml",
            &format!("{operator}target_origins: ['{endpoint}']\n"),
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// `tidegate <arguments>`, ready to be started.
    pub(crate) fn tidegate(&self, arguments: &[&str]) -> Command {
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

    /// Runs to its end, which must be a success; the summary.
    pub(crate) async fn sync_to_end(&self) -> serde_json::Value {
        let output = self.run(self.sync()).await;
        assert!(output.status.success(), "{}", shown(&output));
        summary(&output)
    }

    /// Runs a command without blocking the simulator's threads.
    pub(crate) async fn run(&self, mut command: Command) -> Output {
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }
}

/// Every current contact that is not archived, once.
pub(crate) fn truth_of(crm: &CrmSim) -> Rows {
    let current = crm.current(Kind::Contacts);
    let live = current.filter(|version| !version.archived);
    live.map(|version| {
        let modified = crm_sim::hubspot::iso(version.modified_ms);
        ((version.id.to_string(), modified), 1)
    })
    .collect()
}

/// The rows of the contacts' stream on a target.
pub(crate) async fn rows(target: &Arc<dyn Target>) -> Rows {
    rows_of("acme", "crm", target).await
}

/// The rows of the contacts of a tenant's sync on a target.
pub(crate) async fn rows_of(tenant: &str, sync: &str, target: &Arc<dyn Target>) -> Rows {
    let key = StreamKey {
        tenant: TenantId::parse(tenant).unwrap(),
        sync: SyncId::parse(sync).unwrap(),
        stream: StreamName::parse("contacts").unwrap(),
    };
    let view = lake::view(target, &key).await.unwrap();
    assert!(view.rejected.is_empty(), "rows were refused");
    let mut rows = Rows::new();
    for seen in view.objects {
        let bytes = target
            .read(&seen.key)
            .await
            .unwrap()
            .expect("a slot names it");
        let mut count = 0;
        marks::for_each(seen.object.format, bytes, |mark| {
            let version = mark.version.as_deref().unwrap_or_default().to_owned();
            *rows.entry((mark.key.into_owned(), version)).or_default() += 1;
            count += 1;
        })
        .unwrap();
        assert_eq!(count, seen.object.rows, "{}", seen.key);
    }
    rows
}

/// Fails with a short account of how two sets of rows differ.
pub(crate) fn assert_same(landed: &Rows, truth: &Rows, when: &str) {
    if landed == truth {
        return;
    }
    let lost = truth
        .keys()
        .filter(|row| !landed.contains_key(*row))
        .count();
    let doubled = landed.values().filter(|times| **times > 1).count();
    let foreign = landed
        .keys()
        .filter(|row| !truth.contains_key(*row))
        .count();
    panic!(
        "{when}: {lost} of {} rows lost, {doubled} doubled, {foreign} unexpected",
        truth.len()
    );
}

/// A built guest.
pub(crate) fn guest(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let path = root.join(format!(
        "guest-connectors/target/wasm32-wasip2/release/{name}.wasm"
    ));
    assert!(
        path.is_file(),
        "{} is missing; `cargo ci` builds it",
        path.display()
    );
    path
}

/// The last line of `--json` output.
pub(crate) fn summary(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last:?}"))
}

/// What a process printed, for failures.
pub(crate) fn shown(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Whether the long form of tests is asked for.
pub(crate) fn is_proof() -> bool {
    std::env::var_os("TIDEGATE_PROOF").is_some()
}

/// Leaves a figure where `cargo proof` collects it.
pub(crate) fn proof_fragment(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("TIDEGATE_PROOF_DIR") {
        std::fs::write(Path::new(&folder).join(format!("{name}.md")), text).unwrap();
    }
}
