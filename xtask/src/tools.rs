//! The tools of the Rust side: installed where they are missing.

use crate::project::{Project, install, output, run};
use anyhow::Context as _;
use std::path::PathBuf;

/// The target that guests are built for.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";

const CARGO_DENY: &str = "0.20.2";

/// Adds the wasm target to the toolchain, if it lacks it.
pub(crate) fn wasm_target(project: &Project) -> anyhow::Result<()> {
    rustup(project, "target", WASM_TARGET)
}

/// Adds rustfmt and clippy to the toolchain, if it lacks them.
pub(crate) fn components(project: &Project) -> anyhow::Result<()> {
    rustup(project, "component", "rustfmt")?;
    rustup(project, "component", "clippy")
}

fn rustup(project: &Project, kind: &str, name: &str) -> anyhow::Result<()> {
    let mut list = project.command("rustup");
    list.args([kind, "list", "--installed"]);
    // A toolchain that did not come from rustup must bring them itself; the build
    // says clearly what it misses.
    let Ok(installed) = output(&mut list) else {
        return Ok(());
    };
    if installed.lines().any(|line| line.starts_with(name)) {
        return Ok(());
    }
    run(project.command("rustup").args([kind, "add", name]))
}

/// cargo-deny, built once into `target/tools`. A debug build: it takes a third of
/// the time, and the check runs for seconds only.
pub(crate) fn cargo_deny(project: &Project) -> anyhow::Result<PathBuf> {
    let binary = project.path("target/tools/bin/cargo-deny");
    let version = output(project.command(&binary).arg("--version"));
    if version.is_ok_and(|version| version == format!("cargo-deny {CARGO_DENY}")) {
        return Ok(binary);
    }
    let mut install = project.cargo([
        "install",
        "cargo-deny",
        "--version",
        CARGO_DENY,
        "--locked",
        "--debug",
        "--no-default-features",
        "--force",
        "--quiet",
        "--root",
        "target/tools",
    ]);
    run(&mut install)?;
    Ok(binary)
}

/// nginx, from the system's packages where it is missing: a third parser of what the
/// broker sends.
pub(crate) fn nginx(project: &Project) -> anyhow::Result<PathBuf> {
    // Debian keeps it where only root looks.
    let found = || {
        let places = ["nginx", "/usr/sbin/nginx"].into_iter();
        let mut works = places.filter(|place| output(project.command(place).arg("-v")).is_ok());
        works.next().map(PathBuf::from)
    };
    if let Some(nginx) = found() {
        return Ok(nginx);
    }
    install(project, &["nginx-light"])?;
    found().context("nginx was installed and does not run")
}
