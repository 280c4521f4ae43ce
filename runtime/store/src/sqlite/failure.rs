//! What fails inside a statement, before it is known which operation it was.

use crate::Error;
use rusqlite::ErrorCode;
use std::path::Path;
use tidegate_domain::stream::Break;

/// A failure on its way to becoming an [`Error`].
#[derive(Debug)]
pub(super) enum Failure {
    Sql(rusqlite::Error),
    Encode(serde_json::Error),
    Violation(Violation),
    Thread(std::io::Error),
    Known(Error),
}

/// A request that would break what the protocol promises. Refused, never obeyed:
/// it comes from a bug or from a store and a log that do not belong together.
#[derive(Debug, thiserror::Error)]
pub(super) enum Violation {
    #[error("batch {found} was sealed where {expected} is next")]
    Batch { expected: u64, found: u64 },
    #[error("batch {batch} is not on its way")]
    NoIntent { batch: u64 },
    #[error("batch {found} was committed before {expected}")]
    Order { expected: u64, found: u64 },
    #[error("slot {found} was committed where {expected} is next")]
    Slot { expected: u64, found: u64 },
    #[error("the log ends at slot {found}, but slots up to {known} were known to exist")]
    LogShrank { known: u64, found: u64 },
    #[error("the state after is not the state before plus the change")]
    State,
    #[error("the change does not chain")]
    Chain(#[source] Break),
    #[error("job {id} belongs to another sync, or to the queue")]
    JobOwner { id: String },
    #[error("job {id} is not there")]
    NoJob { id: String },
    #[error("job {id} must not be over here")]
    JobState { id: String },
    #[error("the epoch cannot grow any more")]
    Epoch,
    #[error("the file is damaged ({problem}); restore a backup")]
    Damaged { problem: String },
    #[error("SQLite answered {found:?} to pragma {pragma}")]
    Pragma { pragma: &'static str, found: String },
}

impl Failure {
    pub(super) fn into_error(self, operation: &'static str) -> Error {
        let source: Box<dyn std::error::Error + Send + Sync> = match self {
            Failure::Known(error) => return error,
            Failure::Sql(error) if is_full(&error) => return Error::Full,
            Failure::Sql(error) => error.into(),
            Failure::Encode(error) => error.into(),
            Failure::Violation(violation) => violation.into(),
            Failure::Thread(error) => error.into(),
        };
        Error::Statement { operation, source }
    }

    pub(super) fn into_open_error(self, path: &Path) -> Error {
        match self.into_error("open") {
            Error::Statement { source, .. } => Error::Open {
                path: path.to_owned(),
                source,
            },
            known => known,
        }
    }
}

/// Whether there is no space left.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Known(error)
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Failure::Violation(violation)
    }
}
