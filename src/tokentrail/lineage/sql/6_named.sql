-- Kind, identity, life: what each credential is, from its issuing call, else from the broadest kind that its uses prove.
-- Lifetimes: botocore's STS model; IAM User Guide, 'Compare AWS STS credentials'.

-- The kind by the issuing call; without one, by what all uses of the credential show.
CREATE VIEW kinds AS
SELECT d.*,
  CASE
    WHEN form = 'long' AND (natural_id LIKE 'ACCA%' OR natural_id LIKE 'bearer-key:%') THEN 'api_key'
    WHEN form = 'long' THEN 'long_term_key'
    WHEN api = 'GetDelegatedAccessToken' OR delegated THEN 'delegated'
    WHEN api IS NULL AND forwarded THEN 'forwarded'
    WHEN coalesce(issued_portal, portal, FALSE) AND coalesce(api, 'AssumeRoleWithSAML') = 'AssumeRoleWithSAML'
         AND coalesce(type, 'AssumedRole') IN ('AssumedRole', 'Role') THEN 'identity_center'
    WHEN api = 'AssumeRoleWithSAML' THEN 'assumed_role_saml'
    WHEN api IN ('AssumeRoleWithWebIdentity', 'GetCredentialsForIdentity') THEN 'assumed_role_web_identity'
    -- Lake Formation assumes a location's role for its caller, and runs nothing itself.
    WHEN api = 'AssumeRole' AND caller_service AND session_name LIKE 'AWSLF-%' THEN 'assumed_role'
    WHEN api IN ('CreateSession', 'AssumeRoleForPodIdentity') OR (api = 'AssumeRole' AND caller_type = 'AWSService') THEN 'service_role'
    WHEN api = 'AssumeRole' AND caller_class = 'none' AND caller_service THEN 'service_role'
    WHEN api = 'AssumeRole' THEN 'assumed_role'
    WHEN api = 'GetSessionToken' THEN 'session_token'
    WHEN api = 'GetFederationToken' THEN 'federation_token'
    WHEN api = 'AssumeRoot' THEN 'root_session'
    WHEN api = 'GetScopedCredentials' THEN 'scoped'
    WHEN api IN ('ConsoleLogin', 'GetSigninToken') THEN 'console_session'
    WHEN api LIKE 'CreateOAuth2Token%' THEN 'oauth_login'
    WHEN type IN ('AssumedRole', 'Role') AND hosted THEN 'service_role'
    WHEN type IN ('AssumedRole', 'Role') AND federated THEN 'assumed_role_web_identity'
    WHEN type IN ('AssumedRole', 'Role') THEN 'assumed_role'
    WHEN type = 'FederatedUser' THEN 'federation_token'
    WHEN type = 'Root' AND assumed_root THEN 'root_session'
    WHEN type IN ('IAMUser', 'Root') AND console THEN 'console_session'
    ELSE 'unknown'
  END AS kind
FROM described d;

-- Who works in the console after the end that is known, or that was the latest possible, may stay signed in for longer: up
-- to ninety days, as IAM users and roles may be allowed (IAM API Reference, 'UpdateLoginProfile' and 'UpdateRole').
CREATE VIEW outlasting AS
SELECT k.*, console AND (kind = 'console_session' AND type <> 'Root' OR kind LIKE 'assumed_role%')
            AND last > 60 + coalesce(expires, coalesce(created, issued_time)
              + coalesce(duration, CASE WHEN type = 'FederatedUser' THEN 129600 ELSE 43200 END)) AS outlasts
FROM kinds k;

-- When API keys expire that were made to (IAM API Reference, 'CreateServiceSpecificCredential', CredentialAgeDays). AWS
-- does not say whether a reset begins the days anew: then no end is known.
CREATE TABLE api_key_expiries AS
SELECT f.ck AS key_ck, max(m.time + 86400 * TRY_CAST(split_part(m.document, ' ', 2) AS BIGINT)) AS expiry
FROM forms f JOIN makings m ON m.what = 'api_key' AND m.id = f.key AND m.account = f.account
WHERE f.form = 'long'
GROUP BY f.ck HAVING count(*) = count(nullif(split_part(m.document, ' ', 2), '')) AND bool_and(m.api LIKE 'Create%');

-- When each was issued and expires; `longest` is the most seconds that its kind may live, where its expiry is not known.
CREATE TABLE lives AS
SELECT ck, form, kind, natural_id, loose, birth, issued_time, call, api, caller_ck, caller_type, caller_service, twin,
  events, errors, first, last,
  CASE WHEN kind IN ('long_term_key', 'api_key') THEN NULL ELSE coalesce(created, issued_time) END AS issued_at,
  CASE WHEN outlasts THEN NULL WHEN expires IS NOT NULL THEN expires WHEN kind = 'api_key' THEN expiry
       WHEN kind IN ('session_token', 'federation_token') AND duration IS NOT NULL
            THEN issued_time + CASE WHEN caller_type = 'Root' AND duration > 3600 THEN 3600 ELSE duration END
       WHEN kind LIKE 'assumed_role%' AND api LIKE 'AssumeRole%' AND duration IS NOT NULL THEN issued_time + duration END AS expires_at,
  CASE WHEN outlasts THEN 7776000
       WHEN kind IN ('session_token', 'federation_token') AND caller_type = 'Root' THEN 3600
       WHEN api = 's3express:CreateSession' THEN 300  -- Amazon S3 API Reference, 'CreateSession'
       WHEN kind IN ('session_token', 'federation_token', 'scoped', 'unknown') THEN 129600
       WHEN kind = 'root_session' THEN 900
       -- An access token is good for an hour, as what is got by it (AWS Sign-In User Guide, 'Token lifecycle').
       WHEN kind = 'oauth_login' AND created > issued_time + 2 THEN 3600
       WHEN kind = 'oauth_login' THEN 900
       WHEN kind = 'assumed_role' AND api = 'AssumeRole' AND caller_class = 'temporary'
            AND caller_type IN ('AssumedRole', 'Role') THEN 3600
       WHEN kind IN ('long_term_key', 'api_key') THEN NULL
       WHEN kind = 'console_session' AND type = 'FederatedUser' THEN 129600
       WHEN kind = 'forwarded' AND type IN ('IAMUser', 'FederatedUser', 'Root') THEN 129600
       ELSE 43200 END AS longest
FROM outlasting k LEFT JOIN api_key_expiries a ON a.key_ck = k.ck;

-- One id for several credentials is a collision: the date, or the principal, tells them apart.
CREATE TABLE alike AS
SELECT l.ck, l.natural_id,
       CASE WHEN l.form = 'group' THEN l.natural_id
            WHEN l.form = 'long' OR l.issued_at IS NULL
                 THEN l.natural_id || '@' || coalesce(s.principal_id, s.account, '')
            ELSE l.natural_id || '@' || iso(l.issued_at) END AS wanted_id
FROM lives l
JOIN (SELECT natural_id FROM lives GROUP BY natural_id HAVING count(*) > 1) m ON m.natural_id = l.natural_id
LEFT JOIN seen s ON s.ck = l.ck;

-- What is alike even so is told apart by all that makes it one credential.
CREATE TABLE renamed AS
SELECT a.ck, CASE WHEN o.wanted_id IS NULL THEN a.wanted_id
  WHEN f.form IS NULL THEN a.wanted_id || '@I|' || c.key || '|' || c.time
  WHEN f.form = 'group' THEN a.wanted_id || '@G|' || f.principal || '|' || f.created
  WHEN f.form = 'key' THEN a.wanted_id || '@K|' || f.account || '|' || f.key || '|' || f.principal || '|' || f.created
  WHEN f.principal = '' THEN a.wanted_id || '@L|' || f.account || '|' || f.key
  ELSE a.wanted_id || '@L|' || f.account || '|' || f.key || '|' || f.principal END AS id
FROM alike a
LEFT JOIN (SELECT wanted_id FROM alike GROUP BY wanted_id HAVING count(*) > 1) o ON o.wanted_id = a.wanted_id
LEFT JOIN forms f ON f.ck = a.ck
LEFT JOIN issued c ON c.call = a.ck;

-- A parent by inference: of a caller that the other account's trail does not name, only one credential could have called.
CREATE TABLE foreigners AS
SELECT x.ck, x.issued_time, c.caller_account, c.caller_principal
FROM lives x JOIN calls c ON c.call = x.call
WHERE x.caller_type = 'AWSAccount' AND x.caller_ck IS NULL;

-- The callers of those calls, and the user names that they were seen with elsewhere.
CREATE TABLE strangers AS SELECT DISTINCT caller_account, caller_principal FROM foreigners;

CREATE TABLE stranger_names AS
SELECT DISTINCT t.caller_account, t.caller_principal, regexp_extract(p.user_arn, ':user/(?:.*/)?([^/]+)$', 1) AS name
FROM strangers t JOIN every_people p ON p.principal = t.caller_principal AND p.account = t.caller_account
WHERE p.user_arn IS NOT NULL;

-- Keys that were made and never seen in use.
CREATE TABLE unclaimed AS
SELECT u.ck, u.account, m.owner, min(m.time) AS time
FROM unseen_forms u JOIN made m ON m.what = 'access_key' AND m.id = u.key AND m.account = u.account
WHERE u.form = 'long' GROUP BY u.ck, u.account, m.owner;

-- From when on such a key may have made a user's call, as it is not known whose it is, or not what the user is called.
CREATE TABLE blocked AS
SELECT account, min(time) AS time, min(CASE WHEN owner IS NULL THEN time END) AS unowned FROM unclaimed GROUP BY account;

-- All that speaks for such a caller, whether anybody was seen using it or not; and what may, and so leaves it open.
CREATE TABLE speakers AS
SELECT caller_account, caller_principal, ck, bool_or(certain) AS certain FROM (
  SELECT t.caller_account, t.caller_principal, s.ck, TRUE AS certain
  FROM strangers t JOIN seen s ON s.principal_id = t.caller_principal AND s.account = t.caller_account
  UNION ALL
  SELECT t.caller_account, t.caller_principal, l.ck, TRUE
  FROM strangers t JOIN calls c ON c.child = t.caller_principal JOIN lives l ON l.call = c.call
  WHERE coalesce(nullif(split_part(c.role_arn, ':', 5), ''), c.caller_account) = t.caller_account
  UNION ALL
  -- What a service was given bears a session's name alone: it may be another role's.
  SELECT t.caller_account, t.caller_principal, l.ck, FALSE
  FROM strangers t
  JOIN calls c ON c.session_name = split_part(t.caller_principal, ':', -1) AND split_part(c.role_arn, ':', 5) = t.caller_account
  JOIN lives l ON l.call = c.call
  WHERE c.child = '' AND l.events IS NULL
  UNION ALL
  SELECT s.caller_account, s.caller_principal, u.ck, TRUE
  FROM stranger_names s JOIN unclaimed u ON u.account = s.caller_account AND u.owner = s.name
  WHERE s.caller_principal LIKE 'AIDA%'
) GROUP BY caller_account, caller_principal, ck;

-- Each credential that speaks for such a caller and existed, unexpired, when the call was made.
CREATE TABLE able AS
SELECT x.ck, x.issued_time, p.ck AS parent, s.certain, f.account, f.key
FROM foreigners x JOIN speakers s ON s.caller_account = x.caller_account AND s.caller_principal = x.caller_principal
JOIN lives p ON p.ck = s.ck
LEFT JOIN forms f ON f.ck = p.ck AND f.form = 'long'
LEFT JOIN made_keys k ON k.account = f.account AND k.key = f.key
-- A long-term key is older than its first use, unless it is known when it was made.
WHERE p.ck <> x.ck AND p.kind NOT IN ('forwarded', 'api_key')  -- with an API key nobody assumes a role
  AND CASE WHEN f.ck IS NOT NULL THEN coalesce(k.time, x.issued_time) ELSE coalesce(p.issued_at, p.first) END <= x.issued_time
  AND (p.longest IS NULL OR x.issued_time < coalesce(p.expires_at, coalesce(p.issued_at, p.first) + p.longest));

-- Keys that had been inactive or deleted for a minute; sooner it may not be so everywhere yet (IAM User Guide,
-- 'Troubleshooting IAM', 'Changes that I make are not always immediately visible').
CREATE TABLE shut AS
SELECT a.ck, a.parent FROM able a
JOIN makings m ON m.what = 'key_status' AND m.account = a.account AND m.id = a.key AND m.time <= a.issued_time
GROUP BY a.ck, a.parent, a.issued_time
HAVING max(CASE WHEN m.document = 'Active' THEN -1 ELSE m.time END) > max(CASE WHEN m.document = 'Active' THEN m.time ELSE -1 END)
   AND max(CASE WHEN m.document = 'Active' THEN -1 ELSE m.time END) <= a.issued_time - 60;

-- The parent, where exactly one certain candidate is left and no unseen key may have made the call instead.
CREATE TABLE inferred AS
SELECT i.ck, i.parent FROM (
  SELECT a.ck, a.parent, a.certain, count(*) OVER (PARTITION BY a.ck) AS candidates
  FROM able a LEFT JOIN shut h ON h.ck = a.ck AND h.parent = a.parent WHERE h.ck IS NULL
) i
JOIN foreigners x ON x.ck = i.ck
LEFT JOIN blocked b ON b.account = x.caller_account AND x.caller_principal LIKE 'AIDA%'
LEFT JOIN (SELECT DISTINCT caller_account, caller_principal FROM stranger_names) n
  ON n.caller_account = x.caller_account AND n.caller_principal = x.caller_principal
WHERE i.candidates = 1 AND i.certain
  AND coalesce(CASE WHEN n.caller_principal IS NULL THEN b.time ELSE b.unowned END, x.issued_time + 1) > x.issued_time;
