//! Bulk API 2.0: jobs, what they are asked to do, and how far they are.

pub(crate) mod ingest;
pub(crate) mod query;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use self::ingest::IngestJob;
use self::query::QueryJob;
use crate::salesforce::problem::Problem;
use crate::salesforce::wire_id::wire_text;
use crate::window::scaled;

/// Query jobs in any 24 hours.
const QUERY_JOBS_MAX: u32 = 10_000;
const DAY_MS: i64 = 86_400_000;
/// Results are kept for so long.
const KEPT_MS: i64 = 7 * DAY_MS;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    /// An ingest job that takes its data.
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl JobState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            JobState::Open => "Open",
            JobState::UploadComplete => "UploadComplete",
            JobState::InProgress => "InProgress",
            JobState::JobComplete => "JobComplete",
            JobState::Failed => "Failed",
            JobState::Aborted => "Aborted",
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        matches!(
            self,
            JobState::JobComplete | JobState::Failed | JobState::Aborted
        )
    }
}

/// How values and lines of a file are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(crate) delimiter_name: &'static str,
    pub(crate) line_end: &'static str,
}

impl Dialect {
    pub(crate) fn new(
        content_type: Option<&str>,
        delimiter: Option<&str>,
        line_ending: Option<&str>,
    ) -> Result<Dialect, Problem> {
        const DELIMITERS: [(&str, u8); 6] = [
            ("COMMA", b','),
            ("TAB", b'\t'),
            ("PIPE", b'|'),
            ("SEMICOLON", b';'),
            ("CARET", b'^'),
            ("BACKQUOTE", b'`'),
        ];
        let refused = |what: &str| Problem::new(400, "INVALIDJOB", format!("Invalid {what}"));
        if content_type.is_some_and(|content_type| content_type != "CSV") {
            return Err(refused("contentType: only CSV is supported"));
        }
        let wanted = delimiter.unwrap_or("COMMA");
        let known = DELIMITERS.iter().find(|(name, _)| *name == wanted);
        let (delimiter_name, delimiter) = *known.ok_or_else(|| refused("columnDelimiter"))?;
        let line_end = match line_ending.unwrap_or("LF") {
            "LF" => "\n",
            "CRLF" => "\r\n",
            _ => return Err(refused("lineEnding")),
        };
        Ok(Dialect {
            delimiter,
            delimiter_name,
            line_end,
        })
    }

    pub(crate) fn line_ending_name(&self) -> &'static str {
        if self.line_end == "\n" { "LF" } else { "CRLF" }
    }
}

/// `{"state":"Aborted"}`.
#[derive(Debug, Deserialize)]
pub(crate) struct StateChange {
    pub(crate) state: String,
}

/// Every job of the org.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// Polls until a job is complete.
    pub(crate) polls: u32,
    /// Jobs to come that fail.
    failing: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    serial: u64,
    pub(crate) queries: BTreeMap<String, QueryJob>,
    pub(crate) ingests: BTreeMap<String, IngestJob>,
    /// When query jobs were created, the oldest first.
    query_times_ms: VecDeque<i64>,
}

impl Jobs {
    pub(crate) fn new(polls: u32) -> Jobs {
        Jobs {
            polls,
            failing: AtomicU32::default(),
            state: Mutex::default(),
        }
    }

    /// Lets this many jobs fail that are still to come.
    pub(crate) fn fail_next(&self, jobs: u32) {
        self.failing.store(jobs, Ordering::Release);
    }

    /// Whether a job that begins now is to fail.
    pub(crate) fn fails(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.failing
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .is_ok()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The id of a new job.
    pub(crate) fn next_id(&mut self) -> String {
        self.serial += 1;
        wire_text(*b"750", 1_000_000_000 + self.serial * 37)
    }

    /// Forgets what is too old to be kept.
    pub(crate) fn expire(&mut self, now_ms: i64) {
        self.queries
            .retain(|_, job| now_ms - job.created_ms < KEPT_MS);
        self.ingests
            .retain(|_, job| now_ms - job.created_ms < KEPT_MS);
    }

    /// Counts a query job against the allocation of 24 hours.
    pub(crate) fn admit_query(&mut self, now_ms: i64, scale: Option<f64>) -> Result<(), Problem> {
        let times = &mut self.query_times_ms;
        while times.front().is_some_and(|at_ms| now_ms - at_ms >= DAY_MS) {
            times.pop_front();
        }
        if times.len() as u64 >= scaled(QUERY_JOBS_MAX, scale) {
            return Err(Problem::new(
                400,
                "LIMIT_EXCEEDED",
                "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10000)",
            ));
        }
        times.push_back(now_ms);
        Ok(())
    }
}
