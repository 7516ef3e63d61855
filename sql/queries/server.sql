-- name: schema_applied
SELECT name FROM migration ORDER BY name;

-- name: schema_record
INSERT INTO migration (name) VALUES (:name);

-- name: server_initialise
INSERT INTO server (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;

-- name: server_value
SELECT value FROM server WHERE name = :name;

-- name: server_session (postgresql)
SELECT pg_backend_pid();

-- name: server_session_begins (postgresql)
-- What others see of it; and PostgreSQL misses a client that is gone without a word in 15 to 20 seconds.
SELECT
    set_config('application_name', :name, false),
    set_config('tcp_keepalives_idle', '5', false),
    set_config('tcp_keepalives_interval', '2', false),
    set_config('tcp_keepalives_count', '5', false),
    set_config('tcp_user_timeout', '15000', false);

-- name: server_lock (postgresql)
SELECT pg_try_advisory_lock(CAST(:lock AS integer), hashtext(COALESCE(current_schema(), '')));

-- name: server_lock_holder (postgresql)
SELECT COALESCE(NULLIF(activity.application_name, ''), 'another server'), held.pid, COALESCE(host(activity.client_addr), '')
FROM pg_locks AS held LEFT JOIN pg_stat_activity AS activity ON activity.pid = held.pid
WHERE held.locktype = 'advisory' AND held.objsubid = 2 AND held.granted
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.classid = CAST(:lock AS oid) AND held.objid = CAST(hashtext(COALESCE(current_schema(), '')) AS oid);
