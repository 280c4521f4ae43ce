//! The guests' workspace: built for wasm, apart from the host.

use crate::project::{Project, run};
use crate::tools::WASM_TARGET;
use std::path::PathBuf;

const MANIFEST: &str = "guest-connectors/Cargo.toml";

/// The guests that the demo and the tests load.
pub(crate) const ALL: &[&str] = &[
    "hubspot",
    "intercom",
    "leadsquared",
    "pages",
    "pipedrive",
    "salesforce",
    "hostile",
    "hostile-describe",
    "copying",
];

/// A cargo command on the guests' workspace, for this machine.
pub(crate) fn cargo(project: &Project, command: &'static str) -> std::process::Command {
    let mut cargo = project.cargo([command, "--manifest-path", MANIFEST]);
    // Where the tests look for them, whatever the caller's settings.
    cargo.env("CARGO_TARGET_DIR", project.path("guest-connectors/target"));
    cargo
}

/// Builds guests as components.
pub(crate) fn build(project: &Project, names: &[&str]) -> anyhow::Result<()> {
    let mut build = cargo(project, "build");
    build.args(["--locked", "--release", "--target", WASM_TARGET]);
    for name in names {
        build.args(["-p", name]);
    }
    run(&mut build)
}

/// Where a built guest lies.
pub(crate) fn component(project: &Project, name: &str) -> PathBuf {
    project.path(&format!(
        "guest-connectors/target/{WASM_TARGET}/release/{name}.wasm"
    ))
}
