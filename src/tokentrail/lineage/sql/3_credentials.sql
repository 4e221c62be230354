-- Which sightings are one credential. A credential's name here (`ck`) says why:
--   I|key|time             an issuing event names the key
--   G|principal|created    a session that shows many keys: console, Identity Center, forwarded calls
--   K|account|key|...      used, never seen issued        L|account|key  a long-term key

CREATE TABLE groups AS
SELECT principal, created,
       bool_or(console) AS console,
       bool_or(coalesce(issuer_arn, '') LIKE '%/AWSReservedSSO_%' AND NOT signed_in) AS portal,
       bool_or(key = '') AS keyless,
       count(DISTINCT CASE WHEN NOT forwarded AND key <> '' THEN account || '|' || key END) AS direct_keys,
       min(CASE WHEN NOT forwarded AND key <> '' THEN account || '|' || key END) AS direct_key
FROM sightings WHERE class = 'temporary' AND created >= 0 AND principal <> ''
GROUP BY principal, created;

CREATE TABLE by_key AS
SELECT account, key, principal, created, forwarded, issued_key, issued_time FROM (
  SELECT s.account, s.key, s.principal, s.created, s.forwarded, i.key AS issued_key, i.time AS issued_time,
         row_number() OVER (PARTITION BY s.account, s.key, s.principal, s.created, s.forwarded
                            ORDER BY abs(s.created - i.time), i.time) AS place
  FROM sightings s JOIN issued i ON i.key = s.key
  WHERE s.class = 'temporary'
    AND (s.created = -1 OR abs(s.created - i.time) <= 2)
    AND (i.child = s.principal OR s.principal = ''
         OR (i.child = '' AND coalesce(i.session_name, split_part(s.principal, ':', 2)) = split_part(s.principal, ':', 2)))
) WHERE place = 1;

-- Issuances by the principal and second that later calls repeat, and how many there are.
CREATE TABLE by_second AS
SELECT principal, created, count(DISTINCT key) AS candidates, min(key) AS key FROM (
  SELECT child AS principal, time AS created, key FROM issued WHERE child <> ''
  UNION ALL
  SELECT s.principal, s.created, i.key FROM issued i
  JOIN sightings s ON s.issuer_arn = i.role_arn AND s.created = i.time AND split_part(s.principal, ':', 2) = i.session_name
  WHERE i.child = '' AND s.class = 'temporary'
) GROUP BY principal, created;

CREATE TABLE claimed AS SELECT DISTINCT issued_key AS key, issued_time AS time FROM by_key WHERE NOT forwarded;

CREATE TABLE long_keys AS
SELECT account, key, count(DISTINCT CASE WHEN principal <> '' THEN principal END) AS holders
FROM sightings WHERE class = 'long' GROUP BY account, key;

CREATE TABLE placed AS
SELECT s.*, k.issued_key IS NULL AND s.class = 'temporary' AS loose,
  CASE
    WHEN s.class = 'long' AND l.holders > 1 THEN 'L|' || s.account || '|' || s.key || '|' || s.principal
    WHEN s.class = 'long' THEN 'L|' || s.account || '|' || s.key
    WHEN k.issued_key IS NOT NULL THEN 'I|' || k.issued_key || '|' || k.issued_time
    WHEN s.created = -1 OR s.principal = '' THEN 'K|' || s.account || '|' || s.key || '|' || s.principal || '|' || s.created
    WHEN (g.console OR g.portal OR s.key = '') AND b.key IS NOT NULL THEN 'I|' || b.key || '|' || s.created
    WHEN g.console OR g.portal OR g.keyless THEN 'G|' || s.principal || '|' || s.created
    WHEN s.forwarded AND b.candidates = 1 THEN 'I|' || b.key || '|' || s.created
    WHEN s.forwarded AND g.direct_keys = 1 AND b.key IS NULL
         THEN 'K|' || g.direct_key || '|' || s.principal || '|' || s.created
    WHEN s.forwarded AND g.direct_keys > 1 AND o.key IS NOT NULL
         THEN 'K|' || s.account || '|' || s.key || '|' || s.principal || '|' || s.created
    WHEN s.forwarded THEN 'G|' || s.principal || '|' || s.created
    WHEN b.candidates = 1 AND g.direct_keys = 1 AND c.key IS NULL THEN 'I|' || b.key || '|' || s.created
    ELSE 'K|' || s.account || '|' || s.key || '|' || s.principal || '|' || s.created
  END AS ck
FROM sightings s
LEFT JOIN groups g ON g.principal = s.principal AND g.created = s.created
LEFT JOIN by_key k ON k.account = s.account AND k.key = s.key AND k.principal = s.principal
                  AND k.created = s.created AND k.forwarded = s.forwarded
LEFT JOIN by_second b ON b.principal = s.principal AND b.created = s.created
LEFT JOIN claimed c ON c.key = b.key AND c.time = s.created
LEFT JOIN long_keys l ON l.account = s.account AND l.key = s.key
LEFT JOIN (SELECT DISTINCT account, key, principal, created FROM sightings
           WHERE class = 'temporary' AND NOT forwarded AND key <> '') o
  ON o.account = s.account AND o.key = s.key AND o.principal = s.principal AND o.created = s.created;

CREATE TABLE who AS
SELECT p.segment, p.identity, q.ck FROM people p
JOIN placed q ON q.class = p.class AND q.account = p.account AND q.key = p.key AND q.principal = p.principal
             AND q.created = p.created AND q.forwarded = p.forwarded;

CREATE TABLE held AS
SELECT ck, bool_or(console) AS console, bool_and(loose) AS loose,
       coalesce(min(CASE WHEN NOT forwarded THEN nullif(key, '') END), min(nullif(key, ''))) AS some_key
FROM placed GROUP BY ck;

CREATE TABLE seen AS
SELECT h.ck, h.console, h.loose, h.some_key, p.class, p.account, p.principal_id, p.created, p.type, p.arn, p.user_name,
       p.mfa, p.issuer_type, p.issuer_id, p.issuer_arn, p.federated_provider, p.source_identity, p.ec2_delivery,
       p.assumed_root, p.sign_in_session, p.on_behalf_of, p.in_scope_of, p.forwarded
FROM held h JOIN (
  SELECT w.ck, min(class) AS class, min(account) AS account, min(nullif(principal, '')) AS principal_id,
         min(nullif(created, -1)) AS created, min(type) AS type, min(arn) AS arn, min(user_name) AS user_name,
         bool_or(mfa) AS mfa, min(issuer_type) AS issuer_type, min(issuer_id) AS issuer_id, min(issuer_arn) AS issuer_arn,
         min(federated_provider) AS federated_provider, min(source_identity) AS source_identity,
         min(ec2_delivery) AS ec2_delivery, bool_or(assumed_root) AS assumed_root, min(sign_in_session) AS sign_in_session,
         min(on_behalf_of) AS on_behalf_of, min(in_scope_of) AS in_scope_of, bool_and(forwarded) AS forwarded
  FROM people p JOIN who w ON w.segment = p.segment AND w.identity = p.identity
  GROUP BY w.ck
) p ON p.ck = h.ck;

CREATE TABLE usage AS
SELECT w.ck, sum(u.events) AS events, sum(u.errors) AS errors, min(u.first) AS first, max(u.last) AS last,
       list_sort(list(DISTINCT u.ip) FILTER (WHERE u.ip IS NOT NULL)) AS ips
FROM uses u JOIN who w ON w.segment = u.segment AND w.identity = u.identity
GROUP BY w.ck;

CREATE TABLE keys AS
SELECT ck, list_sort(list(DISTINCT key)) AS keys FROM (
  SELECT ck, key FROM placed WHERE key <> ''
  UNION ALL SELECT 'I|' || key || '|' || time, key FROM issued
) GROUP BY ck;
