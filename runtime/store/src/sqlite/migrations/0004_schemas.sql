-- What discoveries found in a connection, one row for each time that it was another.
CREATE TABLE catalogs (
    tenant          TEXT    NOT NULL,
    connection      TEXT    NOT NULL,
    number          INTEGER NOT NULL CHECK (number > 0),
    id              TEXT    NOT NULL,   -- sha256 of the streams
    connector       TEXT    NOT NULL,   -- the component that was asked
    asked           TEXT    NOT NULL,   -- hash of what it was asked with
    streams         TEXT    NOT NULL,   -- [CatalogStream] as JSON
    found_at_ms     INTEGER NOT NULL,
    confirmed_at_ms INTEGER NOT NULL,   -- when it was last found so
    PRIMARY KEY (tenant, connection, number)
) STRICT, WITHOUT ROWID;

-- The newest catalog was a document, without a history.
DELETE FROM documents WHERE kind = 'catalog';

-- What each stream of a sync lands under.
CREATE TABLE contracts (
    tenant        TEXT    NOT NULL,
    sync          TEXT    NOT NULL,
    stream        TEXT    NOT NULL,
    revision      INTEGER NOT NULL CHECK (revision > 0),
    contract      TEXT    NOT NULL,     -- Contract as JSON
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, sync, stream)
) STRICT, WITHOUT ROWID;
