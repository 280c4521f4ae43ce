//! What the service says about itself: versions, resources, limits, and who is asking.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;
use super::route::VERSIONS;
use crate::salesforce::object::Object;
use crate::salesforce::org::Org;
use crate::salesforce::problem::Problem;
use crate::salesforce::wire_id::wire_text;

/// `GET /services/data`: needs no session.
pub(super) fn versions() -> Reply {
    // Version 29 was Winter '14; three a year since.
    const SEASONS: [&str; 3] = ["Winter", "Spring", "Summer"];
    let all: Vec<Value> = VERSIONS
        .map(|version| {
            let release = version - 29;
            let season = SEASONS[usize::try_from(release % 3).unwrap_or(0)];
            let year = 14 + release / 3;
            json!({
                "label": format!("{season} '{year}"),
                "url": format!("/services/data/v{version}.0"),
                "version": format!("{version}.0"),
            })
        })
        .collect();
    Reply::value(200, &json!(all))
}

/// `GET /services/data/vNN.0`.
pub(super) fn resources(call: &Call) -> Reply {
    let base = format!("/services/data/v{}", call.version());
    let mut all = json!({});
    for name in ["sobjects", "query", "queryAll", "limits", "composite"] {
        all[name] = json!(format!("{base}/{name}"));
    }
    all["jobs"] = json!(format!("{base}/jobs"));
    all["identity"] = json!(identity_url(&call.org));
    Reply::value(200, &all)
}

/// `GET /services/data/vNN.0/limits`.
pub(super) fn limits(call: &Call) -> Reply {
    let (used, max) = call.org.limits.usage(call.now_ms());
    let whole = |max: u64| json!({"Max": max, "Remaining": max});
    Reply::value(
        200,
        &json!({
            "ConcurrentAsyncGetReportInstances": whole(200),
            "DailyApiRequests": {"Max": max, "Remaining": max.saturating_sub(used)},
            "DailyAsyncApexExecutions": whole(250_000),
            "DailyBulkApiBatches": whole(15_000),
            "DailyBulkV2QueryFileStorageMB": whole(976_562),
            "DailyBulkV2QueryJobs": whole(10_000),
            "DailyDurableStreamingApiEvents": whole(1_000_000),
            "DailyStreamingApiEvents": whole(1_000_000),
            "DataStorageMB": whole(1_073),
            "DurableStreamingApiConcurrentClients": whole(1_000),
            "FileStorageMB": whole(1_073),
            "HourlyPublishedPlatformEvents": whole(50_000),
            "StreamingApiConcurrentClients": whole(2_000),
        }),
    )
}

/// The address that a token response names as `id`.
pub(super) fn identity_url(org: &Org) -> String {
    let user = wire_text(Object::User.prefix(), org.integration_user());
    format!("{}/id/{}/{user}", org.base_url, org.organization_id())
}

/// `GET /id/{org}/{user}` and `/services/oauth2/userinfo`.
pub(super) fn identity(call: &Call, who: Option<&(String, String)>) -> Result<Reply, Problem> {
    let org = &call.org;
    let organization = org.organization_id();
    let user = wire_text(Object::User.prefix(), org.integration_user());
    if who.is_some_and(|(asked_org, asked_user)| *asked_org != organization || *asked_user != user)
    {
        return Err(Problem::new(403, "Missing_OAuth_Token", "Wrong_Org"));
    }
    let instance = org.instance_url();
    let urls = json!({
        "rest": format!("{instance}/services/data/v{{version}}/"),
        "sobjects": format!("{instance}/services/data/v{{version}}/sobjects/"),
        "query": format!("{instance}/services/data/v{{version}}/query/"),
        "custom_domain": instance,
    });
    Ok(Reply::value(
        200,
        &json!({
            "id": identity_url(org),
            "sub": identity_url(org),
            "asserted_user": true,
            "user_id": user,
            "organization_id": organization,
            "username": &*call.user,
            "preferred_username": &*call.user,
            "display_name": "Integration User",
            "name": "Integration User",
            "email": &*call.user,
            "active": true,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
            "urls": urls,
        }),
    ))
}
