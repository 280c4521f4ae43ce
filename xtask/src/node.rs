//! Packages of Node.js: exactly what a lock file names, installed by the npm of a
//! Python environment.

use crate::project::{Project, run};
use crate::python::Python;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A program with its packages: where it lies, where it runs, and its files. The first
/// is copied last: it marks a whole installation.
pub(crate) struct Package {
    pub(crate) from: &'static str,
    pub(crate) home: &'static str,
    pub(crate) files: [&'static str; 3],
}

/// The OAuth provider.
pub(crate) const PROVIDER: Package = Package {
    from: "bench/oidc-provider",
    home: "target/oidc-provider",
    files: ["provider.mjs", "package.json", "package-lock.json"],
};

/// The vendors' own clients of the simulated CRMs.
pub(crate) const CLIENTS: Package = Package {
    from: "bench/crm-sim/tests/node",
    home: "target/crm-clients",
    files: ["pipedrive_client.mjs", "package.json", "package-lock.json"],
};

/// The tool chain of the bench's connector in JavaScript.
pub(crate) const GUEST: Package = Package {
    from: "bench/guests/js",
    home: "target/bench-guests/js",
    files: ["contacts.js", "package.json", "package-lock.json"],
};

impl Package {
    /// Installs what is missing; returns where it is.
    pub(crate) fn install(&self, project: &Project, python: &Python) -> anyhow::Result<PathBuf> {
        let (from, to) = (project.path(self.from), project.path(self.home));
        let present = |name: &&str| same(&from.join(name), &to.join(name));
        if self.files.iter().all(present) {
            return Ok(to);
        }
        fs::create_dir_all(&to)?;
        let mark = to.join(self.files[0]);
        if mark.exists() {
            fs::remove_file(&mark)?;
        }
        for name in &self.files[1..] {
            fs::copy(from.join(name), to.join(name))
                .with_context(|| format!("{}/{name}", self.from))?;
        }
        run(project
            .command(python.program("npm"))
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&to))?;
        fs::copy(from.join(self.files[0]), mark)?;
        Ok(to)
    }
}

fn same(one: &Path, other: &Path) -> bool {
    let (one, other) = (fs::read(one), fs::read(other));
    one.is_ok_and(|one| other.is_ok_and(|other| one == other))
}
