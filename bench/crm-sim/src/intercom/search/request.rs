//! The shape of a search request, and its caps.

use serde_json::Value;

use super::filter::Node;
use crate::intercom::account::Account;
use crate::intercom::cursor::Cursor;
use crate::intercom::kind::Kind;
use crate::intercom::problem::Problem;

/// Records in a page at most.
pub(crate) const PER_PAGE_MAX: usize = 150;

/// What the records are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Created,
    Updated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// A search as it was asked for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) query: Node,
    /// The query's text, by which its answers are remembered.
    pub(crate) text: String,
    pub(crate) sort: Sort,
    pub(crate) order: Order,
    pub(crate) per_page: usize,
    pub(crate) after: Option<Cursor>,
}

impl Request {
    pub(crate) fn parse(account: &Account, kind: Kind, body: &[u8]) -> Result<Request, Problem> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|_malformed| Problem::bad_request("The request body is no valid JSON"))?;
        let query = body.get("query").ok_or_else(|| Problem::missing("query"))?;
        let (sort, order) = sort(body.get("sort"))?;
        let default = if kind == Kind::Contacts { 50 } else { 20 };
        let pagination = body.get("pagination");
        let given = pagination.and_then(|pagination| pagination.get("per_page"));
        let per_page = match given {
            None | Some(Value::Null) => default,
            Some(given) => given
                .as_u64()
                .and_then(|given| usize::try_from(given).ok())
                .filter(|given| (1..=PER_PAGE_MAX).contains(given))
                .ok_or_else(|| Problem::invalid("per_page", "Per Page is too big"))?,
        };
        let after = match pagination.and_then(|pagination| pagination.get("starting_after")) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(Cursor::parse(text, kind)?),
            Some(_) => return Err(Problem::cursor()),
        };
        Ok(Request {
            query: Node::parse(account, kind, query)?,
            text: query.to_string(),
            sort,
            order,
            per_page,
            after,
        })
    }
}

fn sort(sort: Option<&Value>) -> Result<(Sort, Order), Problem> {
    let Some(sort) = sort.filter(|sort| !sort.is_null()) else {
        return Ok((Sort::Created, Order::Descending));
    };
    let by = match sort.get("field").and_then(Value::as_str) {
        Some("created_at") => Sort::Created,
        Some("updated_at") => Sort::Updated,
        _ => return Err(Problem::invalid("sort", "This field cannot be sorted by")),
    };
    let order = match sort.get("order").and_then(Value::as_str) {
        Some("ascending") => Order::Ascending,
        Some("descending") => Order::Descending,
        _ => return Err(Problem::sort_order()),
    };
    Ok((by, order))
}
