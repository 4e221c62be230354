-- Who is seen acting: one row for each (account, key id, principal, creation date, forwarded or direct).
-- Unknowns are '' and -1, so that joins need no special case for null. What only people read (ARNs, names,
-- addresses) stays where it was read from: the forest points to it.

CREATE TABLE uses AS
SELECT segment, identity, bool_or(console) AS console, count(*) AS events, count(error) AS errors, min(time) AS first,
       max(time) AS last
FROM facts GROUP BY segment, identity;

CREATE TABLE people AS
SELECT i.segment, i.identity, coalesce(i.type, '') AS type, coalesce(i.account, '') AS account,
       coalesce(i.key_id, '') AS key, coalesce(i.principal_id, '') AS principal, coalesce(i.created, -1) AS created,
       i.invoked_by IS NOT NULL AS forwarded, i.issuer_arn, i.federated_provider, i.sign_in_session, i.assumed_root,
       i.ec2_delivery IS NOT NULL OR i.in_scope_of IS NOT NULL AS hosted,
       u.console, u.events, u.errors, u.first, u.last,
       CASE WHEN coalesce(i.key_id, '') = '' AND
                 (i.created IS NULL OR coalesce(i.type, '') NOT IN ('IAMUser', 'Root', 'AssumedRole', 'Role', 'FederatedUser'))
                 THEN 'none'
            WHEN i.key_id LIKE 'AKIA%' OR (i.created IS NULL AND i.key_id NOT LIKE 'ASIA%') THEN 'long'
            ELSE 'temporary' END AS class
FROM identities i JOIN uses u ON u.segment = i.segment AND u.identity = i.identity;

CREATE TABLE sightings AS
SELECT numbered() AS sighting, s.* FROM (
  SELECT class, account, key, principal, created, forwarded, min(type) AS type, min(issuer_arn) AS issuer_arn,
         min(federated_provider) AS federated_provider, min(sign_in_session) AS sign_in_session,
         bool_or(assumed_root) AS assumed_root, bool_or(hosted) AS hosted, bool_or(console) AS console, sum(events) AS events, sum(errors) AS errors, min(first) AS first, max(last) AS last
  FROM people WHERE class <> 'none'
  GROUP BY class, account, key, principal, created, forwarded
) s;
