//! `tidegate lake`: what landed, read through the commit log and nothing else.

use crate::cli::Place;
use crate::node;
use crate::report::print_line;
use crate::sync_run::Document;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tidegate_engine::target::{self, Use};
use tidegate_landing::lake::{self, StreamView};
use tidegate_landing::target::Target;

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
pub(crate) async fn files(place: &Place, path: &Path) -> Result<ExitCode> {
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
                format!(
                    "{:>12} rows {:>14} bytes  {}",
                    seen.object.rows, seen.object.bytes, seen.location
                )
            };
            print_line(&line);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the DuckDB views to standard output.
pub(crate) async fn view(place: &Place, path: &Path) -> Result<ExitCode> {
    let document = Document::read(path)?;
    for view in views(place, &document).await? {
        print_line(lake::duckdb_view(&view).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}
