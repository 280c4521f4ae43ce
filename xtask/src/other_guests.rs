//! The bench's connectors in JavaScript and Python: their tool chains, installed below
//! `target/`, and their components.

use crate::node;
use crate::project::{Project, run};
use crate::python::{self, Python};

const WORLD: &str = "source-connector";
/// Where the components are written.
const HOME: &str = "target/bench-guests";

/// Installs the tool chains and builds both components.
pub(crate) fn build(project: &Project) -> anyhow::Result<()> {
    let tools = Python::prepare(project, &python::GUESTS)?;
    let packages = node::GUEST.install(project, &tools)?;
    let wit = project.path("wit");
    let component = |name: &str| project.path(&format!("{HOME}/{name}.wasm"));
    // Synchronous: the host's engine has no part of the asynchronous component model. And
    // without WASI: of what is left behind of it, the sandbox links only a part.
    run(project
        .command(tools.program("node"))
        .current_dir(&packages)
        .args(["node_modules/.bin/jco", "componentize", "contacts.js"])
        .args(["--backend", "qjs", "--backend-qjs-disable-async"])
        .arg("--backend-qjs-stub-wasi")
        .args(["--world-name", WORLD, "--wit"])
        .arg(&wit)
        .arg("--out")
        .arg(component("contacts-js")))?;
    run(project
        .command(tools.program("componentize-py"))
        .arg("--wit-path")
        .arg(&wit)
        .args(["--world", WORLD, "--quiet", "componentize", "contacts"])
        .arg("--stub-wasi")
        .args(["--python-path", "bench/guests/python", "--output"])
        .arg(component("contacts-python")))
}
