//! The API server: one pipeline for every request, from the socket to the damage that
//! a fault asks for.

mod catalog;
mod finish;
mod lists;
mod oauth;
mod query;
mod reply;
mod route;
mod search;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use self::query::{Query, refuse_retired};
use self::reply::Reply;
use self::route::{Route, Target};
use crate::body::{Body, whole};
use crate::faults::Fault;
use crate::meter::add;
use crate::pipedrive::account::Account;
use crate::pipedrive::counters::PathKind;
use crate::pipedrive::limits::{Allowance, Client, Demand, Refusal};
use crate::pipedrive::problem::Problem;
use crate::pipedrive::render::Dialect;
use crate::tokens::{Scopes, Standing, bearer};

const BODY_BYTES_MAX: usize = 8 << 20;
/// What the edge shows to whom it bars: no JSON.
const BARRED: &str = "<!DOCTYPE html><html><head><title>Access denied | api.pipedrive.com used Cloudflare to restrict access</title></head><body>Error 1015: You are being rate limited</body></html>";

/// One request as the pipeline sees it.
struct Exchange<'a> {
    account: &'a Arc<Account>,
    target: &'a Target,
    method: &'a Method,
    path: &'a str,
    raw_query: &'a str,
    query: Query,
    headers: &'a HeaderMap,
    body: &'a [u8],
    /// The access token or API token that it carries.
    token: String,
    /// Damage to do to the answer once it exists.
    damage: Vec<Fault>,
    allowance: Allowance,
}

/// Answers one API request.
pub(crate) async fn respond(account: Arc<Account>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let target = Target::parse(&parts.method, path);
    let _in_flight = account.meter.begin(target.route.path_kind());
    let raw_query = parts.uri.query().unwrap_or("");
    let query = Query::parse(raw_query);
    let whole_target = parts.uri.path_and_query();
    let whole_target = whole_target.map_or(path, |found| found.as_str());
    let token = carried(&parts.headers, &query);
    let line = account.journal.line(&token, whole_target);
    let Ok(collected) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        let mut response = Response::new(whole(Bytes::new()));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let body = collected.to_bytes();
    let mut exchange = Exchange {
        account: &account,
        target: &target,
        method: &parts.method,
        path,
        raw_query,
        query,
        headers: &parts.headers,
        body: &body,
        token,
        damage: Vec::new(),
        allowance: Allowance::default(),
    };
    let second = target.dialect == Dialect::Second;
    let reply = match exchange.answer().await {
        Ok(reply) => reply,
        Err(problem) => Reply::problem(&problem, second),
    };
    let response = exchange.finish(reply);
    if let Some(line) = line {
        line.answered();
    }
    response
}

/// The token of a request: in the header of OAuth, in the header of API tokens, or in
/// the query.
fn carried(headers: &HeaderMap, query: &Query) -> String {
    let named = headers
        .get("x-api-token")
        .and_then(|value| value.to_str().ok());
    let token = bearer(headers).or(named).or(query.value("api_token"));
    token.unwrap_or_default().to_owned()
}

impl Exchange<'_> {
    async fn answer(&mut self) -> Result<Reply, Problem> {
        let kind = self.target.route.path_kind();
        if kind == PathKind::Authorize || kind == PathKind::Token {
            return match self.strike(None).await? {
                Some(reply) => Ok(reply),
                None => self.answer_oauth(),
            };
        }
        let (client, scopes) = self.authenticate()?;
        let demand = Demand {
            client,
            search: kind == PathKind::Search,
            cost: self.target.route.cost(self.target.dialect),
            write: self.method == Method::POST || self.method == Method::PUT,
        };
        let now_ms = self.account.clock.now_ms();
        let (allowance, refusal) = self.account.limits.admit(demand, Instant::now(), now_ms);
        self.allowance = allowance;
        match refusal {
            None => {}
            Some(Refusal::Barred) => {
                self.allowance = Allowance::default();
                return Ok(Reply::html(403, BARRED));
            }
            Some(Refusal::Burst | Refusal::Daily) => return Err(Problem::over_limit()),
        }
        if let Some(reply) = self.strike(Some(client)).await? {
            return Ok(reply);
        }
        let wanted = self.target.route.scopes(self.method);
        if !wanted.is_empty() && !wanted.iter().any(|scope| scopes.contains(scope)) {
            return Err(Problem::scope());
        }
        if self.target.is_retired_kind() {
            refuse_retired(self.account)?;
        }
        self.dispatch()
    }

    /// Who asks, and what it may.
    fn authenticate(&self) -> Result<(Client, Scopes), Problem> {
        let account = self.account;
        if bearer(self.headers).is_some() {
            let now_ms = account.clock.now_ms();
            if let Standing::Valid { scopes, .. } = account.tokens.standing(&self.token, now_ms) {
                return Ok((Client::OAuth, scopes));
            }
        } else if self.token == account.api_token {
            let all = &account.config.scopes;
            let all = all
                .iter()
                .cloned()
                .chain(self.target.route.scopes(self.method));
            return Ok((Client::ApiToken, Arc::new(all.collect())));
        }
        add(&account.meter.unauthorized, 1);
        Err(Problem::unauthorized())
    }

    /// Lets the installed faults strike: an answer in place of the real one, or damage
    /// that is done to it later.
    async fn strike(&mut self, client: Option<Client>) -> Result<Option<Reply>, Problem> {
        let account = self.account;
        for fault in account.faults.strike(self.target.route.path_kind()) {
            add(&account.meter.faulted, 1);
            match fault {
                Fault::Delay(by_ms) => tokio::time::sleep(Duration::from_millis(by_ms)).await,
                Fault::Status(403) => return Ok(Some(Reply::html(403, BARRED))),
                Fault::Status(status @ (502 | 504 | 520..=530)) => {
                    let page = "<html><body>cloudflare</body></html>";
                    return Ok(Some(Reply::html(status, page)));
                }
                Fault::Status(status) => return Err(Problem::server(status)),
                Fault::Throttle { retry_after_s } => {
                    if let (Some(client), Some(seconds)) = (client, retry_after_s) {
                        let hold = Duration::from_secs(u64::from(seconds));
                        account.limits.hold(client, Instant::now(), hold);
                    }
                    return Err(Problem::over_limit().with_retry_after_s(retry_after_s));
                }
                Fault::Problem(name) => return Err(Problem::invalid(name)),
                Fault::ExpireToken => {
                    account.tokens.expire(&self.token, account.clock.now_ms());
                    add(&account.meter.unauthorized, 1);
                    return Err(Problem::unauthorized());
                }
                Fault::Redirect(location) => return Ok(Some(Reply::redirect(location))),
                Fault::Cut(_) | Fault::WrongJson(_) | Fault::ShortPage(_) => {
                    self.damage.push(fault);
                }
            }
        }
        Ok(None)
    }

    fn answer_oauth(&self) -> Result<Reply, Problem> {
        match self.target.route {
            Route::Authorize => Ok(oauth::authorize(self.account, self.raw_query)),
            Route::Token => Ok(oauth::token(self.account, self.headers, self.body)),
            Route::Revoke => Ok(oauth::revoke(self.account, self.headers, self.body)),
            _ => Err(Problem::unknown_method()),
        }
    }

    fn dispatch(&self) -> Result<Reply, Problem> {
        let (account, query, dialect) = (&**self.account, &self.query, self.target.dialect);
        match &self.target.route {
            Route::List(kind) => self.list(*kind, false),
            Route::ArchivedDeals => self.list(crate::pipedrive::kind::Kind::Deals, true),
            Route::Recents => lists::recents(account, query),
            Route::Read(kind, id) => {
                lists::read(account, account.collection(*kind), id, query, dialect)
            }
            Route::Create(kind) => {
                writes::create(account, account.collection(*kind), self.body, dialect)
            }
            Route::Update(kind, id) => {
                writes::update(account, account.collection(*kind), id, self.body, dialect)
            }
            Route::Delete(kind, id) => lists::delete(account, account.collection(*kind), id),
            Route::DeleteMany(kind) => {
                lists::delete_many(account, account.collection(*kind), query)
            }
            Route::Search(kind) => search::search(account, *kind, query, dialect),
            Route::Fields(kind) => catalog::fields(account.collection(*kind), query, dialect),
            Route::Field(kind, name) => catalog::field(account.collection(*kind), name, dialect),
            Route::CreateField(kind) => {
                catalog::create_field(account, account.collection(*kind), self.body, dialect)
            }
            Route::DeleteField(kind, name) => {
                catalog::delete_field(account.collection(*kind), name, dialect)
            }
            Route::DeleteFields(kind) => catalog::delete_fields(account.collection(*kind), query),
            Route::Users => Ok(catalog::users(account)),
            Route::User(id) => catalog::user(account, id),
            Route::Pipelines => catalog::pipelines(query, dialect),
            Route::Pipeline(id) => catalog::pipeline(id, dialect),
            Route::Stages => catalog::stages(query, dialect),
            Route::Stage(id) => catalog::stage(id, dialect),
            Route::Filters => Ok(catalog::filters(account, query)),
            Route::CreateFilter => catalog::create_filter(account, self.body),
            Route::DeleteFilters => catalog::delete_filters(account, query),
            Route::Currencies => Ok(catalog::currencies()),
            Route::Webhooks => Ok(catalog::webhooks(account)),
            Route::CreateWebhook => catalog::create_webhook(account, self.body),
            Route::DeleteWebhook(id) => catalog::delete_webhook(account, id),
            Route::WrongMethod => Err(Problem::wrong_method()),
            Route::Missing | Route::Authorize | Route::Token | Route::Revoke => {
                Err(Problem::unknown_method())
            }
        }
    }

    fn list(&self, kind: crate::pipedrive::kind::Kind, archived: bool) -> Result<Reply, Problem> {
        let collection = self.account.collection(kind);
        let keep = self.keep();
        match self.target.dialect {
            Dialect::First => {
                lists::first_version(self.account, collection, &self.query, archived, keep)
            }
            Dialect::Second => {
                lists::second_version(self.account, collection, &self.query, archived, keep)
            }
        }
    }

    /// How many records a short page may hold.
    fn keep(&self) -> usize {
        let kept = self.damage.iter().filter_map(|fault| match fault {
            Fault::ShortPage(keep) => Some(*keep),
            _ => None,
        });
        kept.min().unwrap_or(usize::MAX)
    }
}
