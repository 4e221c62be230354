-- Who is seen acting: one row for each (account, key id, principal, creation date, forwarded or direct).

-- What few words there are to describe them, by numbers in their order: of ten million groups, an engine has room for the
-- least number of each, not for the least word, which it can't put aside.
CREATE TABLE labels AS
SELECT label, row_number() OVER (ORDER BY label) AS rank FROM (
  SELECT type AS label FROM people UNION SELECT issuer_arn FROM people
  UNION SELECT federated_provider FROM people UNION SELECT sign_in_session FROM people
) WHERE label IS NOT NULL;

-- Each with the least of what its identities say, so that the order of records does not matter.
CREATE TABLE sightings AS
SELECT numbered() AS sighting, s.class, s.account, s.key, s.principal, s.created, s.forwarded, t.label AS type,
       i.label AS issuer_arn, f.label AS federated_provider, g.label AS sign_in_session, s.assumed_root, s.hosted, s.console,
       s.events, s.errors, s.first, s.last
FROM (
  SELECT class, account, key, principal, created, forwarded, min(t.rank) AS type, min(i.rank) AS issuer,
         min(f.rank) AS provider, min(g.rank) AS session,
         bool_or(assumed_root) AS assumed_root, bool_or(hosted) AS hosted, bool_or(console) AS console,
         CAST(sum(events) AS BIGINT) AS events, CAST(sum(errors) AS BIGINT) AS errors, min(first) AS first, max(last) AS last
  FROM people p
  LEFT JOIN labels t ON t.label = p.type
  LEFT JOIN labels i ON i.label = p.issuer_arn
  LEFT JOIN labels f ON f.label = p.federated_provider
  LEFT JOIN labels g ON g.label = p.sign_in_session
  WHERE class <> 'none'
  GROUP BY class, account, key, principal, created, forwarded
) s
LEFT JOIN labels t ON t.rank = s.type
LEFT JOIN labels i ON i.rank = s.issuer
LEFT JOIN labels f ON f.rank = s.provider
LEFT JOIN labels g ON g.rank = s.session;

-- The repeated records that do not count, and the span of the evidence: both for `ForestSize`.
CREATE TABLE lost AS SELECT segment, object, ordinal FROM duplicates;

CREATE TABLE span AS SELECT min(first) AS first, max(last) AS last FROM people;
