//! A client that many use, unmodified, against the simulator: there is none of the
//! vendor's own in Python.

use super::client::start;
use crate::clients::python;
use crm_sim::salesforce::Config;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_salesforce_queries_writes_replicates_and_runs_bulk_jobs() {
    let sim = start(Config {
        limit_scale: None,
        ..Config::default()
    })
    .await;
    let token = sim.issue_tokens().access_token;
    python("salesforce_client.py", &[sim.base_url(), &token]).await;
}
