//! What records are associated with. HubSpot tells no change of an association, so all
//! of them are read each time: beside each page of the list of records, one batch that
//! asks for the associations of all of them.

use serde_json::{Value, json};
use tidegate_sdk::{EmitFault, Step, each_page, prelude::*};

use crate::batches::IDS;
use crate::catalog::Object;
use crate::reading::{LIST_PAGE, NEXT, Walk, token, until};
use crate::{Cursor, HubSpot, Position, accepted};

/// Pages of the list that one call reads: the host caps what it answers from inside
/// records in one call, and two hundred answers are asked for each page.
const PAGES_PER_CALL: u32 = 2_000;

/// The associations of a record that fit into one answer are one row; further ones are
/// rows of their own.
pub(crate) const KEY: [&str; 2] = ["/from/id", "/to/0/toObjectId"];

pub(crate) fn read(
    host: &Host,
    read: &Read<HubSpot>,
    from: &Object,
    to: &Object,
) -> Result<Outcome<HubSpot>, Failure> {
    let walk = Walk {
        host,
        read,
        object: from.clone(),
        properties: Vec::new(),
        history: None,
    };
    let until = until(read);
    let fetch = |token: Option<&str>| walk.list_page(token, "false", "hs_object_id", None);
    let mut pages = 0;
    let take = |page: &Body| {
        pages += 1;
        let ids = page.each(IDS, LIST_PAGE as usize)?;
        Ok(match emit(&walk, to, &ids)? {
            false => Step::Stopping,
            true if pages % PAGES_PER_CALL == 0 => Step::Pause,
            true => Step::Further,
        })
    };
    let next = |token: &str| Cursor {
        until,
        position: Position::Page(token.to_owned()),
    };
    let start = token(read)?;
    let ended = each_page(host, NEXT, start, fetch, take, next)?;
    Ok(ended.or_done(Cursor::end(until)))
}

/// Emits all associations of these records; false when the run is being stopped.
fn emit(walk: &Walk<'_>, to: &Object, ids: &[String]) -> Result<bool, Failure> {
    let mut inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    let mut round = 0;
    while !inputs.is_empty() {
        let body = ask(walk, to, &inputs, round)?;
        let further = further(&body, inputs.len())?;
        if further == inputs {
            return Err(Failure::Protocol(
                "the next page of associations is the same page".to_owned(),
            ));
        }
        let how = Extraction::json("/results").key(KEY[0]).key(KEY[1]);
        match walk.host.emit_body(&walk.read.stream, &body, &how) {
            Ok(_) => {}
            Err(EmitFault::Stopping) => return Ok(false),
            Err(fault) => return Err(fault.into()),
        }
        inputs = further;
        round += 1;
    }
    Ok(true)
}

/// Records without any association are errors of an answer that is a success.
fn ask(walk: &Walk<'_>, to: &Object, inputs: &[Value], round: u32) -> Result<Body, Failure> {
    let (from, to) = (walk.object.name(), to.name());
    let path = format!("/crm/v4/associations/{from}/{to}/batch/read");
    let first = &inputs[0]["id"];
    let request = Request::post("api", path)
        .json(&json!({ "inputs": inputs }))
        .auth(walk.read.config.auth.name())
        // It only asks, so the host may ask again.
        .idempotency_key(format!(
            "{}-{first}-{}-{round}",
            walk.read.stream,
            inputs.len()
        ));
    accepted(walk.host.fetch(&request)?, &walk.read.stream)
}

/// What to ask next of those records that have more associations than one answer shows.
fn further(body: &Body, results_max: usize) -> Result<Vec<Value>, Failure> {
    let pointers: Vec<String> = (0..results_max)
        .map(|place| format!("/results/{place}/paging/next/after"))
        .collect();
    let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
    let mut inputs = Vec::new();
    for (place, after) in body.get_many(&pointers)?.iter().enumerate() {
        let after = after.as_deref().map(serde_json::from_str::<Value>);
        let Some(after) = after.transpose()?.filter(|after| !after.is_null()) else {
            continue;
        };
        let id = body.plain(&format!("/results/{place}/from/id"))?;
        let id = id.ok_or_else(|| {
            Failure::Protocol("associations do not say of which record they are".to_owned())
        })?;
        inputs.push(json!({ "id": id, "after": after }));
    }
    Ok(inputs)
}
