-- Which sightings are one credential. A credential's number (`ck`) holds for this linking only: it is the number of the
-- call that issued it, else one that no call has. What makes several sightings one credential is its form:
--   issued   an issuing event names the key
--   group    a session that shows many keys, by principal and creation date: console, Identity Center, forwarded calls
--   key      used, never seen issued: by account, key, principal and creation date
--   long     a long-term key: by account and key; by principal too, where several hold it

-- Sightings whose key an issuing call names, begun within two seconds of it (each side has its own clock), of the same
-- principal; where the answer leaves the principal out, or only the caller's id is masked, of the same session name.
CREATE TABLE by_key AS
SELECT s.sighting, min_by(i.call, abs(s.created - i.time) * 2 + CASE WHEN i.time > s.created THEN 1 ELSE 0 END) AS ck
FROM sightings s JOIN issued i ON i.key = s.key
WHERE s.class IN ('temporary', 'delegated')
  AND (s.created = -1 OR abs(s.created - i.time) <= 2)
  AND (i.child = s.principal OR s.principal = ''
       OR ((i.child = '' OR s.principal LIKE 'masked-id/%') AND coalesce(i.session_name, split_part(s.principal, ':', -1)) = split_part(s.principal, ':', -1)))
GROUP BY s.sighting;

-- The other temporary sightings: their form is still to be found.
CREATE TABLE unclear AS
SELECT sighting, account, key, principal, created, forwarded FROM sightings s
WHERE class = 'temporary' AND NOT EXISTS (SELECT 1 FROM by_key k WHERE k.sighting = s.sighting);

-- All that is seen under the principals and creation dates of those.
CREATE TABLE circles AS
SELECT s.* FROM sightings s
JOIN (SELECT DISTINCT principal, created FROM unclear) u ON u.principal = s.principal AND u.created = s.created
WHERE s.class = 'temporary' AND s.created >= 0 AND s.principal <> '';

-- The keys with which these principals called themselves, not by way of a service.
CREATE TABLE direct AS
SELECT DISTINCT principal, created, account, key FROM circles WHERE NOT forwarded AND key <> '';

-- Not all records of a console session are flagged as such, and old ones never are: how it was entered tells, too.
CREATE TABLE browsers AS
SELECT DISTINCT c.principal, c.created FROM circles c
JOIN entrances l ON l.child = c.principal AND abs(l.time - c.created) <= 2
WHERE c.sign_in_session IS NULL AND (c.created = l.time OR NOT c.forwarded)
  AND NOT EXISTS (SELECT 1 FROM by_key k WHERE k.sighting = c.sighting);

-- By principal and creation date: whether it is a console or portal session, which shows a new key for each request,
-- and with how many keys it called directly.
CREATE TABLE groups AS
SELECT g.principal, g.created, g.console OR e.principal IS NOT NULL AS console, g.portal, g.keyless, coalesce(d.direct_keys, 0) AS direct_keys, d.account, d.key
FROM (
  SELECT principal, created, bool_or(console) AS console,
         bool_or(coalesce(issuer_arn, '') LIKE '%/AWSReservedSSO_%' AND sign_in_session IS NULL) AS portal,
         bool_or(key = '') AS keyless
  FROM circles GROUP BY principal, created
) g LEFT JOIN (
  SELECT principal, created, count(*) AS direct_keys, min(account) AS account, min(key) AS key
  FROM direct GROUP BY principal, created
) d ON d.principal = g.principal AND d.created = g.created
LEFT JOIN browsers e ON e.principal = g.principal AND e.created = g.created;

-- Issuances by the principal and second that later calls repeat, and how many there are. The console is entered with no
-- token of GetSessionToken (IAM User Guide, 'Compare AWS STS credentials').
CREATE TABLE by_second AS
SELECT principal, created, count(DISTINCT key) AS candidates, min_by(call, key) AS ck,
       bool_or(api <> 'GetSessionToken') AS enters FROM (
  SELECT u.principal, u.created, i.key, i.call, i.api FROM issued i
  JOIN (SELECT DISTINCT principal, created FROM unclear) u ON u.principal = i.child AND u.created = i.time
  WHERE i.child <> ''
  UNION ALL
  SELECT s.principal, s.created, i.key, i.call, i.api FROM issued i
  JOIN circles s ON s.issuer_arn = i.role_arn AND s.created = i.time AND split_part(s.principal, ':', -1) = i.session_name
  WHERE i.child = ''
) GROUP BY principal, created;

-- Issuances whose key was seen in use: they do not explain other keys.
CREATE TABLE claimed AS
SELECT DISTINCT k.ck FROM by_key k JOIN sightings s ON s.sighting = k.sighting WHERE NOT s.forwarded;

-- The form of each unclear sighting. `issued` where an issuance of that principal and second explains it, `group` where
-- one session shows many keys, `direct` where a service called for the one session that called itself, else `key`.
CREATE TABLE cleared AS
SELECT s.*, b.ck, g.account AS direct_account, g.key AS direct_key,
  CASE
    WHEN s.created = -1 OR s.principal = '' THEN 'key'
    WHEN ((g.console AND b.enters) OR g.portal OR s.key = '') AND b.ck IS NOT NULL THEN 'issued'
    WHEN g.console OR g.portal OR g.keyless THEN 'group'
    WHEN s.forwarded AND b.candidates = 1 THEN 'issued'
    WHEN s.forwarded AND g.direct_keys = 1 AND b.ck IS NULL THEN 'direct'
    WHEN s.forwarded AND g.direct_keys > 1 AND o.key IS NOT NULL THEN 'key'
    WHEN s.forwarded THEN 'group'
    WHEN b.candidates = 1 AND g.direct_keys = 1 AND c.ck IS NULL THEN 'issued'
    ELSE 'key'
  END AS form
FROM unclear s
LEFT JOIN groups g ON g.principal = s.principal AND g.created = s.created
LEFT JOIN by_second b ON b.principal = s.principal AND b.created = s.created
LEFT JOIN claimed c ON c.ck = b.ck
LEFT JOIN direct o ON o.account = s.account AND o.key = s.key AND o.principal = s.principal AND o.created = s.created;

-- How many principals each long-term key was seen with; of several, which is a collision, each is a credential.
CREATE TABLE long_keys AS
SELECT account, key, count(DISTINCT CASE WHEN principal <> '' THEN principal END) AS holders
FROM sightings WHERE class = 'long' GROUP BY account, key;

-- What makes each sighting one credential with others, by its form. Columns that do not count in a form are empty.
CREATE TABLE shaped AS
SELECT sighting, form, '' AS account, '' AS key, principal, created FROM cleared WHERE form = 'group'
UNION ALL
SELECT sighting, form, account, key, principal, created FROM cleared WHERE form = 'key'
UNION ALL
SELECT sighting, 'key', direct_account, direct_key, principal, created FROM cleared WHERE form = 'direct'
UNION ALL
SELECT sighting, 'key', account, key, principal, created FROM sightings s
WHERE class = 'delegated' AND NOT EXISTS (SELECT 1 FROM by_key k WHERE k.sighting = s.sighting)
UNION ALL
SELECT s.sighting, 'long', s.account, s.key, CASE WHEN l.holders > 1 THEN s.principal ELSE '' END, -1
FROM sightings s JOIN long_keys l ON l.account = s.account AND l.key = s.key WHERE s.class = 'long';

-- A record of a call that failed early may show a key and not whose it is: it belongs to the one credential that bears it.
CREATE TABLE stray AS
SELECT sighting, account, key FROM shaped
WHERE key <> '' AND principal = '' AND created = -1 AND (form = 'key' OR account = '');

-- The one credential that has the key of a stray sighting; where several have it, the sighting stays by itself.
CREATE TABLE bearers AS
SELECT key, min(form) AS form, min(account) AS account, min(principal) AS principal, min(created) AS created FROM (
  SELECT DISTINCT f.form, f.account, f.key, f.principal, f.created FROM shaped f
  JOIN (SELECT DISTINCT key FROM stray) k ON k.key = f.key
  WHERE NOT EXISTS (SELECT 1 FROM stray s WHERE s.sighting = f.sighting)
  UNION
  SELECT 'long', coalesce(m.account, ''), m.id, '', -1 FROM makings m
  JOIN (SELECT DISTINCT key FROM stray) k ON k.key = m.id WHERE m.what = 'access_key'
) GROUP BY key HAVING count(*) = 1;

-- Calls with a long-term API key whose records show no key id (`events.bearer`), with the user's name.
CREATE TABLE bearing AS
SELECT s.sighting, s.account, s.key, split_part(s.key, ':', 2) AS service, s.first, s.last, min(u.name) AS name
FROM sightings s JOIN (
  SELECT account, key, principal, caseless(called) AS name FROM (
    SELECT account, key, principal, regexp_extract(user_arn, ':user/(?:.*/)?([^/]+)$', 1) AS called
    FROM people WHERE key LIKE 'bearer-key:%' AND user_arn IS NOT NULL)
) u ON u.account = s.account AND u.key = s.key AND u.principal = s.principal
WHERE s.class = 'long' AND s.key LIKE 'bearer-key:%'
GROUP BY s.sighting, s.account, s.key, s.first, s.last HAVING count(DISTINCT u.name) = 1 AND min(u.name) <> '';

-- The API keys of each service that the evidence shows a user to have, made or used, and since when.
CREATE TABLE api_keys AS
SELECT account, id AS key, name, service, min(since) AS since FROM (
  SELECT account, id, caseless(owner) AS name, split_part(document, ' ', 1) AS service,
         CASE WHEN api = 'CreateServiceSpecificCredential' THEN time ELSE -1 END AS since
  FROM makings WHERE what = 'api_key' AND id IS NOT NULL AND owner IS NOT NULL AND EXISTS (SELECT 1 FROM bearing)
) GROUP BY account, id, name, service;

-- A call is such a key's where no other one of its user and service can have made it: it was there before the first of
-- these calls, and was not inactive or deleted for a minute before the last (as `shut` says).
CREATE TABLE only_keys AS
SELECT b.sighting, b.last, min(k.account) AS account, min(k.key) AS key FROM bearing b
JOIN api_keys k ON k.account = b.account AND k.name = b.name AND k.service IN (b.service, '')
GROUP BY b.sighting, b.first, b.last HAVING count(DISTINCT k.key) = 1 AND min(k.since) <= b.first;
CREATE TABLE closed_keys AS
SELECT k.sighting FROM only_keys k
JOIN makings m ON m.what = 'api_key_status' AND m.id = k.key AND m.account = k.account
  AND m.document <> 'Active' AND m.time + 60 < k.last
LEFT JOIN makings o ON o.what = 'api_key_status' AND o.id = m.id AND o.account = m.account
  AND o.document = 'Active' AND o.time >= m.time AND o.time <= k.last
WHERE o.id IS NULL;
CREATE TABLE borne AS
SELECT sighting, account, key FROM only_keys WHERE sighting NOT IN (SELECT sighting FROM closed_keys);

-- The same as `shaped`, with stray sightings given to the credential that has their key, and API keys' to these.
CREATE TABLE formed AS
SELECT f.sighting, coalesce(b.form, f.form) AS form, coalesce(k.account, b.account, f.account) AS account,
       coalesce(k.key, f.key) AS key, CASE WHEN k.key IS NULL THEN coalesce(b.principal, f.principal) ELSE '' END AS principal,
       coalesce(b.created, f.created) AS created
FROM shaped f
LEFT JOIN borne k ON k.sighting = f.sighting
LEFT JOIN (SELECT s.sighting, b.* FROM stray s JOIN bearers b ON b.key = s.key AND (s.account = '' OR s.account = b.account)) b
  ON b.sighting = f.sighting;

-- Each distinct form is one credential that was never seen issued, and gets a number.
CREATE TABLE seen_forms AS
SELECT numbered() AS ck, f.*
FROM (SELECT DISTINCT form, account, key, principal, created FROM formed) f;

-- Which credential each sighting is of; `loose` where no issuing call names its key (a long-term key needs none).
CREATE TABLE placed AS
SELECT sighting, ck, FALSE AS loose FROM by_key
UNION ALL
SELECT sighting, ck, TRUE FROM cleared WHERE form = 'issued'
UNION ALL
SELECT f.sighting, n.ck, f.form <> 'long' FROM formed f
JOIN seen_forms n ON n.form = f.form AND n.account = f.account AND n.key = f.key AND n.principal = f.principal
                 AND n.created = f.created;

-- Which credential each identity of each segment is of.
CREATE TABLE credential_identities AS
SELECT p.segment, p.identity, q.ck FROM people p
JOIN (SELECT s.class, s.account, s.key, s.principal, s.created, s.forwarded, o.ck
      FROM sightings s JOIN placed o ON o.sighting = s.sighting) q
  ON q.class = p.class AND q.account = p.account AND q.key = p.key AND q.principal = p.principal
     AND q.created = p.created AND q.forwarded = p.forwarded
UNION ALL
-- Where only a part is linked: whom of the others linking it names, by numbers below those of any call.
SELECT segment, identity, ck FROM elsewhere;

-- Most credentials show in one way only: nothing of theirs has to be brought together.
CREATE TABLE several AS SELECT ck FROM placed GROUP BY ck HAVING count(*) > 1;

-- What the sightings of each credential say together: of differing values the least, of counts the sum.
CREATE TABLE seen AS
SELECT s.*, coalesce(issuer_arn, '') LIKE '%/AWSReservedSSO_%' AS portal, federated_provider IS NOT NULL AS federated,
       some_hosted OR coalesce(issuer_arn, '') LIKE '%:role/aws-service-role/%' AS hosted
FROM (
  SELECT p.ck, console, loose, forwarded, nullif(key, '') AS some_key, nullif(key, '') AS lowest_key,
         nullif(key, '') AS highest_key, account, nullif(principal, '') AS principal_id, nullif(created, -1) AS created,
         type, issuer_arn, federated_provider, sign_in_session, assumed_root, hosted AS some_hosted,
         class = 'delegated' AS delegated, events, errors, first, last
  FROM sightings s JOIN placed p ON p.sighting = s.sighting
  WHERE NOT EXISTS (SELECT 1 FROM several m WHERE m.ck = p.ck)
  UNION ALL
  SELECT p.ck, bool_or(console) AS console, bool_and(loose) AS loose, bool_and(forwarded) AS forwarded,
         coalesce(min(CASE WHEN NOT forwarded THEN nullif(key, '') END), min(nullif(key, ''))) AS some_key,
         min(nullif(key, '')) AS lowest_key, max(nullif(key, '')) AS highest_key,
         coalesce(min(nullif(account, '')), '') AS account, min(nullif(principal, '')) AS principal_id, min(nullif(created, -1)) AS created,
         min(type) AS type, min(issuer_arn) AS issuer_arn, min(federated_provider) AS federated_provider,
         min(sign_in_session) AS sign_in_session, bool_or(assumed_root) AS assumed_root, bool_or(hosted) AS some_hosted,
         bool_or(class = 'delegated') AS delegated, CAST(sum(events) AS BIGINT) AS events, CAST(sum(errors) AS BIGINT) AS errors, min(first) AS first, max(last) AS last
  FROM sightings s JOIN placed p ON p.sighting = s.sighting JOIN several m ON m.ck = p.ck GROUP BY p.ck
) s;
