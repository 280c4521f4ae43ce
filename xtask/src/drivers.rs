//! Programs that none of us wrote drive the service: an OAuth provider, an orchestrator,
//! a tester of APIs; and a bench of our own, which needs their like. Each starts the
//! binary that the tests built.

use crate::project::{Project, run};
use crate::python::{self, Python};
use anyhow::{Context as _, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The provider's package, and where it is installed.
const PROVIDER: &str = "bench/oidc-provider";
const PROVIDER_HOME: &str = "target/oidc-provider";
/// What the package consists of. The first is copied last: it marks a whole installation.
const PROVIDER_FILES: [&str; 3] = ["provider.mjs", "package.json", "package-lock.json"];

/// The drivers, installed.
pub(crate) struct Drivers {
    python: Python,
    binaries: PathBuf,
}

impl Drivers {
    /// Installs what is missing, below `target/`.
    pub(crate) fn prepare(project: &Project) -> anyhow::Result<Drivers> {
        let python = Python::prepare(project, &python::DRIVERS)?;
        provider(project, &python)?;
        // Beside this very binary, wherever the caller put the target directory.
        let own = std::env::current_exe()?;
        let binaries = own.parent().context("a binary lies in a directory")?;
        for name in ["tidegate", "crm-sim"] {
            let path = binaries.join(name);
            ensure!(
                path.is_file(),
                "{} is not there; build the workspace first",
                path.display()
            );
        }
        Ok(Drivers {
            python,
            binaries: binaries.to_owned(),
        })
    }

    /// A connection is authorised, refreshed, revoked and authorised again.
    pub(crate) fn authorize(&self, project: &Project) -> anyhow::Result<()> {
        let provider = project.path(PROVIDER_HOME).join("provider.mjs");
        run(self
            .script(project, "bench/prove_authorize.py")
            .arg("--provider")
            .arg(provider))
    }

    /// The documented flow applies, triggers, follows and loads.
    pub(crate) fn orchestrate(&self, project: &Project) -> anyhow::Result<()> {
        run(&mut self.script(project, "bench/prove_prefect.py"))
    }

    /// The served document is held against what is answered.
    pub(crate) fn contract(&self, project: &Project) -> anyhow::Result<()> {
        run(&mut self.script(project, "bench/prove_contract.py"))
    }

    /// The same with many more cases, which become a page.
    pub(crate) fn contract_at_length(&self, project: &Project) -> anyhow::Result<()> {
        run(self.script(project, "bench/prove_contract.py").args([
            "--examples",
            "200",
            "--page",
            "target/proof/contract.md",
        ]))
    }

    /// One tenant floods the queue, and the others have their turns.
    pub(crate) fn fairness(&self, project: &Project) -> anyhow::Result<()> {
        run(self.script(project, "bench/prove_fairness.py").args([
            "--tenants",
            "10",
            "--flood",
            "60",
        ]))
    }

    /// The same with 200 tenants, which becomes a page.
    pub(crate) fn fairness_at_length(&self, project: &Project) -> anyhow::Result<()> {
        run(self
            .script(project, "bench/prove_fairness.py")
            .args(["--page", "target/proof/fairness.md"]))
    }

    fn script(&self, project: &Project, script: &str) -> Command {
        let mut command = project.command(self.python.interpreter());
        command.arg(script).arg("--bin-dir").arg(&self.binaries);
        command
    }
}

/// npm, from the drivers' environment, installs exactly what the lock file names.
fn provider(project: &Project, python: &Python) -> anyhow::Result<()> {
    let (from, to) = (project.path(PROVIDER), project.path(PROVIDER_HOME));
    if PROVIDER_FILES
        .iter()
        .all(|name| same(&from.join(name), &to.join(name)))
    {
        return Ok(());
    }
    fs::create_dir_all(&to)?;
    let mark = to.join("provider.mjs");
    if mark.exists() {
        fs::remove_file(&mark)?;
    }
    for name in PROVIDER_FILES.iter().skip(1) {
        fs::copy(from.join(name), to.join(name)).with_context(|| format!("{PROVIDER}/{name}"))?;
    }
    run(project
        .command(python.program("npm"))
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&to))?;
    fs::copy(from.join("provider.mjs"), mark)?;
    Ok(())
}

fn same(one: &Path, other: &Path) -> bool {
    let (one, other) = (fs::read(one), fs::read(other));
    one.is_ok_and(|one| other.is_ok_and(|other| one == other))
}
