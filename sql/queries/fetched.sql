-- Documents of another XCAP server. One is in use when somebody watches its owner, or when it was asked for.

-- name: fetched_load
SELECT owner, uri, auid, known, body, etag, since, asked, failures, next_at FROM fetched WHERE owner = :owner AND uri = :uri;

-- name: fetched_ask_first
INSERT INTO fetched (owner, uri, auid, known, body, etag, since, asked, failures, next_at)
VALUES (:owner, :uri, :auid, :known, NULL, '', :now, 1, 0, :now) ON CONFLICT (owner, uri) DO NOTHING;

-- Who has the row locked is about to fetch it, or has just done so: nobody waits for that.
-- name: fetched_ask
UPDATE fetched SET asked = 1, next_at = COALESCE(next_at, :now) WHERE owner = :owner AND uri = (
    SELECT uri FROM fetched WHERE owner = :owner AND uri = :uri AND asked = 0 FOR UPDATE SKIP LOCKED);

-- name: fetched_deadlines
SELECT EXISTS (SELECT 1 FROM fetched WHERE next_at <= :now), EXISTS (SELECT 1 FROM fetched WHERE since <= :before);

-- name: fetched_claim
UPDATE fetched SET next_at = :until WHERE (owner, uri) IN (
    SELECT owner, uri FROM fetched
    WHERE next_at <= :now AND (asked = 1
        OR EXISTS (SELECT 1 FROM subscription WHERE resource = fetched.owner AND state <> 'terminated'))
    ORDER BY next_at LIMIT :limit FOR UPDATE OF fetched SKIP LOCKED)
RETURNING owner, uri, auid, known, body, etag, since, asked, failures, next_at;

-- name: fetched_rest
UPDATE fetched SET next_at = NULL WHERE next_at <= :now AND asked = 0
    AND NOT EXISTS (SELECT 1 FROM subscription WHERE resource = fetched.owner AND state <> 'terminated');

-- name: fetched_save
UPDATE fetched SET known = :known, body = :body, etag = :etag, since = :since, asked = :asked, failures = :failures,
    next_at = :next_at
WHERE owner = :owner AND uri = :uri;

-- name: fetched_over
SELECT owner, uri, auid, known, body, etag, since, asked, failures, next_at FROM fetched
WHERE since <= :before ORDER BY since LIMIT :limit;

-- name: fetched_remove_over
DELETE FROM fetched WHERE since <= :before AND known = 'unknown'
    AND NOT EXISTS (SELECT 1 FROM subscription WHERE resource = fetched.owner AND state <> 'terminated');

-- name: fetched_remove_foreign
DELETE FROM fetched WHERE substr(uri, 1, length(:root)) <> :root;
