//! What a simulated Pipedrive company looks like at its start.

use crate::pipedrive::kind::Kind;
use crate::pipedrive::schema::CustomField;

/// 2026-08-01T00:00:00Z: from here on the first version of the API no longer serves
/// records of the types that the second one serves.
const V1_RETIRES_MS: i64 = 1_785_542_400_000;

/// The subscription that sets the burst limit and the day's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// 20 requests in two seconds.
    Essential,
    /// 40 in two seconds, twice the budget.
    Advanced,
    /// 80 in two seconds, four times the budget.
    Professional,
    /// 120 in two seconds, seven times the budget.
    Enterprise,
}

impl Plan {
    /// Requests in any two seconds with one API token; an OAuth app may send four
    /// times as many.
    pub fn burst(self) -> u32 {
        match self {
            Plan::Essential => 20,
            Plan::Advanced => 40,
            Plan::Professional => 80,
            Plan::Enterprise => 120,
        }
    }

    /// Factor on the 30,000 units that each seat brings to a day's budget.
    pub fn budget_factor(self) -> u64 {
        match self {
            Plan::Essential => 1,
            Plan::Advanced => 2,
            Plan::Professional => 4,
            Plan::Enterprise => 7,
        }
    }
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
    /// Generated persons, up to 10 million.
    pub persons: u32,
    /// Generated organizations.
    pub organizations: u32,
    /// Generated deals, some of them archived.
    pub deals: u32,
    /// Generated activities.
    pub activities: u32,
    /// Generated products.
    pub products: u32,
    /// Generated leads.
    pub leads: u32,
    /// Of a thousand generated deals, how many are archived.
    pub archived_per_mille: u32,
    /// Records that share each time of update.
    pub tie_group: u32,
    /// Records, at most a quarter of all, that share one single second.
    pub tie_burst: u32,
    /// The subscription.
    pub plan: Plan,
    /// Users that the company pays for.
    pub seats: u32,
    /// Factor on the burst limits: 1.0 is real, infinity or `None` is no limit.
    pub limit_scale: Option<f64>,
    /// Replaces the day's budget that follows from plan and seats.
    pub daily_tokens: Option<u64>,
    /// Whether answers carry `x-daily-ratelimit-token-limit` and `-remaining`, whose
    /// names nobody has recorded.
    pub daily_headers: bool,
    /// After how many requests that were refused one after another, with never a pause
    /// of ten seconds, the edge bars the client with a page of HTML; `None` for never.
    pub edge_bars_after: Option<u32>,
    /// For how many seconds the edge bars a client.
    pub edge_bars_s: u32,
    /// Whether `Accept-Encoding: gzip` is honoured.
    pub gzip: bool,
    /// The OAuth app's id.
    pub client_id: String,
    /// The OAuth app's secret.
    pub client_secret: String,
    /// Redirect addresses of the app; empty accepts any.
    pub redirect_uris: Vec<String>,
    /// Scopes that the app was registered with; consent asks for all of them.
    pub scopes: Vec<String>,
    /// Life of an access token in seconds.
    pub access_token_ttl_s: u64,
    /// Whether a refresh replaces the refresh token and kills the old one.
    pub refresh_rotation: bool,
    /// The company's number.
    pub company_id: u64,
    /// The company's address in answers of the token endpoint; the simulator's own by
    /// default.
    pub api_domain: Option<String>,
    /// From when on, by the simulated clock, the first version answers 410 for the
    /// types that the second one serves; `None` for never.
    pub v1_retires_ms: Option<i64>,
    /// The status with which the second version answers a creation: 201 or 200.
    pub v2_create_status: u16,
    /// Fields of the company's own, in place of the usual ones; empty takes those.
    pub custom_fields: Vec<CustomField>,
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
            persons: 1000,
            organizations: 200,
            deals: 300,
            activities: 200,
            products: 50,
            leads: 50,
            archived_per_mille: 60,
            tie_group: 3,
            tie_burst: 450,
            plan: Plan::Essential,
            seats: 5,
            limit_scale: Some(1.0),
            daily_tokens: None,
            daily_headers: true,
            edge_bars_after: Some(60),
            edge_bars_s: 60,
            gzip: false,
            client_id: "4d6a1f0b2c3e5a79".to_owned(),
            client_secret: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b".to_owned(),
            redirect_uris: Vec::new(),
            scopes: [
                "base",
                "deals:full",
                "contacts:full",
                "activities:full",
                "products:full",
                "leads:full",
                "users:read",
                "search:read",
                "admin",
            ]
            .map(str::to_owned)
            .to_vec(),
            access_token_ttl_s: 3599,
            refresh_rotation: false,
            company_id: 7_812_793,
            api_domain: None,
            v1_retires_ms: Some(V1_RETIRES_MS),
            v2_create_status: 201,
            custom_fields: Vec::new(),
            webhook_waits_ms: vec![3_000, 30_000, 150_000],
        }
    }
}

impl Config {
    /// Generated records of a kind.
    pub fn count(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Persons => self.persons,
            Kind::Organizations => self.organizations,
            Kind::Deals => self.deals,
            Kind::Activities => self.activities,
            Kind::Products => self.products,
            Kind::Leads => self.leads,
        }
    }

    /// Units of budget for the whole company each day.
    pub fn daily_budget(&self) -> u64 {
        let regular = 30_000 * self.plan.budget_factor() * u64::from(self.seats);
        self.daily_tokens.unwrap_or(regular)
    }
}
