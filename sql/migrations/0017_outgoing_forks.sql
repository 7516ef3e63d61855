-- Subscriptions of the server's own, in packages that allow forks (RFC 6665 section 5.4.9): each notifier that answers the same SUBSCRIBE
-- is a row. `fork` becomes a part of the key, so the table is made anew.
CREATE TABLE outgoing_before AS SELECT * FROM outgoing;
DROP TABLE outgoing;
CREATE TABLE outgoing (
    watcher TEXT NOT NULL,
    resource TEXT NOT NULL,
    package TEXT NOT NULL,
    domain TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    fork BIGINT NOT NULL,           -- 0: who was the first to answer, and what asks anew; else others who did, numbered
    phase TEXT NOT NULL,
    wanted INTEGER NOT NULL,
    dialog TEXT NOT NULL,           -- our tag, the same in all forks
    call_id TEXT NOT NULL,
    remote_tag TEXT NOT NULL,
    remote_target TEXT NOT NULL,
    route_set TEXT NOT NULL,
    local_cseq BIGINT NOT NULL,
    opening BIGINT NOT NULL,        -- CSeq of the SUBSCRIBE that opened the dialog, the last one without a tag in To
    remote_cseq BIGINT NOT NULL,
    asked BIGINT NOT NULL,
    least BIGINT NOT NULL,
    in_flight_until DOUBLE PRECISION,
    notify_by DOUBLE PRECISION,
    refresh_at DOUBLE PRECISION,
    expires_at DOUBLE PRECISION,
    began_at DOUBLE PRECISION NOT NULL, -- when the SUBSCRIBE numbered `opening` was sent
    failures INTEGER NOT NULL,
    why TEXT NOT NULL,
    challenge TEXT NOT NULL,
    nonce_count BIGINT NOT NULL,
    tried INTEGER NOT NULL,
    redirect TEXT NOT NULL,
    shown TEXT NOT NULL,
    reason TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body BYTEA NOT NULL,
    etag TEXT NOT NULL,
    version BIGINT NOT NULL,
    is_list INTEGER NOT NULL,
    max_forwards INTEGER NOT NULL,
    path TEXT NOT NULL,
    source TEXT NOT NULL,
    trace TEXT NOT NULL,
    next_at DOUBLE PRECISION,
    ask_at DOUBLE PRECISION,
    PRIMARY KEY (watcher, resource, package, fork)
);
INSERT INTO outgoing (watcher, resource, package, domain, created_at, fork, phase, wanted, dialog, call_id, remote_tag, remote_target,
    route_set, local_cseq, opening, remote_cseq, asked, least, in_flight_until, notify_by, refresh_at, expires_at, began_at, failures,
    why, challenge, nonce_count, tried, redirect, shown, reason, content_type, body, etag, version, is_list, max_forwards, path,
    source, trace, next_at, ask_at)
SELECT watcher, resource, package, domain, created_at, 0, phase, wanted, dialog, call_id, remote_tag, remote_target,
    route_set, local_cseq, local_cseq, remote_cseq, asked, least, in_flight_until, notify_by, refresh_at, expires_at, began_at, failures,
    why, challenge, nonce_count, tried, redirect, shown, reason, content_type, body, etag, version, is_list, max_forwards, path,
    source, trace, next_at, ask_at
FROM outgoing_before;
DROP TABLE outgoing_before;
CREATE INDEX outgoing_dialog ON outgoing (dialog);
CREATE INDEX outgoing_next ON outgoing (next_at);
CREATE INDEX outgoing_domain ON outgoing (domain, in_flight_until, fork);
CREATE INDEX outgoing_ask ON outgoing (ask_at);
CREATE INDEX outgoing_turn ON outgoing (domain, ask_at);
