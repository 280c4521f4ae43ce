//! `tidegate plan`: what a directory of configuration would change.

use crate::difference::{self, SecretChange};
use crate::documents::{self, Documents};
use crate::report::{print_line, say};
use anyhow::{Result, bail};
use std::io::IsTerminal as _;
use std::path::Path;
use tidegate_domain::spec::{Change, diff};

/// Shows what leads from the directory `against` to `folder`, such as from the main
/// branch to a change of it; whether anything does.
pub(crate) fn run(folder: &Path, against: &Path, json: bool) -> Result<bool> {
    let changes = diff(&sound(against)?.set, &sound(folder)?.set);
    if json {
        print_line(&serde_json::to_string(&changes)?);
    } else {
        show(&changes, &[]);
    }
    Ok(!changes.is_empty())
}

/// Prints a difference, in colours on a terminal.
pub(crate) fn show(changes: &[Change], secrets: &[SecretChange]) {
    let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    print_line(difference::render(changes, secrets, is_coloured).trim_end());
}

/// Reads a directory that must have no finding.
pub(crate) fn sound(folder: &Path) -> Result<Documents> {
    let read = documents::read(folder)?;
    if read.findings.is_empty() {
        return Ok(read);
    }
    let findings = read.findings.iter();
    findings.for_each(|finding| say(&finding.to_string()));
    bail!("{} is not sound", folder.display())
}
