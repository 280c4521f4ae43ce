//! What listens here itself: neither a tenant's link nor a private host of the
//! operator leads back into this process.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

/// The addresses that this process listens on. Copies see one another's.
#[derive(Clone, Debug, Default)]
pub(super) struct Listeners(Arc<RwLock<Vec<SocketAddr>>>);

impl Listeners {
    pub(super) fn add(&self, address: SocketAddr) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(address);
    }

    /// Whether a connection to the address would end at one of them.
    pub(super) fn serves(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let listeners = self.0.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().any(|listener| {
            let own = listener.ip().to_canonical();
            listener.port() == address.port()
                && (own == ip || (own.is_unspecified() && is_of_this_machine(ip)))
        })
    }
}

/// Whether an interface of this machine has the address: only to such a one can a
/// socket be bound. No packet is sent.
pub(super) fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_listener_is_known_by_every_address_that_leads_to_it() {
        let listeners = Listeners::default();
        listeners.add("127.0.0.1:8080".parse().unwrap());
        listeners.add("0.0.0.0:9090".parse().unwrap());
        for own in [
            "127.0.0.1:8080",
            "[::ffff:127.0.0.1]:8080",
            "127.0.0.5:9090",
        ] {
            assert!(listeners.serves(own.parse().unwrap()), "{own}");
        }
        for other in ["127.0.0.1:8081", "127.0.0.2:8080", "8.8.8.8:9090"] {
            assert!(!listeners.serves(other.parse().unwrap()), "{other}");
        }
    }
}
