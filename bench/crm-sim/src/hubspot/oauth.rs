//! The authorisation server's HubSpot part: its scopes, and the private app whose token
//! never expires.

use std::ops::Deref;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::hubspot::config::Config;
use crate::hubspot::limits::App;
use crate::tokens::{self, Issued, Policy, Scopes, Tokens};

/// Life of an authorisation code in milliseconds.
const CODE_TTL_MS: i64 = 60_000;

/// Every scope that the simulator knows.
pub(crate) const SCOPES: [&str; 12] = [
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "tickets",
    "crm.objects.custom.read",
    "crm.objects.custom.write",
    "crm.objects.owners.read",
    "crm.schemas.custom.read",
];

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

#[derive(Debug)]
pub(crate) struct OAuth {
    pub(crate) private_token: String,
    all_scopes: Scopes,
    tokens: Tokens,
}

impl Deref for OAuth {
    type Target = Tokens;

    fn deref(&self) -> &Tokens {
        &self.tokens
    }
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
            private_token,
            all_scopes: Arc::new(SCOPES.iter().map(|&scope| scope.to_owned()).collect()),
            tokens: Tokens::new(Policy {
                client_id: config.client_id.clone(),
                client_secret: config.client_secret.clone(),
                seed: config.seed,
                access_prefix: "CJ".to_owned(),
                refresh_prefix: String::new(),
                code_ttl_ms: CODE_TTL_MS,
                access_ttl_s: config.access_token_ttl_s,
                sliding: false,
                rotation: config.refresh_rotation,
                reuse_ends_grant: false,
                grants_max: usize::MAX,
            }),
        }
    }

    /// Issues a pair as if somebody had just consented to every scope.
    pub(crate) fn issue_all(&self, now_ms: i64) -> Issued {
        let scopes = Arc::clone(&self.all_scopes);
        self.tokens.issue_granted(scopes, Arc::default(), now_ms)
    }

    /// The same for some scopes only.
    pub(crate) fn issue_for(&self, scopes: &[&str], now_ms: i64) -> Issued {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.tokens
            .issue_granted(Arc::new(scopes), Arc::default(), now_ms)
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
        match self.tokens.standing(token, now_ms) {
            tokens::Standing::Valid { scopes, .. } => Standing::Valid {
                app: App::OAuth,
                scopes,
            },
            tokens::Standing::Expired { minutes } => Standing::Expired { minutes },
            tokens::Standing::Unknown => Standing::Unknown,
        }
    }
}
