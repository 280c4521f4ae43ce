//! `cargo demo`: from a fresh checkout to landed records.

use crate::project::{self, Project};
use crate::{guests, tools};
use anyhow::Context as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Builds what the demo needs and becomes the demo.
pub(crate) fn run(project: &Project, arguments: &[String]) -> anyhow::Result<()> {
    eprintln!("1/3 the wasm target of the toolchain");
    tools::wasm_target(project)?;
    eprintln!("2/3 the connector, as a component");
    guests::build(project, &["hubspot"])?;
    eprintln!("3/3 the runtime (about 10 minutes on two cores the first time, seconds later)");
    project::run(&mut project.cargo(["build", "--locked", "-p", "tidegate"]))?;

    // Beside this very binary, wherever the caller put the target directory.
    let tidegate = std::env::current_exe()?.with_file_name("tidegate");
    let error = Command::new(&tidegate)
        .arg("demo")
        .arg("--connector")
        .arg(guests::component(project, "hubspot"))
        .args(arguments)
        .exec();
    Err(error).with_context(|| format!("cannot start {}", tidegate.display()))
}
