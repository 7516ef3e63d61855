-- Bindings of the registrar.

-- name: location_load
SELECT ruid, username, domain, contact, received, expires, q, callid, cseq, user_agent, socket, methods, instance, reg_id
FROM location WHERE presentity = :presentity;

-- name: location_remove
DELETE FROM location WHERE presentity = :presentity;

-- name: location_save
INSERT INTO location (presentity, ruid, username, domain, contact, received, expires, q, callid, cseq, user_agent, socket, methods,
    instance, reg_id)
SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, column11, column12,
    CAST(column13 AS INTEGER), column14, column15
FROM (VALUES :rows) AS saved;

-- name: location_all
SELECT presentity, contact FROM location WHERE expires > :now;

-- name: location_received_over
SELECT DISTINCT presentity FROM location WHERE received IN (SELECT column1 FROM (VALUES :rows) AS closed);

-- name: location_any_expired
SELECT EXISTS (SELECT 1 FROM location WHERE expires <= :now);

-- name: location_remove_expired
DELETE FROM location WHERE expires <= :now;
