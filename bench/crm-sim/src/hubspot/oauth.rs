//! The authorisation server: codes, access tokens, refresh tokens.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::hubspot::config::Config;
use crate::hubspot::limits::App;

/// Life of an authorisation code in milliseconds.
const CODE_TTL_MS: i64 = 60_000;

/// Every scope that the simulator knows.
pub(crate) const SCOPES: [&str; 8] = [
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.schemas.custom.read",
];

/// Scopes that a token carries.
pub(crate) type Scopes = Arc<BTreeSet<String>>;

/// An access token's standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Valid {
        app: App,
        scopes: Scopes,
    },
    Expired {
        minutes: i64,
    },
    /// A private-app token that the edge refuses to read.
    Malformed,
    Unknown,
}

/// What a client asks of the consent page.
#[derive(Debug, Default)]
pub(crate) struct Authorization {
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Scopes,
    pub(crate) challenge: Option<String>,
}

/// Tokens as issued.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) expires_in_s: u64,
    pub(crate) scopes: Scopes,
}

/// Why the token endpoint refuses: its `status` and `error` fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    RefreshToken,
    AuthCode,
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

#[derive(Debug)]
struct Access {
    scopes: Scopes,
    expires_ms: i64,
}

#[derive(Debug)]
pub(crate) struct OAuth {
    client_id: String,
    client_secret: String,
    seed: u64,
    pub(crate) private_token: String,
    all_scopes: Scopes,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    serial: u64,
    ttl_s: u64,
    rotation: bool,
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    /// Valid refresh tokens with their scopes.
    refresh: HashMap<String, Scopes>,
}

impl OAuth {
    pub(crate) fn new(config: &Config) -> OAuth {
        let digest = Sha256::digest(format!("private {}", config.seed));
        let hex = HEXLOWER.encode(&digest);
        let private_token = format!(
            "pat-na1-{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..32]
        );
        OAuth {
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            seed: config.seed,
            private_token,
            all_scopes: Arc::new(SCOPES.iter().map(|&scope| scope.to_owned()).collect()),
            state: Mutex::new(State {
                ttl_s: config.access_token_ttl_s,
                rotation: config.refresh_rotation,
                ..State::default()
            }),
        }
    }

    pub(crate) fn knows_client(&self, client_id: &str) -> bool {
        self.client_id == client_id
    }

    /// Grants consent and returns the code.
    pub(crate) fn authorize(&self, authorization: Authorization, now_ms: i64) -> String {
        let mut state = self.lock();
        let code = self.secret(&mut state, "code");
        state.codes.insert(
            code.clone(),
            Code {
                authorization,
                expires_ms: now_ms + CODE_TTL_MS,
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
        if id != Some(self.client_id.as_str()) {
            return Err(Refused::ClientId);
        }
        if secret != Some(self.client_secret.as_str()) {
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
            return Err(Refused::AuthCode);
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
        Ok(self.issue(&mut state, authorization.scopes, None, now_ms))
    }

    /// Exchanges a refresh token; under rotation it works once.
    pub(crate) fn refresh(&self, token: &str, now_ms: i64) -> Result<Issued, Refused> {
        let mut state = self.lock();
        let scopes = state.refresh.get(token).ok_or(Refused::RefreshToken)?;
        let scopes = Arc::clone(scopes);
        let kept = if state.rotation {
            state.refresh.remove(token);
            None
        } else {
            Some(token.to_owned())
        };
        Ok(self.issue(&mut state, scopes, kept, now_ms))
    }

    /// Issues a pair as if somebody had just consented to every scope.
    pub(crate) fn issue_all(&self, now_ms: i64) -> Issued {
        let scopes = Arc::clone(&self.all_scopes);
        self.issue(&mut self.lock(), scopes, None, now_ms)
    }

    fn issue(
        &self,
        state: &mut State,
        scopes: Scopes,
        refresh: Option<String>,
        now_ms: i64,
    ) -> Issued {
        let access_token = format!("CJ{}", self.secret(state, "access"));
        let refresh_token = match refresh {
            Some(token) => token,
            None => {
                let token = self.secret(state, "refresh");
                state.refresh.insert(token.clone(), Arc::clone(&scopes));
                token
            }
        };
        let ttl_ms = i64::try_from(state.ttl_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        state.access.insert(
            access_token.clone(),
            Access {
                scopes: Arc::clone(&scopes),
                expires_ms: now_ms.saturating_add(ttl_ms),
            },
        );
        Issued {
            access_token,
            refresh_token,
            expires_in_s: state.ttl_s,
            scopes,
        }
    }

    /// What a bearer token is worth now.
    pub(crate) fn standing(&self, token: &str, now_ms: i64) -> Standing {
        if token == self.private_token {
            return Standing::Valid {
                app: App::Private,
                scopes: Arc::clone(&self.all_scopes),
            };
        }
        if token.starts_with("pat-") && token.len() != self.private_token.len() {
            return Standing::Malformed;
        }
        match self.lock().access.get(token) {
            None => Standing::Unknown,
            Some(access) if access.expires_ms <= now_ms => Standing::Expired {
                minutes: (now_ms - access.expires_ms) / 60_000,
            },
            Some(access) => Standing::Valid {
                app: App::OAuth,
                scopes: Arc::clone(&access.scopes),
            },
        }
    }

    /// The scopes of a live access token and the seconds it has left.
    pub(crate) fn access_info(&self, token: &str, now_ms: i64) -> Option<(Scopes, i64)> {
        let state = self.lock();
        let access = state.access.get(token)?;
        let left_ms = access.expires_ms.saturating_sub(now_ms);
        (left_ms > 0).then(|| (Arc::clone(&access.scopes), left_ms / 1000))
    }

    /// The scopes of a live refresh token.
    pub(crate) fn refresh_scopes(&self, token: &str) -> Option<Scopes> {
        self.lock().refresh.get(token).cloned()
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

    /// Kills one refresh token.
    pub(crate) fn revoke(&self, token: &str) {
        self.lock().refresh.remove(token);
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
        let digest = Sha256::digest(format!("{purpose} {} {}", self.seed, state.serial));
        BASE64URL_NOPAD.encode(&digest)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
