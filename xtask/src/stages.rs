//! The stages of a long run: each is named and timed, and a table ends it.

use std::time::{Duration, Instant};

/// What has run so far.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<(&'static str, Duration, bool)>,
}

impl Stages {
    /// Runs one stage and notes how long it took.
    pub(crate) fn run<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        eprintln!("\n== {name}");
        let began = now();
        let outcome = work();
        self.done
            .push((name, now().duration_since(began), outcome.is_ok()));
        outcome.map_err(|error| error.context(format!("stage \"{name}\" failed")))
    }

    /// The table of all stages.
    pub(crate) fn report(&self) {
        eprintln!();
        for (name, took, passed) in &self.done {
            let verdict = if *passed { "ok" } else { "FAILED" };
            eprintln!("{name:<28} {:>8.1} s  {verdict}", took.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        eprintln!("{:<28} {:>8.1} s", "total", total.as_secs_f64());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing here runs under a paused clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
