//! The API server: one pipeline for every request, from the socket to the damage
//! that a fault asks for.

mod oauth;
mod pages;
mod reads;
mod route;
mod writes;

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Request, Response};

use self::route::Route;
use crate::body::Body;
use crate::faults::Fault;
use crate::intercom::account::Account;
use crate::intercom::counters::PathKind;
use crate::intercom::limits::{Allowance, App};
use crate::intercom::problem::Problem;
use crate::intercom::version::Version;
use crate::meter::add;
use crate::reply::Reply;
use crate::tokens::{Form, Standing, bearer, form};

/// Request bodies at most.
const BODY_BYTES_MAX: usize = 2 << 20;
/// A list whose members have the wrong types, with records that lack an id.
const WRONG_SHAPE: &str = r#"{"type":"list","data":{"0":{"email":7}},"conversations":{},"pages":[],"total_count":"many"}"#;
/// What the real server calls its own version.
const BUILD: &str = "ec4d604d36698662ce6697306a0cd99c5736bd5d";

/// One request as the pipeline sees it.
pub(crate) struct Exchange<'a> {
    pub(crate) account: &'a Account,
    route: &'a Route,

    pub(crate) query: Form,
    headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) version: Version,
    /// Damage to do to the answer once it exists.
    pub(crate) damage: Vec<Fault>,
    allowance: Option<Allowance>,
}

/// Answers one API request.
pub(crate) async fn respond(account: Arc<Account>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let route = Route::parse(&parts.method, path);
    let _in_flight = account.meter.begin(route.path_kind());
    let target = parts.uri.path_and_query();
    let target = target.map_or(path, |target| target.as_str());
    let line = account
        .journal
        .line(bearer(&parts.headers).unwrap_or(""), target);
    let collected = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = collected.map(|collected| collected.to_bytes());
    let mut exchange = Exchange {
        account: &account,
        route: &route,

        query: form(parts.uri.query().unwrap_or("").as_bytes()),
        headers: &parts.headers,
        body: body.as_deref().unwrap_or_default(),
        version: account.default_version,
        damage: Vec::new(),
        allowance: None,
    };
    let answer = match &body {
        Ok(_) => exchange.answer().await,
        Err(_) => Err(Problem::bad_request("The request body is too large")),
    };
    let request_id = account.request_id();
    let reply =
        answer.unwrap_or_else(|problem| Reply::json(problem.status, problem.body(&request_id)));
    let response = exchange.finish(reply, request_id);
    if let Some(line) = line {
        line.answered();
    }
    response
}

impl Exchange<'_> {
    async fn answer(&mut self) -> Result<Reply, Problem> {
        if matches!(self.route, Route::Authorize | Route::Token) {
            return match self.strike().await? {
                Some(reply) => Ok(reply),
                None if *self.route == Route::Authorize => {
                    Ok(oauth::authorize(self.account, &self.query))
                }
                None => oauth::token(self.account, self.headers, self.body),
            };
        }
        let app = self.authenticate()?;
        let (allowance, admitted) = self.account.limits.admit(app, self.account.real.now_ms());
        self.allowance = Some(allowance);
        if !admitted {
            return Err(Problem::rate_limited());
        }
        if let Some(version) = self.headers.get("intercom-version") {
            let version = version.to_str().ok().and_then(Version::parse);
            self.version = version.ok_or_else(Problem::version)?;
        }
        if !self.accepts_json() {
            return Err(Problem::not_acceptable());
        }
        if let Some(reply) = self.strike().await? {
            return Ok(reply);
        }
        self.dispatch()
    }

    fn authenticate(&self) -> Result<App, Problem> {
        let account = self.account;
        let token = bearer(self.headers).unwrap_or("");
        if token == account.access_token {
            return Ok(App::Private);
        }
        match account.tokens.standing(token, account.clock.now_ms()) {
            Standing::Valid { .. } => Ok(App::OAuth),
            Standing::Expired { .. } | Standing::Unknown => {
                add(&account.meter.unauthorized, 1);
                Err(Problem::unauthorized())
            }
        }
    }

    fn accepts_json(&self) -> bool {
        self.headers.get(header::ACCEPT).is_none_or(|accept| {
            let accept = accept.to_str().unwrap_or("");
            ["application/json", "*/*", "application/*"]
                .iter()
                .any(|accepted| accept.contains(accepted))
        })
    }

    /// Lets the installed faults strike: an answer in place of the real one, or damage
    /// that is done to it later.
    async fn strike(&mut self) -> Result<Option<Reply>, Problem> {
        for fault in self.account.faults.strike(self.route.path_kind()) {
            add(&self.account.meter.faulted, 1);
            match fault {
                Fault::Delay(by_ms) => tokio::time::sleep(Duration::from_millis(by_ms)).await,
                Fault::Status(500) if *self.route == Route::Scroll => {
                    self.account.scrolls.end();
                    return Err(Problem::scroll_broken());
                }
                Fault::Status(status @ (502 | 520..=530)) => {
                    return Ok(Some(Reply::html(
                        status,
                        "<html><body>edge error</body></html>",
                    )));
                }
                Fault::Status(status) => return Err(Problem::server(status)),
                Fault::Problem(message) => return Err(Problem::bad_request(message)),
                Fault::Throttle { retry_after_s } => {
                    if let Some(allowance) = &mut self.allowance {
                        allowance.remaining = 0;
                    }
                    let problem = Problem::rate_limited();
                    let reply = Reply::json(429, problem.body(&self.account.request_id()));
                    return Ok(Some(match retry_after_s {
                        Some(seconds) => reply.with("retry-after", seconds.to_string()),
                        None => reply,
                    }));
                }
                Fault::ExpireToken => {
                    if let Some(token) = bearer(self.headers) {
                        self.account.tokens.end(token);
                    }
                    add(&self.account.meter.unauthorized, 1);
                    return Err(Problem::unauthorized());
                }
                Fault::Redirect(location) => return Ok(Some(Reply::redirect(&location))),
                Fault::Cut(_) | Fault::WrongJson(_) | Fault::ShortPage(_) => {
                    self.damage.push(fault);
                }
            }
        }
        Ok(None)
    }

    /// Labels, damages and counts an answer.
    fn finish(&self, reply: Reply, request_id: String) -> Response<Body> {
        let status = hyper::StatusCode::from_u16(reply.status).unwrap_or_default();
        let mut reply = reply
            .with("x-request-id", request_id)
            .with("status", status.to_string())
            .with("cache-control", "max-age=0, private, must-revalidate")
            .with("vary", "Accept-Encoding")
            .with("x-runtime", "0.066125")
            .with(
                "strict-transport-security",
                "max-age=31556952; includeSubDomains; preload",
            )
            .with("x-content-type-options", "nosniff")
            .with("x-frame-options", "SAMEORIGIN")
            .with("x-xss-protection", "1; mode=block")
            .with("server", "nginx");
        if !matches!(
            self.route.path_kind(),
            PathKind::Authorize | PathKind::Token
        ) {
            reply = reply
                .with("intercom-version", self.version.text())
                .with("x-intercom-version", BUILD);
        }
        if let Some(allowance) = self.allowance {
            reply = reply
                .with("x-ratelimit-limit", allowance.limit.to_string())
                .with("x-ratelimit-remaining", allowance.remaining.to_string())
                .with("x-ratelimit-reset", allowance.reset_s.to_string());
        }
        // Errors have none.
        if status.is_success() {
            let mut hasher = DefaultHasher::new();
            hasher.write(&reply.body);
            reply = reply.with("etag", format!("W/\"{:032x}\"", hasher.finish()));
        }
        let gzip = self.account.config.gzip.then_some(self.headers);
        reply.deliver(&self.damage, WRONG_SHAPE, gzip, &self.account.meter)
    }
}
