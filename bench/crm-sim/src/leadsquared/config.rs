//! What a simulated account looks like at its start.

use crate::leadsquared::kind::Kind;
use serde::{Deserialize, Serialize};

/// How a call over the limit is refused. Both are seen in the wild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalForm {
    /// Status 429, as documented.
    #[default]
    Status429,
    /// Status 200 with a body that says `Error`.
    Status200,
}

/// Everything that is fixed when a simulator starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// API port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Control port on 127.0.0.1; `None` starts no control server.
    pub control_port: Option<u16>,
    /// Same seed and counts, same records.
    pub seed: u64,
    /// Generated leads, up to 10 million.
    pub leads: u32,
    /// Generated activities.
    pub activities: u32,
    /// Generated opportunities.
    pub opportunities: u32,
    /// Users of the account.
    pub users: u32,
    /// Records that share each second of modification.
    pub tie_group: u32,
    /// Records, at most a quarter of all, that share one second.
    pub tie_burst: u32,
    /// Calls in any five seconds.
    pub calls: u32,
    /// Calls of bulk endpoints in any five seconds.
    pub bulk_calls: u32,
    /// Calls in a day of the simulated clock.
    pub daily_calls: u32,
    /// Factor on every limit: 1.0 is real, infinity or `None` is no limit.
    pub limit_scale: Option<f64>,
    /// How calls over the limit are refused.
    pub refusal: RefusalForm,
    /// Whether leads may be deleted: support must have enabled it.
    pub deletes: bool,
    /// Whether a new activity modifies its lead.
    pub activities_touch_leads: bool,
    /// Attributes that a lead must have, besides an address or a phone number.
    pub mandatory: Vec<String>,
    /// Whether `Accept-Encoding: gzip` is honoured.
    pub gzip: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            port: 0,
            control_port: None,
            seed: 1,
            leads: 1000,
            activities: 2000,
            opportunities: 300,
            users: 12,
            tie_group: 3,
            tie_burst: 450,
            calls: 25,
            bulk_calls: 5,
            daily_calls: 100_000,
            limit_scale: Some(1.0),
            refusal: RefusalForm::Status429,
            deletes: true,
            activities_touch_leads: false,
            mandatory: Vec::new(),
            gzip: false,
        }
    }
}

impl Config {
    /// Generated records of a kind.
    pub fn count(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Leads => self.leads,
            Kind::Activities => self.activities,
            Kind::Opportunities => self.opportunities,
        }
    }
}
