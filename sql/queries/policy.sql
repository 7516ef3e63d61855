-- Presence rules of a user, as far as they are documents that are kept here (AUIDs of kemi.presence.rules).

-- name: policy_documents
SELECT auid, name, body FROM xcap_document
WHERE tree = 'users' AND xui = :owner AND auid IN ('pres-rules', 'org.openmobilealliance.pres-rules')
ORDER BY auid, name;

-- The same, and rules for the package dialog.
-- name: policy_documents_with_dialog
SELECT auid, name, body FROM xcap_document
WHERE tree = 'users' AND xui = :owner
    AND auid IN ('pres-rules', 'org.openmobilealliance.pres-rules', 'dialog-rules', 'org.openxcap.dialog-rules')
ORDER BY auid, name;

-- Rules of a user for MESSAGE: all, or the document of this name alone.
-- name: policy_message_documents
SELECT name, body FROM xcap_document
WHERE tree = 'users' AND xui = :owner AND auid = 'im-rules' AND (:name = '' OR name = :name)
ORDER BY name;

-- Whether rules matter to somebody now, members of lists that were refused among them.
-- name: policy_watched
SELECT EXISTS (SELECT 1 FROM subscription WHERE resource = :resource AND (state <> 'terminated' OR list_id <> ''))
    OR EXISTS (SELECT 1 FROM watcher WHERE resource = :resource AND status = 'waiting');

-- name: policy_documents_of_many
SELECT xui, auid, name, body FROM xcap_document
WHERE tree = 'users' AND auid IN ('pres-rules', 'org.openmobilealliance.pres-rules')
    AND xui IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY xui, auid, name;

-- name: policy_documents_with_dialog_of_many
SELECT xui, auid, name, body FROM xcap_document
WHERE tree = 'users'
    AND auid IN ('pres-rules', 'org.openmobilealliance.pres-rules', 'dialog-rules', 'org.openxcap.dialog-rules')
    AND xui IN (SELECT column1 FROM (VALUES :rows) AS wanted)
ORDER BY xui, auid, name;
