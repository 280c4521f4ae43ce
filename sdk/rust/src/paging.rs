//! The three usual ways through a list, each with a save after every page.

use serde::Serialize;

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
}

impl<'a> Pages<'a> {
    /// Pages of `stream`, cut as `how` says.
    #[must_use]
    pub fn new(host: &'a Host, stream: &'a str, how: Extraction) -> Self {
        Self { host, stream, how }
    }

    /// Pages that name the next one with a token at the JSON pointer `next`;
    /// the first one without is the last. A short or empty page is not.
    ///
    /// # Errors
    /// What `fetch` fails with; [`Failure::Protocol`] when a token repeats.
    pub fn by_token<C: Serialize>(
        &self,
        next: &str,
        start: Option<String>,
        mut fetch: impl FnMut(Option<&str>) -> Result<Body, Failure>,
        cursor: impl Fn(&str) -> C,
    ) -> Result<Ended, Failure> {
        let mut token = start;
        loop {
            let body = fetch(token.as_deref())?;
            if self.emit(&body)?.is_none() {
                return Ok(Ended::Yielded);
            }
            let following = body.plain(next)?;
            if following.is_some() && following == token {
                return Err(stuck("the next page is the same page"));
            }
            token = following;
            let Some(token) = &token else {
                return Ok(Ended::Exhausted);
            };
            if self.host.save(&cursor(token))? != Directive::Proceed {
                return Ok(Ended::Yielded);
            }
        }
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
            if page.elements() == 0 {
                return Ok(Ended::Exhausted);
            }
            offset += page.elements();
            if self.host.save(&cursor(offset))? != Directive::Proceed {
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
            if elements == 0 || matches.is_some_and(|matches| matches <= elements) {
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

fn stuck(text: &str) -> Failure {
    Failure::Protocol(format!("{text}; reading on would never end"))
}

#[cfg(test)]
mod tests;
