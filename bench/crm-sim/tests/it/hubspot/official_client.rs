//! The vendor's own Python client, unmodified, against the simulator.

use crm_sim::hubspot::{Config, CrmSim};

use crate::clients::python;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_lists_searches_and_pages() {
    let config = Config {
        limit_scale: None,
        ..Config::default()
    };
    let sim = CrmSim::start(config).await.unwrap();
    let token = sim.issue_tokens().access_token;
    python("hubspot_client.py", &[sim.base_url(), &token]).await;
}
