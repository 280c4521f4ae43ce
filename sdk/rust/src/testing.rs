//! An in-memory host: the connector that will be a component runs natively
//! against it, so that its logic is tested in milliseconds.
//!
//! It keeps what a connector depends on: bodies behind handles, extraction by
//! pointers, blindness, and the rule that what was emitted after the last save
//! is lost unless the partition is done. Sandbox limits, egress policy and the
//! provider's rate limits are the real host's.

mod answer;
mod asked;
mod body;
mod extract;
mod order;
pub(crate) mod platform;
mod pointer;
mod rounds;

use std::{cell::RefCell, rc::Rc};

use serde_json::Value;

use self::platform::{Platform, State};
pub use self::{answer::Answer, order::epoch_ms, platform::Emitted};
use crate::{
    Directive, Failure, Host, Level, Manifest, Outcome, Partition, Read, Request, Source, SyncMode,
    json,
};

/// The host of one test. See the module for what it stands for.
#[derive(Default)]
pub struct MemoryHost {
    state: Rc<RefCell<State>>,
}

/// What a partition is read for.
#[derive(Debug, Clone)]
pub struct Job {
    /// The user's configuration.
    pub config: Value,
    /// The stream.
    pub stream: String,
    /// How it is read.
    pub mode: SyncMode,
    /// Fields that the user chose; empty means all.
    pub fields: Vec<String>,
    /// Lower bound of the read (milliseconds since the epoch), which tells a
    /// create from an update.
    pub since: Option<u64>,
    /// Where to go on from.
    pub state: Option<Value>,
}

impl Job {
    /// A full refresh of a stream with an empty configuration.
    #[must_use]
    pub fn new(stream: impl Into<String>) -> Self {
        Self {
            config: Value::Object(serde_json::Map::new()),
            stream: stream.into(),
            mode: SyncMode::FullRefresh,
            fields: Vec::new(),
            since: None,
            state: None,
        }
    }
}

impl MemoryHost {
    /// A host whose remote system is `remote`; its clock stands at the epoch.
    #[must_use]
    pub fn new(remote: impl FnMut(&Request) -> Answer + 'static) -> Self {
        let memory = Self::default();
        memory.state.borrow_mut().remote = Some(Box::new(remote));
        memory
    }

    /// A host whose remote system gives these answers, in this order.
    #[must_use]
    pub fn scripted(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut answers: Vec<Answer> = answers.into_iter().collect();
        answers.reverse();
        Self::new(move |request| {
            answers
                .pop()
                .unwrap_or_else(|| panic!("no answer left for {request:?}"))
        })
    }

    /// Sets the clock, in milliseconds since the epoch.
    #[must_use]
    pub fn at(self, now_ms: u64) -> Self {
        self.state.borrow_mut().now_ms = now_ms;
        self
    }

    /// Sets the clock, in milliseconds since the epoch, between two runs.
    pub fn set_clock(&self, now_ms: u64) {
        self.state.borrow_mut().now_ms = now_ms;
    }

    /// Answers the next saves and polls with these, later ones with `Proceed`.
    #[must_use]
    pub fn directing(self, directives: impl IntoIterator<Item = Directive>) -> Self {
        self.state.borrow_mut().directives = directives.into_iter().collect();
        self
    }

    /// Gives of bodies only what a blind connector of this manifest may have.
    #[must_use]
    pub fn blind(self, manifest: &Manifest) -> Self {
        self.state.borrow_mut().blind_for = Some(manifest.clone());
        self
    }

    /// Gives the connection a secret to sign with.
    #[must_use]
    pub fn secret(self, name: impl Into<String>) -> Self {
        self.state.borrow_mut().secrets.push(name.into());
        self
    }

    /// What a connector is handed.
    #[must_use]
    pub fn host(&self) -> Host {
        Host {
            inner: Platform::new(&self.state),
        }
    }

    /// Calls `read` once, as the real host does: everything passes through
    /// JSON, and what was emitted after the last save counts only when done.
    ///
    /// # Errors
    /// What `read` fails with; [`Failure::Fatal`] for a split after a save.
    pub fn call<S: Source>(&self, job: &Job, slice: &S::Slice) -> Result<Outcome<S>, Failure> {
        let read = Read::<S> {
            config: serde_json::from_value(job.config.clone())
                .map_err(|error| Failure::Config(error.to_string()))?,
            stream: job.stream.clone(),
            mode: job.mode,
            partition: Partition::new("partition", json::saved(&json::write(slice)?)?),
            cursor: match &job.state {
                Some(state) => Some(json::saved(&state.to_string())?),
                None => None,
            },
            fields: job.fields.clone(),
        };
        let saves_before = {
            let mut state = self.state.borrow_mut();
            state.begin(&job.stream, job.since);
            state.saves.len()
        };
        let outcome = S::read(&self.host(), read);
        let mut state = self.state.borrow_mut();
        state.end(matches!(outcome, Ok(Outcome::Done(_))));
        let saved = job.state.is_some() || state.saves.len() > saves_before;
        if saved && matches!(outcome, Ok(Outcome::Split(_))) {
            return Err(Failure::Fatal("a split after a save is refused".to_owned()));
        }
        outcome
    }

    /// Calls `read` until it ends with something other than
    /// [`Outcome::More`], each time from the last save.
    ///
    /// # Errors
    /// As [`MemoryHost::call`].
    pub fn run<S: Source>(&self, job: &Job, slice: &S::Slice) -> Result<Outcome<S>, Failure> {
        let mut job = job.clone();
        loop {
            match self.call::<S>(&job, slice)? {
                Outcome::More => job.state = self.saves().pop().or(job.state),
                outcome => return Ok(outcome),
            }
        }
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.borrow().requests.clone()
    }

    /// The records so far that were not lost.
    #[must_use]
    pub fn emitted(&self) -> Vec<Emitted> {
        self.state.borrow().emitted.clone()
    }

    /// The saved cursors so far.
    #[must_use]
    pub fn saves(&self) -> Vec<Value> {
        self.state.borrow().saves.clone()
    }

    /// What was said of the lag so far, in milliseconds.
    #[must_use]
    pub fn lags(&self) -> Vec<u64> {
        self.state.borrow().lags.clone()
    }

    /// The log lines so far, without their fields.
    #[must_use]
    pub fn log_lines(&self) -> Vec<(Level, String)> {
        self.state.borrow().log.clone()
    }

    /// What was counted under a name so far.
    #[must_use]
    pub fn counted(&self, name: &str) -> f64 {
        let state = self.state.borrow();
        state
            .counts
            .iter()
            .filter(|(counted, _)| counted == name)
            .map(|(_, delta)| delta)
            .sum()
    }
}

#[cfg(test)]
mod tests;
