//! `tidegate validate` and `tidegate schema`: configuration checked without a server.

use crate::documents::{self, Documents};
use crate::report::{counted, print_line, say};
use anyhow::Result;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Checks all documents below `folder`; exit code 2 where anything is wrong.
pub(crate) fn run(folder: &Path, json: bool) -> Result<ExitCode> {
    let read = documents::read(folder)?;
    if json {
        print_line(&summary(&read).to_string());
    } else {
        read.findings
            .iter()
            .for_each(|finding| print_line(&finding.to_string()));
        say(&match read.findings.len() {
            0 => format!(
                "{}, {} and {} in {} are sound",
                counted(read.set.connections.len() as u64, "connection"),
                counted(read.set.syncs.len() as u64, "sync"),
                counted(read.set.subscriptions.len() as u64, "subscription"),
                counted(read.files as u64, "file"),
            ),
            wrong => format!("{wrong} to mend"),
        });
    }
    Ok(match read.findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(2),
    })
}

fn summary(read: &Documents) -> serde_json::Value {
    let findings: Vec<_> = read
        .findings
        .iter()
        .map(|finding| {
            json!({
                "file": finding.path,
                "line": finding.place.line,
                "column": finding.place.column,
                "reason": finding.reason,
            })
        })
        .collect();
    json!({
        "sound": findings.is_empty(),
        "connections": read.set.connections.len(),
        "syncs": read.set.syncs.len(),
        "subscriptions": read.set.subscriptions.len(),
        "files": read.files,
        "findings": findings,
    })
}

/// The JSON Schema of a document, for editors.
pub(crate) fn schema() -> String {
    format!("{:#}", tidegate_domain::spec::document_schema())
}

/// Prints the schema.
pub(crate) fn print_schema() -> ExitCode {
    print_line(&schema());
    ExitCode::SUCCESS
}
