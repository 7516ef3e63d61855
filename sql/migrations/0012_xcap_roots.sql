-- Presentities whose documents are below another XCAP root than xcap.xcap_root, as a script has said (set_xcap_root).
CREATE TABLE presentity_root (
    presentity TEXT NOT NULL PRIMARY KEY,   -- canonical URI
    root TEXT NOT NULL,                     -- one of xcap.other_roots
    since DOUBLE PRECISION NOT NULL         -- when a script said so last, about
);
