//! The API server: one pipeline for every request, from the socket to the
//! damage that a fault asks for.

mod catalog;
mod oauth;
mod objects;
pub(crate) mod reply;
mod route;
mod writes;

use std::convert::Infallible;
use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::reply::{Body, Reply, broken_off, whole};
use self::route::{Batch, Route};
use crate::account::Account;
use crate::counters::{PathKind, add};
use crate::faults::{Fault, WrongJson};
use crate::limits::{Allowance, App, Bucket, Refusal};
use crate::oauth::{Scopes, Standing};
use crate::problem::Problem;

/// Request bodies at most; the largest legal one is a full batch.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Path and query at most; the edge refuses longer ones.
const TARGET_BYTES_MAX: usize = 16 << 10;

/// Accepts connections until stopped and answers each request with `respond`.
pub(crate) async fn serve<F, R>(
    listener: TcpListener,
    stop: CancellationToken,
    connections: TaskTracker,
    respond: F,
) where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A failed accept concerns one client; the next may do better.
        let Ok((stream, _)) = accepted else { continue };
        // Without it only latency suffers.
        let _delayed = stream.set_nodelay(true);
        let stop = stop.clone();
        let respond = respond.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = respond(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let connection = http
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // How a client leaves is its own affair.
                _left = connection => {}
            }
        });
    }
}

/// One request as the pipeline sees it.
struct Exchange<'a> {
    account: &'a Arc<Account>,
    route: &'a Route,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
    correlation_id: &'a str,
    /// Damage to do to the answer once it exists.
    damage: Vec<Fault>,
    allowance: Allowance,
}

/// Answers one API request.
pub(crate) async fn respond(account: Arc<Account>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let route = Route::parse(&parts.method, path);
    let _in_flight = account.meter.begin(route.path_kind());
    let correlation_id = account.correlation_id();
    let collected = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let Ok(collected) = collected else {
        let mut response = Response::new(whole(Bytes::new()));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let body = collected.to_bytes();
    let mut exchange = Exchange {
        account: &account,
        route: &route,
        path,
        query: parts.uri.query().unwrap_or(""),
        headers: &parts.headers,
        body: &body,
        correlation_id: &correlation_id,
        damage: Vec::new(),
        allowance: Allowance::default(),
    };
    let reply = match exchange.answer().await {
        Ok(reply) => reply,
        Err(problem) => Reply::problem(&problem, &correlation_id),
    };
    exchange.finish(reply)
}

impl Exchange<'_> {
    async fn answer(&mut self) -> Result<Reply, Problem> {
        if self.path.len() + self.query.len() > TARGET_BYTES_MAX {
            return Ok(Reply::html(
                414,
                "<html><body>414 Request-URI Too Large</body></html>",
            ));
        }
        if self.route.path_kind() == PathKind::Authorize
            || self.route.path_kind() == PathKind::Token
        {
            return match self.strike(None).await? {
                Some(reply) => Ok(reply),
                None => self.answer_oauth(),
            };
        }
        match self.route {
            Route::Missing => return Ok(Reply::empty(404)),
            Route::WrongMethod => return Ok(Reply::empty(405)),
            Route::UnknownType(name) => return Err(Problem::unknown_type(name)),
            _ => {}
        }
        let Some((app, scopes)) = self.authenticate()? else {
            return Ok(Reply::html(530, "error code: 1016"));
        };
        let bucket = match self.route {
            Route::Search(_) => Bucket::Search(app),
            _ => Bucket::Ordinary(app),
        };
        self.admit(bucket)?;
        if let Some(reply) = self.strike(Some(bucket)).await? {
            return Ok(reply);
        }
        match self.route.scope() {
            Some(scope) if !scopes.contains(&scope) => Err(Problem::missing_scopes(&scope)),
            _ => self.dispatch().await,
        }
    }

    /// The app and scopes of the token; `None` when the edge refuses it.
    fn authenticate(&self) -> Result<Option<(App, Scopes)>, Problem> {
        let refused = |problem| {
            add(&self.account.meter.unauthorized, 1);
            Err(problem)
        };
        let Some(token) = self.bearer() else {
            return refused(Problem::no_credentials());
        };
        match self
            .account
            .oauth
            .standing(token, self.account.clock.now_ms())
        {
            Standing::Valid { app, scopes } => Ok(Some((app, scopes))),
            Standing::Expired { minutes } => refused(Problem::expired(minutes)),
            Standing::Unknown => refused(Problem::no_credentials()),
            Standing::Malformed => Ok(None),
        }
    }

    fn bearer(&self) -> Option<&str> {
        let value = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    }

    fn admit(&mut self, bucket: Bucket) -> Result<(), Problem> {
        let now_ms = self.account.clock.now_ms();
        let (allowance, refusal) = self.account.limits.admit(bucket, Instant::now(), now_ms);
        self.allowance = allowance;
        match refusal {
            None => Ok(()),
            Some(Refusal::TenSecondly) => Err(Problem::ten_secondly(self.group_name(bucket))),
            Some(Refusal::Secondly) => Err(Problem::secondly()),
            Some(Refusal::Daily) => Err(Problem::daily()),
        }
    }

    fn group_name(&self, bucket: Bucket) -> String {
        let group = match bucket {
            Bucket::Ordinary(App::Private) | Bucket::Search(App::Private) => "private_app",
            Bucket::Ordinary(App::OAuth) | Bucket::Search(App::OAuth) => "oauth_app",
        };
        let portal = self.account.config.portal_id;
        format!("publicapi:{group}-api-calls-ten-secondly:{portal}")
    }

    /// Lets the installed faults strike: an answer in place of the real one,
    /// or damage that is done to it later.
    async fn strike(&mut self, bucket: Option<Bucket>) -> Result<Option<Reply>, Problem> {
        for fault in self.account.faults.strike(self.route.path_kind()) {
            add(&self.account.meter.faulted, 1);
            match fault {
                Fault::Delay(by_ms) => tokio::time::sleep(Duration::from_millis(by_ms)).await,
                Fault::Status(status @ (502 | 504 | 520..=530)) => {
                    return Ok(Some(Reply::html(
                        status,
                        "<html><body>edge error</body></html>",
                    )));
                }
                Fault::Status(status) => return Err(Problem::server(status)),
                Fault::Throttle { retry_after_s } => {
                    return Err(self.throttle(bucket, retry_after_s));
                }
                Fault::ExpireToken => {
                    if let Some(token) = self.bearer() {
                        let now_ms = self.account.clock.now_ms();
                        self.account.oauth.expire(token, now_ms);
                    }
                    add(&self.account.meter.unauthorized, 1);
                    return Err(Problem::expired(0));
                }
                Fault::Redirect(location) => return Ok(Some(Reply::redirect(location))),
                Fault::Cut(_) | Fault::WrongJson(_) | Fault::ShortPage(_) => {
                    self.damage.push(fault);
                }
            }
        }
        Ok(None)
    }

    fn throttle(&self, bucket: Option<Bucket>, retry_after_s: Option<u32>) -> Problem {
        let problem = match bucket {
            Some(Bucket::Search(_)) => Problem::secondly(),
            Some(bucket) => Problem::ten_secondly(self.group_name(bucket)),
            None => Problem::secondly(),
        };
        if let (Some(bucket), Some(seconds)) = (bucket, retry_after_s) {
            let hold = Duration::from_secs(u64::from(seconds));
            self.account.limits.hold(bucket, Instant::now(), hold);
        }
        Problem {
            retry_after_s,
            ..problem
        }
    }

    fn answer_oauth(&self) -> Result<Reply, Problem> {
        let account = self.account;
        let found = match self.route {
            Route::Authorize => Some(oauth::authorize(account, self.query)),
            Route::Token { modern } => {
                if !self.is_form() {
                    return Ok(Reply::empty(415));
                }
                Some(oauth::token(
                    account,
                    self.body,
                    *modern,
                    self.correlation_id,
                ))
            }
            Route::AccessToken(token) => oauth::access_token(account, token),
            Route::RefreshToken { token, delete } => oauth::refresh_token(account, token, *delete),
            Route::Introspect => Some(oauth::inspect(account, self.body, false)),
            Route::Revoke => Some(oauth::inspect(account, self.body, true)),
            _ => None,
        };
        found.ok_or_else(Problem::not_found)
    }

    fn is_form(&self) -> bool {
        self.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            value
                .as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        })
    }

    async fn dispatch(&self) -> Result<Reply, Problem> {
        let account = self.account;
        let keep = self.keep();
        match self.route {
            Route::List(kind) => objects::list(
                account,
                account.collection(*kind),
                self.path,
                self.query,
                keep,
            ),
            Route::Search(kind) => objects::search(account, *kind, self.body, keep).await,
            Route::Read(kind, id) => objects::read(account.collection(*kind), id, self.query),
            Route::Create(kind) => writes::create(account, account.collection(*kind), self.body),
            Route::Update(kind, id) => {
                let parameters = objects::Parameters::parse(self.query)?;
                let id_property = parameters.id_property.as_deref();
                writes::update(
                    account,
                    account.collection(*kind),
                    id,
                    id_property,
                    self.body,
                )
            }
            Route::Archive(kind, id) => writes::archive(account, account.collection(*kind), id),
            Route::Batch(kind, batch) => self.batch(account.collection(*kind), *batch),
            Route::Properties(kind) => Ok(catalog::properties(account.collection(*kind))),
            Route::Property(kind, name) => catalog::property(account.collection(*kind), name),
            Route::Schemas => Ok(catalog::schemas()),
            Route::Schema(kind) => Ok(catalog::schema(account.collection(*kind))),
            Route::Details => Ok(catalog::details(account)),
            Route::LegacyDetails => Ok(catalog::legacy_details(account)),
            Route::DailyUsage => Ok(catalog::daily_usage(account)),
            Route::Owners => Ok(catalog::owners()),
            Route::Pipelines(kind) => Ok(catalog::pipelines(account.collection(*kind))),
            _ => Err(Problem::not_found()),
        }
    }

    fn batch(
        &self,
        collection: &crate::account::Collection,
        batch: Batch,
    ) -> Result<Reply, Problem> {
        match batch {
            Batch::Read => {
                let archived = objects::Parameters::parse(self.query)?.archived;
                writes::batch_read(self.account, collection, archived, self.body)
            }
            Batch::Create => writes::batch_create(self.account, collection, self.body),
            Batch::Update => writes::batch_update(self.account, collection, self.body),
            Batch::Archive => writes::batch_archive(self.account, collection, self.body),
        }
    }

    /// How many records a short page may hold.
    fn keep(&self) -> usize {
        self.damage
            .iter()
            .filter_map(|fault| match fault {
                Fault::ShortPage(keep) => Some(*keep),
                _ => None,
            })
            .min()
            .unwrap_or(usize::MAX)
    }

    /// Damages, compresses, labels and counts an answer.
    fn finish(&self, reply: Reply) -> Response<Body> {
        let mut body = reply.body.clone();
        let mut cut = None;
        for fault in &self.damage {
            match fault {
                Fault::WrongJson(wrong) if reply.status == 200 => body = wrong_body(*wrong, &body),
                Fault::Cut(per_mille) => cut = Some(*per_mille),
                _ => {}
            }
        }
        let gzip = self.account.config.gzip && !body.is_empty() && self.accepts_gzip();
        if gzip {
            body = compressed(&body);
        }
        let sent = match cut {
            Some(per_mille) => body.len() * usize::from(per_mille.min(999)) / 1000,
            None => body.len(),
        };
        add(&self.account.meter.body_bytes, sent as u64);
        add(
            &self.account.meter.throttled,
            u64::from(reply.status == 429),
        );
        let length = body.len();
        let mut response = Response::new(match cut {
            Some(_) => broken_off(body.slice(..sent)),
            None => whole(body),
        });
        *response.status_mut() =
            StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        self.label(headers, &reply);
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if cut.is_some() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    fn label(&self, headers: &mut HeaderMap, reply: &Reply) {
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("x-hubspot-correlation-id", self.correlation_id.to_owned());
        if let Some(content_type) = reply.content_type {
            set("content-type", content_type.to_owned());
            set("vary", "Accept-Encoding".to_owned());
        }
        if let Some(location) = &reply.location {
            set("location", location.clone());
        }
        if let Some(seconds) = reply.retry_after_s {
            set("retry-after", seconds.to_string());
        }
        if reply.status == 404 {
            set("x-hubspot-notfound", "true".to_owned());
        }
        if let Some((max, remaining)) = self.allowance.daily {
            set("x-hubspot-ratelimit-daily", max.to_string());
            set("x-hubspot-ratelimit-daily-remaining", remaining.to_string());
        }
        if let Some((max, remaining)) = self.allowance.interval {
            set(
                "x-hubspot-ratelimit-interval-milliseconds",
                "10000".to_owned(),
            );
            set("x-hubspot-ratelimit-max", max.to_string());
            set("x-hubspot-ratelimit-remaining", remaining.to_string());
        }
        if let Some((max, remaining)) = self.allowance.secondly {
            set("x-hubspot-ratelimit-secondly", max.to_string());
            set(
                "x-hubspot-ratelimit-secondly-remaining",
                remaining.to_string(),
            );
        }
    }

    fn accepts_gzip(&self) -> bool {
        self.headers
            .get(header::ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("gzip"))
    }
}

fn wrong_body(wrong: WrongJson, right: &Bytes) -> Bytes {
    match wrong {
        WrongJson::Html => Bytes::from_static(b"<!DOCTYPE html><html><body>Sign in</body></html>"),
        WrongJson::Truncated => right.slice(..right.len() / 2),
        WrongJson::Empty => Bytes::from_static(b"{}"),
        WrongJson::WrongShape => {
            Bytes::from_static(b"{\"results\":{\"0\":{\"properties\":{}}},\"total\":\"many\"}")
        }
    }
}

fn compressed(body: &[u8]) -> Bytes {
    let buffer = Vec::with_capacity(body.len() / 4);
    let mut encoder = flate2::write::GzEncoder::new(buffer, flate2::Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing to memory cannot fail")
        .into()
}
