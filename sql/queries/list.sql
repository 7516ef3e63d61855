-- Lists of resources (RFC 4662): their members, which are subscriptions too, and the documents that they are made of.

-- name: list_members
SELECT {subscription_columns}
FROM subscription WHERE list_id <> '' AND list_id IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY id FOR UPDATE;

-- Members that a document will tell of, of lists in lists too, in the order that everybody locks them in: all of one that is told
-- in full (1), else those that have news.
-- name: list_lock (postgresql)
SELECT id FROM subscription WHERE id IN (
    WITH RECURSIVE told (id, is_full) AS (
        SELECT column1, column2 FROM (VALUES :rows) AS wanted
        UNION SELECT member.id, told.is_full FROM told JOIN subscription AS member
            ON member.list_id = told.id AND member.list_id <> '' AND (told.is_full = 1 OR member.due_at IS NOT NULL))
    SELECT id FROM told)
ORDER BY id FOR UPDATE;

-- name: list_lock_resources (postgresql)
SELECT pg_advisory_xact_lock(hashtextextended(column1, 0)) FROM (VALUES :rows) AS wanted;

-- name: list_active
SELECT resource FROM subscription WHERE list_id = :list_id AND list_id <> '' AND state = 'active';

-- name: list_members_due
SELECT {subscription_columns}
FROM subscription
WHERE list_id <> '' AND due_at IS NOT NULL AND list_id IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY id FOR UPDATE;

-- name: list_create_members
INSERT INTO subscription (
    id, package, event_id, resource, entity, watcher, decision, state, reason, accept, created_at, expires_at, call_id, local_uri,
    remote_uri, remote_tag, remote_target, route_set, local_cseq, remote_cseq, branch, socket, flow, connection, user_agent,
    due_at, in_flight_since, notified_at, notified_tag, next_at, watcher_id, display_name, sequence, permissions, judge_at, body,
    list_id)
SELECT column1, column2, NULL, column3, column4, :watcher, column5, column6, column7, :accept, CAST(:now AS DOUBLE PRECISION),
    CAST(:expires_at AS DOUBLE PRECISION), '', '', '', '', '', '', 0, 0, '', '', '', 0, :user_agent,
    CAST(:now AS DOUBLE PRECISION), NULL, 0, '', CAST(:never AS DOUBLE PRECISION), column8, :display_name,
    (SELECT COALESCE(MAX(telling.changes), 0) FROM subscription AS telling
     WHERE telling.resource = column3 AND telling.package = column2 || '.winfo'),
    column9, CAST(column10 AS DOUBLE PRECISION), column11, :list_id
FROM (VALUES :rows) AS wanted WHERE true
ON CONFLICT (id) DO NOTHING;

-- name: list_change_members
UPDATE subscription SET entity = changed.column2, decision = changed.column3, state = changed.column4, reason = changed.column5,
    permissions = changed.column6, judge_at = CAST(changed.column7 AS DOUBLE PRECISION), body = changed.column8,
    due_at = :now, expires_at = changed.column9, created_at = changed.column10, watcher_id = changed.column11
FROM (VALUES :rows) AS changed
WHERE subscription.id = changed.column1;

-- name: list_prolong_members
UPDATE subscription SET expires_at = :expires_at, user_agent = :user_agent, accept = :accept
WHERE list_id = :list_id AND list_id <> '' AND expires_at > 0;

-- Members that have news, by list: the list is due, when its interval is over. One that somebody else works on is left for later.
-- name: list_mark_due
UPDATE subscription
SET due_at = CASE WHEN state = 'active' THEN marked.due_at ELSE subscription.due_at END,
    next_at = CASE WHEN in_flight_since IS NOT NULL OR state <> 'active' THEN next_at
                   WHEN repeat_at < marked.due_at THEN repeat_at
                   WHEN marked.due_at < expires_at THEN marked.due_at ELSE expires_at END
FROM (SELECT id AS marked_id, {subscription_due_at}
      FROM subscription
      WHERE id IN (SELECT column1 FROM (VALUES :rows) AS wanted)
      ORDER BY id FOR UPDATE SKIP LOCKED) AS marked
WHERE subscription.id = marked.marked_id
RETURNING id;

-- name: list_hold_members
UPDATE subscription SET next_at = :until WHERE id IN (SELECT column1 FROM (VALUES :rows) AS passed_on);

-- Watchers that wait for a decision of these resources; their subscriptions take their places.
-- name: list_take_waiting
DELETE FROM watcher
WHERE status = 'waiting' AND package = :package AND watcher = :watcher AND resource IN (SELECT column1 FROM (VALUES :rows) AS watched)
RETURNING resource, id;

-- name: list_members_told
UPDATE subscription SET notified_tag = told.column2, next_at = :never,
    due_at = CASE WHEN told.column2 = '' THEN COALESCE(due_at, CAST(:now AS DOUBLE PRECISION)) END
FROM (VALUES :rows) AS told
WHERE subscription.id = told.column1;

-- name: list_go_on
UPDATE subscription SET due_at = CAST(:now AS DOUBLE PRECISION) + least_gap WHERE id IN (SELECT column1 FROM (VALUES :rows) AS unfinished);

-- name: list_changed
UPDATE subscription
SET changes = changes + 1, due_at = :now, next_at = CASE WHEN in_flight_since IS NOT NULL THEN next_at ELSE :now END
FROM (SELECT id AS changed_id FROM subscription
      WHERE state = 'active' AND id IN (SELECT subscription FROM list_document WHERE document = :document)
      ORDER BY id FOR UPDATE) AS changed
WHERE subscription.id = changed.changed_id
RETURNING in_flight_since IS NOT NULL;

-- A SUBSCRIBE that finds that there is no such list any more writes its state after this one: the list is made anew once more.
-- name: list_end
UPDATE subscription SET state = 'terminated', reason = 'noresource', changes = changes + 1 WHERE id = :id;

-- name: list_documents_remove
DELETE FROM list_document WHERE subscription IN (SELECT column1 FROM (VALUES :rows) AS gone);

-- name: list_documents_save
INSERT INTO list_document (subscription, document, names)
SELECT column1, column2, column3 FROM (VALUES :rows) AS used WHERE true
ON CONFLICT (subscription, document) DO NOTHING;

-- name: list_names
SELECT subscription, names FROM list_document
WHERE document = '' AND subscription IN (SELECT column1 FROM (VALUES :rows) AS wanted);

-- Of the wanted resources those that have more watchers of a package than `others`. An index alone tells that most have not.
-- name: list_crowded
SELECT column1 FROM (VALUES :rows) AS wanted
WHERE EXISTS (SELECT 1 FROM subscription WHERE resource = column1 AND package = :package LIMIT 1 OFFSET :others)
    AND EXISTS (SELECT 1 FROM subscription
                WHERE resource = column1 AND package = :package AND (list_id = '' OR state <> 'terminated')
                LIMIT 1 OFFSET :others);

-- A service stands in the document of a user, or in one below global.
-- name: list_service
SELECT service.xui, document.body FROM xcap_service AS service
JOIN xcap_document AS document
    ON document.tree = CASE WHEN service.xui = '' THEN 'global' ELSE 'users' END AND document.xui = service.xui
    AND document.auid = 'rls-services' AND document.name = service.name
WHERE service.uri = :uri;

-- name: list_owner
SELECT xui FROM xcap_service WHERE uri = :uri;

-- Subscriptions that are no list's, of clients that support lists, as ids tell.
-- name: list_singly
SELECT {subscription_columns}
FROM subscription
WHERE resource IN (SELECT column1 FROM (VALUES :rows) AS listed) AND list_id = '' AND state <> 'terminated'
    AND substr(id, 1, CAST(:octets AS INTEGER)) = :tag AND (:watcher = '' OR watcher = :watcher)
ORDER BY id FOR UPDATE;

-- Of the wanted users, each with its name and domain, those that there are.
-- name: list_known_users
SELECT column1 FROM (VALUES :rows) AS wanted
WHERE EXISTS (SELECT 1 FROM subscriber WHERE username = column2 AND domain = column3);

-- What presencectl shows; no locks. The wanted rows are names of packages of lists.
-- name: list_all
SELECT {subscription_columns}
FROM subscription
WHERE list_id = '' AND package IN (SELECT column1 FROM (VALUES :rows) AS wanted)
    AND (:resource = '' OR resource = :resource) AND (:watcher = '' OR watcher = :watcher)
ORDER BY watcher, resource, created_at, id LIMIT :limit;

-- name: list_members_shown
SELECT {subscription_columns}
FROM subscription WHERE list_id <> '' AND list_id IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY id;

-- Members of lists by state, those of lists in them not counted.
-- name: list_states
SELECT list_id, state, COUNT(*) FROM subscription
WHERE list_id <> '' AND expires_at > 0 AND list_id IN (SELECT column1 FROM (VALUES :rows) AS wanted)
GROUP BY list_id, state;

-- name: list_documents
SELECT subscription, document FROM list_document
WHERE document <> '' AND subscription IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY subscription, document;
