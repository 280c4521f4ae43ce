//! Keeps a stream's lease alive, whatever else its owner waits for: a long upload
//! must not cost the lease.

use crate::Error;
use crate::recover::Stream;
use std::time::Duration;
use tidegate_store::streams::Lease;

/// Renewals in the lifetime of a lease, so that two of them may be late.
const RENEWALS: u64 = 3;

/// Renews until the lease is lost or the store fails, and gives that failure.
pub(crate) async fn beat(stream: &Stream, lease: &Lease) -> Error {
    let pause = Duration::from_millis(stream.lease_ms / RENEWALS);
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = stream.store.renew(lease, stream.lease_ms).await {
            return error.into();
        }
    }
}
