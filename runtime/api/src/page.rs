//! Paging by cursor: a page says where the next one begins, and what was deleted
//! meanwhile moves nothing.

use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Items of a page unless asked otherwise.
const LIMIT: u32 = 50;
/// Items of a page at the most.
pub(crate) const LIMIT_MAX: u32 = 200;
/// Characters of a cursor; ours are shorter.
const AFTER_CHARS_MAX: usize = 256;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// `next` of the page before.
    #[param(max_length = 256)]
    after: Option<String>,
    /// Items at the most; 50 without it.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl Paging {
    /// From fields of a query that holds more than paging.
    pub(crate) fn new(after: Option<String>, limit: Option<u32>) -> Paging {
        Paging { after, limit }
    }

    /// Items at the most.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(LIMIT) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            _ => Err(Problem::invalid_at(
                "limit",
                format!("use 1 to {LIMIT_MAX}"),
            )),
        }
    }

    /// The store's page of a list by name, with one row more than asked for, which
    /// tells whether there is a next page.
    pub(crate) fn names(&self) -> Result<tidegate_store::control::Page, Problem> {
        Ok(tidegate_store::control::Page {
            after: self.after::<String>()?,
            limit: self.limit()? + 1,
        })
    }

    /// The cursor, if it is not the first page.
    pub(crate) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, Problem> {
        let Some(text) = &self.after else {
            return Ok(None);
        };
        let parsed = (text.len() <= AFTER_CHARS_MAX).then(|| text.parse().ok());
        let unknown = || Problem::invalid_at("after", "use the `next` of a page, unchanged");
        parsed.flatten().map(Some).ok_or_else(unknown)
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// In order.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; without it this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    /// A page of `found`, which holds one item more than `limit` where there is a
    /// next page.
    pub(crate) fn of<F>(
        mut found: Vec<F>,
        limit: u32,
        cursor: impl Fn(&F) -> String,
        show: impl FnMut(F) -> T,
    ) -> Page<T> {
        let limit = limit as usize;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(cursor);
        Page {
            items: found.into_iter().map(show).collect(),
            next,
        }
    }
}
