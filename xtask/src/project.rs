//! Where the project lies, and how its commands are started.

use anyhow::{Context as _, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The checkout.
pub(crate) struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the checkout that this command was built in.
    pub(crate) fn locate() -> anyhow::Result<Project> {
        let own = std::env::var_os("CARGO_MANIFEST_DIR")
            .context("start this through cargo: `cargo demo`, `cargo ci` or `cargo proof`")?;
        let root = Path::new(&own)
            .parent()
            .context("xtask lies in the checkout")?;
        Ok(Project {
            root: root.to_owned(),
        })
    }

    /// An absolute path below the root.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// A command that runs at the root and without standard input.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        // cargo describes this very crate to us in the environment. Build scripts
        // that watch these names would otherwise rebuild their crates on each
        // change between `cargo build` and `cargo ci`.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name.as_ref());
            }
        }
        command
    }

    /// cargo, at the root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(cargo);
        command.args(arguments);
        command
    }
}

/// Runs the command, shows it, and fails if it does.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    eprintln!("$ {shown}");
    let status = command
        .status()
        .with_context(|| format!("cannot start: {shown}"))?;
    ensure!(status.success(), "{status}: {shown}");
    Ok(())
}

/// Installs packages of the system, Debian's.
pub(crate) fn install(project: &Project, packages: &[&str]) -> anyhow::Result<()> {
    run(project.command("apt-get").args(["update", "-qq"]))?;
    run(project
        .command("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages))
}

/// What the command prints, if it succeeds.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = shown(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start: {shown}"))?;
    ensure!(
        output.status.success(),
        "{}: {shown}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
