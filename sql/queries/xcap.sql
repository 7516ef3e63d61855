-- Documents of the XCAP server.

-- name: xcap_load
SELECT etag, content_type, body, changed_at FROM xcap_document
WHERE tree = :tree AND xui = :xui AND auid = :auid AND name = :name;

-- One that is about to be changed, in a row that is there without it too: how many its owner has, and whom a change may concern: lists
-- that are made of it, who watches documents of its owner, who watches its owner or waits for that (as policy_watched).
-- name: xcap_load_to_change
SELECT (SELECT COUNT(*) FROM xcap_document WHERE tree = :tree AND xui = :xui),
    EXISTS (SELECT 1 FROM list_document WHERE document = :list_document),
    EXISTS (SELECT 1 FROM subscription WHERE package || '' = 'xcap-diff' AND state = 'active' AND watcher = :xui),
    EXISTS (SELECT 1 FROM subscription WHERE resource = :xui AND (state <> 'terminated' OR list_id <> ''))
        OR EXISTS (SELECT 1 FROM watcher WHERE resource = :xui AND status = 'waiting'),
    etag, content_type, body, changed_at
FROM (SELECT 1) AS always
LEFT JOIN xcap_document ON tree = :tree AND xui = :xui AND auid = :auid AND name = :name;

-- name: xcap_create
INSERT INTO xcap_document (tree, xui, auid, name, etag, content_type, body, changed_at)
VALUES (:tree, :xui, :auid, :name, :etag, :content_type, :body, :changed_at);

-- name: xcap_replace
UPDATE xcap_document SET etag = :etag, content_type = :content_type, body = :body, changed_at = :changed_at
WHERE tree = :tree AND xui = :xui AND auid = :auid AND name = :name;

-- name: xcap_remove
DELETE FROM xcap_document WHERE tree = :tree AND xui = :xui AND auid = :auid AND name = :name;

-- name: xcap_documents
SELECT name, etag, content_type, body, changed_at FROM xcap_document
WHERE tree = 'users' AND xui = :xui AND auid = :auid ORDER BY name;

-- name: xcap_directory
SELECT auid, name, etag, changed_at, LENGTH(body) FROM xcap_document
WHERE tree = 'users' AND xui = :xui ORDER BY auid, name;

-- Documents of one user or of all, of one application usage or of all ('').
-- name: xcap_list
SELECT tree, xui, auid, name, etag, content_type, changed_at, LENGTH(body) FROM xcap_document
WHERE (:xui = '' OR (tree = 'users' AND xui = :xui)) AND (:auid = '' OR auid = :auid)
ORDER BY tree, xui, auid, name LIMIT :limit;

-- name: xcap_service_documents
SELECT body FROM xcap_document
WHERE tree = 'users' AND auid = 'rls-services' AND name = 'index'
    AND xui IN (SELECT xui FROM xcap_service WHERE name = 'index')
ORDER BY xui;

-- name: xcap_service_remove
DELETE FROM xcap_service WHERE xui = :xui AND name = :name;

-- name: xcap_service_create
INSERT INTO xcap_service (uri, xui, name)
SELECT column1, :xui, :name FROM (VALUES :rows) AS wanted WHERE true
ON CONFLICT (uri) DO NOTHING
RETURNING uri;

-- Of the wanted URIs, each with its user and domain, those that name something else already.
-- name: xcap_service_taken
SELECT column1 FROM (VALUES :rows) AS wanted
WHERE EXISTS (SELECT 1 FROM subscriber WHERE username = column2 AND domain = column3)
    OR EXISTS (SELECT 1 FROM xcap_document WHERE tree = 'users' AND xui = column1)
    OR EXISTS (SELECT 1 FROM publication WHERE presentity = column1)
    OR EXISTS (SELECT 1 FROM location WHERE presentity = column1);

-- Of the wanted URIs those that a service has.
-- name: xcap_service_known
SELECT uri FROM xcap_service WHERE uri IN (SELECT column1 FROM (VALUES :rows) AS wanted);
