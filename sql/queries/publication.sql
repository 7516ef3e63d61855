-- name: publication_create
INSERT INTO publication (presentity, package, id, etag, content_type, body, published_at, created_at, expires_at, qualified,
    source)
SELECT :presentity, :package, :id, :etag, :content_type, :body, CAST(:now AS DOUBLE PRECISION),
    CAST(:now AS DOUBLE PRECISION), CAST(:expires_at AS DOUBLE PRECISION), 0, :source
WHERE (CAST(:max_publications AS INTEGER) = 0 OR CAST(:max_publications AS INTEGER) >
        (SELECT COUNT(*) FROM publication
            WHERE presentity = :presentity AND package = :package AND source = :source AND expires_at > :now))
    AND NOT EXISTS (SELECT 1 FROM removal WHERE presentity = :presentity AND package = :package AND etag = :id)
ON CONFLICT (presentity, package, id) DO NOTHING;

-- name: publication_modify
UPDATE publication SET etag = :etag, content_type = :content_type, body = :body, published_at = :now, expires_at = :expires_at
WHERE presentity = :presentity AND package = :package AND etag = :entity_tag AND source = :source AND expires_at > :now;

-- name: publication_refresh
UPDATE publication SET etag = :etag, published_at = :now, expires_at = :expires_at
WHERE presentity = :presentity AND package = :package AND etag = :entity_tag AND source = :source AND expires_at > :now;

-- name: publication_remove
DELETE FROM publication
WHERE presentity = :presentity AND package = :package AND etag = :entity_tag AND source = :source AND expires_at > :now
RETURNING id;

-- name: publication_put
INSERT INTO publication (presentity, package, id, etag, content_type, body, published_at, created_at, expires_at, qualified,
    source)
VALUES (:presentity, :package, :id, :etag, :content_type, :body, :published_at, :created_at, :expires_at, 0, :source)
ON CONFLICT (presentity, package, id) DO UPDATE SET etag = excluded.etag, content_type = excluded.content_type,
    body = excluded.body, published_at = excluded.published_at, expires_at = excluded.expires_at,
    created_at = CASE WHEN publication.expires_at > excluded.published_at THEN publication.created_at ELSE excluded.created_at END
RETURNING created_at;

-- name: publication_take_away
DELETE FROM publication
WHERE presentity = :presentity AND package = :package AND id = :id AND source = :source AND expires_at > :now
RETURNING id;

-- name: publication_record_removal
INSERT INTO removal (presentity, package, etag, removed_at) VALUES (:presentity, :package, :etag, :now)
ON CONFLICT (presentity, package, etag) DO NOTHING;

-- What was published not long ago may come again until then, also when it has expired.
-- name: publication_record_expired
INSERT INTO removal (presentity, package, etag, removed_at)
SELECT presentity, package, id, created_at FROM publication
WHERE presentity = :presentity AND package = :package AND expires_at <= :now AND source = :source AND created_at >= :since
ON CONFLICT (presentity, package, etag) DO NOTHING;

-- name: publication_forget_removals
DELETE FROM removal WHERE removed_at < :before;

-- name: publication_published_since
SELECT 1 FROM publication
WHERE presentity = :presentity AND package = :package
    AND (etag = :etag AND published_at >= :since OR id = :etag AND created_at >= :since)
UNION ALL
SELECT 1 FROM removal
WHERE presentity = :presentity AND package = :package AND etag = :etag AND removed_at >= :since;

-- name: publication_has_tag
SELECT 1 FROM publication
WHERE presentity = :presentity AND package = :package AND etag = :entity_tag AND source = :source AND expires_at > :now;

-- name: publication_has_id
SELECT 1 FROM publication WHERE presentity = :presentity AND package = :package AND id = :id;

-- name: publication_load_many
SELECT presentity, package, id, etag, content_type, body, published_at, created_at, expires_at, qualified, source
FROM publication
WHERE package = :package AND expires_at > :now AND presentity IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY CASE source WHEN 'registrar' THEN 1 ELSE 0 END, created_at, id;

-- name: publication_qualify
UPDATE publication SET qualified = 1
WHERE (presentity, package, id) IN (
    SELECT presentity, package, id FROM publication
    WHERE (presentity, package, id) IN (SELECT column1, column2, column3 FROM (VALUES :rows) AS clashing)
    FOR UPDATE SKIP LOCKED);

-- name: publication_expired
SELECT DISTINCT presentity, package FROM publication WHERE expires_at <= :now LIMIT :limit;

-- name: publication_remove_expired
DELETE FROM publication WHERE presentity = :presentity AND package = :package AND expires_at <= :now;

-- name: publication_deadlines
SELECT EXISTS (SELECT 1 FROM publication WHERE expires_at <= :now), EXISTS (SELECT 1 FROM removal WHERE removed_at < :before);
