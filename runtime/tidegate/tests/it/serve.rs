//! `tidegate serve`, from its first start to its last answer.

use crate::service::{Service, command, tidegate};
use crate::site::{Options, Site, assert_same, guest, rows_of};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::Arc;
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::target::Target;

fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{}{stderr}", String::from_utf8_lossy(&output.stdout))
}

#[test]
fn the_first_start_shows_a_key_once_and_no_later_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), command(folder.path()));
    let key = service.key.clone();
    assert!(key.starts_with("tg_"), "{}", service.started);
    let me = service.must("GET", "/v1/me", &Value::Null);
    assert_eq!(
        (&me["tenant"], &me["role"]),
        (&json!("default"), &json!("platform-admin"))
    );
    let (status, ready) = service.health("/readyz");
    assert_eq!(status, 200, "{ready}");
    assert_eq!(service.health("/healthz").0, 200);
    let (_, figures) = service.health("/metrics");
    assert!(
        figures.contains("http_server_request_duration_seconds"),
        "{figures}"
    );
    assert!(
        !figures.contains("default"),
        "a tenant is a label: {figures}"
    );
    assert!(!service.log().contains(&key), "the key was logged");
    service.key = "tg_0".to_owned();
    assert_eq!(service.call("GET", "/v1/me", &Value::Null).0, 401);
    assert!(service.end().success());
    let mut again = Service::start(folder.path(), command(folder.path()));
    assert_eq!(again.started["admin_key"], Value::Null);
    again.key = key;
    assert_eq!(again.must("GET", "/v1/me", &Value::Null), me);
    assert!(again.end().success());
}

#[test]
fn what_cannot_work_is_refused_in_words_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.yaml");
    let refused = |settings: &str, arguments: &[&str]| {
        std::fs::write(&file, settings).unwrap();
        let mut command = command(folder.path());
        let output = command.arg("--config").arg(&file).args(arguments).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        said(&output)
    };
    let text = refused("node:\n  leese_ms: 5\n", &[]);
    assert!(
        text.contains("serve.yaml:2:") && text.contains("leese_ms"),
        "{text}"
    );
    let text = refused("grace_ms: 1\n", &["--check"]);
    assert!(text.contains("grace_ms"), "{text}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(&file, "{}\n").unwrap();
    let mut on_taken = command(folder.path());
    on_taken
        .arg("--config")
        .arg(&file)
        .env("TIDEGATE_LISTEN", &address);
    let output = on_taken.output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(&address) && text.contains("listen"), "{text}");
    assert!(!folder.path().join("state").exists(), "a state was made");
}

/// Runs to its end, which must be a success; standard output.
fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_command_line_makes_and_ends_keys_of_a_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), command(folder.path()));
    let admin = service.key.clone();
    let make = [
        "--json",
        "keys",
        "create",
        "--role",
        "tenant-viewer",
        "--title",
        "dashboards",
    ];
    let made = output_of(&mut service.ask(&make));
    let made: Value = serde_json::from_str(&made).unwrap();
    let listed = output_of(&mut service.ask(&["keys", "list"]));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("dashboards"), "{listed}");
    service.key = made["key"].as_str().unwrap().to_owned();
    let refused = service.ask(&make).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("forbidden"), "{}", said(&refused));
    assert_eq!(output_of(&mut service.ask(&["jobs", "list"])), "");
    service.key = admin;
    output_of(&mut service.ask(&["keys", "revoke", made["id"].as_str().unwrap()]));
    service.key = made["key"].as_str().unwrap().to_owned();
    let ended = service.ask(&["jobs", "list"]).output().unwrap();
    assert!(said(&ended).contains("unauthenticated"), "{}", said(&ended));
    assert!(service.end().success());
}

#[test]
fn a_backup_is_a_whole_database_and_a_lost_key_is_made_anew_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), command(folder.path()));
    let file = folder.path().join("saved.db");
    let backup = ["backup", file.to_str().unwrap()];
    output_of(&mut service.ask(&backup));
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"SQLite format 3\0"));
    assert!(
        !service.ask(&backup).output().unwrap().status.success(),
        "written over"
    );
    let state = folder.path().join("state");
    let make = [
        "--state",
        state.to_str().unwrap(),
        "keys",
        "create",
        "--local",
    ];
    let make = [&make[..], &["--role", "platform-admin"]].concat();
    let refused = tidegate(&make).output().unwrap();
    assert!(!refused.status.success(), "made beside a running service");
    assert!(service.end().success());
    // The backup takes the database's place, as after the loss of a disk.
    std::fs::remove_dir_all(state.join("db")).unwrap();
    std::fs::create_dir(state.join("db")).unwrap();
    std::fs::rename(&file, state.join("db/tidegate.db")).unwrap();
    let key = output_of(&mut tidegate(&make));
    let mut again = Service::start(folder.path(), command(folder.path()));
    assert_eq!(again.started["admin_key"], Value::Null);
    again.key = key.trim().to_owned();
    let me = again.must("GET", "/v1/me", &Value::Null);
    assert_eq!(me["role"], "platform-admin");
    assert!(again.end().success());
}

#[test]
fn printed_settings_are_checked_settings() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    let output = command.arg("--print-config").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["health_listen"], "127.0.0.1:0");
    assert_eq!(printed["node"]["lease_ms"], 30_000);
}

async fn site(contacts: u32) -> Site {
    let crm = crm_sim::hubspot::Config {
        contacts,
        ..crm_sim::hubspot::Config::default()
    };
    Site::new(crm, Options::default()).await
}

/// The settings of a service that reads the site's CRM.
fn settings(site: &Site, broker: &str) -> std::path::PathBuf {
    let crm = site.crm.base_url();
    site.write(
        "serve.yaml",
        &format!(
            "node: {{ broker: {{ {broker}, mappings: [{{ from: 'https://api.hubapi.com', to: '{crm}' }}] }} }}\n"
        ),
    );
    site.path("serve.yaml")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_told_to_end_saves_what_runs_and_the_next_one_goes_on() {
    // Some twenty requests are free, the rest waits for ten seconds.
    let site = site(3_000).await;
    let file = settings(&site, "limit_scale: 0.1");
    let folder = site.folder.path().to_owned();
    let (token, lake) = (site.crm.private_app_token().to_owned(), site.path("lake"));
    let at_lake = lake.clone();
    let work = tokio::task::spawn_blocking(move || {
        let start = || {
            let mut command = command(&folder);
            command.arg("--config").arg(&file);
            Service::start(&folder, command)
        };
        let service = start();
        let key = service.key.clone();
        service.upload(&guest("hubspot"));
        service.configure(&token, &at_lake);
        let job = service.must("POST", "/v1/syncs/crm/jobs", &Value::Null);
        let id = job["id"].as_str().unwrap().to_owned();
        // Until it has committed something: then it is in its middle.
        while !service
            .health("/metrics")
            .1
            .contains("connector_records_total")
        {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        service.signal();
        let log_before = service.log();
        assert!(service.wait().success(), "{log_before}");
        let mut again = start();
        again.key = key;
        let followed = again.ask(&["jobs", "follow", &id]).output().unwrap();
        assert!(
            followed.status.success(),
            "{}\n{}",
            said(&followed),
            again.log()
        );
        let shown = again.ask(&["jobs", "show", &id]).output().unwrap();
        assert!(said(&shown).contains("attempt 2: "), "{}", said(&shown));
        let listed = output_of(&mut again.ask(&["jobs", "list", "--in", "succeeded"]));
        assert!(listed.contains(&id), "{listed}");
        let listed = output_of(&mut again.ask(&["jobs", "list", "--in", "failed"]));
        assert_eq!(listed, "");
        let job = again.job_to_end(&id);
        assert!(again.end().success());
        job
    });
    let job = work.await.unwrap();
    assert_eq!(
        job["attempts"], 2,
        "it was not told to stop in its middle: {job}"
    );
    let target: Arc<dyn Target> = Arc::new(DirectoryTarget::open(&lake).unwrap());
    let landed = rows_of("default", "crm", &target).await;
    assert_same(&landed, &site.truth(), "after a drain and a second start");
}
