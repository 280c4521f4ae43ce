//! The vendor's own Node.js client, unmodified, against the simulator.

use crm_sim::pipedrive::{Config, PipedriveSim};

use crate::clients::node;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_lists_writes_and_refreshes() {
    let config = Config {
        limit_scale: None,
        daily_tokens: Some(1_000_000_000),
        ..Config::default()
    };
    let sim = PipedriveSim::start(config).await.unwrap();
    let config = sim.config();
    let arguments = [
        sim.base_url(),
        sim.api_token(),
        &config.client_id,
        &config.client_secret,
        &sim.issue_tokens().refresh_token,
    ];
    node("pipedrive_client.mjs", &arguments).await;
}
