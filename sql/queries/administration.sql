-- The publication of management, and what presencectl shows.

-- name: administration_publish
INSERT INTO publication (presentity, package, id, etag, content_type, body, published_at, created_at, expires_at, qualified,
    source)
VALUES (:presentity, :package, :id, :etag, :content_type, :body, :published_at, :created_at, :expires_at, 0, :source)
ON CONFLICT (presentity, package, id) DO UPDATE SET etag = excluded.etag, content_type = excluded.content_type,
    body = excluded.body, published_at = excluded.published_at, expires_at = excluded.expires_at,
    created_at = CASE WHEN publication.expires_at > excluded.published_at THEN publication.created_at ELSE excluded.created_at END
RETURNING created_at;

-- name: administration_unpublish
DELETE FROM publication
WHERE presentity = :presentity AND package = :package AND id = :id AND source = :source AND expires_at > :now
RETURNING id;

-- name: administration_presentities
SELECT presentity FROM publication WHERE package = :package AND expires_at > :now
UNION
SELECT resource FROM subscription WHERE package = :package AND state <> 'terminated'
ORDER BY 1 LIMIT :limit;

-- name: administration_publications
SELECT presentity, source, COUNT(*) FROM publication
WHERE package = :package AND expires_at > :now AND presentity IN (SELECT column1 FROM (VALUES :rows) AS wanted)
GROUP BY presentity, source ORDER BY presentity, source;

-- name: administration_watchers
SELECT resource, COUNT(DISTINCT watcher) FROM subscription
WHERE package = :package AND state <> 'terminated' AND resource IN (SELECT column1 FROM (VALUES :rows) AS wanted)
GROUP BY resource;

-- name: administration_subscriptions
SELECT {subscription_columns}
FROM subscription
WHERE (:resource = '' OR resource = :resource) AND (:package = '' OR package = :package) AND (:watcher = '' OR watcher = :watcher)
ORDER BY resource, package, watcher, created_at, id LIMIT :limit;

-- name: administration_recorded
SELECT id, resource, package, watcher, display_name, status, event, subscribed_at, expires_at, stored FROM watcher
WHERE resource = :resource AND (:package = '' OR package = :package)
ORDER BY package, subscribed_at, id;
