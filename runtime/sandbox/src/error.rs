//! What can go wrong between a component and its host.

use crate::scan::Refusal;
use std::path::PathBuf;
use tidegate_domain::Fault;

/// A failed admission or a failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sandbox itself could not be set up.
    #[error(
        "the sandbox cannot start; lower the number of instances or allow more address space (ulimit -v)"
    )]
    Engine {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file or a thread of the sandbox.
    #[error("the sandbox cannot use {path}; check that the directory is writable and has space")]
    Cache {
        /// Which place.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The compiling child could not be run.
    #[error("cannot run the compiler {exe}; check that the program is there and may be executed")]
    Compiler {
        /// Which program.
        exe: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The scan refused the component.
    #[error("component {connector} is refused: {refusal}")]
    Refused {
        /// The start of its digest.
        connector: String,
        /// Why.
        refusal: Refusal,
    },
    /// The component is not valid WebAssembly.
    #[error("component {connector} does not compile: {reason}; build it again")]
    Invalid {
        /// The start of its digest.
        connector: String,
        /// What the compiler says.
        reason: String,
    },
    /// The compiler was killed.
    #[error(
        "component {connector} needs more than {cpu_s} s or {memory_mib} MiB to compile; make its largest functions smaller"
    )]
    TooCostly {
        /// The start of its digest.
        connector: String,
        /// The limit of CPU time.
        cpu_s: u64,
        /// The limit of memory.
        memory_mib: u64,
    },
    /// The component does not fit the contract.
    #[error(
        "component {connector} does not fit the contract: {reason}; build it with the SDK of this release"
    )]
    Unfit {
        /// The start of its digest.
        connector: String,
        /// What does not fit.
        reason: String,
    },
    /// The manifest cannot be used.
    #[error("the manifest of component {connector} is not valid: {reason}")]
    Manifest {
        /// The start of its digest.
        connector: String,
        /// What to change.
        reason: String,
    },
    /// The component does not offer this call.
    #[error("connector {connector} has no {export}; it cannot be used for this")]
    NoExport {
        /// Its id and version.
        connector: String,
        /// The missing interface.
        export: &'static str,
    },
    /// The guest trapped.
    #[error("connector {connector} crashed in {call}: {reason}\n{backtrace}")]
    Trap {
        /// Its id and version.
        connector: String,
        /// What it was doing.
        call: &'static str,
        /// The trap.
        reason: String,
        /// Where in the guest; empty where nothing is known.
        backtrace: String,
    },
    /// The guest went over a limit.
    #[error("connector {connector} was stopped in {call}: it used more than {limit}")]
    Limit {
        /// Its id and version.
        connector: String,
        /// What it was doing.
        call: &'static str,
        /// The limit and its value.
        limit: String,
    },
    /// The guest broke a rule of the contract.
    #[error("connector {connector} broke the contract in {call}: {rule}")]
    Contract {
        /// Its id and version.
        connector: String,
        /// What it was doing.
        call: &'static str,
        /// The rule.
        rule: String,
    },
    /// The guest reported a failure, and classified it.
    #[error("connector {connector} could not {call}: {message}")]
    Failure {
        /// Its id and version.
        connector: String,
        /// What it was doing.
        call: &'static str,
        /// The class.
        fault: Fault,
        /// When to come back, in milliseconds since the epoch, where it said so.
        until_ms: Option<u64>,
        /// What it said.
        message: String,
    },
    /// The call was cancelled and did not return in time.
    #[error("connector {connector} was cancelled in {call}")]
    Cancelled {
        /// Its id and version.
        connector: String,
        /// What it was doing.
        call: &'static str,
    },
    /// Tidegate itself failed during the call: the batch, the broker or the store.
    #[error("{what} failed while connector {connector} was in {call}")]
    Host {
        /// Its id and version.
        connector: String,
        /// What it was doing.
        call: &'static str,
        /// What failed.
        what: &'static str,
        /// The kind of failure.
        fault: Fault,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The sandbox is shutting down.
    #[error("the sandbox is closed")]
    Closed,
}

impl Error {
    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Engine { .. }
            | Error::Cache { .. }
            | Error::Compiler { .. }
            | Error::Cancelled { .. }
            | Error::Closed => Fault::Host,
            Error::NoExport { .. } => Fault::Config,
            Error::Refused { .. }
            | Error::Invalid { .. }
            | Error::TooCostly { .. }
            | Error::Unfit { .. }
            | Error::Manifest { .. }
            | Error::Trap { .. }
            | Error::Limit { .. }
            | Error::Contract { .. } => Fault::Guest,
            Error::Failure { fault, .. } | Error::Host { fault, .. } => *fault,
        }
    }

    /// When to come back, in milliseconds since the epoch, where the limiter or the
    /// guest said so.
    pub fn until_ms(&self) -> Option<u64> {
        match self {
            Error::Failure { until_ms, .. } => *until_ms,
            _ => None,
        }
    }
}

/// Why a running guest is stopped: raised in a host call or between two of its
/// instructions, it unwinds the guest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// A limit and its value.
    #[error("more than {0}")]
    Limit(String),
    /// A rule of the contract.
    #[error("{0}")]
    Contract(String),
    /// The host failed.
    #[error("{what} failed")]
    Host {
        what: &'static str,
        fault: Fault,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The sandbox or the broker is shutting down.
    #[error("the host is closing")]
    Closed,
}

/// Ends the guest.
pub(crate) fn stop<T>(stop: Stop) -> wasmtime::Result<T> {
    Err(wasmtime::Error::new(stop))
}
