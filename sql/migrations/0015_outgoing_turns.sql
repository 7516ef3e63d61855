-- Subscriptions of the server's own: when a SUBSCRIBE is to be sent is a deadline of its own, so that domains can take turns.
ALTER TABLE outgoing ADD COLUMN ask_at DOUBLE PRECISION;    -- NULL: none is; next_at is the earliest of the other deadlines
UPDATE outgoing SET ask_at = refresh_at, next_at = expires_at
WHERE in_flight_until IS NULL AND notify_by IS NULL AND (phase = 'established' OR (phase = 'waiting' AND wanted = 1));
CREATE INDEX outgoing_ask ON outgoing (ask_at);
CREATE INDEX outgoing_turn ON outgoing (domain, ask_at);
