//! What changes, as it changes: change events tell which records, and the records are
//! read again by query, since an event holds a part of one. What no event told, because
//! events were lost, came without records or were never made, is found by query too.

use std::collections::BTreeMap;

use tidegate_sdk::{Directive, EmitFault, prelude::*};

use crate::bayeux::{self, Client, Event, Trouble};
use crate::deleted::{self, Listed};
use crate::reading::Walk;
use crate::schema::{self, Description};
use crate::{
    BASE, Cursor, MINUTE_MS, Position, SECOND_MS, Salesforce, Slice, planning, refusal, soql,
};

/// The end of a slice that has none.
const NO_END: u64 = u64::MAX;
/// Records that are read beside events at the most; more are a partition of their own,
/// which can be interrupted.
const BESIDE_EVENTS_MAX: u64 = 100_000;
/// Sessions in a row that break off before they bring an answer.
const LOST_MAX: u32 = 5;
/// How long to leave a server alone that is busy, and a limit that is reached.
const BUSY_MS: u64 = 30_000;
const FULL_MS: u64 = 900_000;

pub(crate) fn is_live(slice: &Slice) -> bool {
    slice.until == NO_END
}

/// One partition without an end or, where too much changed since the last one ended,
/// what changed since.
pub(crate) fn plan(
    plan: &Plan<Salesforce>,
    field: &str,
    description: &Description,
    now_ms: u64,
) -> Partition<Slice> {
    let ends = || plan.previous.iter().map(|end| &end.cursor);
    let covered = ends().map(|end| end.until).max();
    let is_behind = ends().any(|end| end.position == Position::Behind);
    let listed = ends().filter_map(|end| end.deletes).max();
    // A first read begins when it was asked for: the sync's own runs have the rest.
    let since = covered.unwrap_or_else(|| plan.window.map_or(now_ms, |asked| asked.since));
    let since = since.min(now_ms) / SECOND_MS * SECOND_MS;
    let slice = Slice {
        field: Some(field.to_owned()),
        since,
        until: NO_END,
        flagged: description.is_flagged(),
        history: false,
        // A process may die before anything is sealed: the list knows what only an event
        // told that was heard in vain.
        deletes: listed.or_else(|| description.replicateable.then_some(since)),
    };
    if !is_behind {
        return Partition::new(format!("live-{}", slice.since), slice);
    }
    planning::partition(Slice {
        since: slice.since.saturating_sub(plan.config.look_back_ms()),
        until: now_ms.max(slice.since) / SECOND_MS * SECOND_MS,
        ..slice
    })
}

pub(crate) fn read(
    host: &Host,
    read: &Read<Salesforce>,
    object: &str,
) -> Result<Outcome<Salesforce>, Failure> {
    // A partition is planned once and read for days: what its object has is asked anew.
    let (description, now_ms) = schema::describe(host, &read.config, object)?;
    schema::keep(host, &read.config, &description);
    let fields = schema::fields(host, read, object)?;
    if soql::ids_at_once(object, &fields) == 0 {
        return Err(Failure::Config(format!(
            "the fields of {object} do not fit into a query; choose fields for this stream"
        )));
    }
    let slice = &read.partition.slice;
    let place = match &read.cursor {
        Some(cursor) => {
            let (replay, proven) = match cursor.position {
                Position::Live { replay, proven } => (replay, proven),
                _ => (None, cursor.until),
            };
            Place {
                replay,
                proven,
                covered: cursor.until,
                deletes: cursor.deletes,
            }
        }
        None => Place {
            replay: None,
            proven: slice.since,
            covered: slice.since,
            deletes: slice.deletes,
        },
    };
    let mut live = Live {
        host,
        read,
        object,
        fields,
        place,
        lost: 0,
        is_renewed: false,
    };
    live.run(now_ms)
}

/// How far it was read: what a save keeps.
struct Place {
    /// The last event that was taken.
    replay: Option<i64>,
    /// All that changed before is known to have been read.
    proven: u64,
    /// All that changed before was read, whatever events told.
    covered: u64,
    deletes: Option<u64>,
}

/// How a session ended that did not break off.
enum End {
    Yielded,
    /// More than can be read beside events.
    Behind,
}

struct Live<'a> {
    host: &'a Host,
    read: &'a Read<Salesforce>,
    object: &'a str,
    fields: Vec<String>,
    place: Place,
    /// Sessions in a row that brought nothing.
    lost: u32,
    /// Whether the token was renewed since a session last brought an answer.
    is_renewed: bool,
}

impl Live<'_> {
    fn run(&mut self, now_ms: u64) -> Result<Outcome<Salesforce>, Failure> {
        loop {
            let trouble = match self.session() {
                Ok(End::Yielded) => return Ok(Outcome::More),
                Ok(End::Behind) => return Ok(Outcome::Done(self.cursor(Position::Behind))),
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Stopping => return Ok(Outcome::More),
                Trouble::Failed(failure) => return Err(failure),
                Trouble::Lost(why) => {
                    self.say(Level::Info, "the session is lost; another begins", &why);
                    self.lost += 1;
                    if self.lost >= LOST_MAX {
                        return Err(Failure::Transient(format!(
                            "{LOST_MAX} streaming sessions in a row were lost: {why}"
                        )));
                    }
                }
                // The session's token is as old as the session; a call renews it.
                Trouble::Auth(_) if !self.is_renewed => {
                    self.renew_token()?;
                    self.is_renewed = true;
                }
                Trouble::Auth(why) => {
                    return Err(Failure::Auth(format!(
                        "{why}, though calls work: give the user the right to use the streaming API"
                    )));
                }
                Trouble::Busy(why) => return self.wait(now_ms, BUSY_MS, &why),
                Trouble::Full(why) => return self.wait(now_ms, FULL_MS, &why),
                Trouble::Stale(why) | Trouble::Refused(why) => {
                    return Err(Failure::Unsupported(format!(
                        "{why}; select {} in Setup, Change Data Capture, and let the user view \
                         all of its records, or read it without mode live",
                        self.object
                    )));
                }
            }
        }
    }

    /// One session, until the host wants the slot back or it breaks off.
    fn session(&mut self) -> Result<End, Trouble> {
        let auth = self.read.config.auth.name();
        let client = Client::handshake(self.host, auth, self.object)?;
        let subscribed = match client.subscribe(self.place.replay) {
            Err(Trouble::Stale(why)) => {
                self.say(
                    Level::Warn,
                    "events are lost; what changed is queried",
                    &why,
                );
                self.place.replay = None;
                client.subscribe(None)
            }
            subscribed => subscribed,
        };
        let subscribed_ms = subscribed?;
        // Only now: from here on, each change is told.
        if self.place.replay.is_none() && !self.catch_up(subscribed_ms)? {
            return Ok(End::Behind);
        }
        loop {
            let heard = client.connect()?;
            (self.lost, self.is_renewed) = (0, false);
            self.take(&heard.events)?;
            let is_unnamed = |event: &Event| event.change == bayeux::Change::Unnamed;
            let next_check = self.place.covered + self.read.config.live_check_s * SECOND_MS;
            let mut is_new = !heard.events.is_empty();
            if heard.events.iter().any(is_unnamed) || heard.now_ms >= next_check {
                if !self.catch_up(heard.now_ms)? {
                    return Ok(End::Behind);
                }
                is_new = true;
            }
            if let Some(last) = heard.events.last() {
                self.place.replay = Some(last.replay);
                self.place.proven = self.place.proven.max(last.committed_ms);
            }
            let directive = match is_new {
                true => self.save()?,
                false => self.host.poll(),
            };
            let lag_ms = heard.now_ms.saturating_sub(self.place.proven);
            self.host.lag(lag_ms);
            if directive != Directive::Proceed {
                client.leave();
                return Ok(End::Yielded);
            }
        }
    }

    /// Reads the records that events name, as they are now.
    fn take(&self, events: &[Event]) -> Result<(), Trouble> {
        let mut changed: BTreeMap<&String, &Event> = BTreeMap::new();
        for event in events {
            if event.change != bayeux::Change::Unnamed {
                changed.extend(event.ids.iter().map(|id| (id, event)));
            }
        }
        let ids: Vec<String> = changed.keys().map(|id| (*id).clone()).collect();
        for some in ids.chunks(soql::ids_at_once(self.object, &self.fields)) {
            let found = self.emit_ids(some)?;
            // One that is not even in the recycle bin was deleted for good, if its last
            // event says so; else the user may not see it.
            let gone = some.iter().filter(|id| !found.contains(id));
            for id in gone {
                let event = changed[id];
                if event.change == bayeux::Change::Deleted {
                    self.emit_delete(id, event.committed_ms)?;
                }
            }
        }
        Ok(())
    }

    /// Emits the records of these ids; says which there are.
    fn emit_ids(&self, ids: &[String]) -> Result<Vec<String>, Trouble> {
        let query = soql::by_ids(self.object, &self.fields, ids);
        let slice = &self.read.partition.slice;
        let page = self.answer(slice, &query)?;
        let records = self.emit(slice, &page)?;
        if records as usize == ids.len() {
            return Ok(ids.to_vec());
        }
        let pointers: Vec<String> = (0..records).map(|at| format!("/records/{at}/Id")).collect();
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        let found = page.get_many(&pointers)?.into_iter().flatten();
        Ok(found
            .filter_map(|id| serde_json::from_str(&id).ok())
            .collect())
    }

    fn emit_delete(&self, id: &str, at_ms: u64) -> Result<(), Trouble> {
        let keys = [id.to_owned()];
        match self
            .host
            .emit_deletes(&self.read.stream, &keys, Some(at_ms))
        {
            Ok(_) => Ok(()),
            Err(EmitFault::Stopping) => Err(Trouble::Stopping),
            Err(fault) => Err(Trouble::Failed(fault.into())),
        }
    }

    /// Reads what changed since all was covered, by the usual query and list of deletes.
    /// False where that is too much.
    fn catch_up(&mut self, now_ms: u64) -> Result<bool, Trouble> {
        let now_ms = now_ms / SECOND_MS * SECOND_MS;
        let look_back_ms = self.read.config.look_back_ms();
        let slice = Slice {
            since: self.place.covered.saturating_sub(look_back_ms) / SECOND_MS * SECOND_MS,
            until: now_ms,
            deletes: self.place.deletes,
            ..self.read.partition.slice.clone()
        };
        let deletes = self.catch_up_deletes(&slice)?;
        // What changed in the second that runs, but before the subscription, counts too.
        let slice = Slice {
            until: now_ms + SECOND_MS,
            ..slice
        };
        let mut last: Option<String> = None;
        loop {
            let query = soql::Query {
                object: self.object,
                fields: &self.fields,
                slice: &slice,
                after: last.as_deref(),
            };
            let page = self.answer(&slice, &query.ordered())?;
            let total = page.value::<u64>("/totalSize")?.unwrap_or_default();
            if total > BESIDE_EVENTS_MAX {
                let why = format!("{total} records");
                self.say(
                    Level::Info,
                    "too much changed to read it beside events",
                    &why,
                );
                return Ok(false);
            }
            let records = self.emit(&slice, &page)?;
            if u64::from(records) >= total {
                break;
            }
            let key = page.plain(&format!("/records/{}/Id", records.saturating_sub(1)))?;
            if key.is_none() || key == last {
                let text = "the last key of a page did not move".to_owned();
                return Err(Trouble::Failed(Failure::Protocol(text)));
            }
            last = key;
        }
        self.place.covered = self.place.covered.max(now_ms);
        self.place.deletes = deletes;
        self.place.proven = self.place.proven.max(now_ms);
        self.save()?;
        Ok(true)
    }

    /// Up to when the list of deletes is known afterwards.
    fn catch_up_deletes(&self, slice: &Slice) -> Result<Option<u64>, Trouble> {
        let newest = slice.until / MINUTE_MS * MINUTE_MS;
        let Some(covered) = slice.deletes else {
            return Ok(Some(newest)); // the sync's own runs know of earlier ones
        };
        match deleted::read(&self.walk(slice), covered) {
            Ok(Listed::Until(until)) => Ok(Some(until)),
            Ok(Listed::Stopping) => Err(Trouble::Stopping),
            // The sync's own next run finds the same, and reads the object anew.
            Err(Failure::StaleCursor(why)) => {
                self.say(Level::Warn, "deletes are lost; the sync must run", &why);
                Ok(Some(newest))
            }
            Err(failure) => Err(Trouble::Failed(failure)),
        }
    }

    /// While Salesforce takes no session, what changes is queried now and then.
    fn wait(
        &mut self,
        now_ms: u64,
        wait_ms: u64,
        why: &str,
    ) -> Result<Outcome<Salesforce>, Failure> {
        self.say(
            Level::Warn,
            "no session for now; what changes is queried",
            why,
        );
        match self.catch_up(now_ms) {
            Ok(true) => Ok(Outcome::WaitUntil(self.host.now_ms() + wait_ms)),
            Ok(false) => Ok(Outcome::Done(self.cursor(Position::Behind))),
            Err(Trouble::Failed(failure)) => Err(failure),
            Err(_) => Ok(Outcome::More),
        }
    }

    fn renew_token(&self) -> Result<(), Failure> {
        let auth = self.read.config.auth.name();
        let request = Request::get("schema", format!("{BASE}/limits")).auth(auth);
        let answer = refusal::ask(self.host, &request)?;
        answer.map_err(|refusal| refusal.failure("the API"))?;
        Ok(())
    }

    fn answer(&self, slice: &Slice, query: &str) -> Result<Body, Trouble> {
        let page = self.walk(slice).ask_for(query)?;
        Ok(page.map_err(|refusal| schema::refused(self.host, self.object, refusal))?)
    }

    /// How many records there were.
    fn emit(&self, slice: &Slice, page: &Body) -> Result<u32, Trouble> {
        let how = self.walk(slice).of_query(&self.fields);
        match self.host.emit_body(&self.read.stream, page, &how) {
            Ok(summary) => Ok(u32::try_from(summary.elements()).unwrap_or(u32::MAX)),
            Err(EmitFault::Stopping) => Err(Trouble::Stopping),
            Err(fault) => Err(Trouble::Failed(fault.into())),
        }
    }

    fn walk<'s>(&'s self, slice: &'s Slice) -> Walk<'s> {
        Walk {
            host: self.host,
            read: self.read,
            object: self.object,
            slice,
        }
    }

    fn save(&self) -> Result<Directive, Failure> {
        let Place { replay, proven, .. } = self.place;
        self.read
            .save(self.host, &self.cursor(Position::Live { replay, proven }))
    }

    fn cursor(&self, position: Position) -> Cursor {
        Cursor {
            until: self.place.covered,
            deletes: self.place.deletes,
            position,
        }
    }

    fn say(&self, level: Level, message: &str, why: &str) {
        self.walk(&self.read.partition.slice)
            .say(level, message, why);
    }
}
