//! Associations as a part of the records of a list or a read.

use serde_json::{Map, Value, json};

use super::page;
use crate::hubspot::account::Account;
use crate::hubspot::associations::End;
use crate::hubspot::kind::Kind;
use crate::hubspot::problem::Problem;

/// Associations of each kind in one record at most.
const SHOWN_MAX: usize = 100;

/// The kinds that a request names, in any spelling.
pub(in crate::hubspot::http) fn kinds(
    account: &Account,
    names: &str,
) -> Result<Vec<Kind>, Problem> {
    let names = names.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(|name| {
            let kind = account.kind_of(name);
            kind.ok_or_else(|| Problem::unknown_type(name))
        })
        .collect()
}

/// Appends `associations` to a rendered record; kinds without any are left out.
pub(in crate::hubspot::http) fn append(
    account: &Account,
    from: End,
    kinds: &[Kind],
    body: &mut Vec<u8>,
) {
    let mut found = Map::new();
    for to in kinds {
        let edges = account.associated(from, *to).unwrap_or_default();
        if edges.is_empty() {
            continue;
        }
        let limit = account.config.association_page_max.min(SHOWN_MAX);
        let (shown, next) = page(account, &edges, 0, limit, false);
        let mut one = json!({ "results": shown });
        if let Some(next) = next {
            one["paging"] = json!({"next": {"after": next.to_string()}});
        }
        let name = &account.collection(*to).records.schema.names.plural;
        found.insert(name.clone(), one);
    }
    if found.is_empty() {
        return;
    }
    // A record ends with its closing brace.
    body.pop();
    body.extend_from_slice(b",\"associations\":");
    body.extend_from_slice(Value::Object(found).to_string().as_bytes());
    body.push(b'}');
}
