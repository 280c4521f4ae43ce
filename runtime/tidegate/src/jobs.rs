//! `tidegate jobs`: looks at the jobs of a service, and acts on them.

use crate::cli::{JobsCommand, ServerArgs};
use crate::remote::Remote;
use crate::report::{self, grouped, print_line, say};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::process::ExitCode;
use tidegate_domain::id::JobId;
use tidegate_domain::job::JobState;
use tokio::time::{Duration, sleep};

/// Before a broken stream is taken up again, and how often in a row.
const AGAIN: Duration = Duration::from_secs(1);
const BREAKS_MAX: u32 = 30;

/// `tidegate jobs …`.
pub(crate) async fn run(server: &ServerArgs, command: JobsCommand, json: bool) -> Result<ExitCode> {
    let remote = Remote::new(server)?;
    match command {
        JobsCommand::Start { sync, follow: wait } => {
            let job = remote.post(&format!("/v1/syncs/{sync}/jobs"), None).await?;
            if !wait {
                print_line(&if json { job.to_string() } else { line(&job) });
                return Ok(ExitCode::SUCCESS);
            }
            let id = serde_json::from_value(job["id"].clone());
            follow(&remote, &id.context("the service sent no job")?, json).await
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
            for job in remote.list("/v1/jobs", &query, limit).await? {
                print_line(&if json { job.to_string() } else { line(&job) });
            }
            Ok(ExitCode::SUCCESS)
        }
        JobsCommand::Show { job } => show(&remote, &job, json).await,
        JobsCommand::Follow { job } => follow(&remote, &job, json).await,
        JobsCommand::Cancel { job } => {
            let asked = remote.post(&format!("/v1/jobs/{job}/cancel"), None).await?;
            print_line(&if json {
                asked.to_string()
            } else {
                line(&asked)
            });
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
                _ if json => print_line(&asked.to_string()),
                _ => print_line(&line(&asked)),
            }
            Ok(ExitCode::SUCCESS)
        }
    }
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
    for (name, stream) in job["streams"].as_object().into_iter().flatten() {
        let outcome = stream["outcome"].as_str().unwrap_or_default();
        let reason = stream["reason"].as_str().unwrap_or_default();
        print_line(format!("  {name}: {outcome} {reason}").trim_end());
    }
    for attempt in attempts["items"].as_array().into_iter().flatten() {
        let figures = &attempt["report"]["figures"];
        let figure = |name: &str| grouped(figures[name].as_u64().unwrap_or_default());
        let error = attempt["error"].as_str().unwrap_or_default();
        let text = format!(
            "  attempt {}: {} rows, {} objects, {} requests {error}",
            attempt["number"],
            figure("rows"),
            figure("objects"),
            figure("requests"),
        );
        print_line(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows every change until the job is over. A stream that breaks is taken up again.
async fn follow(remote: &Remote, id: &JobId, json: bool) -> Result<ExitCode> {
    let path = format!("/v1/jobs/{id}/events");
    let (mut state, mut breaks) = (None, 0);
    let mut shown = String::new();
    loop {
        let heed = |job: Value| {
            let text = if json { job.to_string() } else { line(&job) };
            if text != shown {
                print_line(&text);
                shown = text;
            }
            state = Some(state_of(&job)?);
            breaks = 0;
            Ok(job["is_final"] == Value::Bool(true))
        };
        let followed = remote.follow(&path, heed).await;
        match (followed, state) {
            (Ok(()), Some(state)) if state.is_final() => return Ok(report::exit_code(state)),
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

/// A job in one line.
fn line(job: &Value) -> String {
    let word = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
    let created = job["created_at_ms"].as_i64();
    let created = created.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let text = format!(
        "{}  {:<9}  {}  {}  {} attempts  {}",
        word("id"),
        word("state"),
        word("sync"),
        created.map(|at| at.to_string()).unwrap_or_default(),
        job["attempts"],
        word("reason"),
    );
    text.trim_end().to_owned()
}
