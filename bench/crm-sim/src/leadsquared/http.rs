//! The API server: one pipeline for every request, from the socket to the damage that a
//! fault asks for.

mod reads;
mod route;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use tokio::time::Instant;

use self::route::Route;
use crate::body::Body;
use crate::faults::Fault;
use crate::leadsquared::account::Account;
use crate::leadsquared::counters::PathKind;
use crate::leadsquared::problem::Problem;
use crate::meter::add;
use crate::reply::Reply;
use crate::tokens::{Form, form};

/// Request bodies at most.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Members of the right names and wrong types, with records that lack an id.
const WRONG_SHAPE: &str =
    r#"{"RecordCount":"many","Leads":{"0":{}},"List":{},"ProspectActivities":7}"#;

/// One request as the pipeline sees it.
pub(crate) struct Exchange<'a> {
    pub(crate) account: &'a Account,
    route: Route,
    pub(crate) query: Form,
    headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// The user whose records alone are seen; empty sees all.
    pub(crate) user: String,
    /// Damage to do to the answer once it exists.
    pub(crate) damage: Vec<Fault>,
}

/// Answers one API request.
pub(crate) async fn respond(account: Arc<Account>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let route = Route::parse(&parts.method, path);
    let _in_flight = account.meter.begin(route.path_kind());
    let collected = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = collected.map(|collected| collected.to_bytes());
    let mut exchange = Exchange {
        account: &account,
        route,
        query: form(parts.uri.query().unwrap_or("").as_bytes()),
        headers: &parts.headers,
        body: body.as_deref().unwrap_or_default(),
        user: String::new(),
        damage: Vec::new(),
    };
    // Keys in the query stay out of the journal, where a token belongs.
    let line = account.journal.line(&exchange.keys().0, path);
    let answer = match &body {
        Ok(_) => exchange.answer().await,
        Err(_) => Err(Problem::malformed()),
    };
    let reply = answer.unwrap_or_else(|problem| exchange.refusal(&problem));
    let gzip = account.config.gzip.then_some(&parts.headers);
    let response = reply.deliver(&exchange.damage, WRONG_SHAPE, gzip, &account.meter);
    if let Some(line) = line {
        line.answered();
    }
    response
}

impl Exchange<'_> {
    async fn answer(&mut self) -> Result<Reply, Problem> {
        if self.route == Route::Missing {
            return Ok(Reply::html(
                404,
                "<html><body>Endpoint not found.</body></html>",
            ));
        }
        let (access_key, secret_key) = self.keys();
        let Some(user) = self.account.user_of(&access_key, &secret_key) else {
            add(&self.account.meter.unauthorized, 1);
            return Err(Problem::unauthorized());
        };
        self.user = user;
        let bulk = self.route.path_kind() == PathKind::Bulk;
        let now_ms = self.account.clock.now_ms();
        self.account.limits.admit(bulk, Instant::now(), now_ms)?;
        if let Some(reply) = self.strike().await? {
            return Ok(reply);
        }
        self.dispatch()
    }

    /// The keys of the query, or of the headers.
    fn keys(&self) -> (String, String) {
        let key = |parameter: &str, header: &str| {
            let header = self
                .headers
                .get(header)
                .and_then(|value| value.to_str().ok());
            let found = self.query.get(parameter).map(String::as_str).or(header);
            found.unwrap_or_default().to_owned()
        };
        (
            key("accessKey", "x-lsq-accesskey"),
            key("secretKey", "x-lsq-secretkey"),
        )
    }

    /// Lets the installed faults strike: an answer in place of the real one, or damage
    /// that is done to it later.
    async fn strike(&mut self) -> Result<Option<Reply>, Problem> {
        for fault in self.account.faults.strike(self.route.path_kind()) {
            add(&self.account.meter.faulted, 1);
            match fault {
                Fault::Delay(by_ms) => tokio::time::sleep(Duration::from_millis(by_ms)).await,
                // A failure that names no exception: what the request asks for may work.
                Fault::Status(status) => {
                    return Ok(Some(Reply::html(
                        status,
                        "<html><body>The service is unavailable.</body></html>",
                    )));
                }
                Fault::Problem(exception) => {
                    return Err(Problem::exception(exception, "failed on demand"));
                }
                Fault::Throttle { retry_after_s } => {
                    let limit = u64::from(self.account.config.calls);
                    let reply = self.refusal(&Problem::rate_limited(limit));
                    return Ok(Some(match retry_after_s {
                        Some(seconds) => reply.with("retry-after", seconds.to_string()),
                        None => reply,
                    }));
                }
                Fault::ExpireToken => {
                    self.account.keys.end(&self.keys().0);
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

    /// A failure as it stands on the wire; where the account is of that sort, one of the
    /// rate has status 200.
    fn refusal(&self, problem: &Problem) -> Reply {
        let account = self.account;
        let status = if problem.throttled && account.refuses_with_200() {
            add(&account.meter.throttled, 1);
            200
        } else {
            problem.status
        };
        Reply::json(status, problem.body())
    }
}
