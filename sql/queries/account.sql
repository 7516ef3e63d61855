-- Users who authenticate by digest.

-- name: account_save
INSERT INTO subscriber (username, domain, ha1, ha1_sha256, ha1b, ha1b_sha256)
VALUES (:username, :domain, :ha1, :ha1_sha256, :ha1b, :ha1b_sha256)
ON CONFLICT (username, domain) DO UPDATE SET ha1 = excluded.ha1, ha1_sha256 = excluded.ha1_sha256, ha1b = excluded.ha1b,
    ha1b_sha256 = excluded.ha1b_sha256;

-- name: account_load
SELECT username, domain, ha1, ha1_sha256, ha1b, ha1b_sha256 FROM subscriber WHERE username = :username AND domain = :domain;

-- name: account_remove
DELETE FROM subscriber WHERE username = :username AND domain = :domain;

-- Whether this is somebody: with a password, devices, something published, or somebody else to watch.
-- name: account_is_user
SELECT EXISTS (SELECT 1 FROM subscriber WHERE username = :username AND domain = :domain)
    OR EXISTS (SELECT 1 FROM location WHERE presentity = :uri)
    OR EXISTS (SELECT 1 FROM publication WHERE presentity = :uri)
    OR EXISTS (SELECT 1 FROM subscription WHERE watcher = :uri AND list_id || '' = '');

-- name: account_list
SELECT username, domain, ha1, ha1_sha256, ha1b, ha1b_sha256 FROM subscriber;
