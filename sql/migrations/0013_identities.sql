-- What else trusted sources have said of a watcher, besides the address that it is known by: rules may name that too.
CREATE TABLE asserted_identity (
    watcher TEXT NOT NULL,                  -- canonical URI
    identity TEXT NOT NULL,                 -- as it was asserted, as tel:+15551234
    until DOUBLE PRECISION NOT NULL,        -- it counts so long, unless it is asserted again
    PRIMARY KEY (watcher, identity)
);
CREATE INDEX asserted_identity_until ON asserted_identity (until);
