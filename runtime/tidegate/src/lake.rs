//! `tidegate lake`: what landed, read through the commit log and nothing else.

use crate::cli::{LakeCommand, Named, Place, ServerArgs};
use crate::node;
use crate::remote::Remote;
use crate::report::print_line;
use crate::sync_run::Document;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tidegate_domain::id::SyncId;
use tidegate_engine::target::{self, Use};
use tidegate_landing::lake::{self, StreamView};
use tidegate_landing::target::Target;

/// `tidegate lake …`.
pub(crate) async fn run(
    place: &Place,
    server: &ServerArgs,
    command: LakeCommand,
) -> Result<ExitCode> {
    match command {
        LakeCommand::Files {
            sync: Named::File(file),
        } => files(place, &file).await,
        LakeCommand::Files {
            sync: Named::Id(sync),
        } => files_of_service(&Remote::new(server)?, &sync, place.json).await,
        LakeCommand::View { file } => view(place, &file).await,
    }
}

/// The target of a sync, opened to read its logs.
pub(crate) async fn target(place: &Place, document: &Document) -> Result<Arc<dyn Target>> {
    let operator = node::operator_file(place)?;
    let settings = node::target_settings(&document.file.target)?;
    Ok(target::open(&settings, &operator, Use::Read).await?)
}

/// What the logs of a sync show.
pub(crate) async fn views(place: &Place, document: &Document) -> Result<Vec<StreamView>> {
    let target = target(place, document).await?;
    let mut views = Vec::new();
    for key in lake::streams(&*target, &document.file.tenant, &document.file.sync).await? {
        views.push(lake::view(&target, &key).await?);
    }
    Ok(views)
}

/// Lists the committed objects, one a line.
async fn files(place: &Place, path: &Path) -> Result<ExitCode> {
    let document = Document::read(path)?;
    for view in views(place, &document).await? {
        for seen in view.objects.iter().chain(&view.rejected) {
            let line = if place.json {
                serde_json::json!({
                    "stream": view.key.stream,
                    "slot": seen.slot,
                    "generation": seen.generation,
                    "content": seen.object.content,
                    "format": seen.object.format,
                    "rows": seen.object.rows,
                    "bytes": seen.object.bytes,
                    "sha256": seen.object.sha256,
                    "location": seen.location,
                })
                .to_string()
            } else {
                line(seen.object.rows, seen.object.bytes, &seen.location)
            };
            print_line(&line);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The same as a service reads it: it has the keys of the target, and this machine needs
/// none.
async fn files_of_service(remote: &Remote, sync: &SyncId, json: bool) -> Result<ExitCode> {
    for log in remote
        .list(&format!("/v1/syncs/{sync}/logs"), &[], usize::MAX)
        .await?
    {
        let name = log["log"].as_str().unwrap_or_default();
        let path = format!("/v1/syncs/{sync}/logs/{name}/objects");
        for mut object in remote.list(&path, &[], usize::MAX).await? {
            if json {
                object["stream"] = name.into();
                print_line(&object.to_string());
                continue;
            }
            let figure = |name: &str| object[name].as_u64().unwrap_or_default();
            let location = object["location"].as_str().unwrap_or_default();
            print_line(&line(figure("rows"), figure("bytes"), location));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(rows: u64, bytes: u64, location: &str) -> String {
    format!("{rows:>12} rows {bytes:>14} bytes  {location}")
}

/// Writes the DuckDB views to standard output, one for each stream with its backfills.
async fn view(place: &Place, path: &Path) -> Result<ExitCode> {
    let document = Document::read(path)?;
    for view in lake::with_backfills(views(place, &document).await?) {
        print_line(lake::duckdb_view(&view).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}
