//! Single leads, pages of records, and the account's catalogs.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::Exchange;
use super::route::Route;
use crate::leadsquared::account::Account;
use crate::leadsquared::catalog::{self, OPPORTUNITY_EVENT};
use crate::leadsquared::dates;
use crate::leadsquared::field::{Field, Place};
use crate::leadsquared::kind::Kind;
use crate::leadsquared::problem::Problem;
use crate::leadsquared::render::{self, Columns};
use crate::leadsquared::schema::{fields, find};
use crate::leadsquared::window::Sorting;
use crate::meter::add;
use crate::records::{View, base_view};
use crate::reply::{Reply, short_page};

/// Records in a page at most.
const LEADS_MAX: u64 = 1000;
const MODIFIED_MAX: u64 = 5000;
const ACTIVITIES_MAX: u64 = 1000;
/// Records in a page where none is asked for.
const PAGE_DEFAULT: u64 = 25;
/// Leads that a word finds at most.
const FOUND_MAX: usize = 100;
const ALWAYS: RangeInclusive<i64> = i64::MIN..=i64::MAX - 1;

/// The shape that records have in an answer.
#[derive(Clone, Copy)]
enum Shape {
    Flat,
    Properties,
    OfLead,
}

/// What a page is cut by.
struct Cut {
    skip: u64,
    take: u64,
}

impl Exchange<'_> {
    pub(super) fn dispatch(&self) -> Result<Reply, Problem> {
        let account = self.account;
        let value = |value: Value| Ok(Reply::value(200, &value));
        match self.route {
            Route::LeadFields => {
                let name = self.query.get("schemaName").map(String::as_str);
                let bare = self
                    .query
                    .get("excludeOptionSets")
                    .is_some_and(|text| text == "1");
                value(catalog::lead_fields(name, !bare))
            }
            Route::ActivityTypes => value(catalog::activity_types()),
            Route::OpportunityType => {
                self.opportunity_code(self.query.get("code").map(String::as_str))?;
                value(catalog::opportunity_type())
            }
            Route::Users => value(catalog::users(&account.config)),
            Route::LeadById => {
                let id = self.parameter("id")?;
                let id = Kind::Leads.parse_id(id);
                self.leads(id.into_iter().collect())
            }
            Route::LeadByEmail => self.lead_by("EmailAddress", "emailaddress"),
            Route::LeadByPhone => self.lead_by("Phone", "phone"),
            Route::LeadsByWord => self.leads_by_word(),
            Route::Leads => self.leads_by_lookup(),
            Route::LeadsModified => self.leads_modified(),
            Route::ActivitiesOfLead => self.activities_of_lead(),
            Route::Activities => self.activities(),
            Route::OpportunitiesOfLead => self.opportunities_of_lead(),
            Route::Opportunities => self.opportunities(),
            _ => self.write(),
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Result<&str, Problem> {
        let text = self.query.get(name).map(String::as_str);
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| Problem::invalid(format!("{name} is missing in the query")))
    }

    pub(super) fn json(&self) -> Result<Value, Problem> {
        serde_json::from_slice(self.body).map_err(|_malformed| Problem::malformed())
    }

    /// Whether the keys' user may see a record.
    fn sees(&self, place: &Place<'_>, view: &View<'_>) -> bool {
        if self.user.is_empty() {
            return true;
        }
        let owner = fields(place.kind).iter().find(|field| field.column == 42);
        owner.is_some_and(|field| field.string(place, view) == self.user)
    }

    /// Leads as a bare list; an id that is none, or no longer, leaves no trace.
    fn leads(&self, ids: Vec<u64>) -> Result<Reply, Problem> {
        let columns: Columns = fields(Kind::Leads).iter().collect();
        let cut = Cut {
            skip: 0,
            take: ids.len() as u64,
        };
        let mut out = Vec::new();
        self.render(Kind::Leads, &ids, &cut, &columns, Shape::Flat, &mut out);
        Ok(Reply::json(200, out))
    }

    fn lead_by(&self, field: &str, parameter: &str) -> Result<Reply, Problem> {
        let text = self.parameter(parameter)?;
        self.leads(self.account.find_lead(field, text).into_iter().collect())
    }

    fn leads_by_word(&self) -> Result<Reply, Problem> {
        let word = self.parameter("key")?.to_lowercase();
        let names = ["FirstName", "LastName", "EmailAddress", "Phone", "Company"];
        let found: Vec<&Field> = names
            .iter()
            .filter_map(|name| find(Kind::Leads, name))
            .collect();
        let sorting = Sorting {
            column: "CreatedOn".to_owned(),
            descending: true,
        };
        let query = format!("word {word} {}", self.user);
        let ids = self
            .account
            .window(Kind::Leads, &query, ALWAYS, &sorting, |place, view| {
                let holds =
                    |field: &&Field| field.string(place, view).to_lowercase().contains(&word);
                found.iter().any(holds) && self.sees(place, view)
            });
        self.leads(ids.iter().take(FOUND_MAX).copied().collect())
    }

    fn leads_by_lookup(&self) -> Result<Reply, Problem> {
        let body = self.json()?;
        let parameter = body
            .get("Parameter")
            .ok_or_else(|| Problem::missing("Parameter"))?;
        let text = |name: &str| {
            let text = parameter.get(name).and_then(Value::as_str);
            text.ok_or_else(|| Problem::missing(name))
        };
        let (name, value, operator) = (
            text("LookupName")?,
            text("LookupValue")?,
            text("SqlOperator")?,
        );
        let field = find(Kind::Leads, name)
            .ok_or_else(|| Problem::invalid(format!("Invalid column '{name}'")))?;
        if !["=", "!=", "<>", ">", ">=", "<", "<="].contains(&operator) {
            return Err(Problem::invalid(format!(
                "Invalid SqlOperator '{operator}'"
            )));
        }
        let mut span = ALWAYS;
        if field.name == "ModifiedOn" || field.name == "CreatedOn" {
            let at_ms = dates::parse(value)
                .ok_or_else(|| Problem::invalid(format!("Invalid date '{value}'")))?;
            if field.name == "ModifiedOn" {
                span = match operator {
                    "=" => at_ms..=at_ms,
                    ">" | ">=" => at_ms..=*ALWAYS.end(),
                    "<" | "<=" => *ALWAYS.start()..=at_ms,
                    _ => ALWAYS,
                };
            }
        }
        let sorting = sorting(Kind::Leads, &body, "CreatedOn")?;
        let query = format!("lookup {name} {operator} {value} {}", self.user);
        let ids = self
            .account
            .window(Kind::Leads, &query, span, &sorting, |place, view| {
                compares(&field.string(place, view), operator, value) && self.sees(place, view)
            });
        let columns = render::columns(Kind::Leads, include(&body))?;
        let cut = paging(&body, LEADS_MAX)?;
        let mut out = Vec::new();
        self.render(Kind::Leads, &ids, &cut, &columns, Shape::Flat, &mut out);
        Ok(Reply::json(200, out))
    }

    /// Leads modified within a span of UTC whose ends both belong to it.
    fn leads_modified(&self) -> Result<Reply, Problem> {
        let body = self.json()?;
        let span = span(&body)?;
        let sorting = sorting(Kind::Leads, &body, "ModifiedOn")?;
        let query = format!("modified {}", self.user);
        let ids = self
            .account
            .window(Kind::Leads, &query, span, &sorting, |place, view| {
                self.sees(place, view)
            });
        let columns = render::columns(Kind::Leads, include(&body))?;
        let cut = paging(&body, MODIFIED_MAX)?;
        Ok(self.counted(
            "Leads",
            Kind::Leads,
            &ids,
            &cut,
            &columns,
            Shape::Properties,
        ))
    }

    /// Activities of a type by the time of their modification, not of what happened.
    fn activities(&self) -> Result<Reply, Problem> {
        let body = self.json()?;
        let span = span(&body)?;
        let event = number(&body["Parameter"]["ActivityEvent"]);
        let event = event.ok_or_else(|| Problem::missing("ActivityEvent"))?;
        let known = u32::try_from(event).ok().and_then(catalog::event_name);
        if known.is_none() {
            return Err(Problem::invalid(format!("Invalid ActivityEvent '{event}'")));
        }
        let sorting = sorting(Kind::Activities, &body, "ModifiedOn")?;
        let code = event.to_string();
        let field = find(Kind::Activities, "ActivityEvent");
        let query = format!("event {event} {}", self.user);
        let ids = self
            .account
            .window(Kind::Activities, &query, span, &sorting, |place, view| {
                let same = field.is_some_and(|field| field.string(place, view) == code);
                same && self.sees(place, view)
            });
        let columns = render::columns(Kind::Activities, include(&body))?;
        let cut = paging(&body, ACTIVITIES_MAX)?;
        Ok(self.counted("List", Kind::Activities, &ids, &cut, &columns, Shape::Flat))
    }

    /// One lead's activities. Here, and only here, places count from 0.
    fn activities_of_lead(&self) -> Result<Reply, Problem> {
        let lead = Kind::Leads.parse_id(self.parameter("leadId")?);
        let body = self.json()?;
        let event = number(&body["Parameter"]["ActivityEvent"]).map(|event| event.to_string());
        let whole = |name: &str, default: u64| match &body["Paging"][name] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .ok_or_else(|| Problem::invalid(format!("Invalid {name}"))),
        };
        let cut = Cut {
            skip: whole("Offset", 0)?,
            take: whole("RowCount", PAGE_DEFAULT)?,
        };
        if cut.take > ACTIVITIES_MAX {
            return Err(Problem::invalid("RowCount is too large"));
        }
        let account = self.account;
        let mut ids = lead
            .map(|lead| account.belongings(Kind::Activities, lead))
            .unwrap_or_default();
        let field = find(Kind::Activities, "ActivityEvent");
        account.with_place(Kind::Activities, |place| {
            ids.retain(|id| {
                let records = account.records(Kind::Activities);
                let fits = records.with_view(*id, |view| {
                    let code = field.map(|field| field.string(place, &view));
                    (event.is_none() || code == event) && self.sees(place, &view)
                });
                fits == Some(true)
            });
        });
        Ok(self.counted(
            "ProspectActivities",
            Kind::Activities,
            &ids,
            &cut,
            &Vec::new(),
            Shape::OfLead,
        ))
    }

    fn opportunity_code(&self, code: Option<&str>) -> Result<(), Problem> {
        let code = code.ok_or_else(|| Problem::missing("OpportunityEventCode"))?;
        if code != OPPORTUNITY_EVENT.to_string() {
            return Err(Problem::invalid(format!(
                "Invalid opportunity type '{code}'"
            )));
        }
        Ok(())
    }

    fn opportunities_of_lead(&self) -> Result<Reply, Problem> {
        let lead = Kind::Leads.parse_id(self.parameter("leadId")?);
        self.opportunity_code(self.query.get("opportunityType").map(String::as_str))?;
        let body = if self.body.is_empty() {
            Value::Null
        } else {
            self.json()?
        };
        let account = self.account;
        let ids = lead.map(|lead| account.belongings(Kind::Opportunities, lead));
        let columns = render::columns(Kind::Opportunities, include(&body))?;
        let cut = paging(&body, ACTIVITIES_MAX)?;
        let ids = ids.unwrap_or_default();
        Ok(self.counted(
            "List",
            Kind::Opportunities,
            &ids,
            &cut,
            &columns,
            Shape::Flat,
        ))
    }

    /// All opportunities of a type. The search that an administrator captures from the
    /// grid must be there; the simulator knows the one that asks for the type.
    fn opportunities(&self) -> Result<Reply, Problem> {
        let body = self.json()?;
        let code = number(&body["OpportunityEventCode"]).map(|code| code.to_string());
        self.opportunity_code(code.as_deref())?;
        let search = body.get("AdvancedSearch").and_then(Value::as_str);
        let search = search.ok_or_else(|| Problem::missing("AdvancedSearch"))?;
        let search: Value = serde_json::from_str(search)
            .map_err(|_malformed| Problem::invalid("AdvancedSearch is no valid JSON"))?;
        if !only_asks_for_type(&search) {
            return Err(Problem::invalid(
                "AdvancedSearch has conditions that are not supported",
            ));
        }
        if !self.user.is_empty() {
            return Err(Problem::exception(
                "MXPermissionDeniedException",
                "Only administrators may search opportunities",
            ));
        }
        let sorting = sorting(Kind::Opportunities, &body, "CreatedOn")?;
        let ids = self
            .account
            .window(Kind::Opportunities, "all", ALWAYS, &sorting, |_, _| true);
        let columns = render::columns(Kind::Opportunities, include(&body))?;
        let cut = paging(&body, ACTIVITIES_MAX)?;
        Ok(self.counted(
            "List",
            Kind::Opportunities,
            &ids,
            &cut,
            &columns,
            Shape::Flat,
        ))
    }

    fn counted(
        &self,
        key: &str,
        kind: Kind,
        ids: &[u64],
        cut: &Cut,
        columns: &Columns,
        shape: Shape,
    ) -> Reply {
        let mut out = format!("{{\"RecordCount\":{},\"{key}\":", ids.len()).into_bytes();
        self.render(kind, ids, cut, columns, shape, &mut out);
        out.push(b'}');
        Reply::json(200, out)
    }

    /// Appends the list of the records of a page, without those that are gone or hidden.
    fn render(
        &self,
        kind: Kind,
        ids: &[u64],
        cut: &Cut,
        columns: &Columns,
        shape: Shape,
        out: &mut Vec<u8>,
    ) {
        let skip = usize::try_from(cut.skip).unwrap_or(usize::MAX);
        let take = usize::try_from(cut.take)
            .unwrap_or(0)
            .min(short_page(&self.damage));
        let records = self.account.records(kind);
        let mut shown = 0_u64;
        out.push(b'[');
        self.account.with_place(kind, |place| {
            for id in ids.iter().skip(skip).take(take) {
                records.with_view(*id, |view| {
                    if view.archived_ms.is_some() || !self.sees(place, &view) {
                        return;
                    }
                    if shown > 0 {
                        out.push(b',');
                    }
                    shown += 1;
                    match shape {
                        Shape::Flat => render::flat(place, columns.iter().copied(), &view, out),
                        Shape::Properties => {
                            render::properties(place, columns.iter().copied(), &view, out);
                        }
                        Shape::OfLead => render::of_lead(place, &view, out),
                    }
                });
            }
        });
        out.push(b']');
        add(&self.account.meter.records, shown);
    }
}

/// Whether a captured search has no condition but the type.
fn only_asks_for_type(search: &Value) -> bool {
    let groups = search.get("Conditions").and_then(Value::as_array);
    let rows = groups
        .into_iter()
        .flatten()
        .map(|group| group.get("RowCondition"));
    let mut rows = rows.flat_map(|rows| rows.and_then(Value::as_array).into_iter().flatten());
    groups.is_some()
        && rows.all(|row| row.get("LSO").and_then(Value::as_str) == Some("ActivityEvent"))
}

/// A number, whichever way it is written.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn include(body: &Value) -> Option<&str> {
    body.get("Columns")?.get("Include_CSV")?.as_str()
}

/// The page that is asked for. Pages count from 1.
fn paging(body: &Value, max: u64) -> Result<Cut, Problem> {
    let paging = body.get("Paging").unwrap_or(&Value::Null);
    let whole = |name: &str, default: u64, max: u64| match paging.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => number(value)
            .filter(|number| (1..=max).contains(number))
            .ok_or_else(|| Problem::invalid(format!("{name} must be between 1 and {max}"))),
    };
    let index = whole("PageIndex", 1, u64::from(u32::MAX))?;
    let take = whole("PageSize", PAGE_DEFAULT, max)?;
    Ok(Cut {
        skip: (index - 1) * take,
        take,
    })
}

fn sorting(kind: Kind, body: &Value, default: &str) -> Result<Sorting, Problem> {
    let sorting = body.get("Sorting").unwrap_or(&Value::Null);
    let column = match sorting.get("ColumnName") {
        None | Some(Value::Null) => default,
        Some(column) => column.as_str().unwrap_or(""),
    };
    if find(kind, column).is_none() {
        return Err(Problem::invalid(format!("Invalid column '{column}'")));
    }
    let descending = match sorting.get("Direction").map(number) {
        None => true,
        Some(Some(direction @ (0 | 1))) => direction == 1,
        Some(_) => return Err(Problem::invalid("Direction must be 0 or 1")),
    };
    Ok(Sorting {
        column: column.to_owned(),
        descending,
    })
}

/// The span of a body, both ends within: whole seconds of UTC.
fn span(body: &Value) -> Result<RangeInclusive<i64>, Problem> {
    let parameter = body
        .get("Parameter")
        .ok_or_else(|| Problem::missing("Parameter"))?;
    let date = |name: &str| {
        let text = parameter.get(name).and_then(Value::as_str);
        let text = text.ok_or_else(|| Problem::missing(name))?;
        dates::parse(text).ok_or_else(|| Problem::invalid(format!("Invalid date '{text}'")))
    };
    Ok(date("FromDate")?..=date("ToDate")?)
}

/// Compares as a column of numbers does where both sides are numbers, else as texts:
/// dates in their one spelling are in order as texts.
fn compares(own: &str, operator: &str, value: &str) -> bool {
    let order = match (own.parse::<f64>(), value.parse::<f64>()) {
        (Ok(own), Ok(value)) => own.total_cmp(&value),
        _ => own.to_lowercase().cmp(&value.to_lowercase()),
    };
    match operator {
        "=" => order.is_eq(),
        "!=" | "<>" => order.is_ne(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "<" => order.is_lt(),
        _ => order.is_le(),
    }
}

impl Account {
    /// The live lead with this text in a field that names one lead.
    pub(crate) fn find_lead(&self, field: &str, text: &str) -> Option<u64> {
        let field = find(Kind::Leads, field)?;
        let records = self.records(Kind::Leads);
        let overlay = records.overlay();
        self.with_place(Kind::Leads, |place| {
            let holds = |view: &View<'_>| field.string(place, view).eq_ignore_ascii_case(text);
            let mut written = overlay.entries.iter();
            let written = written.find(|(id, entry)| {
                !entry.is_archived() && holds(&records.view_of(**id, entry, entry.current()))
            });
            if let Some((id, _)) = written {
                return Some(*id);
            }
            let index = text
                .split('@')
                .next()
                .and_then(|local| local.rsplit('-').next());
            let index = index.and_then(|digits| digits.parse().ok());
            let indices = match (field.name, index) {
                ("EmailAddress", Some(index)) if index < records.count => index..index + 1,
                ("EmailAddress", _) => 0..0,
                _ => records.indices(),
            };
            indices
                .map(|index| records.row(index))
                .filter(|row| !overlay.entries.contains_key(&row.id))
                .find(|row| holds(&base_view(*row)))
                .map(|row| row.id)
        })
    }
}
