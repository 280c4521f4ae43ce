//! One try: sign, send, read, judge.

use super::checked::Checked;
use super::ready::Signature;
use super::{Way, random};
use crate::broker::Shared;
use crate::call::Tally;
use crate::dial::HttpClient;
use crate::endpoint::{Allowed, starts_with};
use crate::limiter::{Permit, Plan};
use crate::transport::{self, Broken, Received};
use crate::{Connection, FetchFault, Meter, Origin, Response, answer, flow};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::Full;
use std::time::Duration;
use tidegate_domain::limit::MS;
use tidegate_domain::manifest::ResponseClass;
use tidegate_store::clock::now_ms;
use tidegate_store::flow::RequestRecord;
use tokio::time::Instant;
use tracing::Instrument as _;

/// How long a long limit lasts where the provider does not say: one question in a
/// quarter of an hour costs nothing.
const LONG_WAIT_MS: u64 = 15 * 60 * 1000;

type Outcome = Result<Response, FetchFault>;

/// What a try came to. `outcome` is what the guest gets where no other try follows.
pub(super) enum Verdict {
    /// No other try.
    Done(Outcome),
    /// The token was refused; once, with a newer one.
    Renew { version: u64, outcome: Outcome },
    /// After the gate that was closed.
    Throttled(Outcome),
    /// After a back-off.
    Again(Outcome),
}

/// What one try needs beside its request.
pub(super) struct Attempt<'a> {
    pub(super) shared: &'a Shared,
    pub(super) client: HttpClient<Full<Bytes>>,
    pub(super) connection: &'a Connection,
    /// Prefixes of paths that are asked for once.
    pub(super) once: &'a [String],
    pub(super) way: Way<'a>,
    /// How long the request waited for its limits.
    pub(super) waited: Duration,
}

impl Attempt<'_> {
    pub(super) async fn run(
        &self,
        checked: &Checked<'_>,
        allowed: Allowed,
        signature: Signature,
        mut permit: Permit,
    ) -> Verdict {
        let request = match signed(checked, &allowed, &signature) {
            Ok(request) => request,
            Err(fault) => return Verdict::Done(Err(fault)),
        };
        let sent_at_ms = now_ms();
        permit.sent();
        let span = tracing::info_span!(
            "http.client.request",
            otel.kind = "client",
            connector.name = %self.connection.manifest.id,
            http.request.method = %request.method(),
            server.address = allowed.url.host_str(),
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let begun = Instant::now();
        let tally = self.way.meters.tally();
        let exchange = self.exchange(checked, request, &mut permit, &tally);
        let received = exchange.instrument(span.clone()).await;
        match &received {
            Ok(received) => permit.received(&received.body),
            Err(broken) if !broken.reached => permit.unreached(),
            Err(_) => {}
        }
        self.record(&allowed, checked, &received, &tally.own, sent_at_ms, begun);
        match &received {
            Ok(received) => span.record("http.response.status_code", received.status),
            Err(broken) => span.record("error.type", tracing::field::display(broken.fault.fault())),
        };
        if let (Ok(received), Some(origin)) = (&received, cookie_origin(&allowed)) {
            checked.jar.take(&origin, &received.headers);
        }
        match received {
            Ok(received) => self.judge(checked, allowed, &signature, received, sent_at_ms),
            Err(broken) => {
                let may_repeat = self.is_repeatable(checked, allowed.url.path()) || !broken.reached;
                let passing = matches!(
                    broken.fault,
                    FetchFault::Dns(_)
                        | FetchFault::Connect(_)
                        | FetchFault::Timeout(_)
                        | FetchFault::Protocol(_)
                );
                if may_repeat && passing {
                    Verdict::Again(Err(broken.fault))
                } else {
                    Verdict::Done(Err(broken.fault))
                }
            }
        }
    }

    async fn exchange(
        &self,
        checked: &Checked<'_>,
        request: http::Request<Full<Bytes>>,
        permit: &mut Permit,
        tally: &Tally<'_>,
    ) -> Result<Received, Broken> {
        let config = &self.shared.config;
        let asked = checked.request;
        let own_ms = asked.timeout_ms.map_or(u64::MAX, u64::from);
        let timeout = Duration::from_millis(config.attempt_timeout_ms.min(own_ms));
        // A guest knows which of its requests an API is slow to answer.
        let first_byte = asked
            .timeout_ms
            .map_or(config.first_byte_timeout_ms, u64::from);
        let body_bytes_max = asked.body_bytes_max.unwrap_or(u64::MAX);
        let exchange = transport::exchange(
            &self.client,
            request,
            config,
            Duration::from_millis(first_byte),
            body_bytes_max.min(config.body_bytes_max),
            self.way.meters.through(tally),
            |headers| permit.answered(headers),
        );
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(Broken {
                    fault: FetchFault::Timeout("no whole answer in time".to_owned()),
                    reached: true,
                })
            })
    }

    fn record(
        &self,
        allowed: &Allowed,
        checked: &Checked<'_>,
        received: &Result<Received, Broken>,
        own: &Meter,
        sent_at_ms: u64,
        begun: Instant,
    ) {
        let Some(recorder) = self.shared.recorder.get() else {
            return;
        };
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let usage = own.usage();
        recorder.record(RequestRecord {
            tenant: self.connection.tenant.clone(),
            connection: self.connection.id.clone(),
            origin: self.way.call.origin.as_deref().cloned(),
            connector: self.connection.connector.clone(),
            method: http::Method::from(checked.request.method).to_string(),
            endpoint: allowed.endpoint.clone(),
            path: flow::template(allowed.url.path()),
            status: received.as_ref().ok().map(|received| received.status),
            fault: received.as_ref().err().map(|broken| broken.fault.fault()),
            bytes_sent: usage.bytes_sent,
            bytes_received: usage.bytes_received,
            sent_at_ms,
            waited_ms: ms(self.waited),
            took_ms: ms(begun.elapsed()),
        });
    }

    /// Acts on the class of the answer before the guest sees it.
    fn judge(
        &self,
        checked: &Checked<'_>,
        allowed: Allowed,
        signature: &Signature,
        received: Received,
        sent_at_ms: u64,
    ) -> Verdict {
        let status = received.status;
        let class = answer::classify(&self.connection.manifest, status, &received.body);
        let pause_ms = self.pause_ms(&received.headers);
        let response = Response {
            status,
            headers: answer::shown_headers(&self.connection.manifest, &received.headers),
            body: received.body,
            endpoint: allowed.endpoint,
            role: allowed.role,
            sent_at_ms,
        };
        match class {
            ResponseClass::Success | ResponseClass::Permanent => {
                self.way.plan.served(self.way.bucket);
                Verdict::Done(Ok(response))
            }
            ResponseClass::Auth => {
                let outcome = Err(FetchFault::Auth(format!(
                    "the provider refused the credential with status {status}"
                )));
                match signature.version {
                    Some(version) => Verdict::Renew { version, outcome },
                    None => Verdict::Done(outcome),
                }
            }
            ResponseClass::ThrottledShort => self.throttled(&received.headers, pause_ms),
            ResponseClass::ThrottledLong => {
                let reset_ms = Plan::reset_wait_ms(self.way.bucket, &received.headers, now_ms());
                let wait_ms = pause_ms.or(reset_ms).unwrap_or(LONG_WAIT_MS);
                let until = self.way.plan.parked(self.way.bucket, wait_ms);
                Verdict::Done(Err(throttled_until(until)))
            }
            ResponseClass::Transient => {
                if pause_ms.is_some() {
                    // Retry-After holds for everyone, whatever the status.
                    self.throttled(&received.headers, pause_ms);
                }
                // 503 says that the request was not served (RFC 9110, 15.6.4).
                if status == 503 || self.is_repeatable(checked, allowed.url.path()) {
                    Verdict::Again(Ok(response))
                } else {
                    Verdict::Done(Ok(response))
                }
            }
        }
    }

    /// Whether sending again does no harm, even if the first was served.
    fn is_repeatable(&self, checked: &Checked<'_>, path: &str) -> bool {
        let request = checked.request;
        let once = || self.once.iter().any(|prefix| starts_with(path, prefix));
        request.idempotency_key.is_some() || request.method.is_idempotent() && !once()
    }

    fn pause_ms(&self, headers: &HeaderMap) -> Option<u64> {
        answer::retry_after_ms(headers, now_ms())
    }

    fn throttled(&self, headers: &HeaderMap, pause_ms: Option<u64>) -> Verdict {
        let pause_ms = pause_ms.or_else(|| Plan::reset_wait_ms(self.way.bucket, headers, now_ms()));
        match random() {
            Ok(random) => {
                let until = self.way.plan.throttled(self.way.bucket, pause_ms, random);
                Verdict::Throttled(Err(throttled_until(until)))
            }
            Err(fault) => Verdict::Done(Err(fault)),
        }
    }
}

fn throttled_until(until: u64) -> FetchFault {
    FetchFault::Throttled {
        until_ms: until.div_ceil(MS),
    }
}

/// Whose cookies they are, where the endpoint keeps any.
fn cookie_origin(allowed: &Allowed) -> Option<Origin> {
    Origin::of(&allowed.url).filter(|_| allowed.cookies)
}

fn signed(
    checked: &Checked<'_>,
    allowed: &Allowed,
    signature: &Signature,
) -> Result<http::Request<Full<Bytes>>, FetchFault> {
    let mut headers = checked.headers.clone();
    let mut url = allowed.url.clone();
    if let Some(credential) = &signature.credential {
        credential.sign(&mut headers, &mut url)?;
    }
    if let Some(cookies) = cookie_origin(allowed).and_then(|origin| checked.jar.header(&origin)) {
        headers.insert(http::header::COOKIE, cookies);
    }
    let mut request = http::Request::new(Full::new(checked.body.clone()));
    *request.method_mut() = checked.request.method.into();
    *request.uri_mut() = url
        .as_str()
        .parse()
        .map_err(|_| FetchFault::Invalid("the address is no URI".to_owned()))?;
    *request.headers_mut() = headers;
    Ok(request)
}
