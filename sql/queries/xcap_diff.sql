-- Who watches documents (RFC 5875), and what became of them.

-- name: xcap_diff_watching
SELECT id, event_parameters, body FROM subscription
WHERE package || '' = 'xcap-diff' AND state = 'active' AND watcher IN (SELECT column1 FROM (VALUES :rows) AS wanted);

-- name: xcap_diff_all_watching
SELECT id, event_parameters, body FROM subscription WHERE package || '' = 'xcap-diff' AND state = 'active';

-- name: xcap_diff_mark_due
UPDATE subscription SET {subscription_marked}
FROM (SELECT id AS marked_id, {subscription_due_at}
      FROM subscription
      WHERE id IN (SELECT column1 FROM (VALUES :rows) AS wanted) AND state = 'active'
      ORDER BY id FOR UPDATE) AS marked
WHERE subscription.id = marked.marked_id
RETURNING in_flight_since IS NOT NULL;

-- What these users may read: their own, and what is for everybody.
-- name: xcap_diff_entity_tags
SELECT tree, xui, auid, name, etag FROM xcap_document
WHERE tree = 'global' OR (tree = 'users' AND xui IN (SELECT column1 FROM (VALUES :rows) AS wanted))
ORDER BY tree, xui, auid, name;

-- name: xcap_diff_bodies
SELECT tree, xui, auid, name, body FROM xcap_document
WHERE (tree, xui, auid, name) IN (SELECT column1, column2, column3, column4 FROM (VALUES :rows) AS wanted);

-- name: xcap_diff_changes
SELECT tree, xui, auid, name, previous, etag, patch FROM xcap_change
WHERE (tree, xui, auid, name) IN (SELECT column1, column2, column3, column4 FROM (VALUES :rows) AS wanted);

-- name: xcap_diff_record
INSERT INTO xcap_change (tree, xui, auid, name, previous, etag, patch, changed_at)
SELECT :tree, :xui, :auid, :name, :previous, :etag, :patch, CAST(:changed_at AS DOUBLE PRECISION)
WHERE CAST(:most AS INTEGER) > (SELECT COUNT(*) FROM xcap_change WHERE tree = :tree AND xui = :xui AND auid = :auid AND name = :name);

-- name: xcap_diff_forget
DELETE FROM xcap_change WHERE changed_at < :oldest;
