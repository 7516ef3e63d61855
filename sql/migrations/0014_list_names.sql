-- Display names of a list (RFC 4662 section 5.4) stand where it is told what it is made of, in a row of no document.
ALTER TABLE list_document ADD COLUMN names TEXT NOT NULL DEFAULT '';        -- JSON: [[language or "", text], ...]
