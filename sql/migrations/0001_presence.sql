-- The state of the presence server. Times are seconds since the epoch; one text for SQLite and PostgreSQL.

CREATE TABLE server (
    name TEXT PRIMARY KEY,          -- secret: key of the tokens this server makes
    value TEXT NOT NULL
);

CREATE TABLE subscriber (
    username TEXT NOT NULL,
    domain TEXT NOT NULL,
    ha1 TEXT NOT NULL,              -- MD5(username:domain:password), hexadecimal
    ha1_sha256 TEXT NOT NULL,       -- SHA-256 of the same
    PRIMARY KEY (username, domain)
);

-- One row a publication (RFC 3903). `id` never changes while the publication lives, `etag` with every 2xx.
CREATE TABLE publication (
    presentity TEXT NOT NULL,       -- canonical URI
    package TEXT NOT NULL,
    id TEXT NOT NULL,
    etag TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body BYTEA NOT NULL,
    published_at DOUBLE PRECISION NOT NULL,     -- last 2xx
    created_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    qualified INTEGER NOT NULL,     -- 1: its ids carry a suffix in composed documents, for ever
    PRIMARY KEY (presentity, package, id)
);
CREATE INDEX publication_expires ON publication (expires_at);

-- Entity-tags given out with removals, kept as long as the PUBLISH may be retransmitted.
CREATE TABLE removal (
    presentity TEXT NOT NULL,
    package TEXT NOT NULL,
    etag TEXT NOT NULL,
    removed_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (presentity, package, etag)
);
CREATE INDEX removal_removed ON removal (removed_at);

-- One row a subscription dialog (RFC 6665). `id` is our tag in it.
CREATE TABLE subscription (
    id TEXT PRIMARY KEY,
    package TEXT NOT NULL,
    event_id TEXT,
    resource TEXT NOT NULL,         -- canonical URI of the presentity
    entity TEXT NOT NULL,           -- the URI that the watcher asked for
    watcher TEXT NOT NULL,          -- canonical URI, authenticated
    decision TEXT NOT NULL,         -- of the presentity's rules: block, confirm, polite-block, allow
    state TEXT NOT NULL,            -- pending, active, terminated
    reason TEXT,                    -- why terminated
    accept TEXT NOT NULL,           -- body type of its NOTIFY requests
    created_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    call_id TEXT NOT NULL,
    local_uri TEXT NOT NULL,
    remote_uri TEXT NOT NULL,
    remote_tag TEXT NOT NULL,
    remote_target TEXT NOT NULL,
    route_set TEXT NOT NULL,        -- Route header field value, empty: none
    local_cseq BIGINT NOT NULL,
    remote_cseq BIGINT NOT NULL,
    branch TEXT NOT NULL,           -- of the latest SUBSCRIBE, tells a retransmission
    socket TEXT NOT NULL,           -- ours that the SUBSCRIBE came in on, e.g. udp:127.0.0.1:5060
    flow TEXT NOT NULL,             -- next hop when not the target, e.g. sip:127.0.0.1:4711;transport=ws; empty: the target
    connection BIGINT NOT NULL,     -- Kamailio's id of the connection that the flow needs, 0: none
    user_agent TEXT NOT NULL,
    due_at DOUBLE PRECISION,        -- when a NOTIFY is to go out, NULL: nothing to tell
    in_flight_since DOUBLE PRECISION,   -- when the NOTIFY numbered local_cseq was sent, NULL: answered
    notified_at DOUBLE PRECISION NOT NULL,
    notified_tag TEXT NOT NULL,     -- names the state and document that the last NOTIFY carried
    next_at DOUBLE PRECISION NOT NULL   -- deadline: of the answer if in flight, else due_at, else expires_at
);
CREATE INDEX subscription_resource ON subscription (resource, package);
CREATE INDEX subscription_watcher ON subscription (watcher);
CREATE INDEX subscription_next ON subscription (next_at);
