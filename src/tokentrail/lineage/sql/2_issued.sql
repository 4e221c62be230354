-- Credentials that successful calls issued. Both sides of a cross-account assumption are one issuance: the side
-- that names the caller's key speaks for both (IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail').

CREATE TABLE calls AS
SELECT i.segment, i.object, i.ordinal, i.time, i.event_id, i.event_id_text, i.shared_id, i.account AS trail, i.api,
       i.source, i.ip, i.agent, coalesce(i.key_id, '') AS key, i.child_arn, i.role_arn, i.session_name, i.source_identity,
       i.expires, i.duration, i.mfa_serial, i.target, i.sign_in_session, i.subject,
       p.identity, p.type AS caller_type, p.account AS caller_account, p.key AS caller_key,
       p.principal AS caller_principal, p.created AS caller_created, p.arn AS caller_arn, p.class AS caller_class,
       p.invoked_by AS caller_service, p.user_name AS caller_name, p.mfa AS caller_mfa, p.on_behalf_of,
       p.federated_provider AS caller_provider,
       CASE WHEN i.api LIKE 'AssumeRole%' OR i.api IN ('GetFederationToken', 'CreateSession', 'GetCredentialsForIdentity')
                 THEN coalesce(i.child_id, '')
            WHEN i.api = 'AssumeRoot' THEN coalesce(i.target, '')
            ELSE coalesce(i.child_id, p.principal) END AS child
FROM issuances i JOIN people p ON p.segment = i.segment AND p.identity = i.identity
WHERE NOT EXISTS (SELECT 1 FROM losers l WHERE l.segment = i.segment AND l.object = i.object AND l.ordinal = i.ordinal);

CREATE VIEW keyed AS
SELECT segment, object, ordinal, time, key, child, role_arn, session_name, api, caller_type, event_id FROM calls
WHERE key <> '' AND NOT (api = 'GetSigninToken' AND key = caller_key);

CREATE TABLE contested AS SELECT key, time FROM keyed GROUP BY key, time HAVING count(*) > 1;

CREATE TABLE issued AS
SELECT segment, object, ordinal, event_id, time, key, child, role_arn, session_name FROM keyed k
WHERE NOT EXISTS (SELECT 1 FROM contested c WHERE c.key = k.key AND c.time = k.time)
UNION ALL
SELECT segment, object, ordinal, event_id, time, key, child, role_arn, session_name FROM (
  SELECT k.*, row_number() OVER (PARTITION BY k.key, k.time ORDER BY
           CASE WHEN k.caller_type = 'AWSAccount' THEN 1 ELSE 0 END, CASE WHEN k.child = '' THEN 1 ELSE 0 END,
           CASE WHEN k.api = 'CreateSession' THEN 1 ELSE 0 END, k.event_id, k.segment, k.object, k.ordinal) AS place
  FROM keyed k JOIN contested c ON c.key = k.key AND c.time = k.time
) WHERE place = 1;

CREATE TABLE signed_in AS
SELECT * FROM (
  SELECT c.*, row_number() OVER (PARTITION BY child, time ORDER BY event_id, segment, object, ordinal) AS place
  FROM calls c WHERE api = 'ConsoleLogin' AND caller_class = 'none' AND caller_type IN ('IAMUser', 'Root') AND child <> ''
) WHERE place = 1;
