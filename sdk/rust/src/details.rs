//! Records that a list only names: each is asked for by its id.

use serde::Serialize;

use crate::paging::{Step, each_page, stuck};
use crate::{
    Body, Directive, EmitFault, Ended, Extraction, Failure, Host, Request, Response, Summary,
};

/// How many details are asked for in one crossing: what the host takes at once.
const BATCH: usize = 100;
/// How many are under way at the same time: what the host allows.
const IN_FLIGHT_MAX: u32 = 8;

/// What a page of a list asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// A request for each record that is wanted.
    pub requests: Vec<Request>,
    /// No later page names one that is wanted.
    pub is_last: bool,
}

/// Emits records one by one, each from an answer of its own.
///
/// The ids come from a page of the list by a pointer pattern
/// ([`Body::each`]), so a connector that does this may still run blind.
pub struct Details<'a> {
    host: &'a Host,
    stream: &'a str,
    how: Extraction,
}

impl<'a> Details<'a> {
    /// Details of `stream`, each cut as `how` says: a pointer to one object is one
    /// record.
    #[must_use]
    pub fn new(host: &'a Host, stream: &'a str, mut how: Extraction) -> Self {
        // An answer without a key holds no record, and none may be lost for it.
        if how.present.is_none() {
            how.present = how.key.first().cloned();
        }
        Self { host, stream, how }
    }

    /// Walks a list as [`Pages::by_token`](crate::Pages::by_token) does, and emits the
    /// records that `named` finds in each page instead of the page. A cursor is saved
    /// after all of a page's records.
    ///
    /// # Errors
    /// As [`Details::emit`] and [`Pages::by_token`](crate::Pages::by_token).
    pub fn by_token<C: Serialize>(
        &self,
        next: &str,
        start: Option<String>,
        fetch: impl FnMut(Option<&str>) -> Result<Body, Failure>,
        named: impl Fn(&Body) -> Result<Named, Failure>,
        accept: impl Fn(Response) -> Result<Option<Body>, Failure>,
        cursor: impl Fn(&str) -> C,
    ) -> Result<Ended, Failure> {
        let take = |page: &Body| {
            let named = named(page)?;
            Ok(match self.emit(&named.requests, &accept)? {
                None => Step::Stopping,
                Some(_) if named.is_last => Step::Enough,
                Some(_) => Step::Further,
            })
        };
        each_page(self.host, next, start, fetch, take, cursor)
    }

    /// Walks a list as [`Pages::by_key`](crate::Pages::by_key) does, and emits the
    /// records that `named` finds in each page instead of the page. `named` also tells
    /// the page's last key; a page without one is the last.
    ///
    /// # Errors
    /// As [`Details::emit`] and [`Pages::by_key`](crate::Pages::by_key).
    pub fn by_key<C: Serialize>(
        &self,
        start: Option<String>,
        mut fetch: impl FnMut(Option<&str>) -> Result<Body, Failure>,
        named: impl Fn(&Body) -> Result<(Vec<Request>, Option<String>), Failure>,
        accept: impl Fn(Response) -> Result<Option<Body>, Failure>,
        cursor: impl Fn(&str) -> C,
    ) -> Result<Ended, Failure> {
        let mut last = start;
        loop {
            let page = fetch(last.as_deref())?;
            let (requests, key) = named(&page)?;
            let Some(key) = key else {
                return Ok(Ended::Exhausted);
            };
            if last.as_ref() == Some(&key) {
                return Err(stuck("the last key of a page did not move"));
            }
            if self.emit(&requests, &accept)?.is_none() {
                return Ok(Ended::Yielded);
            }
            let directive = self.host.save(&cursor(&key))?;
            last = Some(key);
            if directive != Directive::Proceed {
                return Ok(Ended::Yielded);
            }
        }
    }

    /// Asks for all of these and emits them in their order. `accept` makes a body of an
    /// answer, or nothing where the record is gone since the list named it. `None` when
    /// the run is being stopped: then save nothing and return
    /// [`Outcome::More`](crate::Outcome::More).
    ///
    /// # Errors
    /// What the requests or `accept` fail with; [`Failure::Protocol`] where an answer
    /// holds something without a key instead of the record.
    pub fn emit(
        &self,
        requests: &[Request],
        accept: impl Fn(Response) -> Result<Option<Body>, Failure>,
    ) -> Result<Option<Summary>, Failure> {
        let mut whole = Summary::default();
        for batch in requests.chunks(BATCH) {
            for answer in self.host.fetch_many(batch, IN_FLIGHT_MAX) {
                let Some(body) = accept(answer?)? else {
                    continue;
                };
                match self.host.emit_body(self.stream, &body, &self.how) {
                    Ok(one) if one.skipped > 0 && self.skips_by_key() => {
                        let text = format!("an answer for a record of {} has no key", self.stream);
                        return Err(Failure::Protocol(text));
                    }
                    Ok(one) => add(&mut whole, one),
                    Err(EmitFault::Stopping) => return Ok(None),
                    Err(fault) => return Err(fault.into()),
                }
            }
        }
        Ok(Some(whole))
    }

    fn skips_by_key(&self) -> bool {
        self.how.present.as_ref() == self.how.key.first()
    }
}

/// Extremes of cursors are left out: the details of a page are in the list's order.
fn add(whole: &mut Summary, one: Summary) {
    whole.records += one.records;
    whole.bytes += one.bytes;
    whole.deletes += one.deletes;
    whole.rejected += one.rejected;
    whole.skipped += one.skipped;
    if whole.first_key.is_none() {
        whole.first_key = one.first_key;
    }
    whole.last_key = one.last_key.or(whole.last_key.take());
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::Details;
    use crate::{
        Ended, Extraction, Failure, Manifest, Request, Target,
        testing::{Answer, MemoryHost},
    };

    #[test]
    fn details_of_a_page_are_emitted_in_its_order_without_those_that_are_gone() {
        let manifest = Manifest::new("talk", "Talk", "1")
            .paging_pointer("/talks/*/id")
            .blind();
        let memory = MemoryHost::new(|request| match request.path() {
            "/talks" => Answer::json(&json!({"talks": [{"id": "a"}, {"id": 7}, {"id": "gone"}]})),
            "/talks/gone" => Answer::status(404),
            "/talks/empty" => Answer::json(&json!({})),
            path => Answer::json(&json!({"id": path.rsplit('/').next(), "parts": [1, 2]})),
        })
        .blind(&manifest);
        let host = memory.host();
        let list = host.fetch(&Request::get("api", "/talks")).unwrap().body;
        let ids = list.each("/talks/*/id", 150).unwrap();
        assert_eq!(ids, ["a", "7", "gone"]);
        assert_eq!(list.each("/talks/*/id", 1).unwrap(), ["a"]);
        assert!(list.each("/talks/*/text", 1).is_err(), "blind");

        let requests: Vec<Request> = ids
            .iter()
            .map(|id| Request::get("api", format!("/talks/{id}")))
            .collect();
        let details = Details::new(&host, "talks", Extraction::json("").key("/id"));
        let summary = details.emit(&requests, |response| match response.status {
            404 => Ok(None),
            _ => response.success().map(Some),
        });
        let summary = summary.unwrap().unwrap();
        assert_eq!(
            (summary.records, summary.last_key.as_deref()),
            (2, Some("7"))
        );
        let keys: Vec<String> = memory.emitted().into_iter().map(|one| one.key).collect();
        assert_eq!(keys, ["a", "7"]);
        let empty = [Request::get("api", "/talks/empty")];
        let broken = details.emit(&empty, |response| response.success().map(Some));
        assert!(matches!(broken, Err(Failure::Protocol(_))), "{broken:?}");
        let refused = details.emit(&requests[2..], |response| response.success().map(Some));
        assert!(matches!(refused, Err(Failure::Unsupported(_))));
    }
    /// Ids 1 to 7 in pages of three behind a key, and their details.
    fn talks() -> MemoryHost {
        MemoryHost::new(|request| match request.path() {
            "/talks" => {
                let Target::Endpoint { query, .. } = &request.target else {
                    unreachable!()
                };
                let after: u64 = query[0].1.parse().unwrap();
                let ids = (1..=7).filter(|id| *id > after).take(3);
                let talks = ids.map(|id| json!({ "id": id }));
                Answer::json(&json!({"talks": talks.collect::<Vec<_>>()}))
            }
            path => Answer::json(&json!({"id": path.rsplit('/').next()})),
        })
    }

    fn walk(
        memory: &MemoryHost,
        named_last: impl Fn(&[String]) -> Option<String>,
    ) -> Result<Ended, Failure> {
        let host = memory.host();
        let details = Details::new(&host, "talks", Extraction::json("").key("/id"));
        details.by_key(
            None,
            |last| {
                let request = Request::get("api", "/talks").query("after", last.unwrap_or("0"));
                host.fetch(&request)?.success()
            },
            |page| {
                let ids = page.each("/talks/*/id", 3)?;
                let asked = ids
                    .iter()
                    .map(|id| Request::get("api", format!("/talks/{id}")));
                Ok((asked.collect(), named_last(&ids)))
            },
            |response| response.success().map(Some),
            |key| json!(key),
        )
    }

    #[test]
    fn details_behind_a_key_are_emitted_once_each_and_saved_after_every_page() {
        let memory = talks();
        let ended = walk(&memory, |ids| ids.last().cloned()).unwrap();
        assert_eq!(ended, Ended::Exhausted);
        let keys: Vec<String> = memory.emitted().into_iter().map(|one| one.key).collect();
        assert_eq!(keys, ["1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(memory.saves(), [json!("3"), json!("6"), json!("7")]);
    }

    #[test]
    fn a_last_key_that_does_not_move_is_a_failure_and_no_loop() {
        let stuck = walk(&talks(), |_| Some("2".to_owned()));
        assert!(matches!(stuck, Err(Failure::Protocol(_))));
    }
}
