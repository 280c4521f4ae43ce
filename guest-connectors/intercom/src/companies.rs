//! Companies by scroll: the only way past ten thousand of them, and a delicate one.
//!
//! A workspace has one scroll at a time. It goes on with every request, so a page whose
//! answer is lost is lost, whoever asks again; it ends for good after a minute, or with
//! an error, and nobody can go on with it. So it is read in one go, and what it showed
//! is held against the number of companies: where some are missing it is read again,
//! until all were seen in one reading or the other.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tidegate_sdk::{Directive, EmitFault, HttpFault, prelude::*};

use crate::reading::Walk;
use crate::{Cursor, Intercom, Position, accepted, code, versioned};

/// An idle scroll is over after a minute; somebody else's is, or our own from before.
const SCROLL_IDLE_MS: u64 = 65_000;
/// Readings without a company that was not seen before.
const BARREN_READINGS_MAX: u32 = 3;
/// Pages that are lost one after the other.
const LOSSES_MAX: u32 = 3;
/// Ids of one page, at most.
const PAGE_MAX: usize = 150;

pub(crate) fn scroll(walk: &Walk<'_>) -> Result<Outcome<Intercom>, Failure> {
    let mut scroll = Scroll {
        walk,
        how: walk.records("/data"),
        seen: HashSet::new(),
        pages: match walk.position {
            Some(Position::Scrolled(pages)) => pages,
            _ => 0,
        },
    };
    let mut barren = 0;
    while barren < BARREN_READINGS_MAX {
        let (expected, before) = (scroll.companies()?, scroll.seen.len());
        match scroll.run_out()? {
            Ended::Taken => {
                return Ok(Outcome::WaitUntil(walk.host.now_ms() + SCROLL_IDLE_MS));
            }
            Ended::Stopped => return Ok(Outcome::More),
            Ended::Broken | Ended::Exhausted => {}
        }
        if scroll.seen.len() as u64 >= expected {
            return Ok(Outcome::Done(Cursor::end(walk.bound.until())));
        }
        barren = match scroll.seen.len() > before {
            true => 0,
            false => barren + 1,
        };
    }
    Err(Failure::Transient(format!(
        "the scroll over companies shows {} of them, and the list counts more",
        scroll.seen.len()
    )))
}

/// How a scroll ended.
enum Ended {
    /// With an empty page.
    Exhausted,
    /// With an error, before its end.
    Broken,
    /// It did not begin: another one is open.
    Taken,
    /// The run is being stopped.
    Stopped,
}

struct Scroll<'a> {
    walk: &'a Walk<'a>,
    how: Extraction,
    /// Hashes of the ids that any reading showed.
    seen: HashSet<u64>,
    /// Pages of all readings; a cursor has to move.
    pages: u64,
}

impl Scroll<'_> {
    /// How many companies there are, as the list counts them.
    fn companies(&self) -> Result<u64, Failure> {
        let region = self.walk.read.config.region.name();
        let request = Request::get(region, "/companies")
            .query("per_page", 1)
            .query("page", 1);
        let body = self.walk.send(request)?;
        let counted = body.value("/total_count")?;
        counted.ok_or_else(|| Failure::Protocol("the list does not count companies".to_owned()))
    }

    fn run_out(&mut self) -> Result<Ended, Failure> {
        let mut parameter: Option<String> = None;
        let mut losses = 0;
        loop {
            let response = match answered(self.page(parameter.as_deref()))? {
                Some(response) => response,
                None if parameter.is_none() => return Ok(Ended::Broken),
                // What was on that page is missing, and another reading has it.
                None if losses < LOSSES_MAX => {
                    losses += 1;
                    continue;
                }
                None => {
                    let text = "the scroll over companies does not answer".to_owned();
                    return Err(Failure::Transient(text));
                }
            };
            losses = 0;
            match (response.status, &parameter) {
                (400, None) if code(&response.body).as_deref() == Some("scroll_exists") => {
                    return Ok(Ended::Taken);
                }
                // What the host did not send again, and a scroll that is over.
                (500, _) | (400 | 404, Some(_)) => return Ok(Ended::Broken),
                _ => {}
            }
            let body = accepted(response, "companies")?;
            let page = match self
                .walk
                .host
                .emit_body(&self.walk.read.stream, &body, &self.how)
            {
                Ok(page) => page,
                Err(EmitFault::Stopping) => return Ok(Ended::Stopped),
                Err(fault) => return Err(fault.into()),
            };
            if page.elements() == 0 {
                return Ok(Ended::Exhausted);
            }
            for id in body.each("/data/*/id", PAGE_MAX)? {
                let mut hasher = DefaultHasher::new();
                id.hash(&mut hasher);
                self.seen.insert(hasher.finish());
            }
            parameter = body.plain("/scroll_param")?;
            if parameter.is_none() {
                return Ok(Ended::Exhausted);
            }
            self.pages += 1;
            let cursor = self.walk.cursor(Position::Scrolled(self.pages));
            // Giving the slot back would mean to begin again: only who must stop, stops.
            if self.walk.read.save(self.walk.host, &cursor)? == Directive::Stop {
                return Ok(Ended::Stopped);
            }
        }
    }

    fn page(&self, parameter: Option<&str>) -> Result<Response, HttpFault> {
        let config = &self.walk.read.config;
        let mut request = Request::get(config.region.name(), "/companies/scroll");
        if let Some(parameter) = parameter {
            request = request.query("scroll_param", parameter);
        }
        self.walk.host.fetch(&versioned(request, config))
    }
}

/// The answer to a page, or nothing where it was lost on the way: the host does not ask
/// again for what goes on with every request. The scroll that it belongs to is still
/// open then.
fn answered(page: Result<Response, HttpFault>) -> Result<Option<Response>, Failure> {
    use HttpFault::{Connect, Protocol, Timeout};
    match page {
        Ok(response) if matches!(response.status, 501..=599) => Ok(None),
        Err(Connect(_) | Protocol(_) | Timeout(_)) => Ok(None),
        page => Ok(Some(page?)),
    }
}
