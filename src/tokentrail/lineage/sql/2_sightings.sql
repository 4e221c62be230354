-- Who is seen acting: one row for each (account, key id, principal, creation date, forwarded or direct).

CREATE TABLE sightings AS
SELECT numbered() AS sighting, s.* FROM (
  SELECT class, account, key, principal, created, forwarded, min(type) AS type, min(issuer_arn) AS issuer_arn,
         min(federated_provider) AS federated_provider, min(sign_in_session) AS sign_in_session,
         bool_or(assumed_root) AS assumed_root, bool_or(hosted) AS hosted, bool_or(console) AS console, sum(events) AS events, sum(errors) AS errors, min(first) AS first, max(last) AS last
  FROM people WHERE class <> 'none'
  GROUP BY class, account, key, principal, created, forwarded
) s;

CREATE TABLE lost AS SELECT segment, object, ordinal FROM losers;

CREATE TABLE span AS SELECT min(first) AS first, max(last) AS last FROM people;
