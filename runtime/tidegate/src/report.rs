//! What a person or a script sees: progress, summaries, errors.

use crate::sync_run::Prepared;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tidegate_broker::Session;
use tidegate_domain::job::{JobState, StreamOutcome};
use tidegate_engine::progress::Progress;
use tidegate_engine::sync::JobReport;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Prints a line for people on standard error.
pub(crate) fn say(line: &str) {
    // A closed terminal is no reason to stop a sync.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Prints a line of output.
pub(crate) fn print_line(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Prints an error with its causes, once, and gives the exit code for it.
pub(crate) fn failure(error: &anyhow::Error, json: bool) -> ExitCode {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    if json {
        print_line(&json!({ "error": chain[0], "causes": chain[1..] }).to_string());
    } else {
        say(&format!("error: {}", chain[0]));
        for cause in &chain[1..] {
            say(&format!("  because: {cause}"));
        }
    }
    ExitCode::from(2)
}

/// The exit code of a finished job.
pub(crate) fn exit_code(state: JobState) -> ExitCode {
    ExitCode::from(match state {
        JobState::Succeeded => 0,
        JobState::Degraded => 3,
        JobState::Cancelled => 4,
        JobState::Failed
        | JobState::Queued
        | JobState::Running
        | JobState::Parked
        | JobState::Retrying => 1,
    })
}

/// Says where the operator sends requests instead of to their own hosts.
pub(crate) fn mappings(broker: &tidegate_broker::Config, json: bool) {
    if json {
        return;
    }
    for mapping in &broker.mappings {
        say(&format!(
            "operator mapping: {} is served by {}",
            mapping.from, mapping.to
        ));
    }
}

/// Shows live figures until it is stopped.
pub(crate) struct Watch {
    tasks: JoinSet<()>,
    bar: Option<ProgressBar>,
}

impl Watch {
    /// Redraws a line on a terminal, prints one JSON line a second with `--json`,
    /// and keeps silent otherwise.
    pub(crate) fn start(json: bool, progress: Arc<Progress>, session: Session) -> Watch {
        let mut tasks = JoinSet::new();
        let bar = (!json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner:.cyan} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        if json || bar.is_some() {
            let bar = bar.clone();
            tasks.spawn(async move {
                let began = Instant::now();
                let period = Duration::from_millis(if json { 1_000 } else { 100 });
                loop {
                    tokio::time::sleep(period).await;
                    match &bar {
                        Some(bar) => bar.set_message(line(&progress, &session, began)),
                        None => print_line(&progress_json(&progress, &session, began)),
                    }
                }
            });
        }
        Watch { tasks, bar }
    }

    /// Stops and clears the line.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(progress: &Progress, session: &Session, began: Instant) -> String {
    let figures = progress.figures();
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    let megabytes = figures.record_bytes as f64 / 1e6;
    let usage = session.usage();
    let parked = match figures.partitions_parked {
        0 => String::new(),
        parked => format!(", {parked} parked"),
    };
    format!(
        "{} records  {:.0}/s  {:.1} MB/s  {} requests ({} retried)  limit waits {} ({:.1} s)  partitions {} running, {} done{parked}",
        grouped(figures.records),
        figures.records as f64 / seconds,
        megabytes / seconds,
        grouped(usage.requests),
        usage.retries,
        usage.limit_waits,
        usage.limit_wait_ms as f64 / 1e3,
        figures.partitions_running,
        figures.partitions_ended,
    )
}

fn progress_json(progress: &Progress, session: &Session, began: Instant) -> String {
    let (figures, usage) = (progress.figures(), session.usage());
    json!({
        "progress": {
            "seconds": began.elapsed().as_secs_f64(),
            "records": figures.records,
            "record_bytes": figures.record_bytes,
            "requests": usage.requests,
            "retries": usage.retries,
            "limit_waits": usage.limit_waits,
            "limit_wait_ms": usage.limit_wait_ms,
            "partitions_running": figures.partitions_running,
            "partitions_ended": figures.partitions_ended,
            "partitions_parked": figures.partitions_parked,
        }
    })
    .to_string()
}

/// A count with its noun: `1 file`, `2,000 files`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(count))
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Peak resident memory of this process in bytes, as the kernel counts it.
pub(crate) fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// The summary of a job; `hint` is a command that shows what landed.
pub(crate) fn job(
    ran: &JobReport,
    prepared: &Prepared,
    took: Duration,
    json: bool,
    hint: Option<&str>,
) {
    let figures = prepared.context.progress.figures();
    let usage = prepared.session.usage();
    if json {
        let streams: serde_json::Map<String, serde_json::Value> = ran
            .streams
            .iter()
            .map(|(name, stream)| {
                let figures = json!({
                    "outcome": stream.outcome,
                    "generation": stream.generation,
                    "rows": stream.landed.rows,
                    "rejected": stream.landed.rejected,
                    "objects": stream.landed.objects,
                    "bytes": stream.landed.bytes,
                });
                (name.to_string(), figures)
            })
            .collect();
        print_line(
            &json!({
                "job": ran.id,
                "state": ran.state,
                "attempts": ran.attempts,
                "streams": streams,
                "rows": figures.rows,
                "objects": figures.objects,
                "bytes": figures.object_bytes,
                "requests": usage.requests,
                "retries": usage.retries,
                "refreshes": usage.refreshes,
                "limit_wait_ms": usage.limit_wait_ms,
                "guest_cpu_us": figures.guest_cpu_us,
                "guest_peak_memory_bytes": figures.guest_peak_memory_bytes,
                "guest_calls": figures.guest_calls,
                "seconds": took.as_secs_f64(),
                "peak_rss_bytes": peak_rss_bytes(),
            })
            .to_string(),
        );
        return;
    }
    say(&format!(
        "job {} {} in {:.1} s",
        ran.id,
        word(ran.state),
        took.as_secs_f64()
    ));
    for (name, stream) in &ran.streams {
        let landed = &stream.landed;
        say(&format!(
            "  {name}: {} rows in {} objects, {:.1} MB{}",
            grouped(landed.rows),
            landed.objects,
            landed.bytes as f64 / 1e6,
            if landed.rejected > 0 {
                format!(", {} refused (see _rejected/)", landed.rejected)
            } else {
                String::new()
            },
        ));
        if let StreamOutcome::Failed { fault, reason } = &stream.outcome {
            say(&format!("    failed ({fault}): {reason}"));
        }
    }
    say(&format!(
        "  {} requests, {} retried, {:.1} s waiting for limits",
        grouped(usage.requests),
        usage.retries,
        usage.limit_wait_ms as f64 / 1e3
    ));
    if let Some(hint) = hint {
        say(&format!(
            "  files: {}",
            prepared.target.locate(&format!(
                "tenant={}/sync={}/",
                prepared.context.source.tenant, prepared.context.sync
            ))
        ));
        say(&format!("  look:  {hint}"));
    }
}

fn word(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => "succeeded",
        JobState::Degraded => "succeeded in part",
        JobState::Cancelled => "was stopped",
        JobState::Failed => "failed",
        JobState::Queued | JobState::Running | JobState::Parked | JobState::Retrying => {
            "is not over"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_stand_in_groups_of_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
