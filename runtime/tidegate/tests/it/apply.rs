//! Configuration as code against a running service, and what a terminal does with it
//! after that.

use crate::oauth::{header, visit};
use crate::service::{Service, command};
use crate::site::{Options, Site, guest, shown, summary};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const TOKEN: &str = "connection.hubspot.secrets.token";

/// A service that reads the site's CRM, and a terminal that asks it.
struct Terminal {
    service: Service,
    folder: std::path::PathBuf,
    token: String,
    client_secret: String,
}

impl Terminal {
    /// With the component approved, and what `init` writes below `config`. Blocks.
    fn new(folder: &Path, crm: &str, token: String, client_secret: String) -> Terminal {
        let to = |host| format!("{{ from: 'https://{host}', to: '{crm}' }}");
        let mappings = format!("{}, {}", to("api.hubapi.com"), to("app.hubspot.com"));
        let broker = format!("limit_scale: .inf, mappings: [{mappings}]");
        let file = folder.join("serve.yaml");
        std::fs::write(&file, format!("node: {{ broker: {{ {broker} }} }}\n")).unwrap();
        let mut serve = command(folder);
        serve.arg("--config").arg(&file);
        let terminal = Terminal {
            service: Service::start(folder, serve),
            folder: folder.to_owned(),
            token,
            client_secret,
        };
        let component = guest("hubspot");
        let push = ["connector", "push", component.to_str().unwrap()];
        assert!(terminal.must(&push).contains("  pending"));
        let push = [&push[..], &["--approve"]].concat();
        assert!(terminal.must(&push).contains("  approved"));
        terminal.must(&["init", "config"]);
        terminal
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env(
                "TIDEGATE_URL",
                self.service.started["api"].as_str().unwrap(),
            )
            .env("TIDEGATE_KEY", &self.service.key)
            .env("HUBSPOT_TOKEN", &self.token)
            .env("CLIENT_SECRET", &self.client_secret)
            .stdin(Stdio::null());
        command
    }

    /// Runs to its end; no output ever holds a secret. Blocks.
    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        let text = shown(&output);
        for secret in [&self.token, &self.client_secret, &self.service.key] {
            assert!(!text.contains(secret.as_str()), "a secret is shown: {text}");
        }
        output
    }

    /// [`Terminal::run`] that must succeed; its standard output.
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let log = || self.service.log();
        assert!(output.status.success(), "{}{}", shown(&output), log());
        String::from_utf8(output.stdout).unwrap()
    }

    fn plans_nothing(&self) {
        let plan = self.must(&["plan", "config", "--exit-code"]);
        assert_eq!(plan, "Nothing to change.\n");
    }

    fn replace(&self, name: &str, from: &str, to: &str) {
        let path = self.folder.join("config").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from:?} is not in: {text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    }

    /// Plays the person who is asked in a browser that keeps its cookie, and who
    /// consents or does not; what the terminal said in the end.
    fn asked(&self, arguments: &[&str], consents: bool) -> Output {
        let arguments = [&["--json", "connections", "authorize"], arguments].concat();
        let mut command = self.command(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let begun: Value = serde_json::from_str(&line).unwrap();
        let start = visit(begun["authorize_url"].as_str().unwrap(), "");
        let cookie = header(&start, "set-cookie").split(';').next().unwrap();
        let consent = header(&start, "location");
        let back = match consents {
            true => header(&visit(consent, ""), "location").to_owned(),
            false => {
                let state = consent.split("state=").nth(1).unwrap();
                let state = state.split('&').next().unwrap();
                let api = self.service.started["api"].as_str().unwrap();
                format!("{api}/v1/oauth/callback?error=access_denied&state={state}")
            }
        };
        let page = visit(&back, cookie);
        assert_eq!(page.contains("Authorised"), consents, "{page}");
        child.stdout = Some(stdout.into_inner());
        child.wait_with_output().unwrap()
    }

    /// What the connection and the sync say, when nothing is being written any more.
    fn settled(&self) -> (Value, Value) {
        let read = |path| self.service.must("GET", path, &Value::Null)["spec"].clone();
        let both = || {
            let sync = read("/v1/syncs/hubspot-crm")["schedule"]["every"].clone();
            let connection = read("/v1/connections/hubspot")["account"].clone();
            (connection, sync)
        };
        let mut before = both();
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let now = both();
            if now == before {
                return now;
            }
            before = now;
        }
    }
}

/// A CRM with a service beside it; the rest of a test blocks.
async fn at_terminal(contacts: u32, test: impl FnOnce(Terminal, usize) + Send + 'static) {
    let crm = crm_sim::hubspot::Config {
        contacts,
        limit_scale: None,
        require_pkce: true,
        ..crm_sim::hubspot::Config::default()
    };
    let site = Site::new(crm, Options::default()).await;
    let (folder, truth) = (site.folder.path().to_owned(), site.truth().len());
    let (url, token) = (
        site.crm.base_url().to_owned(),
        site.crm.private_app_token().to_owned(),
    );
    let secret = site.crm.config().client_secret.clone();
    let work = move || {
        let terminal = Terminal::new(&folder, &url, token, secret);
        test(terminal, truth);
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_becomes_a_service_that_syncs_and_a_plan_after_it_is_empty() {
    at_terminal(1_000, |terminal, truth| {
        let plan = terminal.run(&["plan", "config", "--exit-code"]);
        let text = shown(&plan);
        assert_eq!(plan.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("+ secret {TOKEN}: new")), "{text}");
        assert!(text.contains("+ sync hubspot-crm"), "{text}");
        let none = terminal
            .service
            .call("GET", "/v1/syncs/hubspot-crm", &Value::Null);
        assert_eq!(none.0, 404, "a plan changed something");
        terminal.must(&["apply", "config"]);
        terminal.plans_nothing();
        terminal.must(&["connections", "check", "hubspot"]);
        let mut other = terminal.command(&["plan", "config"]);
        let text = shown(&other.env("HUBSPOT_TOKEN", "another").output().unwrap());
        assert!(
            text.contains(&format!("~ secret {TOKEN}: changed")),
            "{text}"
        );
        by_oauth_to_the_lake(&terminal, truth);
        go_back_by_hand(&terminal, truth);
        prune(&terminal);
        assert!(terminal.service.end().success());
    })
    .await;
}

fn by_oauth_to_the_lake(terminal: &Terminal, truth: usize) {
    let app = format!(
        "oauth_app: {{ client_id: {}, client_secret: '${{env:CLIENT_SECRET}}' }}\nconfig:",
        crm_sim::hubspot::Config::default().client_id
    );
    terminal.replace("hubspot.yaml", "config:", &app);
    terminal.replace("hubspot.yaml", "private_app", "oauth");
    terminal.replace("hubspot.yaml", "secrets:\n", "");
    terminal.replace("hubspot.yaml", "  token: ", "# token: ");
    terminal.replace("crm.yaml", "append_dedup ", "append ");
    terminal.must(&["apply", "config"]);
    terminal.plans_nothing();
    let check = terminal.run(&["connections", "check", "hubspot"]);
    assert_eq!(check.status.code(), Some(1), "{}", shown(&check));
    let refused = terminal.asked(&["hubspot"], false);
    assert_eq!(refused.status.code(), Some(2), "{}", shown(&refused));
    assert!(
        shown(&refused).contains("did not authorise"),
        "{}",
        shown(&refused)
    );
    for arguments in [&["hubspot"][..], &["hubspot", "--again"]] {
        let consented = terminal.asked(arguments, true);
        assert!(consented.status.success(), "{}", shown(&consented));
    }
    terminal.must(&["connections", "check", "hubspot"]);
    let followed = terminal.run(&["--json", "jobs", "start", "hubspot-crm", "--follow"]);
    assert!(followed.status.success(), "{}", shown(&followed));
    assert_eq!(summary(&followed)["state"], "succeeded");
    let files = terminal.must(&["--json", "lake", "files", "hubspot-crm"]);
    let files = files
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let files: Vec<Value> = files.collect();
    let rows: u64 = files
        .iter()
        .map(|file| file["rows"].as_u64().unwrap())
        .sum();
    assert_eq!(usize::try_from(rows).unwrap(), truth, "{files:?}");
    for file in files {
        let path = file["location"].as_str().unwrap();
        let path = Path::new(path.strip_prefix("file://").unwrap());
        assert!(path.is_file(), "{file}");
    }
}

/// Rows that the lake's files of the sync hold.
fn rows(terminal: &Terminal) -> u64 {
    let files = terminal.must(&["--json", "lake", "files", "hubspot-crm"]);
    let rows = |line| serde_json::from_str::<Value>(line).unwrap()["rows"].as_u64();
    files.lines().map(|line| rows(line).unwrap()).sum()
}

/// A checkpoint that a person sets is where the next job goes on.
fn go_back_by_hand(terminal: &Terminal, truth: usize) {
    let path = "/v1/syncs/hubspot-crm/streams/contacts/checkpoints";
    let service = &terminal.service;
    let listed = service.must("GET", path, &Value::Null);
    let edit = |checkpoint: &Value| {
        let mut cursor: Value =
            serde_json::from_str(checkpoint["cursor"].as_str().unwrap()).unwrap();
        cursor["until"] = 0.into();
        json!({
            "partition": checkpoint["partition"],
            "before": checkpoint["cursor"],
            "cursor": cursor.to_string(),
        })
    };
    let edits: Vec<Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(edit)
        .collect();
    let before = rows(terminal);
    service.must("PATCH", path, &json!({ "edits": edits }));
    assert_eq!(
        service.must("GET", path, &Value::Null)["items"][0]["cursor"],
        edits[0]["cursor"]
    );
    let (status, again) = service.call("PATCH", path, &json!({ "edits": edits }));
    assert_eq!((status, &again["code"]), (412, &"revision_changed".into()));
    terminal.must(&["--json", "jobs", "start", "hubspot-crm", "--follow"]);
    assert_eq!(rows(terminal) - before, truth as u64);
    let slots = service.must(
        "GET",
        "/v1/syncs/hubspot-crm/logs/contacts/slots",
        &Value::Null,
    );
    let kinds: Vec<&Value> = slots["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| &slot["kind"])
        .collect();
    assert!(kinds.contains(&&"edit".into()), "{kinds:?}");
}

/// What the directory no longer holds stays until it is told to go.
fn prune(terminal: &Terminal) {
    std::fs::remove_file(terminal.folder.join("config/crm.yaml")).unwrap();
    let kept = shown(&terminal.run(&["apply", "config"]));
    assert!(kept.contains("stays: sync hubspot-crm"), "{kept}");
    let plan = terminal.must(&["plan", "config", "--prune"]);
    assert!(plan.contains("- sync hubspot-crm"), "{plan}");
    terminal.must(&["apply", "config", "--prune"]);
    let gone = terminal
        .service
        .call("GET", "/v1/syncs/hubspot-crm", &Value::Null);
    assert_eq!(gone.0, 404, "{}", gone.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_is_killed_leaves_the_old_state_or_the_new_one() {
    at_terminal(1, |terminal, _| {
        let hint = "connector: hubspot ";
        terminal.replace("hubspot.yaml", hint, &format!("account: 1h\n{hint}"));
        terminal.must(&["apply", "config"]);
        for round in 2..14_u64 {
            let (old, new) = (format!("{}h", round - 1), format!("{round}h"));
            terminal.replace(
                "hubspot.yaml",
                &format!("account: {old}"),
                &format!("account: {new}"),
            );
            terminal.replace(
                "crm.yaml",
                &format!("every: {old}"),
                &format!("every: {new}"),
            );
            let mut child = terminal.command(&["apply", "config"]);
            let mut child = child.stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(round * 6));
            child.kill().unwrap();
            child.wait().unwrap();
            let (connection, sync) = terminal.settled();
            assert_eq!(connection, sync, "half of a set was applied");
        }
        terminal.must(&["apply", "config"]);
        terminal.plans_nothing();
        assert_eq!(terminal.settled(), ("13h".into(), "13h".into()));
    })
    .await;
}
