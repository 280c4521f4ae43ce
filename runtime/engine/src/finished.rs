//! What subscribers hear of a job's end, whoever brings it about.

use serde_json::json;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::job::{Action, Event, Job, RetryBudget};
use tidegate_store::clock::now_ms;
use tidegate_store::events::NewEvent;
use tidegate_store::queue::QueuedJob;

/// The event of the end `job` of a queued job.
pub(crate) fn event(queued: &QueuedJob, job: &Job) -> NewEvent {
    let row = &queued.row;
    let body = json!({
        "job": row.id,
        "sync": row.sync,
        "request": queued.request,
        "state": job.state,
        "reason": job.reason(),
        "attempts": job.attempts,
        "streams": job.streams,
        "warnings": job.warnings,
    });
    NewEvent {
        kind: "job.finished".to_owned(),
        subject: format!("job {}", row.id),
        body: body.to_string(),
    }
}

/// The event of a job that waits, and is over when its end is asked for.
pub fn by_cancel(queued: &QueuedJob) -> NewEvent {
    let never = RetryBudget {
        fruitless_max: 0,
        lost_max: 0,
        backoff: Backoff {
            first_ms: 0,
            ceiling_ms: 0,
        },
    };
    let mut job = queued.row.job.clone();
    if job.step(Event::CancelRequested, never) == Action::Stop {
        // Its worker is gone: the next that takes it would end it.
        let claimed = Event::Claimed {
            now_ms: now_ms(),
            progressed: false,
        };
        job.step(claimed, never);
    }
    event(queued, &job)
}
