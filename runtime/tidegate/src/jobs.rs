//! `tidegate jobs`: looks at the jobs of a service, and acts on them.

use crate::cli::{JobsCommand, ServerArgs};
use crate::remote::Remote;
use crate::report::{self, counted, print_line, say};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::process::ExitCode;
use tidegate_domain::id::{JobId, SyncId};
use tidegate_domain::job::JobState;
use tokio::time::{Duration, sleep};

/// Before a broken stream is taken up again, and how often in a row.
const AGAIN: Duration = Duration::from_secs(1);
const BREAKS_MAX: u32 = 30;

/// `tidegate jobs …`.
pub(crate) async fn run(server: &ServerArgs, command: JobsCommand, json: bool) -> Result<ExitCode> {
    let remote = Remote::new(server)?;
    match command {
        JobsCommand::Start { sync, follow } => {
            start(&remote, &sync, json!({ "kind": "sync" }), follow, json).await
        }
        JobsCommand::Resync {
            sync,
            streams,
            follow,
        } => {
            let wanted = json!({ "kind": "resync", "streams": streams });
            start(&remote, &sync, wanted, follow, json).await
        }
        JobsCommand::Backfill {
            sync,
            stream,
            since,
            until,
            follow,
        } => {
            let window = json!({ "since": since, "until": until });
            let wanted = json!({ "kind": "backfill", "stream": stream, "window": window });
            start(&remote, &sync, wanted, follow, json).await
        }
        JobsCommand::List {
            sync,
            state,
            reason,
            limit,
        } => {
            let mut query = Vec::new();
            query.extend(sync.map(|sync| ("sync", sync.to_string())));
            query.extend(state.map(|state| ("state", state.as_str().to_owned())));
            query.extend(reason.map(|reason| ("reason", reason.as_str().to_owned())));
            let jobs = remote.list("/v1/jobs", &query, limit).await?;
            if jobs.is_empty() {
                say("No jobs.");
            }
            jobs.iter().for_each(|job| print_job(job, json));
            Ok(ExitCode::SUCCESS)
        }
        JobsCommand::Show { job } => show(&remote, &job, json).await,
        JobsCommand::Log { job } => log(&remote, &job, json).await,
        JobsCommand::Follow { job } => follow(&remote, &job, json).await,
        JobsCommand::Cancel { job } => {
            let asked = remote.post(&format!("/v1/jobs/{job}/cancel"), None).await?;
            print_job(&asked, json);
            Ok(ExitCode::SUCCESS)
        }
        JobsCommand::Retry { job, reason } => {
            let asked = match (job, reason) {
                (Some(job), _) => remote.post(&format!("/v1/jobs/{job}/retry"), None).await?,
                (None, Some(reason)) => {
                    let all = json!({ "reason": reason });
                    remote.post("/v1/jobs/retry", Some(&all)).await?
                }
                (None, None) => bail!("name a job, or a reason"),
            };
            match asked["jobs"].as_array() {
                Some(jobs) if !json => {
                    let jobs = jobs.iter().filter_map(Value::as_str);
                    jobs.for_each(print_line);
                }
                _ => print_job(&asked, json),
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Asks for a job of a sync, and follows the one that does it.
async fn start(
    remote: &Remote,
    sync: &SyncId,
    wanted: Value,
    and_follow: bool,
    json: bool,
) -> Result<ExitCode> {
    let path = format!("/v1/syncs/{sync}/jobs");
    let job = remote.post(&path, Some(&wanted)).await?;
    if !and_follow {
        print_job(&job, json);
        return Ok(ExitCode::SUCCESS);
    }
    let id = serde_json::from_value(job["id"].clone());
    follow(remote, &id.context("the service sent no job")?, json).await
}

async fn show(remote: &Remote, id: &JobId, json: bool) -> Result<ExitCode> {
    let job = remote.get(&format!("/v1/jobs/{id}")).await?;
    let attempts = remote.get(&format!("/v1/jobs/{id}/attempts")).await?;
    if json {
        let all = json!({ "job": job, "attempts": attempts["items"] });
        print_line(&all.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    print_line(&line(&job));
    streams(&job).iter().for_each(|line| print_line(line));
    for attempt in attempts["items"].as_array().into_iter().flatten() {
        let figures = &attempt["report"]["figures"];
        let figure = |name: &str| figures[name].as_u64().unwrap_or_default();
        print_line(&format!(
            "  attempt {}: {}, {}, {}",
            attempt["number"],
            counted(figure("rows"), "row"),
            counted(figure("objects"), "object"),
            counted(figure("requests"), "request"),
        ));
        if let Some(error) = attempt["error"].as_str() {
            print_line(&format!("    {error}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of each stream, a line each, and of one that failed another with why.
fn streams(job: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, stream) in job["streams"].as_object().into_iter().flatten() {
        let outcome = stream["outcome"].as_str().unwrap_or_default();
        lines.push(format!("  {name}: {outcome}"));
        if let Some(reason) = stream["reason"].as_str() {
            lines.push(format!("    {reason}"));
        }
    }
    lines
}

/// A job's log, oldest first.
async fn log(remote: &Remote, id: &JobId, json: bool) -> Result<ExitCode> {
    let path = format!("/v1/jobs/{id}/log");
    for entry in remote.list(&path, &[], usize::MAX).await? {
        if json {
            print_line(&entry.to_string());
            continue;
        }
        let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        print_line(&format!(
            "{}  {:<5}  {}  {}",
            instant(&entry["at_ms"]),
            word("level"),
            word("stream"),
            word("message")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows every change until the job is over. A stream that breaks is taken up again.
async fn follow(remote: &Remote, id: &JobId, json: bool) -> Result<ExitCode> {
    let path = format!("/v1/jobs/{id}/events");
    let (mut state, mut breaks) = (None, 0);
    let (mut shown, mut last) = (String::new(), Value::Null);
    loop {
        let heed = |job: Value| {
            let text = if json { job.to_string() } else { line(&job) };
            if text != shown {
                print_line(&text);
                shown = text;
            }
            state = Some(state_of(&job)?);
            breaks = 0;
            let is_over = job["is_final"] == Value::Bool(true);
            last = job;
            Ok(is_over)
        };
        let followed = remote.follow(&path, heed).await;
        match (followed, state) {
            (Ok(()), Some(state)) if state.is_final() => {
                // One that succeeded has said all there is.
                if !json && state != JobState::Succeeded {
                    streams(&last).iter().for_each(|line| print_line(line));
                }
                return Ok(report::exit_code(state));
            }
            (Err(error), None) => return Err(error),
            (Err(error), _) if breaks >= BREAKS_MAX => return Err(error),
            (followed, _) => {
                if let Err(error) = followed {
                    say(&format!("following again: {error:#}"));
                }
                breaks += 1;
                sleep(AGAIN).await;
            }
        }
    }
}

fn state_of(job: &Value) -> Result<JobState> {
    serde_json::from_value(job["state"].clone()).context("the service names an unknown state")
}

fn print_job(job: &Value, json: bool) {
    print_line(&if json { job.to_string() } else { line(job) });
}

/// A job in one line.
fn line(job: &Value) -> String {
    let word = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
    let text = format!(
        "{}  {:<9}  {}  {}  {}  {}",
        word("id"),
        word("state"),
        word("sync"),
        instant(&job["created_at_ms"]),
        counted(job["attempts"].as_u64().unwrap_or_default(), "attempt"),
        word("reason"),
    );
    text.trim_end().to_owned()
}

/// Milliseconds since the epoch, as people write a time.
fn instant(ms: &Value) -> String {
    let at = ms.as_i64().map(jiff::Timestamp::from_millisecond);
    at.and_then(Result::ok)
        .map(|at| at.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_one_line_and_a_failed_stream_says_why() {
        let job = json!({
            "id": "j1", "state": "failed", "sync": "crm", "created_at_ms": 0, "attempts": 1,
            "reason": "auth",
            "streams": {
                "companies": { "outcome": "succeeded" },
                "contacts": { "outcome": "failed", "fault": "auth", "reason": "authorise again" },
            },
        });
        assert_eq!(
            line(&job),
            "j1  failed     crm  1970-01-01T00:00:00Z  1 attempt  auth"
        );
        assert_eq!(
            streams(&job),
            [
                "  companies: succeeded",
                "  contacts: failed",
                "    authorise again"
            ]
        );
    }
}
