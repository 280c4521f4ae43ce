-- A grant may wait for its refusal to be confirmed, and says since when it is as it is.
CREATE TABLE grants_with_time (
    tenant             TEXT    NOT NULL,
    connection         TEXT    NOT NULL,
    method             TEXT    NOT NULL,
    version            INTEGER NOT NULL CHECK (version > 0),
    sealed             BLOB    NOT NULL,
    state              TEXT    NOT NULL
                       CHECK (state IN ('active', 'unknown', 'refused', 'needs_reauth')),
    noted_ms           INTEGER NOT NULL,   -- of the state, or of the pair while it is active
    refresh_owner      TEXT,               -- null: nobody refreshes it
    refresh_expires_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, connection, method)
) STRICT, WITHOUT ROWID;

INSERT INTO grants_with_time
SELECT tenant, connection, method, version, sealed, state,
       CAST(unixepoch('subsec') * 1000 AS INTEGER), refresh_owner, refresh_expires_ms
FROM grants;

DROP TABLE grants;
ALTER TABLE grants_with_time RENAME TO grants;
CREATE INDEX grants_by_time ON grants (noted_ms) WHERE state = 'active';
