-- What acts through something that a credential made: the key, user, user of the directory, password, role, trust,
-- provider, trust anchor, certificate, function, instance, task or build.

-- Which makes can matter is few against all credentials, so each kind of thing is looked for by itself.
CREATE TABLE makers_of_keys AS
SELECT n.ck, m.ck AS maker, m.what, m.id AS thing, m.api, m.event_id, m.event_id_text, m.time, m.owner, m.ip, m.agent
FROM forms f JOIN made m ON m.what IN ('access_key', 'api_key') AND m.id = f.key AND m.account = f.account
JOIN lives n ON n.ck = f.ck WHERE f.form = 'long' AND m.ck <> n.ck;

-- IAM tells names of users and roles apart without case, so that a request may spell one otherwise than its ARN does (IAM
-- User Guide, 'IAM and AWS STS quotas').

-- A user or role of the name is made when an earlier one is gone, and another password or code replaces a user's or a
-- function's. What ran by then may get credentials for as long as a function may run, 15 minutes (AWS Lambda Developer
-- Guide, 'Lambda quotas').
CREATE TABLE lasting AS
SELECT m.*, r.until FROM made m JOIN (
  SELECT segment, object, ordinal,
         CASE WHEN what = 'function' AND api LIKE 'Create%' THEN 900 + lead(time) OVER another
              WHEN what = 'function' THEN 900 + lead(time) OVER next
              ELSE min(CASE WHEN what <> 'login_setting' THEN time END) OVER later END AS until
  FROM (SELECT *, CASE WHEN what = 'function' THEN id ELSE caseless(id) END AS called,
               CASE WHEN what = 'login_setting' THEN 'login_profile' ELSE what END AS kind,
               CASE WHEN what = 'function' THEN region END AS place FROM makings  -- of one name there may be one in each
        WHERE what IN ('user', 'login_profile', 'login_setting', 'role', 'function')) one
  WINDOW next AS (PARTITION BY account, called, kind, place ORDER BY time, event_id, segment, object, ordinal),
         later AS (PARTITION BY account, called, kind, place ORDER BY time, event_id, segment, object, ordinal
                   ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING),
         another AS (PARTITION BY account, called, kind, place, api LIKE 'Create%' ORDER BY time, event_id, segment, object, ordinal)
) r ON r.segment = m.segment AND r.object = m.object AND r.ordinal = m.ordinal;

-- Users that were made, and passwords that were set, perhaps: what acts as such a user later acts through them.
CREATE TABLE made_users AS SELECT * FROM lasting WHERE what IN ('user', 'login_profile', 'login_setting');

-- Credentials that may be a user's.
CREATE TABLE acting AS
SELECT ck, kind, call, coalesce(issued_at, first) AS moment FROM lives
WHERE kind IN ('long_term_key', 'api_key', 'session_token', 'console_session', 'oauth_login', 'unknown', 'federation_token', 'delegated')
  AND EXISTS (SELECT 1 FROM made_users);

-- The account and name of the user that each speaks for.
CREATE TABLE users AS
SELECT n.ck, n.kind, n.moment, coalesce(s.account, c.caller_account) AS account, coalesce(s.principal_id, c.child) AS principal,
       regexp_extract(coalesce(a.arn, c.caller_user_arn), ':user/(?:.*/)?([^/]+)$', 1) AS name
FROM acting n
LEFT JOIN seen s ON s.ck = n.ck
LEFT JOIN (SELECT w.ck, min(p.user_arn) AS arn FROM credential_identities w JOIN people p ON p.segment = w.segment AND p.identity = w.identity
           WHERE w.ck IN (SELECT ck FROM acting)
           GROUP BY w.ck) a ON a.ck = n.ck
LEFT JOIN calls c ON c.call = n.call;

-- Whoever comes as a user of the directory that was made: most calls of a session tell whom it acts for (IAM Identity
-- Center User Guide, 'CloudTrail use cases for IAM Identity Center').
CREATE TABLE made_people AS SELECT * FROM made WHERE what = 'directory_user';

-- Sessions that act for such a person, as the access portal, account access manager and applications open them.
CREATE TABLE meant_people AS
SELECT DISTINCT n.ck, n.kind, p.person, coalesce(n.issued_at, n.first) AS moment
FROM people p JOIN credential_identities w ON w.segment = p.segment AND w.identity = p.identity JOIN lives n ON n.ck = w.ck
WHERE n.kind IN ('identity_center', 'service_role', 'assumed_role') AND p.person IN (SELECT id FROM made_people);

-- A service's session that acts for several persons is no one's.
CREATE TABLE persons AS
SELECT ck, person, moment FROM meant_people WHERE ck NOT IN (
  SELECT w.ck FROM people p JOIN credential_identities w ON w.segment = p.segment AND w.identity = p.identity
  WHERE p.person IS NOT NULL AND w.ck IN (SELECT ck FROM meant_people WHERE kind <> 'identity_center')
  GROUP BY w.ck HAVING count(DISTINCT p.person) > 1
);

-- The call by which a certificate's holder comes in wraps the one that issues, and alone names the trust anchor. Where its
-- answer shows no key, it is of the same role, name and seconds.
CREATE TABLE wrappers AS
SELECT * FROM calls WHERE api = 'CreateSession' AND caller_provider IS NOT NULL
  AND EXISTS (SELECT 1 FROM made WHERE what = 'trust_anchor');

-- The trust anchor of each issuing call, where all wrapping calls that fit it name the same one.
CREATE TABLE anchored AS
SELECT call, min(provider) AS provider FROM (
  SELECT c.call, w.caller_provider AS provider FROM wrappers w JOIN calls c ON c.key = w.key AND abs(c.time - w.time) <= 2
  WHERE w.key <> '' AND c.call <> w.call
  UNION ALL
  SELECT c.call, w.caller_provider FROM wrappers w JOIN calls c ON c.role_arn = w.role_arn AND abs(c.time - w.time) <= 2
  WHERE w.key = '' AND c.api = 'AssumeRole' AND c.caller_service
    AND coalesce(nullif(w.child, ''), c.child) = coalesce(nullif(c.child, ''), w.child)
    AND coalesce(w.session_name, c.session_name, '') = coalesce(c.session_name, w.session_name, '')
) GROUP BY call HAVING count(DISTINCT provider) = 1;

-- Role sessions, with what let each in: the caller's account and the provider or trust anchor.
CREATE TABLE sessions AS
SELECT n.ck, n.issued_at, n.caller_ck, n.caller_service, c.caller_account,
       nullif(coalesce(c.caller_provider, w.provider, s.federated_provider), '') AS provider,
       regexp_extract(coalesce(c.role_arn, s.issuer_arn), '([^/]+)$', 1) AS role_name,
       split_part(coalesce(c.role_arn, s.issuer_arn), ':', 5) AS role_account
FROM lives n LEFT JOIN seen s ON s.ck = n.ck LEFT JOIN calls c ON c.call = n.call LEFT JOIN anchored w ON w.call = n.call
WHERE EXISTS (SELECT 1 FROM made WHERE what IN ('role', 'trust', 'provider', 'trust_anchor'));

-- What a trust policy said before it was changed, where the evidence tells: it opened no door to whom it named then.
CREATE TABLE trusts AS
SELECT m.*, t.earlier FROM made m JOIN (
  SELECT segment, object, ordinal, lag(document) OVER (PARTITION BY account, caseless(id) ORDER BY time, event_id, segment, object, ordinal) AS earlier
  FROM makings WHERE what IN ('role', 'trust')
) t ON t.segment = m.segment AND t.object = m.object AND t.ordinal = m.ordinal
WHERE m.what = 'trust';

-- Where it does not, neither to whoever came in before.
CREATE TABLE admitted AS
SELECT account, id, caller_account, provider, min(time) AS time FROM (
  SELECT t.account, t.id, i.caller_account, nullif(i.caller_provider, '') AS provider, i.time
  FROM (SELECT DISTINCT account, id FROM trusts WHERE earlier IS NULL) t
  JOIN (SELECT *, regexp_extract(role_arn, '([^/]+)$', 1) AS role_name FROM every_issuing) i
    ON caseless(i.role_name) = caseless(t.id) AND split_part(i.role_arn, ':', 5) = t.account
  UNION ALL
  SELECT t.account, t.id, '', p.federated_provider, p.created
  FROM (SELECT DISTINCT account, id FROM trusts WHERE earlier IS NULL) t
  JOIN (SELECT *, regexp_extract(issuer_arn, '([^/]+)$', 1) AS role_name FROM every_people) p
    ON caseless(p.role_name) = caseless(t.id) AND split_part(p.issuer_arn, ':', 5) = t.account
  WHERE p.federated_provider <> '' AND p.created >= 0
) GROUP BY account, id, caller_account, provider;

-- Who came in by a door that was opened: from another account, by an identity provider, or anybody whose caller nobody names.
CREATE TABLE outsiders AS
SELECT n.*, CASE WHEN n.caller_ck IS NULL OR n.caller_account <> n.role_account THEN nullif(n.caller_account, '') END AS outside
FROM sessions n WHERE NOT coalesce(n.caller_service, FALSE) AND EXISTS (SELECT 1 FROM trusts);

-- The sessions of outsiders whom a changed trust policy names, and the one before it did not.
CREATE TABLE entered AS
SELECT n.ck, m.ck AS maker, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time
FROM outsiders n JOIN trusts m ON m.account = n.role_account AND caseless(m.id) = caseless(n.role_name)
LEFT JOIN admitted a ON m.earlier IS NULL AND a.account = m.account AND a.id = m.id AND a.caller_account = coalesce(n.caller_account, '')
                     AND a.provider IS NOT DISTINCT FROM n.provider
WHERE m.time <= n.issued_at AND m.ck <> n.ck AND (a.time IS NULL OR a.time >= m.time)
  AND NOT contains(coalesce(m.earlier, ''), '"*"')
  AND (contains(m.document, n.outside) AND NOT contains(coalesce(m.earlier, ''), n.outside)
       OR contains(m.document, n.provider) AND NOT contains(coalesce(m.earlier, ''), n.provider)
       OR contains(m.document, '"*"') AND (n.caller_ck IS NULL OR n.outside IS NOT NULL));

-- A build's session is known by its name, too, where a log of writes alone lacks the call that gave it out.
CREATE TABLE hosts AS
SELECT * FROM (
  SELECT n.ck, n.kind, n.issued_at, coalesce(c.session_name, split_part(s.principal_id, ':', -1)) AS host,
         coalesce(s.account, split_part(c.role_arn, ':', 5)) AS account
  FROM lives n LEFT JOIN seen s ON s.ck = n.ck LEFT JOIN calls c ON c.call = n.call
  WHERE (n.kind = 'service_role' OR (n.kind = 'assumed_role' AND n.call IS NULL))
    AND EXISTS (SELECT 1 FROM made WHERE what IN ('instance', 'instance_profile', 'function', 'task', 'build', 'private_certificate'))
) n
WHERE n.kind = 'service_role' OR n.host LIKE 'AWSCodeBuild-%';

-- Whoever accepted a request for delegated access: as that identity the partner acts (IAM API Reference,
-- 'AcceptDelegationRequest').
CREATE TABLE accepted AS
SELECT m.id, m.account, m.time, p.principal FROM makings m
JOIN every_people p ON p.segment = m.segment AND p.identity = m.identity
WHERE m.what = 'delegation' AND m.api = 'AcceptDelegationRequest' AND m.id IS NOT NULL;

-- Until when a partner may act: twelve hours at most from when the token was sent (IAM API Reference, 'CreateDelegationRequest',
-- SessionDuration).
CREATE TABLE delegated AS
SELECT n.ck, a.id, a.account, n.first FROM accepted a
JOIN seen s ON s.principal_id = a.principal AND s.account = a.account
JOIN lives n ON n.ck = s.ck AND n.kind = 'delegated' AND n.first >= a.time
LEFT JOIN (SELECT account, id, max(time) AS time FROM makings WHERE what = 'delegation' AND api = 'SendDelegationToken'
           GROUP BY account, id) t ON t.account = a.account AND t.id = a.id
WHERE t.time IS NULL OR n.first BETWEEN t.time AND t.time + 43200;

-- Everything that acts through a thing that a credential made, by each kind of thing.
CREATE TABLE through AS
SELECT * FROM makers_of_keys
UNION ALL
SELECT ck, maker, what, id, api, event_id, event_id_text, time, NULL, NULL, NULL FROM entered
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, NULL, NULL, NULL
FROM users n JOIN made_users m ON m.account = n.account AND caseless(m.id) = caseless(n.name)
                               AND (m.what = 'user' OR n.kind IN ('console_session', 'oauth_login'))
                               AND (m.what <> 'user' OR m.owner IS NULL OR coalesce(n.principal, '') NOT LIKE 'AIDA%' OR n.principal = m.owner)
WHERE n.moment BETWEEN m.time AND coalesce(m.until, n.moment) AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, NULL, NULL, NULL
FROM persons n JOIN made_people m ON m.id = n.person
WHERE m.time <= n.moment AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, NULL, NULL, NULL
FROM sessions n JOIN lasting m ON m.what = 'role' AND m.account = n.role_account AND caseless(m.id) = caseless(n.role_name)
WHERE n.issued_at BETWEEN m.time AND coalesce(m.until, n.issued_at) AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, NULL, NULL, NULL
FROM hosts n JOIN lasting m ON m.what = 'function' AND m.account = n.account AND m.id = n.host
WHERE n.issued_at BETWEEN m.time AND coalesce(m.until, n.issued_at) AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, NULL, NULL, NULL
FROM hosts n JOIN made m ON m.id = n.host AND m.what IN ('instance', 'instance_profile', 'task', 'build') AND m.account = n.account
WHERE m.time <= n.issued_at AND m.ck <> n.ck
UNION ALL
-- Whoever has a certificate is named by its serial number, in whatever account the role is (IAM Roles Anywhere User Guide,
-- 'The CreateSession operation'; AWS Private CA User Guide, 'Use audit reports with your private CA').
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, NULL, NULL, NULL
FROM hosts n JOIN made m ON m.what = 'private_certificate' AND m.id = regexp_replace(lower(n.host), '^0+', '')
WHERE m.time <= n.issued_at AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, NULL, NULL, NULL
FROM sessions n JOIN made m ON m.what IN ('provider', 'trust_anchor') AND m.id = n.provider
WHERE m.time <= n.issued_at AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, NULL, NULL, NULL
FROM delegated n JOIN made m ON m.what = 'delegation' AND m.id = n.id AND m.account = n.account
WHERE m.time <= n.first AND m.ck <> n.ck;

-- The latest maker before the credential came to be is its parent where nobody is recorded to have minted it.
-- Whoever changed a function's code, handed a role to an instance, or set how long a user stays signed in, made none of
-- these: that is a link, but no parent.
CREATE TABLE makers AS
SELECT * FROM (
  SELECT t.*, row_number() OVER (PARTITION BY ck ORDER BY CASE WHEN what IN ('access_key', 'api_key') THEN 0 WHEN api LIKE 'UpdateFunction%' OR what IN ('instance_profile', 'login_setting') THEN 2
                                                         WHEN api = 'SendDelegationToken' THEN 2 ELSE 1 END,
                                 time DESC, event_id, what) AS place
  FROM through t
);

-- The maker that may be the parent of each, if any.
CREATE TABLE made_by AS
SELECT * FROM makers WHERE place = 1 AND api NOT LIKE 'UpdateFunction%' AND what NOT IN ('instance_profile', 'login_setting');

-- The result: each credential with its parent and how that is known. A recorded or inferred caller comes before a
-- maker, and nothing is its own parent.
CREATE TABLE parents AS
SELECT n.ck, coalesce(nullif(n.caller_ck, n.ck), q.caller_ck, i.parent, m.maker) AS parent_ck,
       CASE WHEN n.caller_ck <> n.ck THEN
              CASE WHEN birth = 'inferred' THEN 'inferred' WHEN q.ck IS NOT NULL THEN 'matched' WHEN twin THEN 'shared_event'
                   WHEN birth = 'matched' OR loose THEN 'matched' ELSE 'recorded' END
            WHEN q.ck IS NOT NULL THEN 'matched'
            WHEN i.parent IS NOT NULL THEN 'inferred'
            WHEN m.maker IS NOT NULL THEN 'created' END AS parent_link,
       CASE WHEN (n.caller_ck IS NULL OR n.caller_ck = n.ck) AND q.ck IS NULL AND i.parent IS NULL THEN m.what END AS created_what,
       coalesce(r.id, n.natural_id) AS id, coalesce(n.issued_at, n.first, m.time) AS moment,
       n.form, n.kind, n.call, n.issued_time, n.issued_at, n.expires_at,
       CASE WHEN n.expires_at IS NULL AND n.longest IS NOT NULL
            THEN CASE WHEN n.kind = 'delegated' THEN coalesce(n.first, n.issued_at)  -- the date may be the approver's own
                      ELSE coalesce(n.issued_at, n.first) END + n.longest END AS expires_bound,
       CAST(n.events AS BIGINT) AS events, CAST(n.errors AS BIGINT) AS errors, n.first, n.last
FROM lives n
LEFT JOIN renamed r ON r.ck = n.ck
LEFT JOIN requesters q ON q.ck = n.ck AND q.caller_ck <> n.ck
LEFT JOIN inferred i ON i.ck = n.ck
LEFT JOIN made_by m ON m.ck = n.ck;

-- Key ids of the credentials that show several, or are known by another name.
CREATE TABLE keyrings AS
SELECT k.ck, sorted_set(k.key) AS keys FROM (
  SELECT p.ck, s.key FROM placed p JOIN sightings s ON s.sighting = p.sighting WHERE s.key <> ''
  UNION ALL SELECT call, key FROM issued
  UNION ALL SELECT ck, key FROM forms WHERE form = 'long' AND key LIKE 'ACCA%'
) k
WHERE k.ck IN (
  SELECT p.ck FROM parents p LEFT JOIN seen s ON s.ck = p.ck
  WHERE s.lowest_key <> p.id OR s.highest_key <> p.id OR p.id LIKE '%@%'
)
GROUP BY k.ck;
