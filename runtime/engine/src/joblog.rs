//! What guests and the engine say while a job runs: kept until somebody writes it
//! down, bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_domain::id::StreamName;
use tidegate_sandbox::{Level, Line, LogSink, TracingLog};
use tidegate_store::clock::now_ms;
use tidegate_store::queue::{LOG_LINES_KEPT, LogLine};

/// Lines that wait to be written down; the oldest go first.
#[derive(Debug, Default)]
pub struct JobLog {
    lines: Mutex<VecDeque<LogLine>>,
}

impl JobLog {
    /// Adds a line.
    pub(crate) fn add(&self, level: Level, stream: Option<&StreamName>, message: String) {
        let line = LogLine {
            at_ms: now_ms(),
            level: word(level).to_owned(),
            stream: stream.map(ToString::to_string),
            message,
        };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LOG_LINES_KEPT as usize {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Takes every line that waits.
    pub(crate) fn take(&self) -> Vec<LogLine> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.drain(..).collect()
    }

    /// Where guests that read this stream write.
    pub(crate) fn of(self: &Arc<Self>, stream: &StreamName) -> Arc<dyn LogSink> {
        Arc::new(StreamLog {
            log: Arc::clone(self),
            stream: stream.clone(),
        })
    }
}

struct StreamLog {
    log: Arc<JobLog>,
    stream: StreamName,
}

impl LogSink for StreamLog {
    fn enabled(&self, level: Level) -> bool {
        level >= Level::Info || TracingLog.enabled(level)
    }

    fn write(&self, line: Line) {
        if line.level >= Level::Info {
            let mut message = line.message.clone();
            for (name, value) in &line.fields {
                message.push_str(&format!(" {name}={value}"));
            }
            self.log.add(line.level, Some(&self.stream), message);
        }
        TracingLog.write(line);
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
