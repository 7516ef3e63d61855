-- What Kamailio's registrar holds in memory: it reads this table when it starts (module usrloc, db_mode 4) and never writes it.
-- Columns are called as usrloc calls them; those with a default mean nothing here.

CREATE TABLE location (
    presentity TEXT NOT NULL,       -- canonical URI of the address of record
    ruid VARCHAR NOT NULL,          -- usrloc's name of the binding
    username VARCHAR NOT NULL,      -- username@domain is the address of record as usrloc writes it
    domain VARCHAR NOT NULL,
    contact VARCHAR NOT NULL,
    received VARCHAR NOT NULL,      -- URI of the connection it was registered over, where NOTIFYs to it go; empty: UDP
    expires BIGINT NOT NULL,        -- seconds since the epoch
    q DOUBLE PRECISION NOT NULL,    -- -1: none given
    callid VARCHAR NOT NULL,
    cseq INTEGER NOT NULL,
    user_agent VARCHAR NOT NULL,
    socket VARCHAR NOT NULL,        -- ours that the REGISTER came in on
    methods INTEGER,                -- bits of the methods in Allow, NULL: all
    instance VARCHAR,               -- +sip.instance, what a GRUU names
    reg_id INTEGER NOT NULL,
    path VARCHAR NOT NULL DEFAULT '',
    last_modified BIGINT NOT NULL DEFAULT 0,
    flags INTEGER NOT NULL DEFAULT 0,
    cflags INTEGER NOT NULL DEFAULT 0,
    server_id INTEGER NOT NULL DEFAULT 0,
    connection_id INTEGER NOT NULL DEFAULT -1,
    keepalive INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (presentity, ruid)
);
CREATE INDEX location_received ON location (received);
CREATE INDEX location_expires ON location (expires);
