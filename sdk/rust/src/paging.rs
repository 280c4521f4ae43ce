//! The usual ways through a list, each with a save after every page.

use serde::{Deserialize, Serialize};

use crate::{Body, Directive, EmitFault, Extraction, Failure, Host, Outcome, Source, Summary};

/// How a walk through pages ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There is no further page.
    Exhausted,
    /// The host wants the slot back; progress is saved.
    Yielded,
}

impl Ended {
    /// The outcome of a `read` that was this walk alone; `cursor` is its end.
    #[must_use]
    pub fn or_done<S: Source>(self, cursor: S::Cursor) -> Outcome<S> {
        match self {
            Self::Exhausted => Outcome::Done(cursor),
            Self::Yielded => Outcome::More,
        }
    }
}

/// A list that is walked page by page: each page is fetched by the closure
/// `fetch`, emitted, and saved as the cursor that `cursor` makes of the next
/// position. The last page is not saved; returning
/// [`Outcome::Done`](crate::Outcome::Done) does that.
pub struct Pages<'a> {
    host: &'a Host,
    stream: &'a str,
    how: Extraction,
    enough: Box<dyn Fn(&Summary) -> bool + 'a>,
    total: Option<&'a str>,
}

/// A place in a list whose pages are asked for by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// The page to read next; the first one is 1.
    pub number: u64,
    /// How many elements the list had when the page before was read, where it tells.
    pub total: Option<u64>,
}

impl Numbered {
    /// The start of a list.
    pub const FIRST: Self = Self {
        number: 1,
        total: None,
    };
}

/// A place in a list that is ordered by time, and by key where times are equal: the
/// last record before what is to be read next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its time, as the source writes it.
    pub time: String,
    /// Its primary key.
    pub key: String,
}

impl<'a> Pages<'a> {
    /// Pages of `stream`, cut as `how` says.
    #[must_use]
    pub fn new(host: &'a Host, stream: &'a str, how: Extraction) -> Self {
        Self {
            host,
            stream,
            how,
            enough: Box::new(|_| false),
            total: None,
        }
    }

    /// Where a page of [`Pages::by_number`] counts all elements of the list. A count of
    /// no more than the page's own elements tells nothing.
    #[must_use]
    pub fn counted_at(mut self, total: &'a str) -> Self {
        self.total = Some(total);
        self
    }

    /// Ends the walk after a page of which this is true, though there are more: in a
    /// list by time, one that lies beyond the bound.
    #[must_use]
    pub fn ending_when(mut self, enough: impl Fn(&Summary) -> bool + 'a) -> Self {
        self.enough = Box::new(enough);
        self
    }

    /// Pages that name the next one with a token at the JSON pointer `next`;
    /// the first one without is the last. A short or empty page is not.
    ///
    /// A token that lay in a cursor for long may not be valid any more: where the first
    /// `fetch` with it fails with [`Failure::StaleCursor`], the list is read again from
    /// its start.
    ///
    /// # Errors
    /// What `fetch` fails with; [`Failure::Protocol`] when a token repeats, or one that
    /// was just given is not valid.
    pub fn by_token<C: Serialize>(
        &self,
        next: &str,
        start: Option<String>,
        fetch: impl FnMut(Option<&str>) -> Result<Body, Failure>,
        cursor: impl Fn(&str) -> C,
    ) -> Result<Ended, Failure> {
        let take = |body: &Body| match self.emit(body)? {
            None => Ok(Step::Stopping),
            Some(page) if (self.enough)(&page) => Ok(Step::Enough),
            Some(_) => Ok(Step::Further),
        };
        each_page(self.host, next, start, fetch, take, cursor)
    }

    /// Pages that are asked for by the number of elements before them; an
    /// empty one is the last.
    ///
    /// # Errors
    /// What `fetch` fails with.
    pub fn by_offset<C: Serialize>(
        &self,
        start: u64,
        mut fetch: impl FnMut(u64) -> Result<Body, Failure>,
        cursor: impl Fn(u64) -> C,
    ) -> Result<Ended, Failure> {
        let mut offset = start;
        loop {
            let body = fetch(offset)?;
            let Some(page) = self.emit(&body)? else {
                return Ok(Ended::Yielded);
            };
            if page.elements() == 0 || (self.enough)(&page) {
                return Ok(Ended::Exhausted);
            }
            offset += page.elements();
            if self.host.save(&cursor(offset))? != Directive::Proceed {
                return Ok(Ended::Yielded);
            }
        }
    }

    /// Pages that are asked for by number; the first one without anything at the JSON
    /// pointer `next` is the last, or, where the source names none, the first empty one.
    /// For lists with the latest change first: what is edited meanwhile only pushes
    /// others to later pages. What vanishes pulls them to earlier ones: where pages count
    /// the list ([`Pages::counted_at`]), those before are read again then; where they do
    /// not, it goes unnoticed.
    ///
    /// # Errors
    /// What `fetch` fails with.
    pub fn by_number<C: Serialize>(
        &self,
        next: Option<&str>,
        start: Numbered,
        mut fetch: impl FnMut(u64) -> Result<Body, Failure>,
        cursor: impl Fn(Numbered) -> C,
    ) -> Result<Ended, Failure> {
        let mut at = start;
        let mut largest = 1;
        loop {
            let body = fetch(at.number)?;
            let Some(page) = self.emit(&body)? else {
                return Ok(Ended::Yielded);
            };
            largest = largest.max(page.elements());
            let total = match self.total {
                Some(pointer) => body.value::<u64>(pointer)?,
                None => None,
            };
            let total = total.filter(|total| *total > page.elements());
            let vanished = match (at.total, total) {
                (Some(before), Some(now)) => before.saturating_sub(now),
                _ => 0,
            };
            at.total = total.or(at.total);
            if vanished > 0 && at.number > 1 {
                let back = vanished.div_ceil(largest);
                at.number = at.number.saturating_sub(back).max(1);
                continue;
            }
            let is_last = match next {
                Some(next) => body.plain(next)?.is_none(),
                None => page.elements() == 0,
            };
            if is_last || (self.enough)(&page) {
                return Ok(Ended::Exhausted);
            }
            at.number += 1;
            if self.host.save(&cursor(at))? != Directive::Proceed {
                return Ok(Ended::Yielded);
            }
        }
    }

    /// Pages that are asked for by number, of a set that records may leave meanwhile, so
    /// that others move to pages that were read: the whole is read again until two
    /// readings count the same, since nothing left during the second then. Saves
    /// nothing: it is for sets that cannot be cut any smaller.
    ///
    /// # Errors
    /// What `fetch` fails with; [`Failure::Transient`] when `readings_max` readings all
    /// count differently.
    pub fn until_still(
        &self,
        readings_max: u32,
        mut fetch: impl FnMut(u64) -> Result<Body, Failure>,
    ) -> Result<Ended, Failure> {
        let mut last = None;
        for _ in 0..readings_max {
            let mut elements = 0;
            for number in 1.. {
                let body = fetch(number)?;
                let Some(page) = self.emit(&body)? else {
                    return Ok(Ended::Yielded);
                };
                if page.elements() == 0 {
                    break;
                }
                elements += page.elements();
            }
            if last == Some(elements) {
                return Ok(Ended::Exhausted);
            }
            last = Some(elements);
        }
        Err(Failure::Transient(
            "records go on leaving the pages that are read".to_owned(),
        ))
    }

    /// Pages by time, and by key where times are equal, that are asked for by the last
    /// record before them: those of a later time, or of the same time and a later key.
    /// An empty one is the last. A record that is edited meanwhile moves to the end and
    /// is read again; nothing moves to where was read already.
    ///
    /// # Errors
    /// What `fetch` fails with; [`Failure::Protocol`] when the mark does not move, or
    /// records have no cursor.
    pub fn by_mark<C: Serialize>(
        &self,
        start: Option<Mark>,
        mut fetch: impl FnMut(Option<&Mark>) -> Result<Body, Failure>,
        cursor: impl Fn(&Mark) -> C,
    ) -> Result<Ended, Failure> {
        let mut mark = start;
        loop {
            let body = fetch(mark.as_ref())?;
            let Some(page) = self.emit(&body)? else {
                return Ok(Ended::Yielded);
            };
            if page.elements() == 0 || (self.enough)(&page) {
                return Ok(Ended::Exhausted);
            }
            let (Some(time), Some(key)) = (page.max_cursor, page.last_key) else {
                return Err(stuck("a page has no record with a time and a key"));
            };
            let last = Mark { time, key };
            if mark.as_ref() == Some(&last) {
                return Err(stuck("the last record of a page did not move"));
            }
            let directive = self.host.save(&cursor(&last))?;
            mark = Some(last);
            if directive != Directive::Proceed {
                return Ok(Ended::Yielded);
            }
        }
    }

    /// Pages in key order that are asked for by the last key before them. An
    /// empty one is the last; so is one with no fewer elements than the number
    /// of matches at the JSON pointer `total`. A short page is not.
    ///
    /// # Errors
    /// What `fetch` fails with; [`Failure::Protocol`] when the key does not move.
    pub fn by_key<C: Serialize>(
        &self,
        total: Option<&str>,
        start: Option<String>,
        mut fetch: impl FnMut(Option<&str>) -> Result<Body, Failure>,
        cursor: impl Fn(&str) -> C,
    ) -> Result<Ended, Failure> {
        let mut last = start;
        loop {
            let body = fetch(last.as_deref())?;
            let Some(page) = self.emit(&body)? else {
                return Ok(Ended::Yielded);
            };
            let matches = match total {
                Some(pointer) => body.value::<u64>(pointer)?,
                None => None,
            };
            let elements = page.elements();
            let is_last = matches.is_some_and(|matches| matches <= elements);
            if elements == 0 || is_last || (self.enough)(&page) {
                return Ok(Ended::Exhausted);
            }
            if page.last_key.is_none() || page.last_key == last {
                return Err(stuck("the last key of a page did not move"));
            }
            last = page.last_key;
            let key = last.as_deref().expect("checked above");
            if self.host.save(&cursor(key))? != Directive::Proceed {
                return Ok(Ended::Yielded);
            }
        }
    }

    /// `None` when the run is being stopped.
    fn emit(&self, body: &Body) -> Result<Option<Summary>, Failure> {
        match self.host.emit_body(self.stream, body, &self.how) {
            Ok(summary) => Ok(Some(summary)),
            Err(EmitFault::Stopping) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was taken; the next one, if there is one.
    Further,
    /// It was taken; the next one in another call, for which the host's caps count anew.
    Pause,
    /// It was taken, and is the last that is wanted.
    Enough,
    /// The run is being stopped: nothing of the page counts.
    Stopping,
}

/// The walk of [`Pages::by_token`], with `take` doing what is to be done with a page.
///
/// # Errors
/// What `fetch` and `take` fail with, and as [`Pages::by_token`].
pub fn each_page<C: Serialize>(
    host: &Host,
    next: &str,
    start: Option<String>,
    mut fetch: impl FnMut(Option<&str>) -> Result<Body, Failure>,
    mut take: impl FnMut(&Body) -> Result<Step, Failure>,
    cursor: impl Fn(&str) -> C,
) -> Result<Ended, Failure> {
    let mut is_saved = start.is_some();
    let mut token = start;
    loop {
        let body = match fetch(token.as_deref()) {
            Err(Failure::StaleCursor(_)) if is_saved => {
                (token, is_saved) = (None, false);
                continue;
            }
            Err(Failure::StaleCursor(text)) => return Err(Failure::Protocol(text)),
            fetched => fetched?,
        };
        is_saved = false;
        let step = take(&body)?;
        match step {
            Step::Further | Step::Pause => {}
            Step::Enough => return Ok(Ended::Exhausted),
            Step::Stopping => return Ok(Ended::Yielded),
        }
        let following = body.plain(next)?;
        if following.is_some() && following == token {
            return Err(stuck("the next page is the same page"));
        }
        token = following;
        let Some(token) = &token else {
            return Ok(Ended::Exhausted);
        };
        if host.save(&cursor(token))? != Directive::Proceed || step == Step::Pause {
            return Ok(Ended::Yielded);
        }
    }
}

pub(crate) fn stuck(text: &str) -> Failure {
    Failure::Protocol(format!("{text}; reading on would never end"))
}

#[cfg(test)]
mod tests;
