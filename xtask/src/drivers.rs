//! Programs that none of us wrote drive the service: an OAuth provider, an orchestrator,
//! a tester of APIs; and a bench of our own, which needs their like. Each starts the
//! binary that the tests built.

use crate::node;
use crate::project::{Project, run};
use crate::python::{self, Python};
use anyhow::{Context as _, ensure};
use std::path::PathBuf;
use std::process::Command;

/// The drivers, installed.
pub(crate) struct Drivers {
    python: Python,
    provider: PathBuf,
    binaries: PathBuf,
}

impl Drivers {
    /// Installs what is missing, below `target/`.
    pub(crate) fn prepare(project: &Project) -> anyhow::Result<Drivers> {
        let python = Python::prepare(project, &python::DRIVERS)?;
        let provider = node::PROVIDER.install(project, &python)?;
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
            provider,
            binaries: binaries.to_owned(),
        })
    }

    /// A connection is authorised, refreshed, revoked and authorised again.
    pub(crate) fn authorize(&self, project: &Project) -> anyhow::Result<()> {
        run(self
            .script(project, "bench/prove_authorize.py")
            .arg("--provider")
            .arg(self.provider.join("provider.mjs")))
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
