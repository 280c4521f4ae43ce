#![expect(clippy::unwrap_used, reason = "tests")]
mod sequences;

use super::*;

const BUDGET: RetryBudget = RetryBudget {
    fruitless_max: 3,
    lost_max: 3,
    backoff: Backoff {
        first_ms: 100,
        ceiling_ms: 1_000,
    },
};

/// With it every wait is as long as it may be.
const LONGEST: u64 = u64::MAX;

fn stream(name: &str) -> StreamName {
    StreamName::parse(name).unwrap()
}

fn failed(fault: Fault) -> StreamOutcome {
    StreamOutcome::Failed {
        fault,
        reason: String::new(),
    }
}

fn parked(until_ms: u64) -> StreamOutcome {
    StreamOutcome::Parked { until_ms }
}

fn claimed(now_ms: u64) -> Event {
    Event::Claimed {
        now_ms,
        progressed: false,
    }
}

fn outcome(name: &str, outcome: StreamOutcome) -> Event {
    Event::Stream {
        name: stream(name),
        outcome,
        progressed: false,
    }
}

fn ended(now_ms: u64) -> Event {
    Event::AttemptEnded {
        now_ms,
        random: LONGEST,
    }
}

/// The action that the last event led to.
fn play(job: &mut Job, events: impl IntoIterator<Item = Event>) -> Action {
    let mut action = Action::None;
    for event in events {
        action = job.step(event, BUDGET);
    }
    action
}

fn run(outcomes: &[StreamOutcome]) -> (Job, Action) {
    let name = |at| format!("s{at}");
    let mut job = Job::new((0..outcomes.len()).map(|at| stream(&name(at))));
    let reports = outcomes.iter().enumerate();
    let reports = reports.map(|(at, found)| outcome(&name(at), found.clone()));
    let action = play(
        &mut job,
        [claimed(0)].into_iter().chain(reports).chain([ended(0)]),
    );
    (job, action)
}

#[test]
fn a_job_is_the_worst_of_its_streams() {
    use StreamOutcome::{Stopped, Succeeded};
    let config = || failed(Fault::Config);
    let table = [
        (
            "all fine",
            vec![Succeeded, Succeeded],
            JobState::Succeeded,
            None,
        ),
        (
            "one refused",
            vec![Succeeded, config()],
            JobState::Degraded,
            Some(Reason::Config),
        ),
        (
            "none readable",
            vec![failed(Fault::Auth)],
            JobState::Failed,
            Some(Reason::Auth),
        ),
        (
            "several reasons",
            vec![failed(Fault::Guest), config()],
            JobState::Failed,
            Some(Reason::Config),
        ),
        (
            "stopped",
            vec![Succeeded, Stopped],
            JobState::Cancelled,
            None,
        ),
    ];
    for (name, outcomes, state, reason) in table {
        let (job, action) = run(&outcomes);
        assert_eq!((job.state, action), (state, Action::Finish), "{name}");
        assert_eq!(job.reason(), reason, "{name}");
    }
}

#[test]
fn a_job_without_streams_fails() {
    let mut job = Job::new([]);
    assert_eq!(job.step(claimed(0), BUDGET), Action::Finish);
    assert_eq!(
        (job.state, job.reason()),
        (JobState::Failed, Some(Reason::Config))
    );
}

#[test]
fn a_stream_without_an_outcome_is_tried_again() {
    let mut job = Job::new([stream("s0"), stream("s1")]);
    let action = play(
        &mut job,
        [
            claimed(0),
            outcome("s0", StreamOutcome::Succeeded),
            ended(0),
        ],
    );
    assert_eq!(
        (job.state, action),
        (JobState::Retrying, Action::WaitUntil(100))
    );
}

#[test]
fn progress_gives_a_stream_its_budget_back() {
    let mut job = Job::new([stream("s0")]);
    let mut now_ms = 0;
    for (progressed, wait_ms) in [
        (false, Some(100)),
        (false, Some(200)),
        (true, Some(100)),
        (false, Some(100)),
        (false, Some(200)),
        (false, None),
    ] {
        assert_eq!(job.step(claimed(now_ms), BUDGET), Action::Run);
        let report = Event::Stream {
            name: stream("s0"),
            outcome: failed(Fault::Transient),
            progressed,
        };
        let action = play(&mut job, [report, ended(now_ms)]);
        match wait_ms {
            Some(wait_ms) => {
                now_ms += wait_ms;
                assert_eq!(action, Action::WaitUntil(now_ms));
            }
            None => assert_eq!(action, Action::Finish),
        }
    }
    assert_eq!(
        (job.state, job.reason()),
        (JobState::Failed, Some(Reason::Transient))
    );
}

#[test]
fn a_parked_stream_parks_the_job_until_the_first_time() {
    let (job, action) = run(&[parked(20), parked(10), StreamOutcome::Succeeded]);
    assert_eq!(
        (job.state, action),
        (JobState::Parked, Action::WaitUntil(10))
    );
    assert_eq!(job.wakes_at_ms(), Some(10));
}

#[test]
fn a_park_outlives_the_retry_of_another_stream() {
    let (mut job, action) = run(&[parked(5_000), failed(Fault::Transient)]);
    assert_eq!(
        (job.state, action),
        (JobState::Retrying, Action::WaitUntil(100))
    );
    assert_eq!(job.step(claimed(100), BUDGET), Action::Run);
    assert_eq!(job.streams[&stream("s0")], parked(5_000));
    assert_eq!(job.streams[&stream("s1")], StreamOutcome::Running);
    let action = play(
        &mut job,
        [outcome("s1", StreamOutcome::Succeeded), ended(200)],
    );
    assert_eq!(
        (job.state, action),
        (JobState::Parked, Action::WaitUntil(5_000))
    );
}

#[test]
fn a_spent_budget_ends_one_stream_and_no_park() {
    let (mut job, _) = run(&[parked(60_000), failed(Fault::Host)]);
    let mut action = Action::None;
    for now_ms in [10_000, 20_000] {
        action = play(
            &mut job,
            [
                claimed(now_ms),
                outcome("s1", failed(Fault::Host)),
                ended(now_ms),
            ],
        );
    }
    assert_eq!(
        (job.state, action),
        (JobState::Parked, Action::WaitUntil(60_000))
    );
    assert_eq!(job.streams[&stream("s1")], failed(Fault::Host));
    let action = play(
        &mut job,
        [
            claimed(60_000),
            outcome("s0", StreamOutcome::Succeeded),
            ended(60_001),
        ],
    );
    assert_eq!((job.state, action), (JobState::Degraded, Action::Finish));
    assert_eq!(job.reason(), Some(Reason::Host));
}

#[test]
fn parking_costs_no_budget() {
    let mut job = Job::new([stream("s0")]);
    for day in 1..100 {
        let action = play(
            &mut job,
            [
                claimed((day - 1) * 1_000),
                outcome("s0", parked(day * 1_000)),
                ended(0),
            ],
        );
        assert_eq!(action, Action::WaitUntil(day * 1_000));
    }
    assert!(job.fruitless.is_empty());
}

#[test]
fn a_job_that_is_taken_before_its_time_waits_on() {
    let (mut job, _) = run(&[parked(500)]);
    let before = job.attempts;
    assert_eq!(job.step(claimed(499), BUDGET), Action::WaitUntil(500));
    assert_eq!((job.state, job.attempts), (JobState::Parked, before));
    assert_eq!(job.step(claimed(500), BUDGET), Action::Run);
}

#[test]
fn a_stream_that_cannot_work_is_not_tried_again() {
    let (mut job, _) = run(&[failed(Fault::Config), failed(Fault::Transient)]);
    job.step(claimed(100), BUDGET);
    assert_eq!(job.streams[&stream("s0")], failed(Fault::Config));
    assert_eq!(job.streams[&stream("s1")], StreamOutcome::Running);
}

#[test]
fn a_drained_job_is_anyones_at_once() {
    let mut job = Job::new([stream("s0"), stream("s1"), stream("s2")]);
    let action = play(&mut job, [claimed(0), Event::DrainRequested]);
    assert_eq!(action, Action::Stop);
    let action = play(
        &mut job,
        [
            outcome("s0", StreamOutcome::Stopped),
            outcome("s1", parked(70)),
            ended(1), // s2 was not begun
        ],
    );
    assert_eq!((job.state, action), (JobState::Queued, Action::Requeue));
    assert!(job.fruitless.is_empty());
    job.step(claimed(2), BUDGET);
    let outcomes: Vec<_> = job.streams.into_values().collect();
    assert_eq!(
        outcomes,
        [StreamOutcome::Running, parked(70), StreamOutcome::Running]
    );
}

#[test]
fn a_drained_job_that_was_done_is_done() {
    let mut job = Job::new([stream("s0")]);
    let action = play(
        &mut job,
        [
            claimed(0),
            Event::DrainRequested,
            outcome("s0", StreamOutcome::Succeeded),
            ended(1),
        ],
    );
    assert_eq!((job.state, action), (JobState::Succeeded, Action::Finish));
}

#[test]
fn a_job_whose_hours_are_over_goes_on_when_they_begin() {
    let mut job = Job::new([stream("s0"), stream("s1"), stream("s2")]);
    let action = play(
        &mut job,
        [
            claimed(0),
            Event::PausedUntil(9_000),
            outcome("s0", StreamOutcome::Stopped),
            outcome("s1", parked(70)),
            outcome("s2", parked(9_500)),
            ended(1),
        ],
    );
    assert_eq!(
        (job.state, action),
        (JobState::Parked, Action::WaitUntil(9_000))
    );
    assert_eq!(job.streams[&stream("s2")], parked(9_500));
    let mut queued = Job::new([stream("s0")]);
    assert_eq!(
        queued.step(Event::PausedUntil(7), BUDGET),
        Action::WaitUntil(7)
    );
    assert_eq!(queued.step(claimed(7), BUDGET), Action::Run);
}

#[test]
fn a_cancelled_job_leaves_no_stream_waiting() {
    let (mut waiting, _) = run(&[
        parked(10),
        failed(Fault::Transient),
        StreamOutcome::Succeeded,
    ]);
    assert_eq!(waiting.step(Event::CancelRequested, BUDGET), Action::Finish);
    let mut running = Job::new([stream("s0"), stream("s1")]);
    let action = play(
        &mut running,
        [claimed(0), Event::CancelRequested, Event::DrainRequested],
    );
    assert_eq!(action, Action::Stop);
    let action = play(
        &mut running,
        [
            outcome("s0", parked(10)),
            outcome("s1", StreamOutcome::Stopped),
            ended(1),
        ],
    );
    assert_eq!(action, Action::Finish);
    for job in [waiting, running] {
        assert_eq!(job.state, JobState::Cancelled);
        let waits = |outcome: &StreamOutcome| outcome.waits_until_ms().is_some();
        assert!(!job.streams.values().any(waits), "{job:?}");
    }
}

#[test]
fn a_cancel_outlives_the_worker_that_was_told() {
    let mut job = Job::new([stream("s0")]);
    let action = play(&mut job, [claimed(0), Event::CancelRequested, claimed(9)]);
    assert_eq!((job.state, action), (JobState::Cancelled, Action::Finish));
}

#[test]
fn a_job_that_is_done_when_its_cancel_arrives_is_done() {
    let mut job = Job::new([stream("s0")]);
    let action = play(
        &mut job,
        [
            claimed(0),
            Event::CancelRequested,
            outcome("s0", StreamOutcome::Succeeded),
            ended(1),
        ],
    );
    assert_eq!((job.state, action), (JobState::Succeeded, Action::Finish));
}

#[test]
fn a_job_that_keeps_losing_its_workers_is_poison() {
    let (mut job, _) = run(&[parked(90_000), failed(Fault::Transient)]);
    assert_eq!(
        play(&mut job, [claimed(100), claimed(200), claimed(300)]),
        Action::Run
    );
    let action = job.step(claimed(400), BUDGET);
    assert_eq!(
        action,
        Action::WaitUntil(90_000),
        "the park is nobody's fault"
    );
    let action = play(
        &mut job,
        [
            claimed(90_000),
            outcome("s0", StreamOutcome::Succeeded),
            ended(90_001),
        ],
    );
    assert_eq!((job.state, action), (JobState::Degraded, Action::Finish));
    assert_eq!(job.reason(), Some(Reason::Poison));
}

#[test]
fn a_live_job_is_tried_again_whatever_failed() {
    let mut job = Job::new([stream("a")]);
    job.live = true;
    for attempt in 1..20_u64 {
        let now_ms = attempt * 10_000;
        let faults = [Fault::Auth, Fault::Config, Fault::Guest, Fault::StaleCursor];
        let fault = faults[attempt as usize % faults.len()];
        let action = play(
            &mut job,
            [claimed(now_ms), outcome("a", failed(fault)), ended(now_ms)],
        );
        let Action::WaitUntil(until_ms) = action else {
            panic!("{action:?} after {attempt} attempts")
        };
        assert!(until_ms > now_ms && until_ms <= now_ms + 1_000);
        assert_eq!(job.state, JobState::Retrying);
    }
    assert_eq!(job.step(Event::CancelRequested, BUDGET), Action::Finish);
}

#[test]
fn a_live_job_may_lose_many_more_workers_than_others() {
    let mut job = Job::new([stream("a")]);
    job.live = true;
    let mut losses = 0;
    while job.step(claimed(losses), BUDGET) == Action::Run {
        losses += 1;
    }
    assert!(job.poisoned);
    assert_eq!(losses, 30);
}

#[test]
fn a_lost_worker_that_made_progress_is_no_poison() {
    let mut job = Job::new([stream("s0")]);
    for now_ms in 0..100 {
        let progressed = Event::Claimed {
            now_ms,
            progressed: true,
        };
        assert_eq!(job.step(progressed, BUDGET), Action::Run);
    }
}

#[test]
fn reports_of_a_stream_that_is_not_read_change_nothing() {
    let (mut job, _) = run(&[parked(10), failed(Fault::Transient)]);
    let before = job.clone();
    play(
        &mut job,
        [
            outcome("s0", StreamOutcome::Succeeded),
            outcome("s9", parked(1)),
            ended(2),
        ],
    );
    assert_eq!(job, before);
    play(
        &mut job,
        [claimed(2), outcome("s0", StreamOutcome::Succeeded)],
    );
    assert_eq!(job.streams[&stream("s0")], parked(10));
}

#[test]
fn a_job_survives_its_json() {
    let (job, _) = run(&[
        parked(10),
        failed(Fault::Transient),
        StreamOutcome::Succeeded,
    ]);
    let json = serde_json::to_string(&job).unwrap();
    assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), job);
    let old = r#"{"state":"queued","attempts":0,"fruitless":{},"streams":{}}"#;
    assert_eq!(serde_json::from_str::<Job>(old).unwrap(), Job::new([]));
}

#[test]
fn words_are_those_of_the_json() {
    for state in JobState::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    let reason = Reason::StaleCursor;
    assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
}
