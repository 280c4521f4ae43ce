//! Rules over `Cargo.toml` files: who may depend on what.

use super::Source;

/// The crates of the runtime, each with those of ours that it may import.
#[rustfmt::skip]
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("broker", &["domain", "store"]),
    ("landing", &["domain", "store", "broker"]),
    ("sandbox", &["domain", "store", "broker", "landing"]),
    ("engine", &["domain", "store", "broker", "landing", "sandbox"]),
    ("api", &["domain", "store", "engine"]),
    ("tidegate", &["domain", "store", "broker", "landing", "sandbox", "engine", "api"]),
];

/// Dependencies, by the start of their name, that only these crates may build on.
const OWNERS: &[(&str, &[&str])] = &[
    ("wasmtime", &["sandbox"]),
    ("wasmparser", &["sandbox"]),
    ("rusqlite", &["store"]),
    ("rustls", &["broker"]),
    ("tokio-rustls", &["broker"]),
    ("oauth2", &["broker"]),
    ("aws-", &["landing"]),
    ("arrow", &["landing"]),
    ("parquet", &["landing"]),
    (
        "tokio",
        &[
            "store", "broker", "landing", "sandbox", "engine", "api", "tidegate",
        ],
    ),
    ("axum", &["api"]),
    ("tower-http", &["api"]),
    ("utoipa-axum", &["api"]),
    ("governor", &["api"]),
    ("opentelemetry", &["tidegate"]),
    ("tracing-opentelemetry", &["tidegate"]),
    ("clap", &["tidegate"]),
    ("indicatif", &["tidegate"]),
    ("anyhow", &["tidegate"]),
];

/// A dependency of a manifest.
struct Dependency<'a> {
    name: &'a str,
    ships: bool,
}

/// The folder of a crate of the runtime, if this is its manifest.
fn runtime_crate(file: &Source) -> Option<&str> {
    file.path
        .strip_prefix("runtime/")?
        .strip_suffix("/Cargo.toml")
}

fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
        } else if section.ends_with("dependencies") && !line.starts_with('#') {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            let ships = !section.ends_with("dev-dependencies");
            if end > 0 {
                found.push(Dependency {
                    name: &line[..end],
                    ships,
                });
            }
        }
    }
    found
}

pub(super) fn layers(file: &Source) -> Vec<String> {
    if !file.path.ends_with("Cargo.toml") || file.path == "Cargo.toml" {
        return Vec::new();
    }
    let allowed: &[&str] = match runtime_crate(file) {
        Some(own) => match LAYERS.iter().find(|(folder, _)| *folder == own) {
            Some((_, allowed)) => allowed,
            None => return vec!["is a crate that the layers do not know".to_owned()],
        },
        // Fuzzing knocks at the broker's doors.
        None if file.path == "fuzz/Cargo.toml" => &["broker"],
        // What the host costs without a guest is measured from inside.
        None if file.path == "bench/host-loop/Cargo.toml" => {
            &["domain", "store", "broker", "landing", "sandbox", "engine"]
        }
        None => &[],
    };
    dependencies(&file.text)
        .iter()
        .filter_map(|dependency| dependency.name.strip_prefix("tidegate-"))
        .filter(|name| *name != "sdk" && !allowed.contains(name))
        .map(|name| format!("may not import tidegate-{name}"))
        .collect()
}

pub(super) fn owners(file: &Source) -> Vec<String> {
    let Some(own) = runtime_crate(file) else {
        return Vec::new();
    };
    let foreign = |name: &str| {
        OWNERS
            .iter()
            .find(|(start, owners)| name.starts_with(start) && !owners.contains(&own))
    };
    dependencies(&file.text)
        .iter()
        .filter(|dependency| dependency.ships)
        .filter_map(|dependency| Some((dependency.name, foreign(dependency.name)?)))
        .map(|(name, (_, owners))| format!("may not use {name}, which belongs to {owners:?}"))
        .collect()
}

pub(super) fn missing_readmes(files: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for own in files.iter().filter_map(runtime_crate) {
        let path = format!("runtime/{own}/README.md");
        match files.iter().find(|file| file.path == path) {
            None => wrong.push(format!("{path}: is missing")),
            Some(readme) if !readme.text.contains("Invariants") => {
                wrong.push(format!("{path}: has no section of Invariants"));
            }
            Some(_) => {}
        }
    }
    wrong
}
