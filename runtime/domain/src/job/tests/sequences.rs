//! Whatever happens to a job, in whatever order: no stream is lost.

use super::*;
use proptest::prelude::*;

fn any_outcome() -> impl Strategy<Value = StreamOutcome> {
    let fault = prop::sample::select(vec![Fault::Config, Fault::Transient, Fault::Host]);
    prop_oneof![
        Just(StreamOutcome::Running),
        Just(StreamOutcome::Succeeded),
        Just(StreamOutcome::Stopped),
        (0..400_u64).prop_map(|until_ms| StreamOutcome::Parked { until_ms }),
        fault.prop_map(failed),
    ]
}

/// What happens; times are steps on from the last.
fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let name = || prop::sample::select(vec!["s0", "s1", "s2"]);
    let event = prop_oneof![
        3 => any::<bool>().prop_map(|progressed| Event::Claimed { now_ms: 0, progressed }),
        4 => (name(), any_outcome(), any::<bool>()).prop_map(|(name, outcome, progressed)| {
            Event::Stream { name: stream(name), outcome, progressed }
        }),
        3 => any::<u64>().prop_map(|random| Event::AttemptEnded { now_ms: 0, random }),
        1 => Just(Event::DrainRequested),
        1 => (0..400_u64).prop_map(Event::PausedUntil),
        1 => prop_oneof![1 => Just(Event::CancelRequested), 9 => Just(Event::DrainRequested)],
    ];
    (0..80_u64, event)
}

fn at(now_ms: u64, event: Event) -> Event {
    match event {
        Event::Claimed { progressed, .. } => Event::Claimed { now_ms, progressed },
        Event::AttemptEnded { random, .. } => Event::AttemptEnded { now_ms, random },
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn no_sequence_of_events_loses_a_stream(events in prop::collection::vec(any_event(), 0..40)) {
        let mut job = Job::new(["s0", "s1", "s2"].map(stream));
        let mut now_ms = 0;
        for (passed_ms, event) in events {
            now_ms += passed_ms;
            let before = job.clone();
            let event = at(now_ms, event);
            let action = job.step(event.clone(), BUDGET);
            check_step(&before, &event, &job, action, now_ms)?;
        }
        // Whatever happened, somebody can bring it to its end.
        for _ in 0..50 {
            if job.state.is_final() {
                return Ok(());
            }
            now_ms = now_ms.max(job.wakes_at_ms().unwrap_or_default());
            job.step(Event::Claimed { now_ms, progressed: true }, BUDGET);
            for name in ["s0", "s1", "s2"] {
                job.step(outcome(name, StreamOutcome::Succeeded), BUDGET);
            }
            job.step(ended(now_ms), BUDGET);
        }
        prop_assert!(false, "{job:?} never ends");
    }
}

fn check_step(
    before: &Job,
    event: &Event,
    job: &Job,
    action: Action,
    now_ms: u64,
) -> Result<(), TestCaseError> {
    if before.state.is_final() {
        prop_assert_eq!(before, job);
        prop_assert_eq!(action, Action::None);
        return Ok(());
    }
    let cancelled = job.state == JobState::Cancelled;
    for (name, was) in &before.streams {
        let is = &job.streams[name];
        // Of this attempt: its report may still be replaced.
        let open = before.ended.contains_key(name);
        if let Some(until_ms) = was.waits_until_ms()
            && !cancelled
            && !open
        {
            let due = matches!(event, Event::Claimed { .. }) && until_ms <= now_ms;
            let held = is
                .waits_until_ms()
                .is_some_and(|later_ms| later_ms >= until_ms);
            // Woken in its time, or lost with its worker right then.
            let gone_on = due && !matches!(is, StreamOutcome::Succeeded | StreamOutcome::Stopped);
            prop_assert!(
                held || gone_on,
                "{name}: {was:?} became {is:?} by {event:?}"
            );
        }
        if *was == StreamOutcome::Succeeded && !open {
            prop_assert_eq!(is, was);
        }
    }
    let waits = |outcome: &StreamOutcome| {
        outcome.waits_until_ms().is_some() || *outcome == StreamOutcome::Running
    };
    let any_waits = job.streams.values().any(waits);
    prop_assert!(
        !(job.state.is_final() && any_waits),
        "{job:?} forgot a stream"
    );
    let expected = match action {
        Action::Run | Action::Stop => vec![JobState::Running],
        Action::Requeue => vec![JobState::Queued],
        Action::WaitUntil(until_ms) => {
            prop_assert_eq!(job.wakes_at_ms(), Some(until_ms));
            vec![JobState::Parked, JobState::Retrying]
        }
        Action::Finish => vec![
            JobState::Succeeded,
            JobState::Degraded,
            JobState::Failed,
            JobState::Cancelled,
        ],
        Action::None => vec![before.state],
    };
    prop_assert!(
        expected.contains(&job.state),
        "{action:?} leaves {:?}",
        job.state
    );
    Ok(())
}
