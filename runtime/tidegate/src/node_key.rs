//! `tidegate node-key`: the key that tenants' keys are kept under. It needs no service,
//! and disturbs none.

use crate::cli::{NodeKeyCommand, Place};
use crate::report::{print_line, say};
use anyhow::Result;
use serde_json::json;
use std::process::ExitCode;
use tidegate_broker::Keyring;

/// `tidegate node-key …`.
pub(crate) fn run(place: &Place, command: NodeKeyCommand) -> Result<ExitCode> {
    let NodeKeyCommand::Rotate { file } = command;
    let file = file.unwrap_or_else(|| place.state().join("keys/node.key"));
    Keyring::rotate_file(&file)?;
    if place.json {
        print_line(&json!({ "file": file }).to_string());
    } else {
        say(&format!("{} begins with a new key.", file.display()));
        say("Keep the older lines: they open what they wrapped, in backups and in lakes too.");
    }
    Ok(ExitCode::SUCCESS)
}
