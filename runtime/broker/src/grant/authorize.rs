//! A person consents: the URL to send them to, and the exchange of the code.

use super::exchange::{self, Outcome};
use super::{Grant, Grants};
use crate::connection::OauthApp;
use crate::{Config, Connection, Error};
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use secrecy::{ExposeSecret, SecretString};
use tidegate_domain::manifest::OauthCode;

/// An authorisation that a person has begun. It lives as long as the process: the
/// PKCE verifier is never stored.
pub struct PendingAuthorization {
    /// Where the person consents.
    pub url: String,
    /// What the provider must send back beside the code.
    pub state: String,
    pub(crate) method: String,
    redirect_uri: String,
    verifier: Option<SecretString>,
}

impl std::fmt::Debug for PendingAuthorization {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PendingAuthorization")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Begins.
pub(crate) fn pending(
    config: &Config,
    connection: &Connection,
    code: &OauthCode,
    app: &OauthApp,
    method: &str,
    redirect_uri: &str,
) -> Result<PendingAuthorization, Error> {
    let url = crate::endpoint::fill_url(&code.authorize_url, &connection.config)?;
    let redirect = RedirectUrl::new(redirect_uri.to_owned())
        .map_err(|_| Error::config("the redirect address is no URL"))?;
    let client = BasicClient::new(ClientId::new(app.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(super::mapped(config, url)))
        .set_redirect_uri(redirect);
    let scopes = code.scopes.iter().cloned().map(Scope::new);
    let mut request = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(scopes);
    let mut verifier = None;
    if code.pkce {
        let (challenge, secret) = PkceCodeChallenge::new_random_sha256();
        request = request.set_pkce_challenge(challenge);
        verifier = Some(SecretString::from(secret.into_secret()));
    }
    let (url, state) = request.url();
    Ok(PendingAuthorization {
        url: url.into(),
        state: state.into_secret(),
        method: method.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        verifier,
    })
}

/// Ends: exchanges the code and stores the grant durably.
pub(crate) async fn complete(
    grants: &Grants,
    grant: &Grant,
    pending: PendingAuthorization,
    code: &str,
    state: &str,
) -> Result<(), Error> {
    if !same(pending.state.as_bytes(), state.as_bytes()) {
        return Err(Error::Auth(
            "the answer belongs to another authorisation; begin again".to_owned(),
        ));
    }
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &pending.redirect_uri),
    ];
    if let Some(verifier) = &pending.verifier {
        form.push(("code_verifier", verifier.expose_secret()));
    }
    let refuse = |text: &str| Err(Error::Auth(format!("{}: {text}", pending.method)));
    match exchange::ask(grant, &form, None).await {
        Outcome::Tokens(tokens) => grants.replace(grant, *tokens).await,
        Outcome::GrantRefused => refuse("the provider refused the code; begin again"),
        Outcome::AppRefused => refuse("the provider refuses the application's id or secret"),
        Outcome::Declined(status) => refuse(&format!("the token endpoint answered {status}")),
        Outcome::Unavailable(reason, _) => Err(Error::TokenEndpoint {
            method: pending.method.clone(),
            reason,
        }),
        Outcome::Lost => Err(Error::TokenEndpoint {
            method: pending.method.clone(),
            reason: "no answer came; begin again".to_owned(),
        }),
    }
}

/// In constant time.
fn same(left: &[u8], right: &[u8]) -> bool {
    let differing = left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b));
    left.len() == right.len() && differing == 0
}
