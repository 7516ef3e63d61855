-- Publications that show bindings of the registrar.

-- name: registration_shown
SELECT id FROM publication WHERE presentity = :presentity AND package = :package AND source = :source;

-- name: registration_all_shown
SELECT presentity, id FROM publication WHERE package = :package AND source = :source;

-- name: registration_show
INSERT INTO publication (presentity, package, id, etag, content_type, body, published_at, created_at, expires_at, qualified, source)
VALUES :rows
ON CONFLICT (presentity, package, id) DO UPDATE SET expires_at = excluded.expires_at;

-- name: registration_hide
DELETE FROM publication
WHERE presentity = :presentity AND package = :package AND id IN (SELECT column1 FROM (VALUES :rows) AS gone);
