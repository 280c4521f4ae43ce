//! The platform's backup: the whole database as of one moment.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use std::path::Path;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// Bytes that are sent at a time.
const PART_BYTES: usize = 64 << 10;

/// Save the database
///
/// All tenants, as of one moment, as a SQLite file; work goes on meanwhile. Secrets are
/// sealed in it, and the node's key, which opens them, is not in it.
#[utoipa::path(post, path = "/v1/platform/backup", tag = "tenants", responses((status = 200, description = "The file.", content_type = "application/vnd.sqlite3", body = Vec<u8>)))]
pub(crate) async fn back_up(State(api): State<Api>, caller: Caller) -> Result<Response, Problem> {
    api.commit(&caller, Change::new("platform.backup", "database"))
        .await?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| Problem::internal("naming a backup", &error))?;
    let name = format!("backup-{}", HEXLOWER.encode(&random));
    let path = api.node().spool_dir.join(name);
    api.store().backup(&path).await?;
    let file = open_unlinked(&path)
        .await
        .map_err(|error| Problem::internal("reading a backup", &error))?;
    let parts = stream::unfold(file, |mut file| async {
        let mut part = vec![0; PART_BYTES];
        match file.read(&mut part).await {
            Ok(0) => None,
            Ok(read) => {
                part.truncate(read);
                Some((Ok(Bytes::from(part)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let kind = [(CONTENT_TYPE, "application/vnd.sqlite3")];
    Ok((kind, Body::from_stream(parts)).into_response())
}

/// The file goes when the answer does, however that ends.
async fn open_unlinked(path: &Path) -> std::io::Result<File> {
    let opened = File::open(path).await;
    tokio::fs::remove_file(path).await?;
    opened
}
