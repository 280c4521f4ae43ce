//! `tidegate connector push`: gives a component to a service.

use crate::cli::ServerArgs;
use crate::remote::Remote;
use crate::report::{print_line, say};
use anyhow::{Context as _, Result};
use std::path::Path;
use std::process::ExitCode;

/// Uploads a component, and with `approve` lets it be used at once. Again, it changes
/// nothing: a version is its digest.
pub(crate) async fn run(
    server: &ServerArgs,
    file: &Path,
    approve: bool,
    json: bool,
) -> Result<ExitCode> {
    let remote = Remote::new(server)?;
    let wasm = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let sent = remote
        .upload("/v1/connectors", "application/wasm", wasm.into())
        .await;
    let mut connector = sent?;
    let digest = connector["digest"].as_str().unwrap_or_default().to_owned();
    let is_shared = connector["shared"] == true;
    if approve && connector["state"] != "approved" {
        let path = format!("/v1/connectors/{digest}/approve?shared={is_shared}");
        connector = remote.post(&path, None).await?;
    }
    if json {
        print_line(&connector.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let word = |name: &str| connector[name].as_str().unwrap_or_default();
    print_line(&format!(
        "{}@{}  sha256:{digest}  {}",
        word("name"),
        word("version"),
        word("state")
    ));
    if word("state") == "pending" {
        say("A platform administrator approves it: tidegate connector push --approve <the file>");
    }
    Ok(ExitCode::SUCCESS)
}
