-- The call that issued each credential, and who made that call.

-- Issuing calls whose answer the log does not show: found by principal and second. A delegated session is issued by
-- GetDelegatedAccessToken alone (AWS STS API Reference), which names no principal; what else its records say (principal,
-- creation date, OAuth session) may be its approver's.
CREATE TABLE unissued AS
SELECT s.*, f.form FROM seen s JOIN seen_forms f ON f.ck = s.ck WHERE f.form <> 'long' AND NOT s.delegated;

-- Of those of one second that nothing tells apart the first stands for all: an answer that is left out leaves many alike.
CREATE TABLE keyless AS
SELECT * FROM (
  SELECT call, event_id, time, key = '' AS unnamed, child, role_arn, session_name, api, sign_in_session, caller_class, caller_type,
         caller_principal, caller_created, caller_key,
         row_number() OVER (PARTITION BY time, key = '', child, role_arn, session_name, api, sign_in_session, caller_class,
           caller_type, caller_principal, caller_created, caller_key ORDER BY event_id, call) AS place
  FROM calls
  WHERE (key = '' OR api = 'GetSigninToken') AND api NOT IN ('SwitchRole', 'GetRoleCredentials', 'Federate', 'GetWebIdentityToken', 'lakeformation:GetDataAccess')
) WHERE place = 1;

-- Each under all seconds that it may have issued in: to join by the second alone is to look at few.
CREATE VIEW keyless_near AS
SELECT c.*, c.time + o.later AS second, abs(o.later) AS apart
FROM keyless c CROSS JOIN (VALUES (-2), (-1), (0), (1), (2)) AS o(later);

-- How such calls and credentials may belong together, each with how weak that is: by principal and second, by role,
-- session name and second, by the OAuth session, by a sign-in URL. `births` takes the strongest and nearest.
CREATE TABLE unkeyed AS
SELECT s.ck, c.call, c.event_id, c.time, 'matched' AS link,
       CASE WHEN c.sign_in_session = s.sign_in_session THEN 0 ELSE 1 END AS weaker, c.apart
FROM unissued s JOIN keyless_near c ON c.child = s.principal_id AND c.second = s.created
WHERE NOT s.forwarded AND (c.api <> 'ConsoleLogin' OR (c.caller_class = 'none' AND c.caller_type IN ('IAMUser', 'Root')))
  AND (c.api NOT LIKE 'CreateOAuth2Token%' OR (s.form = 'key' AND NOT s.console))
  AND (c.api <> 'GetSigninToken' OR s.form = 'group')
  AND NOT (c.caller_principal = s.principal_id AND c.caller_created = s.created)
UNION ALL
SELECT s.ck, c.call, c.event_id, c.time, 'matched', 1, c.apart
FROM unissued s JOIN keyless_near c ON c.role_arn = s.issuer_arn AND c.second = s.created
WHERE NOT s.forwarded AND c.unnamed AND c.child = ''
  AND coalesce(c.session_name, split_part(s.principal_id, ':', -1)) = split_part(s.principal_id, ':', -1)
UNION ALL
-- A grant of OAuth names the session that all that is got by it bears, at any time (AWS Sign-In User Guide, 'Configure
-- OAuth access to AWS MCP Server', 'Monitoring OAuth activity').
SELECT s.ck, c.call, c.event_id, c.time, 'matched', 0, s.created - c.time
FROM unissued s JOIN keyless c ON c.sign_in_session = s.sign_in_session AND c.child = s.principal_id
WHERE s.sign_in_session IS NOT NULL AND c.api LIKE 'CreateOAuth2Token%' AND c.time < s.created - 2
  AND NOT s.console AND NOT s.forwarded
  AND NOT (c.caller_principal = s.principal_id AND c.caller_created = s.created)
UNION ALL
-- A sign-in URL is good for 15 minutes (IAM User Guide, 'Enabling custom identity broker access to the AWS console').
SELECT ck, call, event_id, time, 'inferred', 2, apart FROM (
  SELECT s.ck, c.call, c.event_id, c.time, s.created - c.time AS apart,
         min(c.caller_key) OVER (PARTITION BY s.ck) AS lowest, max(c.caller_key) OVER (PARTITION BY s.ck) AS highest
  FROM unissued s JOIN keyless c ON c.child = s.principal_id AND c.time BETWEEN s.created - 900 AND s.created
  WHERE s.form = 'group' AND s.console AND c.api = 'GetSigninToken'
    AND NOT (c.caller_principal = s.principal_id AND c.caller_created = s.created)
) WHERE lowest = highest;

-- Each sign-in with the console session that it opened, the nearest within two seconds, if any was seen.
CREATE TABLE sign_ins AS
SELECT l.call, l.event_id, l.child, l.time, found.ck, coalesce(found.apart, 0) AS apart
FROM signed_in l LEFT JOIN (
  SELECT * FROM (
    SELECT l.call, s.ck, abs(s.created - l.time) AS apart,
           row_number() OVER (PARTITION BY l.call ORDER BY abs(s.created - l.time), s.created) AS place,
           rank() OVER (PARTITION BY s.ck ORDER BY abs(s.created - l.time)) AS nearer  -- another sign-in may be its own
    FROM signed_in l JOIN unissued s ON s.principal_id = l.child AND abs(s.created - l.time) <= 2
    WHERE s.form = 'group' AND (s.created = l.time OR NOT s.forwarded)
  ) WHERE place = 1 AND nearer = 1
) found ON found.call = l.call;

-- What calls made that others then act through, and which credential made it.
CREATE TABLE made AS
SELECT w.ck, m.* FROM makings m JOIN credential_identities w ON w.segment = m.segment AND w.identity = m.identity;

-- Access keys and API keys that the evidence shows made, and when.
CREATE TABLE made_keys AS
SELECT coalesce(account, '') AS account, id AS key, min(time) AS time FROM made
WHERE what IN ('access_key', 'api_key') AND id IS NOT NULL GROUP BY account, id;

-- Credentials that nobody was seen using: sign-ins, and keys that were made.
CREATE TABLE unseen_forms AS
SELECT numbered() AS ck, f.*
FROM (
  SELECT 'group' AS form, '' AS account, '' AS key, child AS principal, time AS created FROM sign_ins WHERE ck IS NULL
  UNION
  SELECT 'long', account, key, '', -1 FROM made_keys m
  WHERE NOT EXISTS (SELECT 1 FROM seen_forms s WHERE s.form = 'long' AND s.account = m.account AND s.key = m.key)
) f;

-- All credentials that no issuing call names the key of, seen in use or not.
CREATE TABLE forms AS SELECT * FROM seen_forms UNION ALL SELECT * FROM unseen_forms;

-- Where a role's account names no caller key, the caller's account may: the two share an id.
CREATE TABLE twins AS
SELECT c.call, c.shared_id, c.event_id, c.segment, c.identity FROM calls c
JOIN (SELECT DISTINCT shared_id FROM calls WHERE caller_type = 'AWSAccount') o ON o.shared_id = c.shared_id
WHERE c.caller_type <> 'AWSAccount';

-- Whose key speaks for the caller, and which credential that is.
CREATE TABLE minters AS
SELECT c.call, c.twin, w.ck FROM (
  SELECT a.call, TRUE AS twin, t.segment, t.identity FROM calls a
  JOIN (
    SELECT shared_id, min_by(segment, event_id) AS segment, min_by(identity, event_id) AS identity
    FROM twins GROUP BY shared_id
  ) t ON t.shared_id = a.shared_id
  WHERE a.caller_type = 'AWSAccount'
  UNION ALL
  SELECT call, TRUE, segment, identity FROM twins
  UNION ALL
  SELECT call, FALSE, segment, identity FROM calls c
  WHERE NOT EXISTS (SELECT 1 FROM twins t WHERE t.shared_id = c.shared_id)
) c JOIN credential_identities w ON w.segment = c.segment AND w.identity = c.identity;

-- Lake Formation names each session that it gives for the data of a location: a session of the role that the location was
-- registered with (AWS Lake Formation Developer Guide, 'Cross-account CloudTrail logging').
CREATE TABLE data_accesses AS
SELECT c.call, c.event_id, c.time, c.session_name, c.caller_account, c.caller_principal, m.ck AS caller_ck
FROM calls c LEFT JOIN minters m ON m.call = c.call
WHERE c.api = 'lakeformation:GetDataAccess' AND c.session_name LIKE 'AWSLF-%';

-- The sessions of those names: used, or issued to the service and not used.
CREATE TABLE vended AS
SELECT DISTINCT n.ck, n.unissued, d.* FROM data_accesses d JOIN (
  SELECT ck, split_part(principal_id, ':', -1) AS session_name, coalesce(created, first) AS time, TRUE AS unissued FROM unissued
  WHERE principal_id LIKE '%:AWSLF-%'
  UNION ALL
  SELECT call, session_name, time, FALSE FROM calls
  WHERE api = 'AssumeRole' AND key <> '' AND caller_class = 'none' AND caller_service AND session_name LIKE 'AWSLF-%'
) n ON n.session_name = d.session_name AND n.time BETWEEN d.time - 43200 AND d.time + 43200;

-- Those of which all records name one caller; a session that several callers asked for is nobody's.
CREATE TABLE vended_to_one AS
SELECT ck, min(caller_ck) AS caller_ck FROM vended
GROUP BY ck HAVING count(DISTINCT caller_account || '/' || caller_principal) = 1 AND count(DISTINCT caller_ck) <= 1;

-- The call that issued each credential, and how that is known.
CREATE TABLE births AS
SELECT call AS ck, call, 'recorded' AS link, time FROM issued
UNION ALL
SELECT ck, call, link, time FROM (
  SELECT b.*, row_number() OVER (PARTITION BY ck ORDER BY weaker, apart, time, event_id) AS place FROM (
    SELECT * FROM unkeyed
    UNION ALL
    SELECT v.ck, v.call, v.event_id, v.time, 'matched', CASE WHEN v.caller_ck IS NULL THEN 4 ELSE 3 END, 0
    FROM vended v JOIN vended_to_one o ON o.ck = v.ck WHERE v.unissued
    UNION ALL
    SELECT coalesce(l.ck, f.ck), l.call, l.event_id, l.time, 'recorded', 0, l.apart
    FROM sign_ins l LEFT JOIN unseen_forms f ON f.form = 'group' AND f.principal = l.child AND f.created = l.time
  ) b
) WHERE place = 1;

-- Who asked for the session, or for the token that opened it, in another call than the one that issued it. A token is
-- known by its id in both partitions of AWS (IAM User Guide, 'Auditing cross-partition identity federation').
CREATE TABLE requesters AS
SELECT ck, caller_ck FROM vended_to_one WHERE caller_ck IS NOT NULL
UNION ALL
SELECT b.ck, min(m.ck) FROM births b
JOIN calls c ON c.call = b.call AND c.api = 'AssumeRoleWithWebIdentity'
JOIN calls t ON t.token_id = c.token_id AND t.api = 'GetWebIdentityToken'
LEFT JOIN minters m ON m.call = t.call
GROUP BY b.ck HAVING count(DISTINCT t.caller_account || '/' || t.caller_principal) = 1 AND count(DISTINCT m.ck) = 1;

-- What a credential that no call names is called.
CREATE TABLE names AS
SELECT f.ck, f.form,
  CASE WHEN f.form = 'group' THEN f.principal || '@' || iso(f.created)
       WHEN f.form = 'long' THEN f.key
       ELSE coalesce(s.some_key, coalesce(s.principal_id, '') || '@' || iso(s.created)) END AS name
FROM forms f LEFT JOIN seen s ON s.ck = f.ck;

-- All credentials, and what is known of each so far.
CREATE TABLE known AS SELECT ck FROM seen UNION SELECT ck FROM births UNION SELECT ck FROM unseen_forms;

CREATE VIEW described AS
SELECT k.ck, f.form, coalesce(f.name, c.key) AS natural_id, s.created, s.type, s.portal, s.hosted, s.federated, s.assumed_root,
       s.console, s.forwarded, s.delegated, s.loose, b.link AS birth, b.time AS issued_time, c.call, c.api, c.portal AS issued_portal,
       c.session_name, c.expires, c.duration, c.caller_type, c.caller_class, c.caller_service, m.twin, m.ck AS caller_ck,
       s.events, s.errors, s.first, s.last
FROM known k
LEFT JOIN seen s ON s.ck = k.ck
LEFT JOIN names f ON f.ck = k.ck
LEFT JOIN births b ON b.ck = k.ck
LEFT JOIN calls c ON c.call = b.call
LEFT JOIN minters m ON m.call = b.call;
