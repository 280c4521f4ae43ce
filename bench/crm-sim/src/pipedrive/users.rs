//! The people who work at the simulated company.

use serde_json::{Map, Value, json};

use crate::generate::mix;
use crate::pipedrive::schema::{FIRST_USER_ID, USERS};

const NAMES: [&str; 12] = [
    "Dev Engineer",
    "Zoë Müller",
    "Łukasz Nowak",
    "Ada O'Brien",
    "Søren Larsen",
    "Priya Rao",
    "Chinedu Okafor",
    "Élodie Dubois",
    "José Ferreira",
    "Ingrid Johansson",
    "Yusuf Çelik",
    "Noor Haddad",
];

fn place(id: u64) -> Option<usize> {
    let place = usize::try_from(id.checked_sub(FIRST_USER_ID)?).ok()?;
    (place < NAMES.len()).then_some(place)
}

/// Whether there is such a user.
pub(crate) fn exists(id: u64) -> bool {
    place(id).is_some()
}

pub(crate) fn name(id: u64) -> &'static str {
    place(id).map_or("(unknown user)", |place| NAMES[place])
}

/// A user as records of the first version show it.
pub(crate) fn reference(id: u64) -> Map<String, Value> {
    let email = format!("user-{:x}@example.com", mix(id) >> 40);
    let members = [
        ("id", json!(id)),
        ("name", json!(name(id))),
        ("email", json!(email)),
        ("has_pic", json!(0)),
        ("pic_hash", Value::Null),
        ("active_flag", json!(true)),
    ];
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// A user as the list of users has it; the last of them is not active any more.
pub(crate) fn user(id: u64, company_id: u64) -> Option<Value> {
    place(id)?;
    let active = id + 1 != FIRST_USER_ID + u64::from(USERS);
    let mut user = reference(id);
    user.remove("has_pic");
    user.remove("pic_hash");
    for (key, value) in [
        ("default_currency", json!("EUR")),
        ("locale", json!("en_US")),
        ("lang", json!(1)),
        ("phone", Value::Null),
        ("activated", json!(true)),
        ("last_login", json!("2026-01-05 08:00:00")),
        ("created", json!("2021-01-07 20:05:11")),
        ("modified", json!("2026-01-05 08:00:00")),
        ("active_flag", json!(active)),
        ("is_deleted", json!(false)),
        ("is_admin", json!(u8::from(id == FIRST_USER_ID))),
        ("role_id", json!(1)),
        ("timezone_name", json!("Europe/Berlin")),
        ("timezone_offset", json!("+01:00")),
        ("icon_url", Value::Null),
        ("is_you", json!(id == FIRST_USER_ID)),
        ("company_id", json!(company_id)),
    ] {
        user.insert(key.to_owned(), value);
    }
    Some(Value::Object(user))
}

/// Every user, in the order of their ids.
pub(crate) fn all(company_id: u64) -> Vec<Value> {
    (FIRST_USER_ID..FIRST_USER_ID + u64::from(USERS))
        .filter_map(|id| user(id, company_id))
        .collect()
}
