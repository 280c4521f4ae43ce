//! The consent page, the token endpoint and revocation.

use std::sync::Arc;

use data_encoding::BASE64;
use hyper::header::{self, HeaderMap};
use serde_json::{Value, json};

use super::reply::Reply;
use crate::meter::add;
use crate::pipedrive::account::Account;
use crate::pipedrive::schema::FIRST_USER_ID;
use crate::tokens::{Authorization, Form, Issued, Refused, form};

/// The consent page; consent is given at once, to every scope of the app.
pub(super) fn authorize(account: &Account, query: &str) -> Reply {
    let mut form = form(query.as_bytes());
    let known = |uri: &str| {
        let allowed = &account.config.redirect_uris;
        url::Url::parse(uri).is_ok_and(|uri| uri.has_host())
            && (allowed.is_empty() || allowed.iter().any(|known| known == uri))
    };
    let client = form.get("client_id");
    if !client.is_some_and(|id| account.tokens.knows_client(id)) {
        return Reply::html(400, "<html><body>Unknown client</body></html>");
    }
    let redirect = form.remove("redirect_uri").filter(|uri| known(uri));
    let Some((redirect_uri, Ok(mut target))) =
        redirect.map(|uri| (uri.clone(), url::Url::parse(&uri)))
    else {
        return Reply::html(400, "<html><body>Callback URL mismatch</body></html>");
    };
    let state = form.remove("state");
    let challenge = form.remove("code_challenge");
    let method = form.get("code_challenge_method").map(String::as_str);
    if challenge.is_some() && method != Some("S256") {
        target
            .query_pairs_mut()
            .append_pair("error", "invalid_request")
            .extend_pairs(state.map(|state| ("state", state)));
        return Reply::redirect(target.into());
    }
    let authorization = Authorization {
        redirect_uri,
        scopes: Arc::clone(&account.scopes),
        user: Arc::from(FIRST_USER_ID.to_string()),
        challenge,
    };
    let now_ms = account.clock.now_ms();
    let code = account.tokens.authorize(authorization, now_ms);
    target
        .query_pairs_mut()
        .append_pair("code", &code)
        .extend_pairs(state.map(|state| ("state", state)));
    Reply::redirect(target.into())
}

/// The token endpoint. The app proves itself by Basic authentication, or in the form.
pub(super) fn token(account: &Account, headers: &HeaderMap, body: &[u8]) -> Reply {
    let form = form(body);
    match exchange(account, headers, &form) {
        Ok(issued) => Reply::value(200, &issued_json(account, &issued)),
        Err(refused) => {
            if refused == Refused::RefreshToken {
                add(&account.meter.refreshes_refused, 1);
            }
            refusal(refused)
        }
    }
}

/// Revokes a refresh token with everything that came of it, or one access token. An
/// unknown token is as good as revoked.
pub(super) fn revoke(account: &Account, headers: &HeaderMap, body: &[u8]) -> Reply {
    let form = form(body);
    if let Err(refused) = check_client(account, headers, &form) {
        return refusal(refused);
    }
    if let Some(token) = form.get("token") {
        account.tokens.end(token);
    }
    Reply::value(200, &json!({ "success": true }))
}

fn exchange(account: &Account, headers: &HeaderMap, form: &Form) -> Result<Issued, Refused> {
    let field = |name: &str| form.get(name).map(String::as_str);
    let now_ms = account.clock.now_ms();
    check_client(account, headers, form)?;
    match field("grant_type") {
        Some("refresh_token") => {
            let token = field("refresh_token").ok_or(Refused::RefreshToken)?;
            if !account.use_refresh_token(token) {
                return Err(Refused::RefreshToken);
            }
            let issued = account.tokens.refresh(token, now_ms)?;
            account.use_refresh_token(&issued.refresh_token);
            add(&account.meter.refreshes, 1);
            Ok(issued)
        }
        Some("authorization_code") => {
            let code = field("code").ok_or(Refused::AuthCode)?;
            let redirect_uri = field("redirect_uri").ok_or(Refused::RedirectUri)?;
            let verifier = field("code_verifier");
            let issued = account
                .tokens
                .exchange(code, redirect_uri, verifier, now_ms)?;
            account.use_refresh_token(&issued.refresh_token);
            add(&account.meter.codes_exchanged, 1);
            Ok(issued)
        }
        _ => Err(Refused::GrantType),
    }
}

fn check_client(account: &Account, headers: &HeaderMap, form: &Form) -> Result<(), Refused> {
    let basic = headers.get(header::AUTHORIZATION).map(|value| {
        let encoded = value.to_str().ok()?.strip_prefix("Basic ")?;
        let decoded = BASE64.decode(encoded.trim().as_bytes()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    });
    match basic {
        Some(Some((id, secret))) => account.tokens.check_client(Some(&id), Some(&secret)),
        Some(None) => Err(Refused::ClientId),
        None => account.tokens.check_client(
            form.get("client_id").map(String::as_str),
            form.get("client_secret").map(String::as_str),
        ),
    }
}

fn issued_json(account: &Account, issued: &Issued) -> Value {
    let scopes: Vec<&str> = issued.scopes.iter().map(String::as_str).collect();
    json!({
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "refresh_token": issued.refresh_token,
        "scope": scopes.join(","),
        "expires_in": issued.expires_in_s,
        "api_domain": account.api_domain(),
    })
}

fn refusal(refused: Refused) -> Reply {
    let (status, error, message) = match refused {
        Refused::RefreshToken => (
            400,
            "invalid_grant",
            "Invalid grant: refresh token is invalid",
        ),
        Refused::AuthCode | Refused::ExpiredCode => (
            400,
            "invalid_grant",
            "Invalid grant: authorization code is invalid",
        ),
        Refused::RedirectUri => (
            400,
            "invalid_grant",
            "Invalid grant: redirect_uri does not match",
        ),
        Refused::ClientId | Refused::ClientSecret => {
            (401, "invalid_client", "Invalid client: client is invalid")
        }
        Refused::GrantType => (
            400,
            "unsupported_grant_type",
            "Unsupported grant type: `grant_type` is invalid",
        ),
    };
    Reply::value(
        status,
        &json!({ "success": false, "message": message, "error": error }),
    )
}
