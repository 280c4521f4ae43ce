//! Keeps a claim while its job runs: a task of its own, so that nothing which the job
//! waits for makes it lose the claim.

use super::Ask;
use std::sync::Arc;
use std::time::Duration;
use tidegate_store::queue::Claim;
use tidegate_store::{Error, ServiceStore};
use tokio::sync::mpsc;

/// Renews until the claim is lost. What it learns it tells the job.
pub(super) async fn beat(
    store: Arc<dyn ServiceStore>,
    claim: Claim,
    lifetime_ms: u64,
    asks: mpsc::Sender<Ask>,
) {
    loop {
        tokio::time::sleep(Duration::from_millis(lifetime_ms / 3)).await;
        let ask = match store.renew_claim(&claim, lifetime_ms).await {
            Ok(false) => continue,
            Ok(true) => Ask::Cancel,
            Err(Error::ClaimLost { .. }) => Ask::Lost,
            // A claim that ran out stays ours until another takes the job.
            Err(error) => {
                tracing::warn!(job = %claim.job, %error, "a claim could not be renewed");
                continue;
            }
        };
        if asks.send(ask).await.is_err() || ask == Ask::Lost {
            return;
        }
    }
}
