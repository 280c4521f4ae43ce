//! What the types of a document cannot say.

use super::{ConnectionSpec, StreamSpec, SyncSpec, WindowSpec, escaped};
use crate::sync::{Landing, Mode};
use serde::Serialize;
use utoipa::ToSchema;

/// Something in a document that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The JSON pointer to it (`/streams/0/landing`).
    pub pointer: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Characters of a secret's name in a connection: it becomes part of a name.
const SECRET_CHARS_MAX: usize = 64;

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, pointer: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Problem {
            pointer: pointer.into(),
            reason: reason.into(),
        });
    }
}

impl ConnectionSpec {
    /// Everything in it that cannot work; empty when it is sound.
    pub fn validate(&self) -> Vec<Problem> {
        let mut found = Problems(Vec::new());
        if self
            .concurrency_max
            .is_some_and(|max| !(1..=1_000).contains(&max))
        {
            found.add("/concurrency_max", "use 1 to 1000");
        }
        if self
            .quota_share
            .is_some_and(|share| !(1..=100).contains(&share))
        {
            found.add("/quota_share", "use 1 to 100 (percent)");
        }
        if let Some(app) = &self.oauth_app
            && app.client_id.is_empty()
        {
            found.add("/oauth_app/client_id", "must not be empty");
        }
        for name in self.secrets.keys() {
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            if name.is_empty() || name.len() > SECRET_CHARS_MAX || !name.bytes().all(safe) {
                found.add(
                    format!("/secrets/{}", escaped(name)),
                    format!(
                        "a secret's name is 1 to {SECRET_CHARS_MAX} of a-z, A-Z, 0-9, '_', '-'"
                    ),
                );
            }
        }
        found.0
    }
}

impl SyncSpec {
    /// Everything in it that cannot work; empty when it is sound.
    pub fn validate(&self) -> Vec<Problem> {
        let mut found = Problems(validate_streams(&self.streams));
        found.0.extend(self.target.validate());
        for (name, bound) in [
            ("bytes_max", self.batch.bytes_max),
            ("rows_max", self.batch.rows_max),
            ("age_max_ms", self.batch.age_max_ms),
        ] {
            if bound == 0 {
                found.add(format!("/batch/{name}"), "use 1 at least");
            }
        }
        if let Some(schedule) = &self.schedule {
            let problems = schedule.validate();
            found.0.extend(problems.into_iter().map(|problem| Problem {
                pointer: format!("/schedule{}", problem.pointer),
                ..problem
            }));
        }
        found.0
    }
}

/// Everything in a list of streams that cannot work; pointers begin with `/streams`.
pub fn validate_streams(streams: &[StreamSpec]) -> Vec<Problem> {
    let mut found = Problems(Vec::new());
    if streams.is_empty() {
        found.add("/streams", "name at least one stream");
    }
    for (at, stream) in streams.iter().enumerate() {
        let pointer = |name: &str| format!("/streams/{at}/{name}");
        if streams[..at].iter().any(|other| other.name == stream.name) {
            found.add(pointer("name"), "this stream is there twice");
        }
        if !(1..=256).contains(&stream.partitions_max) {
            found.add(pointer("partitions_max"), "use 1 to 256");
        }
        if stream.landing == Landing::Overwrite && stream.mode != Mode::FullRefresh {
            found.add(
                pointer("landing"),
                "overwrite needs mode full_refresh; use append_dedup with incremental and live",
            );
        }
        if stream.window.is_some_and(|window| !window.is_sound()) {
            found.add(
                pointer("window"),
                "since must be before until, and not before 1970",
            );
        }
    }
    found.0
}

impl WindowSpec {
    /// Whether it holds any instant, and none before 1970.
    pub fn is_sound(self) -> bool {
        self.since.as_millisecond() >= 0 && self.until.is_none_or(|until| self.since < until)
    }
}
