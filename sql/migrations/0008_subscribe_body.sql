-- What the body of a SUBSCRIBE asks for, in its package's own words; empty: there was none.
ALTER TABLE subscription ADD COLUMN body TEXT NOT NULL DEFAULT '';
