//! The Python side of the tests: third-party clients, readers and drivers, in virtual
//! environments of their own.

use crate::project::{Project, install, output, run};
use anyhow::Context as _;
use std::path::PathBuf;

/// A virtual environment to be: where it lies, and which packages it holds.
pub(crate) struct Environment {
    pub(crate) home: &'static str,
    pub(crate) requirements: &'static str,
}

/// Clients of the simulated CRM, an S3 server, readers of what landed.
pub(crate) const READERS: Environment = Environment {
    home: "target/ci-venv",
    requirements: "bench/requirements.txt",
};

/// Programs that drive the service. They cannot agree with the readers on versions.
pub(crate) const DRIVERS: Environment = Environment {
    home: "target/ci-venv-drivers",
    requirements: "bench/requirements-service.txt",
};

/// The tool chains of the bench's connectors in JavaScript and Python.
pub(crate) const GUESTS: Environment = Environment {
    home: "target/bench-guests/tools",
    requirements: "bench/guests/requirements.txt",
};

/// The virtual environment.
pub(crate) struct Python {
    home: PathBuf,
}

impl Python {
    /// Makes the environment with exactly the pinned packages, unless it is there.
    pub(crate) fn prepare(project: &Project, wanted: &Environment) -> anyhow::Result<Python> {
        let (home, requirements) = (project.path(wanted.home), wanted.requirements);
        let python = Python { home };
        let wanted = std::fs::read_to_string(project.path(requirements))
            .with_context(|| format!("cannot read {requirements}"))?;
        let stamp = python.home.join("requirements.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
            return Ok(python);
        }
        python.create(project)?;
        run(project.command(python.interpreter()).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "-r",
            requirements,
        ]))?;
        std::fs::write(stamp, wanted)?;
        Ok(python)
    }

    fn create(&self, project: &Project) -> anyhow::Result<()> {
        let create = || {
            let mut command = project.command("python3");
            command.args(["-m", "venv", "--clear"]).arg(&self.home);
            command
        };
        if output(&mut create()).is_ok() {
            return Ok(());
        }
        // Debian ships Python without its venv module.
        install(project, &["python3", "python3-venv"])?;
        run(&mut create())
    }

    /// The environment's interpreter.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.program("python")
    }

    /// A program that one of the packages brings.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }
}
