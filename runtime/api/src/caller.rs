//! Who asks, and whether they may: a key names its tenant and its role, and no path
//! and no body can name another.

use crate::api::Api;
use crate::change::Change;
use crate::key;
use crate::problem::{Code, Problem};
use crate::repeat::{self, Repeat};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use std::net::SocketAddr;
use tidegate_domain::access::{Permission, Role};
use tidegate_domain::id::{Sha256, TenantId};
use tidegate_store::clock::now_ms;
use zeroize::Zeroizing;

/// How old the note of a key's last use may be before it is written anew.
const USE_NOTED_MS: u64 = 60_000;

/// What a route asks of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: it says nothing of any tenant.
    Public,
    /// A key whose role allows this.
    Needs(Permission),
}

/// What stands before a route.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) api: Api,
    pub(crate) access: Access,
    /// Bytes of a body.
    pub(crate) body_bytes_max: usize,
}

/// The network address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Whoever sent the request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose things it is about.
    pub(crate) tenant: TenantId,
    /// The key's id.
    pub(crate) key: String,
    /// The key's role.
    pub(crate) role: Role,
    /// The network address.
    pub(crate) origin: Option<String>,
    /// The `Idempotency-Key`, if there is one.
    pub(crate) repeat: Option<Repeat>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::new(Code::Internal, "the route has no gate");
        parts
            .extensions
            .get::<Caller>()
            .cloned()
            .ok_or_else(missing)
    }
}

/// Lets a request through to its route, or answers in its place.
pub(crate) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Access::Needs(permission) = gate.access else {
        return next.run(request).await;
    };
    let text = bearer(request.headers()).map(|text| Zeroizing::new(text.to_owned()));
    let origin = request
        .extensions()
        .get::<Peer>()
        .map(|peer| peer.0.ip().to_string());
    let caller = match authenticate(&gate.api, text, origin).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let left = match gate.api.rate().take(&caller.key) {
        Ok(left) => left,
        Err(problem) => {
            let mut response = problem.into_response();
            gate.api.rate().note(None, &mut response);
            return response;
        }
    };
    let mut response = match authorised(&gate, permission, caller, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    gate.api.rate().note(Some(left), &mut response);
    response
}

async fn authenticate(
    api: &Api,
    text: Option<Zeroizing<String>>,
    origin: Option<String>,
) -> Result<Caller, Problem> {
    let refused = || Problem::new(Code::Unauthenticated, "the request carries no valid key");
    let text = text
        .filter(|text| key::is_well_formed(text))
        .ok_or_else(refused)?;
    let sha256 = Sha256::from_bytes(key::sha256(&text));
    let found = api.store().key_by_hash(&sha256).await?;
    let now_ms = now_ms();
    let row = found
        .filter(|row| row.is_valid_at(now_ms))
        .ok_or_else(refused)?;
    if row
        .used_at_ms
        .is_none_or(|at_ms| at_ms + USE_NOTED_MS < now_ms)
    {
        api.store().touch_key(&row.id, now_ms).await?;
    }
    tracing::Span::current().record("key.id", row.id.as_str());
    tracing::Span::current().record("tenant.id", row.tenant.as_str());
    Ok(Caller {
        tenant: row.tenant,
        key: row.id,
        role: row.role,
        origin,
        repeat: None,
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, text) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(text)
}

async fn authorised(
    gate: &Gate,
    permission: Permission,
    mut caller: Caller,
    request: Request,
) -> Result<Request, Problem> {
    if !caller.role.allows(permission) {
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        let subject = format!("{} {route}", request.method());
        // Whoever watches the tenant's audit log wants to know of it.
        gate.api
            .commit(&caller, Change::new("access.refuse", subject))
            .await?;
        let detail = format!("role {} may not do this", caller.role);
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let (repeat, mut request) = repeat::read(request, gate.body_bytes_max).await?;
    caller.repeat = repeat;
    request.extensions_mut().insert(caller);
    Ok(request)
}
