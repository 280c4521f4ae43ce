//! What the connector asks for: hosts, keys, limits.

use serde_json::json;
use tidegate_sdk::{Auth, KeyPart, prelude::*};

use crate::{EXCEPTION, STATUS};

/// The host is the region's, as the account's settings show it.
const API: &str = "https://{config.region}.leadsquared.com/v2";

/// Calls in five seconds and in a day, on the smaller current plan. The day's end is
/// not told, and a rolling day holds at every alignment.
const BURST: u32 = 10;
const DAILY: u32 = 10_000;
const DAY_MS: u64 = 86_400_000;

pub(crate) const LEADS: &str = "/LeadManagement.svc/Leads.RecentlyModified";
pub(crate) const ACTIVITIES: &str = "/ProspectActivity.svc/CustomActivity/RetrieveByActivityEvent";
pub(crate) const OPPORTUNITIES: &str = "/OpportunityManagement.svc/Retrieve/BySearchParameter";
pub(crate) const USERS: &str = "/UserManagement.svc/Users.Get";
pub(crate) const LEAD_FIELDS: &str = "/LeadManagement.svc/LeadsMetaData.Get";
pub(crate) const ACTIVITY_TYPES: &str = "/ProspectActivity.svc/ActivityTypes.Get";
pub(crate) const OPPORTUNITY_TYPE: &str = "/OpportunityManagement.svc/GetOpportunityTypeMetadata";

/// How many records match, or, as some answers have it, are on the page.
pub(crate) const RECORD_COUNT: &str = "/RecordCount";

pub(crate) fn manifest() -> Manifest {
    let manifest = Manifest::new("leadsquared", "LeadSquared", env!("CARGO_PKG_VERSION"))
        .config_schema(json!({
            "type": "object",
            "properties": {
                "region": {
                    "type": "string",
                    "pattern": "^api(-[a-z0-9]+)?$",
                    "examples": ["api", "api-in21", "api-us11", "api-ir31"],
                    "description": "First part of the API host that the account's settings show"
                },
                "keys": {
                    "enum": ["query", "header"],
                    "default": "query",
                    "description": "Where the two keys are sent; headers are in fewer logs"
                },
                "opportunity_codes": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "description": "Codes of opportunity types; without them those that the account lists, or the first one, 12000"
                }
            },
            "required": ["region"],
            "additionalProperties": false
        }))
        .endpoint(
            Endpoint::data("api", API)
                .path(LEADS)
                .path(ACTIVITIES)
                .path(OPPORTUNITIES)
                .path(USERS),
        )
        .endpoint(
            Endpoint::metadata("schema", API)
                .path(LEAD_FIELDS)
                .path(ACTIVITY_TYPES)
                .path(OPPORTUNITY_TYPE),
        )
        .auth(
            "query",
            keys(
                Place::Query("accessKey".to_owned()),
                Place::Query("secretKey".to_owned()),
            ),
        )
        .auth(
            "header",
            keys(
                Place::Header("x-lsq-accesskey".to_owned()),
                Place::Header("x-lsq-secretkey".to_owned()),
            ),
        )
        .limit(
            Limit::rolling(BURST, 5_000)
                .bucket("default")
                .scope(Scope::RemoteAccount),
        )
        .limit(
            Limit::rolling(DAILY, DAY_MS)
                .bucket("default")
                .scope(Scope::RemoteAccount),
        )
        .response_header("date")
        .paging_pointer(RECORD_COUNT)
        .paging_pointer(STATUS)
        .paging_pointer(EXCEPTION)
        .blind();
    responses().into_iter().fold(manifest, Manifest::response)
}

fn keys(access: Place, secret: Place) -> Auth {
    let part = |name: &str, place| KeyPart {
        secret: name.to_owned(),
        place,
        prefix: String::new(),
    };
    Auth::Keys(vec![part("access_key", access), part("secret_key", secret)])
}

/// Errors come with 200 or with 500, and are told apart by their names.
fn responses() -> Vec<ResponseRule> {
    use ResponseClass::{Auth, Permanent, ThrottledLong, ThrottledShort, Transient};
    let mut rules = vec![ResponseRule::status(429, ThrottledShort)];
    for status in [200, 500] {
        let named =
            |part: &str, class| ResponseRule::status(status, class).holding(EXCEPTION, part);
        rules.push(named("RateLimit", ThrottledShort));
        rules.push(named("CallLimit", ThrottledLong));
        rules.push(named("Unauthori", Auth));
        rules.push(named("MX", Permanent));
    }
    rules.push(ResponseRule::status(200, Permanent).holding(STATUS, "Error"));
    rules.push(ResponseRule::status(401, Auth));
    rules.push(ResponseRule::status(408, Transient));
    rules.push(ResponseRule::range(400, 499, Permanent));
    rules.push(ResponseRule::range(500, 599, Transient));
    rules
}
