//! One try: sign, send, read, judge.

use super::checked::Checked;
use super::random;
use super::ready::Signature;
use crate::broker::Shared;
use crate::call::Meters;
use crate::dial::HttpClient;
use crate::endpoint::Allowed;
use crate::limiter::{Bucket, Permit, Plan};
use crate::transport::{self, Broken, Received};
use crate::{FetchFault, Origin, Response, answer};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::Full;
use std::time::Duration;
use tidegate_domain::limit::MS;
use tidegate_domain::manifest::{Manifest, ResponseClass};
use tidegate_store::clock::now_ms;
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
    pub(super) manifest: &'a Manifest,
    pub(super) plan: &'a Plan,
    pub(super) bucket: &'a Bucket,
    pub(super) meters: Meters<'a>,
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
            connector.name = %self.manifest.id,
            http.request.method = %request.method(),
            server.address = allowed.url.host_str(),
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let exchange = self.exchange(checked, request, &mut permit);
        let received = exchange.instrument(span.clone()).await;
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
                let may_repeat = repeatable(checked) || !broken.reached;
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
    ) -> Result<Received, Broken> {
        let config = &self.shared.config;
        let asked = checked.request;
        let own_ms = asked.timeout_ms.map_or(u64::MAX, u64::from);
        let timeout = Duration::from_millis(config.attempt_timeout_ms.min(own_ms));
        let body_bytes_max = asked.body_bytes_max.unwrap_or(u64::MAX);
        let exchange = transport::exchange(
            &self.client,
            request,
            config,
            body_bytes_max.min(config.body_bytes_max),
            self.meters,
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
        let class = answer::classify(self.manifest, status, &received.body);
        let pause_ms = self.pause_ms(&received.headers);
        let response = Response {
            status,
            headers: answer::shown_headers(self.manifest, &received.headers),
            body: received.body,
            endpoint: allowed.endpoint,
            role: allowed.role,
            sent_at_ms,
        };
        match class {
            ResponseClass::Success | ResponseClass::Permanent => {
                self.plan.served(self.bucket);
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
                let reset_ms = Plan::reset_wait_ms(self.bucket, &received.headers, now_ms());
                let wait_ms = pause_ms.or(reset_ms).unwrap_or(LONG_WAIT_MS);
                let until = self.plan.parked(self.bucket, wait_ms);
                Verdict::Done(Err(throttled_until(until)))
            }
            ResponseClass::Transient => {
                if pause_ms.is_some() {
                    // Retry-After holds for everyone, whatever the status.
                    self.throttled(&received.headers, pause_ms);
                }
                // 503 says that the request was not served (RFC 9110, 15.6.4).
                if status == 503 || repeatable(checked) {
                    Verdict::Again(Ok(response))
                } else {
                    Verdict::Done(Ok(response))
                }
            }
        }
    }

    fn pause_ms(&self, headers: &HeaderMap) -> Option<u64> {
        answer::retry_after_ms(headers, self.shared.limiter.clock().now_ms())
    }

    fn throttled(&self, headers: &HeaderMap, pause_ms: Option<u64>) -> Verdict {
        let now_ms = self.shared.limiter.clock().now_ms();
        let pause_ms = pause_ms.or_else(|| Plan::reset_wait_ms(self.bucket, headers, now_ms));
        match random() {
            Ok(random) => {
                let until = self.plan.throttled(self.bucket, pause_ms, random);
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

/// Whether sending again does no harm, even if the first was served.
fn repeatable(checked: &Checked<'_>) -> bool {
    let request = checked.request;
    request.method.is_idempotent() || request.idempotency_key.is_some()
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
