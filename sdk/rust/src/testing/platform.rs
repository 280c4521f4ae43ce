//! The in-memory counterpart of the component's imports.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fmt,
    rc::Rc,
};

use serde_json::Value;

pub(crate) use super::body::Body;
use super::body::blind_pointers;
use super::{Answer, extract};
use crate::{
    Change, Digest, Directive, EmitFault, Encoding, Extraction, HttpFault, KvFault, Level,
    Manifest, Request, Response, Summary, VaultFault,
};

type Remote = Box<dyn FnMut(&Request) -> Answer>;
type Fetched = Result<Response, HttpFault>;

/// A record that was emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Emitted {
    /// The stream.
    pub stream: String,
    /// What happened to it.
    pub change: Change,
    /// Its primary key, parts joined with U+001F; empty on the slow path.
    pub key: String,
    /// Its cursor value.
    pub cursor: Option<String>,
    /// The record; null for a tombstone.
    pub record: Value,
}

#[derive(Default)]
pub(crate) struct State {
    pub(super) remote: Option<Remote>,
    pub(super) now_ms: u64,
    pub(super) directives: VecDeque<Directive>,
    pub(super) blind_for: Option<Manifest>,
    pub(super) secrets: Vec<String>,
    pub(super) requests: Vec<Request>,
    pub(super) emitted: Vec<Emitted>,
    pub(super) saves: Vec<Value>,
    pub(super) lags: Vec<u64>,
    pub(super) log: Vec<(Level, String)>,
    pub(super) counts: Vec<(String, f64)>,
    hints: BTreeMap<String, Vec<u8>>,
    /// How many of `emitted` are covered by a save.
    covered: usize,
    /// Stream of the running call; none outside of one, when all are taken.
    stream: Option<String>,
    since: Option<u64>,
}

impl State {
    pub(super) fn begin(&mut self, stream: &str, since: Option<u64>) {
        self.covered = self.emitted.len();
        self.stream = Some(stream.to_owned());
        self.since = since;
    }

    pub(super) fn end(&mut self, done: bool) {
        if !done {
            self.emitted.truncate(self.covered);
        }
        self.stream = None;
    }

    fn take(&mut self, stream: &str, records: Vec<Emitted>) -> Result<(), EmitFault> {
        if self
            .stream
            .as_deref()
            .is_some_and(|running| running != stream)
        {
            return Err(EmitFault::UnknownStream(stream.to_owned()));
        }
        self.emitted.extend(records);
        Ok(())
    }
}

pub(crate) struct Platform {
    state: Rc<RefCell<State>>,
}

impl Platform {
    pub(super) fn new(state: &Rc<RefCell<State>>) -> Self {
        Self {
            state: Rc::clone(state),
        }
    }

    pub(crate) fn fetch(&self, request: &Request) -> Fetched {
        // The remote system may look at the host's state, so it is taken out
        // while it answers.
        let remote = {
            let mut state = self.state.borrow_mut();
            state.requests.push(request.clone());
            state.remote.take()
        };
        let mut remote = remote.expect("a MemoryHost that is asked has a remote system");
        let answer = remote(request);
        let mut state = self.state.borrow_mut();
        state.remote = Some(remote);
        let content = answer.0?;
        let allowed = state
            .blind_for
            .as_ref()
            .and_then(|manifest| blind_pointers(manifest, request));
        let inner = Body::new(content.body, allowed);
        let body = crate::Body { inner };
        Ok(Response {
            status: content.status,
            headers: content.headers,
            body,
        })
    }

    pub(crate) fn fetch_many(&self, requests: &[Request], _in_flight_max: u32) -> Vec<Fetched> {
        requests.iter().map(|request| self.fetch(request)).collect()
    }

    pub(crate) fn pipeline(&self, _in_flight_max: u32) -> Pipeline {
        let platform = Self::new(&self.state);
        Pipeline {
            platform,
            queue: RefCell::default(),
        }
    }

    pub(crate) fn emit_body(
        &self,
        stream: &str,
        body: &Body,
        how: &Extraction,
    ) -> Result<Summary, EmitFault> {
        let mut state = self.state.borrow_mut();
        let (records, summary) = extract::records(stream, &body.bytes, how, state.since)?;
        state.take(stream, records)?;
        Ok(summary)
    }

    pub(crate) fn emit_ndjson(
        &self,
        stream: &str,
        kind: Change,
        lines: &[u8],
    ) -> Result<Summary, EmitFault> {
        let how = Extraction::ndjson().kind(kind);
        // The real host also takes the key, by the stream's description.
        let (records, summary) = extract::records(stream, lines, &how, None)?;
        self.state.borrow_mut().take(stream, records)?;
        Ok(summary)
    }

    pub(crate) fn emit_deletes(
        &self,
        stream: &str,
        keys: &[String],
        at_ms: Option<u64>,
    ) -> Result<Summary, EmitFault> {
        let tombstone = |key: &String| Emitted {
            stream: stream.to_owned(),
            change: Change::Delete,
            key: key.clone(),
            cursor: at_ms.map(|at_ms| at_ms.to_string()),
            record: Value::Null,
        };
        self.state
            .borrow_mut()
            .take(stream, keys.iter().map(tombstone).collect())?;
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        Ok(Summary {
            records: count,
            deletes: count,
            first_key: keys.first().cloned(),
            last_key: keys.last().cloned(),
            ..Summary::default()
        })
    }

    pub(crate) fn save(&self, saved: &str) -> Directive {
        let mut state = self.state.borrow_mut();
        state.covered = state.emitted.len();
        state
            .saves
            .push(serde_json::from_str(saved).expect("the SDK writes JSON"));
        state.directives.pop_front().unwrap_or(Directive::Proceed)
    }

    pub(crate) fn poll(&self) -> Directive {
        self.state
            .borrow_mut()
            .directives
            .pop_front()
            .unwrap_or(Directive::Proceed)
    }

    pub(crate) fn lag(&self, lag_ms: u64) {
        self.state.borrow_mut().lags.push(lag_ms);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.state.borrow().now_ms
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        0
    }

    pub(crate) fn remaining_ms(&self) -> u64 {
        u64::MAX
    }

    pub(crate) fn log(&self, level: Level, message: &str, _fields: &[(&str, &str)]) {
        self.state
            .borrow_mut()
            .log
            .push((level, message.to_owned()));
    }

    pub(crate) fn log_enabled(&self, _level: Level) -> bool {
        true
    }

    pub(crate) fn count(&self, name: &str, delta: f64, _labels: &[(&str, &str)]) {
        self.state
            .borrow_mut()
            .counts
            .push((name.to_owned(), delta));
    }

    pub(crate) fn observe(&self, name: &str, value: f64, labels: &[(&str, &str)]) {
        self.count(name, value, labels);
    }

    pub(crate) fn hint(&self, key: &str) -> Result<Option<Vec<u8>>, KvFault> {
        Ok(self.state.borrow().hints.get(key).cloned())
    }

    pub(crate) fn keep_hint(&self, key: &str, value: &[u8]) -> Result<(), KvFault> {
        self.state
            .borrow_mut()
            .hints
            .insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    pub(crate) fn forget_hint(&self, key: &str) -> Result<(), KvFault> {
        self.state.borrow_mut().hints.remove(key);
        Ok(())
    }

    pub(crate) fn hint_keys(&self, prefix: &str, limit: u32) -> Result<Vec<String>, KvFault> {
        let state = self.state.borrow();
        let keys = state.hints.keys().filter(|key| key.starts_with(prefix));
        Ok(keys.take(limit as usize).cloned().collect())
    }

    /// A stand-in for a MAC: it depends on all that a MAC depends on, and is
    /// none.
    pub(crate) fn sign(
        &self,
        secret: &str,
        digest: Digest,
        message: &[u8],
        encoding: Encoding,
    ) -> Result<String, VaultFault> {
        if !self
            .state
            .borrow()
            .secrets
            .iter()
            .any(|known| known == secret)
        {
            return Err(VaultFault::UnknownSecret(secret.to_owned()));
        }
        let message = String::from_utf8_lossy(message);
        Ok(format!("{digest:?}.{encoding:?}({secret}, {message})"))
    }

    pub(crate) fn verify(
        &self,
        secret: &str,
        digest: Digest,
        message: &[u8],
        encoding: Encoding,
        signature: &str,
    ) -> Result<bool, VaultFault> {
        Ok(self.sign(secret, digest, message, encoding)? == signature)
    }
}

pub(crate) struct Pipeline {
    platform: Platform,
    queue: RefCell<(u32, VecDeque<(u32, Fetched)>)>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipeline({} pending)", self.pending())
    }
}

impl Pipeline {
    pub(crate) fn submit(&self, request: &Request) -> u32 {
        let answer = self.platform.fetch(request);
        let (tickets, queue) = &mut *self.queue.borrow_mut();
        *tickets += 1;
        queue.push_back((*tickets, answer));
        *tickets
    }

    pub(crate) fn next(&self) -> Option<(u32, Fetched)> {
        self.queue.borrow_mut().1.pop_front()
    }

    pub(crate) fn pending(&self) -> u32 {
        u32::try_from(self.queue.borrow().1.len()).unwrap_or(u32::MAX)
    }
}
