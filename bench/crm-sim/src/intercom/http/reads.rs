//! Single records, what hangs on them, and the workspace's catalogs.

use serde_json::{Value, json};

use super::Exchange;
use super::route::Route;
use crate::intercom::account::Account;
use crate::intercom::catalog;
use crate::intercom::company;
use crate::intercom::contact;
use crate::intercom::conversation::{self, Bodies};
use crate::intercom::kind::Kind;
use crate::intercom::problem::Problem;
use crate::meter::add;
use crate::reply::Reply;

impl Exchange<'_> {
    pub(super) fn dispatch(&self) -> Result<Reply, Problem> {
        let account = self.account;
        let config = &account.config;
        let value = |value: Value| Ok(Reply::value(200, &value));
        match self.route {
            Route::Me => value(catalog::me(account)),
            Route::Admins => value(catalog::admins(config)),
            Route::Admin(id) => (0..config.admins)
                .find(|place| catalog::admin_id(*place).to_string() == *id)
                .map(|place| Reply::value(200, &catalog::admin(config, place)))
                .ok_or_else(Problem::no_admin),
            Route::Teams => value(catalog::teams(config)),
            Route::Team(id) => (0..config.teams)
                .find(|place| catalog::team_id(*place).to_string() == *id)
                .map(|place| Reply::value(200, &catalog::team(config, place)))
                .ok_or_else(|| Problem::not_found("Team not found")),
            Route::Tags => value(catalog::tags()),
            Route::Segments => value(catalog::segments()),
            Route::Attributes => self.attributes(),
            Route::List(Kind::Companies) => self.companies(),
            Route::List(kind) => self.list(*kind),
            Route::Search(kind) => self.search(*kind),
            Route::Scroll => self.scroll(),
            Route::Read(kind, id) => self.read(*kind, id),
            Route::ContactByExternalId(external_id) => {
                let id = account.find(Kind::Contacts, "external_id", external_id);
                let id = id.ok_or_else(Problem::no_contact)?;
                self.read(Kind::Contacts, &Kind::Contacts.wire_id(id))
            }
            Route::ContactTags(id) => self.contact_tags(id),
            Route::ContactNotes(id) => {
                self.live(Kind::Contacts, id)?;
                value(json!({"type": "list", "data": [], "total_count": 0, "pages": one_page(0)}))
            }
            Route::ContactCompanies(id) => self.contact_companies(id),
            Route::CompanyContacts(id) => self.company_contacts(id),
            Route::DeletedConversations => self.deleted_conversations(),
            _ => self.write(self.route),
        }
    }

    fn attributes(&self) -> Result<Reply, Problem> {
        let kinds: &[Kind] = match self.query.get("model").map(String::as_str) {
            None => &[Kind::Contacts, Kind::Companies],
            Some("contact") => &[Kind::Contacts],
            Some("company") => &[Kind::Companies],
            Some(_) => {
                return Err(Problem::invalid(
                    "model",
                    "model must be contact or company",
                ));
            }
        };
        let data = kinds
            .iter()
            .flat_map(|kind| catalog::data_attributes(*kind, self.version));
        let data: Vec<Value> = data.collect();
        Ok(Reply::value(200, &json!({"type": "list", "data": data})))
    }

    /// The id of a live record.
    pub(super) fn live(&self, kind: Kind, text: &str) -> Result<u64, Problem> {
        let missing = || match kind {
            Kind::Contacts => Problem::no_contact(),
            Kind::Companies => Problem::no_company(),
            Kind::Conversations => Problem::not_found("Resource Not Found"),
        };
        let id = kind.parse_id(text).ok_or_else(missing)?;
        let records = self.account.records(kind);
        let live = records.with_view(id, |view| view.archived_ms.is_none());
        if live == Some(true) {
            Ok(id)
        } else {
            Err(missing())
        }
    }

    pub(super) fn read(&self, kind: Kind, id: &str) -> Result<Reply, Problem> {
        let id = self.live(kind, id)?;
        let account = self.account;
        let mut out = Vec::with_capacity(Account::record_bytes(kind) * 4);
        account.records(kind).with_view(id, |view| match kind {
            Kind::Conversations => {
                let plain = self.query.get("display_as").map(String::as_str) == Some("plaintext");
                let bodies = if plain { Bodies::Plain } else { Bodies::Html };
                conversation::record(account, &view, bodies, true, &mut out);
            }
            _ => account.render(kind, self.version, &view, &mut out),
        });
        add(&account.meter.records, 1);
        Ok(Reply::json(200, out))
    }

    fn contact_tags(&self, id: &str) -> Result<Reply, Problem> {
        let id = self.live(Kind::Contacts, id)?;
        let contacts = self.account.records(Kind::Contacts);
        let tags = contacts.with_view(id, |view| contact::tags(&view));
        let tags = tags.unwrap_or_default().into_iter().map(catalog::tag);
        let tags: Vec<Value> = tags.collect();
        Ok(Reply::value(200, &json!({"type": "list", "data": tags})))
    }

    fn contact_companies(&self, id: &str) -> Result<Reply, Problem> {
        let id = self.live(Kind::Contacts, id)?;
        let account = self.account;
        let contacts = account.records(Kind::Contacts);
        let companies = contacts.with_view(id, |view| company::of_contact(account, &view));
        let companies = companies.unwrap_or_default();
        let records = account.records(Kind::Companies);
        let mut out = br#"{"type":"list","data":["#.to_vec();
        for (place, id) in companies.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            records.with_view(*id, |view| company::record(account, &view, &mut out));
        }
        let total = companies.len();
        out.extend_from_slice(
            format!("],\"total_count\":{total},\"pages\":{}}}", one_page(total)).as_bytes(),
        );
        Ok(Reply::json(200, out))
    }
}

/// The `pages` of a list that is always complete.
fn one_page(total: usize) -> Value {
    json!({"type": "pages", "next": null, "page": 1, "per_page": 50, "total_pages": total.div_ceil(50)})
}

impl Account {
    /// The live record with this text in a field that names one record. A look at
    /// every record: only single reads and writes ask for it.
    pub(crate) fn find(&self, kind: Kind, field: &str, text: &str) -> Option<u64> {
        self.find_among(kind, field, text, false)
    }

    /// The same among archived records.
    pub(crate) fn find_archived(&self, kind: Kind, field: &str, text: &str) -> Option<u64> {
        self.find_among(kind, field, text, true)
    }

    fn find_among(&self, kind: Kind, field: &str, text: &str, archived: bool) -> Option<u64> {
        let field = crate::intercom::schema::find(kind, field)?;
        let records = self.records(kind);
        let mut scratch = Vec::new();
        let mut holds = |view: &crate::records::View<'_>| {
            scratch.clear();
            field.text(kind, &self.config, view, &mut scratch)
                && scratch.eq_ignore_ascii_case(text.as_bytes())
        };
        let overlay = records.overlay();
        let written = overlay.entries.iter().find(|(id, entry)| {
            entry.is_archived() == archived && holds(&records.view_of(**id, entry, entry.current()))
        });
        if let Some((id, _)) = written {
            return Some(*id);
        }
        if archived {
            return None;
        }
        // Generated values of such fields end in the index.
        let digits = text.split('@').next().unwrap_or(text);
        let digits = digits
            .rsplit('-')
            .next()
            .and_then(|digits| digits.parse().ok());
        let indices = match (digits, field.name) {
            (Some(index), "email" | "external_id" | "company_id") if index < records.count => {
                index..index + 1
            }
            (_, "email" | "company_id") => 0..0,
            _ => records.indices(),
        };
        indices
            .map(|index| records.row(index))
            .filter(|row| !overlay.entries.contains_key(&row.id))
            .find(|row| holds(&crate::records::base_view(*row)))
            .map(|row| row.id)
    }
}
