-- Users who authenticate by digest.

-- name: account_save
INSERT INTO subscriber (username, domain, ha1, ha1_sha256)
VALUES (:username, :domain, :ha1, :ha1_sha256)
ON CONFLICT (username, domain) DO UPDATE SET ha1 = excluded.ha1, ha1_sha256 = excluded.ha1_sha256;

-- name: account_load
SELECT username, domain, ha1, ha1_sha256 FROM subscriber WHERE username = :username AND domain = :domain;

-- name: account_remove
DELETE FROM subscriber WHERE username = :username AND domain = :domain;

-- name: account_list
SELECT username, domain, ha1, ha1_sha256 FROM subscriber;
