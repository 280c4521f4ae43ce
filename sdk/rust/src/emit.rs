//! How records leave: the words of the record sink.

/// What happened to a record in the remote system. `Create` and `Update` where
/// the source tells them apart, else `Upsert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change {
    /// New or changed, the source does not say which.
    #[default]
    Upsert,
    /// New.
    Create,
    /// Changed.
    Update,
    /// Gone.
    Delete,
}

/// How a body is cut into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON document.
    #[default]
    Json,
    /// One JSON document a line.
    Ndjson,
    /// Comma-separated; the first row names the fields, and an empty value is null.
    /// Booleans and numbers are those that the stream's schema says.
    Csv,
}

/// How a cursor value is ordered; as text, epoch "9" would sort above "10".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorOrder {
    /// By code point.
    Text,
    /// By numeric value.
    Number,
    /// By moment: RFC 3339 text, or milliseconds since the epoch.
    Timestamp,
}

/// A record given as a list of name and value pairs, which the host turns into
/// an object. All three are JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    /// The list, inside the record.
    pub at: String,
    /// The name, inside a list element.
    pub name: String,
    /// The value, inside a list element.
    pub value: String,
}

/// Where records live inside a body that the host holds. Pointers are JSON
/// pointers (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extraction {
    /// How the body is cut.
    pub format: Format,
    /// The array of records; "" when the root is one. An object there is one
    /// record, null is none.
    pub records: String,
    /// Primary key inside a record, joined with U+001F when several.
    pub key: Vec<String>,
    /// Cursor field inside a record, and its order.
    pub cursor: Option<(String, CursorOrder)>,
    /// Fields to keep; empty keeps the whole record.
    pub project: Vec<String>,
    /// What these records are; a true `deleted` flag overrides it.
    pub kind: Change,
    /// Flag inside a record; when true the record is a delete.
    pub deleted: Option<String>,
    /// Creation time inside a record; at or after the read's lower bound it
    /// makes the change a `Create`, before it an `Update`.
    pub created: Option<String>,
    /// Must be there, and not null, for an element to be a record.
    pub present: Option<String>,
    /// Records whose cursor is below this are skipped.
    pub floor: Option<String>,
    /// Set when records are lists of name and value pairs.
    pub pairs: Option<Pairs>,
}

impl Extraction {
    /// Records in the array at `records` of a JSON document.
    #[must_use]
    pub fn json(records: impl Into<String>) -> Self {
        Self {
            records: records.into(),
            ..Self::default()
        }
    }

    /// One JSON record a line.
    #[must_use]
    pub fn ndjson() -> Self {
        Self {
            format: Format::Ndjson,
            ..Self::default()
        }
    }

    /// One record a row; the first row names the fields.
    #[must_use]
    pub fn csv() -> Self {
        Self {
            format: Format::Csv,
            ..Self::default()
        }
    }

    /// Adds a part of the primary key.
    #[must_use]
    pub fn key(mut self, pointer: impl Into<String>) -> Self {
        self.key.push(pointer.into());
        self
    }

    /// Sets the cursor field.
    #[must_use]
    pub fn cursor(mut self, pointer: impl Into<String>, order: CursorOrder) -> Self {
        self.cursor = Some((pointer.into(), order));
        self
    }

    /// Sets what the records are.
    #[must_use]
    pub fn kind(mut self, kind: Change) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the flag that makes a record a delete.
    #[must_use]
    pub fn deleted(mut self, pointer: impl Into<String>) -> Self {
        self.deleted = Some(pointer.into());
        self
    }

    /// Sets the cursor value below which records are skipped.
    #[must_use]
    pub fn floor(mut self, value: impl Into<String>) -> Self {
        self.floor = Some(value.into());
        self
    }

    /// Sets what an element must hold to be a record.
    #[must_use]
    pub fn present(mut self, pointer: impl Into<String>) -> Self {
        self.present = Some(pointer.into());
        self
    }

    /// Turns lists of name and value pairs into objects. All three are pointers: the
    /// list in the record, name and value in a pair.
    #[must_use]
    pub fn pairs(
        mut self,
        at: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.pairs = Some(Pairs {
            at: at.into(),
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// Adds a field to keep.
    #[must_use]
    pub fn project(mut self, pointer: impl Into<String>) -> Self {
        self.project.push(pointer.into());
        self
    }
}

/// Enough for paging and cursor logic without seeing a single record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Records taken, deletes among them.
    pub records: u32,
    /// Their size in bytes.
    pub bytes: u64,
    /// Those of the records that are deletes.
    pub deletes: u32,
    /// Refused and put aside by the host: no key, too long, against the schema.
    pub rejected: u32,
    /// Below the floor, or without what `present` asks for.
    pub skipped: u32,
    /// Least cursor of what was not skipped.
    pub min_cursor: Option<String>,
    /// Greatest cursor of what was not skipped.
    pub max_cursor: Option<String>,
    /// Key of the first record taken.
    pub first_key: Option<String>,
    /// Key of the last record taken.
    pub last_key: Option<String>,
}

impl Summary {
    /// How many elements the host looked at: what a page held, whatever became
    /// of it.
    #[must_use]
    pub fn elements(&self) -> u64 {
        u64::from(self.records) + u64::from(self.rejected) + u64::from(self.skipped)
    }
}

/// Why the host did not take records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitFault {
    /// Not a stream of the running call.
    #[error("unknown stream {0}")]
    UnknownStream(String),
    /// Not JSON, or no records where they should be.
    #[error("malformed body: {0}")]
    Malformed(String),
    /// More bytes than the host takes in one record or one call.
    #[error("{0} bytes are more than the host takes at once")]
    TooLarge(u64),
    /// The run is being stopped: return [`Outcome::More`](crate::Outcome::More).
    #[error("the run is being stopped")]
    Stopping,
}
