//! The parameters of a list, of either version.

use std::collections::BTreeMap;

use crate::pipedrive::account::Account;
use crate::pipedrive::kind::Kind;
use crate::pipedrive::page::{Cursor, Cut, Selection, Sort, fingerprint};
use crate::pipedrive::problem::Problem;
use crate::pipedrive::render::Dialect;
use crate::pipedrive::schema::Schema;
use crate::pipedrive::wire::parse_zoned;

/// Records on one page at most, and without a wish.
const LIMIT_MAX: usize = 500;
const LIMIT_DEFAULT: usize = 100;
/// Records or custom fields that one request may name.
const IDS_MAX: usize = 100;
const CUSTOM_FIELDS_MAX: usize = 15;

/// The parameters of a request, the last of each name.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(text: &str) -> Query {
        Query(
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// A parameter that is there and not empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        match self.value(name) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Problem::invalid(format!(
                    "Validation failed: {name}: expected number, received string"
                ))),
            },
        }
    }

    /// How many records a page may hold. The first version takes more for the most
    /// that there is, the second refuses it.
    pub(super) fn limit(&self, dialect: Dialect) -> Result<usize, Problem> {
        let Some(limit) = self.number("limit")? else {
            return Ok(LIMIT_DEFAULT);
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        match dialect {
            Dialect::First => Ok(limit.clamp(1, LIMIT_MAX)),
            Dialect::Second if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
            Dialect::Second => Err(Problem::invalid(format!(
                "Validation failed: limit: must be between 1 and {LIMIT_MAX}"
            ))),
        }
    }

    pub(super) fn start(&self) -> Result<usize, Problem> {
        let start = self.number("start")?.unwrap_or(0);
        Ok(usize::try_from(start).unwrap_or(usize::MAX))
    }

    /// Keys of the custom fields that are to appear; none for all.
    pub(super) fn custom_fields(&self) -> Result<Option<Vec<&str>>, Problem> {
        let Some(text) = self.value("custom_fields") else {
            return Ok(None);
        };
        let keys: Vec<&str> = text.split(',').map(str::trim).collect();
        if keys.len() > CUSTOM_FIELDS_MAX {
            return Err(Problem::invalid(format!(
                "Validation failed: custom_fields: at most {CUSTOM_FIELDS_MAX} keys are allowed"
            )));
        }
        Ok(Some(keys))
    }

    /// Ids as the deletion of several has them.
    pub(super) fn ids(&self) -> Result<Vec<u64>, Problem> {
        let text = self.value("ids").unwrap_or_default();
        let ids = text.split(',').map(|id| id.trim().parse());
        let ids: Result<Vec<u64>, _> = ids.collect();
        let ids = ids.map_err(|_| {
            Problem::invalid("Validation failed: ids: expected numbers and commas".to_owned())
        })?;
        if ids.len() > IDS_MAX {
            return Err(Problem::invalid(format!(
                "Validation failed: ids: at most {IDS_MAX} are allowed"
            )));
        }
        Ok(ids)
    }

    /// What every parameter but the place in the list says.
    fn fingerprint(&self) -> u64 {
        let named = self.0.iter();
        fingerprint(
            named
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .filter(|(name, _)| !matches!(*name, "cursor" | "limit" | "api_token")),
        )
    }

    /// The list of the second version, and the cut of one page of it.
    pub(super) fn second_version(
        &self,
        schema: &Schema,
        keep: usize,
    ) -> Result<(Selection, Cut), Problem> {
        let kind = schema.kind;
        let mut selection = Selection {
            sort: match self.value("sort_by") {
                None | Some("id") => Sort::Id,
                Some("add_time") => Sort::Created,
                Some("update_time") => Sort::Updated,
                Some(other) => return Err(one_of("sort_by", other, "id, update_time, add_time")),
            },
            descending: match self.value("sort_direction") {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(other) => return Err(one_of("sort_direction", other, "asc, desc")),
            },
            since_ms: self.strict_time("updated_since")?,
            until_ms: self.strict_time("updated_until")?,
            ..Selection::all()
        };
        if self.value("ids").is_some() {
            selection.ids = Some(self.ids()?);
        }
        if self.value("filter_id").is_some() {
            return Err(Problem::not_found("Filter"));
        }
        self.conditions(schema, &mut selection)?;
        if kind == Kind::Deals
            && let Some(statuses) = self.value("status")
        {
            let statuses: Vec<String> = statuses.split(',').map(str::to_owned).collect();
            status(schema, statuses, &mut selection)?;
        }
        let limit = self.limit(Dialect::Second)?;
        let after = match self.value("cursor") {
            None => None,
            Some(text) => {
                let cursor = Cursor::parse(text)
                    .filter(|cursor| cursor.query == self.fingerprint())
                    .ok_or_else(|| {
                        Problem::invalid("Validation failed: cursor: invalid cursor".to_owned())
                    })?;
                Some(cursor)
            }
        };
        let cut = Cut {
            after,
            skip: 0,
            limit,
            keep,
        };
        Ok((selection, cut))
    }

    /// The text of the next page's cursor.
    pub(super) fn cursor(&self, next: Option<Cursor>) -> Option<String> {
        let query = self.fingerprint();
        next.map(|next| next.of(query).text())
    }

    /// The list of the first version, cut by offset.
    pub(super) fn first_version(
        &self,
        schema: &Schema,
        keep: usize,
    ) -> Result<(Selection, Cut), Problem> {
        let mut selection = Selection::all();
        if let Some(sort) = self.value("sort") {
            let (by, direction) = sort.split_once(' ').unwrap_or((sort, "ASC"));
            selection.sort = match by {
                "update_time" => Sort::Updated,
                "add_time" => Sort::Created,
                _ => Sort::Id,
            };
            selection.descending = direction.eq_ignore_ascii_case("desc");
        }
        if let (Some(user), Some(column)) = (self.number("user_id")?, schema.column("owner_id"))
            && user != 0
        {
            selection.wanted.push((column, vec![user.to_string()]));
        }
        self.conditions(schema, &mut selection)?;
        match self.value("status") {
            None | Some("all_not_deleted") => {}
            Some(one) if schema.kind == Kind::Deals => {
                status(schema, vec![one.to_owned()], &mut selection)?;
            }
            Some(_) => {}
        }
        if schema.kind == Kind::Leads {
            selection.archived = self.value("archived_status") == Some("archived");
        }
        let cut = Cut {
            after: None,
            skip: self.start()?,
            limit: self.limit(Dialect::First)?,
            keep,
        };
        Ok((selection, cut))
    }

    /// References that a record must have.
    fn conditions(&self, schema: &Schema, selection: &mut Selection) -> Result<(), Problem> {
        for name in ["owner_id", "person_id", "org_id", "stage_id", "deal_id"] {
            if let (Some(id), Some(column)) = (self.number(name)?, schema.column(name)) {
                selection.wanted.push((column, vec![id.to_string()]));
            }
        }
        if schema.kind == Kind::Deals {
            selection.pipeline = self.number("pipeline_id")?;
        }
        if let (Some(done), Some(column)) = (self.value("done"), schema.column("done")) {
            let done = matches!(done, "1" | "true");
            selection.wanted.push((column, vec![done.to_string()]));
        }
        Ok(())
    }

    /// A time in exactly one form.
    fn strict_time(&self, name: &str) -> Result<Option<i64>, Problem> {
        match self.value(name) {
            None => Ok(None),
            Some(text) => match parse_zoned(text) {
                Some(time_ms) => Ok(Some(time_ms)),
                None => Err(Problem::invalid(format!(
                    "Validation failed: {name}: must be a valid RFC3339 date-time in the format YYYY-MM-DDTHH:MM:SSZ"
                ))),
            },
        }
    }

    /// Parameters that a list without times refuses.
    pub(super) fn refuse_times(&self) -> Result<(), Problem> {
        for name in ["updated_since", "updated_until"] {
            if self.value(name).is_some() {
                return Err(Problem::invalid(format!(
                    "Validation failed: {name}: is not allowed"
                )));
            }
        }
        Ok(())
    }
}

fn one_of(name: &str, value: &str, allowed: &str) -> Problem {
    Problem::invalid(format!(
        "Validation failed: {name}: expected one of {allowed}, received '{value}'"
    ))
}

fn status(
    schema: &Schema,
    statuses: Vec<String>,
    selection: &mut Selection,
) -> Result<(), Problem> {
    for status in &statuses {
        if !matches!(status.as_str(), "open" | "won" | "lost" | "deleted") {
            return Err(one_of("status", status, "open, won, lost, deleted"));
        }
    }
    if statuses.iter().any(|status| status == "deleted") {
        if statuses.len() > 1 {
            return Err(Problem::invalid(
                "Validation failed: status: deleted cannot be combined with others".to_owned(),
            ));
        }
        selection.deleted = true;
        return Ok(());
    }
    if let Some(column) = schema.column("status") {
        selection.wanted.push((column, statuses));
    }
    Ok(())
}

/// The id of a record as it stands in a path.
pub(super) fn parse_id(kind: Kind, text: &str) -> Result<u64, Problem> {
    let id = match kind {
        Kind::Leads => crate::pipedrive::parse_lead_uuid(text),
        _ => text.parse().ok(),
    };
    id.ok_or_else(|| Problem::invalid(format!("Validation failed: id: invalid id '{text}'")))
}

/// Refuses what the account's plan or time does not allow of the first version.
pub(super) fn refuse_retired(account: &Account) -> Result<(), Problem> {
    let now_ms = account.clock.now_ms();
    match account.config.v1_retires_ms {
        Some(from_ms) if now_ms >= from_ms => Err(Problem::gone(
            "This endpoint of API v1 was removed, use API v2".to_owned(),
        )),
        _ => Ok(()),
    }
}
