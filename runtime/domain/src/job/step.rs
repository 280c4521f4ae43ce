//! What follows from an event.

use super::{
    Action, Event, Job, JobState, RetryBudget, Stop, StreamOutcome, WARNINGS_MAX, Warning,
};
use crate::fault::Fault;
use crate::id::StreamName;

/// A live job is a worker's for days, and is lost with every one that is killed: only
/// many more losses in a row than of other jobs are its own doing.
const LIVE_LOST: u32 = 10;

impl Job {
    /// What follows from `event`. Events that a final job gets change nothing.
    pub fn step(&mut self, event: Event, budget: RetryBudget) -> Action {
        if self.state.is_final() {
            return Action::None;
        }
        match event {
            Event::Claimed { now_ms, progressed } => self.claimed(now_ms, progressed, budget),
            Event::Stream {
                name,
                outcome,
                progressed,
            } => {
                self.report(name, outcome, progressed);
                Action::None
            }
            Event::Warned { name, warnings } => {
                self.warn(name, warnings);
                Action::None
            }
            Event::AttemptEnded { now_ms, random } => self.end_attempt(now_ms, random, budget),
            Event::CancelRequested if self.state == JobState::Running => {
                self.stop = Some(Stop::Cancel);
                Action::Stop
            }
            Event::CancelRequested => self.cancel(),
            Event::DrainRequested => self.ask_to_stop(Stop::Drain),
            Event::PausedUntil(until_ms) if self.state == JobState::Running => {
                self.ask_to_stop(Stop::Pause { until_ms })
            }
            Event::PausedUntil(until_ms) => {
                self.hold(until_ms);
                self.settle()
            }
        }
    }

    fn claimed(&mut self, now_ms: u64, progressed: bool, budget: RetryBudget) -> Action {
        if self.state == JobState::Running {
            if self.stop == Some(Stop::Cancel) {
                return self.cancel();
            }
            self.lost = if progressed { 0 } else { self.lost + 1 };
            let lost_max = match self.live {
                true => budget.lost_max.saturating_mul(LIVE_LOST),
                false => budget.lost_max,
            };
            if self.lost >= lost_max {
                return self.give_up();
            }
        }
        (self.stop, self.ended) = (None, Default::default());
        for outcome in self.streams.values_mut() {
            if outcome
                .waits_until_ms()
                .is_some_and(|until_ms| until_ms <= now_ms)
            {
                *outcome = StreamOutcome::Running;
            }
        }
        if !self.has_running() {
            return self.settle();
        }
        self.state = JobState::Running;
        self.attempts += 1;
        Action::Run
    }

    /// Takes the outcome of a stream that this attempt reads, and of no other.
    fn report(&mut self, name: StreamName, outcome: StreamOutcome, progressed: bool) {
        let Some(known) = self.streams.get_mut(&name) else {
            return;
        };
        let is_read = *known == StreamOutcome::Running || self.ended.contains_key(&name);
        if self.state == JobState::Running && is_read {
            *known = outcome;
            *self.ended.entry(name).or_default() |= progressed;
        }
    }

    /// A warning that comes again counts once, as what it says now.
    fn warn(&mut self, name: StreamName, warnings: Vec<Warning>) {
        if warnings.is_empty() || !self.streams.contains_key(&name) {
            return;
        }
        let known = self.warnings.entry(name).or_default();
        known.retain(|warning| !warnings.contains(warning));
        known.extend(warnings);
        known.drain(..known.len().saturating_sub(WARNINGS_MAX));
    }

    /// The streams that were being read each time fail; those that waited still do.
    fn give_up(&mut self) -> Action {
        self.poisoned = true;
        let lost = self.lost;
        for outcome in self.streams.values_mut() {
            if *outcome == StreamOutcome::Running {
                *outcome = StreamOutcome::Failed {
                    fault: Fault::Host,
                    reason: format!("{lost} workers in a row were lost while they read it"),
                };
            }
        }
        (self.stop, self.ended, self.lost) = (None, Default::default(), 0);
        self.settle()
    }

    /// A cancelled job stays cancelled, whatever else asks for a stop.
    fn ask_to_stop(&mut self, why: Stop) -> Action {
        if self.state != JobState::Running {
            return Action::None;
        }
        if self.stop != Some(Stop::Cancel) {
            self.stop = Some(why);
        }
        Action::Stop
    }

    fn end_attempt(&mut self, now_ms: u64, random: u64, budget: RetryBudget) -> Action {
        if self.state != JobState::Running {
            return Action::None;
        }
        self.lost = 0;
        let stop = self.stop.take();
        // Someone who runs a job in the foreground stops its streams without an event.
        let stopped = |outcome: &StreamOutcome| *outcome == StreamOutcome::Stopped;
        let cancelled = match stop {
            Some(Stop::Cancel) => self.streams.values().any(|outcome| !has_ended(outcome)),
            Some(_) => false,
            None => self.streams.values().any(stopped),
        };
        if cancelled {
            return self.cancel();
        }
        for (name, outcome) in &mut self.streams {
            match outcome {
                // To be gone on with, here or elsewhere.
                StreamOutcome::Stopped => *outcome = StreamOutcome::Running,
                StreamOutcome::Running if stop.is_none() => {
                    *outcome = StreamOutcome::Failed {
                        fault: Fault::Host,
                        reason: "the attempt ended without an outcome of this stream".to_owned(),
                    };
                    self.ended.entry(name.clone()).or_default();
                }
                _ => {}
            }
            let Some(progressed) = self.ended.get(name) else {
                continue;
            };
            let StreamOutcome::Failed { fault, reason } = outcome else {
                if *progressed || *outcome == StreamOutcome::Succeeded {
                    self.fruitless.remove(name);
                }
                continue;
            };
            let fruitless = self.fruitless.entry(name.clone()).or_default();
            *fruitless = if *progressed { 0 } else { *fruitless + 1 };
            let is_within = fault.is_retryable() && *fruitless < budget.fruitless_max;
            if is_within || self.live {
                let wait_ms = budget.backoff.wait_ms((*fruitless).max(1), random);
                *outcome = StreamOutcome::Retrying {
                    until_ms: now_ms.saturating_add(wait_ms),
                    fault: *fault,
                    reason: std::mem::take(reason),
                };
            }
        }
        self.ended.clear();
        if let Some(Stop::Pause { until_ms }) = stop {
            self.hold(until_ms);
        }
        self.settle()
    }

    /// Lets nothing go on before this time.
    fn hold(&mut self, from_ms: u64) {
        for outcome in self.streams.values_mut() {
            match outcome {
                StreamOutcome::Running => *outcome = StreamOutcome::Parked { until_ms: from_ms },
                StreamOutcome::Parked { until_ms } | StreamOutcome::Retrying { until_ms, .. } => {
                    *until_ms = from_ms.max(*until_ms);
                }
                StreamOutcome::Succeeded
                | StreamOutcome::Stopped
                | StreamOutcome::Failed { .. } => {}
            }
        }
    }

    fn cancel(&mut self) -> Action {
        for outcome in self.streams.values_mut() {
            if !has_ended(outcome) {
                *outcome = StreamOutcome::Stopped;
            }
        }
        (self.stop, self.ended) = (None, Default::default());
        self.state = JobState::Cancelled;
        Action::Finish
    }

    /// Where the job is, from where its streams are.
    fn settle(&mut self) -> Action {
        if self.has_running() {
            self.state = JobState::Queued;
            return Action::Requeue;
        }
        let Some(until_ms) = self.first_wait_ms() else {
            self.state = self.verdict();
            return Action::Finish;
        };
        let retries = |outcome: &StreamOutcome| matches!(outcome, StreamOutcome::Retrying { .. });
        self.state = if self.streams.values().any(retries) {
            JobState::Retrying
        } else {
            JobState::Parked
        };
        Action::WaitUntil(until_ms)
    }

    fn has_running(&self) -> bool {
        let running = |outcome: &StreamOutcome| *outcome == StreamOutcome::Running;
        self.streams.values().any(running)
    }

    /// The job is the worst of its streams, and a job without a readable stream is
    /// a failure: a green job never hides a lost row.
    fn verdict(&self) -> JobState {
        let succeeded = self
            .streams
            .values()
            .filter(|outcome| matches!(outcome, StreamOutcome::Succeeded))
            .count();
        match succeeded {
            0 => JobState::Failed,
            all if all == self.streams.len() => JobState::Succeeded,
            _ => JobState::Degraded,
        }
    }
}

fn has_ended(outcome: &StreamOutcome) -> bool {
    matches!(
        outcome,
        StreamOutcome::Succeeded | StreamOutcome::Failed { .. }
    )
}
