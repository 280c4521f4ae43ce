//! The vendor's own Python client, unmodified, against the simulator.

use crm_sim::intercom::{Config, IntercomSim};

use crate::clients::python;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_lists_searches_scrolls_and_writes() {
    let config = Config {
        limit_scale: None,
        ..Config::default()
    };
    let sim = IntercomSim::start(config).await.unwrap();
    python("intercom_client.py", &[sim.base_url(), sim.access_token()]).await;
}
