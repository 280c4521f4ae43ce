//! The consent page and the token endpoints.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::reply::Reply;
use crate::hubspot::account::Account;
use crate::meter::add;
use crate::tokens::{Authorization, Form, Issued, Refused, form};

/// The user who consents.
const USER_ID: u64 = 13_534_722;

/// The consent page; consent is given at once.
pub(crate) fn authorize(account: &Account, query: &str) -> Reply {
    let mut form = form(query.as_bytes());
    let known = |account: &Account, uri: &str| {
        let allowed = &account.config.redirect_uris;
        url::Url::parse(uri).is_ok_and(|uri| uri.has_host())
            && (allowed.is_empty() || allowed.iter().any(|known| known == uri))
    };
    if !form
        .get("client_id")
        .is_some_and(|id| account.oauth.knows_client(id))
    {
        return Reply::html(400, "<html><body>Unknown client id</body></html>");
    }
    let Some(redirect_uri) = form
        .remove("redirect_uri")
        .filter(|uri| known(account, uri))
    else {
        return Reply::html(400, "<html><body>Redirect URL mismatch</body></html>");
    };
    let Ok(mut target) = url::Url::parse(&redirect_uri) else {
        return Reply::html(400, "<html><body>Redirect URL mismatch</body></html>");
    };
    let state = form.remove("state");
    let challenge = form.remove("code_challenge");
    let plain = challenge.is_some()
        && form.get("code_challenge_method").map(String::as_str) != Some("S256");
    if plain || (challenge.is_none() && account.config.require_pkce) {
        target
            .query_pairs_mut()
            .append_pair("error", "invalid_request")
            .append_pair("error_description", "code_challenge_method must be S256")
            .extend_pairs(state.map(|state| ("state", state)));
        return Reply::redirect(target.into());
    }
    let scopes: BTreeSet<String> = ["scope", "optional_scope"]
        .into_iter()
        .filter_map(|name| form.get(name))
        .flat_map(|scopes| scopes.split_whitespace().map(str::to_owned))
        .collect();
    let authorization = Authorization {
        redirect_uri,
        scopes: Arc::new(scopes),
        challenge,
        ..Authorization::default()
    };
    let code = account
        .oauth
        .authorize(authorization, account.clock.now_ms());
    target
        .query_pairs_mut()
        .append_pair("code", &code)
        .extend_pairs(state.map(|state| ("state", state)));
    Reply::redirect(target.into())
}

/// The token endpoint.
pub(crate) fn token(account: &Account, body: &[u8], modern: bool, correlation_id: &str) -> Reply {
    match exchange(account, &form(body)) {
        Ok(issued) => Reply::value(200, &issued_json(account, &issued, modern)),
        Err(refused) => {
            if refused == Refused::RefreshToken {
                add(&account.meter.refreshes_refused, 1);
            }
            Reply::value(400, &refused_json(refused, correlation_id))
        }
    }
}

fn exchange(account: &Account, form: &Form) -> Result<Issued, Refused> {
    let field = |name: &str| form.get(name).map(String::as_str);
    let now_ms = account.clock.now_ms();
    let grant = field("grant_type");
    if !matches!(grant, Some("authorization_code" | "refresh_token")) {
        return Err(Refused::GrantType);
    }
    account
        .oauth
        .check_client(field("client_id"), field("client_secret"))?;
    if grant == Some("refresh_token") {
        let token = field("refresh_token").ok_or(Refused::RefreshToken)?;
        let issued = account.oauth.refresh(token, now_ms)?;
        add(&account.meter.refreshes, 1);
        return Ok(issued);
    }
    let code = field("code").ok_or(Refused::AuthCode)?;
    let redirect_uri = field("redirect_uri").ok_or(Refused::RedirectUri)?;
    let issued = account
        .oauth
        .exchange(code, redirect_uri, field("code_verifier"), now_ms)?;
    add(&account.meter.codes_exchanged, 1);
    Ok(issued)
}

fn issued_json(account: &Account, issued: &Issued, modern: bool) -> Value {
    let mut answer = json!({
        "token_type": "bearer",
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "expires_in": issued.expires_in_s,
    });
    if let (true, Some(object)) = (modern, answer.as_object_mut()) {
        object.insert("hub_id".to_owned(), json!(account.config.portal_id));
        object.insert("user_id".to_owned(), json!(USER_ID));
        object.insert("scopes".to_owned(), json!(*issued.scopes));
        object.insert("token_use".to_owned(), json!("access_token"));
    }
    answer
}

/// The union of the older and the newer error body, so that clients of either
/// branch the same way.
fn refused_json(refused: Refused, correlation_id: &str) -> Value {
    let (status, error, description, message) = match refused {
        Refused::RefreshToken => (
            "BAD_REFRESH_TOKEN",
            "invalid_grant",
            "refresh token is invalid, expired or revoked",
            "missing or invalid refresh token",
        ),
        Refused::AuthCode | Refused::ExpiredCode => (
            "BAD_AUTH_CODE",
            "invalid_grant",
            "authorization code is invalid, expired or used",
            "missing or unknown auth code",
        ),
        Refused::ClientId => (
            "BAD_CLIENT_ID",
            "invalid_client",
            "client id is unknown",
            "missing or unknown client id",
        ),
        Refused::ClientSecret => (
            "BAD_CLIENT_SECRET",
            "invalid_client",
            "client secret does not match",
            "missing or invalid client secret",
        ),
        Refused::RedirectUri => (
            "BAD_REDIRECT_URI",
            "invalid_grant",
            "redirect URI does not match the authorization",
            "missing or unknown redirect URI",
        ),
        Refused::GrantType => (
            "BAD_GRANT_TYPE",
            "unsupported_grant_type",
            "grant type is not supported",
            "missing or unknown grant type",
        ),
    };
    json!({
        "status": status,
        "error": error,
        "error_description": description,
        "message": message,
        "correlationId": correlation_id,
    })
}

/// `GET|DELETE /oauth/v1/refresh-tokens/{token}`.
pub(crate) fn refresh_token(account: &Account, token: &str, delete: bool) -> Option<Reply> {
    let scopes = account.oauth.refresh_scopes(token)?;
    if delete {
        account.oauth.revoke(token);
        return Some(Reply::empty(204));
    }
    Some(Reply::value(
        200,
        &json!({
            "token": token,
            "hub_id": account.config.portal_id,
            "user_id": USER_ID,
            "client_id": account.config.client_id,
            "scopes": *scopes,
            "token_type": "refresh",
        }),
    ))
}

/// `GET /oauth/v1/access-tokens/{token}`.
pub(crate) fn access_token(account: &Account, token: &str) -> Option<Reply> {
    let (scopes, expires_in_s) = account.oauth.access_info(token, account.clock.now_ms())?;
    Some(Reply::value(
        200,
        &json!({
            "token": token,
            "hub_id": account.config.portal_id,
            "user_id": USER_ID,
            "scopes": *scopes,
            "expires_in": expires_in_s,
            "token_type": "access",
        }),
    ))
}

/// `POST /oauth/v3/token/introspect` and `/revoke`.
pub(crate) fn inspect(account: &Account, body: &[u8], revoke: bool) -> Reply {
    let form = form(body);
    let token = form.get("token").map_or("", String::as_str);
    let now_ms = account.clock.now_ms();
    if revoke {
        account.oauth.revoke(token);
        account.oauth.expire(token, now_ms);
        return Reply::empty(204);
    }
    let known = account
        .oauth
        .access_info(token, now_ms)
        .map(|(scopes, _)| scopes)
        .or_else(|| account.oauth.refresh_scopes(token));
    match known {
        Some(scopes) => Reply::value(
            200,
            &json!({"active": true, "hub_id": account.config.portal_id, "user_id": USER_ID, "scopes": *scopes}),
        ),
        None => Reply::value(200, &json!({"active": false})),
    }
}
