-- What is read of one; fields of `kemi.b2bua.outgoing.Outgoing`, in their order.
-- part: outgoing_columns
watcher, resource, package, domain, created_at, fork, phase, wanted, dialog, call_id, remote_tag, remote_target, route_set,
    local_cseq, opening, remote_cseq, asked, least, in_flight_until, notify_by, refresh_at, expires_at, began_at, failures,
    why, challenge, nonce_count, tried, redirect, shown, reason, content_type, body, etag, version, is_list, max_forwards,
    path, source, trace, next_at, ask_at

-- name: outgoing_create
INSERT INTO outgoing ({outgoing_columns})
VALUES (:watcher, :resource, :package, :domain, :created_at, :fork, :phase, :wanted, :dialog, :call_id, :remote_tag,
    :remote_target, :route_set, :local_cseq, :opening, :remote_cseq, :asked, :least, :in_flight_until, :notify_by, :refresh_at,
    :expires_at, :began_at, :failures, :why, :challenge, :nonce_count, :tried, :redirect, :shown, :reason, :content_type, :body,
    :etag, :version, :is_list, :max_forwards, :path, :source, :trace, :next_at, :ask_at)
ON CONFLICT (watcher, resource, package, fork) DO NOTHING;

-- name: outgoing_load
SELECT {outgoing_columns}
FROM outgoing WHERE watcher = :watcher AND resource = :resource AND package = :package AND fork = 0 FOR UPDATE;

-- With its forks.
-- name: outgoing_family
SELECT {outgoing_columns}
FROM outgoing WHERE watcher = :watcher AND resource = :resource AND package = :package ORDER BY fork FOR UPDATE;

-- name: outgoing_look
SELECT {outgoing_columns}
FROM outgoing WHERE watcher = :watcher AND resource = :resource AND package = :package AND fork = :fork;

-- The first one, and the fork with this tag.
-- name: outgoing_of_dialog
SELECT {outgoing_columns}
FROM outgoing WHERE dialog = :dialog AND (fork = 0 OR remote_tag = :remote_tag) ORDER BY fork FOR UPDATE;

-- name: outgoing_resource_of
SELECT resource FROM outgoing WHERE dialog = :dialog LIMIT 1;

-- Those of which some other deadline has come than that a SUBSCRIBE is to be sent.
-- name: outgoing_claim
SELECT {outgoing_columns}
FROM outgoing WHERE next_at <= :now
ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED;

-- Who is watched in dialogs that answers came in, and in those of `outgoing_claim`.
-- name: outgoing_told_of
SELECT resource FROM outgoing WHERE dialog IN (SELECT column1 FROM (VALUES :rows) AS answered)
UNION SELECT resource FROM (SELECT resource FROM outgoing WHERE next_at <= :now ORDER BY next_at LIMIT :limit) AS due;

-- Domains that SUBSCRIBEs are to be sent to: how many (no more than are looked for), and how many wait for their answers. Goes from
-- domain to domain by the index, so those that are not due are not read.
-- name: outgoing_domains_due
WITH RECURSIVE each (domain) AS (
    SELECT MIN(domain) FROM outgoing
    UNION ALL SELECT (SELECT MIN(outgoing.domain) FROM outgoing WHERE outgoing.domain > each.domain)
    FROM each WHERE each.domain IS NOT NULL)
SELECT domain, due, in_flight FROM
    (SELECT domain,
        (SELECT COUNT(*) FROM (SELECT 1 FROM outgoing WHERE outgoing.domain = each.domain AND ask_at <= :now LIMIT :limit) AS few) AS due,
        (SELECT COUNT(*) FROM outgoing WHERE outgoing.domain = each.domain AND in_flight_until > :now) AS in_flight
     FROM each WHERE domain IS NOT NULL) AS counted
WHERE due > 0;

-- name: outgoing_claim_domain
SELECT {outgoing_columns}
FROM outgoing WHERE domain = :domain AND ask_at <= :now
ORDER BY ask_at LIMIT :limit FOR UPDATE SKIP LOCKED;

-- name: outgoing_save
UPDATE outgoing SET phase = :phase, wanted = :wanted, dialog = :dialog, call_id = :call_id, remote_tag = :remote_tag,
    remote_target = :remote_target, route_set = :route_set, local_cseq = :local_cseq, opening = :opening, remote_cseq = :remote_cseq,
    asked = :asked, least = :least, in_flight_until = :in_flight_until, notify_by = :notify_by, refresh_at = :refresh_at, expires_at =
    :expires_at, began_at = :began_at, failures = :failures, why = :why, challenge = :challenge, nonce_count = :nonce_count,
    tried = :tried, redirect = :redirect, shown = :shown, reason = :reason, content_type = :content_type, body = :body, etag =
    :etag, version = :version, is_list = :is_list, max_forwards = :max_forwards, path = :path, trace = :trace, next_at =
    :next_at, ask_at = :ask_at
WHERE watcher = :watcher AND resource = :resource AND package = :package AND fork = :fork;

-- name: outgoing_remove
DELETE FROM outgoing WHERE watcher = :watcher AND resource = :resource AND package = :package AND fork = :fork;

-- How many there are of a watcher, and of a domain; forks are not counted.
-- name: outgoing_count
SELECT (SELECT COUNT(*) FROM outgoing WHERE watcher = :watcher AND fork = 0),
    (SELECT COUNT(*) FROM outgoing WHERE domain = :domain AND fork = 0);

-- Watchers and domains that have as many as the limits allow; 0: no limit.
-- name: outgoing_full
SELECT 'b2b.max_per_watcher' AS parameter, watcher AS whose FROM outgoing WHERE fork = 0
GROUP BY watcher HAVING CAST(:per_watcher AS BIGINT) > 0 AND COUNT(*) >= CAST(:per_watcher AS BIGINT)
UNION ALL SELECT 'b2b.max_per_domain', domain FROM outgoing WHERE fork = 0
GROUP BY domain HAVING CAST(:per_domain AS BIGINT) > 0 AND COUNT(*) >= CAST(:per_domain AS BIGINT)
ORDER BY parameter, whose;

-- Those that nobody here watches any more; a fetch whose one NOTIFY is still to come does, and a member of a list that waits for it to
-- work. One that is a source has no subscriptions of its own (`outgoing_unsourced`). Forks go with the first one.
-- name: outgoing_unwanted
SELECT watcher, resource, package FROM outgoing
WHERE wanted = 1 AND fork = 0 AND source = '' AND NOT EXISTS
    (SELECT 1 FROM subscription
     WHERE subscription.resource = outgoing.resource AND subscription.package = outgoing.package
         AND subscription.watcher = outgoing.watcher
         AND (subscription.state <> 'terminated' OR (subscription.local_cseq = 0 AND subscription.list_id = '')
              OR (subscription.list_id <> '' AND subscription.reason = 'probation' AND subscription.expires_at > 0)))
LIMIT :limit;

-- name: outgoing_is_unwanted
SELECT 1 FROM outgoing
WHERE watcher = :watcher AND resource = :resource AND package = :package AND fork = 0 AND NOT EXISTS
    (SELECT 1 FROM subscription
     WHERE subscription.resource = outgoing.resource AND subscription.package = outgoing.package
         AND subscription.watcher = outgoing.watcher
         AND (subscription.state <> 'terminated' OR (subscription.local_cseq = 0 AND subscription.list_id = '')
              OR (subscription.list_id <> '' AND subscription.reason = 'probation' AND subscription.expires_at > 0)));

-- Those in domains that nobody may be watched in any more.
-- name: outgoing_unreachable
SELECT watcher, resource, package FROM outgoing
WHERE wanted = 1 AND fork = 0 AND source = '' AND domain NOT IN (SELECT column1 FROM (VALUES :rows) AS reachable)
LIMIT :limit;

-- Users who are watched, registered by a device that takes SUBSCRIBE (bit 64 of methods) and has no PUBLISH (8192), and publish
-- nothing.
-- name: outgoing_sourceless
SELECT DISTINCT resource FROM subscription
WHERE package = 'presence' AND state = 'active'
    AND EXISTS (SELECT 1 FROM location
                WHERE location.presentity = subscription.resource AND location.expires > :now
                    AND (methods IS NULL OR ((methods & 64) <> 0 AND (methods & 8192) = 0)))
    AND NOT EXISTS (SELECT 1 FROM publication
                    WHERE publication.presentity = subscription.resource AND publication.package = 'presence' AND source = 'publish')
    AND NOT EXISTS (SELECT 1 FROM outgoing
                    WHERE outgoing.watcher = :watcher AND outgoing.resource = subscription.resource AND outgoing.package = 'presence'
                        AND outgoing.wanted = 1)
LIMIT :limit;

-- name: outgoing_unsourced
SELECT watcher, resource, package FROM outgoing
WHERE wanted = 1 AND source <> '' AND (watcher <> :watcher
    OR NOT EXISTS (SELECT 1 FROM subscription
                   WHERE subscription.resource = outgoing.resource AND package = 'presence' AND state = 'active')
    OR NOT EXISTS (SELECT 1 FROM location WHERE location.presentity = outgoing.resource AND location.expires > :now)
    OR EXISTS (SELECT 1 FROM publication
               WHERE publication.presentity = outgoing.resource AND package = 'presence' AND publication.source = 'publish'))
LIMIT :limit;

-- name: outgoing_is_source
SELECT 1 FROM outgoing WHERE dialog = :dialog AND source <> '';

-- name: outgoing_deadline
SELECT EXISTS (SELECT 1 FROM outgoing WHERE next_at <= :now) OR EXISTS (SELECT 1 FROM outgoing WHERE ask_at <= :now);

-- name: outgoing_shown
SELECT watcher, resource, package, shown, content_type, body, version, remote_tag, began_at, fork FROM outgoing
WHERE (watcher, resource, package) IN (SELECT column1, column2, column3 FROM (VALUES :rows) AS asked);

-- name: outgoing_standing
SELECT watcher, resource, package, fork, wanted, shown, failures, reason, why FROM outgoing
WHERE (watcher, resource, package) IN (SELECT column1, column2, column3 FROM (VALUES :rows) AS asked);

-- After a start: refreshes whose answer nobody waits for any more are due again; a first SUBSCRIBE has Timer N.
-- name: outgoing_resume
UPDATE outgoing SET in_flight_until = NULL, notify_by = NULL, refresh_at = :now, ask_at = :now, next_at = expires_at
WHERE phase = 'established' AND in_flight_until IS NOT NULL;

-- A fetch that has waited for this, which has got no NOTIFY yet, stays terminated and gets it. A member of a list that was terminated
-- comes back as another one (RFC 4662 section 5.5, RFC 3858 section 3); one that has given up waiting does not wait again.
-- name: outgoing_tell_state
UPDATE subscription
SET decision = :decision,
    state = CASE WHEN list_id <> '' THEN :member_state WHEN state = 'terminated' THEN state ELSE :state END,
    reason = CASE WHEN list_id <> '' THEN :member_reason ELSE COALESCE(CAST(:reason AS TEXT), reason) END,
    created_at = CASE WHEN comes_back = 1 THEN CAST(:now AS DOUBLE PRECISION) ELSE created_at END,
    watcher_id = CASE WHEN comes_back = 1 THEN SUBSTR(watcher_id, 1, 8) || :token ELSE watcher_id END,
    due_at = :now, next_at = CASE WHEN in_flight_since IS NOT NULL THEN next_at ELSE :now END
FROM (SELECT id AS told_id,
          CASE WHEN list_id <> '' AND state = 'terminated' AND :member_state <> 'terminated' THEN 1 ELSE 0 END AS comes_back
      FROM subscription
      WHERE watcher = :watcher AND resource = :resource AND package = :package
          AND ((list_id = '' AND state <> :quiet AND (state <> 'terminated' OR local_cseq = 0))
               OR (list_id <> '' AND expires_at > 0
                   AND NOT (state = 'terminated' AND reason = 'giveup' AND :member_state = 'pending')))
      ORDER BY id FOR UPDATE) AS told
WHERE subscription.id = told.told_id
RETURNING in_flight_since IS NOT NULL;

-- The fetch of a list waits for members elsewhere of which nothing is known, nor that they cannot be asked.
-- name: outgoing_hold_list
UPDATE subscription SET next_at = :until
WHERE id = :id AND EXISTS
    (SELECT 1 FROM outgoing JOIN subscription AS member ON member.resource = outgoing.resource
         AND member.package = outgoing.package AND member.watcher = outgoing.watcher
     WHERE outgoing.watcher = :watcher AND outgoing.fork = 0 AND outgoing.shown = 'unknown' AND outgoing.failures = 0
         AND member.list_id <> '' AND member.expires_at = member.created_at);

-- When the last of them is known, the lists that this watcher fetches are told.
-- name: outgoing_release_lists
UPDATE subscription SET next_at = :now
FROM (SELECT id AS held_id FROM subscription
      WHERE watcher = :watcher AND list_id || '' = '' AND state = 'terminated' AND local_cseq = 0 AND next_at > :now
          AND EXISTS (SELECT 1 FROM subscription AS member WHERE member.list_id = subscription.id AND member.list_id <> '')
          AND NOT EXISTS
              (SELECT 1 FROM outgoing JOIN subscription AS member ON member.resource = outgoing.resource
                   AND member.package = outgoing.package AND member.watcher = outgoing.watcher
               WHERE outgoing.watcher = :watcher AND outgoing.fork = 0 AND outgoing.shown = 'unknown' AND outgoing.failures = 0
                   AND member.list_id <> '' AND member.expires_at = member.created_at)
      ORDER BY id FOR UPDATE) AS held
WHERE subscription.id = held.held_id
RETURNING in_flight_since IS NOT NULL;

-- name: outgoing_tell_document
UPDATE subscription SET {subscription_marked}
FROM (SELECT id AS marked_id, {subscription_due_at}
      FROM subscription
      WHERE watcher = :watcher AND resource = :resource AND package = :package AND state = 'active'
      ORDER BY id FOR UPDATE) AS marked
WHERE subscription.id = marked.marked_id
RETURNING in_flight_since IS NOT NULL;

-- name: outgoing_list
SELECT {outgoing_columns}
FROM outgoing
WHERE (:watcher = '' OR watcher = :watcher) AND (:resource = '' OR resource = :resource) AND (:domain = '' OR domain = :domain)
ORDER BY resource, watcher, package, fork LIMIT :limit;
