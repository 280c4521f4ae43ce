//! `tidegate plan`: what a directory of configuration would change.

use crate::difference;
use crate::documents::{self, Documents};
use crate::report::{print_line, say};
use anyhow::{Result, bail};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use tidegate_domain::spec::diff;

/// Shows what leads from the directory `against` to `folder`, such as from the main
/// branch to a change of it.
pub(crate) fn run(folder: &Path, against: &Path, json: bool) -> Result<ExitCode> {
    let changes = diff(&sound(against)?.set, &sound(folder)?.set);
    if json {
        print_line(&serde_json::to_string(&changes)?);
        return Ok(ExitCode::SUCCESS);
    }
    let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    print_line(difference::render(&changes, is_coloured).trim_end());
    Ok(ExitCode::SUCCESS)
}

fn sound(folder: &Path) -> Result<Documents> {
    let read = documents::read(folder)?;
    if read.findings.is_empty() {
        return Ok(read);
    }
    let findings = read.findings.iter();
    findings.for_each(|finding| say(&finding.to_string()));
    bail!("{} is not sound", folder.display())
}
