-- Documents of another XCAP server, as they were when they were fetched last.
CREATE TABLE fetched (
    owner TEXT NOT NULL,            -- canonical URI of the user whose document it is, empty: of the global tree
    uri TEXT NOT NULL,              -- where it is fetched
    auid TEXT NOT NULL,             -- application usage, as pres-rules
    known TEXT NOT NULL,            -- what the server last said: unknown, document, missing
    body BYTEA,                     -- octets as they came, NULL: no document is known
    etag TEXT NOT NULL,
    since DOUBLE PRECISION NOT NULL,    -- when the server last said so, or since when nothing is known
    asked INTEGER NOT NULL,         -- 1: somebody needed a newer one since then
    failures INTEGER NOT NULL,      -- fetches in a row that brought no answer that can be used
    next_at DOUBLE PRECISION,       -- when to fetch it, NULL: when it is asked for
    PRIMARY KEY (owner, uri)
);
CREATE INDEX fetched_next ON fetched (next_at);
CREATE INDEX fetched_since ON fetched (since);
