//! The consent page and the token endpoint.

use hyper::header::{self, HeaderMap};
use serde_json::{Value, json};

use crate::intercom::account::Account;
use crate::intercom::problem::Problem;
use crate::meter::add;
use crate::reply::Reply;
use crate::tokens::{Authorization, Form, Refused, form};

/// The consent page; consent is given at once.
pub(crate) fn authorize(account: &Account, query: &Form) -> Reply {
    let client = query.get("client_id");
    if !client.is_some_and(|id| account.tokens.knows_client(id)) {
        return Reply::html(400, "<html><body>Unknown client id</body></html>");
    }
    let allowed = &account.config.redirect_uris;
    let redirect_uri = query.get("redirect_uri").or(allowed.first());
    let target = redirect_uri.and_then(|uri| {
        let known = allowed.is_empty() || allowed.contains(uri);
        url::Url::parse(uri)
            .ok()
            .filter(|uri| known && uri.has_host())
    });
    let Some(mut target) = target else {
        return Reply::html(400, "<html><body>Redirect URL mismatch</body></html>");
    };
    // The token endpoint asks for no redirect address, so none is kept.
    let authorization = Authorization {
        challenge: query.get("code_challenge").cloned(),
        ..Authorization::default()
    };
    let code = account
        .tokens
        .authorize(authorization, account.clock.now_ms());
    target
        .query_pairs_mut()
        .append_pair("code", &code)
        .extend_pairs(query.get("state").map(|state| ("state", state)));
    Reply::redirect(target.as_str())
}

/// The token endpoint. There is no refresh token and no expiry: a token lives until it
/// is revoked.
pub(crate) fn token(account: &Account, headers: &HeaderMap, body: &[u8]) -> Result<Reply, Problem> {
    let fields = fields(headers, body)?;
    let field = |name: &str| fields.get(name).map(String::as_str);
    let refused = |refused| match refused {
        Refused::ClientId | Refused::ClientSecret => {
            add(&account.meter.unauthorized, 1);
            Problem::unauthorized()
        }
        _ => Problem::bad_request("The authorization code is invalid"),
    };
    account
        .tokens
        .check_client(field("client_id"), field("client_secret"))
        .map_err(refused)?;
    let code = field("code").ok_or_else(|| Problem::missing("code"))?;
    let issued = account
        .tokens
        .exchange(code, "", field("code_verifier"), account.clock.now_ms())
        .map_err(refused)?;
    add(&account.meter.codes_exchanged, 1);
    Ok(Reply::value(
        200,
        &json!({
            "token_type": "Bearer",
            "token": issued.access_token,
            "access_token": issued.access_token,
        }),
    ))
}

/// The fields of a form or of a JSON object.
fn fields(headers: &HeaderMap, body: &[u8]) -> Result<Form, Problem> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !json {
        return Ok(form(body));
    }
    let object: serde_json::Map<String, Value> = serde_json::from_slice(body)
        .map_err(|_malformed| Problem::bad_request("The request body is no valid JSON"))?;
    let texts = object.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    Ok(texts.collect())
}
