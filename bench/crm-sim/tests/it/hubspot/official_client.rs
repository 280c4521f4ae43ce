//! The vendor's own Python client, unmodified, against the simulator.

use crm_sim::hubspot::{Config, CrmSim, CustomType};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_associates_reads_own_types_and_verifies_webhooks() {
    let config = Config {
        limit_scale: None,
        custom_types: vec![CustomType::machines(120)],
        ..Config::default()
    };
    let sim = CrmSim::start(config).await.unwrap();
    let token = sim.issue_tokens().access_token;
    let config = sim.config();
    let app_id = config.app_id.to_string();
    let arguments = [
        sim.base_url(),
        &token,
        &app_id,
        &config.developer_key,
        &config.client_secret,
    ];
    python("hubspot_related_client.py", &arguments).await;
}
