-- Credentials that successful calls issued. Both sides of a cross-account assumption are one issuance: the side
-- that names the caller's key speaks for both (IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail').

CREATE TABLE calls AS SELECT numbered() AS call, i.* FROM issuing i;

CREATE VIEW keyed AS
SELECT call, segment, object, ordinal, time, key, child, role_arn, session_name, api, caller_type, event_id FROM calls
WHERE key <> '' AND NOT echoed;

CREATE TABLE contested AS SELECT key, time FROM keyed GROUP BY key, time HAVING count(*) > 1;

CREATE TABLE outdone AS
SELECT call FROM (
  SELECT k.call, row_number() OVER (PARTITION BY k.key, k.time ORDER BY
           CASE WHEN k.caller_type = 'AWSAccount' THEN 1 ELSE 0 END, CASE WHEN k.child = '' THEN 1 ELSE 0 END,
           CASE WHEN k.api IN ('CreateSession', 'AssumeRoleForPodIdentity') THEN 1 ELSE 0 END, k.event_id, k.segment, k.object, k.ordinal) AS place
  FROM keyed k JOIN contested c ON c.key = k.key AND c.time = k.time
) WHERE place > 1;

-- From here on a credential that a call issued is known by that call's number.
CREATE TABLE issued AS
SELECT call, time, key, child, role_arn, session_name FROM keyed k
WHERE NOT EXISTS (SELECT 1 FROM outdone o WHERE o.call = k.call);

CREATE TABLE signed_in AS
SELECT * FROM (
  SELECT call, event_id, child, time, row_number() OVER (PARTITION BY child, time ORDER BY event_id, segment, object, ordinal) AS place
  FROM calls WHERE api = 'ConsoleLogin' AND caller_class = 'none' AND caller_type IN ('IAMUser', 'Root') AND child <> ''
) WHERE place = 1;
