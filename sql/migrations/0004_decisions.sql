-- What management has decided about watchers, by presencectl: it is asked before any rule of the presentity.
CREATE TABLE decision (
    resource TEXT NOT NULL,         -- canonical URI of the presentity
    package TEXT NOT NULL,
    watcher TEXT NOT NULL,          -- canonical URI
    decision TEXT NOT NULL,         -- block, confirm, polite-block, allow
    decided_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (resource, package, watcher)
);
