//! The simulated CRMs: where each one's connector looks for it, how a connection to it
//! is written down, and how it is steered. They do the same, each in its own words.

use anyhow::{Result, bail};
use crm_sim::{hubspot, intercom, leadsquared, pipedrive, salesforce};
use std::collections::BTreeMap;
use std::pin::Pin;
use tidegate_store::clock::now_ms;

/// The simulators' limits in the demo, as a multiple of the real ones, so that a laptop
/// shows throughput rather than waiting; the operator's file says the same.
pub(super) const LIMIT_SCALE: f64 = 1_000.0;

/// What the demo says of a CRM.
pub(super) struct Profile {
    /// Of the connector and of the simulator.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// The stream that is read, and what its records are called.
    pub(super) stream: &'static str,
    pub(super) records: &'static str,
    /// What the connector asks, and an operator's mapping leads to the simulator.
    pub(super) origins: &'static [&'static str],
    /// Below `connection.config`.
    pub(super) config: &'static str,
}

const HUBSPOT: Profile = Profile {
    name: "hubspot",
    title: "HubSpot",
    stream: "contacts",
    records: "contacts",
    origins: &["https://api.hubapi.com", "https://app.hubspot.com"],
    config: "{}",
};
const INTERCOM: Profile = Profile {
    name: "intercom",
    title: "Intercom",
    stream: "contacts",
    records: "contacts",
    origins: &["https://api.intercom.io", "https://app.intercom.com"],
    config: "{}",
};
const LEADSQUARED: Profile = Profile {
    name: "leadsquared",
    title: "LeadSquared",
    stream: "leads",
    records: "leads",
    origins: &["https://api.leadsquared.com"],
    config: "{ region: api }",
};
const PIPEDRIVE: Profile = Profile {
    name: "pipedrive",
    title: "Pipedrive",
    stream: "deals",
    records: "deals",
    origins: &[
        "https://oauth.pipedrive.com",
        "https://api.pipedrive.com",
        "https://acme.pipedrive.com",
    ],
    config: "{}",
};
const SALESFORCE: Profile = Profile {
    name: "salesforce",
    title: "Salesforce",
    stream: "Account",
    records: "accounts",
    origins: &[
        "https://login.salesforce.com",
        "https://acme.my.salesforce.com",
    ],
    config: "{ login: login }",
};

/// What a person in the CRM did between the two runs.
pub(super) struct Done {
    pub(super) edited: usize,
    pub(super) created: usize,
    pub(super) deleted: usize,
}

type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A simulated CRM.
pub(super) trait Crm: Send + Sync {
    fn profile(&self) -> &'static Profile;
    fn base_url(&self) -> &str;
    /// The OAuth application's id and secret, where a person authorises.
    fn app(&self) -> Option<(String, String)>;
    /// The static keys, where none does.
    fn keys(&self) -> Vec<(&'static str, String)>;
    /// Edits, creates and deletes some records, as many as `share` in all ways.
    fn change(&self, share: usize) -> Done;
    fn requests(&self) -> u64;
    fn shutdown(self: Box<Self>) -> Ended;
}

/// The simulators answer to the same names, but share no trait.
macro_rules! crm {
    ($sim:ty, $profile:expr, $kind:expr, $delete:ident, $requests:expr, $app:expr, $keys:expr) => {
        impl Crm for $sim {
            fn profile(&self) -> &'static Profile {
                &$profile
            }
            fn base_url(&self) -> &str {
                <$sim>::base_url(self)
            }
            fn app(&self) -> Option<(String, String)> {
                let app: fn(&$sim) -> Option<(String, String)> = $app;
                app(self)
            }
            fn keys(&self) -> Vec<(&'static str, String)> {
                let keys: fn(&$sim) -> Vec<(&'static str, String)> = $keys;
                keys(self)
            }
            fn change(&self, share: usize) -> Done {
                let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
                Done {
                    deleted: self.$delete($kind, share / 10, now).len(),
                    edited: self.edit_count($kind, share, now, now + 1).len(),
                    created: self.create($kind, share / 2, now).len(),
                }
            }
            fn requests(&self) -> u64 {
                let requests: fn(&$sim) -> u64 = $requests;
                requests(self)
            }
            fn shutdown(self: Box<Self>) -> Ended {
                Box::pin((*self).shutdown())
            }
        }
    };
}

macro_rules! oauth {
    () => {
        |sim| {
            Some((
                sim.config().client_id.clone(),
                sim.config().client_secret.clone(),
            ))
        }
    };
}

crm!(
    hubspot::CrmSim,
    HUBSPOT,
    hubspot::Kind::Contacts,
    archive_count,
    |sim| sim.counters().requests_total,
    oauth!(),
    |_| Vec::new()
);
crm!(
    intercom::IntercomSim,
    INTERCOM,
    intercom::Kind::Contacts,
    delete_count,
    |sim| sim.counters().tally.requests_total,
    oauth!(),
    |_| Vec::new()
);
crm!(
    pipedrive::PipedriveSim,
    PIPEDRIVE,
    pipedrive::Kind::Deals,
    delete_count,
    |sim| sim.counters().requests_total,
    oauth!(),
    |_| Vec::new()
);
crm!(
    salesforce::Salesforce,
    SALESFORCE,
    salesforce::Object::Account,
    delete_count,
    |sim| sim.counters().tally.requests_total,
    oauth!(),
    |_| Vec::new()
);
crm!(
    leadsquared::LeadSquaredSim,
    LEADSQUARED,
    leadsquared::Kind::Leads,
    delete_count,
    |sim| sim.counters().tally.requests_total,
    |_| None,
    |sim| {
        let keys = sim.issue_keys();
        vec![
            ("access_key", keys.access_key),
            ("secret_key", keys.secret_key),
        ]
    }
);

/// The names that [`start`] knows.
pub(super) const NAMES: [&str; 5] = [
    HUBSPOT.name,
    INTERCOM.name,
    LEADSQUARED.name,
    PIPEDRIVE.name,
    SALESFORCE.name,
];

/// Starts a simulator with so many records of the profile's stream.
pub(super) async fn start(name: &str, records: u32) -> Result<Box<dyn Crm>> {
    let limit_scale = Some(LIMIT_SCALE);
    Ok(match name {
        "hubspot" => Box::new(
            hubspot::CrmSim::start(hubspot::Config {
                contacts: records,
                limit_scale,
                refresh_rotation: true,
                ..hubspot::Config::default()
            })
            .await?,
        ),
        "intercom" => Box::new(
            intercom::IntercomSim::start(intercom::Config {
                contacts: records,
                limit_scale,
                ..intercom::Config::default()
            })
            .await?,
        ),
        "pipedrive" => Box::new(
            pipedrive::PipedriveSim::start(pipedrive::Config {
                deals: records,
                limit_scale,
                daily_tokens: Some(u64::from(u32::MAX)),
                api_domain: Some("https://acme.pipedrive.com".to_owned()),
                ..pipedrive::Config::default()
            })
            .await?,
        ),
        "salesforce" => Box::new(
            salesforce::Salesforce::start(salesforce::Config {
                counts: BTreeMap::from([(salesforce::Object::Account, records)]),
                limit_scale,
                instance_url: Some("https://acme.my.salesforce.com".to_owned()),
                ..salesforce::Config::default()
            })
            .await?,
        ),
        "leadsquared" => Box::new(
            leadsquared::LeadSquaredSim::start(leadsquared::Config {
                leads: records,
                limit_scale,
                ..leadsquared::Config::default()
            })
            .await?,
        ),
        other => bail!(
            "there is no simulated {other}; use one of {}",
            NAMES.join(", ")
        ),
    })
}
