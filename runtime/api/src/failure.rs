//! What the parts below say went wrong, as problems. What a client can act on is
//! told; the rest goes to the log.

use crate::problem::{Code, Problem};
use tidegate_domain::Fault;
use tidegate_domain::stream::Break;
use tidegate_engine::Error;
use tidegate_store::Error as StoreError;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let code = match &error {
            StoreError::NotFound { .. } => Code::NotFound,
            StoreError::Conflict { found: Some(_), .. } => Code::Changed,
            StoreError::Conflict { found: None, .. } => Code::Exists,
            StoreError::Dangling { .. } => Code::InUse,
            StoreError::TenantInUse { .. } => {
                return Problem::new(Code::InUse, error.to_string())
                    .with_fix("Suspend the tenant, cancel its jobs, and wait for their end.");
            }
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
        match &error {
            Error::Edit {
                source: Break::Cursor { .. },
                ..
            } => {
                return Problem::new(Code::Changed, error.chain()).with_fix(
                    "List the checkpoints again, and send the cursor you get as before.",
                );
            }
            Error::Edit { .. } => return Problem::new(Code::Invalid, error.chain()),
            Error::BeingRead { .. } => {
                return Problem::new(Code::InUse, error.to_string())
                    .with_fix("Cancel the job and wait for its end first.");
            }
            _ => {}
        }
        if error.needs_confirmation() {
            return Problem::new(Code::Conflict, error.to_string())
                .with_fix("Send confirm to go on.");
        }
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
