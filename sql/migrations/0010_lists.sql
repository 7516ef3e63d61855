-- Resource lists (RFC 4662): a list subscription is a subscription whose package is `<package>;list`. For each member it has a
-- subscription of its own, of the package itself and without a dialog, whose notifications go into those of the list.
ALTER TABLE subscription ADD COLUMN list_id TEXT NOT NULL DEFAULT '';       -- the list that this one is a member's of; empty: it has a dialog
DROP INDEX subscription_watcher;
CREATE INDEX subscription_watcher ON subscription (watcher) WHERE list_id || '' = '';        -- an expression: see 0009
CREATE INDEX subscription_list ON subscription (list_id) WHERE list_id <> '';
CREATE INDEX subscription_list_due ON subscription (list_id) WHERE list_id <> '' AND due_at IS NOT NULL;

-- The documents that a list subscription is made of, so that a change of one of them finds it.
CREATE TABLE list_document (
    subscription TEXT NOT NULL,     -- id of the list subscription
    document TEXT NOT NULL,         -- e.g. resource-lists/users/sip:alice@example.org/index; or the URI of another server's
    PRIMARY KEY (subscription, document)
);
CREATE INDEX list_document_document ON list_document (document);
