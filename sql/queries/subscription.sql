-- Texts that stand in many statements, as {name}.

-- part: subscription_columns
id, package, event_id, resource, entity, watcher, decision, state, reason, accept, created_at, expires_at, call_id, local_uri,
remote_uri, remote_tag, remote_target, route_set, local_cseq, remote_cseq, branch, socket, flow, connection, user_agent,
due_at, in_flight_since, notified_at, notified_tag, next_at, watcher_id, display_name, watcher_event, sequence, event_parameters,
version, changes, told, suppress, rates, recent, least_gap, repeat_at, permissions, judge_at, body, list_id, known

-- When a change of now is told: not before the interval since the last NOTIFY is over. Where that one lies ahead, the clock was set back.
-- part: subscription_due_at
CASE WHEN due_at <= :now THEN due_at
     WHEN notified_at > :now THEN :now
     WHEN least_gap > :interval AND notified_at + least_gap > :now THEN notified_at + least_gap
     WHEN notified_at + :interval > :now THEN notified_at + :interval ELSE :now END AS due_at

-- The deadline of one that is due then; of one whose NOTIFY is in flight it stays that of the answer.
-- part: subscription_marked
due_at = marked.due_at,
    next_at = CASE WHEN in_flight_since IS NOT NULL THEN next_at
                   WHEN repeat_at < marked.due_at THEN repeat_at
                   WHEN marked.due_at < expires_at THEN marked.due_at ELSE expires_at END

-- How many watchers there are at most an index alone tells; only where that is too many are members of lists that ended left out.
-- name: subscription_create
INSERT INTO subscription (
    {subscription_columns})
SELECT :id, :package, :event_id, :resource, :entity, :watcher, :decision, :state, :reason, :accept,
    CAST(:created_at AS DOUBLE PRECISION), CAST(:expires_at AS DOUBLE PRECISION), :call_id, :local_uri, :remote_uri, :remote_tag,
    :remote_target, :route_set, CAST(:local_cseq AS BIGINT), CAST(:remote_cseq AS BIGINT), :branch, :socket, :flow,
    CAST(:connection AS BIGINT), :user_agent, CAST(:due_at AS DOUBLE PRECISION), CAST(:in_flight_since AS DOUBLE PRECISION),
    CAST(:notified_at AS DOUBLE PRECISION), :notified_tag, CAST(:next_at AS DOUBLE PRECISION), :watcher_id, :display_name,
    :watcher_event, (SELECT COALESCE(MAX(changes), 0) FROM subscription WHERE resource = :resource AND package = :watched_by),
    :event_parameters, CAST(:version AS BIGINT), CAST(:changes AS BIGINT), CAST(:told AS BIGINT), :suppress, :rates, :recent,
    CAST(:least_gap AS DOUBLE PRECISION), CAST(:repeat_at AS DOUBLE PRECISION), :permissions, CAST(:judge_at AS DOUBLE PRECISION),
    :body, :list_id, :known
WHERE (CAST(:max_watchers AS INTEGER) = 0 OR CAST(:max_watchers AS INTEGER) >
        (SELECT COUNT(*) FROM (SELECT 1 FROM subscription WHERE resource = :resource AND package = :package LIMIT :max_watchers) AS all_rows)
        OR CAST(:max_watchers AS INTEGER) >
        (SELECT COUNT(*) FROM (SELECT 1 FROM subscription WHERE resource = :resource AND package = :package
                                   AND (list_id = '' OR state <> 'terminated') LIMIT :max_watchers) AS counted))
    AND (CAST(:max_subscriptions AS INTEGER) = 0 OR CAST(:max_subscriptions AS INTEGER) >
        (SELECT COUNT(*) FROM (SELECT 1 FROM subscription WHERE watcher = :watcher AND list_id || '' = '' LIMIT :max_subscriptions) AS counted))
    AND NOT EXISTS (SELECT 1 FROM xcap_service WHERE uri = :single)
ON CONFLICT (id) DO NOTHING;

-- name: subscription_load
SELECT {subscription_columns}
FROM subscription WHERE id = :id FOR UPDATE;

-- name: subscription_refresh
UPDATE subscription SET decision = :decision, state = :state, reason = :reason, accept = :accept, expires_at = :expires_at,
    remote_target = :remote_target, remote_cseq = :remote_cseq, branch = :branch, socket = :socket, flow = :flow, connection = :connection,
    user_agent = :user_agent, due_at = :due_at, in_flight_since = :in_flight_since, notified_tag = :notified_tag, next_at = :next_at,
    watcher_event = :watcher_event, event_parameters = :event_parameters, suppress = :suppress, rates = :rates, recent = :recent,
    least_gap = :least_gap, repeat_at = :repeat_at, permissions = :permissions, judge_at = :judge_at, body = :body
WHERE id = :id;

-- name: subscription_number
UPDATE subscription SET sequence = (SELECT COALESCE(MAX(telling.changes), 0) FROM subscription AS telling
    WHERE telling.resource = subscription.resource AND telling.package = subscription.package || '.winfo')
WHERE id IN (SELECT column1 FROM (VALUES :rows) AS changed);

-- name: subscription_mark_due
UPDATE subscription SET {subscription_marked}
FROM (SELECT id AS marked_id, {subscription_due_at}
      FROM subscription
      WHERE resource = :resource AND package = :package AND state = 'active'
      ORDER BY id FOR UPDATE) AS marked
WHERE subscription.id = marked.marked_id
RETURNING in_flight_since IS NOT NULL;

-- name: subscription_mark_telling
UPDATE subscription SET changes = changes + 1, {subscription_marked}
FROM (SELECT id AS marked_id, {subscription_due_at}
      FROM subscription
      WHERE resource = :resource AND package = :package AND state = 'active'
      ORDER BY id FOR UPDATE) AS marked
WHERE subscription.id = marked.marked_id
RETURNING in_flight_since IS NOT NULL;

-- name: subscription_mark_all_telling
UPDATE subscription SET changes = changes + 1, {subscription_marked}
FROM (SELECT id AS marked_id, {subscription_due_at}
      FROM subscription
      WHERE (resource, package) IN (SELECT column1, column2 FROM (VALUES :rows) AS watched) AND state = 'active'
      ORDER BY id FOR UPDATE) AS marked
WHERE subscription.id = marked.marked_id
RETURNING in_flight_since IS NOT NULL;

-- name: subscription_claim
SELECT {subscription_columns}
FROM subscription WHERE next_at <= :now
ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED;

-- name: subscription_claim_again
SELECT {subscription_columns}
FROM subscription WHERE next_at <= :now AND id IN (SELECT column1 FROM (VALUES :rows) AS claimed)
ORDER BY next_at FOR UPDATE SKIP LOCKED;

-- name: subscription_put_off
UPDATE subscription SET next_at = CASE WHEN expires_at < :until THEN expires_at ELSE :until END WHERE id = :id;

-- name: subscription_expired
UPDATE subscription SET state = 'terminated', reason = 'timeout' WHERE id IN (SELECT column1 FROM (VALUES :rows) AS over);

-- name: subscription_sent
UPDATE subscription SET local_cseq = sent.column2, in_flight_since = :now, notified_at = :now, next_at = :deadline,
    state = sent.column3, reason = sent.column4, due_at = NULL, notified_tag = sent.column5
FROM (VALUES :rows) AS sent
WHERE subscription.id = sent.column1;

-- name: subscription_told
UPDATE subscription SET version = sent.column2, told = sent.column3, suppress = sent.column4,
    changes = CASE WHEN sent.column3 > changes THEN sent.column3 ELSE changes END,
    recent = sent.column5, repeat_at = CAST(sent.column6 AS DOUBLE PRECISION), known = sent.column7
FROM (VALUES :rows) AS sent
WHERE subscription.id = sent.column1;

-- name: subscription_quiet
UPDATE subscription SET due_at = NULL, next_at = CASE WHEN repeat_at < expires_at THEN repeat_at ELSE expires_at END
WHERE id IN (SELECT column1 FROM (VALUES :rows) AS quiet);

-- Watched ones before those that tell of them, as a SUBSCRIBE locks them that changes its subscription's state.
-- name: subscription_lock (postgresql)
SELECT id FROM subscription WHERE id IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY LENGTH(package) - LENGTH(REPLACE(package, '.winfo', '')), id FOR UPDATE;

-- name: subscription_answered
UPDATE subscription SET in_flight_since = NULL,
    next_at = CASE WHEN due_at < expires_at AND (repeat_at IS NULL OR due_at < repeat_at) THEN due_at
                   WHEN repeat_at < expires_at THEN repeat_at ELSE expires_at END,
    remote_target = CASE WHEN answered.column3 = '' OR flow = :ourselves THEN remote_target ELSE answered.column3 END
FROM (VALUES :rows) AS answered
WHERE subscription.id = answered.column1 AND subscription.local_cseq = answered.column2 AND in_flight_since IS NOT NULL
RETURNING id, state, due_at, package;

-- name: subscription_rate
UPDATE subscription SET rates = :rates, recent = :recent, least_gap = :least_gap, repeat_at = :repeat_at,
    next_at = CASE WHEN in_flight_since IS NOT NULL THEN next_at
                   WHEN due_at < expires_at AND due_at < COALESCE(CAST(:repeat_at AS DOUBLE PRECISION), expires_at) THEN due_at
                   WHEN CAST(:repeat_at AS DOUBLE PRECISION) < expires_at THEN CAST(:repeat_at AS DOUBLE PRECISION)
                   ELSE expires_at END
WHERE id = :id;

-- name: subscription_failed
UPDATE subscription SET in_flight_since = NULL, notified_tag = '',
    due_at = CASE WHEN failed.column3 > 0 AND state <> 'terminated' THEN failed.column3 ELSE due_at END,
    next_at = CASE WHEN failed.column3 > 0 AND state <> 'terminated' AND failed.column3 < expires_at THEN failed.column3
                   WHEN NOT (failed.column3 > 0 AND state <> 'terminated') AND due_at < expires_at THEN due_at
                   WHEN repeat_at < expires_at THEN repeat_at ELSE expires_at END
FROM (VALUES :rows) AS failed
WHERE subscription.id = failed.column1 AND subscription.local_cseq = failed.column2 AND in_flight_since IS NOT NULL
RETURNING id, state, due_at, local_cseq;

-- A list's members go with it, and the members of lists among them.
-- name: subscription_remove
WITH RECURSIVE gone (id) AS (
    SELECT column1 FROM (VALUES :rows) AS given
    UNION SELECT member.id FROM gone JOIN subscription AS member ON member.list_id = gone.id AND member.list_id <> '')
DELETE FROM subscription WHERE id IN (SELECT id FROM subscription WHERE id IN (SELECT id FROM gone) ORDER BY id FOR UPDATE)
RETURNING id, package, resource, watcher, watcher_id, display_name, created_at, expires_at, state;

-- name: subscription_resume
UPDATE subscription SET in_flight_since = NULL, due_at = :now, next_at = :now, notified_tag = ''
WHERE in_flight_since IS NOT NULL;

-- name: subscription_disconnect
UPDATE subscription SET connection = :gone WHERE connection > 0;

-- name: subscription_sockets
SELECT DISTINCT socket FROM subscription WHERE list_id = '';

-- Its next NOTIFY says in Contact where its watcher finds us now.
-- name: subscription_move
UPDATE subscription SET socket = :ours, due_at = :now, next_at = :now, notified_tag = '' WHERE socket = :gone AND list_id = '';

-- name: subscription_deadlines
SELECT EXISTS (SELECT 1 FROM subscription WHERE next_at <= :now),
    EXISTS (SELECT 1 FROM watcher WHERE expires_at <= :now AND (stored = 0 OR expires_at <= :cleaned)),
    EXISTS (SELECT 1 FROM subscription WHERE judge_at <= :now AND (state <> 'terminated' OR list_id <> ''));
