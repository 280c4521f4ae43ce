//! What a guest says, made harmless: capped, without control characters, without
//! secrets.

use crate::config::Caps;
use crate::usage::Meter;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Takes log lines of guests.
pub trait LogSink: Send + Sync {
    /// Whether lines of this level are wanted.
    fn enabled(&self, level: Level) -> bool;
    /// Takes one line. Must not block.
    fn write(&self, line: Line);
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For those who write connectors.
    Debug,
    /// Progress.
    Info,
    /// Something odd that was dealt with.
    Warn,
    /// Something failed.
    Error,
}

/// One line of a guest's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// One line of text.
    pub message: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// Hands lines of guests to `tracing`.
#[derive(Clone, Copy, Debug)]
pub struct TracingLog;

impl LogSink for TracingLog {
    fn enabled(&self, level: Level) -> bool {
        match level {
            Level::Trace => tracing::enabled!(target: "guest", tracing::Level::TRACE),
            Level::Debug => tracing::enabled!(target: "guest", tracing::Level::DEBUG),
            Level::Info => tracing::enabled!(target: "guest", tracing::Level::INFO),
            Level::Warn => tracing::enabled!(target: "guest", tracing::Level::WARN),
            Level::Error => tracing::enabled!(target: "guest", tracing::Level::ERROR),
        }
    }

    fn write(&self, line: Line) {
        let (message, fields) = (&line.message, &line.fields);
        match line.level {
            Level::Trace => tracing::trace!(target: "guest", ?fields, "{message}"),
            Level::Debug => tracing::debug!(target: "guest", ?fields, "{message}"),
            Level::Info => tracing::info!(target: "guest", ?fields, "{message}"),
            Level::Warn => tracing::warn!(target: "guest", ?fields, "{message}"),
            Level::Error => tracing::error!(target: "guest", ?fields, "{message}"),
        }
    }
}

/// Fields of one line.
const FIELDS_MAX: usize = 32;
/// Shorter secrets would blank out ordinary words.
const SCRUBBED_CHARS_MIN: usize = 6;
const SCRUBBED: &str = "[secret]";

/// The only way from a guest to a log.
#[derive(Clone)]
pub(crate) struct Gate {
    sink: Arc<dyn LogSink>,
    meter: Arc<Meter>,
    caps: Caps,
    secrets: Arc<Vec<SecretString>>,
}

impl Gate {
    pub(crate) fn new<'a>(
        sink: Arc<dyn LogSink>,
        meter: Arc<Meter>,
        caps: Caps,
        secrets: impl Iterator<Item = &'a SecretString>,
    ) -> Self {
        let secrets = secrets
            .filter(|secret| secret.expose_secret().len() >= SCRUBBED_CHARS_MIN)
            .cloned()
            .collect();
        Gate {
            sink,
            meter,
            caps,
            secrets: Arc::new(secrets),
        }
    }

    pub(crate) fn enabled(&self, level: Level) -> bool {
        self.sink.enabled(level) && self.meter.log_bytes.load(Relaxed) < self.caps.log_bytes_max
    }

    pub(crate) fn write(&self, level: Level, message: &str, fields: &[(String, String)]) {
        if !self.sink.enabled(level) {
            return;
        }
        let bytes = fields
            .iter()
            .fold(message.len(), |sum, (name, value)| {
                sum + name.len() + value.len()
            })
            .min(self.caps.log_line_bytes_max) as u64;
        let before = self.meter.log_bytes.fetch_add(bytes, Relaxed);
        if before + bytes > self.caps.log_bytes_max {
            self.meter.log_bytes.fetch_sub(bytes, Relaxed);
            self.meter.log_bytes_dropped.fetch_add(bytes, Relaxed);
            return;
        }
        let mut room = self.caps.log_line_bytes_max;
        let message = self.clean(message, &mut room);
        let fields = fields
            .iter()
            .take(FIELDS_MAX)
            .map(|(name, value)| (self.clean(name, &mut room), self.clean(value, &mut room)))
            .collect();
        self.sink.write(Line {
            level,
            message,
            fields,
        });
    }

    /// At most `room` bytes of the text, which is made smaller by them.
    fn clean(&self, text: &str, room: &mut usize) -> String {
        // A secret that the cut would halve is scrubbed first.
        let mut text = std::borrow::Cow::Borrowed(text);
        for secret in self.secrets.iter() {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), SCRUBBED).into();
            }
        }
        let mut clean = String::new();
        for char in text.chars() {
            let char = if char.is_control() || is_invisible(char) {
                ' '
            } else {
                char
            };
            if char.len_utf8() > *room {
                break;
            }
            *room -= char.len_utf8();
            clean.push(char);
        }
        clean
    }
}

/// Characters that reorder or hide text on a terminal.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Line>>);

    impl LogSink for Kept {
        fn enabled(&self, level: Level) -> bool {
            level >= Level::Info
        }
        fn write(&self, line: Line) {
            self.0.lock().unwrap().push(line);
        }
    }

    fn gate(kept: &Arc<Kept>, caps: Caps) -> Gate {
        let secret = SecretString::from("hunter2hunter2");
        let sink: Arc<dyn LogSink> = Arc::<Kept>::clone(kept);
        Gate::new(sink, Arc::default(), caps, std::iter::once(&secret))
    }

    #[test]
    fn secrets_control_characters_and_hidden_text_do_not_reach_the_log() {
        let kept = Arc::new(Kept::default());
        let fields = [(
            "k\n".to_owned(),
            "\u{1b}[31mhunter2hunter2\u{202E}".to_owned(),
        )];
        gate(&kept, Caps::default()).write(Level::Warn, "a\r\nb hunter2hunter2!", &fields);
        let lines = kept.0.lock().unwrap();
        assert_eq!(lines[0].message, "a  b [secret]!");
        assert_eq!(
            lines[0].fields,
            [("k ".to_owned(), " [31m[secret] ".to_owned())]
        );
    }

    #[test]
    fn lines_are_cut_and_a_flood_is_dropped() {
        let kept = Arc::new(Kept::default());
        let caps = Caps {
            log_bytes_max: 100,
            log_line_bytes_max: 30,
            ..Caps::default()
        };
        let gate = gate(&kept, caps);
        for _ in 0..10 {
            gate.write(Level::Info, &"ä".repeat(1_000), &[]);
        }
        gate.write(Level::Debug, "not wanted", &[]);
        let lines = kept.0.lock().unwrap();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.message.len() == 30));
        assert_eq!(gate.meter.log_bytes_dropped.load(Relaxed), 7 * 30);
        assert!(gate.enabled(Level::Info));
    }
}
