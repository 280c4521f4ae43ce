//! Writes: contacts with their tags and companies, companies, and deletions.

use serde_json::{Map, Value, json};

use super::Exchange;
use super::route::Route;
use crate::control::{Changed, Changes as _, Steered as _};
use crate::intercom::catalog;
use crate::intercom::company;
use crate::intercom::contact::{self, written_text};
use crate::intercom::field::{Form, Source};
use crate::intercom::kind::Kind;
use crate::intercom::problem::Problem;
use crate::intercom::schema::{
    COMPANIES, COMPANY_ID, EMAIL, EXTERNAL_ID, ROLE, TAGS, WIPED, attributes, fields,
};
use crate::overlay::Changes;
use crate::reply::Reply;

type Object = Map<String, Value>;

impl Exchange<'_> {
    pub(super) fn write(&self, route: &Route) -> Result<Reply, Problem> {
        let _alone = self.account.alone();
        match route {
            Route::CreateContact => self.create_contact(),
            Route::UpdateContact(id) => self.update_contact(id),
            Route::ArchiveContact(id) => self.archive_contact(id),
            Route::UnarchiveContact(id) => self.unarchive_contact(id),
            Route::TagContact(id) => {
                let tag = self.object()?;
                let tag = tag.get("id").and_then(Value::as_str);
                self.tag(id, tag.ok_or_else(|| Problem::missing("id"))?, true)
            }
            Route::UntagContact(id, tag) => self.tag(id, tag, false),
            Route::AttachCompany(id) => {
                let company = self.object()?;
                let company = company.get("id").and_then(Value::as_str);
                self.attach(
                    id,
                    company.ok_or_else(|| Problem::missing("company"))?,
                    true,
                )
            }
            Route::DetachCompany(id, company) => self.attach(id, company, false),
            Route::UpsertCompany => self.upsert_company(),
            Route::Delete(kind, id) => self.delete(*kind, id),
            _ => Err(Problem::not_found("The requested resource was not found")),
        }
    }

    fn object(&self) -> Result<Object, Problem> {
        serde_json::from_slice(self.body)
            .map_err(|_malformed| Problem::bad_request("The request body is no valid JSON object"))
    }

    /// The columns that a body writes.
    fn changes(kind: Kind, body: &Object) -> Result<Changes, Problem> {
        let mut changes = Changes::new();
        let writable = fields(kind).iter().filter(|field| {
            !matches!(field.source, Source::Id | Source::Created | Source::Updated)
        });
        for field in writable {
            if let Some(value) = body.get(field.name) {
                changes.push((field.column, text(field.name, field.form, value)?));
            }
        }
        let custom = body.get("custom_attributes").and_then(Value::as_object);
        for (name, value) in custom.into_iter().flatten() {
            let field = attributes(kind).iter().find(|field| field.name == name);
            let missing = || {
                let message = format!("Custom attribute '{name}' does not exist");
                Problem::invalid(name, message)
            };
            let field = field.ok_or_else(missing)?;
            changes.push((field.column, text(name, field.form, value)?));
        }
        Ok(changes)
    }

    fn create_contact(&self) -> Result<Reply, Problem> {
        let account = self.account;
        let body = self.object()?;
        let mut changes = Exchange::changes(Kind::Contacts, &body)?;
        let role = role(&body)?.unwrap_or("user");
        let given = |column| {
            let found = changes.iter().find(|(at, _)| *at == column);
            found.and_then(|(_, text)| text.as_deref())
        };
        if given(EMAIL).is_none() && given(EXTERNAL_ID).is_none() && role == "user" {
            return Err(Problem::missing("email or external_id"));
        }
        if role == "user" {
            for (name, column) in [("external_id", EXTERNAL_ID), ("email", EMAIL)] {
                self.check_free(name, given(column), None)?;
            }
        } else {
            changes.retain(|(column, _)| *column != EXTERNAL_ID);
            changes.push((EXTERNAL_ID, Some(account.uuid().into())));
        }
        changes.retain(|(column, _)| *column != ROLE);
        changes.push((ROLE, Some(role.into())));
        let write = account.write(Kind::Contacts, account.clock.now_ms(), changes);
        let records = account.records(Kind::Contacts);
        let id = records.create_blank(write, |_, _| Changes::new());
        account.changed(Kind::Contacts, id, Changed::Created, &[]);
        self.read(Kind::Contacts, &Kind::Contacts.wire_id(id))
    }

    /// Refuses an identity that another user has, archived users included.
    fn check_free(&self, name: &str, text: Option<&str>, own: Option<u64>) -> Result<(), Problem> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(());
        };
        let account = self.account;
        let records = account.records(Kind::Contacts);
        let user = |id: &u64| {
            records.with_view(*id, |view| !crate::intercom::field::is_lead(&view)) == Some(true)
        };
        let live = account.find(Kind::Contacts, name, text).filter(user);
        if let Some(id) = live.filter(|id| Some(*id) != own) {
            return Err(Problem::conflict(&Kind::Contacts.wire_id(id), false));
        }
        match account
            .find_archived(Kind::Contacts, name, text)
            .filter(user)
        {
            Some(id) => Err(Problem::conflict(&Kind::Contacts.wire_id(id), true)),
            None => Ok(()),
        }
    }

    fn update_contact(&self, text: &str) -> Result<Reply, Problem> {
        let id = self.live(Kind::Contacts, text)?;
        let body = self.object()?;
        let mut changes = Exchange::changes(Kind::Contacts, &body)?;
        let records = self.account.records(Kind::Contacts);
        let lead = records.with_view(id, |view| crate::intercom::field::is_lead(&view));
        let lead = lead == Some(true);
        changes.retain(|(column, _)| *column != ROLE);
        let stays_lead = match role(&body)? {
            Some("lead") if !lead => {
                return Err(Problem::client_error(
                    "Contact with user role can't be converted to a lead",
                ));
            }
            Some("user") if lead => {
                changes.push((ROLE, Some("user".into())));
                false
            }
            _ => lead,
        };
        if stays_lead {
            // The API keeps the id that it assigned itself.
            changes.retain(|(column, _)| *column != EXTERNAL_ID);
        } else {
            for (name, column) in [("external_id", EXTERNAL_ID), ("email", EMAIL)] {
                let given = changes.iter().find(|(at, _)| *at == column);
                let given = given.and_then(|(_, text)| text.as_deref());
                self.check_free(name, given, Some(id))?;
            }
        }
        self.edit(Kind::Contacts, id, changes);
        self.read(Kind::Contacts, text)
    }

    /// Writes what differs; what stays as it was is no modification.
    fn edit(&self, kind: Kind, id: u64, mut changes: Changes) {
        let account = self.account;
        let config = &account.config;
        let records = account.records(kind);
        records.with_view(id, |view| {
            changes.retain(|(column, text)| {
                let known = fields(kind).iter().chain(attributes(kind));
                let mut known = known.filter(|field| field.column == *column);
                let mut old = Vec::new();
                let old = known
                    .next()
                    .and_then(|field| field.text(kind, config, &view, &mut old).then_some(old));
                let unwritten = view.blank && view.written(*column).is_none();
                unwritten || old.as_deref() != text.as_deref().map(str::as_bytes)
            });
        });
        if changes.is_empty() {
            return;
        }
        let write = account.write(kind, account.clock.now_ms(), changes);
        if records.edit(id, write).is_some() {
            account.changed(kind, id, Changed::Edited, &[]);
        }
    }

    fn archive_contact(&self, text: &str) -> Result<Reply, Problem> {
        let id = self.live(Kind::Contacts, text)?;
        let now_ms = self.account.clock.now_ms();
        let records = self.account.records(Kind::Contacts);
        let external_id = self.external_id(id);
        records.archive(id, now_ms, now_ms);
        self.account
            .changed(Kind::Contacts, id, Changed::Deleted, &[]);
        Ok(self.fate(Kind::Contacts, text, external_id, "archived", true))
    }

    fn unarchive_contact(&self, text: &str) -> Result<Reply, Problem> {
        let account = self.account;
        let records = account.records(Kind::Contacts);
        let id = Kind::Contacts
            .parse_id(text)
            .ok_or_else(Problem::no_contact)?;
        let wiped = records.with_view(id, |view| view.written(WIPED).is_some());
        if wiped.ok_or_else(Problem::no_contact)? {
            return Err(Problem::bad_request(
                "User has been marked for permanent deletion and is not restorable.",
            ));
        }
        let write = account.write(Kind::Contacts, account.clock.now_ms(), Changes::new());
        if records.undelete(id, write).is_some() {
            account.changed(Kind::Contacts, id, Changed::Undeleted, &[]);
        }
        let external_id = self.external_id(id);
        Ok(self.fate(Kind::Contacts, text, external_id, "archived", false))
    }

    fn external_id(&self, id: u64) -> Value {
        let records = self.account.records(Kind::Contacts);
        let text = records.with_view(id, |view| {
            let mut out = Vec::new();
            let field = fields(Kind::Contacts)
                .iter()
                .find(|field| field.column == EXTERNAL_ID)?;
            let present = field.text(Kind::Contacts, &self.account.config, &view, &mut out);
            present.then(|| String::from_utf8(out).unwrap_or_default())
        });
        json!(text.flatten())
    }

    /// What became of a record, in the words of the request's version.
    fn fate(&self, kind: Kind, id: &str, external_id: Value, fate: &str, is: bool) -> Reply {
        let singular = match kind {
            Kind::Contacts => "contact",
            Kind::Companies => "company",
            Kind::Conversations => "conversation",
        };
        let mut answer = json!({"id": id, fate: is});
        if kind != Kind::Contacts || self.version.says_object() {
            answer["object"] = json!(singular);
        } else {
            answer["type"] = json!(singular);
            answer["external_id"] = external_id;
        }
        Reply::value(200, &answer)
    }

    fn delete(&self, kind: Kind, text: &str) -> Result<Reply, Problem> {
        let id = self.live(kind, text)?;
        let external_id = match kind {
            Kind::Contacts => self.external_id(id),
            _ => Value::Null,
        };
        let account = self.account;
        account.wipe(kind, id, account.clock.now_ms());
        account.changed(kind, id, Changed::Deleted, &[]);
        Ok(self.fate(kind, text, external_id, "deleted", true))
    }

    /// Tags a contact or takes a tag from it; either modifies the contact.
    fn tag(&self, contact: &str, tag: &str, on: bool) -> Result<Reply, Problem> {
        let id = self.live(Kind::Contacts, contact)?;
        let place = catalog::tag_place(tag).ok_or_else(Problem::no_tag)?;
        let records = self.account.records(Kind::Contacts);
        let tags = records.with_view(id, |view| contact::tags(&view));
        let mut tags = tags.unwrap_or_default();
        self.edit_members(id, TAGS, &mut tags, place, on);
        Ok(Reply::value(200, &catalog::tag(place)))
    }

    fn attach(&self, contact: &str, company: &str, on: bool) -> Result<Reply, Problem> {
        let account = self.account;
        let id = self.live(Kind::Contacts, contact)?;
        let company_id = self.live(Kind::Companies, company)?;
        let records = account.records(Kind::Contacts);
        let companies = records.with_view(id, |view| company::of_contact(account, &view));
        let mut companies = companies.unwrap_or_default();
        self.edit_members(id, COMPANIES, &mut companies, company_id, on);
        self.read(Kind::Companies, company)
    }

    fn edit_members<T>(&self, id: u64, column: u16, members: &mut Vec<T>, member: T, on: bool)
    where
        T: PartialEq + ToString,
    {
        let present = members.contains(&member);
        if present == on {
            return;
        }
        if on {
            members.push(member);
        } else {
            members.retain(|known| *known != member);
        }
        let text: Vec<String> = members.iter().map(T::to_string).collect();
        self.edit(
            Kind::Contacts,
            id,
            vec![(column, Some(text.join(",").into()))],
        );
    }

    /// Creates the company with this number of the client's own, or updates it.
    fn upsert_company(&self) -> Result<Reply, Problem> {
        let account = self.account;
        let body = self.object()?;
        let changes = Exchange::changes(Kind::Companies, &body)?;
        let own = changes.iter().find(|(column, _)| *column == COMPANY_ID);
        let own = own.and_then(|(_, text)| text.clone());
        let own = own.ok_or_else(|| Problem::missing("company_id"))?;
        let id = match account.find(Kind::Companies, "company_id", &own) {
            Some(id) => {
                self.edit(Kind::Companies, id, changes);
                id
            }
            None => {
                let write = account.write(Kind::Companies, account.clock.now_ms(), changes);
                let records = account.records(Kind::Companies);
                let id = records.create_blank(write, |_, _| Changes::new());
                account.changed(Kind::Companies, id, Changed::Created, &[]);
                id
            }
        };
        self.read(Kind::Companies, &Kind::Companies.wire_id(id))
    }
}

fn role(body: &Object) -> Result<Option<&str>, Problem> {
    match body.get("role") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(role)) if matches!(role.as_str(), "user" | "lead") => Ok(Some(role)),
        Some(_) => Err(Problem::invalid("role", "role must be user or lead")),
    }
}

fn text(name: &str, form: Form, value: &Value) -> Result<Option<Box<str>>, Problem> {
    if value.is_null() {
        return Ok(None);
    }
    let text = written_text(form, value);
    let mistyped = || Problem::invalid(name, format!("{name} has the wrong type"));
    text.map(Some).ok_or_else(mistyped)
}
