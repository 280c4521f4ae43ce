//! The router: every route of the table behind its gate.

use crate::api::Api;
use crate::caller::{self, Access, Gate};
use crate::{request, routes};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use std::time::Duration;
use tidegate_domain::access::Permission;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use utoipa_axum::router::UtoipaMethodRouter;

/// Bytes of a body, unless a route takes more.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Silence within a body after which a client is given up.
const BODY_SILENCE: Duration = Duration::from_secs(20);

/// A route with what it asks of its callers. There is no other way into the router, so
/// no route is without.
pub(crate) struct Route {
    access: Access,
    body_bytes_max: usize,
    handlers: UtoipaMethodRouter<Api>,
}

/// A route for callers whose role allows `permission`.
pub(crate) fn needs(permission: Permission, handlers: UtoipaMethodRouter<Api>) -> Route {
    Route {
        access: Access::Needs(permission),
        body_bytes_max: BODY_BYTES_MAX,
        handlers,
    }
}

/// A route for everyone.
pub(crate) fn public(handlers: UtoipaMethodRouter<Api>) -> Route {
    Route {
        access: Access::Public,
        body_bytes_max: BODY_BYTES_MAX,
        handlers,
    }
}

impl Route {
    /// What the document says of it.
    pub(crate) fn described(self) -> (Access, UtoipaMethodRouter<Api>) {
        (self.access, self.handlers)
    }

    /// With larger bodies.
    pub(crate) fn body_bytes_max(mut self, bytes: usize) -> Route {
        self.body_bytes_max = bytes;
        self
    }
}

/// The router of the whole API.
pub fn router(api: &Api) -> Router {
    let mut router = Router::new();
    for route in routes::table(api.config()) {
        let gate = Gate {
            api: api.clone(),
            access: route.access,
            body_bytes_max: route.body_bytes_max,
        };
        let (_, paths, methods) = route.handlers;
        let methods = methods
            .route_layer(DefaultBodyLimit::max(route.body_bytes_max))
            .route_layer(from_fn_with_state(gate, caller::admit));
        for path in paths.paths.keys() {
            router = router.route(path, methods.clone());
        }
    }
    router
        .fallback(request::no_such_path)
        .method_not_allowed_fallback(request::no_such_method)
        .layer(RequestBodyTimeoutLayer::new(BODY_SILENCE))
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(from_fn_with_state(api.clone(), request::around))
        .with_state(api.clone())
}
