-- What presencectl shows.

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
