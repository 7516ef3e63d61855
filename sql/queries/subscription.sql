-- name: subscription_create
INSERT INTO subscription (
    id, package, event_id, resource, entity, watcher, decision, state, reason, accept, created_at, expires_at, call_id, local_uri,
    remote_uri, remote_tag, remote_target, route_set, local_cseq, remote_cseq, branch, socket, flow, connection, user_agent,
    due_at, in_flight_since, notified_at, notified_tag)
SELECT :id, :package, :event_id, :resource, :entity, :watcher, :decision, :state, :reason, :accept,
    CAST(:created_at AS DOUBLE PRECISION), CAST(:expires_at AS DOUBLE PRECISION), :call_id, :local_uri, :remote_uri, :remote_tag,
    :remote_target, :route_set, CAST(:local_cseq AS BIGINT), CAST(:remote_cseq AS BIGINT), :branch, :socket, :flow,
    CAST(:connection AS BIGINT), :user_agent, CAST(:due_at AS DOUBLE PRECISION), CAST(:in_flight_since AS DOUBLE PRECISION),
    CAST(:notified_at AS DOUBLE PRECISION), :notified_tag
WHERE (CAST(:max_watchers AS INTEGER) = 0 OR CAST(:max_watchers AS INTEGER) >
        (SELECT COUNT(*) FROM (SELECT 1 FROM subscription WHERE resource = :resource AND package = :package
                               LIMIT :max_watchers) AS counted))
    AND (CAST(:max_subscriptions AS INTEGER) = 0 OR CAST(:max_subscriptions AS INTEGER) >
        (SELECT COUNT(*) FROM (SELECT 1 FROM subscription WHERE watcher = :watcher LIMIT :max_subscriptions) AS counted))
ON CONFLICT (id) DO NOTHING;

-- name: subscription_load
SELECT id, package, event_id, resource, entity, watcher, decision, state, reason, accept, created_at, expires_at, call_id, local_uri,
    remote_uri, remote_tag, remote_target, route_set, local_cseq, remote_cseq, branch, socket, flow, connection, user_agent,
    due_at, in_flight_since, notified_at, notified_tag
FROM subscription WHERE id = :id FOR UPDATE;

-- name: subscription_refresh
UPDATE subscription SET decision = :decision, state = :state, reason = :reason, accept = :accept, expires_at = :expires_at,
    remote_target = :remote_target, remote_cseq = :remote_cseq, socket = :socket, flow = :flow, connection = :connection,
    user_agent = :user_agent, due_at = :due_at, notified_tag = :notified_tag
WHERE id = :id;

-- name: subscription_mark_due
UPDATE subscription
SET due_at = CASE WHEN notified_at + :interval > :now THEN notified_at + :interval ELSE :now END
WHERE id IN (SELECT id FROM subscription
             WHERE resource = :resource AND package = :package AND state = 'active' AND (due_at IS NULL OR due_at > :now)
             ORDER BY id FOR UPDATE);

-- name: subscription_claim
SELECT id, package, event_id, resource, entity, watcher, decision, state, reason, accept, created_at, expires_at, call_id, local_uri,
    remote_uri, remote_tag, remote_target, route_set, local_cseq, remote_cseq, branch, socket, flow, connection, user_agent,
    due_at, in_flight_since, notified_at, notified_tag
FROM subscription WHERE due_at <= :now AND in_flight_since IS NULL
ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED;

-- name: subscription_sent
UPDATE subscription SET local_cseq = sent.column2, in_flight_since = :now, notified_at = :now, state = sent.column3,
    reason = sent.column4, due_at = CASE WHEN due_at = sent.column5 THEN NULL ELSE due_at END, notified_tag = sent.column6
FROM (VALUES :rows) AS sent
WHERE subscription.id = sent.column1;

-- name: subscription_quiet
UPDATE subscription SET due_at = NULL
FROM (VALUES :rows) AS quiet
WHERE subscription.id = quiet.column1 AND subscription.due_at = quiet.column2;

-- name: subscription_answered
UPDATE subscription SET in_flight_since = NULL,
    remote_target = CASE WHEN answered.column3 = '' THEN remote_target ELSE answered.column3 END
FROM (VALUES :rows) AS answered
WHERE subscription.id = answered.column1 AND subscription.local_cseq = answered.column2
RETURNING id, state, due_at;

-- name: subscription_failed
UPDATE subscription SET in_flight_since = NULL, notified_tag = '',
    due_at = CASE WHEN failed.column3 > 0 THEN failed.column3 ELSE due_at END
FROM (VALUES :rows) AS failed
WHERE subscription.id = failed.column1 AND subscription.local_cseq = failed.column2
RETURNING id, state, due_at;

-- name: subscription_remove
DELETE FROM subscription WHERE id IN (SELECT column1 FROM (VALUES :rows) AS gone)
RETURNING id, resource, watcher, package;

-- name: subscription_resume
UPDATE subscription SET in_flight_since = NULL, due_at = :now WHERE in_flight_since IS NOT NULL;

-- name: subscription_end_expired
UPDATE subscription SET state = 'terminated', reason = 'timeout', due_at = :now
WHERE id IN (SELECT id FROM subscription WHERE expires_at <= :now AND state <> 'terminated'
             ORDER BY id LIMIT :limit FOR UPDATE)
RETURNING id, resource, watcher, package;

-- name: subscription_unanswered
SELECT id FROM subscription WHERE in_flight_since <= :before LIMIT :limit;

-- name: subscription_deadlines
SELECT EXISTS (SELECT 1 FROM subscription WHERE due_at <= :now AND in_flight_since IS NULL),
    EXISTS (SELECT 1 FROM subscription WHERE expires_at <= :now AND state <> 'terminated'),
    EXISTS (SELECT 1 FROM subscription WHERE in_flight_since <= :before);
