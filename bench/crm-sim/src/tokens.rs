//! The bookkeeping of an authorisation server: codes, access tokens, refresh tokens,
//! and the grants that they belong to. How an API words all that is its own affair.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use hyper::header::{self, HeaderMap};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

/// Scopes that a token carries.
pub(crate) type Scopes = Arc<BTreeSet<String>>;

/// The fields of a form or of a query.
pub(crate) type Form = HashMap<String, String>;

/// An access token with the refresh token it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// For the `Authorization: Bearer` header.
    pub access_token: String,
    /// For the token endpoint.
    pub refresh_token: String,
    /// Life of the access token in seconds.
    pub expires_in_s: u64,
}

/// What is fixed about an authorisation server.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// Same seed, same tokens.
    pub(crate) seed: u64,
    /// Every access token starts with it.
    pub(crate) access_prefix: String,
    /// Every refresh token starts with it.
    pub(crate) refresh_prefix: String,
    /// Life of an authorisation code in milliseconds.
    pub(crate) code_ttl_ms: i64,
    /// Life of an access token in seconds.
    pub(crate) access_ttl_s: u64,
    /// Whether use prolongs the life of an access token.
    pub(crate) sliding: bool,
    /// Whether a refresh replaces the refresh token and kills the old one.
    pub(crate) rotation: bool,
    /// Whether the use of a replaced refresh token ends its whole grant.
    pub(crate) reuse_ends_grant: bool,
    /// Grants of one user at most; a further one ends the oldest.
    pub(crate) grants_max: usize,
}

/// An access token's standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Valid {
        scopes: Scopes,
        /// The user who granted it; empty where users do not matter.
        user: Arc<str>,
    },
    Expired {
        minutes: i64,
    },
    Unknown,
}

/// What a client asks of the consent page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorization {
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Scopes,
    /// The user who consents; empty where users do not matter.
    pub(crate) user: Arc<str>,
    /// The SHA-256 challenge of PKCE.
    pub(crate) challenge: Option<String>,
}

/// Tokens as issued.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    /// Whether the refresh token is a new one.
    pub(crate) rotated: bool,
    pub(crate) expires_in_s: u64,
    pub(crate) scopes: Scopes,
    pub(crate) user: Arc<str>,
}

impl From<Issued> for TokenPair {
    fn from(issued: Issued) -> TokenPair {
        TokenPair {
            access_token: issued.access_token,
            refresh_token: issued.refresh_token,
            expires_in_s: issued.expires_in_s,
        }
    }
}

/// Why the token endpoint refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    RefreshToken,
    AuthCode,
    /// The code was a good one until its time was over.
    ExpiredCode,
    ClientId,
    ClientSecret,
    RedirectUri,
    GrantType,
}

#[derive(Debug)]
struct Code {
    authorization: Authorization,
    expires_ms: i64,
}

/// What a user allowed once, and what tokens stand for.
#[derive(Clone, Debug)]
struct Grant {
    number: u64,
    scopes: Scopes,
    user: Arc<str>,
}

#[derive(Debug)]
struct Access {
    grant: Grant,
    expires_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Tokens {
    policy: Policy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    serial: u64,
    ttl_s: u64,
    rotation: bool,
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Grant>,
    /// Replaced refresh tokens, with the number of their grant.
    replaced: HashMap<String, u64>,
}

impl Tokens {
    pub(crate) fn new(policy: Policy) -> Tokens {
        Tokens {
            state: Mutex::new(State {
                ttl_s: policy.access_ttl_s,
                rotation: policy.rotation,
                ..State::default()
            }),
            policy,
        }
    }

    pub(crate) fn knows_client(&self, client_id: &str) -> bool {
        self.policy.client_id == client_id
    }

    /// Grants consent and returns the code.
    pub(crate) fn authorize(&self, authorization: Authorization, now_ms: i64) -> String {
        let mut state = self.lock();
        let code = self.secret(&mut state, "code");
        state.codes.insert(
            code.clone(),
            Code {
                authorization,
                expires_ms: now_ms + self.policy.code_ttl_ms,
            },
        );
        code
    }

    /// Checks the app's own credentials.
    pub(crate) fn check_client(
        &self,
        id: Option<&str>,
        secret: Option<&str>,
    ) -> Result<(), Refused> {
        if id != Some(self.policy.client_id.as_str()) {
            return Err(Refused::ClientId);
        }
        if secret != Some(self.policy.client_secret.as_str()) {
            return Err(Refused::ClientSecret);
        }
        Ok(())
    }

    /// Exchanges a code, which works once.
    pub(crate) fn exchange(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now_ms: i64,
    ) -> Result<Issued, Refused> {
        let mut state = self.lock();
        let Code {
            authorization,
            expires_ms,
        } = state.codes.remove(code).ok_or(Refused::AuthCode)?;
        if now_ms >= expires_ms {
            return Err(Refused::ExpiredCode);
        }
        if authorization.redirect_uri != redirect_uri {
            return Err(Refused::RedirectUri);
        }
        if let Some(challenge) = &authorization.challenge {
            let proof = BASE64URL_NOPAD.encode(&Sha256::digest(verifier.unwrap_or("")));
            if verifier.is_none() || proof != *challenge {
                return Err(Refused::AuthCode);
            }
        }
        Ok(self.grant(&mut state, authorization.scopes, authorization.user, now_ms))
    }

    /// Exchanges a refresh token; under rotation it works once.
    pub(crate) fn refresh(&self, token: &str, now_ms: i64) -> Result<Issued, Refused> {
        let mut state = self.lock();
        let Some(grant) = state.refresh.get(token).cloned() else {
            if let Some(number) = state.replaced.get(token).copied()
                && self.policy.reuse_ends_grant
            {
                state.end(number);
            }
            return Err(Refused::RefreshToken);
        };
        let kept = if state.rotation {
            state.refresh.remove(token);
            state.replaced.insert(token.to_owned(), grant.number);
            None
        } else {
            Some(token.to_owned())
        };
        Ok(self.issue(&mut state, grant, kept, now_ms))
    }

    /// Issues a pair as if a user had just consented.
    pub(crate) fn issue_granted(&self, scopes: Scopes, user: Arc<str>, now_ms: i64) -> Issued {
        self.grant(&mut self.lock(), scopes, user, now_ms)
    }

    /// Issues an access token of its own, outside of any user's grants.
    pub(crate) fn issue_access(&self, scopes: Scopes, user: Arc<str>, now_ms: i64) -> String {
        let mut state = self.lock();
        state.serial += 1;
        let number = state.serial;
        let grant = Grant {
            number,
            scopes,
            user,
        };
        self.access(&mut state, grant, now_ms)
    }

    fn grant(&self, state: &mut State, scopes: Scopes, user: Arc<str>, now_ms: i64) -> Issued {
        let mut numbers: Vec<u64> = state
            .refresh
            .values()
            .filter(|grant| grant.user == user)
            .map(|grant| grant.number)
            .collect();
        numbers.sort_unstable();
        while numbers.len() >= self.policy.grants_max {
            state.end(numbers.remove(0));
        }
        state.serial += 1;
        let grant = Grant {
            number: state.serial,
            scopes,
            user,
        };
        self.issue(state, grant, None, now_ms)
    }

    fn issue(
        &self,
        state: &mut State,
        grant: Grant,
        refresh: Option<String>,
        now_ms: i64,
    ) -> Issued {
        let access_token = self.access(state, grant.clone(), now_ms);
        let rotated = refresh.is_none();
        let refresh_token = match refresh {
            Some(token) => token,
            None => {
                let secret = self.secret(state, "refresh");
                let token = format!("{}{secret}", self.policy.refresh_prefix);
                state.refresh.insert(token.clone(), grant.clone());
                token
            }
        };
        Issued {
            access_token,
            refresh_token,
            rotated,
            expires_in_s: state.ttl_s,
            scopes: grant.scopes,
            user: grant.user,
        }
    }

    fn access(&self, state: &mut State, grant: Grant, now_ms: i64) -> String {
        let secret = self.secret(state, "access");
        let token = format!("{}{secret}", self.policy.access_prefix);
        let expires_ms = now_ms.saturating_add(state.ttl_ms());
        state
            .access
            .insert(token.clone(), Access { grant, expires_ms });
        token
    }

    /// What a bearer token is worth now.
    pub(crate) fn standing(&self, token: &str, now_ms: i64) -> Standing {
        let mut state = self.lock();
        let prolonged_ms = now_ms.saturating_add(state.ttl_ms());
        match state.access.get_mut(token) {
            None => Standing::Unknown,
            Some(access) if access.expires_ms <= now_ms => Standing::Expired {
                minutes: (now_ms - access.expires_ms) / 60_000,
            },
            Some(access) => {
                if self.policy.sliding {
                    access.expires_ms = access.expires_ms.max(prolonged_ms);
                }
                Standing::Valid {
                    scopes: Arc::clone(&access.grant.scopes),
                    user: Arc::clone(&access.grant.user),
                }
            }
        }
    }

    /// The scopes of a live access token and the seconds it has left.
    pub(crate) fn access_info(&self, token: &str, now_ms: i64) -> Option<(Scopes, i64)> {
        let state = self.lock();
        let access = state.access.get(token)?;
        let left_ms = access.expires_ms.saturating_sub(now_ms);
        (left_ms > 0).then(|| (Arc::clone(&access.grant.scopes), left_ms / 1000))
    }

    /// The scopes of a live refresh token.
    pub(crate) fn refresh_scopes(&self, token: &str) -> Option<Scopes> {
        let state = self.lock();
        let grant = state.refresh.get(token)?;
        Some(Arc::clone(&grant.scopes))
    }

    /// Ends one access token early.
    pub(crate) fn expire(&self, token: &str, now_ms: i64) {
        if let Some(access) = self.lock().access.get_mut(token) {
            access.expires_ms = access.expires_ms.min(now_ms);
        }
    }

    /// Ends every access token early.
    pub(crate) fn expire_all(&self, now_ms: i64) {
        for access in self.lock().access.values_mut() {
            access.expires_ms = access.expires_ms.min(now_ms);
        }
    }

    /// Kills one refresh token; its access tokens live on.
    pub(crate) fn revoke(&self, token: &str) {
        self.lock().refresh.remove(token);
    }

    /// Ends the grant of a live refresh token with all its tokens, or one live access
    /// token; false where the token is neither.
    pub(crate) fn end(&self, token: &str) -> bool {
        let mut state = self.lock();
        if let Some(number) = state.refresh.get(token).map(|grant| grant.number) {
            state.end(number);
            return true;
        }
        state.access.remove(token).is_some()
    }

    /// Uninstalls the app: every token dies.
    pub(crate) fn revoke_all(&self) {
        let mut state = self.lock();
        state.refresh.clear();
        state.access.clear();
    }

    pub(crate) fn set_ttl_s(&self, ttl_s: u64) {
        self.lock().ttl_s = ttl_s;
    }

    pub(crate) fn set_rotation(&self, rotation: bool) {
        self.lock().rotation = rotation;
    }

    fn secret(&self, state: &mut State, purpose: &str) -> String {
        state.serial += 1;
        let digest = Sha256::digest(format!("{purpose} {} {}", self.policy.seed, state.serial));
        BASE64URL_NOPAD.encode(&digest)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ttl_ms(&self) -> i64 {
        i64::try_from(self.ttl_s.saturating_mul(1000)).unwrap_or(i64::MAX)
    }

    /// Ends a grant with all its tokens.
    fn end(&mut self, number: u64) {
        self.refresh.retain(|_, grant| grant.number != number);
        self.access
            .retain(|_, access| access.grant.number != number);
    }
}

/// The token that a request carries.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then_some(token.trim())
}

/// Reads a form body or a query.
pub(crate) fn form(text: &[u8]) -> Form {
    form_urlencoded::parse(text).into_owned().collect()
}
