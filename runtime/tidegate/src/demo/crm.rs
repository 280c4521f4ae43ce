//! The simulated CRMs: how each is started, and how a connection to it is written down.

use anyhow::{Context as _, Result, bail};
use crm_sim::{Simulator, hubspot, intercom, leadsquared, pipedrive, salesforce};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The simulators' limits in the demo, as a multiple of the real ones, so that a laptop
/// shows throughput rather than waiting; the operator's file says the same.
pub(super) const LIMIT_SCALE: f64 = 1_000.0;

/// What the demo says of a CRM.
pub(super) struct Profile {
    /// Of the connector and of the simulator.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// The stream that is read; the simulator's records have the same name.
    pub(super) stream: &'static str,
    /// What its records are called.
    pub(super) records: &'static str,
    /// Below `connection.config`.
    pub(super) config: &'static str,
}

const PROFILES: [Profile; 5] = [
    Profile {
        name: "hubspot",
        title: "HubSpot",
        stream: "contacts",
        records: "contacts",
        config: "{}",
    },
    Profile {
        name: "intercom",
        title: "Intercom",
        stream: "contacts",
        records: "contacts",
        config: "{}",
    },
    Profile {
        name: "leadsquared",
        title: "LeadSquared",
        stream: "leads",
        records: "leads",
        config: "{ region: api }",
    },
    Profile {
        name: "pipedrive",
        title: "Pipedrive",
        stream: "deals",
        records: "deals",
        config: "{}",
    },
    Profile {
        name: "salesforce",
        title: "Salesforce",
        stream: "Account",
        records: "accounts",
        config: "{ login: login }",
    },
];

/// What a person in the CRM did between the two runs.
pub(super) struct Done {
    pub(super) edited: usize,
    pub(super) created: usize,
    pub(super) deleted: usize,
}

/// A simulated CRM of the demo.
pub(super) struct Crm {
    pub(super) profile: &'static Profile,
    pub(super) simulator: Box<dyn Simulator>,
}

impl Crm {
    /// Starts a simulator with so many records of the profile's stream.
    pub(super) async fn start(name: &str, records: u32) -> Result<Crm> {
        let Some(profile) = PROFILES.iter().find(|profile| profile.name == name) else {
            bail!(
                "there is no simulated {name}; use one of {}",
                PROFILES.each_ref().map(|profile| profile.name).join(", ")
            );
        };
        Ok(Crm {
            profile,
            simulator: simulator(name, records).await?,
        })
    }

    /// Edits, creates and deletes some records, as many as `share` in all ways.
    pub(super) fn change(&self, share: usize) -> Result<Done> {
        Ok(Done {
            deleted: self.steer("delete", share / 10, "ids")?,
            edited: self.steer("edit", share, "edited")?,
            created: self.steer("create", share / 2, "ids")?,
        })
    }

    fn steer(&self, control: &str, count: usize, told: &str) -> Result<usize> {
        let body = json!({ "kind": self.profile.stream, "count": count });
        let done = self.simulator.steer("POST", control, &body)?;
        let changed = done[told].as_array().map(Vec::len);
        changed.with_context(|| format!("the simulator does not tell what {control} did"))
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> Result<u64> {
        let counters = self.simulator.steer("GET", "counters", &Value::Null)?;
        let requests = counters["requests_total"].as_u64();
        requests.context("the simulator does not count its requests")
    }
}

async fn simulator(name: &str, records: u32) -> Result<Box<dyn Simulator>> {
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
        _ => Box::new(
            leadsquared::LeadSquaredSim::start(leadsquared::Config {
                leads: records,
                limit_scale,
                ..leadsquared::Config::default()
            })
            .await?,
        ),
    })
}
