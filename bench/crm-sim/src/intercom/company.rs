//! Companies as JSON text, and which contacts belong to them.

use std::io::Write as _;

use crate::intercom::account::Account;
use crate::intercom::contact::{attributes, numbers};
use crate::intercom::kind::Kind;
use crate::intercom::schema::{COMPANIES, COMPANY, COMPANY_ATTRIBUTES};
use crate::overlay::Origin;
use crate::records::{Records, View};

/// The generous size of one company, for reserving buffers.
pub(crate) const BYTES: usize = 800;
/// Companies of the one contact in [`SOCIABLE`] that has many.
const MANY: u32 = 12;
const SOCIABLE: u32 = 40;

/// Appends one company.
pub(crate) fn record(account: &Account, view: &View<'_>, out: &mut Vec<u8>) {
    let config = &account.config;
    let id = Kind::Companies.wire_id(view.row.id);
    let users = user_count(account, view);
    // Writing to memory cannot fail.
    let _written = write!(
        out,
        "{{\"type\":\"company\",\"id\":\"{id}\",\"app_id\":\"{}\",\"user_count\":{users}",
        config.workspace_id
    );
    for field in &COMPANY[1..] {
        let _written = write!(out, ",\"{}\":", field.name);
        field.json(Kind::Companies, config, view, out);
    }
    out.extend_from_slice(b",\"size\":null,\"plan\":{},\"tags\":{\"type\":\"tag.list\",\"tags\":[]},\"segments\":{\"type\":\"segment.list\",\"segments\":[]},\"custom_attributes\":");
    attributes(&COMPANY_ATTRIBUTES, Kind::Companies, account, view, out);
    out.push(b'}');
}

/// Ids of the live companies of a contact.
pub(crate) fn of_contact(account: &Account, view: &View<'_>) -> Vec<u64> {
    let companies = account.records(Kind::Companies);
    let ids: Vec<u64> = match view.written(COMPANIES) {
        Some(text) => numbers(text.unwrap_or("")),
        None if view.blank || companies.count == 0 => Vec::new(),
        None => {
            let index = u32::try_from(view.row.index).unwrap_or(u32::MAX);
            let first = index % companies.count;
            let steps = 0..memberships(index, companies.count);
            steps
                .map(|step| companies.row((first + step) % companies.count).id)
                .collect()
        }
    };
    let gone = account.gone();
    ids.into_iter().filter(|id| !gone.contains(id)).collect()
}

/// How many companies a generated contact belongs to. The first contacts belong to
/// one each, so that every company has somebody.
fn memberships(contact: u32, companies: u32) -> u32 {
    let wanted = match contact {
        _ if contact % SOCIABLE == 7 => MANY,
        _ if contact % 4 == 3 && contact >= companies => 0,
        _ => 1,
    };
    wanted.min(companies)
}

/// Ids of the live contacts of a company, in the order of ids.
pub(crate) fn members(account: &Account, company: u64) -> Vec<u64> {
    let contacts = account.records(Kind::Contacts);
    let companies = account.records(Kind::Companies);
    let overlay = contacts.overlay();
    let generated = generated_members(contacts, companies, company);
    let mut found: Vec<u64> = generated
        .filter(|id| !overlay.entries.contains_key(id))
        .collect();
    let written = overlay
        .entries
        .iter()
        .filter(|(_, entry)| !entry.is_archived());
    let written = written.filter(|(id, entry)| {
        let view = contacts.view_of(**id, entry, entry.current());
        match (view.written(COMPANIES), entry.origin) {
            (Some(text), _) => numbers(text.unwrap_or("")).contains(&company),
            (None, Origin::Blank) => false,
            (None, _) => companies.index_of(company).is_some_and(|index| {
                let contact = u32::try_from(view.row.index).unwrap_or(u32::MAX);
                let step = (index + companies.count - contact % companies.count) % companies.count;
                step < memberships(contact, companies.count)
            }),
        }
    });
    found.extend(written.map(|(id, _)| *id));
    found.sort_unstable();
    found
}

/// Ids of the generated contacts that a generated company was given.
fn generated_members<'a>(
    contacts: &'a Records,
    companies: &'a Records,
    company: u64,
) -> impl Iterator<Item = u64> + 'a {
    let index = companies.index_of(company).into_iter();
    index.flat_map(move |index| {
        (0..MANY.min(companies.count)).flat_map(move |step| {
            let first = (index + companies.count - step) % companies.count;
            let same = (first..contacts.count).step_by(companies.count as usize);
            same.filter(move |contact| memberships(*contact, companies.count) > step)
                .map(|contact| contacts.row(contact).id)
        })
    })
}

/// The figure that a company shows. It follows the deletions of the contacts that the
/// company was generated with, and is exact for the others.
fn user_count(account: &Account, view: &View<'_>) -> usize {
    if view.blank {
        return members(account, view.row.id).len();
    }
    let contacts = account.records(Kind::Contacts);
    let overlay = contacts.overlay();
    generated_members(contacts, account.records(Kind::Companies), view.row.id)
        .filter(|id| !overlay.archived.contains(id))
        .count()
}

/// Whether anybody belongs to a company; the API hides those without.
pub(crate) fn is_visible(account: &Account, view: &View<'_>) -> bool {
    !view.blank || !members(account, view.row.id).is_empty()
}
