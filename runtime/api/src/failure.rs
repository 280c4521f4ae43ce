//! What the parts below say went wrong, as problems. What a client can act on is
//! told; the rest goes to the log.

use crate::problem::{Code, Problem};
use tidegate_domain::Fault;
use tidegate_engine::Error;
use tidegate_store::Error as StoreError;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let code = match &error {
            StoreError::NotFound { .. } => Code::NotFound,
            StoreError::Conflict { found: Some(_), .. } => Code::Changed,
            StoreError::Conflict { found: None, .. } => Code::Exists,
            StoreError::Dangling { .. } => Code::InUse,
            StoreError::KeyReused => Code::KeyReused,
            StoreError::Quota { .. } => Code::Quota,
            StoreError::Full => Code::Full,
            StoreError::Closed => Code::Unavailable,
            _ => return Problem::internal("the database", &error),
        };
        Problem::new(code, error.to_string())
    }
}

impl From<tidegate_domain::spec::Problem> for crate::problem::Wrong {
    fn from(problem: tidegate_domain::spec::Problem) -> Self {
        Self {
            pointer: problem.pointer,
            reason: problem.reason,
        }
    }
}

impl From<Error> for Problem {
    /// The engine's errors hold no secret, and a person needs their text: it is what a
    /// provider or a component did.
    fn from(error: Error) -> Problem {
        if let Error::Setting { .. } | Error::NoSuchStream { .. } | Error::Mode { .. } = &error {
            return Problem::new(Code::Invalid, error.chain());
        }
        if let Error::Store(_) = &error {
            return Problem::internal("the database", &error);
        }
        let code = match error.fault() {
            Fault::Config | Fault::Auth | Fault::StaleCursor => Code::ProviderRefused,
            Fault::Throttled | Fault::Transient => Code::Upstream,
            Fault::Protocol | Fault::Guest => Code::ComponentRefused,
            Fault::Host => return Problem::internal("the engine", &error),
        };
        Problem::new(code, error.chain())
    }
}
