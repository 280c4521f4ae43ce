//! The import `http`: requests go to the broker, bodies stay here.

use super::{Live, State, WayOut};
use crate::bindings::http::{self, Fault, Header};
use crate::error::{Stop, stop};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tidegate_broker::{FetchFault, Method, Payload, Request, Response, Target};
use tidegate_domain::manifest::EndpointRole;
use tidegate_landing::cut::{self, CutError};
use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::{Resource, ResourceTable};

/// A response body: a guest holds a number, the bytes stay here.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) sent_at_ms: u64,
    /// It holds records and the connector runs blind.
    is_closed: bool,
}

type Fetched = Result<Response, FetchFault>;

impl http::Host for State {
    async fn fetch(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, Fault>> {
        let live = self.enter()?;
        live.note_fetch();
        let request = match to_broker(request) {
            Ok(request) => request,
            Err(fault) => return Ok(Err(fault)),
        };
        let fetched = live.way_out.start(request).await;
        self.hand_over(joined(fetched))
    }

    async fn fetch_many(
        &mut self,
        requests: Vec<http::Request>,
        max_in_flight: u32,
    ) -> wasmtime::Result<Vec<Result<http::Response, Fault>>> {
        let live = self.enter()?;
        let caps = live.context.caps;
        if requests.len() > caps.queued_max {
            return stop(Stop::Limit(format!(
                "{} requests in one fetch-many",
                caps.queued_max
            )));
        }
        live.note_fetch();
        let way_out = live.way_out.clone();
        let way_out = &way_out;
        let in_flight = max_in_flight.clamp(1, caps.in_flight_max) as usize;
        let all: Vec<Result<Fetched, Fault>> = futures_util::stream::iter(requests)
            .map(|request| async move {
                let request = to_broker(request)?;
                Ok(joined(way_out.start(request).await))
            })
            .buffered(in_flight)
            .collect()
            .await;
        all.into_iter()
            .map(|outcome| match outcome {
                Ok(fetched) => self.hand_over(fetched),
                Err(fault) => Ok(Err(fault)),
            })
            .collect()
    }
}

impl http::HostBody for State {
    fn size(&mut self, body: Resource<Body>) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.table.get(&body)?.bytes.len() as u64)
    }

    fn bytes(&mut self, body: Resource<Body>) -> wasmtime::Result<Result<Vec<u8>, Fault>> {
        self.enter()?;
        Ok(self
            .table
            .get(&body)?
            .readable()
            .map(|bytes| bytes.to_vec()))
    }

    fn slice(
        &mut self,
        body: Resource<Body>,
        offset: u64,
        len: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Fault>> {
        self.enter()?;
        Ok(self.table.get(&body)?.readable().map(|bytes| {
            let start = usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
            let end = start.saturating_add(len as usize).min(bytes.len());
            bytes[start..end].to_vec()
        }))
    }

    fn text(&mut self, body: Resource<Body>) -> wasmtime::Result<Result<String, Fault>> {
        self.enter()?;
        Ok(self.table.get(&body)?.readable().and_then(|bytes| {
            std::str::from_utf8(bytes)
                .map(str::to_owned)
                .map_err(|_| Fault::Protocol("the body is not UTF-8 text".to_owned()))
        }))
    }

    fn get(
        &mut self,
        body: Resource<Body>,
        pointer: String,
    ) -> wasmtime::Result<Result<Option<String>, Fault>> {
        let found = self.look_up(&body, std::slice::from_ref(&pointer))?;
        Ok(found.map(|mut values| values.pop().flatten()))
    }

    fn get_many(
        &mut self,
        body: Resource<Body>,
        pointers: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<String>>, Fault>> {
        self.look_up(&body, &pointers)
    }

    fn count(
        &mut self,
        body: Resource<Body>,
        pointer: String,
    ) -> wasmtime::Result<Result<Option<u32>, Fault>> {
        self.enter()?;
        let State { table, live, .. } = self;
        let body = table.get(&body)?;
        let open = live
            .as_deref_mut()
            .map_or(Ok(()), |live| body.allow(&pointer, live));
        Ok(open.and_then(|()| cut::count(&body.bytes, &pointer).map_err(fault_of_cut)))
    }

    async fn drop(&mut self, body: Resource<Body>) -> wasmtime::Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl State {
    /// Puts an answer's body into the table and tells the guest the rest.
    pub(super) fn hand_over(
        &mut self,
        fetched: Fetched,
    ) -> wasmtime::Result<Result<http::Response, Fault>> {
        let blind = self.live.as_ref().is_some_and(|live| live.blind);
        match fetched {
            Ok(response) => respond(&mut self.table, response, blind).map(Ok),
            Err(fault) => to_guest(fault).map(Err),
        }
    }

    fn look_up(
        &mut self,
        body: &Resource<Body>,
        pointers: &[String],
    ) -> wasmtime::Result<Result<Vec<Option<String>>, Fault>> {
        self.enter()?;
        let State { table, live, .. } = self;
        let body = table.get(body)?;
        if let Some(live) = live.as_deref_mut() {
            for pointer in pointers {
                if let Err(fault) = body.allow(pointer, live) {
                    return Ok(Err(fault));
                }
            }
        }
        let answer_bytes_max = match live.as_deref() {
            Some(live) if body.is_closed => live.context.caps.blind_answer_bytes_max,
            _ => usize::MAX,
        };
        let found = match cut::get_many(&body.bytes, pointers) {
            Ok(found) => found,
            Err(error) => return Ok(Err(fault_of_cut(error))),
        };
        if found
            .iter()
            .flatten()
            .any(|value| value.len() > answer_bytes_max)
        {
            return Ok(Err(Fault::Denied(format!(
                "blind: a paging value is larger than {answer_bytes_max} bytes"
            ))));
        }
        Ok(Ok(found
            .into_iter()
            .map(|value| value.map(str::to_owned))
            .collect()))
    }
}

impl WayOut {
    /// Sends on the runtime of requests; dropping the handle cancels.
    pub(super) fn start(&self, request: Request) -> AbortOnDropHandle<Fetched> {
        let (session, call) = (self.session.clone(), self.call.clone());
        AbortOnDropHandle::new(
            self.io
                .spawn(async move { session.fetch(request, &call).await }),
        )
    }
}

impl Live {
    pub(super) fn note_fetch(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.progress.fetched = true;
        }
    }
}

impl Body {
    fn readable(&self) -> Result<&Bytes, Fault> {
        if self.is_closed {
            return Err(Fault::Denied(
                "blind: this connector may not read bodies of data endpoints; emit them with from-body"
                    .to_owned(),
            ));
        }
        Ok(&self.bytes)
    }

    /// A blind connector gets answers only where its manifest says that paging is.
    fn allow(&self, pointer: &str, live: &mut Live) -> Result<(), Fault> {
        if !self.is_closed {
            return Ok(());
        }
        let patterns = &live.manifest.paging_pointers;
        let Some(pattern) = patterns.iter().find(|pattern| matches(pattern, pointer)) else {
            return Err(Fault::Denied(format!(
                "blind: {pointer:?} matches no entry of the manifest's paging-pointers"
            )));
        };
        if pattern.split('/').any(|part| part == "*") {
            live.blind_answers += 1;
            if live.blind_answers > live.context.caps.blind_answers_max {
                return Err(Fault::Denied(format!(
                    "blind: more than {} answers from inside records",
                    live.context.caps.blind_answers_max
                )));
            }
        }
        Ok(())
    }
}

/// What became of a request's task; one that was stopped counts as cancelled.
pub(super) fn joined(outcome: Result<Fetched, tokio::task::JoinError>) -> Fetched {
    outcome.unwrap_or(Err(FetchFault::Cancelled))
}

pub(super) fn to_broker(request: http::Request) -> Result<Request, Fault> {
    let target = match request.target {
        http::Target::Endpoint(at) => Target::Endpoint {
            endpoint: at.endpoint,
            path: at.path,
            query: at.query,
        },
        http::Target::Absolute(url) => Target::Absolute(url),
    };
    let payload = match request.payload {
        http::Payload::None => Payload::None,
        http::Payload::Json(json) => Payload::Json(json),
        http::Payload::Form(pairs) => Payload::Form(pairs),
        http::Payload::Raw(raw) => Payload::Raw {
            content_type: raw.content_type,
            bytes: raw.bytes.into(),
        },
        http::Payload::Rows(_) => {
            return Err(Fault::Invalid(
                "rows are rendered only in a write".to_owned(),
            ));
        }
    };
    Ok(Request {
        method: match request.method {
            http::Method::Get => Method::Get,
            http::Method::Head => Method::Head,
            http::Method::Post => Method::Post,
            http::Method::Put => Method::Put,
            http::Method::Patch => Method::Patch,
            http::Method::Delete => Method::Delete,
        },
        target,
        headers: request
            .headers
            .into_iter()
            .map(|header| (header.name, header.value))
            .collect(),
        payload,
        auth: request.auth,
        bucket: request.bucket,
        cost: request.cost,
        idempotency_key: request.idempotency_key,
        timeout_ms: request.timeout_ms,
        body_bytes_max: request.max_body_bytes,
    })
}

fn respond(
    table: &mut ResourceTable,
    response: Response,
    blind: bool,
) -> wasmtime::Result<http::Response> {
    let body = table.push(Body {
        bytes: response.body,
        sent_at_ms: response.sent_at_ms,
        is_closed: blind && response.role == EndpointRole::Data,
    });
    let Ok(body) = body else {
        return stop(Stop::Limit(format!("{} open handles", super::HANDLES_MAX)));
    };
    Ok(http::Response {
        status: response.status,
        headers: response
            .headers
            .into_iter()
            .map(|(name, value)| Header { name, value })
            .collect(),
        body,
    })
}

fn to_guest(fault: FetchFault) -> wasmtime::Result<Fault> {
    Ok(match fault {
        FetchFault::Denied(rule) => Fault::Denied(rule),
        FetchFault::Throttled { until_ms } => Fault::Throttled(until_ms),
        FetchFault::Auth(reason) => Fault::Auth(reason),
        FetchFault::Dns(reason) => Fault::Dns(reason),
        FetchFault::Connect(reason) => Fault::Connect(reason),
        FetchFault::Tls(reason) => Fault::Tls(reason),
        FetchFault::Timeout(reason) => Fault::Timeout(reason),
        FetchFault::TooLarge(bytes) => Fault::TooLarge(bytes),
        FetchFault::Protocol(reason) => Fault::Protocol(reason),
        FetchFault::Cancelled => Fault::Cancelled,
        FetchFault::Invalid(reason) => Fault::Invalid(reason),
        FetchFault::Host(tidegate_broker::Error::Closed) => return stop(Stop::Closed),
        FetchFault::Host(error) => {
            return stop(Stop::Host {
                what: "the broker",
                fault: error.fault(),
                source: error.into(),
            });
        }
    })
}

fn fault_of_cut(error: CutError) -> Fault {
    match error {
        CutError::Extraction { reason } => Fault::Invalid(reason),
        other => Fault::Protocol(other.to_string()),
    }
}

/// Whether a pointer is one of a pattern's; `*` stands for one name or index.
fn matches(pattern: &str, pointer: &str) -> bool {
    let (mut pattern, mut pointer) = (pattern.split('/'), pointer.split('/'));
    loop {
        match (pattern.next(), pointer.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == found || expected == "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_matches_whole_pointers_of_its_own_depth_only() {
        assert!(matches("/paging/next/after", "/paging/next/after"));
        assert!(matches("/items/*/id", "/items/17/id"));
        for (pattern, pointer) in [
            ("/paging/next/after", "/paging/next"),
            ("/paging/next/after", "/paging/next/after/x"),
            ("/paging", ""),
            ("/items/*/id", "/items/17/name"),
            ("/items/*/id", "/items/id"),
            ("/items/*/id", "/items/1/2/id"),
            ("/items/*/id", "items/1/id"),
        ] {
            assert!(!matches(pattern, pointer), "{pattern} took {pointer}");
        }
    }
}
