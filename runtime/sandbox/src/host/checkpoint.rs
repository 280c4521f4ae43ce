//! The import `checkpoint`: states go to the batch, and the host says what it wants.

use super::State;
use crate::bindings::checkpoint;
use crate::config::Caps;
use crate::error::{Stop, stop};
use crate::host::Progress;
use crate::sink::{Directive, SinkError};

impl checkpoint::Host for State {
    async fn save(&mut self, state: String) -> wasmtime::Result<checkpoint::Directive> {
        self.enter()?;
        let (reading, caps) = self.reading()?;
        check_state(&state, caps)?;
        reading.progress.move_to(&state, caps)?;
        let directive = match reading.sink.sink().save(state).await {
            Ok(directive) => directive,
            Err(SinkError::Stopping) => Directive::Stop,
            Err(SinkError::Failed { fault, source }) => {
                return stop(Stop::Host {
                    what: "the batch",
                    fault,
                    source,
                });
            }
        };
        Ok(self.or_stop(directive))
    }

    fn poll(&mut self) -> wasmtime::Result<checkpoint::Directive> {
        self.enter()?;
        let (reading, _) = self.reading()?;
        let directive = reading.sink.sink().poll();
        Ok(self.or_stop(directive))
    }

    fn lag(&mut self, lag_ms: u64) -> wasmtime::Result<()> {
        self.enter()?;
        let (reading, _) = self.reading()?;
        reading.sink.sink().lag(lag_ms);
        Ok(())
    }
}

impl State {
    fn or_stop(&mut self, directive: Directive) -> checkpoint::Directive {
        let cancelled = self.live.as_ref().is_some_and(|live| live.is_cancelled());
        match directive {
            _ if cancelled => checkpoint::Directive::Stop,
            Directive::Proceed => checkpoint::Directive::Proceed,
            Directive::YieldSoon => checkpoint::Directive::YieldSoon,
            Directive::Stop => checkpoint::Directive::Stop,
        }
    }
}

impl Progress {
    /// A cursor that stands still while pages of records go by never ends.
    pub(crate) fn move_to(&mut self, state: &str, caps: &Caps) -> wasmtime::Result<()> {
        if self.state.as_deref() == Some(state) {
            self.still += u32::from(self.emitted && self.fetched);
        } else {
            self.still = 0;
            self.state = Some(state.to_owned());
        }
        if self.still >= caps.still_cursor_max {
            let times = caps.still_cursor_max;
            return stop(Stop::Contract(format!(
                "the cursor does not move: one state was saved again {times} times while records went by"
            )));
        }
        self.saved = true;
        self.emitted = false;
        self.fetched = false;
        Ok(())
    }
}

/// A state is a small JSON document.
pub(crate) fn check_state(state: &str, caps: &Caps) -> wasmtime::Result<()> {
    if state.len() > caps.state_bytes_max {
        return stop(Stop::Limit(format!(
            "{} bytes in one state",
            caps.state_bytes_max
        )));
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(state).is_err() {
        return stop(Stop::Contract("a state must be a JSON document".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_may_stand_still_while_nothing_goes_by_but_not_while_records_do() {
        let caps = Caps::default();
        let mut progress = Progress {
            state: Some("1".to_owned()),
            ..Progress::default()
        };
        for _ in 0..100 {
            assert!(progress.move_to("1", &caps).is_ok());
        }
        let mut page = |state: &str| {
            progress.emitted = true;
            progress.fetched = true;
            progress.move_to(state, &caps)
        };
        assert!(page("1").is_ok() && page("1").is_ok() && page("2").is_ok());
        assert!(page("2").is_ok() && page("2").is_ok());
        assert!(page("2").is_err(), "the third time is one too many");
    }

    #[test]
    fn a_state_is_json_and_small() {
        let caps = Caps::default();
        assert!(check_state(r#"{"after":"9"}"#, &caps).is_ok());
        assert!(check_state("after 9", &caps).is_err());
        assert!(check_state(&"[".repeat(10_000), &caps).is_err());
        assert!(check_state(&format!("\"{}\"", "x".repeat(64 << 10)), &caps).is_err());
    }
}
