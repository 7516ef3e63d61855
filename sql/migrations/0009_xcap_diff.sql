-- Changes of documents are told to who watches them (xcap-diff, RFC 5875).

-- What a subscription was told, in its package's own words: what its next document is a change to.
ALTER TABLE subscription ADD COLUMN known TEXT NOT NULL DEFAULT '';
-- An expression, and not `package =`: SQLite would prepare every statement with `package = ?` anew each time it is run, in case the
-- index is of use to this value.
CREATE INDEX subscription_xcap_diff ON subscription (watcher) WHERE package || '' = 'xcap-diff';

-- Changes of documents that somebody watches with patches: short-lived.
CREATE TABLE xcap_change (
    tree TEXT NOT NULL,             -- as in xcap_document
    xui TEXT NOT NULL,
    auid TEXT NOT NULL,
    name TEXT NOT NULL,
    previous TEXT NOT NULL,         -- entity-tag before the change
    etag TEXT NOT NULL,             -- after it
    patch TEXT NOT NULL,            -- operations of RFC 5261 as they stand in a document, empty: it says the same as before
    changed_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (tree, xui, auid, name, previous)
);
CREATE INDEX xcap_change_age ON xcap_change (changed_at);
