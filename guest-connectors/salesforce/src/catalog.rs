//! Which objects an org offers as streams.

use serde::Deserialize;
use tidegate_sdk::prelude::*;

use crate::refusal::{accepted, ask};
use crate::schema::{described, description};
use crate::{BASE, Config, object_of_stream};

/// Descriptions are large; this many are asked for and held at once.
const DESCRIBED_AT_ONCE: u32 = 5;

/// What most orgs use; read where the org has it. Custom objects are read too.
const USUAL: [&str; 35] = [
    "Account",
    "AccountContactRelation",
    "AccountContactRole",
    "AccountHistory",
    "Asset",
    "Campaign",
    "CampaignMember",
    "Case",
    "CaseComment",
    "CaseHistory",
    "Contact",
    "ContactHistory",
    "Contract",
    "ContractHistory",
    "Event",
    "Lead",
    "LeadHistory",
    "Opportunity",
    "OpportunityContactRole",
    "OpportunityFieldHistory",
    "OpportunityHistory",
    "OpportunityLineItem",
    "OpportunityStage",
    "Order",
    "OrderItem",
    "Pricebook2",
    "PricebookEntry",
    "Product2",
    "Profile",
    "Quote",
    "QuoteLineItem",
    "RecordType",
    "Task",
    "User",
    "UserRole",
];

#[derive(Deserialize)]
struct Objects {
    sobjects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    name: String,
    #[serde(default)]
    queryable: bool,
    #[serde(default)]
    custom: bool,
    #[serde(default, rename = "deprecatedAndHidden")]
    hidden: bool,
}

impl Object {
    /// Custom objects are `X__c`; beside them there are shares, feeds, settings, events.
    fn is_usual(&self) -> bool {
        USUAL.contains(&self.name.as_str()) || self.custom && self.name.ends_with("__c")
    }
}

pub(crate) fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
    let names = objects(host, config)?;
    let mut streams = Vec::with_capacity(names.len());
    let mut refused = None;
    for some in names.chunks(DESCRIBED_AT_ONCE as usize) {
        let requests: Vec<Request> = some.iter().map(|name| description(config, name)).collect();
        let answers = host.fetch_many(&requests, DESCRIBED_AT_ONCE);
        for (name, answer) in some.iter().zip(answers) {
            match accepted(answer?).map_err(|refusal| refusal.failure(name)) {
                Ok(response) => {
                    let description = described(response)?;
                    if description.has_id() {
                        streams.push(description.stream(config));
                    }
                }
                Err(failure @ Failure::Unsupported(_)) => {
                    let reason = failure.to_string();
                    let fields = [("stream", name.as_str()), ("reason", reason.as_str())];
                    host.log(Level::Warn, "the org does not offer a stream", &fields);
                    refused = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
    }
    match refused {
        Some(failure) if streams.is_empty() => Err(failure),
        _ => Ok(streams),
    }
}

/// The objects that were chosen, or the usual ones; those that the org has.
fn objects(host: &Host, config: &Config) -> Result<Vec<String>, Failure> {
    let request = Request::get("schema", format!("{BASE}/sobjects")).auth(config.auth.name());
    let response = ask(host, &request)?.map_err(|refusal| refusal.failure("the API"))?;
    let found: Objects = serde_json::from_slice(&response.body.bytes()?)?;
    let offered = |object: &&Object| object.queryable && !object.hidden;
    if config.objects.is_empty() {
        let usual = found.sobjects.iter().filter(offered);
        let usual = usual.filter(|object| object.is_usual());
        return Ok(usual.map(|object| object.name.clone()).collect());
    }
    for name in &config.objects {
        object_of_stream(name)?;
        let mut objects = found.sobjects.iter().filter(offered);
        if !objects.any(|object| object.name == *name) {
            return Err(Failure::Config(format!(
                "objects: the org has no object {name:?} that this user may query; give its API \
                 name (custom ones end in __c), or let the user read it"
            )));
        }
    }
    Ok(config.objects.clone())
}
