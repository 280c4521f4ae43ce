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
    let connector = connector(arguments);
    guests::build(project, &[connector])?;
    eprintln!("3/3 the runtime (about 10 minutes on two cores the first time, seconds later)");
    project::run(&mut project.cargo(["build", "--locked", "-p", "tidegate"]))?;

    // Beside this very binary, wherever the caller put the target directory.
    let tidegate = std::env::current_exe()?.with_file_name("tidegate");
    let error = Command::new(&tidegate)
        .arg("demo")
        .arg("--component")
        .arg(guests::component(project, connector))
        .args(arguments)
        .exec();
    Err(error).with_context(|| format!("cannot start {}", tidegate.display()))
}

/// The connector that `--connector NAME` or `--connector=NAME` asks for.
fn connector(arguments: &[String]) -> &str {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--connector" {
            return arguments.next().map_or("", String::as_str);
        }
        if let Some(name) = argument.strip_prefix("--connector=") {
            return name;
        }
    }
    "hubspot"
}
