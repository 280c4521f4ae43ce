CREATE TABLE tenants (
    id            TEXT    PRIMARY KEY NOT NULL,
    revision      INTEGER NOT NULL,
    title         TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('active', 'suspended')),
    jobs_max      INTEGER,                 -- null: no cap of its own
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id            TEXT    PRIMARY KEY NOT NULL,
    tenant        TEXT    NOT NULL REFERENCES tenants (id),
    sha256        TEXT    NOT NULL UNIQUE, -- of the key's text, which is nowhere
    role          TEXT    NOT NULL,
    title         TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER,
    used_at_ms    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_of_tenant ON api_keys (tenant, id);

-- What tenants configured, as JSON.
CREATE TABLE documents (
    tenant        TEXT    NOT NULL REFERENCES tenants (id),
    kind          TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    revision      INTEGER NOT NULL,
    body          TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;

-- What a document mentions: other documents, secrets, connectors. Checked by the
-- commit as a whole, since a group of commits shares a transaction.
CREATE TABLE mentions (
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    to_kind TEXT NOT NULL,
    to_id   TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, id, to_kind, to_id),
    FOREIGN KEY (tenant, kind, id) REFERENCES documents ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX mentions_of ON mentions (to_kind, to_id, tenant);

CREATE TABLE secrets (
    tenant        TEXT    NOT NULL REFERENCES tenants (id),
    name          TEXT    NOT NULL,
    sealed        BLOB    NOT NULL,
    fingerprint   TEXT    NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Components are kept here rather than in files: one is at most 32 MiB, and so its
-- row and its bytes come, go and are backed up together.
CREATE TABLE components (
    digest TEXT NOT NULL UNIQUE,
    wasm   BLOB NOT NULL
) STRICT;

CREATE TABLE connectors (
    owner         TEXT    NOT NULL,        -- a tenant; empty: shared by all
    digest        TEXT    NOT NULL REFERENCES components (digest),
    name          TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    manifest      TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'disabled')),
    wasm_bytes    INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (owner, digest),
    UNIQUE (owner, name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX connectors_of_component ON connectors (digest);

-- Append-only: each entry's hash covers the one before.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    tenant  TEXT    NOT NULL,
    actor   TEXT    NOT NULL,
    origin  TEXT,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    sha256  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_of_tenant ON audit (tenant, seq);

-- The last entry that retention removed; before the first it is entry 0.
CREATE TABLE audit_start (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    seq    INTEGER NOT NULL,
    sha256 TEXT    NOT NULL
) STRICT;
INSERT INTO audit_start VALUES
    (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit
WHEN new.seq <= (SELECT max(seq) FROM audit)
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_goes_from_its_start BEFORE DELETE ON audit
WHEN old.seq > (SELECT seq FROM audit_start)
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;

-- What repeated requests are answered.
CREATE TABLE answers (
    tenant         TEXT    NOT NULL,
    key            TEXT    NOT NULL,
    request_sha256 TEXT    NOT NULL,
    answer         TEXT    NOT NULL,
    outcome        TEXT    NOT NULL,       -- what the commit did, as JSON
    at_ms          INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (at_ms);

-- Attempts without progress are counted per stream now; the count begins anew.
UPDATE jobs SET job = json_set(job, '$.fruitless', json('{}'))
    WHERE json_type(job, '$.fruitless') = 'integer';

-- A job with a request was the queue's. One without is the command line's.
ALTER TABLE jobs ADD COLUMN track TEXT;
ALTER TABLE jobs ADD COLUMN connection TEXT;
ALTER TABLE jobs ADD COLUMN connector TEXT;
ALTER TABLE jobs ADD COLUMN class TEXT;
ALTER TABLE jobs ADD COLUMN cause TEXT;              -- Trigger as JSON
ALTER TABLE jobs ADD COLUMN request TEXT;            -- JobRequest as JSON
ALTER TABLE jobs ADD COLUMN reason TEXT;
ALTER TABLE jobs ADD COLUMN state TEXT AS (json_extract(job, '$.state')) VIRTUAL;
CREATE INDEX jobs_of_tenant ON jobs (tenant, created_at_ms, id) WHERE request IS NOT NULL;
CREATE INDEX jobs_by_age ON jobs (updated_at_ms) WHERE finished = 1;

-- One row per unfinished job of the queue: what choosing and claiming need, apart
-- from what is only kept, so that it stays small.
CREATE TABLE queue (
    job              TEXT    PRIMARY KEY NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    tenant           TEXT    NOT NULL,
    sync             TEXT    NOT NULL,
    track            TEXT    NOT NULL,
    connection       TEXT    NOT NULL,
    connector        TEXT    NOT NULL,
    class            TEXT    NOT NULL,
    wake_at_ms       INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    claim_epoch      INTEGER NOT NULL DEFAULT 0,
    claim_owner      TEXT,                 -- null: nobody
    claim_expires_ms INTEGER NOT NULL DEFAULT 0 -- by this database's clock
) STRICT, WITHOUT ROWID;
-- One job of a track at a time, whatever the code above believes.
CREATE UNIQUE INDEX queue_begun ON queue (tenant, sync, track) WHERE claim_epoch > 0;
CREATE INDEX queue_of_sync ON queue (tenant, sync, track);
CREATE INDEX queue_by_time ON queue (wake_at_ms);
CREATE INDEX queue_claimed ON queue (claim_expires_ms) WHERE claim_owner IS NOT NULL;

CREATE TABLE attempts (
    job           TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number        INTEGER NOT NULL,
    started_at_ms INTEGER NOT NULL,
    ended_at_ms   INTEGER NOT NULL,
    fault         TEXT,
    error         TEXT,
    report        TEXT    NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_lines (
    job     TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    level   TEXT    NOT NULL,
    stream  TEXT,
    message TEXT    NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE schedules (
    tenant      TEXT    NOT NULL REFERENCES tenants (id),
    sync        TEXT    NOT NULL,
    next_at_ms  INTEGER NOT NULL,
    fired_at_ms INTEGER,
    job         TEXT,                      -- the last that it asked for; may be gone
    PRIMARY KEY (tenant, sync)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedules_by_time ON schedules (next_at_ms);

-- Numbers are never used twice, so that "after this one" stays true.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant  TEXT    NOT NULL,
    at_ms   INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    body    TEXT    NOT NULL
) STRICT;
CREATE INDEX events_of_tenant ON events (tenant, seq);

-- The last event of which it was decided who hears of it.
CREATE TABLE outbox (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    dispatched INTEGER NOT NULL
) STRICT;
INSERT INTO outbox VALUES (1, 0);

CREATE TABLE deliveries (
    event            INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    tenant           TEXT    NOT NULL,
    subscription     TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'given_up')),
    tried            INTEGER NOT NULL DEFAULT 0,
    since_ms         INTEGER NOT NULL,
    next_at_ms       INTEGER NOT NULL,
    error            TEXT,
    claim_owner      TEXT,
    claim_expires_ms INTEGER NOT NULL DEFAULT 0, -- by this database's clock
    PRIMARY KEY (event, subscription)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_of_subscription ON deliveries (tenant, subscription, event);
CREATE INDEX deliveries_waiting ON deliveries (next_at_ms) WHERE state = 'pending';
