-- Connections that one person authorised for one application use one grant: some
-- providers end the oldest of a person's authorisations when there are too many.
CREATE TABLE grants_by_holder (
    tenant             TEXT    NOT NULL,
    holder             TEXT    NOT NULL,   -- 'connection/method', or of an identity
    version            INTEGER NOT NULL CHECK (version > 0),
    sealed             BLOB    NOT NULL,
    state              TEXT    NOT NULL
                       CHECK (state IN ('active', 'unknown', 'refused', 'needs_reauth')),
    noted_ms           INTEGER NOT NULL,   -- of the state, or of the pair while it is active
    approvals          INTEGER NOT NULL DEFAULT 1,   -- times that its person authorised
    refresh_owner      TEXT,               -- null: nobody refreshes it
    refresh_expires_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, holder)
) STRICT, WITHOUT ROWID;

CREATE TABLE grant_uses (
    tenant     TEXT NOT NULL,
    connection TEXT NOT NULL,
    method     TEXT NOT NULL,
    holder     TEXT NOT NULL,
    PRIMARY KEY (tenant, connection, method)
) STRICT, WITHOUT ROWID;

INSERT INTO grants_by_holder
SELECT tenant, connection || '/' || method, version, sealed, state, noted_ms, 1,
       refresh_owner, refresh_expires_ms
FROM grants;

INSERT INTO grant_uses
SELECT tenant, connection, method, connection || '/' || method FROM grants;

DROP TABLE grants;
ALTER TABLE grants_by_holder RENAME TO grants;
CREATE INDEX grants_by_time ON grants (noted_ms) WHERE state = 'active';
CREATE INDEX grant_uses_by_holder ON grant_uses (tenant, holder);
