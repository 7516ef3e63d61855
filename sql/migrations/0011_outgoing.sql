-- Subscriptions that this server has with others (RFC 6665 section 4.1), one for each watcher, resource and event package.
CREATE TABLE outgoing (
    watcher TEXT NOT NULL,          -- canonical URI of who watches here, and in From
    resource TEXT NOT NULL,         -- canonical URI of who is watched
    package TEXT NOT NULL,
    domain TEXT NOT NULL,           -- of the resource
    created_at DOUBLE PRECISION NOT NULL,
    phase TEXT NOT NULL,            -- waiting, subscribing, established, leaving, stopped
    wanted INTEGER NOT NULL,        -- 1: somebody here watches
    dialog TEXT NOT NULL,           -- our tag, another one in each new dialog; empty: there was none
    call_id TEXT NOT NULL,
    remote_tag TEXT NOT NULL,       -- empty: no NOTIFY has come, there is no dialog
    remote_target TEXT NOT NULL,
    route_set TEXT NOT NULL,        -- Route header field value, empty: none
    local_cseq BIGINT NOT NULL,
    remote_cseq BIGINT NOT NULL,
    asked BIGINT NOT NULL,          -- Expires of the last SUBSCRIBE
    least BIGINT NOT NULL,          -- Min-Expires that the remote side has demanded
    in_flight_until DOUBLE PRECISION,   -- until when the SUBSCRIBE numbered local_cseq may be answered, NULL: it is
    notify_by DOUBLE PRECISION,     -- Timer N
    refresh_at DOUBLE PRECISION,    -- the next try, refresh, or end
    expires_at DOUBLE PRECISION,    -- until when the remote side is bound, and what is shown holds
    began_at DOUBLE PRECISION NOT NULL, -- first SUBSCRIBE of the dialog
    failures INTEGER NOT NULL,      -- tries in a row that brought no NOTIFY
    why TEXT NOT NULL,              -- the last failure
    challenge TEXT NOT NULL,        -- header lines that asked for credentials last
    nonce_count BIGINT NOT NULL,
    tried INTEGER NOT NULL,         -- 1: credentials for that challenge are on their way
    redirect TEXT NOT NULL,         -- Contact of a 3xx
    shown TEXT NOT NULL,            -- unknown, pending, active, terminated
    reason TEXT NOT NULL,           -- why terminated
    content_type TEXT NOT NULL,     -- of the document, empty: there is none
    body BYTEA NOT NULL,            -- octets as they came
    etag TEXT NOT NULL,             -- SIP-ETag of the document, empty: none
    version BIGINT NOT NULL,        -- number of the document, -1: it has none
    is_list INTEGER NOT NULL,       -- 1: asked for with Supported: eventlist
    max_forwards INTEGER NOT NULL,
    path TEXT NOT NULL,             -- servers that the wish came through
    source TEXT NOT NULL,           -- presentity of ours that this publishes for, empty: local subscriptions are told
    trace TEXT NOT NULL,            -- the last events, for people
    next_at DOUBLE PRECISION,       -- the earliest deadline, NULL: none
    PRIMARY KEY (watcher, resource, package)
);
CREATE INDEX outgoing_dialog ON outgoing (dialog);
CREATE INDEX outgoing_next ON outgoing (next_at);
CREATE INDEX outgoing_domain ON outgoing (domain, in_flight_until);
