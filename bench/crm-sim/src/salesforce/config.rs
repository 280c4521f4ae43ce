//! What a simulated org looks like at its start.

use std::collections::BTreeMap;

use crate::salesforce::object::Object;
use crate::salesforce::schema::ExtraField;

/// Everything that is fixed when a simulator starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// API port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Control port on 127.0.0.1; `None` starts no control server.
    pub control_port: Option<u16>,
    /// Same seed and counts, same records.
    pub seed: u64,
    /// Generated records of each object, up to 10 million; objects that are absent have
    /// none.
    pub counts: BTreeMap<Object, u32>,
    /// Records that share each second of modification.
    pub tie_group: u32,
    /// Records, at most a quarter of all, that share one second.
    pub tie_burst: u32,
    /// Factor on every limit: 1.0 is real, infinity or `None` is no limit.
    pub limit_scale: Option<f64>,
    /// API requests in any 24 hours.
    pub daily_limit: u32,
    /// Long requests that may be under way at once.
    pub concurrent_limit: u32,
    /// When a request counts as a long one, in milliseconds.
    pub long_request_ms: u64,
    /// Whether `Accept-Encoding: gzip` is honoured.
    pub gzip: bool,
    /// The connected app's consumer key.
    pub client_id: String,
    /// The connected app's consumer secret.
    pub client_secret: String,
    /// The user who consents, and whom assertions may name.
    pub username: String,
    /// Redirect addresses of the app; empty accepts any.
    pub redirect_uris: Vec<String>,
    /// Whether an authorisation without a PKCE challenge is refused.
    pub require_pkce: bool,
    /// Idle time after which a session ends, in seconds.
    pub session_timeout_s: u64,
    /// Whether a refresh replaces the refresh token; the use of a replaced one ends the
    /// authorisation.
    pub refresh_rotation: bool,
    /// The app's certificate for JWT bearer assertions: its RSA public key as PKCS #1
    /// DER. `None` refuses every assertion.
    pub jwt_public_key: Option<Vec<u8>>,
    /// Start of the data API's addresses; the simulator's own address by default.
    pub instance_url: Option<String>,
    /// Idle time after which a query cursor is gone, in seconds of the simulated clock.
    pub cursor_idle_s: u32,
    /// Polls of a bulk job until it is complete.
    pub bulk_polls: u32,
    /// Rows of a bulk result page when the client names no number.
    pub bulk_page_rows: u64,
    /// Custom fields of the org besides the standard ones.
    pub extra_fields: Vec<ExtraField>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            port: 0,
            control_port: None,
            seed: 1,
            counts: BTreeMap::from([
                (Object::Account, 1000),
                (Object::Contact, 1000),
                (Object::Opportunity, 300),
                (Object::Lead, 200),
                (Object::User, 20),
                (Object::AccountHistory, 400),
                (Object::Attachment, 20),
                (Object::Invoice, 300),
                (Object::TaskStatus, 5),
            ]),
            tie_group: 3,
            tie_burst: 450,
            limit_scale: Some(1.0),
            daily_limit: 100_000,
            concurrent_limit: 25,
            long_request_ms: 20_000,
            gzip: false,
            client_id: "3MVG9simulatedConsumerKey.q7Xh0ZzT2b4mWc5Yk8".to_owned(),
            client_secret: "5D0A6C1F2E3B4A59687786950A4B3C2D1E0F".to_owned(),
            username: "integration@acme.example.com".to_owned(),
            redirect_uris: Vec::new(),
            require_pkce: false,
            session_timeout_s: 7200,
            refresh_rotation: false,
            jwt_public_key: None,
            instance_url: None,
            cursor_idle_s: 900,
            bulk_polls: 2,
            bulk_page_rows: 50_000,
            extra_fields: Vec::new(),
        }
    }
}

impl Config {
    /// Generated records of an object.
    pub fn count(&self, object: Object) -> u32 {
        self.counts.get(&object).copied().unwrap_or(0)
    }
}
