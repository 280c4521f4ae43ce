//! What the operator decides for a node, and no tenant can.

use crate::error::Error;
use crate::keys::KeyConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tidegate_domain::queue::Caps;
use tidegate_store::upkeep::Retention;

/// A stream's lease unless the operator says otherwise, in milliseconds.
const LEASE_MS: u64 = 30_000;
const LEASE_MS_MIN: u64 = 1_000;
/// A catalog's age unless the operator says otherwise: a source is asked six times an
/// hour at the most, however often it is synced.
const DISCOVERY_MS: u64 = 600_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// Deliveries of an event are tried for a day.
const EVENTS_DAYS_MIN: u32 = 2;

/// The operator's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Egress: mappings, private hosts, caps, limits.
    pub broker: tidegate_broker::Config,
    /// The lease of a stream, in milliseconds.
    pub lease_ms: u64,
    /// How old what discovery found may be when a job begins, in milliseconds; 0 asks
    /// at the beginning of every attempt.
    pub discovery_ms: u64,
    /// Guest threads; none takes one for each core.
    pub guest_threads: Option<usize>,
    /// Origins (`http://127.0.0.1:8333`) of S3 endpoints that may be plain http or
    /// private.
    pub target_origins: Vec<tidegate_broker::Origin>,
    /// Directories below which tenants' `file://` targets may lie; without any, the
    /// directory `lake` beside the node's own.
    pub target_directories: Vec<PathBuf>,
    /// What the worker takes on.
    pub worker: WorkerConfig,
    /// Where the keys come from that tenants' keys are kept under.
    pub keys: KeyConfig,
    /// How long what grows is kept.
    pub retention: RetentionConfig,
}

/// How long what grows is kept, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Finished jobs with their attempts and logs.
    pub jobs_days: u32,
    /// Events and their deliveries.
    pub events_days: u32,
    /// Entries of the audit log; the chain goes on from the last that went.
    pub audit_days: u32,
    /// Keys that were revoked or have expired.
    pub keys_days: u32,
    /// Records of the requests that went to providers.
    pub requests_days: u32,
}

impl Default for RetentionConfig {
    /// 400 days of audit are a year and the time to look at it.
    fn default() -> RetentionConfig {
        RetentionConfig {
            jobs_days: 90,
            events_days: 30,
            audit_days: 400,
            keys_days: 90,
            requests_days: 30,
        }
    }
}

impl RetentionConfig {
    pub(crate) fn retention(self) -> Retention {
        let ms = |days| u64::from(days) * DAY_MS;
        Retention {
            jobs_ms: ms(self.jobs_days),
            events_ms: ms(self.events_days),
            audit_ms: ms(self.audit_days),
            keys_ms: ms(self.keys_days),
            requests_ms: ms(self.requests_days),
        }
    }

    fn check(self) -> Result<(), Error> {
        for (name, days, least) in [
            ("jobs_days", self.jobs_days, 1),
            ("events_days", self.events_days, EVENTS_DAYS_MIN),
            ("audit_days", self.audit_days, 1),
            ("keys_days", self.keys_days, 1),
            ("requests_days", self.requests_days, 1),
        ] {
            if days < least {
                let name = format!("retention.{name}");
                return Err(Error::setting(name, format!("must be {least} at least")));
            }
        }
        Ok(())
    }
}

/// What a worker takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// Jobs that run at once, live ones apart.
    pub jobs_max: u32,
    /// Live jobs that run at once: streams that are followed as they change. Each holds
    /// a connection and an instance. Where there are more, they take turns.
    pub live_jobs_max: u32,
    /// Of one tenant.
    pub tenant_live_jobs_max: u32,
    /// Milliseconds that a live job keeps a place for which others wait.
    pub live_turn_ms: u64,
    /// Of one tenant, unless the tenant has a cap of its own.
    pub tenant_jobs_max: u32,
    /// Of one connection, unless its document sets a cap.
    pub connection_jobs_max: u32,
    /// Of one connector.
    pub connector_jobs_max: u32,
    /// Milliseconds after which another worker may take a job from a silent one.
    pub claim_ms: u64,
    /// Milliseconds that running jobs have to checkpoint when the worker stops.
    pub drain_ms: u64,
}

impl Default for WorkerConfig {
    fn default() -> WorkerConfig {
        WorkerConfig {
            jobs_max: 32,
            live_jobs_max: 64,
            tenant_live_jobs_max: 32,
            live_turn_ms: 60_000,
            tenant_jobs_max: 16,
            connection_jobs_max: 4,
            connector_jobs_max: 32,
            claim_ms: 30_000,
            drain_ms: 25_000,
        }
    }
}

impl WorkerConfig {
    pub(crate) fn caps(&self) -> Caps {
        Caps {
            tenant_jobs_max: self.tenant_jobs_max,
            connection_jobs_max: self.connection_jobs_max,
            connector_jobs_max: self.connector_jobs_max,
        }
    }

    pub(crate) fn live_caps(&self) -> Caps {
        Caps {
            tenant_jobs_max: self.tenant_live_jobs_max,
            connection_jobs_max: self.tenant_live_jobs_max,
            connector_jobs_max: self.live_jobs_max,
        }
    }

    fn check(&self) -> Result<(), Error> {
        for (name, value) in [
            ("jobs_max", self.jobs_max),
            ("tenant_jobs_max", self.tenant_jobs_max),
            ("connection_jobs_max", self.connection_jobs_max),
            ("connector_jobs_max", self.connector_jobs_max),
        ] {
            if value == 0 {
                let name = format!("worker.{name}");
                return Err(Error::setting(
                    name,
                    "must be 1 at least, or no job ever runs",
                ));
            }
        }
        if self.claim_ms < LEASE_MS_MIN {
            return Err(Error::setting(
                "worker.claim_ms",
                format!("must be {LEASE_MS_MIN} at least, or workers lose jobs that they run"),
            ));
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            broker: tidegate_broker::Config::default(),
            lease_ms: LEASE_MS,
            discovery_ms: DISCOVERY_MS,
            guest_threads: None,
            target_origins: Vec::new(),
            target_directories: Vec::new(),
            worker: WorkerConfig::default(),
            keys: KeyConfig::default(),
            retention: RetentionConfig::default(),
        }
    }
}

impl Config {
    /// Checks what the types cannot; the broker checks its own part when it is built.
    ///
    /// # Errors
    /// [`Error::Setting`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        if self.lease_ms < LEASE_MS_MIN {
            return Err(Error::setting(
                "lease_ms",
                format!("must be {LEASE_MS_MIN} at least, or owners lose streams that they read"),
            ));
        }
        if self.guest_threads == Some(0) {
            return Err(Error::setting("guest_threads", "must be 1 at least"));
        }
        let mut directories = self.target_directories.iter();
        if let Some(relative) = directories.find(|path| !path.is_absolute()) {
            return Err(Error::setting(
                "target_directories",
                format!("{} must be an absolute path", relative.display()),
            ));
        }
        self.retention.check()?;
        self.worker.check()
    }
}
