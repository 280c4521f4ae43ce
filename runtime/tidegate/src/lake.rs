//! `tidegate lake`: what landed, read through the commit log and nothing else.

use crate::cli::Place;
use crate::node;
use crate::report::print_line;
use crate::sync_run::Document;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use tidegate_landing::lake::{self, StreamView};

/// What the logs of a sync show.
pub(crate) async fn views(place: &Place, document: &Document) -> Result<Vec<StreamView>> {
    let operator = node::operator_file(place)?;
    let target = node::open_target(&document.file.target, &operator, node::Use::Read).await?;
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
