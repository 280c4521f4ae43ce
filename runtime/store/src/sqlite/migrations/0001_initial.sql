-- One row per stream that was ever read. Never deleted: epochs must not restart.
CREATE TABLE streams (
    id               INTEGER PRIMARY KEY,
    tenant           TEXT    NOT NULL,
    sync             TEXT    NOT NULL,
    stream           TEXT    NOT NULL,
    epoch            INTEGER NOT NULL CHECK (epoch >= 0),
    owner            TEXT,                 -- null: the last owner gave the lease back
    lease_expires_ms INTEGER NOT NULL,     -- by this database's clock
    staged           TEXT    NOT NULL,     -- StreamState as JSON
    published        TEXT    NOT NULL,     -- StreamState as JSON
    log_tail         INTEGER NOT NULL CHECK (log_tail >= 0),
    log_tail_sha256  TEXT,
    next_batch       INTEGER NOT NULL CHECK (next_batch >= 0),
    UNIQUE (tenant, sync, stream)
) STRICT;

-- Batches on their way; a row goes when the log shows the batch or never will.
CREATE TABLE intents (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    batch     INTEGER NOT NULL,
    change    TEXT    NOT NULL,            -- Change as JSON
    objects   TEXT    NOT NULL,            -- [StagedObject] as JSON
    state     TEXT    NOT NULL CHECK (state IN ('sealed', 'uploaded')),
    PRIMARY KEY (stream_id, batch)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    tenant             TEXT    NOT NULL,
    connection         TEXT    NOT NULL,
    method             TEXT    NOT NULL,
    version            INTEGER NOT NULL CHECK (version > 0),
    sealed             BLOB    NOT NULL,
    state              TEXT    NOT NULL CHECK (state IN ('active', 'unknown', 'needs_reauth')),
    refresh_owner      TEXT,               -- null: nobody refreshes it
    refresh_expires_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, connection, method)
) STRICT, WITHOUT ROWID;

CREATE TABLE data_keys (
    tenant  TEXT PRIMARY KEY NOT NULL,
    wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys are blobs so that order, prefix and length are those of their bytes.
CREATE TABLE kv (
    tenant     TEXT NOT NULL,
    connection TEXT NOT NULL,
    key        BLOB NOT NULL,
    value      BLOB NOT NULL,
    PRIMARY KEY (tenant, connection, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id            TEXT    PRIMARY KEY NOT NULL,
    tenant        TEXT    NOT NULL,
    sync          TEXT    NOT NULL,
    job           TEXT    NOT NULL,        -- Job as JSON
    finished      INTEGER NOT NULL CHECK (finished IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_of_sync ON jobs (tenant, sync, created_at_ms, id);
CREATE INDEX jobs_finished ON jobs (tenant, sync, created_at_ms, id) WHERE finished = 1;

CREATE TABLE reserved_units (
    limit_name TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL,
    units      INTEGER NOT NULL CHECK (units >= 0),
    PRIMARY KEY (limit_name, at_ms)
) STRICT, WITHOUT ROWID;
