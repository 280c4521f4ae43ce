#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// The findings, each as `file:line:column: reason`.
fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let folder = folder(files);
    let documents = read(folder.path()).unwrap();
    let prefix = format!("{}/", folder.path().display());
    documents
        .findings
        .iter()
        .map(|finding| finding.to_string().replace(&prefix, ""))
        .collect()
}

const CONNECTION: &str = "kind: connection\nid: hubspot\nconnector: hubspot@1.0.0\n";
const SYNC: &str = "kind: sync
id: crm
connection: hubspot
streams:
  - name: contacts
target: { url: 'file:///tmp/lake' }
";

#[test]
fn documents_may_stand_in_one_file_or_in_many() {
    let both = format!("{CONNECTION}---\n{SYNC}");
    for files in [
        vec![("a.yaml", both.as_str())],
        vec![
            ("connections/h.yml", CONNECTION),
            ("deep/er/s.yaml", SYNC),
            (".git/x.yaml", "["),
            ("notes.md", "["),
        ],
    ] {
        let folder = folder(&files);
        let documents = read(folder.path()).unwrap();
        assert_eq!(documents.findings, []);
        assert_eq!(
            (documents.set.connections.len(), documents.set.syncs.len()),
            (1, 1)
        );
    }
}

#[test]
fn every_finding_has_its_file_line_and_column() {
    let table: &[(&str, String, &str)] = &[
        (
            "a key",
            SYNC.replace("target:", "tagret:"),
            "s.yaml:6:1: tagret is unknown here; did you mean target?",
        ),
        (
            "a nested key",
            SYNC.replace("name: contacts", "name: contacts\n    feilds: [a]"),
            "s.yaml:6:5: feilds is unknown here; did you mean fields?",
        ),
        (
            "a missing key",
            SYNC.replace("connection: hubspot\n", ""),
            "s.yaml:1:1: connection is missing",
        ),
        (
            "a word",
            SYNC.replace("name: contacts", "name: contacts\n    mode: incremntal"),
            "s.yaml:6:11: incremntal is not one of full_refresh, incremental, live; did you mean incremental?",
        ),
        (
            "a kind",
            SYNC.replace("kind: sync", "kind: snyc"),
            "s.yaml:1:7: there is no kind snyc, only connection, sync or subscription; did you mean sync?",
        ),
        (
            "no kind",
            SYNC.replace("kind: sync\n", ""),
            "s.yaml:1:1: say kind: connection, sync or subscription",
        ),
        ("no id", SYNC.replace("id: crm\n", ""), "s.yaml:1:1: say id"),
        (
            "an id",
            SYNC.replace("id: crm", "id: ../crm"),
            "s.yaml:2:5: sync \"../crm\" is not valid",
        ),
        (
            "a reference",
            SYNC.replace("connection: hubspot", "connection: hubspto"),
            "s.yaml:3:13: sync crm: there is no connection hubspto; did you mean hubspot?",
        ),
        (
            "a rule",
            SYNC.replace("name: contacts", "name: contacts\n    landing: overwrite"),
            "s.yaml:6:14: sync crm: overwrite needs mode full_refresh",
        ),
        (
            "a pace",
            format!("{SYNC}schedule: {{ every: 5s }}\n"),
            "s.yaml:7:20: \"5s\" is no pace",
        ),
        (
            "a schedule",
            format!("{SYNC}schedule:\n  every: 1h\n  time_zone: UTC\n"),
            "s.yaml:9:14: sync crm: only cron and off_hours have a time zone",
        ),
        (
            "a literal secret",
            SYNC.replace(
                "'file:///tmp/lake' }",
                "s3://lake, access_key: '${env:A}', secret_key: hunter2 }",
            ),
            "must name a secret",
        ),
        (
            "no YAML",
            SYNC.replace("id: crm", "id: ["),
            "this is not YAML",
        ),
        (
            "an instant",
            SYNC.replace(
                "name: contacts",
                "name: contacts\n    window: { since: soon }",
            ),
            "s.yaml:6:22: ",
        ),
        ("a list", "[a, b]".to_owned(), "s.yaml:1:1: say kind"),
    ];
    for (name, text, expected) in table {
        let found = findings(&[("c.yaml", CONNECTION), ("s.yaml", text)]);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{name}: {found:#?}"
        );
        assert!(!found.join("\n").contains("hunter2"), "{found:?}");
        let located = |line: &String| {
            let place: Vec<&str> = line.splitn(4, ':').collect();
            place[0] == "s.yaml"
                && place[1].parse::<u32>().is_ok()
                && place[2].parse::<u32>().is_ok()
        };
        assert!(found.iter().all(located), "{name}: {found:#?}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let connection = CONNECTION.replace("connector:", "conector:");
    let sync = SYNC
        .replace("[{ name: contacts }]", "[]")
        .replace("  - name: contacts", "  []");
    let found = findings(&[
        ("c.yaml", &connection),
        ("s.yaml", &format!("{sync}---\n{SYNC}")),
    ]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("c.yaml:3:1: conector"), "{found:#?}");
    assert!(
        found[1].starts_with("s.yaml:5:3: sync crm: name at least one stream"),
        "{found:#?}"
    );
    assert!(
        found[2].starts_with("s.yaml:9:5: sync crm is there twice; the other is at"),
        "{found:#?}"
    );
}

#[test]
fn a_component_is_looked_for_beside_its_document() {
    let connection = CONNECTION.replace("hubspot@1.0.0", "./hubspot.wasm");
    let files = [("a/c.yaml", connection.as_str()), ("s.yaml", SYNC)];
    let found = findings(&files);
    assert!(
        found[0].contains("a/c.yaml:3:12: connection hubspot: there is no file"),
        "{found:?}"
    );
    let folder = folder(&files);
    std::fs::write(folder.path().join("a/hubspot.wasm"), "wasm").unwrap();
    let documents = read(folder.path()).unwrap();
    assert_eq!(documents.findings, []);
    let id = ConnectionId::parse("hubspot").unwrap();
    assert!(
        documents
            .component(&id)
            .unwrap()
            .ends_with("a/./hubspot.wasm")
    );
}

#[test]
fn a_directory_without_documents_says_how_to_begin() {
    let empty = folder(&[]);
    let error = read(empty.path()).unwrap_err().to_string();
    assert!(error.contains("tidegate init"), "{error}");
    assert!(matches!(
        read(&empty.path().join("none")),
        Err(Error::Read { .. })
    ));
}
