-- Documents that users keep here (XCAP, RFC 4825), and the services that are in them (RFC 4826 section 4).

CREATE TABLE xcap_document (
    tree TEXT NOT NULL,             -- users, global
    xui TEXT NOT NULL,              -- canonical URI of the user, empty below global
    auid TEXT NOT NULL,             -- application usage, as resource-lists
    name TEXT NOT NULL,             -- percent-encoded, in normal form, as index
    etag TEXT NOT NULL,             -- of the document with all its elements, new after every change, never used again
    content_type TEXT NOT NULL,
    body BYTEA NOT NULL,            -- octets as they came
    changed_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (tree, xui, auid, name)
);

-- The services of all rls-services documents: no two have the same URI.
CREATE TABLE xcap_service (
    uri TEXT PRIMARY KEY,           -- canonical
    xui TEXT NOT NULL,              -- whose document has it, empty: one below global
    name TEXT NOT NULL              -- of that document
);
CREATE INDEX xcap_service_document ON xcap_service (xui, name);
