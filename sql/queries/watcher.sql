-- Watchers without a subscription of their own, and what watcher information tells (RFC 3857).

-- Of one watcher one entry waits for a resource, and none while it has another subscription; for all resources as many as it may
-- have (0: any number), those that wait already first. What does not wait is terminated.
-- name: watcher_record
WITH ended AS (SELECT * FROM (VALUES :rows) AS given),
    judged AS MATERIALIZED (
        SELECT *, CASE WHEN column6 = 'waiting' AND (
            EXISTS (SELECT 1 FROM subscription AS other
                    WHERE other.resource = column2 AND other.package = column3 AND other.watcher = column4
                        AND other.state <> 'terminated' AND other.watcher_id NOT IN (SELECT ending.column1 FROM ended AS ending))
            OR EXISTS (SELECT 1 FROM watcher AS other
                       WHERE other.resource = column2 AND other.package = column3 AND other.watcher = column4
                           AND other.status = 'waiting' AND other.id <> column1)
            OR EXISTS (SELECT 1 FROM ended AS other
                       WHERE other.column2 = ended.column2 AND other.column3 = ended.column3 AND other.column4 = ended.column4
                           AND other.column6 = 'waiting' AND other.column1 > ended.column1))
            THEN 'terminated' ELSE column6 END AS judged_status,
            EXISTS (SELECT 1 FROM watcher AS known WHERE known.id = column1 AND known.status = 'waiting') AS waits
        FROM ended),
    waiting AS MATERIALIZED (
        SELECT watcher AS who, COUNT(*) AS entries FROM watcher
        WHERE status || '' = 'waiting' AND watcher IN (SELECT column4 FROM ended WHERE column6 = 'waiting')
        GROUP BY watcher),
    counted AS (
        SELECT *, CASE WHEN judged_status = 'waiting' AND CAST(:most AS INTEGER) > 0
            AND NOT waits AND CAST(:most AS INTEGER) < COALESCE((SELECT entries FROM waiting WHERE who = column4), 0)
                + ROW_NUMBER() OVER (PARTITION BY column4, judged_status, waits ORDER BY column1)
            THEN 'terminated' ELSE judged_status END AS status
        FROM judged)
INSERT INTO watcher (id, resource, package, watcher, display_name, status, event, subscribed_at, sequence, stored, expires_at)
SELECT column1, column2, column3, column4, column5, status, column7, column8,
    (SELECT COALESCE(MAX(changes), 0) FROM subscription WHERE resource = column2 AND package = column3 || '.winfo'), 0,
    CASE WHEN status = 'terminated' THEN :told_until ELSE column9 END
FROM counted
WHERE status = 'waiting'
    OR EXISTS (SELECT 1 FROM subscription WHERE resource = column2 AND package = column3 || '.winfo' AND state = 'active')
ON CONFLICT (id) DO UPDATE SET status = excluded.status, event = excluded.event, sequence = excluded.sequence,
    display_name = excluded.display_name, expires_at = excluded.expires_at;

-- name: watcher_waiting
SELECT id FROM watcher
WHERE resource = :resource AND package = :package AND watcher = :watcher AND status = 'waiting'
ORDER BY subscribed_at, id LIMIT 1 FOR UPDATE;

-- name: watcher_taken
DELETE FROM watcher WHERE id = :id AND EXISTS (SELECT 1 FROM subscription WHERE subscription.id = :subscription);

-- name: watcher_lock (postgresql)
SELECT id FROM subscription WHERE resource = :resource AND package = :package ORDER BY id FOR SHARE;

-- name: watcher_lock_recorded (postgresql)
SELECT id FROM watcher WHERE resource = :resource AND package = :package ORDER BY id FOR SHARE;

-- name: watcher_list
SELECT resource, id, watcher_id, watcher, display_name, state, watcher_event, created_at, expires_at, sequence, 0
FROM subscription
WHERE package = :package AND state <> 'terminated' AND resource IN (SELECT column1 FROM (VALUES :rows) AS wanted)
    AND expires_at > created_at
ORDER BY created_at, id;

-- name: watcher_list_recorded
SELECT resource, id, id, watcher, display_name, status, event, subscribed_at, expires_at, sequence, stored
FROM watcher
WHERE package = :package AND sequence IS NOT NULL AND resource IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY subscribed_at, id;

-- name: watcher_store
INSERT INTO watcher (id, resource, package, watcher, display_name, status, event, subscribed_at, sequence, stored, expires_at)
SELECT column1, column2, column3, column4, column5, column6, column7, column8, NULL, 1, column9
FROM (VALUES :rows) AS away WHERE true
ON CONFLICT (id) DO UPDATE SET status = excluded.status, display_name = excluded.display_name, expires_at = excluded.expires_at;

-- name: watcher_dump
UPDATE watcher SET sequence = (SELECT COALESCE(MAX(changes), 0) FROM subscription
    WHERE subscription.resource = watcher.resource AND subscription.package = watcher.package || '.winfo')
WHERE resource = :resource AND package = :package AND stored = 1 AND sequence IS NULL AND expires_at > :now;

-- name: watcher_has_stored
SELECT 1 FROM watcher
WHERE resource = :resource AND package = :package AND stored = 1 AND sequence IS NULL AND expires_at > :now LIMIT 1;

-- name: watcher_watches_itself
SELECT 1 FROM subscription
WHERE resource = :resource AND package = :package AND state = 'active' AND watcher = :resource LIMIT 1;

-- name: watcher_forget_told
WITH answered AS (
    SELECT resource, package, watcher, told FROM subscription WHERE id IN (SELECT column1 FROM (VALUES :rows) AS given))
DELETE FROM watcher
WHERE resource IN (SELECT resource FROM answered)
    AND EXISTS (
        SELECT 1 FROM answered
        WHERE answered.resource = watcher.resource AND answered.package = watcher.package || '.winfo'
            AND answered.told >= watcher.sequence
            AND (status = 'terminated' AND stored = 0 OR stored = 1 AND answered.watcher = watcher.resource))
    AND (stored = 1 OR NOT EXISTS (
        SELECT 1 FROM subscription AS behind
        WHERE behind.resource = watcher.resource AND behind.package = watcher.package || '.winfo' AND behind.state = 'active'
            AND behind.told < watcher.sequence));

-- name: watcher_over
SELECT id, resource, package, watcher, display_name, status, event, subscribed_at, expires_at, stored FROM watcher
WHERE expires_at <= :now AND (stored = 0 OR expires_at <= :cleaned) LIMIT :limit FOR UPDATE SKIP LOCKED;

-- name: watcher_remove
DELETE FROM watcher WHERE id IN (SELECT column1 FROM (VALUES :rows) AS gone);
