//! Writes: leads one by one and in bulk, activities, and deletions.

use serde_json::{Value, json};

use super::Exchange;
use super::route::Route;
use crate::control::{Changed, Changes as _, Steered as _};
use crate::leadsquared::catalog;
use crate::leadsquared::dates;
use crate::leadsquared::kind::Kind;
use crate::leadsquared::problem::Problem;
use crate::leadsquared::schema::{AUTO_ID, EMAIL, EVENT, LEAD, NOTE, PHONE, find};
use crate::overlay::Changes;
use crate::reply::Reply;

/// Leads in a bulk call at most.
const BULK_MAX: usize = 50;
const BULK_UPSERT_MAX: usize = 25;

/// Attributes with their values; a null leaves what is there.
type Attributes = Vec<(String, String)>;

/// What a write did to a lead.
enum Done {
    Created(u64),
    Updated(u64),
}

impl Exchange<'_> {
    pub(super) fn write(&self) -> Result<Reply, Problem> {
        let _alone = self.account.alone();
        let message = match self.route {
            Route::CreateLead => {
                let id = self.create(&attributes(&self.json()?)?)?;
                json!({"Id": Kind::Leads.wire_id(id)})
            }
            Route::UpdateLead => {
                let id = Kind::Leads.parse_id(self.parameter("leadId")?);
                let id = id.ok_or_else(|| Problem::invalid("Lead not found"))?;
                self.update(id, &attributes(&self.json()?)?)?;
                json!({"AffectedRows": 1})
            }
            Route::UpsertLead | Route::CaptureLead => {
                match self.upsert(attributes(&self.json()?)?)? {
                    Done::Created(id) | Done::Updated(id) => {
                        json!({"Id": Kind::Leads.wire_id(id), "AffectedRows": 1})
                    }
                }
            }
            Route::BulkCreate => {
                return self.bulk(BULK_MAX, |row| self.create(&row).map(Done::Created));
            }
            Route::BulkUpsert => return self.bulk(BULK_UPSERT_MAX, |row| self.upsert(row)),
            Route::BulkUpdate => json!({"AffectedRows": self.bulk_update()?}),
            Route::CreateActivity => self.create_activity()?,
            _ => return self.delete(),
        };
        Ok(Reply::value(
            200,
            &json!({"Status": "Success", "Message": message}),
        ))
    }

    /// The columns that attributes write.
    fn changes(&self, given: &Attributes) -> Result<Changes, Problem> {
        let mut changes = Changes::new();
        for (name, value) in given {
            let field = find(Kind::Leads, name)
                .filter(|field| field.column < 40 && field.column > AUTO_ID || field.column == 42)
                .ok_or_else(|| Problem::invalid(format!("Invalid attribute '{name}'")))?;
            if value.to_lowercase().contains("<script") {
                return Err(Problem::script(name));
            }
            if value.is_empty() && self.account.config.mandatory.contains(name) {
                return Err(Problem::missing(name));
            }
            changes.push((field.column, Some(value.as_str().into())));
        }
        Ok(changes)
    }

    /// Refuses an address or a number that another lead has.
    fn check_free(&self, changes: &Changes, own: Option<u64>) -> Result<(), Problem> {
        for (column, name) in [(EMAIL, "EmailAddress"), (PHONE, "Phone")] {
            let given = changes.iter().find(|(at, _)| *at == column);
            let Some(text) = given.and_then(|(_, text)| text.as_deref()) else {
                continue;
            };
            let taken = self.account.find_lead(name, text);
            if !text.is_empty() && taken.is_some_and(|id| Some(id) != own) {
                return Err(Problem::duplicate(text, name));
            }
        }
        Ok(())
    }

    fn create(&self, given: &Attributes) -> Result<u64, Problem> {
        let account = self.account;
        let changes = self.changes(given)?;
        let has = |name: &str| {
            given
                .iter()
                .any(|(known, value)| known == name && !value.is_empty())
        };
        if !has("EmailAddress") && !has("Phone") {
            return Err(Problem::missing("EmailAddress"));
        }
        if let Some(name) = account.config.mandatory.iter().find(|name| !has(name)) {
            return Err(Problem::missing(name));
        }
        self.check_free(&changes, None)?;
        let records = account.records(Kind::Leads);
        let write = account.write(Kind::Leads, account.clock.now_ms(), changes);
        let number = u64::from(records.count) + 1 + account.serial();
        let id = records.create_blank(write, |_, _| {
            vec![(AUTO_ID, Some(number.to_string().into()))]
        });
        account.changed(Kind::Leads, id, Changed::Created, &[]);
        Ok(id)
    }

    fn update(&self, id: u64, given: &Attributes) -> Result<(), Problem> {
        let account = self.account;
        let changes = self.changes(given)?;
        if given.iter().any(|(name, _)| name == "LeadType") {
            return Err(Problem::invalid("LeadType cannot be changed"));
        }
        self.check_free(&changes, Some(id))?;
        let write = account.write(Kind::Leads, account.clock.now_ms(), changes);
        let edited = account.records(Kind::Leads).edit(id, write);
        edited.ok_or_else(|| Problem::invalid("Lead not found"))?;
        account.changed(Kind::Leads, id, Changed::Edited, &[]);
        Ok(())
    }

    /// Updates the lead with the same address, or the same number, or the same value of
    /// the attribute that `SearchBy` names; creates one where there is none.
    fn upsert(&self, mut given: Attributes) -> Result<Done, Problem> {
        let by = given.iter().position(|(name, _)| name == "SearchBy");
        let by = by.map(|place| given.remove(place).1);
        let value = |name: &str| {
            let found = given
                .iter()
                .find(|(known, value)| known == name && !value.is_empty());
            found.map(|(_, value)| value.as_str())
        };
        let names = match &by {
            Some(name) => vec![name.as_str()],
            None => vec!["EmailAddress", "Phone"],
        };
        if by.is_some() && names.iter().all(|name| value(name).is_none()) {
            return Err(Problem::missing(names[0]));
        }
        let found = names.iter().find_map(|name| match *name {
            "ProspectID" => Kind::Leads.parse_id(value(name)?),
            name => self.account.find_lead(name, value(name)?),
        });
        given.retain(|(name, _)| name != "ProspectID");
        match found {
            Some(id) => self.update(id, &given).map(|()| Done::Updated(id)),
            None => self.create(&given).map(Done::Created),
        }
    }

    /// Writes each row for itself; one that fails says so in its own result.
    fn bulk(
        &self,
        max: usize,
        write: impl Fn(Attributes) -> Result<Done, Problem>,
    ) -> Result<Reply, Problem> {
        let body = self.json()?;
        let rows = body.as_array().ok_or_else(Problem::malformed)?;
        if rows.len() > max {
            return Err(Problem::invalid(format!("At most {max} leads are allowed")));
        }
        let results = rows.iter().zip(1_u64..).map(|(row, number)| {
            let done = attributes(row).and_then(&write);
            let mut result = json!({"RowNumber": number});
            match done {
                Ok(done) => {
                    let (id, created) = match done {
                        Done::Created(id) => (id, true),
                        Done::Updated(id) => (id, false),
                    };
                    result["LeadId"] = json!(Kind::Leads.wire_id(id));
                    result["LeadCreated"] = json!(created);
                    result["LeadUpdated"] = json!(!created);
                    result["AffectedRows"] = json!(1);
                }
                Err(problem) => {
                    let error: Value = serde_json::from_slice(&problem.body()).unwrap_or_default();
                    result["LeadCreated"] = json!(false);
                    result["LeadUpdated"] = json!(false);
                    result["AffectedRows"] = json!(0);
                    result["ExceptionType"] = error["ExceptionType"].clone();
                    result["ExceptionMessage"] = error["ExceptionMessage"].clone();
                }
            }
            result
        });
        Ok(Reply::value(200, &Value::Array(results.collect())))
    }

    /// One field of up to fifty leads.
    fn bulk_update(&self) -> Result<usize, Problem> {
        let body = self.json()?;
        let ids = body.get("LeadIds").and_then(Value::as_array);
        let ids = ids.ok_or_else(Problem::malformed)?;
        if ids.len() > BULK_MAX {
            return Err(Problem::invalid(format!(
                "At most {BULK_MAX} leads are allowed"
            )));
        }
        let field = body.get("LeadFields").ok_or_else(Problem::malformed)?;
        let given = attributes(&json!([field]))?;
        let ids = ids
            .iter()
            .filter_map(|id| Kind::Leads.parse_id(id.as_str()?));
        let written = ids
            .map(|id| self.update(id, &given))
            .collect::<Result<Vec<()>, Problem>>();
        Ok(written?.len())
    }

    fn create_activity(&self) -> Result<Value, Problem> {
        let account = self.account;
        let body = self.json()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let lead =
            text("RelatedProspectId").ok_or_else(|| Problem::missing("RelatedProspectId"))?;
        let lead_id = Kind::Leads.parse_id(lead).filter(|id| {
            let leads = account.records(Kind::Leads);
            leads.with_view(*id, |view| view.archived_ms.is_none()) == Some(true)
        });
        let lead_id = lead_id.ok_or_else(|| Problem::invalid("Lead not found"))?;
        let event = body.get("ActivityEvent").and_then(Value::as_u64);
        let event = event.ok_or_else(|| Problem::missing("ActivityEvent"))?;
        if u32::try_from(event)
            .ok()
            .and_then(catalog::event_name)
            .is_none()
        {
            return Err(Problem::invalid(format!("Invalid ActivityEvent '{event}'")));
        }
        let now_ms = account.clock.now_ms();
        let at_ms = match text("ActivityDateTime") {
            None => now_ms,
            Some(date) => dates::parse(date)
                .ok_or_else(|| Problem::invalid(format!("Invalid date '{date}'")))?,
        };
        let mut changes: Changes = vec![
            (LEAD, Some(Kind::Leads.wire_id(lead_id).into())),
            (EVENT, Some(event.to_string().into())),
            (NOTE, text("ActivityNote").map(Box::from)),
        ];
        for field in body
            .get("Fields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = field
                .get("SchemaName")
                .and_then(Value::as_str)
                .unwrap_or("");
            let known =
                find(Kind::Activities, name).filter(|field| (5..40).contains(&field.column));
            let known = known.ok_or_else(|| {
                Problem::exception(
                    "MXInvalidActivityFieldsException",
                    format!("Invalid field '{name}'"),
                )
            })?;
            let value = field.get("Value").and_then(Value::as_str);
            changes.push((known.column, value.map(Box::from)));
        }
        let write = account.write(Kind::Activities, at_ms, changes);
        let records = account.records(Kind::Activities);
        let id = records.create_blank(write, |_, _| Changes::new());
        // It was there from the time it names, and modified when it was written.
        let write = account.write(Kind::Activities, now_ms, Changes::new());
        records.edit(id, write);
        account.changed(Kind::Activities, id, Changed::Created, &[]);
        if account.config.activities_touch_leads {
            let write = account.write(Kind::Leads, now_ms, Changes::new());
            account.records(Kind::Leads).edit(lead_id, write);
            account.changed(Kind::Leads, lead_id, Changed::Edited, &[]);
        }
        Ok(json!({"Id": Kind::Activities.wire_id(id)}))
    }

    /// A deletion for good, of the lead and of all that belongs to it.
    fn delete(&self) -> Result<Reply, Problem> {
        let account = self.account;
        let id = Kind::Leads.parse_id(self.parameter("leadId")?);
        if !account.config.deletes {
            return Err(Problem::exception(
                "MXPermissionDeniedException",
                "Lead deletion is not enabled for this account",
            ));
        }
        let deleted = id.is_some_and(|id| account.wipe(Kind::Leads, id, account.clock.now_ms()));
        if !deleted {
            return Err(Problem::invalid("Lead not found"));
        }
        Ok(Reply::value(200, &json!({"Status": "Success"})))
    }
}

/// Reads a list of attributes; nulls are left out.
fn attributes(body: &Value) -> Result<Attributes, Problem> {
    let list = body.as_array().ok_or_else(Problem::malformed)?;
    let mut given = Attributes::new();
    for pair in list {
        let name = pair.get("Attribute").and_then(Value::as_str);
        let name = name.ok_or_else(Problem::malformed)?;
        match pair.get("Value") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => given.push((name.to_owned(), text.clone())),
            Some(Value::Number(number)) => given.push((name.to_owned(), number.to_string())),
            Some(Value::Bool(flag)) => given.push((name.to_owned(), u8::from(*flag).to_string())),
            Some(_) => return Err(Problem::malformed()),
        }
    }
    Ok(given)
}
