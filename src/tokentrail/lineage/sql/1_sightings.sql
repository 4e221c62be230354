-- Who is seen acting: one row for each (account, key id, principal, creation date, forwarded or direct).
-- Unknowns are '' and -1, so that joins need no special case for null.

CREATE TABLE uses AS
SELECT segment, identity, ip, console, count(*) AS events, count(error) AS errors, min(time) AS first, max(time) AS last
FROM facts GROUP BY segment, identity, ip, console;

CREATE TABLE people AS
SELECT i.segment, i.identity, coalesce(i.type, '') AS type, coalesce(i.account, '') AS account,
       coalesce(i.key_id, '') AS key, coalesce(i.principal_id, '') AS principal, coalesce(i.created, -1) AS created,
       i.invoked_by IS NOT NULL AS forwarded, i.arn, i.user_name, i.mfa, i.issuer_type, i.issuer_id, i.issuer_arn,
       i.federated_provider, i.source_identity, i.ec2_delivery, i.assumed_root, i.sign_in_session, i.on_behalf_of,
       i.in_scope_of, i.invoked_by,
       CASE WHEN coalesce(i.key_id, '') = '' AND
                 (i.created IS NULL OR coalesce(i.type, '') NOT IN ('IAMUser', 'Root', 'AssumedRole', 'Role', 'FederatedUser'))
                 THEN 'none'
            WHEN i.key_id LIKE 'AKIA%' OR (i.created IS NULL AND i.key_id NOT LIKE 'ASIA%') THEN 'long'
            ELSE 'temporary' END AS class
FROM identities i;

CREATE TABLE sightings AS
SELECT p.class, p.account, p.key, p.principal, p.created, p.forwarded,
       min(p.issuer_arn) AS issuer_arn, bool_or(u.console) AS console,
       bool_or(p.sign_in_session IS NOT NULL) AS signed_in
FROM people p
JOIN (SELECT segment, identity, bool_or(console) AS console FROM uses GROUP BY segment, identity) u
  ON u.segment = p.segment AND u.identity = p.identity
WHERE p.class <> 'none'
GROUP BY p.class, p.account, p.key, p.principal, p.created, p.forwarded;
