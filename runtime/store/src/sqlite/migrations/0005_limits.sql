-- Units that were reserved and may be spent; the row goes when it is known what was.
CREATE TABLE limit_blocks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    limit_name   TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL,
    units        INTEGER NOT NULL CHECK (units >= 0),
    forget_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX limit_blocks_of ON limit_blocks (limit_name, at_ms);
CREATE INDEX limit_blocks_by_age ON limit_blocks (forget_at_ms);
INSERT INTO limit_blocks (limit_name, at_ms, units, forget_at_ms)
    SELECT limit_name, at_ms, units, at_ms + 2764800000 FROM reserved_units; -- 32 days
DROP TABLE reserved_units;

-- Units that were spent, by when the provider had counted them.
CREATE TABLE limit_spent (
    limit_name    TEXT    NOT NULL,
    counted_by_ms INTEGER NOT NULL,
    units         INTEGER NOT NULL CHECK (units >= 0),
    forget_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (limit_name, counted_by_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_spent_by_age ON limit_spent (forget_at_ms);

-- What providers closed, and until when.
CREATE TABLE limit_closures (
    account  TEXT    NOT NULL,             -- whose limits, as the broker names them
    gate     TEXT    NOT NULL,             -- a bucket; empty: all of the account
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (account, gate)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_closures_by_age ON limit_closures (until_ms);

-- The clock that limits are counted by, since the system was started: it is not set.
CREATE TABLE limit_clock (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    boot      TEXT    NOT NULL,
    uptime_ms INTEGER NOT NULL,
    now_ms    INTEGER NOT NULL
) STRICT;

-- Requests to providers, as the host sent them: no query, no header, no body.
CREATE TABLE requests (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant            TEXT    NOT NULL,
    connection        TEXT    NOT NULL,
    job               TEXT,
    attempt           INTEGER,
    stream            TEXT,
    partition         TEXT,
    connector         TEXT    NOT NULL,
    method            TEXT    NOT NULL,
    endpoint          TEXT    NOT NULL,
    path              TEXT    NOT NULL,
    status            INTEGER,
    fault             TEXT,
    bytes_sent        INTEGER NOT NULL,
    bytes_received    INTEGER NOT NULL,
    sent_at_ms        INTEGER NOT NULL,
    waited_ms         INTEGER NOT NULL,
    took_ms           INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_of_job ON requests (tenant, job, id) WHERE job IS NOT NULL;
CREATE INDEX requests_by_age ON requests (sent_at_ms);

-- Requests of which no record was kept: counted, for want of room; and how often a
-- process ended without writing its last second down.
CREATE TABLE requests_lost (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    dropped     INTEGER NOT NULL,
    cut_short   INTEGER NOT NULL,
    is_recorded INTEGER NOT NULL CHECK (is_recorded IN (0, 1)) -- a process writes now
) STRICT;
INSERT INTO requests_lost VALUES (1, 0, 0, 0);
