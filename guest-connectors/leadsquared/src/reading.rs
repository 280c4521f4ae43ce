//! Reading: a window is one page, or two windows.

use serde_json::{Value, json};
use tidegate_sdk::{Ended, Numbered, date_time, prelude::*};

use crate::declaration::{ACTIVITIES, LEADS, OPPORTUNITIES, RECORD_COUNT, USERS};
use crate::planning::{self, SECOND_MS};
use crate::{Cursor, LeadSquared, Object, Slice, accepted, schema};

/// Most records of a page, as documented.
pub(crate) const LEADS_PAGE: u64 = 5_000;
pub(crate) const PAGE: u64 = 1_000;
/// Readings of a second that holds more than a page.
const READINGS_MAX: u32 = 6;

pub(crate) fn read(host: &Host, read: &Read<LeadSquared>) -> Result<Outcome<LeadSquared>, Failure> {
    let until = read.partition.slice.until();
    let start = match &read.cursor {
        None => Numbered::FIRST,
        Some(Cursor {
            page: Some(page), ..
        }) => *page,
        Some(Cursor { until, page: None }) => return Ok(Outcome::Done(Cursor::end(*until))),
    };
    let walk = Walk {
        host,
        read,
        object: Object::of_stream(&read.stream)?,
    };
    match read.partition.slice {
        Slice::Leads { since, until } => {
            let columns = schema::chosen(host, &read.config, &read.fields)?;
            let window = Window { since, until };
            let page = |number| walk.leads(window, &columns, number);
            walk.window(window, lead(), LEADS_PAGE, page, planning::leads)
        }
        Slice::Activities { code, since, until } => {
            let window = Window { since, until };
            let page = |number| walk.activities(code, window, number);
            let how = listed("/ProspectActivityId");
            walk.window(window, how, PAGE, page, |halves| {
                planning::activities(code, halves)
            })
        }
        Slice::Opportunities { code, floor, .. } => walk.opportunities(code, floor, start),
        Slice::Users { .. } => {
            let body = walk.send(Request::get("api", USERS))?;
            let how = Extraction::json("").key("/ID");
            host.emit_body(&read.stream, &body, &how)?;
            Ok(Outcome::Done(Cursor::end(until)))
        }
    }
}

/// A lead is a list of attributes and values; it lands as an object of them.
fn lead() -> Extraction {
    Extraction::json("/Leads")
        .pairs("/LeadPropertyList", "/Attribute", "/Value")
        .key("/LeadPropertyList/ProspectID")
        .cursor("/LeadPropertyList/ModifiedOn", CursorOrder::Timestamp)
}

fn listed(key: &str) -> Extraction {
    Extraction::json("/List")
        .key(key)
        .cursor("/ModifiedOn", CursorOrder::Timestamp)
}

/// One `read` call.
struct Walk<'a> {
    host: &'a Host,
    read: &'a Read<LeadSquared>,
    object: Object,
}

impl Walk<'_> {
    /// A window that fits into one page is one answer, in which nothing moves; what is
    /// edited meanwhile is in a later window. One that does not is halved, down to a
    /// second, which is read until it is still.
    fn window(
        &self,
        window: Window,
        how: Extraction,
        page_max: u64,
        page: impl Fn(u64) -> Result<Body, Failure>,
        partitions: impl Fn([Window; 2]) -> Vec<Partition<Slice>>,
    ) -> Result<Outcome<LeadSquared>, Failure> {
        let done = || Outcome::Done(Cursor::end(window.until));
        if window.since >= window.until {
            return Ok(done());
        }
        let first = page(1)?;
        let count: Option<u64> = first.value(RECORD_COUNT)?;
        let count = count
            .ok_or_else(|| Failure::Protocol(format!("no count of {}", self.object.name())))?;
        // It counts all matches or, as some answers have it, those of the page. Either
        // way a page that is not full is all.
        if count < page_max {
            self.host.emit_body(&self.read.stream, &first, &how)?;
            return Ok(done());
        }
        if let Some(halves) = window.halves(SECOND_MS) {
            return Ok(Outcome::Split(partitions(halves)));
        }
        drop(first);
        let pages = Pages::new(self.host, &self.read.stream, how);
        Ok(match pages.until_still(READINGS_MAX, page)? {
            Ended::Exhausted => done(),
            Ended::Yielded => Outcome::More,
        })
    }

    fn leads(&self, window: Window, columns: &str, number: u64) -> Result<Body, Failure> {
        let body = json!({
            "Parameter": bounds(window),
            "Columns": {"Include_CSV": columns},
            "Paging": {"PageIndex": number, "PageSize": LEADS_PAGE},
            "Sorting": {"ColumnName": "ProspectAutoId", "Direction": "0"}
        });
        self.ask(LEADS, &body, number)
    }

    fn activities(&self, code: i64, window: Window, number: u64) -> Result<Body, Failure> {
        let mut parameter = bounds(window);
        parameter["ActivityEvent"] = json!(code);
        parameter["IncludeCustomFields"] = json!(1);
        let body = json!({
            "Parameter": parameter,
            "Paging": {"PageIndex": number, "PageSize": PAGE},
            "Sorting": {"ColumnName": "CreatedOn", "Direction": "0"}
        });
        self.ask(ACTIVITIES, &body, number)
    }

    /// Opportunities cannot be asked for by time. The latest change comes first, so an
    /// edit only pushes others to later pages; one that is deleted shows in the count.
    fn opportunities(
        &self,
        code: i64,
        floor: Option<u64>,
        start: Numbered,
    ) -> Result<Outcome<LeadSquared>, Failure> {
        let until = self.read.partition.slice.until();
        let mut how = listed("/OpportunityId");
        if let Some(floor) = floor {
            how = how.floor(date_time(floor));
        }
        // The search has to name the type once more, as its only condition.
        let search = json!({
            "GrpConOp": "And",
            "Conditions": [{"Type": "Activity", "ConOp": "and", "RowCondition": [{
                "SubConOp": "And", "LSO": "ActivityEvent", "LSO_Type": "PAEvent",
                "Operator": "eq", "RSO": code.to_string()
            }]}]
        });
        let fetch = |number: u64| {
            let body = json!({
                "OpportunityEventCode": code,
                "AdvancedSearch": search.to_string(),
                "Paging": {"PageIndex": number, "PageSize": PAGE},
                "Sorting": {"ColumnName": "ModifiedOn", "Direction": 1}
            });
            self.ask(OPPORTUNITIES, &body, number)
        };
        let next = |at: Numbered| Cursor {
            until,
            page: Some(at),
        };
        let pages = Pages::new(self.host, &self.read.stream, how)
            .counted_at(RECORD_COUNT)
            .ending_when(|page| page.skipped > 0);
        let ended = pages.by_number(None, start, fetch, next)?;
        Ok(ended.or_done(Cursor::end(until)))
    }

    fn ask(&self, path: &str, body: &Value, number: u64) -> Result<Body, Failure> {
        // It only asks, so the host may ask again.
        let key = format!("{}-{number}", self.read.partition.id);
        self.send(Request::post("api", path).json(body).idempotency_key(key))
    }

    fn send(&self, request: Request) -> Result<Body, Failure> {
        let request = request.auth(self.read.config.keys.name());
        accepted(self.host.fetch(&request)?, self.object.name())
    }
}

/// Both bounds are inclusive, so the last second is the one before the end.
fn bounds(window: Window) -> Value {
    json!({
        "FromDate": date_time(window.since),
        "ToDate": date_time(window.until - SECOND_MS)
    })
}
