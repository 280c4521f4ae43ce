//! The consent page, the token endpoint and revocation.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::BASE64;
use hyper::header::{self, HeaderMap};
use serde_json::{Value, json};

use super::reply::Reply;
use crate::meter::add;
use crate::salesforce::org::Org;
use crate::tokens::{Authorization, Form, Issued, Refused, form};

/// What assertions are addressed to, besides the org itself.
const LOGIN_HOSTS: [&str; 2] = [
    "https://login.salesforce.com",
    "https://test.salesforce.com",
];

/// The consent page; consent is given at once.
pub(super) fn authorize(org: &Org, query: &str) -> Reply {
    let mut form = form(query.as_bytes());
    let known = form
        .get("client_id")
        .is_some_and(|id| org.oauth.knows_client(id));
    if !known {
        return Reply::html(
            400,
            "<html><body>error=invalid_client_id&amp;error_description=client%20identifier%20invalid</body></html>",
        );
    }
    let allowed = &org.config.redirect_uris;
    let redirect_uri = form
        .remove("redirect_uri")
        .filter(|uri| allowed.is_empty() || allowed.contains(uri));
    let target = redirect_uri
        .as_deref()
        .and_then(|uri| url::Url::parse(uri).ok());
    let (Some(redirect_uri), Some(mut target)) = (redirect_uri, target) else {
        return Reply::html(
            400,
            "<html><body>error=redirect_uri_mismatch&amp;error_description=redirect_uri%20must%20match%20configuration</body></html>",
        );
    };
    let state = form.remove("state");
    let challenge = form.remove("code_challenge");
    let method = form.get("code_challenge_method").map(String::as_str);
    let code_asked = form.get("response_type").map(String::as_str) == Some("code");
    let proven = challenge.is_some() || !org.config.require_pkce;
    if !code_asked || !proven || method.is_some_and(|method| method != "S256") {
        let (error, description) = if code_asked {
            ("invalid_request", "missing required code challenge")
        } else {
            ("unsupported_response_type", "response type not supported")
        };
        target
            .query_pairs_mut()
            .append_pair("error", error)
            .append_pair("error_description", description)
            .extend_pairs(state.map(|state| ("state", state)));
        return Reply::redirect(target.into());
    }
    let scopes: BTreeSet<String> = form
        .get("scope")
        .map_or("refresh_token api id", String::as_str)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let authorization = Authorization {
        redirect_uri,
        scopes: Arc::new(scopes),
        user: org.config.username.as_str().into(),
        challenge,
    };
    let code = org.oauth.authorize(authorization, org.clock.now_ms());
    target
        .query_pairs_mut()
        .append_pair("code", &format!("aPrx{code}"))
        .extend_pairs(state.map(|state| ("state", state)));
    Reply::redirect(target.into())
}

/// The token endpoint: errors are objects here, not arrays.
pub(super) fn token(org: &Org, headers: &HeaderMap, body: &[u8]) -> Reply {
    let mut form = form(body);
    if let Some((id, secret)) = basic(headers) {
        form.entry("client_id".to_owned()).or_insert(id);
        form.entry("client_secret".to_owned()).or_insert(secret);
    }
    match exchange(org, &form) {
        Ok(answer) => Reply::value(200, &answer),
        Err((error, description)) => Reply::value(
            400,
            &json!({"error": error, "error_description": description}),
        ),
    }
}

/// Id and secret of basic authentication.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value
        .strip_prefix("Basic ")
        .or_else(|| value.strip_prefix("basic "))?;
    let decoded = String::from_utf8(BASE64.decode(encoded.trim().as_bytes()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

type Objection = (&'static str, &'static str);

fn exchange(org: &Org, form: &Form) -> Result<Value, Objection> {
    let field = |name: &str| form.get(name).map(String::as_str);
    let now_ms = org.clock.now_ms();
    let client = || {
        let checked = org
            .oauth
            .check_client(field("client_id"), field("client_secret"));
        checked.map_err(objection)
    };
    match field("grant_type") {
        Some("authorization_code") => {
            client()?;
            let code =
                field("code").ok_or(("invalid_request", "missing required parameter: code"))?;
            let redirect_uri = field("redirect_uri")
                .ok_or(("invalid_request", "redirect_uri must be provided"))?;
            let code = code.strip_prefix("aPrx").unwrap_or(code);
            let verifier = field("code_verifier");
            let issued = org
                .oauth
                .exchange(code, redirect_uri, verifier, now_ms)
                .map_err(objection)?;
            add(&org.meter.codes_exchanged, 1);
            Ok(issued_json(org, &issued, true))
        }
        Some("refresh_token") => {
            client()?;
            let token = field("refresh_token").ok_or((
                "invalid_request",
                "missing required parameter: refresh_token",
            ))?;
            match org.oauth.refresh(token, now_ms) {
                Ok(issued) => {
                    add(&org.meter.refreshes, 1);
                    let rotated = issued.rotated;
                    Ok(issued_json(org, &issued, rotated))
                }
                Err(refused) => {
                    add(&org.meter.refreshes_refused, 1);
                    Err(objection(refused))
                }
            }
        }
        Some("client_credentials") => {
            client()?;
            let user = org.config.username.as_str();
            let scopes = Arc::new(BTreeSet::from(["api".to_owned()]));
            let token = org.oauth.issue_access(scopes, user.into(), now_ms);
            Ok(access_json(org, &token, "api", true))
        }
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
            let assertion = field("assertion")
                .ok_or(("invalid_request", "missing required parameter: assertion"))?;
            let mut audiences = LOGIN_HOSTS.to_vec();
            audiences.extend([org.base_url.as_str(), org.instance_url()]);
            let known = |user: &str| user == org.config.username;
            let (token, _) = org.oauth.assert(assertion, &audiences, known, now_ms)?;
            Ok(access_json(org, &token, "api id", false))
        }
        Some(_) => Err(("unsupported_grant_type", "grant type not supported")),
        None => Err(("invalid_request", "missing required parameter: grant_type")),
    }
}

fn objection(refused: Refused) -> Objection {
    match refused {
        Refused::RefreshToken => ("invalid_grant", "expired access/refresh token"),
        Refused::AuthCode => ("invalid_grant", "invalid authorization code"),
        Refused::ExpiredCode => ("invalid_grant", "expired authorization code"),
        Refused::ClientId => ("invalid_client_id", "client identifier invalid"),
        Refused::ClientSecret => ("invalid_client", "invalid client credentials"),
        Refused::RedirectUri => (
            "redirect_uri_mismatch",
            "redirect_uri must match configuration",
        ),
        Refused::GrantType => ("unsupported_grant_type", "grant type not supported"),
    }
}

fn issued_json(org: &Org, issued: &Issued, with_refresh: bool) -> Value {
    let scopes: Vec<&str> = issued.scopes.iter().map(String::as_str).collect();
    let mut answer = access_json(org, &issued.access_token, &scopes.join(" "), true);
    if with_refresh {
        answer["refresh_token"] = json!(issued.refresh_token);
    }
    answer
}

/// There is no `expires_in`: a session ends when it has been idle for too long.
fn access_json(org: &Org, token: &str, scope: &str, signed: bool) -> Value {
    let identity = super::service::identity_url(org);
    let mut answer = json!({
        "access_token": token,
        "scope": scope,
        "instance_url": org.instance_url(),
        "id": identity,
        "token_type": "Bearer",
    });
    if signed {
        let issued_at = org.clock.now_ms().to_string();
        answer["signature"] = json!(org.oauth.signature(&identity, &issued_at));
        answer["issued_at"] = json!(issued_at);
    }
    answer
}

/// `POST /services/oauth2/revoke`.
pub(super) fn revoke(org: &Org, body: &[u8]) -> Reply {
    let form = form(body);
    let token = form.get("token").map_or("", String::as_str);
    if org.oauth.end(token) {
        return Reply::empty(200);
    }
    Reply::value(
        400,
        &json!({"error": "invalid_token", "error_description": "invalid token"}),
    )
}
