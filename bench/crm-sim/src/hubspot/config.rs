//! What a simulated account looks like at its start.

use crate::hubspot::kind::Kind;
use crate::hubspot::schema::{ExtraProperty, PropertyType};

/// The subscription that sets a private app's limits. OAuth apps always get
/// 110 requests in ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Free and Starter: 100 in ten seconds, 250,000 a day.
    Starter,
    /// Professional: 190 in ten seconds, 625,000 a day.
    Professional,
    /// Enterprise: 190 in ten seconds, 1,000,000 a day.
    Enterprise,
    /// Enterprise with the API add-on: 250 in ten seconds, 2,000,000 a day.
    AddOn,
}

impl Plan {
    /// Requests in any ten seconds by one private app.
    pub fn ten_secondly(self) -> u32 {
        match self {
            Plan::Starter => 100,
            Plan::Professional | Plan::Enterprise => 190,
            Plan::AddOn => 250,
        }
    }

    /// Requests a day by all private apps of the account.
    pub fn daily(self) -> u64 {
        match self {
            Plan::Starter => 250_000,
            Plan::Professional => 625_000,
            Plan::Enterprise => 1_000_000,
            Plan::AddOn => 2_000_000,
        }
    }
}

/// An object type that the account defined itself. Its kind is
/// [`Kind::Custom`] with its place in [`Config::custom_types`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomType {
    /// Its internal name; paths take it with the account's number before it.
    pub name: String,
    /// What follows `2-` in its type id.
    pub number: u64,
    /// What people read: one of it, and several.
    pub labels: [String; 2],
    /// Generated records.
    pub count: u32,
    /// Its properties, of which the first is the one that names a record.
    pub properties: Vec<(String, PropertyType)>,
    /// The kinds of record that its records can be associated with. Generated ones are
    /// with contacts and companies.
    pub associated: Vec<Kind>,
}

impl CustomType {
    /// Machines, each associated with contacts, companies and tickets: an example.
    pub fn machines(count: u32) -> CustomType {
        let property = |name: &str, of: PropertyType| (name.to_owned(), of);
        CustomType {
            name: "machine".to_owned(),
            number: 3_604_285,
            labels: ["Machine".to_owned(), "Machines".to_owned()],
            count,
            properties: vec![
                property("serial_name", PropertyType::String),
                property("hours_run", PropertyType::Number),
                property("inspected_on", PropertyType::Date),
                property("in_service", PropertyType::Bool),
            ],
            associated: vec![Kind::Contacts, Kind::Companies, Kind::Tickets],
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
    /// Generated contacts, up to 10 million.
    pub contacts: u32,
    /// Generated companies.
    pub companies: u32,
    /// Generated deals.
    pub deals: u32,
    /// Generated tickets.
    pub tickets: u32,
    /// Object types of the account's own, 200 at most.
    pub custom_types: Vec<CustomType>,
    /// Associations of one record on one page at most, 500 in the real API.
    pub association_page_max: usize,
    /// Records that share each millisecond of modification.
    pub tie_group: u32,
    /// Records, at most a quarter of all, that share one millisecond.
    pub tie_burst: u32,
    /// Limits of private apps.
    pub plan: Plan,
    /// Factor on every limit: 1.0 is real, infinity or `None` is no limit.
    pub limit_scale: Option<f64>,
    /// Replaces the plan's daily limit of private apps.
    pub daily_limit: Option<u64>,
    /// Whether `Accept-Encoding: gzip` is honoured.
    pub gzip: bool,
    /// The OAuth app's id.
    pub client_id: String,
    /// The OAuth app's secret.
    pub client_secret: String,
    /// The application's number, by which its webhooks are known.
    pub app_id: u64,
    /// The developer's key, which opens the settings of webhooks.
    pub developer_key: String,
    /// How long a receiver of webhooks may take, in milliseconds.
    pub webhook_patience_ms: u64,
    /// How long after a failed delivery the next one is tried, in milliseconds. The real
    /// API tries ten times within a day.
    pub webhook_retry_ms: u64,
    /// Redirect addresses of the app; empty accepts any.
    pub redirect_uris: Vec<String>,
    /// Whether an authorisation without a PKCE challenge is refused.
    pub require_pkce: bool,
    /// Life of an access token in seconds.
    pub access_token_ttl_s: u64,
    /// Whether a refresh replaces the refresh token and kills the old one.
    pub refresh_rotation: bool,
    /// The account's number.
    pub portal_id: u64,
    /// Start of the next-page links; the simulator's own address by default.
    pub link_base: Option<String>,
    /// Whether contacts have the properties that the real API derives itself
    /// (`hs_email_domain` and the like) and returns from a create.
    pub derived_properties: bool,
    /// Portal-specific properties.
    pub extra_properties: Vec<ExtraProperty>,
    /// How long after a 429 with `Retry-After` was sent a request still counts
    /// as having been under way, in milliseconds.
    pub retry_after_grace_ms: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            port: 0,
            control_port: None,
            seed: 1,
            contacts: 1000,
            companies: 200,
            deals: 300,
            tickets: 150,
            custom_types: Vec::new(),
            association_page_max: 500,
            tie_group: 3,
            tie_burst: 450,
            plan: Plan::Professional,
            limit_scale: Some(1.0),
            daily_limit: None,
            gzip: false,
            client_id: "6f1b6a3e-5b7e-4f5c-9a51-0d6a3f4f2c11".to_owned(),
            client_secret: "c0ffee00-1111-4222-8333-444455556666".to_owned(),
            app_id: 1_160_452,
            developer_key: "0d0d0d0d-5555-4666-8777-888899990000".to_owned(),
            webhook_patience_ms: 5_000,
            webhook_retry_ms: 60_000,
            redirect_uris: Vec::new(),
            require_pkce: false,
            access_token_ttl_s: 1800,
            refresh_rotation: false,
            portal_id: 20_858_235,
            link_base: None,
            derived_properties: false,
            extra_properties: Vec::new(),
            retry_after_grace_ms: 50,
        }
    }
}

impl Config {
    /// Generated records of a kind.
    pub fn count(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Contacts => self.contacts,
            Kind::Companies => self.companies,
            Kind::Deals => self.deals,
            Kind::Tickets => self.tickets,
            Kind::Custom(place) => self.custom_types[usize::from(place)].count,
        }
    }
}
