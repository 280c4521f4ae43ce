//! The vendor's own client for Node.js, unmodified, against the simulator.

use super::client::unlimited;
use crate::clients;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_pages_writes_and_refreshes() {
    let sim = unlimited(100).await;
    let refresh_token = sim.issue_tokens().refresh_token;
    let config = sim.config();
    let arguments = [
        sim.base_url(),
        sim.api_token(),
        config.client_id.as_str(),
        config.client_secret.as_str(),
        refresh_token.as_str(),
    ];
    clients::node("pipedrive_client.mjs", &arguments).await;
}
