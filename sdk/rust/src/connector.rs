//! What an author implements, and the words of planning and reading.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Directive, Failure, Host, Manifest, Window, json};

/// A connector: what it is and how it is configured. What it can do comes
/// with further traits, [`Source`] among them.
pub trait Connector {
    /// The user's configuration; its JSON Schema is in the manifest.
    type Config: DeserializeOwned;

    /// Pure description, with no host to ask. It is read once, approved by an
    /// operator and pinned to the component.
    fn manifest() -> Manifest;
}

/// A connector that reads. Every call runs in a fresh instance: what must
/// outlive a call belongs into the cursor.
pub trait Source: Connector + Sized {
    /// How far a partition was read.
    type Cursor: Serialize + DeserializeOwned;
    /// What tells a partition from the others.
    type Slice: Serialize + DeserializeOwned;

    /// Probes credentials and permissions cheaply.
    ///
    /// # Errors
    /// Whatever keeps the connection from working.
    fn check(host: &Host, config: &Self::Config) -> Result<(), Failure>;

    /// Lists the streams of this account.
    ///
    /// # Errors
    /// When no stream could be described.
    fn discover(host: &Host, config: &Self::Config) -> Result<Vec<Stream>, Failure>;

    /// Cuts one stream into partitions that are read in parallel.
    ///
    /// # Errors
    /// When the stream or the mode is not available.
    fn plan(host: &Host, plan: Plan<Self>) -> Result<Vec<Partition<Self::Slice>>, Failure>;

    /// Reads one partition to its end, or until told to stop.
    ///
    /// What was emitted after the last save counts only with
    /// [`Outcome::Done`]; otherwise the next call starts at that save.
    ///
    /// # Errors
    /// Whatever ended the read; saved progress stays.
    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure>;
}

/// How a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Everything, each time.
    FullRefresh,
    /// What changed since the last completed run.
    Incremental,
    /// What changes, as it changes: a partition is read for as long as the source
    /// tells of changes. See [`Stream::live`].
    Live,
}

/// One named kind of record.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// JSON Schema of a record.
    pub schema: serde_json::Value,
    /// JSON pointers to the parts of the primary key.
    pub primary_key: Vec<String>,
    /// JSON pointer to the cursor field.
    pub cursor_field: Option<String>,
    /// How it can be read.
    pub sync_modes: Vec<SyncMode>,
    /// It carries deletions.
    pub has_deletes: bool,
    /// `plan` may return more than one partition.
    pub splittable: bool,
}

impl Stream {
    /// A stream that can be read in full.
    #[must_use]
    pub fn new(name: impl Into<String>, schema: serde_json::Value) -> Self {
        Self {
            name: name.into(),
            schema,
            primary_key: Vec::new(),
            cursor_field: None,
            sync_modes: vec![SyncMode::FullRefresh],
            has_deletes: false,
            splittable: false,
        }
    }

    /// Adds a part of the primary key.
    #[must_use]
    pub fn primary_key(mut self, pointer: impl Into<String>) -> Self {
        self.primary_key.push(pointer.into());
        self
    }

    /// Can also be read incrementally, by this field.
    #[must_use]
    pub fn incremental(mut self, cursor_field: impl Into<String>) -> Self {
        self.cursor_field = Some(cursor_field.into());
        self.sync_modes.push(SyncMode::Incremental);
        self
    }

    /// Can also be followed while it changes. A `plan` of mode [`SyncMode::Live`] cuts
    /// one partition, whose `read` saves often, tells [`Host::lag`] how far it is, and
    /// ends with [`Outcome::More`] when the host asks for its slot. With
    /// [`Outcome::Done`] it asks to be planned anew.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.sync_modes.push(SyncMode::Live);
        self
    }

    /// Carries deletions.
    #[must_use]
    pub fn with_deletes(mut self) -> Self {
        self.has_deletes = true;
        self
    }

    /// `plan` may cut it.
    #[must_use]
    pub fn splittable(mut self) -> Self {
        self.splittable = true;
        self
    }
}

/// A part of one stream that is read on its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition<T> {
    /// Unique and stable within the plan. Let it follow from the slice, so
    /// that one id never names two slices.
    pub id: String,
    /// Handed back to `read`.
    pub slice: T,
    /// The time it covers, where it covers one.
    pub window: Option<Window>,
    /// How many records it may hold.
    pub estimated_records: Option<u64>,
}

impl<T> Partition<T> {
    /// A partition with no window and no estimate.
    #[must_use]
    pub fn new(id: impl Into<String>, slice: T) -> Self {
        Self {
            id: id.into(),
            slice,
            window: None,
            estimated_records: None,
        }
    }

    /// Says which time it covers.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }
}

/// How a partition of the last completed run ended.
#[derive(Clone, PartialEq)]
pub struct PartitionEnd<S: Source> {
    /// Its id.
    pub id: String,
    /// Its slice.
    pub slice: S::Slice,
    /// What [`Outcome::Done`] held.
    pub cursor: S::Cursor,
}

impl<S: Source> fmt::Debug for PartitionEnd<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cursor = json::write(&self.cursor).unwrap_or_else(|e| e.to_string());
        write!(f, "PartitionEnd({} at {cursor})", self.id)
    }
}

/// What `plan` is asked.
pub struct Plan<S: Source> {
    /// The user's configuration.
    pub config: S::Config,
    /// The stream to cut.
    pub stream: String,
    /// How it is read.
    pub mode: SyncMode,
    /// Bounds of the history wanted; none means all.
    pub window: Option<Window>,
    /// How many partitions are worth making.
    pub partitions_max: u32,
    /// How each partition of the last completed run ended.
    pub previous: Vec<PartitionEnd<S>>,
}

/// What `read` is asked.
pub struct Read<S: Source> {
    /// The user's configuration.
    pub config: S::Config,
    /// The stream to read.
    pub stream: String,
    /// How it is read.
    pub mode: SyncMode,
    /// The part to read.
    pub partition: Partition<S::Slice>,
    /// Last durable cursor of this partition; none on first entry.
    pub cursor: Option<S::Cursor>,
    /// Fields that the user chose; empty means all.
    pub fields: Vec<String>,
}

impl<S: Source> Read<S> {
    /// Offers progress to the host, which makes it durable only after every
    /// record emitted before.
    ///
    /// # Errors
    /// When the cursor does not serialise.
    pub fn save(&self, host: &Host, cursor: &S::Cursor) -> Result<Directive, Failure> {
        Ok(host.save_json(&json::write(cursor)?))
    }
}

/// How a `read` ended.
pub enum Outcome<S: Source> {
    /// Exhausted; the cursor seeds the next incremental run.
    Done(S::Cursor),
    /// Gave the slot back; the host calls again with the last saved cursor.
    More,
    /// The remote job is not ready; call again after this time (milliseconds
    /// since the epoch).
    WaitUntil(u64),
    /// Too big to be paged; read these instead. Refused after a save.
    Split(Vec<Partition<S::Slice>>),
}

impl<S: Source> fmt::Debug for Outcome<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |value: Result<String, Failure>| value.unwrap_or_else(|e| e.to_string());
        match self {
            Self::Done(cursor) => write!(f, "Done({})", written(json::write(cursor))),
            Self::More => f.write_str("More"),
            Self::WaitUntil(at_ms) => write!(f, "WaitUntil({at_ms})"),
            Self::Split(parts) => {
                let ids: Vec<&str> = parts.iter().map(|part| part.id.as_str()).collect();
                write!(f, "Split({ids:?})")
            }
        }
    }
}
