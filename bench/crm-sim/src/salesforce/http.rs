//! The API server: one pipeline for every request, from the socket to the damage that a
//! fault asks for.

mod bulk;
mod call;
mod collections;
mod composite;
mod describe;
mod finish;
mod ingest;
mod oauth;
mod query;
mod replication;
pub(crate) mod reply;
mod route;
mod service;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use self::call::{Call, dispatch};
use self::reply::Reply;
use self::route::{Route, Target};
use crate::body::{Body, whole};
use crate::faults::Fault;
use crate::meter::add;
use crate::salesforce::cometd::{self, Caller};
use crate::salesforce::limits::{Refusal, UnderWay};
use crate::salesforce::org::Org;
use crate::salesforce::problem::Problem;
use crate::tokens::Standing;

/// Request bodies at most: a full upload of an ingest job.
const BODY_BYTES_MAX: usize = 160 << 20;
/// Path and query at most, and all headers together with them.
const URI_BYTES_MAX: usize = 16_384;

/// One request as the pipeline sees it.
struct Exchange<'a> {
    org: &'a Arc<Org>,
    route: Route,
    method: &'a Method,
    query: &'a str,
    headers: &'a HeaderMap,
    body: Bytes,
    /// Damage to do to the answer once it exists.
    damage: Vec<Fault>,
}

/// Answers one API request.
pub(crate) async fn respond(org: Arc<Org>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or(parts.uri.path(), |found| found.as_str());
    let route = Route::parse(parts.uri.path());
    let _in_flight = org.meter.begin(route.path_kind(&parts.method));
    let line = org
        .journal
        .line(session(&parts.headers).unwrap_or(""), target);
    let Ok(collected) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        let mut response = Response::new(whole(Bytes::new()));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let mut exchange = Exchange {
        org: &org,
        route,
        method: &parts.method,
        query: parts.uri.query().unwrap_or(""),
        headers: &parts.headers,
        body: collected.to_bytes(),
        damage: Vec::new(),
    };
    let answered = if target.len() > URI_BYTES_MAX {
        Ok(Reply::html(414, "<html><body>URI Too Long</body></html>"))
    } else if header_bytes(&parts.headers) + target.len() > URI_BYTES_MAX {
        Ok(Reply::html(
            431,
            "<html><body>Request Header Fields Too Large</body></html>",
        ))
    } else {
        exchange.answer().await
    };
    let reply = answered.unwrap_or_else(|problem| Reply::problem(&problem));
    let response = exchange.finish(reply);
    if let Some(line) = line {
        line.answered();
    }
    response
}

fn header_bytes(headers: &HeaderMap) -> usize {
    let each = headers.iter();
    each.map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

/// The session that a request carries, under either name of the scheme.
fn session(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth");
    known.then_some(token.trim())
}

impl Exchange<'_> {
    async fn answer(&mut self) -> Result<Reply, Problem> {
        match self.route.target {
            Target::Authorize | Target::Token | Target::Revoke => {
                return match self.strike().await? {
                    Some(reply) => Ok(reply),
                    None => Ok(self.answer_oauth()),
                };
            }
            Target::Versions => {
                return match self.strike().await? {
                    Some(reply) => Ok(reply),
                    None => Ok(service::versions()),
                };
            }
            Target::Streaming => {
                return match self.strike().await? {
                    Some(reply) => Ok(reply),
                    None => Ok(self.answer_streaming().await),
                };
            }
            Target::Missing => return Err(Problem::not_found()),
            _ => {}
        }
        let user = self.authenticate()?;
        let org = Arc::clone(self.org);
        let _under_way = self.admit(&org)?;
        if let Some(reply) = self.strike().await? {
            return Ok(reply);
        }
        let call = Call {
            org: Arc::clone(self.org),
            user,
            route: self.route.clone(),
            method: self.method.clone(),
            query: crate::tokens::form(self.query.as_bytes()),
            headers: self.headers.clone(),
            body: self.body.clone(),
            keep: self.keep(),
            whole: !self.damage.is_empty() || self.gzips(),
        };
        // A query may look at every record.
        tokio::task::spawn_blocking(move || dispatch(&call))
            .await
            .map_err(|_| Problem::server(500))?
    }

    fn authenticate(&self) -> Result<Arc<str>, Problem> {
        let refused = |problem| {
            add(&self.org.meter.unauthorized, 1);
            Err(problem)
        };
        let Some(token) = session(self.headers) else {
            return refused(Problem::no_session());
        };
        match self.org.oauth.standing(token, self.org.clock.now_ms()) {
            Standing::Valid { user, .. } => Ok(user),
            Standing::Expired { .. } | Standing::Unknown => refused(Problem::session()),
        }
    }

    fn admit<'o>(&self, org: &'o Org) -> Result<UnderWay<'o>, Problem> {
        let admitted = org.limits.admit(Instant::now(), org.clock.now_ms());
        admitted.map_err(|refusal| {
            add(&org.meter.throttled, 1);
            match refusal {
                Refusal::Daily => Problem::daily(),
                Refusal::Concurrent => Problem::concurrent(),
            }
        })
    }

    /// Lets the installed faults strike: an answer in place of the real one, or damage
    /// that is done to it later.
    async fn strike(&mut self) -> Result<Option<Reply>, Problem> {
        for fault in self.org.faults.strike(self.route.path_kind(self.method)) {
            add(&self.org.meter.faulted, 1);
            match fault {
                Fault::Delay(by_ms) => tokio::time::sleep(Duration::from_millis(by_ms)).await,
                Fault::Status(406) => return Ok(Some(Reply::empty(406))),
                Fault::Status(status @ (420 | 502 | 504)) => {
                    return Ok(Some(Reply::html(
                        status,
                        "<html><body>edge error</body></html>",
                    )));
                }
                Fault::Status(status) => return Err(Problem::server(status)),
                Fault::Problem(code) => return Err(Problem::named(&code)),
                Fault::Throttle { retry_after_s } => {
                    add(&self.org.meter.throttled, 1);
                    return match retry_after_s {
                        // The edge, not the platform.
                        Some(seconds) => Ok(Some(
                            Reply::html(429, "<html><body>Too Many Requests</body></html>")
                                .with("retry-after", seconds.to_string()),
                        )),
                        None => Err(Problem::concurrent()),
                    };
                }
                Fault::ExpireToken => {
                    if let Some(token) = session(self.headers) {
                        self.org.oauth.expire(token, self.org.clock.now_ms());
                    }
                    add(&self.org.meter.unauthorized, 1);
                    return Err(Problem::session());
                }
                Fault::Redirect(location) => return Ok(Some(Reply::redirect(location))),
                Fault::Cut(_) | Fault::WrongJson(_) | Fault::ShortPage(_) => {
                    self.damage.push(fault);
                }
            }
        }
        Ok(None)
    }

    /// Answers a request to the streaming API, which has errors of its own.
    async fn answer_streaming(&mut self) -> Reply {
        if self.method != Method::POST {
            return Reply::empty(405);
        }
        let now_ms = self.org.clock.now_ms();
        let standing = session(self.headers).map(|token| self.org.oauth.standing(token, now_ms));
        let caller = match standing {
            None => Caller::Anonymous,
            Some(Standing::Valid { .. }) => Caller::Known,
            Some(Standing::Expired { .. } | Standing::Unknown) => Caller::Refused,
        };
        let cookies = self.headers.get_all(header::COOKIE).iter();
        let cookies: Vec<&str> = cookies.filter_map(|value| value.to_str().ok()).collect();
        let cookies = cookies.join("; ");
        match self
            .org
            .respond_streaming(caller, &cookies, &self.body)
            .await
        {
            cometd::Reply::Messages {
                status,
                set_cookies,
                body,
            } => {
                let reply = Reply::json(status, body.into_bytes());
                set_cookies
                    .into_iter()
                    .fold(reply, |reply, cookie| reply.with("set-cookie", cookie))
            }
            cometd::Reply::Nothing => {
                self.damage.push(Fault::Cut(0));
                Reply::json(200, b"[]".to_vec())
            }
        }
    }

    fn answer_oauth(&self) -> Reply {
        match (&self.route.target, self.method) {
            (Target::Authorize, &Method::GET) => oauth::authorize(self.org, self.query),
            (Target::Token, &Method::POST) => oauth::token(self.org, self.headers, &self.body),
            (Target::Revoke, &Method::POST) => oauth::revoke(self.org, &self.body),
            (Target::Revoke, &Method::GET) => oauth::revoke(self.org, self.query.as_bytes()),
            _ => Reply::empty(405),
        }
    }

    /// How many records a short page may hold.
    fn keep(&self) -> u64 {
        let kept = self.damage.iter().filter_map(|fault| match fault {
            Fault::ShortPage(keep) => Some(*keep as u64),
            _ => None,
        });
        kept.min().unwrap_or(u64::MAX)
    }
}
