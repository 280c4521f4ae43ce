//! The vendor's own client for Node, unmodified, against the simulator.

use std::path::Path;
use std::process::Command;

use super::client::unlimited;

/// Runs where `TIDEGATE_TEST_NODE_MODULES` names a folder of modules that has
/// `pipedrive`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_pages_writes_searches_and_refreshes() {
    let Some(modules) = std::env::var_os("TIDEGATE_TEST_NODE_MODULES") else {
        return;
    };
    if !Path::new(&modules).join("pipedrive").exists() {
        return;
    }
    let sim = unlimited(100).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pipedrive_client.mjs");
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(modules)
        .args([sim.base_url(), sim.api_token()])
        .args([&sim.config().client_id, &sim.config().client_secret])
        .arg(sim.issue_tokens().refresh_token);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}
