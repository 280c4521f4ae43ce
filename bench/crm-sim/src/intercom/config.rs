//! What a simulated workspace looks like at its start.

use crate::intercom::kind::Kind;

/// Everything that is fixed when a simulator starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// API port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Control port on 127.0.0.1; `None` starts no control server.
    pub control_port: Option<u16>,
    /// Same seed and counts, same records.
    pub seed: u64,
    /// Generated contacts, up to 10 million.
    pub contacts: u32,
    /// Generated companies.
    pub companies: u32,
    /// Generated conversations.
    pub conversations: u32,
    /// Teammates.
    pub admins: u32,
    /// Teams of teammates.
    pub teams: u32,
    /// Records that share each millisecond of modification.
    pub tie_group: u32,
    /// Records, at most a quarter of all, that share one millisecond.
    pub tie_burst: u32,
    /// Requests of one app in a minute; the API slices it into windows of ten seconds.
    pub calls_per_minute: u32,
    /// Requests of all apps of the workspace in a minute, sliced likewise.
    pub workspace_calls_per_minute: u32,
    /// Factor on every limit: 1.0 is real, infinity or `None` is no limit.
    pub limit_scale: Option<f64>,
    /// Whether `Accept-Encoding: gzip` is honoured.
    pub gzip: bool,
    /// The OAuth app's id.
    pub client_id: String,
    /// The OAuth app's secret.
    pub client_secret: String,
    /// Redirect addresses of the app; empty accepts any.
    pub redirect_uris: Vec<String>,
    /// The workspace's id code.
    pub workspace_id: String,
    /// Where the workspace lives: `US`, `EU` or `AU`.
    pub region: String,
    /// Name of the workspace's time zone, by whose days searches compare times.
    pub timezone: String,
    /// The same zone as a POSIX rule, so that no time zone database is needed.
    pub timezone_rule: String,
    /// The API version of requests that name none: what the app was set to when it
    /// was made, not the newest.
    pub default_version: String,
    /// Companies that the paged list reaches before it refuses.
    pub companies_listed_max: u32,
    /// How long an unused scroll lives, in milliseconds of the simulated clock.
    pub scroll_idle_ms: i64,
    /// How long an event that was not taken waits before each further attempt, in
    /// milliseconds.
    pub webhook_waits_ms: Vec<u64>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            port: 0,
            control_port: None,
            seed: 1,
            contacts: 1000,
            companies: 200,
            conversations: 400,
            admins: 12,
            teams: 4,
            tie_group: 3,
            tie_burst: 450,
            calls_per_minute: 10_000,
            workspace_calls_per_minute: 25_000,
            limit_scale: Some(1.0),
            gzip: false,
            client_id: "0d6a3f4f-2c11-4f5c-9a51-6f1b6a3e5b7e".to_owned(),
            client_secret: "deadbeef-2222-4333-8444-555566667777".to_owned(),
            redirect_uris: Vec::new(),
            workspace_id: "l4wp0knn".to_owned(),
            region: "US".to_owned(),
            timezone: "America/Los_Angeles".to_owned(),
            timezone_rule: "PST8PDT,M3.2.0,M11.1.0".to_owned(),
            default_version: "2.3".to_owned(),
            companies_listed_max: 10_000,
            scroll_idle_ms: 60_000,
            webhook_waits_ms: vec![60_000],
        }
    }
}

impl Config {
    /// Generated records of a kind.
    pub fn count(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Contacts => self.contacts,
            Kind::Companies => self.companies,
            Kind::Conversations => self.conversations,
        }
    }
}
