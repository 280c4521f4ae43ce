//! What a call is given to work with.

use crate::config::{Budget, Caps};
use crate::log::{LogSink, TracingLog};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_broker::Session;
use tidegate_store::clock::now_ms;
use tidegate_store::flow::RequestOrigin;
use tidegate_store::kv::{KvScope, KvStore};
use tokio_util::sync::CancellationToken;

/// Milliseconds since the epoch; a tape can replay them.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What every call is given.
#[derive(Clone)]
pub struct CallContext {
    /// The connection's way out.
    pub session: Session,
    /// The connection's hints; none answers that they are unavailable.
    pub kv: Option<Kv>,
    /// Secrets of the connection by the names that the manifest gives them: keys of
    /// the vault, and what is scrubbed from log lines.
    pub secrets: Arc<BTreeMap<String, SecretString>>,
    /// What its requests are recorded under.
    pub origin: Option<Arc<RequestOrigin>>,
    /// Where log lines go.
    pub log: Arc<dyn LogSink>,
    /// Asks the guest to save and return, then drops it.
    pub cancel: CancellationToken,
    /// The guest's wall clock.
    pub clock: WallClock,
    /// What all of the guest's random numbers follow from.
    pub seed: [u8; 32],
    /// Closes bodies of data endpoints to the guest, also where its manifest does
    /// not ask for that.
    pub blind: bool,
    /// Time; none gives each call its default.
    pub budget: Option<Budget>,
    /// What may be asked of the host.
    pub caps: Caps,
}

impl CallContext {
    /// The defaults: no secrets for the vault, log lines to `tracing`, the real clock
    /// and fresh random numbers.
    pub fn new(
        session: Session,
        store: Arc<dyn KvStore>,
        scope: KvScope,
        cancel: CancellationToken,
    ) -> CallContext {
        let mut seed = [0; 32];
        if getrandom::fill(&mut seed).is_err() {
            // Only a guest's own shuffling is worse for it: no key comes from here.
            seed[..8].copy_from_slice(&now_ms().to_le_bytes());
        }
        CallContext {
            session,
            kv: Some(Kv { store, scope }),
            secrets: Arc::default(),
            origin: None,
            log: Arc::new(TracingLog),
            cancel,
            clock: Arc::new(now_ms),
            seed,
            blind: false,
            budget: None,
            caps: Caps::default(),
        }
    }
}

/// The hints of one connection.
#[derive(Clone)]
pub struct Kv {
    /// Where they are kept.
    pub store: Arc<dyn KvStore>,
    /// Whose they are.
    pub scope: KvScope,
}
