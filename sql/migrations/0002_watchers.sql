-- Watcher information (RFC 3857), conditional notification (RFC 5839), rate control (RFC 6446), sources beside PUBLISH.

-- Who put a publication there: publish, registrar, management, xcap, subscription.
ALTER TABLE publication ADD COLUMN source TEXT NOT NULL DEFAULT 'publish';

-- What a watched subscription tells in watcher information: an id other than its own, the event that caused its state, its number.
ALTER TABLE subscription ADD COLUMN watcher_id TEXT NOT NULL DEFAULT '';
ALTER TABLE subscription ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
ALTER TABLE subscription ADD COLUMN watcher_event TEXT NOT NULL DEFAULT 'subscribe';
ALTER TABLE subscription ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;     -- number of its last change, as counted in `changes`

-- What a subscription was told, and what it asked for.
ALTER TABLE subscription ADD COLUMN event_parameters TEXT NOT NULL DEFAULT '';  -- of its Event header field, those that its package knows
ALTER TABLE subscription ADD COLUMN version BIGINT NOT NULL DEFAULT 0;      -- documents sent to it so far
ALTER TABLE subscription ADD COLUMN changes BIGINT NOT NULL DEFAULT 0;      -- of watcher information: number of the newest change
ALTER TABLE subscription ADD COLUMN told BIGINT NOT NULL DEFAULT 0;         -- of watcher information: changes up to this number were told
ALTER TABLE subscription ADD COLUMN suppress TEXT NOT NULL DEFAULT '';      -- Suppress-If-Match in force: an entity-tag, or *
ALTER TABLE subscription ADD COLUMN rates TEXT NOT NULL DEFAULT '';         -- adopted from Event
ALTER TABLE subscription ADD COLUMN recent TEXT NOT NULL DEFAULT '';        -- when the last NOTIFYs were sent, for adaptive-min-rate
ALTER TABLE subscription ADD COLUMN least_gap DOUBLE PRECISION NOT NULL DEFAULT 0;  -- seconds between two NOTIFYs: 1/max-rate
ALTER TABLE subscription ADD COLUMN repeat_at DOUBLE PRECISION;             -- when a NOTIFY is sent though nothing is new: min-rate

-- Watchers without a subscription that the presentity is to hear of: waiting, just ended, or stored while it was away.
CREATE TABLE watcher (
    id TEXT PRIMARY KEY,            -- as in watcher information
    resource TEXT NOT NULL,
    package TEXT NOT NULL,
    watcher TEXT NOT NULL,
    display_name TEXT NOT NULL,
    status TEXT NOT NULL,           -- pending, active, waiting, terminated
    event TEXT NOT NULL,
    subscribed_at DOUBLE PRECISION NOT NULL,
    sequence BIGINT,                -- NULL: stored, not told before it is dumped
    stored INTEGER NOT NULL,        -- 1: removed when a NOTIFY that told it was answered 2xx
    expires_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX watcher_resource ON watcher (resource, package);
CREATE INDEX watcher_expires ON watcher (expires_at);
