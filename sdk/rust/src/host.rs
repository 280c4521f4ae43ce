//! The host as connectors see it: one type, real in a component, in memory in
//! native tests.

use serde::Serialize;

use crate::{
    Body, Change, Digest, EmitFault, Encoding, Extraction, Failure, HttpFault, KvFault, Pipeline,
    Request, Response, Summary, VaultFault, json,
};

#[cfg(target_family = "wasm")]
pub(crate) use crate::guest::platform;
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::platform;

/// What to do after a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// Keep going.
    Proceed,
    /// Return [`Outcome::More`](crate::Outcome::More) soon; the host wants the slot back.
    YieldSoon,
    /// Return [`Outcome::More`](crate::Outcome::More) now.
    Stop,
}

/// Importance of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// Worth a look.
    Warn,
    /// Needs a look.
    Error,
}

/// The only way out of a connector. It cannot be made, only received.
pub struct Host {
    pub(crate) inner: platform::Platform,
}

impl Host {
    /// Sends one request and waits for the headers of its answer. Limits,
    /// credentials and retries are the host's; redirects come back as they are.
    ///
    /// # Errors
    /// No answer was had. An answer of any status is not an error here: see
    /// [`Response::success`].
    pub fn fetch(&self, request: &Request) -> Result<Response, HttpFault> {
        self.inner.fetch(request)
    }

    /// Sends all of them, at most `in_flight_max` at once; results in input order.
    pub fn fetch_many(
        &self,
        requests: &[Request],
        in_flight_max: u32,
    ) -> Vec<Result<Response, HttpFault>> {
        self.inner.fetch_many(requests, in_flight_max)
    }

    /// Requests in flight beside the connector's own work.
    #[must_use]
    pub fn pipeline(&self, in_flight_max: u32) -> Pipeline {
        Pipeline {
            inner: self.inner.pipeline(in_flight_max),
        }
    }

    /// The fast path: the host cuts the records out of a body it holds.
    ///
    /// # Errors
    /// The body is not what `how` says, or the run is being stopped.
    pub fn emit_body(
        &self,
        stream: &str,
        body: &Body,
        how: &Extraction,
    ) -> Result<Summary, EmitFault> {
        self.inner.emit_body(stream, &body.inner, how)
    }

    /// The slow path: newline-delimited JSON that the connector made.
    ///
    /// # Errors
    /// A line is not JSON, the host's cap is passed, or the run is being stopped.
    pub fn emit_ndjson(
        &self,
        stream: &str,
        kind: Change,
        lines: &[u8],
    ) -> Result<Summary, EmitFault> {
        self.inner.emit_ndjson(stream, kind, lines)
    }

    /// Tombstones by key, deleted at `at_ms` (milliseconds since the epoch)
    /// where known.
    ///
    /// # Errors
    /// The run is being stopped.
    pub fn emit_deletes(
        &self,
        stream: &str,
        keys: &[String],
        at_ms: Option<u64>,
    ) -> Result<Summary, EmitFault> {
        self.inner.emit_deletes(stream, keys, at_ms)
    }

    /// Offers progress; prefer [`Read::save`](crate::Read::save), which knows
    /// the cursor's type.
    ///
    /// # Errors
    /// When the cursor does not serialise.
    pub fn save(&self, cursor: &impl Serialize) -> Result<Directive, Failure> {
        Ok(self.save_json(&json::write(cursor)?))
    }

    pub(crate) fn save_json(&self, state: &str) -> Directive {
        self.inner.save(state)
    }

    /// Asks whether to continue, without progress.
    #[must_use]
    pub fn poll(&self) -> Directive {
        self.inner.poll()
    }

    /// Says how far behind the source a live partition is with what it saved, in
    /// milliseconds by the source's own clock.
    pub fn lag(&self, lag_ms: u64) {
        self.inner.lag(lag_ms);
    }

    /// Wall clock, in milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.inner.now_ms()
    }

    /// Milliseconds since the call began; coarse on purpose.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        self.inner.elapsed_ms()
    }

    /// Milliseconds that are left of this call.
    #[must_use]
    pub fn remaining_ms(&self) -> u64 {
        self.inner.remaining_ms()
    }

    /// Writes a log line; the host cuts, cleans and limits it.
    pub fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        self.inner.log(level, message, fields);
    }

    /// Whether lines of this level are kept; saves formatting.
    #[must_use]
    pub fn log_enabled(&self, level: Level) -> bool {
        self.inner.log_enabled(level)
    }

    /// Adds to a counter of this connector.
    pub fn count(&self, name: &str, delta: f64, labels: &[(&str, &str)]) {
        self.inner.count(name, delta, labels);
    }

    /// Adds a value to a distribution of this connector.
    pub fn observe(&self, name: &str, value: f64, labels: &[(&str, &str)]) {
        self.inner.observe(name, value, labels);
    }

    /// A hint kept for the connection; it may be lost, so be able to find it again.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn hint(&self, key: &str) -> Result<Option<Vec<u8>>, KvFault> {
        self.inner.hint(key)
    }

    /// Keeps a hint for the connection.
    ///
    /// # Errors
    /// Too large, no room, or the store does not answer.
    pub fn keep_hint(&self, key: &str, value: &[u8]) -> Result<(), KvFault> {
        self.inner.keep_hint(key, value)
    }

    /// Forgets a hint.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn forget_hint(&self, key: &str) -> Result<(), KvFault> {
        self.inner.forget_hint(key)
    }

    /// Up to `limit` keys of hints that start with `prefix`.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn hint_keys(&self, prefix: &str, limit: u32) -> Result<Vec<String>, KvFault> {
        self.inner.hint_keys(prefix, limit)
    }

    /// MAC of `message` under a secret of the manifest.
    ///
    /// # Errors
    /// The connection has no such secret.
    pub fn sign(
        &self,
        secret: &str,
        digest: Digest,
        message: &[u8],
        encoding: Encoding,
    ) -> Result<String, VaultFault> {
        self.inner.sign(secret, digest, message, encoding)
    }

    /// Compares a MAC in constant time, in the host.
    ///
    /// # Errors
    /// The connection has no such secret.
    pub fn verify(
        &self,
        secret: &str,
        digest: Digest,
        message: &[u8],
        encoding: Encoding,
        signature: &str,
    ) -> Result<bool, VaultFault> {
        self.inner
            .verify(secret, digest, message, encoding, signature)
    }
}
