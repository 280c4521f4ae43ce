//! Authorisations under way: begun by a key, carried through a browser, ended by the
//! provider's redirect.
//!
//! Whoever begins gets an address of ours that works once. The browser that opens it
//! gets a cookie, and only that browser can end what it began: an answer that an
//! attacker slips to another person's browser ends nothing.

use crate::caller::Caller;
use crate::key;
use crate::problem::{Code, Problem};
use data_encoding::BASE64URL_NOPAD;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_engine::PendingAuthorization;
use tidegate_engine::source::Source;
use tokio::time::Instant;

/// How long a person has.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
const PATIENCE_MS: u64 = 600_000;
/// Authorisations under way, of one tenant.
const TENANT_MAX: usize = 20;
/// Authorisations under way, of all tenants.
const ALL_MAX: usize = 1_000;

/// An authorisation under way.
pub(crate) struct Underway {
    /// Who began it.
    pub(crate) caller: Caller,
    /// Of what.
    pub(crate) source: Source,
    /// The auth method.
    pub(crate) method: String,
    /// What the broker needs to end it; the PKCE verifier lives only there.
    pub(crate) pending: PendingAuthorization,
}

struct Kept {
    underway: Underway,
    /// The sha256 of what opens it: of the ticket, then of the browser's cookie.
    opens: [u8; 32],
    is_started: bool,
    until: Instant,
}

/// How one ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// When, in milliseconds since the epoch.
    pub(crate) at_ms: u64,
    /// Why it came to nothing, if it did.
    pub(crate) error: Option<String>,
}

/// Whose, of what, by which method.
type Subject = (TenantId, ConnectionId, String);

/// Those under way, by the provider's `state`, and how the last of each ended. They end
/// with the process.
#[derive(Default)]
pub(crate) struct Authorizations {
    kept: Mutex<HashMap<String, Kept>>,
    ended: Mutex<HashMap<Subject, Ended>>,
}

impl Authorizations {
    /// Notes how one ended, for whoever waits for it at a terminal.
    pub(crate) fn note(&self, subject: Subject, ended: Ended) {
        let mut noted = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= ALL_MAX {
            let still_waited_for = ended.at_ms.saturating_sub(PATIENCE_MS);
            noted.retain(|_, kept| kept.at_ms >= still_waited_for);
        }
        noted.insert(subject, ended);
    }

    /// How the last one ended, while this process lives.
    pub(crate) fn last(&self, subject: &Subject) -> Option<Ended> {
        let noted = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(subject).cloned()
    }

    /// Keeps one, and gives the ticket that starts it.
    pub(crate) fn begin(&self, underway: Underway) -> Result<String, Problem> {
        let ticket = draw()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|_, kept| now < kept.until);
        let of_tenant = kept
            .values()
            .filter(|kept| kept.underway.caller.tenant == underway.caller.tenant);
        if kept.len() >= ALL_MAX || of_tenant.count() >= TENANT_MAX {
            return Err(
                Problem::new(Code::Quota, "too many authorisations are under way")
                    .with_retry_after_s(60),
            );
        }
        let state = underway.pending.state.clone();
        let new = Kept {
            underway,
            opens: key::sha256(&ticket),
            is_started: false,
            until: now + PATIENCE,
        };
        kept.insert(state, new);
        Ok(ticket)
    }

    /// Starts one, once: gives the provider's address and the browser's cookie.
    pub(crate) fn start(&self, ticket: &str) -> Result<(String, String), Problem> {
        let cookie = draw()?;
        let opens = key::sha256(ticket);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let found = kept
            .values_mut()
            .find(|kept| !kept.is_started && kept.opens == opens && now < kept.until);
        let kept = found.ok_or_else(gone)?;
        kept.is_started = true;
        kept.opens = key::sha256(&cookie);
        Ok((kept.underway.pending.url.clone(), cookie))
    }

    /// Takes one out to end it, if this browser started it.
    pub(crate) fn end(&self, state: &str, cookie: Option<&str>) -> Result<Underway, Problem> {
        let opens = cookie.map(key::sha256);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_theirs = kept
            .get(state)
            .is_some_and(|kept| kept.is_started && Some(kept.opens) == opens && now < kept.until);
        let taken = is_theirs.then(|| kept.remove(state)).flatten();
        taken.map(|kept| kept.underway).ok_or_else(gone)
    }
}

fn gone() -> Problem {
    Problem::new(
        Code::NotFound,
        "this authorisation is over, or another browser began it",
    )
    .with_fix("Begin it again, and open the address in one browser.")
}

/// 256 random bits, as text.
fn draw() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal("drawing a ticket", &error))?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}
