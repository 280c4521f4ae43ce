//! The API server: one pipeline for every request, from the socket to the
//! damage that a fault asks for.

mod catalog;
mod finish;
mod history;
mod links;
mod oauth;
mod objects;
pub(crate) mod reply;
mod route;
mod webhooks;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Request, Response, StatusCode};
use tokio::time::Instant;

use self::reply::Reply;
use self::route::{Batch, Route};
use crate::body::{Body, whole};
use crate::faults::Fault;
use crate::hubspot::account::Account;
use crate::hubspot::counters::PathKind;
use crate::hubspot::limits::{Allowance, App, Bucket, Refusal};
use crate::hubspot::oauth::Standing;
use crate::hubspot::problem::Problem;
use crate::meter::add;
use crate::tokens::{Scopes, bearer};

/// Request bodies at most; the largest legal one is a full batch.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Path and query at most; the edge refuses longer ones.
const TARGET_BYTES_MAX: usize = 16 << 10;

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
    let route = Route::parse(&parts.method, path, &|name| account.kind_of(name));
    let _in_flight = account.meter.begin(route.path_kind());
    let target = parts
        .uri
        .path_and_query()
        .map_or(path, |found| found.as_str());
    let line = account
        .journal
        .line(bearer(&parts.headers).unwrap_or(""), target);
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
    let response = exchange.finish(reply);
    if let Some(line) = line {
        line.answered();
    }
    response
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
        if let Route::Hooks(app, what) = self.route {
            return match self.strike(None).await? {
                Some(reply) => Ok(reply),
                None => webhooks::answer(self.account, app, what, self.query, self.body),
            };
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
        let wanted = self.route.scopes();
        match wanted.iter().find(|scope| !scopes.contains(*scope)) {
            Some(scope) => Err(Problem::missing_scopes(scope)),
            None => self.dispatch().await,
        }
    }

    /// The app and scopes of the token; `None` when the edge refuses it.
    fn authenticate(&self) -> Result<Option<(App, Scopes)>, Problem> {
        let refused = |problem| {
            add(&self.account.meter.unauthorized, 1);
            Err(problem)
        };
        let Some(token) = bearer(self.headers) else {
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
                Fault::Problem(name) => return Err(Problem::validation(name)),
                Fault::Throttle { retry_after_s } => {
                    return Err(self.throttle(bucket, retry_after_s));
                }
                Fault::ExpireToken => {
                    if let Some(token) = bearer(self.headers) {
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
        problem.with_retry_after_s(retry_after_s)
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
            Route::Read(kind, id) => {
                objects::read(account, account.collection(*kind), id, self.query)
            }
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
            Route::Merge(kind) => writes::merge(account, account.collection(*kind), self.body),
            Route::Linked(from, to, what) => {
                links::answer(account, (*from, *to), what, self.query, self.body)
            }
            Route::LegacyLinks { id, type_id } => {
                links::legacy::read(account, id, type_id, self.query)
            }
            Route::LegacyLink { remove } => links::legacy::write(account, *remove, self.body),
            Route::Properties(kind) => Ok(catalog::properties(account.collection(*kind))),
            Route::Property(kind, name) => catalog::property(account.collection(*kind), name),
            Route::Schemas => Ok(catalog::schemas(account)),
            Route::Schema(kind) => Ok(catalog::schema(account, account.collection(*kind))),
            Route::Details => Ok(catalog::details(account)),
            Route::LegacyDetails => Ok(catalog::legacy_details(account)),
            Route::DailyUsage => Ok(catalog::daily_usage(account)),
            Route::Owners => catalog::owners(self.query),
            Route::Pipelines(kind) => Ok(catalog::pipelines::all(account.collection(*kind))),
            _ => Err(Problem::not_found()),
        }
    }

    fn batch(
        &self,
        collection: &crate::hubspot::account::Collection,
        batch: Batch,
    ) -> Result<Reply, Problem> {
        match batch {
            Batch::Read => {
                let archived = objects::Parameters::parse(self.query)?.archived;
                writes::batch::read(self.account, collection, archived, self.body)
            }
            Batch::Create => writes::batch::create(self.account, collection, self.body),
            Batch::Update => writes::batch::update(self.account, collection, self.body),
            Batch::Upsert => writes::batch::upsert(self.account, collection, self.body),
            Batch::Archive => writes::batch::archive(self.account, collection, self.body),
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
}
