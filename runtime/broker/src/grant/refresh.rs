//! Renews tokens: one flight in the process by the cell's lock, one in the fleet by
//! the store's, and durable before anyone sees the new pair.

use super::exchange::{self, Outcome};
use super::rest::Resting;
use super::{CellState, Current, Grant, Standing, Tokens, Vault};
use crate::Error;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::id::OwnerToken;
use tidegate_domain::manifest::AuthKind;
use tidegate_store::clock::now_ms;
use tidegate_store::crash;
use tidegate_store::grants::GrantState;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

/// How often another process' refresh is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// A declined request is not repeated for this long.
const REST: Duration = Duration::from_secs(60);
/// Tries to store a new pair before the caller is told; it is kept and tried again
/// with the next request.
const STORE_TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(250);

/// RFC 7523, 2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A pair that was given and is not stored yet.
pub(super) struct Unsaved {
    holder: String,
    version: u64,
    owner: OwnerToken,
    tokens: Tokens,
}

/// The newest usable token, renewed if need be. Says whether it was.
pub(super) async fn renew(
    vault: &Vault,
    grant: &Grant,
    cell: &mut CellState,
    refused: Option<u64>,
) -> Result<(Arc<Current>, bool), Error> {
    if let Some(unsaved) = cell.unsaved.take() {
        save(vault, grant, cell, unsaved).await?;
        if let Some(current) = cell.usable(refused) {
            return Ok((current, false));
        }
    }
    rest(vault, grant, cell)?;
    if !matches!(grant.method.kind, AuthKind::Oauth2Code(_)) {
        return for_the_asking(vault, grant, cell).await;
    }
    vault.recover(&grant.key).await?;
    let Some((current, standing)) = vault.load(&grant.key).await? else {
        return Err(Error::Auth(format!(
            "connection {} is not authorised; authorise {}",
            grant.key.connection, grant.key.method
        )));
    };
    if standing.state == GrantState::NeedsReauth {
        cell.current = None;
        return Err(needs_reauth(grant));
    }
    cell.current = Some(current);
    if let Some(current) = cell.usable(refused) {
        return Ok((current, false));
    }
    let span = tracing::info_span!("oauth.refresh", error.type = tracing::field::Empty);
    let refreshed = refresh(vault, grant, cell, standing)
        .instrument(span.clone())
        .await;
    if let Err(error) = &refreshed {
        span.record("error.type", tracing::field::display(error.fault()));
    }
    refreshed
}

fn needs_reauth(grant: &Grant) -> Error {
    Error::Auth(format!(
        "the authorisation of connection {} has ended; authorise {} again",
        grant.key.connection, grant.key.method
    ))
}

fn to_be_confirmed(grant: &Grant) -> Error {
    unreachable_now(
        grant,
        "it refused the authorisation; it is asked once more in a minute, and if it refuses \
         again, a person must authorise anew (`tidegate connections authorize`)"
            .to_owned(),
    )
}

fn not_renewable(grant: &Grant) -> Error {
    Error::Auth(format!(
        "the token of connection {} is no longer taken and cannot be renewed; authorise {} again",
        grant.key.connection, grant.key.method
    ))
}

fn app_refused(grant: &Grant) -> Error {
    Error::Application {
        client_id: grant.app.client_id.clone(),
    }
}

/// Repeats the last refusal for a while instead of asking again.
fn rest(vault: &Vault, grant: &Grant, cell: &CellState) -> Result<(), Error> {
    let now = Instant::now();
    if cell.rests_until.is_some_and(|until| until > now) {
        return Err(declined(grant));
    }
    match vault.rests.of(&grant.app_key()) {
        Some(Resting::Refused) => Err(app_refused(grant)),
        Some(Resting::Trouble) | None => Ok(()),
    }
}

/// Leaves an endpoint alone that had trouble just now.
fn spare(vault: &Vault, grant: &Grant) -> Result<(), Error> {
    match vault.rests.of(&grant.app_key()) {
        None => Ok(()),
        Some(Resting::Refused) => Err(app_refused(grant)),
        Some(Resting::Trouble) => Err(unreachable_now(
            grant,
            "it had trouble just now and is asked again in a while".to_owned(),
        )),
    }
}

/// Asks, and remembers whether the endpoint had trouble.
async fn ask(
    vault: &Vault,
    grant: &Grant,
    form: &[(&str, &str)],
    previous: Option<&Tokens>,
) -> Outcome {
    let outcome = exchange::ask(grant, form, previous).await;
    match &outcome {
        Outcome::Unavailable(_, pause_ms) => vault.rests.trouble(grant.app_key(), *pause_ms),
        Outcome::Lost => vault.rests.trouble(grant.app_key(), None),
        _ => vault.rests.answered(&grant.app_key()),
    }
    outcome
}

fn refuse_app(vault: &Vault, grant: &Grant) -> Error {
    tracing::error!(
        client.id = grant.app.client_id,
        "the token endpoint refuses the application"
    );
    vault.rests.refused(grant.app_key());
    app_refused(grant)
}

fn declined(grant: &Grant) -> Error {
    Error::Auth(format!(
        "the token endpoint of {} declined; check the authorisation and its scopes",
        grant.key.method
    ))
}

fn unreachable_now(grant: &Grant, reason: String) -> Error {
    Error::TokenEndpoint {
        method: grant.key.method.clone(),
        reason,
    }
}

async fn refresh(
    vault: &Vault,
    grant: &Grant,
    cell: &mut CellState,
    standing: Standing,
) -> Result<(Arc<Current>, bool), Error> {
    let Some(current) = cell.current.clone() else {
        return Err(needs_reauth(grant));
    };
    let token = current.tokens.refresh.as_ref();
    let token = token.ok_or_else(|| not_renewable(grant))?;
    let (mut state, mut lost) = (standing.state, false);
    let confirmed_at_ms = standing
        .noted_at_ms
        .saturating_add(grant.client.refusal_confirmed_after_ms());
    if state == GrantState::Refused && now_ms() < confirmed_at_ms {
        return Err(to_be_confirmed(grant));
    }
    spare(vault, grant)?;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.expose_secret()),
    ];
    loop {
        let Some(owner) = begin(vault, grant, current.version).await? else {
            return moved(vault, grant, cell).await;
        };
        let back = Back {
            vault,
            grant,
            version: current.version,
            owner,
        };
        crash::point("R2.before");
        let outcome = ask(vault, grant, &form, Some(&current.tokens)).await;
        crash::point("R2.after");
        match outcome {
            Outcome::Tokens(tokens) => {
                let unsaved = Unsaved {
                    holder: current.holder.clone(),
                    version: current.version,
                    owner,
                    tokens: *tokens,
                };
                let saved = save(vault, grant, cell, unsaved).await?;
                return Ok((saved, true));
            }
            Outcome::GrantRefused => {
                // A loser of a race holds a token that the winner replaced. It
                // changes nothing: the version moved. Providers refuse by mistake, too,
                // so the first refusal is confirmed, unless an answer was lost before
                // it.
                let first = state == GrantState::Active;
                let next = match first {
                    true => GrantState::Refused,
                    false => GrantState::NeedsReauth,
                };
                if !back.give(next).await? {
                    return moved(vault, grant, cell).await;
                }
                if first {
                    return Err(to_be_confirmed(grant));
                }
                cell.current = None;
                return Err(needs_reauth(grant));
            }
            Outcome::AppRefused => {
                back.give(state).await?;
                return Err(refuse_app(vault, grant));
            }
            Outcome::Declined(status) => {
                tracing::warn!(status, method = grant.key.method, "a refresh was declined");
                back.give(state).await?;
                cell.rests_until = Some(Instant::now() + REST);
                return Err(declined(grant));
            }
            Outcome::Unavailable(reason, _) => {
                back.give(state).await?;
                return Err(unreachable_now(grant, reason));
            }
            Outcome::Lost => {
                // The provider may have replaced the pair. Most take the old token
                // once more within a grace time; one that does not says so, and only
                // then the grant is lost. Silence ends none: an endpoint that hangs
                // would end those of all tenants.
                back.give(GrantState::Unknown).await?;
                if lost {
                    return Err(unreachable_now(grant, "no answer could be read".to_owned()));
                }
                (state, lost) = (GrantState::Unknown, true);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Takes the right to refresh; none where the version moved meanwhile.
async fn begin(vault: &Vault, grant: &Grant, version: u64) -> Result<Option<OwnerToken>, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(Error::Random)?;
    let owner = OwnerToken::from_bytes(random);
    // Longer than any right holds: then it is free, or the version moved.
    let right_ms = grant.client.right_ms();
    let patience = Instant::now() + Duration::from_millis(2 * right_ms);
    crash::point("R1.before");
    loop {
        let begun = vault
            .store
            .begin_refresh(&grant.key, version, owner, right_ms)
            .await?;
        if begun {
            crash::point("R1.after");
            return Ok(Some(owner));
        }
        let stored = vault.store.grant(&grant.key).await?;
        let same = stored.is_some_and(|stored| {
            stored.version == version && stored.state != GrantState::NeedsReauth
        });
        if !same {
            return Ok(None);
        }
        if Instant::now() > patience {
            return Err(unreachable_now(
                grant,
                "another process holds the right to refresh".to_owned(),
            ));
        }
        sleep(LOOK).await;
    }
}

/// Somebody else renewed: theirs is the one.
async fn moved(
    vault: &Vault,
    grant: &Grant,
    cell: &mut CellState,
) -> Result<(Arc<Current>, bool), Error> {
    match vault.load(&grant.key).await? {
        Some((current, standing)) if standing.state != GrantState::NeedsReauth => {
            cell.current = Some(Arc::clone(&current));
            Ok((current, false))
        }
        _ => {
            cell.current = None;
            Err(needs_reauth(grant))
        }
    }
}

/// Stores the pair, then shows it. A store that fails does not lose it: it stays in
/// the cell, unused, for the next request.
async fn save(
    vault: &Vault,
    grant: &Grant,
    cell: &mut CellState,
    unsaved: Unsaved,
) -> Result<Arc<Current>, Error> {
    let version = unsaved.version + 1;
    let sealed = vault
        .seal(&grant.key.tenant, &unsaved.holder, version, &unsaved.tokens)
        .await?;
    if let Some(salvage) = &vault.salvage {
        crash::point("R3.before");
        // Without it the store is all there is; that it may fail, too, is no reason
        // not to try.
        let kept = salvage.keep(&grant.key.tenant, &unsaved.holder, version, &sealed);
        if let Err(error) = kept.await {
            tracing::error!(%error, "a new pair of tokens could not be salvaged");
        }
        crash::point("R3.after");
    }
    crash::point("R4.before");
    let mut tries = 0;
    let stored = loop {
        tries += 1;
        let finished = vault
            .store
            .finish_refresh(&grant.key, unsaved.version, unsaved.owner, &sealed)
            .await;
        match finished {
            Ok(stored) => break stored,
            Err(error) if tries < STORE_TRIES => {
                tracing::warn!(%error, "a new pair of tokens could not be stored; trying again");
                sleep(PAUSE).await;
            }
            Err(error) => {
                cell.unsaved = Some(unsaved);
                return Err(error.into());
            }
        }
    };
    crash::point("R4.after");
    let tokens = unsaved.tokens;
    let current = if stored {
        let holder = unsaved.holder;
        Arc::new(Current {
            holder,
            version,
            tokens,
        })
    } else {
        // The right ran out. Where the version did not move, this pair is the only
        // one that the provider still takes.
        match vault.load(&grant.key).await? {
            Some((stored, _)) if stored.version > unsaved.version => stored,
            _ => vault.put(&grant.key, tokens).await?,
        }
    };
    cell.current = Some(Arc::clone(&current));
    if let Err(error) = vault.forget_salvaged(&grant.key, &current.holder).await {
        tracing::warn!(%error, "a stored pair of tokens is still salvaged");
    }
    Ok(current)
}

/// The right to refresh, to be given back.
struct Back<'a> {
    vault: &'a Vault,
    grant: &'a Grant,
    version: u64,
    owner: OwnerToken,
}

impl Back<'_> {
    /// False where the version moved and nothing was noted.
    async fn give(self, state: GrantState) -> Result<bool, Error> {
        let store = &self.vault.store;
        let noted = store.abandon_refresh(&self.grant.key, self.version, self.owner, state);
        Ok(noted.await?)
    }
}

/// Such tokens are had for the asking, so they live in memory only.
async fn for_the_asking(
    vault: &Vault,
    grant: &Grant,
    cell: &mut CellState,
) -> Result<(Arc<Current>, bool), Error> {
    let scope = match &grant.method.kind {
        AuthKind::Oauth2Client(client) => client.scopes.join(" "),
        AuthKind::Oauth2Jwt(jwt) => jwt.scopes.join(" "),
        _ => String::new(),
    };
    let assertion = match &grant.signer {
        Some(signer) => Some(signer.sign(now_ms())?),
        None => None,
    };
    let mut form = match &assertion {
        Some(assertion) => vec![
            ("grant_type", JWT_BEARER),
            ("assertion", assertion.expose_secret()),
        ],
        None => vec![("grant_type", "client_credentials")],
    };
    if !scope.is_empty() {
        form.push(("scope", &scope));
    }
    spare(vault, grant)?;
    match ask(vault, grant, &form, None).await {
        Outcome::Tokens(tokens) => {
            let version = cell.current.as_ref().map_or(0, |current| current.version) + 1;
            let current = Arc::new(Current {
                holder: grant.key.own_holder(),
                version,
                tokens: *tokens,
            });
            cell.current = Some(Arc::clone(&current));
            Ok((current, true))
        }
        Outcome::AppRefused => Err(refuse_app(vault, grant)),
        Outcome::GrantRefused | Outcome::Declined(_) => {
            cell.rests_until = Some(Instant::now() + REST);
            Err(declined(grant))
        }
        Outcome::Unavailable(reason, _) => Err(unreachable_now(grant, reason)),
        Outcome::Lost => Err(unreachable_now(grant, "no answer came".to_owned())),
    }
}
