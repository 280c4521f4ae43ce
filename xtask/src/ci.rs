//! `cargo ci`: everything that must pass before a change lands, cheapest first.

use crate::drivers::Drivers;
use crate::project::{self, Project};
use crate::python::{self, Python};
use crate::seaweed::Seaweed;
use crate::stages::Stages;
use crate::{guests, node, peers, recordings, tools};

/// Runs all stages; the first failure ends the run.
pub(crate) fn run(project: &Project) -> anyhow::Result<()> {
    let mut stages = Stages::default();
    let outcome = all(project, &mut stages);
    stages.report();
    outcome
}

fn all(project: &Project, stages: &mut Stages) -> anyhow::Result<()> {
    stages.run("toolchain", || {
        tools::wasm_target(project)?;
        tools::components(project)
    })?;
    stages.run("format", || format(project))?;
    stages.run("licences, bans, sources", || dependencies(project))?;
    let python = stages.run("python packages", || {
        Python::prepare(project, &python::READERS)
    })?;
    stages.run("model of the protocol", || {
        project::run(
            project
                .command(python.interpreter())
                .args(["docs/model/commit_model.py", "short"]),
        )
    })?;
    stages.run("guests", || guests::build(project, guests::ALL))?;
    stages.run("lints of the guests", || lint_guests(project))?;
    stages.run("tests of the guests", || {
        project::run(guests::cargo(project, "test").args(["--locked", "--workspace"]))
    })?;
    stages.run("lints of the runtime", || {
        project::run(&mut project.cargo([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    stages.run("tests: build", || {
        project::run(&mut project.cargo(["test", "--locked", "--workspace", "--no-run"]))
    })?;
    stages.run("tests: tidy", || {
        project::run(&mut project.cargo([
            "test",
            "--locked",
            "--workspace",
            "--test",
            "it",
            "tidy",
        ]))
    })?;
    let seaweed = stages.run("start SeaweedFS", || Seaweed::start(project, &python))?;
    let nginx = stages.run("nginx", || tools::nginx(project))?;
    let clients = stages.run("clients of the simulators", || {
        let python = Python::prepare(project, &python::DRIVERS)?;
        Ok((
            node::CLIENTS.install(project, &python)?,
            python.program("node"),
        ))
    })?;
    stages.run("tests", || {
        project::run(
            project
                .cargo(["test", "--locked", "--workspace", "--no-fail-fast"])
                .envs(seaweed.environment())
                .env("TIDEGATE_TEST_NGINX", nginx)
                .env("TIDEGATE_TEST_PYTHON", python.interpreter())
                .env("TIDEGATE_TEST_NODE", &clients.0)
                .env("TIDEGATE_TEST_NODE_PROGRAM", &clients.1),
        )
    })?;
    stages.run("the bench, small", || peers::try_out(project, &seaweed))?;
    stages.run("stop SeaweedFS", || {
        drop(seaweed);
        Ok(())
    })?;
    stages.run("recorded traffic", || recordings::replay(project, &python))?;
    let drivers = stages.run("drivers of the service", || Drivers::prepare(project))?;
    stages.run("OAuth with oidc-provider", || drivers.authorize(project))?;
    stages.run("a flow of Prefect", || drivers.orchestrate(project))?;
    stages.run("schemathesis", || drivers.contract(project))?;
    stages.run("a tenant that floods the queue", || {
        drivers.fairness(project)
    })
}

fn format(project: &Project) -> anyhow::Result<()> {
    project::run(&mut project.cargo(["fmt", "--all", "--check"]))?;
    project::run(guests::cargo(project, "fmt").args(["--all", "--check"]))
}

fn dependencies(project: &Project) -> anyhow::Result<()> {
    let cargo_deny = tools::cargo_deny(project)?;
    for manifest in ["Cargo.toml", "guest-connectors/Cargo.toml"] {
        project::run(project.command(&cargo_deny).args([
            "--manifest-path",
            manifest,
            "--config",
            "deny.toml",
            "check",
            "licenses",
            "bans",
            "sources",
        ]))?;
    }
    Ok(())
}

/// Both as they ship and as their native tests see them.
fn lint_guests(project: &Project) -> anyhow::Result<()> {
    project::run(guests::cargo(project, "clippy").args([
        "--locked",
        "--workspace",
        "--target",
        tools::WASM_TARGET,
        "--",
        "-D",
        "warnings",
    ]))?;
    project::run(guests::cargo(project, "clippy").args([
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}
