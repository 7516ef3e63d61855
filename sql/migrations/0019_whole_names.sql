-- Clients may give the whole address as user name of their digest: HA1 is another then. Empty: made before it was kept, or taken over.
ALTER TABLE subscriber ADD COLUMN ha1b TEXT NOT NULL DEFAULT '';            -- MD5(username@domain:domain:password), hexadecimal
ALTER TABLE subscriber ADD COLUMN ha1b_sha256 TEXT NOT NULL DEFAULT '';     -- SHA-256 of the same
