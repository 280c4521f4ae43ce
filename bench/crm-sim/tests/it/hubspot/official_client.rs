//! The vendor's own Python client, unmodified, against the simulator.

use crm_sim::hubspot::{Config, CrmSim};
use std::path::Path;
use std::process::Command;

/// Runs where `TIDEGATE_TEST_PYTHON` names a Python that has `hubspot-api-client`;
/// `cargo ci` installs one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_lists_searches_and_pages() {
    let Some(python) = std::env::var_os("TIDEGATE_TEST_PYTHON") else {
        return;
    };
    let config = Config {
        limit_scale: None,
        ..Config::default()
    };
    let sim = CrmSim::start(config).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hubspot_client.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(sim.base_url())
        .arg(sim.issue_tokens().access_token);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}
