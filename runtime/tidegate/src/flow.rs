//! `tidegate flow`: what went where.

use crate::cli::{FlowCommand, ServerArgs};
use crate::remote::Remote;
use crate::report::print_line;
use anyhow::Result;
use serde_json::Value;
use std::process::ExitCode;

/// `tidegate flow …`.
pub(crate) async fn run(server: &ServerArgs, command: FlowCommand, json: bool) -> Result<ExitCode> {
    let remote = Remote::new(server)?;
    match command {
        FlowCommand::Requests { job, limit } => {
            let path = format!("/v1/jobs/{job}/requests");
            for request in remote.list(&path, &[], limit).await? {
                print_line(&if json {
                    request.to_string()
                } else {
                    line(&request)
                });
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A request in one line.
fn line(request: &Value) -> String {
    let word = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let sent = request["sent_at_ms"].as_i64();
    let sent = sent.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let status = request["status"].as_u64();
    let text = format!(
        "{}  {:<6}  {}  {} {}  {} bytes  {} ms  waited {} ms  {} {}",
        sent.map(|at| at.to_string()).unwrap_or_default(),
        word("method"),
        status.map_or_else(|| word("fault"), |status| status.to_string()),
        word("endpoint"),
        word("path"),
        request["bytes_received"],
        request["took_ms"],
        request["waited_ms"],
        word("stream"),
        word("partition"),
    );
    text.trim_end().to_owned()
}
