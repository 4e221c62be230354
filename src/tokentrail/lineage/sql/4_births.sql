-- The call that issued each credential, and who made that call.

-- Issuing calls whose answer the log does not show: found by principal and second.
CREATE TABLE unkeyed AS
SELECT s.ck, c.segment, c.object, c.ordinal, c.event_id, c.time, 'matched' AS link,
       CASE WHEN c.sign_in_session = s.sign_in_session THEN 0 ELSE 1 END AS weaker, abs(c.time - s.created) AS apart
FROM seen s JOIN calls c ON c.child = s.principal_id AND abs(c.time - s.created) <= 2
WHERE s.ck NOT LIKE 'I|%' AND s.class = 'temporary' AND NOT s.forwarded AND c.api NOT IN ('SwitchRole', 'GetRoleCredentials')
  AND (c.key = '' OR c.api = 'GetSigninToken') AND (c.api <> 'ConsoleLogin' OR c.caller_class = 'none')
  AND (c.api NOT LIKE 'CreateOAuth2Token%' OR (s.ck LIKE 'K|%' AND NOT s.console))
  AND (c.api <> 'GetSigninToken' OR s.ck LIKE 'G|%')
  AND NOT (c.caller_principal = s.principal_id AND c.caller_created = s.created)
UNION ALL
SELECT s.ck, c.segment, c.object, c.ordinal, c.event_id, c.time, 'matched', 1, abs(c.time - s.created)
FROM seen s JOIN calls c ON c.role_arn = s.issuer_arn AND abs(c.time - s.created) <= 2
WHERE s.ck NOT LIKE 'I|%' AND s.class = 'temporary' AND NOT s.forwarded AND c.key = '' AND c.child = ''
  AND c.api NOT IN ('SwitchRole', 'GetRoleCredentials')
  AND coalesce(c.session_name, split_part(s.principal_id, ':', 2)) = split_part(s.principal_id, ':', 2)
UNION ALL
-- A sign-in URL is good for 15 minutes (IAM User Guide, 'Enabling custom identity broker access to the AWS console').
SELECT ck, segment, object, ordinal, event_id, time, 'inferred', 2, apart FROM (
  SELECT s.ck, c.segment, c.object, c.ordinal, c.event_id, c.time, s.created - c.time AS apart,
         min(c.caller_key) OVER (PARTITION BY s.ck) AS lowest, max(c.caller_key) OVER (PARTITION BY s.ck) AS highest
  FROM seen s JOIN calls c ON c.child = s.principal_id AND c.time BETWEEN s.created - 900 AND s.created
  WHERE s.ck LIKE 'G|%' AND s.console AND c.api = 'GetSigninToken'
    AND NOT (c.caller_principal = s.principal_id AND c.caller_created = s.created)
) WHERE lowest = highest;

CREATE TABLE sign_ins AS
SELECT coalesce(found.ck, 'G|' || l.child || '|' || l.time) AS ck, l.segment, l.object, l.ordinal, l.event_id, l.time,
       'recorded' AS link, 0 AS weaker, coalesce(found.apart, 0) AS apart
FROM signed_in l LEFT JOIN (
  SELECT * FROM (
    SELECT l.child, l.time, s.ck, abs(s.created - l.time) AS apart,
           row_number() OVER (PARTITION BY l.child, l.time ORDER BY abs(s.created - l.time), s.created) AS place
    FROM signed_in l JOIN seen s ON s.principal_id = l.child AND abs(s.created - l.time) <= 2
    WHERE s.ck LIKE 'G|%' AND (s.created = l.time OR NOT s.forwarded)
  ) WHERE place = 1
) found ON found.child = l.child AND found.time = l.time;

CREATE TABLE births AS
SELECT * FROM (
  SELECT b.*, row_number() OVER (PARTITION BY ck ORDER BY weaker, apart, time, event_id) AS place FROM (
    SELECT 'I|' || key || '|' || time AS ck, segment, object, ordinal, event_id, time, 'recorded' AS link, 0 AS weaker, 0 AS apart
    FROM issued
    UNION ALL SELECT * FROM unkeyed
    UNION ALL SELECT * FROM sign_ins
  ) b
) WHERE place = 1;

-- Where a role's account names no caller key, the caller's account may: the two share an id.
CREATE TABLE callers AS
SELECT b.ck, coalesce(t.segment, c.segment) AS segment, coalesce(t.identity, c.identity) AS identity,
       t.shared_id IS NOT NULL OR o.shared_id IS NOT NULL AS twin
FROM births b
JOIN calls c ON c.segment = b.segment AND c.object = b.object AND c.ordinal = b.ordinal
LEFT JOIN (
  SELECT shared_id, 'AWSAccount' AS other_type, arg_min(segment, event_id) AS segment, arg_min(identity, event_id) AS identity
  FROM calls WHERE caller_type <> 'AWSAccount' AND shared_id IS NOT NULL GROUP BY shared_id
) t ON t.shared_id = c.shared_id AND t.other_type = c.caller_type
LEFT JOIN (
  SELECT c.segment, c.object, c.ordinal, min(c.shared_id) AS shared_id FROM calls c
  JOIN calls a ON a.shared_id = c.shared_id AND a.caller_type = 'AWSAccount'
  WHERE c.caller_type <> 'AWSAccount' GROUP BY c.segment, c.object, c.ordinal
) o ON o.segment = c.segment AND o.object = c.object AND o.ordinal = c.ordinal;

-- What calls made that others then act through; `id` is what will show in the records of whoever does.
CREATE TABLE made AS
SELECT w.ck, c.segment, c.object, c.ordinal, c.event_id, c.event_id_text, c.time, c.api, c.what, c.account, c.document,
       CASE WHEN c.what = 'access_key' THEN nullif(regexp_extract(c.response, '"userName":"([^"]+)"', 1), '') END AS owner,
       CASE c.what
         WHEN 'access_key' THEN nullif(regexp_extract(c.response, '"accessKeyId":"([^"]+)"', 1), '')
         WHEN 'user' THEN nullif(regexp_extract(c.response, '"userName":"([^"]+)"', 1), '')
         WHEN 'login_profile' THEN nullif(regexp_extract(c.request, '"userName":"([^"]+)"', 1), '')
         WHEN 'role' THEN nullif(regexp_extract(c.request, '"roleName":"([^"]+)"', 1), '')
         WHEN 'trust' THEN nullif(regexp_extract(c.request, '"roleName":"([^"]+)"', 1), '')
         WHEN 'provider' THEN nullif(regexp_extract(c.response, '(?:openIDConnect|sAML)ProviderArn":"([^"]+)"', 1), '')
         WHEN 'function' THEN nullif(regexp_extract(regexp_extract(c.request, '"functionName":"([^"]+)"', 1), '([^:]+)$', 1), '')
         WHEN 'instance' THEN i.instance END AS id
FROM (
  SELECT h.*, h.name AS api,
    CASE WHEN name = 'CreateAccessKey' THEN 'access_key' WHEN name = 'CreateUser' THEN 'user'
         WHEN name IN ('CreateLoginProfile', 'UpdateLoginProfile') THEN 'login_profile'
         WHEN name = 'CreateRole' THEN 'role' WHEN name = 'UpdateAssumeRolePolicy' THEN 'trust'
         WHEN name IN ('CreateOpenIDConnectProvider', 'CreateSAMLProvider') THEN 'provider'
         WHEN name = 'RunInstances' THEN 'instance'
         WHEN name LIKE 'CreateFunction20%' OR name LIKE 'UpdateFunctionCode%' THEN 'function' END AS what
  FROM changes h
  WHERE NOT EXISTS (SELECT 1 FROM losers l WHERE l.segment = h.segment AND l.object = h.object AND l.ordinal = h.ordinal)
) c
JOIN who w ON w.segment = c.segment AND w.identity = c.identity
LEFT JOIN (
  SELECT segment, object, ordinal, unnest(regexp_extract_all(response, '"instanceId":"([^"]+)"', 1)) AS instance
  FROM changes WHERE name = 'RunInstances'
) i ON i.segment = c.segment AND i.object = c.object AND i.ordinal = c.ordinal
WHERE c.what IS NOT NULL;

CREATE TABLE made_keys AS
SELECT coalesce(account, '') AS account, id AS key, min(time) AS time FROM made
WHERE what = 'access_key' AND id IS NOT NULL GROUP BY account, id;

CREATE TABLE known AS
SELECT ck FROM seen UNION SELECT ck FROM births UNION SELECT 'L|' || account || '|' || key FROM made_keys m
WHERE NOT EXISTS (SELECT 1 FROM seen s WHERE s.class = 'long' AND s.account = m.account AND s.some_key = m.key);

CREATE VIEW described AS
SELECT k.ck, s.class, s.account AS seen_account, s.principal_id, s.created, s.type, s.arn, s.mfa, s.issuer_type, s.issuer_arn,
       s.federated_provider, s.source_identity AS seen_source_identity, s.ec2_delivery, s.assumed_root, s.sign_in_session,
       s.on_behalf_of, s.in_scope_of, s.console, s.forwarded, s.loose, s.some_key,
       b.link AS birth, b.time AS issued_time, c.api, c.event_id AS issue_event, c.event_id_text AS issue_text, c.ip AS issue_ip,
       c.agent AS issue_agent, c.child, c.child_arn, c.role_arn, c.session_name, c.source_identity, c.expires, c.duration,
       c.mfa_serial, c.target, c.subject, c.caller_type, c.caller_account, c.caller_principal, c.caller_arn, c.caller_name,
       c.caller_service, c.caller_class, c.caller_mfa, c.caller_provider, c.key AS issued_key, r.twin, w.ck AS caller_ck,
       u.events, u.errors, u.first, u.last
FROM known k
LEFT JOIN seen s ON s.ck = k.ck
LEFT JOIN births b ON b.ck = k.ck
LEFT JOIN calls c ON c.segment = b.segment AND c.object = b.object AND c.ordinal = b.ordinal
LEFT JOIN callers r ON r.ck = k.ck
LEFT JOIN who w ON w.segment = r.segment AND w.identity = r.identity
LEFT JOIN usage u ON u.ck = k.ck;
