-- Decisions about watchers by management, and the subscriptions and waiting watchers that a decision concerns.

-- name: decision_made
SELECT watcher, decision FROM decision
WHERE resource = :resource AND package = :package AND watcher IN (SELECT column1 FROM (VALUES :rows) AS wanted);

-- name: decision_made_of_many
SELECT resource, decision FROM decision
WHERE package = :package AND watcher = :watcher AND resource IN (SELECT column1 FROM (VALUES :rows) AS wanted);

-- The same, and what else these watchers are called.
-- name: decision_made_and_identities
WITH wanted AS (SELECT column1 FROM (VALUES :rows) AS given)
SELECT watcher, decision, '' FROM decision
WHERE resource = :resource AND package = :package AND watcher IN (SELECT column1 FROM wanted)
UNION ALL SELECT watcher, '', identity FROM asserted_identity
WHERE until > :now AND watcher IN (SELECT column1 FROM wanted);

-- name: decision_made_of_many_and_identities
SELECT resource, decision, '' FROM decision
WHERE package = :package AND watcher = :watcher AND resource IN (SELECT column1 FROM (VALUES :rows) AS wanted)
UNION ALL SELECT '', '', identity FROM asserted_identity WHERE until > :now AND watcher = :watcher;

-- name: decision_identities
SELECT identity, until FROM asserted_identity WHERE watcher = :watcher;

-- name: decision_identities_forget
DELETE FROM asserted_identity WHERE watcher = :watcher OR until <= :now;

-- name: decision_identities_save
INSERT INTO asserted_identity (watcher, identity, until)
SELECT :watcher, column1, CAST(:until AS DOUBLE PRECISION) FROM (VALUES :rows) AS asserted WHERE true
ON CONFLICT (watcher, identity) DO UPDATE SET until = excluded.until;

-- name: decision_save
INSERT INTO decision (resource, package, watcher, decision, decided_at)
VALUES (:resource, :package, :watcher, :decision, :decided_at)
ON CONFLICT (resource, package, watcher) DO UPDATE SET decision = excluded.decision, decided_at = excluded.decided_at;

-- name: decision_remove
DELETE FROM decision WHERE resource = :resource AND package = :package AND watcher = :watcher RETURNING decision;

-- name: decision_list
SELECT resource, package, watcher, decision, decided_at FROM decision
WHERE resource = :resource
ORDER BY package, watcher;

-- Subscriptions that have not ended; and members of lists that were refused, which are asked for again. Not so one that is a list
-- itself, and another user's.
-- name: decision_live
SELECT {subscription_columns}
FROM subscription
WHERE resource = :resource AND package = :package AND (:watcher = '' OR watcher = :watcher)
    AND (state <> 'terminated' OR (list_id <> '' AND reason IN ('rejected', 'giveup') AND expires_at > 0
                                   AND NOT EXISTS (SELECT 1 FROM xcap_service WHERE uri = subscription.resource)))
ORDER BY id FOR UPDATE;

-- name: decision_watchers
SELECT COUNT(*) FROM (SELECT 1 FROM subscription WHERE resource = :resource AND package = :package
                          AND (list_id = '' OR state <> 'terminated') LIMIT :most) AS counted;

-- name: decision_waiting
SELECT id, resource, package, watcher, display_name, status, event, subscribed_at, expires_at, stored FROM watcher
WHERE resource = :resource AND package = :package AND (:watcher = '' OR watcher = :watcher) AND status = 'waiting'
ORDER BY id FOR UPDATE;

-- name: decision_to_judge
SELECT DISTINCT resource, package FROM subscription
WHERE judge_at <= :now
    AND (state <> 'terminated' OR (list_id <> '' AND reason IN ('rejected', 'giveup') AND expires_at > 0
                                   AND NOT EXISTS (SELECT 1 FROM xcap_service WHERE uri = subscription.resource)))
ORDER BY resource, package LIMIT :limit;

-- name: decision_applied
UPDATE subscription SET decision = decided.column2, state = decided.column3, reason = decided.column4,
    watcher_event = decided.column5, due_at = CAST(decided.column6 AS DOUBLE PRECISION), next_at = decided.column7,
    permissions = decided.column8, judge_at = CAST(decided.column9 AS DOUBLE PRECISION), created_at = decided.column10,
    watcher_id = decided.column11
FROM (VALUES :rows) AS decided
WHERE subscription.id = decided.column1;
