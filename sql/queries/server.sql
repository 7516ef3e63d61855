-- name: schema_applied
SELECT name FROM migration ORDER BY name;

-- name: schema_record
INSERT INTO migration (name) VALUES (:name);

-- name: server_initialise
INSERT INTO server (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;

-- name: server_value
SELECT value FROM server WHERE name = :name;
