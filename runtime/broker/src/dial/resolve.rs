//! From a name to its addresses. What comes back is hearsay: the dialer filters it.

use async_trait::async_trait;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Asks for the addresses of a name.
#[async_trait]
pub trait Resolve: Send + Sync + std::fmt::Debug {
    /// All addresses, in the order in which they are to be tried.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
#[derive(Clone, Copy, Debug)]
pub(super) struct System;

#[async_trait]
impl Resolve for System {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address: SocketAddr| address.ip()).collect())
    }
}
