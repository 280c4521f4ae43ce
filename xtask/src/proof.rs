//! `cargo proof`: the proofs that take longer than the gate may, and their record.
//!
//! Tests read `TIDEGATE_PROOF=1`, widen their samples, and write what they measured
//! as Markdown into `TIDEGATE_PROOF_DIR`. Here each such fragment becomes a page of
//! `docs/proof/` with the machine and the date. `cargo proof fuzz` runs the fuzzers alone.

use crate::drivers::Drivers;
use crate::project::{self, Project, output};
use crate::python::{self, Python};
use crate::seaweed::Seaweed;
use crate::stages::Stages;
use crate::{fuzz, guests};
use anyhow::{Context as _, ensure};
use std::fs;

/// Runs the proofs and writes their pages to `docs/proof/`. With names, only tests that
/// hold one of them run, and the model does not.
pub(crate) fn run(project: &Project, names: &[String]) -> anyhow::Result<()> {
    let mut stages = Stages::default();
    let outcome = all(project, names, &mut stages);
    stages.report();
    outcome
}

fn all(project: &Project, names: &[String], stages: &mut Stages) -> anyhow::Result<()> {
    let fragments = project.path("target/proof");
    if fragments.exists() {
        fs::remove_dir_all(&fragments)?;
    }
    fs::create_dir_all(&fragments)?;
    if names.iter().any(|name| name == "fuzz") {
        stages.run("fuzzing", || fuzz::run_all(project, 60))?;
        return stages.run("pages", || publish(project));
    }
    let python = stages.run("python packages", || {
        Python::prepare(project, &python::READERS)
    })?;
    stages.run("guests", || guests::build(project, guests::ALL))?;
    if names.is_empty() {
        stages.run("model of the protocol", || model(project, &python))?;
    }
    let seaweed = stages.run("start SeaweedFS", || Seaweed::start(project, &python))?;
    stages.run("tests, widened", || {
        project::run(
            project
                .cargo([
                    "test",
                    "--locked",
                    "--workspace",
                    "--tests",
                    "--no-fail-fast",
                    "--",
                ])
                .args(names)
                .envs(seaweed.environment())
                .env("TIDEGATE_TEST_PYTHON", python.interpreter())
                .env("TIDEGATE_PROOF", "1")
                .env("TIDEGATE_PROOF_DIR", project.path("target/proof")),
        )
    })?;
    if names.is_empty() {
        let drivers = stages.run("drivers of the service", || Drivers::prepare(project))?;
        stages.run("fuzzing", || fuzz::run_all(project, 60))?;
        stages.run("cost of an admission", || admissions(project))?;
        stages.run("schemathesis, at length", || {
            drivers.contract_at_length(project)
        })?;
        stages.run("a tenant that floods the queue", || {
            drivers.fairness_at_length(project)
        })?;
    }
    stages.run("pages", || publish(project))
}

fn model(project: &Project, python: &Python) -> anyhow::Result<()> {
    let table = output(
        project
            .command(python.interpreter())
            .args(["docs/model/commit_model.py", "full"]),
    )?;
    let page = format!("# The model of the commit protocol\n\n```\n{table}\n```\n");
    Ok(fs::write(project.path("target/proof/model.md"), page)?)
}

/// What asking the limits costs, as divan measures it in a release build.
fn admissions(project: &Project) -> anyhow::Result<()> {
    // The bench alone: the tests of the crate take longer to build than it does to run.
    let bench = [
        "bench",
        "--locked",
        "--quiet",
        "--package",
        "tidegate-domain",
        "--bench",
        "admission",
    ];
    let table = output(&mut project.cargo(bench))?;
    let page = format!(
        "# What it costs to ask the limits where nobody waits\n\n`cargo bench -p tidegate-domain --bench admission`, release build:\n\n```\n{table}\n```\n"
    );
    Ok(fs::write(
        project.path("target/proof/limit-admission.md"),
        page,
    )?)
}

fn publish(project: &Project) -> anyhow::Result<()> {
    let machine = machine(project)?;
    let pages = project.path("docs/proof");
    fs::create_dir_all(&pages)?;
    let mut count = 0;
    for entry in fs::read_dir(project.path("target/proof"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let fragment = fs::read_to_string(&path)?;
        let page = path.file_name().context("an entry has a name")?;
        fs::write(
            pages.join(page),
            format!("{}\n\n{machine}\n", fragment.trim_end()),
        )?;
        eprintln!("docs/proof/{}", page.to_string_lossy());
        count += 1;
    }
    ensure!(count > 0, "no proof left a page in target/proof");
    Ok(())
}

fn machine(project: &Project) -> anyhow::Result<String> {
    let date = output(project.command("date").args(["-u", "+%F"]))?;
    let commit = output(
        project
            .command("git")
            .args(["rev-parse", "--short=12", "HEAD"]),
    )?;
    let kernel = output(project.command("uname").arg("-srm"))?;
    let rustc = output(project.command("rustc").arg("--version"))?;
    let cores = std::thread::available_parallelism()?;
    let processor = first_value("/proc/cpuinfo", "model name");
    let memory = first_value("/proc/meminfo", "MemTotal");
    Ok(format!(
        "Made by `cargo proof` on {date} from commit {commit}: {cores} cores of {processor}, memory {memory}, {kernel}, {rustc}."
    ))
}

/// The value of the first `name : value` line; "unknown" where there is none.
fn first_value(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_once(':'));
    line.map_or_else(
        || "unknown".to_owned(),
        |(_, value)| value.trim().to_owned(),
    )
}
