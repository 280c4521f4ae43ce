//! `tidegate backup`: a service's database as of one moment, while it runs.

use crate::cli::ServerArgs;
use crate::remote::Remote;
use crate::report::{print_line, say};
use anyhow::{Context as _, Result};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use tokio::io::AsyncWriteExt as _;

/// `tidegate backup FILE`.
pub(crate) async fn run(server: &ServerArgs, file: &Path, json: bool) -> Result<ExitCode> {
    let remote = Remote::new(server)?;
    let mut body = remote.download(Method::POST, "/v1/platform/backup").await?;
    let partial = file.with_extension("partial");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let name = partial.display().to_string();
    let opened = options.open(&partial);
    let opened = opened.with_context(|| format!("{name} cannot be made"))?;
    let written = async {
        let mut out = tokio::fs::File::from_std(opened);
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(part) = frame.context("the backup broke off")?.into_data() {
                bytes += part.len();
                out.write_all(&part).await?;
            }
        }
        out.sync_all().await?;
        // Not over a backup that is there already.
        std::fs::hard_link(&partial, file)
            .with_context(|| format!("{} cannot be made", file.display()))?;
        Ok::<usize, anyhow::Error>(bytes)
    };
    let written = written.await;
    std::fs::remove_file(&partial).with_context(|| format!("{name} cannot be removed"))?;
    let bytes = written?;
    if json {
        print_line(&json!({ "file": file, "bytes": bytes }).to_string());
    } else {
        say(&format!("{}: {bytes} bytes", file.display()));
        say("The node key (keys/node.key of the state directory) opens it; keep that apart.");
    }
    Ok(ExitCode::SUCCESS)
}
