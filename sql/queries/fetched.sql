-- Documents of other XCAP servers. One is in use when somebody watches its owner, or a list that is made of it, or when it was asked
-- for.

-- name: fetched_load
SELECT owner, uri, auid, known, body, etag, since, asked, failures, next_at FROM fetched WHERE owner = :owner AND uri = :uri;

-- name: fetched_load_many
SELECT owner, uri, auid, known, body, etag, since, asked, failures, next_at FROM fetched
WHERE owner = :owner AND uri IN (SELECT column1 FROM (VALUES :rows) AS wanted);

-- name: fetched_ask_first
INSERT INTO fetched (owner, uri, auid, known, body, etag, since, asked, failures, next_at)
VALUES (:owner, :uri, :auid, :known, NULL, '', :now, 1, 0, :now) ON CONFLICT (owner, uri) DO NOTHING;

-- Who has the row locked is about to fetch it, or has just done so: nobody waits for that.
-- name: fetched_ask
UPDATE fetched SET asked = 1, next_at = COALESCE(next_at, :now) WHERE owner = :owner AND uri = (
    SELECT uri FROM fetched WHERE owner = :owner AND uri = :uri AND asked = 0 FOR UPDATE SKIP LOCKED);

-- By the operator; '' for every owner.
-- name: fetched_ask_all
UPDATE fetched SET asked = 1, next_at = :now WHERE :owner = '' OR owner = :owner
RETURNING owner, uri, known, since;

-- For the operator, without the documents; '' for every owner.
-- name: fetched_list
SELECT owner, uri, known, since, COALESCE(length(body), 0), failures, next_at FROM fetched
WHERE :owner = '' OR owner = :owner ORDER BY owner, uri LIMIT :limit;

-- name: fetched_deadlines
SELECT EXISTS (SELECT 1 FROM fetched WHERE next_at <= :now), EXISTS (SELECT 1 FROM fetched WHERE since <= :before);

-- name: fetched_claim
UPDATE fetched SET next_at = :until WHERE (owner, uri) IN (
    SELECT owner, uri FROM fetched
    WHERE next_at <= :now AND substr(uri, 1, length(:server)) = :server AND (asked = 1
        OR EXISTS (SELECT 1 FROM subscription WHERE resource = fetched.owner AND (state <> 'terminated' OR list_id <> ''))
        OR EXISTS (SELECT 1 FROM list_document WHERE document = fetched.auid || '/' || fetched.owner))
    ORDER BY next_at LIMIT :limit FOR UPDATE OF fetched SKIP LOCKED)
RETURNING owner, uri, auid, known, body, etag, since, asked, failures, next_at;

-- name: fetched_rest
UPDATE fetched SET next_at = NULL WHERE next_at <= :now AND asked = 0
    AND NOT EXISTS (SELECT 1 FROM subscription WHERE resource = fetched.owner AND (state <> 'terminated' OR list_id <> ''))
    AND NOT EXISTS (SELECT 1 FROM list_document WHERE document = fetched.auid || '/' || fetched.owner);

-- name: fetched_save
UPDATE fetched SET known = :known, body = :body, etag = :etag, since = :since, asked = :asked, failures = :failures,
    next_at = :next_at
WHERE owner = :owner AND uri = :uri;

-- name: fetched_over
SELECT owner, uri, auid, known, body, etag, since, asked, failures, next_at FROM fetched
WHERE since <= :before ORDER BY since LIMIT :limit;

-- name: fetched_remove_over
DELETE FROM fetched WHERE since <= :before AND known = 'unknown'
    AND NOT EXISTS (SELECT 1 FROM subscription WHERE resource = fetched.owner AND (state <> 'terminated' OR list_id <> ''))
    AND NOT EXISTS (SELECT 1 FROM list_document WHERE document = fetched.auid || '/' || fetched.owner);

-- name: fetched_remove_foreign
DELETE FROM fetched WHERE NOT EXISTS (
    SELECT 1 FROM (VALUES :rows) AS ours WHERE substr(fetched.uri, 1, length(column1)) = column1);

-- Presentities with another root than the usual one.

-- name: fetched_root_load
SELECT root, since FROM presentity_root WHERE presentity = :presentity;

-- name: fetched_root_remember
INSERT INTO presentity_root (presentity, root, since) VALUES (:presentity, :root, :now)
ON CONFLICT (presentity) DO UPDATE SET root = excluded.root, since = excluded.since;

-- name: fetched_root_forget
DELETE FROM presentity_root WHERE since <= :before
    AND NOT EXISTS (SELECT 1 FROM subscription WHERE resource = presentity_root.presentity)
    AND NOT EXISTS (SELECT 1 FROM fetched WHERE owner = presentity_root.presentity);
