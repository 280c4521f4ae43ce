//! The state machine of a job: what happens to its streams decides what becomes
//! of it. Actors do the I/O; this only says what follows.

use crate::fault::Fault;
use crate::id::StreamName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of one stream of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum StreamOutcome {
    /// Still being read, or not begun.
    Running,
    /// All its unfinished partitions wait for a time.
    Parked {
        /// When the first of them goes on, in milliseconds since the epoch.
        until_ms: u64,
    },
    /// Read to its end and committed.
    Succeeded,
    /// Stopped on request; what was saved is committed.
    Stopped,
    /// Ended by a fault; what was saved before is committed.
    Failed {
        /// The kind.
        fault: Fault,
        /// The error, for people; holds no secret.
        reason: String,
    },
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// A worker holds it.
    Running,
    /// Every unfinished partition waits for a time; no worker holds it.
    Parked,
    /// Failed in a way worth another try, and will be tried.
    Retrying,
    /// Every stream succeeded.
    Succeeded,
    /// Some streams succeeded, some failed.
    Degraded,
    /// No stream succeeded.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen to it.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            JobState::Succeeded | JobState::Degraded | JobState::Failed | JobState::Cancelled
        )
    }
}

/// A job as far as policy goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Where it is.
    pub state: JobState,
    /// Attempts begun.
    pub attempts: u32,
    /// Attempts since the last that made progress; what the budget counts.
    pub fruitless: u32,
    /// By stream.
    pub streams: BTreeMap<StreamName, StreamOutcome>,
}

/// How often a job is tried without progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryBudget {
    /// Fruitless attempts before the job fails.
    pub fruitless_max: u32,
}

/// What happens to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker took it.
    Claimed,
    /// A stream's outcome changed.
    Stream(StreamName, StreamOutcome),
    /// The attempt is over.
    AttemptEnded {
        /// Whether any batch was committed in it.
        progressed: bool,
    },
    /// Its time has come.
    Woken,
    /// Someone asked for its end.
    CancelRequested,
}

/// What an actor does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Run the streams that are neither succeeded nor failed for good.
    Run,
    /// Give the worker back and wake the job at this time (epoch milliseconds).
    ParkUntil(u64),
    /// Try again after the back-off for this many fruitless attempts.
    RetryAfter(u32),
    /// Tell the running guests to stop.
    Stop,
    /// It is over.
    Finish,
}

impl Job {
    /// A queued job over these streams.
    pub fn new(streams: impl IntoIterator<Item = StreamName>) -> Job {
        Job {
            state: JobState::Queued,
            attempts: 0,
            fruitless: 0,
            streams: streams
                .into_iter()
                .map(|stream| (stream, StreamOutcome::Running))
                .collect(),
        }
    }

    /// What follows from `event`. Events that a final job gets change nothing.
    pub fn step(&mut self, event: Event, budget: RetryBudget) -> Action {
        if self.state.is_final() {
            return Action::None;
        }
        match event {
            Event::Claimed | Event::Woken => {
                self.state = JobState::Running;
                self.attempts += 1;
                self.reopen();
                Action::Run
            }
            Event::Stream(stream, outcome) => {
                self.streams.insert(stream, outcome);
                Action::None
            }
            Event::CancelRequested => {
                if self.state == JobState::Running {
                    return Action::Stop;
                }
                self.state = JobState::Cancelled;
                Action::Finish
            }
            Event::AttemptEnded { progressed } => self.end_attempt(progressed, budget),
        }
    }

    fn reopen(&mut self) {
        for outcome in self.streams.values_mut() {
            let again = match outcome {
                StreamOutcome::Failed { fault, .. } => fault.is_retryable(),
                StreamOutcome::Parked { .. } | StreamOutcome::Stopped => true,
                StreamOutcome::Running | StreamOutcome::Succeeded => false,
            };
            if again {
                *outcome = StreamOutcome::Running;
            }
        }
    }

    fn end_attempt(&mut self, progressed: bool, budget: RetryBudget) -> Action {
        let outcomes = || self.streams.values();
        if outcomes().any(|outcome| matches!(outcome, StreamOutcome::Stopped)) {
            self.state = JobState::Cancelled;
            return Action::Finish;
        }
        let retryable = outcomes().any(
            |outcome| matches!(outcome, StreamOutcome::Failed { fault, .. } if fault.is_retryable()),
        );
        let parked_until = outcomes()
            .filter_map(|outcome| match outcome {
                StreamOutcome::Parked { until_ms } => Some(*until_ms),
                _ => None,
            })
            .min();
        if retryable {
            self.fruitless = if progressed { 0 } else { self.fruitless + 1 };
            if self.fruitless < budget.fruitless_max {
                self.state = JobState::Retrying;
                return Action::RetryAfter(self.fruitless);
            }
        } else if let Some(until_ms) = parked_until {
            self.state = JobState::Parked;
            return Action::ParkUntil(until_ms);
        }
        self.state = self.verdict();
        Action::Finish
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const BUDGET: RetryBudget = RetryBudget { fruitless_max: 3 };

    fn stream(name: &str) -> StreamName {
        StreamName::parse(name).unwrap()
    }

    fn failed(fault: Fault) -> StreamOutcome {
        StreamOutcome::Failed {
            fault,
            reason: String::new(),
        }
    }

    fn run(outcomes: &[StreamOutcome]) -> (Job, Action) {
        let names: Vec<_> = (0..outcomes.len())
            .map(|at| stream(&format!("s{at}")))
            .collect();
        let mut job = Job::new(names.clone());
        job.step(Event::Claimed, BUDGET);
        for (name, outcome) in names.into_iter().zip(outcomes) {
            job.step(Event::Stream(name, outcome.clone()), BUDGET);
        }
        let action = job.step(Event::AttemptEnded { progressed: false }, BUDGET);
        (job, action)
    }

    #[test]
    fn a_job_is_the_worst_of_its_streams() {
        use StreamOutcome::Succeeded;
        let table = [
            ("all fine", vec![Succeeded, Succeeded], JobState::Succeeded),
            (
                "one refused",
                vec![Succeeded, failed(Fault::Config)],
                JobState::Degraded,
            ),
            ("none readable", vec![failed(Fault::Auth)], JobState::Failed),
            ("nothing to read", vec![], JobState::Failed),
            (
                "cancelled",
                vec![Succeeded, StreamOutcome::Stopped],
                JobState::Cancelled,
            ),
        ];
        for (name, outcomes, expected) in table {
            let (job, action) = run(&outcomes);
            assert_eq!((job.state, action), (expected, Action::Finish), "{name}");
        }
    }

    #[test]
    fn progress_gives_the_retry_budget_back() {
        let (mut job, action) = run(&[failed(Fault::Transient)]);
        assert_eq!(
            (job.state, action),
            (JobState::Retrying, Action::RetryAfter(1))
        );
        for (progressed, expected) in [
            (false, Action::RetryAfter(2)),
            (true, Action::RetryAfter(0)),
            (false, Action::RetryAfter(1)),
            (false, Action::RetryAfter(2)),
            (false, Action::Finish),
        ] {
            assert_eq!(job.step(Event::Woken, BUDGET), Action::Run);
            job.step(
                Event::Stream(stream("s0"), failed(Fault::Transient)),
                BUDGET,
            );
            assert_eq!(
                job.step(Event::AttemptEnded { progressed }, BUDGET),
                expected
            );
        }
        assert_eq!(job.state, JobState::Failed);
    }

    #[test]
    fn a_parked_stream_parks_the_job_until_the_first_time() {
        let parked = |until_ms| StreamOutcome::Parked { until_ms };
        let (job, action) = run(&[parked(20), parked(10), StreamOutcome::Succeeded]);
        assert_eq!(
            (job.state, action),
            (JobState::Parked, Action::ParkUntil(10))
        );
    }

    #[test]
    fn a_stream_that_cannot_work_is_not_tried_again() {
        let (mut job, _) = run(&[failed(Fault::Config), failed(Fault::Transient)]);
        job.step(Event::Woken, BUDGET);
        assert_eq!(job.streams[&stream("s0")], failed(Fault::Config));
        assert_eq!(job.streams[&stream("s1")], StreamOutcome::Running);
    }
}
