//! The import `http`: requests go to the broker.

use super::body::Body;
use super::{Live, State, WayOut};
use crate::bindings::http::{self, Fault, Header};
use crate::error::{Stop, stop};
use futures_util::StreamExt as _;
use tidegate_broker::{FetchFault, Method, Payload, Request, Response, Target};
use tidegate_domain::manifest::EndpointRole;
use tidegate_landing::cut;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use wasmtime::component::ResourceTable;

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

impl State {
    /// Puts an answer's body into the table and tells the guest the rest.
    pub(super) fn hand_over(
        &mut self,
        fetched: Fetched,
    ) -> wasmtime::Result<Result<http::Response, Fault>> {
        let State { table, live, .. } = self;
        match (fetched, live.as_deref_mut()) {
            (Ok(response), Some(live)) => respond(table, live, response),
            (Ok(_), None) => stop(Stop::Closed),
            (Err(fault), _) => to_guest(fault).map(Err),
        }
    }
}

impl WayOut {
    /// Sends on the runtime of requests; dropping the handle cancels.
    pub(super) fn start(&self, request: Request) -> AbortOnDropHandle<Fetched> {
        let (session, call) = (self.session.clone(), self.call.clone());
        let fetch = async move { session.fetch(request, &call).await };
        AbortOnDropHandle::new(self.io.spawn(fetch.in_current_span()))
    }
}

impl Live {
    pub(super) fn note_fetch(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.progress.fetched = true;
        }
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
    live: &mut Live,
    response: Response,
) -> wasmtime::Result<Result<http::Response, Fault>> {
    let held_bytes = live.held_bytes + response.body.len() as u64;
    let held_bytes_max = live.context.caps.held_bytes_max;
    if held_bytes > held_bytes_max {
        return Ok(Err(Fault::TooLarge(held_bytes_max)));
    }
    let body = table.push(Body {
        bytes: response.body,
        sent_at_ms: response.sent_at_ms,
        outline: cut::Outline::default(),
        is_closed: live.blind && response.role == EndpointRole::Data,
    });
    let Ok(body) = body else {
        return stop(Stop::Limit(format!("{} open handles", super::HANDLES_MAX)));
    };
    live.held_bytes = held_bytes;
    Ok(Ok(http::Response {
        status: response.status,
        headers: response
            .headers
            .into_iter()
            .map(|(name, value)| Header { name, value })
            .collect(),
        body,
    }))
}

fn to_guest(fault: FetchFault) -> wasmtime::Result<Fault> {
    Ok(match fault {
        FetchFault::Denied(_, text) => Fault::Denied(text),
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
