//! The rules of the repository, kept by tests rather than by reviewers.
//!
//! A rule is a function from one file to what is wrong with it. Each has a test
//! that applies it to every file of the repository, and rows in the table at the
//! end that show what it catches and what it lets pass.

mod manifests;
mod rust;
mod text;

use std::path::{Path, PathBuf};
use std::process::Command;

/// One file: its path below the root, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

type Rule = fn(&Source) -> Vec<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Every text file that is tracked or about to be, save what tools generate and
/// these rules, whose examples break them on purpose.
fn repository() -> Vec<Source> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files of its own checkout");
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .filter(|path| !path.ends_with("Cargo.lock") && !path.contains("tests/it/tidy"))
        .filter_map(|path| {
            // A file may vanish while its neighbours are read, and a binary has no lines.
            let text = std::fs::read_to_string(root().join(path)).ok()?;
            Some(Source {
                path: path.to_owned(),
                text,
            })
        })
        .collect()
}

fn enforce(rule: Rule) {
    let files = repository();
    assert!(files.len() > 50, "the repository was not found");
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = &file.path;
            rule(file)
                .into_iter()
                .map(move |complaint| format!("{path}: {complaint}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_crate_imports_only_what_lies_below_it() {
    enforce(manifests::layers);
}

#[test]
fn a_heavy_dependency_has_one_owner() {
    enforce(manifests::owners);
}

#[test]
fn every_crate_of_the_runtime_has_a_readme_with_its_invariants() {
    let files = repository();
    let wrong = manifests::missing_readmes(&files);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn only_the_broker_opens_connections() {
    enforce(rust::outgoing_connections);
}

#[test]
fn no_file_grows_past_its_limit() {
    enforce(rust::size);
}

#[test]
fn names_say_what_a_thing_is() {
    enforce(rust::names);
}

#[test]
fn every_module_says_why_it_exists() {
    enforce(rust::module_doc);
}

#[test]
fn unsafe_code_stands_only_where_its_proof_stands() {
    enforce(rust::unsafe_code);
}

#[test]
fn no_test_is_ignored_and_nothing_is_left_to_do() {
    enforce(text::unfinished);
}

#[test]
fn the_project_refers_to_nothing_outside_itself() {
    enforce(text::outside);
}

#[test]
fn links_between_documents_lead_somewhere() {
    enforce(text::dead_links);
}

/// What each rule catches (`true`) and lets pass (`false`).
#[rustfmt::skip]
const EXAMPLES: &[(Rule, &str, &str, bool)] = &[
    (manifests::layers, "runtime/store/Cargo.toml", "[dependencies]\ntidegate-broker.workspace = true\n", true),
    (manifests::layers, "runtime/store/Cargo.toml", "[dependencies]\ntidegate-domain.workspace = true\n", false),
    (manifests::layers, "runtime/store/Cargo.toml", "[dev-dependencies]\ntidegate-engine = { path = \"../engine\" }\n", true),
    (manifests::layers, "runtime/unheard/Cargo.toml", "[package]\n", true),
    (manifests::layers, "bench/crm-sim/Cargo.toml", "[dependencies]\ntidegate-domain.workspace = true\n", true),
    (manifests::owners, "runtime/engine/Cargo.toml", "[dependencies]\nwasmtime-wasi.workspace = true\n", true),
    (manifests::owners, "runtime/engine/Cargo.toml", "[dev-dependencies]\nwasmtime.workspace = true\n", false),
    (manifests::owners, "runtime/sandbox/Cargo.toml", "[dependencies]\nwasmtime.workspace = true\n", false),
    (manifests::owners, "runtime/store/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nanyhow = \"1\"\n", true),
    (rust::outgoing_connections, "runtime/landing/src/s3.rs", "use hyper::client::conn;\n", true),
    (rust::outgoing_connections, "runtime/broker/src/dial.rs", "use hyper::client::conn;\n", false),
    (rust::outgoing_connections, "runtime/landing/src/s3/tests.rs", "use hyper::client::conn;\n", false),
    (rust::names, "runtime/store/src/utils.rs", "", true),
    (rust::names, "runtime/store/src/info/mod.rs", "", true),
    (rust::names, "runtime/store/src/lease.rs", "pub fn get_lease() {}\n", true),
    (rust::names, "runtime/store/src/lease.rs", "impl Host for State {\n    fn get_lease() {}\n}\n", false),
    (rust::names, "runtime/store/src/lease.rs", "impl Host for State {\n}\nfn get_lease() {}\n", true),
    (rust::names, "sdk/rust/src/http.rs", "pub fn get_many() {}\n", false),
    (rust::names, "runtime/store/src/lease.rs", "pub(crate) struct LeaseManager;\n", true),
    (rust::names, "runtime/store/src/lease.rs", "/// fn get_lease\nfn forget_lease() {}\n", false),
    (rust::module_doc, "runtime/store/src/lease.rs", "use std::fs;\n", true),
    (rust::module_doc, "runtime/store/src/lease.rs", "//! Who may write.\n", false),
    (rust::module_doc, "runtime/store/src/lease/tests.rs", "use super::*;\n", false),
    (rust::unsafe_code, "runtime/sandbox/src/cache.rs", "let c = unsafe { load() };\n", true),
    (rust::unsafe_code, "runtime/sandbox/src/cache.rs", "#[expect(unsafe_code, reason = \"r\")]\nlet c = unsafe { load() };\n", false),
    (rust::unsafe_code, "runtime/sandbox/src/cache.rs", "#![allow(unsafe_code, reason = \"r\")]\n", true),
    (rust::unsafe_code, "runtime/sandbox/src/cache.rs", "// unsafe would be wrong here\n", false),
    (text::unfinished, "runtime/store/src/lease.rs", "// TODO later\n", true),
    (text::unfinished, "runtime/store/src/lease.rs", "#[ignore = \"slow\"]\n", true),
    (text::unfinished, "docs/page.md", "A method of the API\n", false),
    (text::outside, "docs/page.md", "see ../shared/DESIGN.md\n", true),
    (text::outside, "runtime/store/Cargo.toml", "x = { path = \"../../../x\" }\n", true),
    (text::outside, "runtime/store/Cargo.toml", "x = { path = \"../domain\" }\n", false),
    (text::outside, "runtime/store/src/a/b.rs", "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../../../x\")\n", true),
    (text::outside, "runtime/store/src/a/b.rs", "concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../../wit\")\n", false),
    (text::outside, "runtime/broker/src/key/tests.rs", "refused(\"../../../../etc/passwd\");\n", false),
    (text::dead_links, "docs/page.md", "[a](no-such-page.md)\n", true),
    (text::dead_links, "docs/page.md", "[a](../LICENSE) [b](https://example.com) [c](#below)\n", false),
];

#[test]
fn each_rule_catches_what_it_is_for() {
    for (row, (rule, path, text, caught)) in EXAMPLES.iter().enumerate() {
        let complaints = rule(&Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        });
        assert_eq!(
            !complaints.is_empty(),
            *caught,
            "row {row}, {path}: {text:?} gives {complaints:?}"
        );
    }
}

#[test]
fn size_counts_a_file_without_its_tests() {
    let file = |lines: usize, tail: &str| Source {
        path: "runtime/store/src/lease.rs".to_owned(),
        text: "let a = 1;\n".repeat(lines) + tail,
    };
    let tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}\n",
        "let a = 1;\n".repeat(200)
    );
    assert!(rust::size(&file(rust::LINES_MAX, &tests)).is_empty());
    assert!(!rust::size(&file(rust::LINES_MAX + 1, &tests)).is_empty());
}

#[test]
fn a_crate_without_a_readme_or_without_invariants_is_found() {
    let file = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let manifest = || file("runtime/store/Cargo.toml", "[package]\n");
    let whole = file("runtime/store/README.md", "# store\n\n## Invariants\n");
    let half = file("runtime/store/README.md", "# store\n");
    assert!(manifests::missing_readmes(&[manifest(), whole]).is_empty());
    assert_eq!(manifests::missing_readmes(&[manifest(), half]).len(), 1);
    assert_eq!(manifests::missing_readmes(&[manifest()]).len(), 1);
}
