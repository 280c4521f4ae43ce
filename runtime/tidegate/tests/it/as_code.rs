//! Configuration as code, through the real program and without a server.

use crate::site::shown;
use std::path::Path;
use std::process::{Command, Output};

fn tidegate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", shown(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from:?} is not in: {text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn what_init_writes_is_valid_and_a_slip_is_found_by_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    stdout(&tidegate(folder.path(), &["init", "config"]));
    stdout(&tidegate(folder.path(), &["validate", "config"]));
    let crm = folder.path().join("config/crm.yaml");
    replace(&crm, "streams:", "straems:");
    let output = tidegate(folder.path(), &["validate", "config"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    let text = shown(&output);
    assert!(
        text.contains("config/crm.yaml:6:1: straems is unknown here; did you mean streams?"),
        "{text}"
    );
    let output = tidegate(folder.path(), &["--json", "validate", "config"]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["sound"], false);
    assert_eq!(
        (
            &summary["findings"][0]["line"],
            &summary["findings"][0]["column"]
        ),
        (&6.into(), &1.into())
    );
}

#[test]
fn a_plan_holds_one_directory_against_another() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["main", "branch"] {
        stdout(&tidegate(folder.path(), &["init", name]));
    }
    let plan = ["plan", "branch", "--against", "main"];
    assert_eq!(
        stdout(&tidegate(folder.path(), &plan)),
        "Nothing to change.\n"
    );
    replace(
        &folder.path().join("branch/crm.yaml"),
        "every: 1h",
        "every: 15m",
    );
    let text = stdout(&tidegate(folder.path(), &plan));
    assert!(
        text.contains("~ sync hubspot-crm\n    schedule.every: 1h -> 15m\n"),
        "{text}"
    );
}

#[test]
fn the_schema_is_json_for_an_editor() {
    let folder = tempfile::tempdir().unwrap();
    let schema: serde_json::Value =
        serde_json::from_str(&stdout(&tidegate(folder.path(), &["schema"]))).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}

#[test]
fn the_example_that_the_project_shows_is_sound() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/service");
    stdout(&tidegate(&docs, &["validate", "crm"]));
    stdout(&tidegate(
        &docs,
        &["serve", "--check", "--config", "serve.yaml"],
    ));
}
