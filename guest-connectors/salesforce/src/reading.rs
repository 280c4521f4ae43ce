//! Reading a partition: deletes by Salesforce's list, records by pages of a query or,
//! where there are many, by Bulk.

use tidegate_sdk::prelude::*;

use crate::deleted::{self, Listed};
use crate::refusal::{Refusal, ask};
use crate::soql::Query;
use crate::{
    BASE, Cursor, Position, Salesforce, Slice, bulk, live, object_of_stream, planning, schema,
};

pub(crate) fn read(host: &Host, read: &Read<Salesforce>) -> Result<Outcome<Salesforce>, Failure> {
    let walk = Walk {
        host,
        read,
        object: object_of_stream(&read.stream)?,
        slice: &read.partition.slice,
    };
    if live::is_live(walk.slice) {
        return live::read(host, read, walk.object);
    }
    let Some(cursor) = &read.cursor else {
        return walk.start();
    };
    match &cursor.position {
        Position::End | Position::Live { .. } | Position::Behind => {
            Ok(Outcome::Done(cursor.clone()))
        }
        Position::Job(job) => bulk::resume(&walk, job.clone(), cursor.deletes),
        Position::Query => walk.resume(None, cursor.deletes),
        Position::After(id) => walk.resume(Some(id.clone()), cursor.deletes),
    }
}

/// One `read` call.
pub(crate) struct Walk<'a> {
    pub(crate) host: &'a Host,
    pub(crate) read: &'a Read<Salesforce>,
    pub(crate) object: &'a str,
    pub(crate) slice: &'a Slice,
}

impl Walk<'_> {
    /// Deletes come before the query: a record that is undeleted meanwhile is then read
    /// after its tombstone, at the same second even.
    fn start(&self) -> Result<Outcome<Salesforce>, Failure> {
        let deletes = match self.slice.deletes {
            Some(covered) => match deleted::read(self, covered)? {
                Listed::Until(until) => Some(until),
                Listed::Stopping => return Ok(Outcome::More),
            },
            None => None,
        };
        let fields = schema::fields(self.host, self.read, self.object)?;
        let query = self.query(&fields, None);
        if !query.fits_url() {
            let begun = bulk::begin(self, &query, deletes, 0, "the fields do not fit into a URL")?;
            return begun.ok_or_else(|| {
                Failure::Config(format!(
                    "{} fields of {} do not fit into one query, and Bulk does not serve the \
                     object; choose fields for this stream",
                    fields.len(),
                    self.object
                ))
            });
        }
        match self.page(&query)? {
            Ok(first) => {
                let matches = first.value::<u64>("/totalSize")?.unwrap_or_default();
                if matches > self.read.config.bulk_above {
                    let why = format!("{matches} records");
                    if let Some(begun) = bulk::begin(self, &query, deletes, 0, &why)? {
                        return Ok(begun);
                    }
                }
                self.say(
                    Level::Info,
                    "reading by query",
                    &format!("{matches} records"),
                );
                self.by_query(&fields, None, Some(first), deletes)
            }
            Err(refusal) if refusal.is_too_much() => match planning::halves(self.slice) {
                Some(halves) => {
                    self.say(Level::Info, "reading in halves", &refusal.message);
                    Ok(Outcome::Split(halves))
                }
                None => {
                    let begun = bulk::begin(self, &query, deletes, 0, &refusal.message)?;
                    begun.ok_or_else(|| refusal.failure(self.object))
                }
            },
            Err(refusal) => Err(schema::refused(self.host, self.object, refusal)),
        }
    }

    fn resume(
        &self,
        after: Option<String>,
        deletes: Option<u64>,
    ) -> Result<Outcome<Salesforce>, Failure> {
        let fields = schema::fields(self.host, self.read, self.object)?;
        self.by_query(&fields, after, None, deletes)
    }

    /// Pages by id, each a query of its own. Salesforce's cursors would cost as many
    /// calls, hold one of the user's ten open, and die with the session or by age.
    pub(crate) fn by_query(
        &self,
        fields: &[String],
        start: Option<String>,
        mut first: Option<Body>,
        deletes: Option<u64>,
    ) -> Result<Outcome<Salesforce>, Failure> {
        let mut too_much = None;
        let fetch = |last: Option<&str>| {
            if let Some(first) = first.take() {
                return Ok(first);
            }
            self.page(&self.query(fields, last))?.map_err(|refusal| {
                if refusal.is_too_much() {
                    too_much = Some(last.map(str::to_owned));
                }
                schema::refused(self.host, self.object, refusal)
            })
        };
        let next = |id: &str| self.cursor(Position::After(id.to_owned()), deletes);
        let how = self.of_query(fields);
        let pages = Pages::new(self.host, &self.read.stream, how);
        let ended = pages.by_key(Some("/totalSize"), start, fetch, next);
        match (ended, too_much) {
            // Pages before this one are saved, so the slice can no more be cut.
            (Err(failure), Some(last)) => {
                let rest = self.query(fields, last.as_deref());
                let begun = bulk::begin(self, &rest, deletes, 0, "a query took too long")?;
                begun.ok_or(failure)
            }
            (ended, _) => Ok(ended?.or_done(Cursor::end(self.slice.until, deletes))),
        }
    }

    /// How records are cut out of query answers, which say more of them than the fields.
    pub(crate) fn of_query(&self, fields: &[String]) -> Extraction {
        let whole = self.kept(Extraction::json("/records"));
        let project = |how: Extraction, field: &String| how.project(format!("/{field}"));
        fields.iter().fold(whole, project)
    }

    /// How records are told apart, in pages of both kinds.
    pub(crate) fn kept(&self, how: Extraction) -> Extraction {
        let mut how = how.key("/Id");
        if let Some(field) = &self.slice.field {
            how = how.cursor(format!("/{field}"), CursorOrder::Timestamp);
        }
        if self.slice.flagged {
            how = how.deleted("/IsDeleted");
        }
        how
    }

    pub(crate) fn query<'q>(&'q self, fields: &'q [String], after: Option<&'q str>) -> Query<'q> {
        Query {
            object: self.object,
            fields,
            slice: self.slice,
            after,
        }
    }

    pub(crate) fn cursor(&self, position: Position, deletes: Option<u64>) -> Cursor {
        Cursor {
            until: self.slice.until,
            deletes,
            position,
        }
    }

    pub(crate) fn say(&self, level: Level, message: &str, why: &str) {
        let partition = self.read.partition.id.as_str();
        let fields = [
            ("stream", self.object),
            ("partition", partition),
            ("why", why),
        ];
        self.host.log(level, message, &fields);
    }

    fn page(&self, query: &Query<'_>) -> Result<Result<Body, Refusal>, Failure> {
        self.ask_for(&query.ordered())
    }

    pub(crate) fn ask_for(&self, query: &str) -> Result<Result<Body, Refusal>, Failure> {
        let request = Request::get("data", format!("{BASE}/queryAll"))
            .query("q", query)
            .auth(self.read.config.auth.name());
        Ok(ask(self.host, &request)?.map(|response| response.body))
    }
}
