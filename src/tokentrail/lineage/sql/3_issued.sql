-- Credentials that successful calls issued. Both sides of a cross-account assumption are one issuance: the side
-- that names the caller's key speaks for both (IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail').

-- Every issuing call gets a number, by which it is named from here on.
CREATE TABLE calls AS SELECT numbered() AS call, i.* FROM issuing i;

-- The calls whose answer names the issued key; not a sign-in token, which only repeats its caller's key.
CREATE VIEW keyed AS
SELECT call, segment, object, ordinal, time, key, child, role_arn, session_name, api, caller_type, event_id FROM calls
WHERE key <> '' AND NOT echoed;

-- Keys that several calls issued: copies by both accounts, or one call wrapped in another. The order of preference
-- is the caller's own account, an answer that names whom it speaks for, and the inner call.
CREATE TABLE contested AS
SELECT k.*, CASE WHEN k.caller_type = 'AWSAccount' THEN 1 ELSE 0 END AS outside, CASE WHEN k.child = '' THEN 1 ELSE 0 END AS nameless,
       CASE WHEN k.api IN ('CreateSession', 'AssumeRoleForPodIdentity', 'GetCredentialsForIdentity') THEN 1 ELSE 0 END AS wrapped
FROM keyed k JOIN (SELECT key FROM keyed GROUP BY key HAVING count(*) > 1) c ON c.key = k.key;

-- Ranked among those of one key and second: the first counts, the others tell of the same issuance.
CREATE TABLE same_second AS
SELECT * FROM (
  SELECT c.*, row_number() OVER (PARTITION BY key, time ORDER BY outside, nameless, wrapped, event_id, segment, object, ordinal) AS place
  FROM contested c
);

-- Each side's clock is its own: what tells of one key within two seconds, and of nobody else, tells of one issuance.
CREATE TABLE outdone AS
SELECT call FROM same_second WHERE place > 1
UNION ALL
SELECT call FROM (
  SELECT call, child, row_number() OVER first AS place, first_value(child) OVER first AS best FROM (
    SELECT s.*, sum(fresh) OVER (PARTITION BY key ORDER BY time) AS island FROM (
      SELECT *, CASE WHEN time - lag(time) OVER (PARTITION BY key ORDER BY time) <= 2 THEN 0 ELSE 1 END AS fresh
      FROM same_second WHERE place = 1
    ) s
  ) WINDOW first AS (PARTITION BY key, island ORDER BY outside, nameless, wrapped, time, event_id)
) WHERE place > 1 AND (child = '' OR child = best);

-- From here on a credential that a call issued is known by that call's number.
CREATE TABLE issued AS
SELECT call, time, key, child, role_arn, session_name, api FROM keyed k
WHERE NOT EXISTS (SELECT 1 FROM outdone o WHERE o.call = k.call);

-- By whom the console was entered, and as whom its users switched roles.
CREATE TABLE entrances AS
SELECT call, event_id, segment, object, ordinal, child, time,
       api = 'ConsoleLogin' AND caller_class = 'none' AND caller_type IN ('IAMUser', 'Root') AS by_password
FROM calls WHERE api IN ('ConsoleLogin', 'SwitchRole') AND child <> '';

-- Sign-ins with a password, one for each second: these are the origin of a console session.
CREATE TABLE signed_in AS
SELECT * FROM (
  SELECT call, event_id, child, time, row_number() OVER (PARTITION BY child, time ORDER BY event_id, segment, object, ordinal) AS place
  FROM entrances WHERE by_password
) WHERE place = 1;
