//! What a schema id means: the columns, in a file beside the log. It is there before a
//! slot names the id, and never changes, since the id is its hash.

use crate::Error;
use crate::encode::schema_id;
use crate::lake;
use crate::log::{sha256, stream_prefix};
use crate::recover::random_bytes;
use crate::target::{Created, Payload, Stamp, Target};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::id::{PutId, StreamKey};
use tidegate_domain::schema::Columns;

/// How often a put whose outcome is unknown is sent again.
const ATTEMPTS: u32 = 6;
const WAIT: Duration = Duration::from_millis(250);

fn schema_key(key: &StreamKey, id: &str) -> String {
    format!("{}/_schema/{id}.json", stream_prefix(key))
}

/// Makes the columns readable under their id; where they are, nothing happens.
pub(crate) async fn publish(
    target: &dyn Target,
    key: &StreamKey,
    columns: &Columns,
) -> Result<(), Error> {
    let name = schema_key(key, &schema_id(columns));
    let bytes = Bytes::from(serde_json::to_vec(columns).expect("columns are plain data"));
    let stamp = Stamp {
        sha256: sha256(&bytes),
        put_id: PutId::from_bytes(random_bytes()),
    };
    for attempt in 1..=ATTEMPTS {
        let payload = Payload::Bytes(bytes.clone());
        match target.create(&name, payload, &stamp).await? {
            // Whoever was there first wrote what hashes to the same id.
            Created::Created | Created::Exists => return Ok(()),
            Created::Unknown(error) if attempt == ATTEMPTS => return Err(error.into()),
            Created::Unknown(_) => tokio::time::sleep(WAIT * attempt).await,
        }
    }
    Ok(())
}

/// The columns of a schema id; none where the log is of a time before they were kept.
///
/// # Errors
/// Where the target cannot be read, or the file is not ours.
pub async fn read(
    target: &dyn Target,
    key: &StreamKey,
    id: &str,
) -> Result<Option<Columns>, Error> {
    let name = schema_key(key, id);
    let Some(bytes) = target.read(&name).await? else {
        return Ok(None);
    };
    let columns = serde_json::from_slice(&bytes);
    columns.map(Some).map_err(|error| {
        Error::Target(crate::target::Error::Config {
            target: target.locate(&name),
            reason: format!("it is not the list of columns that it was: {error}"),
        })
    })
}

/// The columns of the newest objects of a log, for a store that was lost; none before
/// the first.
///
/// # Errors
/// Where the log cannot be read.
pub async fn newest(target: &Arc<dyn Target>, key: &StreamKey) -> Result<Option<Columns>, Error> {
    let view = lake::view(target, key).await?;
    let mut newest = view.objects.iter().rev();
    match newest.find_map(|seen| seen.object.schema.as_ref()) {
        Some(id) => Ok(view.schemas.get(id).cloned()),
        None => Ok(None),
    }
}
