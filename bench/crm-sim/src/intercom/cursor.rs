//! Places in a list: the key of the last record seen, opaque on the wire.

use data_encoding::BASE64;

use crate::intercom::kind::Kind;
use crate::intercom::problem::Problem;

/// After which record a page starts, and which page that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The sort key of the last record, in milliseconds.
    pub(crate) key_ms: i64,
    pub(crate) id: u64,
    pub(crate) page: u64,
}

impl Cursor {
    pub(crate) fn text(self, kind: Kind) -> String {
        let place = (self.key_ms, kind.wire_id(self.id), self.page);
        let json = serde_json::to_string(&place).unwrap_or_default();
        BASE64.encode(json.as_bytes())
    }

    pub(crate) fn parse(text: &str, kind: Kind) -> Result<Cursor, Problem> {
        let json = BASE64.decode(text.as_bytes()).ok();
        let place = json.and_then(|json| serde_json::from_slice(&json).ok());
        let (key_ms, id, page): (i64, String, u64) = place.ok_or_else(Problem::cursor)?;
        let id = kind.parse_id(&id).ok_or_else(Problem::cursor)?;
        Ok(Cursor { key_ms, id, page })
    }
}
