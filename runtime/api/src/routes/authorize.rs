//! The browser's half of OAuth: a connection is authorised by a person.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::documents;
use crate::extract::{Id, Ids, OptionalJson, Query};
use crate::oauth::{Ended, PATIENCE, Underway};
use crate::page::Page;
use crate::problem::{Code, Problem};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_domain::id::ConnectionId;
use tidegate_domain::job::Class;
use tidegate_domain::manifest::{AuthKind, Manifest};
use tidegate_domain::spec::ConnectionSpec;
use tidegate_store::clock::now_ms;
use tidegate_store::grants::{GrantKey, GrantState};
use utoipa::{IntoParams, ToSchema};

/// Characters of a query parameter that a provider sends.
const PARAMETER_CHARS_MAX: usize = 4_096;

/// Which way of authorising.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthorizeRequest {
    /// The auth method of the connector's manifest; the only one without it.
    #[schema(max_length = 128)]
    method: Option<String>,
    /// Go on although the person has authorised this application often, and the
    /// provider may end the oldest of these authorisations.
    confirm: bool,
}

/// Where a person goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Begun {
    /// The address to open in a browser. It works once.
    authorize_url: String,
    /// Until when the person must be done.
    expires_at_ms: u64,
    /// Now, by this server's clock: an end that is noted later is the end of this one.
    begun_at_ms: u64,
}

/// How a connection stands with one of its auth methods.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Authorization {
    /// The auth method.
    method: String,
    /// How it stands.
    state: Standing,
    /// How the last authorisation ended, as far as this server remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastTry>,
}

/// How an authorisation ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastTry {
    /// When.
    ended_at_ms: u64,
    /// Why it came to nothing, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Nobody has authorised it yet.
    Missing,
    /// It works.
    Active,
    /// A refresh was sent and its answer lost, or it was refused once; it is tried again.
    Unknown,
    /// A person must authorise it again.
    NeedsReauth,
}

/// Begin to authorise a connection
///
/// Open `authorize_url` in a browser; the provider sends the person back here. Doing it
/// again replaces the grant.
#[utoipa::path(post, path = "/v1/connections/{connection}/authorize", tag = "connections", params(("connection" = ConnectionId, Path)), request_body(content = Option<AuthorizeRequest>), responses((status = 200, description = "Begun.", body = Begun)))]
pub(crate) async fn begin_authorization(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
    OptionalJson(request): OptionalJson<AuthorizeRequest>,
) -> Result<axum::Json<Begun>, Problem> {
    documents::read::<ConnectionSpec>(&api, &caller.tenant, id.as_str()).await?;
    let source = api
        .node()
        .source(&caller.tenant, &id, Class::Incremental)
        .await?;
    let method = chosen(source.connector.manifest(), request.method)?;
    let confirmed = request.confirm;
    let redirect_uri = format!("{}/v1/oauth/callback", api.config().public_url);
    let pending = source
        .session
        .authorize_url(&method, &redirect_uri, confirmed)
        .await;
    let pending = pending.map_err(|error| Problem::from(tidegate_engine::Error::from(error)))?;
    let begun_at_ms = now_ms();
    let expires_at_ms = begun_at_ms + u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
    let underway = Underway {
        caller,
        source,
        method,
        pending,
    };
    let ticket = api.authorizations().begin(underway)?;
    Ok(axum::Json(Begun {
        authorize_url: format!("{}/v1/oauth/start?ticket={ticket}", api.config().public_url),
        expires_at_ms,
        begun_at_ms,
    }))
}

/// Methods that need a person.
fn by_person(manifest: &Manifest) -> Vec<&str> {
    let methods = manifest
        .auth
        .iter()
        .filter(|method| matches!(method.kind, AuthKind::Oauth2Code(_)));
    methods.map(|method| method.name.as_str()).collect()
}

fn chosen(manifest: &Manifest, asked: Option<String>) -> Result<String, Problem> {
    let methods = by_person(manifest);
    match (asked, methods.as_slice()) {
        (Some(asked), methods) if methods.contains(&asked.as_str()) => Ok(asked),
        (Some(_), []) | (None, []) => Err(Problem::new(
            Code::Conflict,
            "the connector has no method that a person authorises",
        )),
        (None, [only]) => Ok((*only).to_owned()),
        (_, methods) => Err(Problem::invalid_at(
            "/method",
            format!("choose one of {}", methods.join(", ")),
        )),
    }
}

/// Read how a connection is authorised
#[utoipa::path(get, path = "/v1/connections/{connection}/authorizations", tag = "connections", params(("connection" = ConnectionId, Path)), responses((status = 200, description = "By method, those that a person authorises.", body = Page<Authorization>)))]
pub(crate) async fn list_authorizations(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
) -> Result<axum::Json<Page<Authorization>>, Problem> {
    let spec = documents::read::<ConnectionSpec>(&api, &caller.tenant, id.as_str())
        .await?
        .spec;
    let manifest = match &spec.digest {
        None => None,
        Some(digest) => api.store().connector(&caller.tenant, digest).await?,
    };
    let manifest: Option<Manifest> =
        manifest.and_then(|row| serde_json::from_str(&row.manifest).ok());
    let mut items = Vec::new();
    for method in manifest.as_ref().map(by_person).unwrap_or_default() {
        let key = GrantKey {
            tenant: caller.tenant.clone(),
            connection: id.clone(),
            method: method.to_owned(),
        };
        let grant = api.store().grant(&key).await?;
        let subject = (key.tenant, key.connection, key.method.clone());
        let last = api.authorizations().last(&subject).map(|ended| LastTry {
            ended_at_ms: ended.at_ms,
            error: ended.error,
        });
        items.push(Authorization {
            last,
            method: key.method,
            state: match grant.map(|grant| grant.state) {
                None => Standing::Missing,
                Some(GrantState::Active) => Standing::Active,
                Some(GrantState::Unknown | GrantState::Refused) => Standing::Unknown,
                Some(GrantState::NeedsReauth) => Standing::NeedsReauth,
            },
        });
    }
    Ok(axum::Json(Page { items, next: None }))
}

/// Revoke how a connection is authorised
///
/// Its tokens are forgotten at once, and nothing is signed with them again. Many
/// providers let a person end the application's access on their side as well.
#[utoipa::path(delete, path = "/v1/connections/{connection}/authorizations/{method}", tag = "connections", params(("connection" = ConnectionId, Path), ("method" = String, Path, description = "The auth method.")), responses((status = 204, description = "Revoked.")))]
pub(crate) async fn revoke_authorization(
    State(api): State<Api>,
    caller: Caller,
    Ids(id, method): Ids<ConnectionId, String>,
) -> Result<StatusCode, Problem> {
    documents::read::<ConnectionSpec>(&api, &caller.tenant, id.as_str()).await?;
    let key = GrantKey {
        tenant: caller.tenant.clone(),
        connection: id.clone(),
        method,
    };
    if api.store().grant(&key).await?.is_none() {
        return Err(Problem::not_found("authorization", &key.method));
    }
    // Noted before it is done, so that none goes unnoted.
    let change = Change::new("connection.revoke", format!("connection {id}"))
        .detail(json!({ "method": key.method }));
    api.commit(&caller, change).await?;
    let revoked = api.node().broker.revoke(&key).await;
    revoked.map_err(|error| Problem::from(tidegate_engine::Error::from(error)))?;
    Ok(StatusCode::NO_CONTENT)
}

/// A ticket.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Start {
    /// From `authorize_url`.
    #[param(max_length = 128)]
    ticket: String,
}

/// Go to the provider
///
/// For browsers: sets a cookie and leads on to the provider.
#[utoipa::path(get, path = "/v1/oauth/start", tag = "oauth", params(Start), responses((status = 303, description = "To the provider.")))]
pub(crate) async fn start_authorization(
    State(api): State<Api>,
    Query(start): Query<Start>,
) -> Result<Response, Problem> {
    let (url, cookie) = api.authorizations().start(&start.ticket)?;
    let broken = |_| Problem::new(Code::Internal, "the provider's address cannot be sent");
    let location = HeaderValue::from_str(&url).map_err(broken)?;
    let cookie =
        HeaderValue::from_str(&cookie_of(&api, &cookie, PATIENCE.as_secs())).map_err(broken)?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// `__Host-` ties the cookie to this very host, and needs TLS; without TLS this is a
/// laptop.
fn cookie_name(api: &Api) -> &'static str {
    match api.config().is_https() {
        true => "__Host-tidegate-authorization",
        false => "tidegate-authorization",
    }
}

fn cookie_of(api: &Api, value: &str, seconds: u64) -> String {
    let secure = if api.config().is_https() {
        "; Secure"
    } else {
        ""
    };
    // Lax: the provider's redirect is a navigation from another site.
    format!(
        "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
        cookie_name(api)
    )
}

/// What the provider sends. Providers add parameters of their own.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Callback {
    /// What ties the answer to its begin.
    state: String,
    /// What is exchanged for tokens.
    code: Option<String>,
    /// Why there is none.
    error: Option<String>,
}

/// Come back from the provider
///
/// For browsers: ends what this browser began.
#[utoipa::path(get, path = "/v1/oauth/callback", tag = "oauth", params(Callback), responses((status = 200, description = "Authorised.", content_type = "text/plain", body = String)))]
pub(crate) async fn end_authorization(
    State(api): State<Api>,
    headers: HeaderMap,
    Query(answer): Query<Callback>,
) -> Result<Response, Problem> {
    let all = [
        Some(&answer.state),
        answer.code.as_ref(),
        answer.error.as_ref(),
    ];
    if all
        .into_iter()
        .flatten()
        .any(|text| text.len() > PARAMETER_CHARS_MAX)
    {
        return Err(Problem::new(Code::Malformed, "a parameter is too long"));
    }
    let cookie = cookie(&headers, cookie_name(&api));
    let underway = api.authorizations().end(&answer.state, cookie)?;
    let whose = (
        underway.caller.tenant.clone(),
        underway.source.connection.clone(),
        underway.method.clone(),
    );
    let ended = complete(&api, underway, answer).await;
    let note = Ended {
        at_ms: now_ms(),
        error: ended
            .as_ref()
            .err()
            .map(|problem| problem.detail().to_owned()),
    };
    api.authorizations().note(whose, note);
    ended?;
    let mut response = "Authorised. You may close this window.\n".into_response();
    let forget =
        HeaderValue::from_str(&cookie_of(&api, "", 0)).expect("a cookie of ours is a header value");
    response.headers_mut().insert(SET_COOKIE, forget);
    Ok(response)
}

/// Exchanges the code for tokens, where there is one.
async fn complete(api: &Api, underway: Underway, answer: Callback) -> Result<(), Problem> {
    let subject = format!("connection {}", underway.source.connection);
    let Some(code) = answer.code.filter(|_| answer.error.is_none()) else {
        return Err(Problem::new(
            Code::ProviderRefused,
            format!("the provider did not authorise {subject}"),
        ));
    };
    let completed = underway
        .source
        .session
        .complete_authorization(underway.pending, &code, &answer.state)
        .await;
    completed.map_err(|error| Problem::from(tidegate_engine::Error::from(error)))?;
    let change =
        Change::new("connection.authorize", subject).detail(json!({ "method": underway.method }));
    api.commit(&underway.caller, change).await?;
    Ok(())
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers
        .get_all(COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value)
        .next()
}
