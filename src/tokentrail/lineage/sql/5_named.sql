-- Kind, identity, life: what each credential is, from its issuing call, else from the broadest kind that its uses prove.
-- Lifetimes: botocore's STS model; IAM User Guide, 'Compare AWS STS credentials'.

CREATE VIEW kinds AS
SELECT d.*,
  CASE
    WHEN ck LIKE 'L|%' THEN 'long_term_key'
    WHEN api IS NULL AND forwarded THEN 'forwarded'
    WHEN coalesce(role_arn, issuer_arn, '') LIKE '%/AWSReservedSSO_%' AND coalesce(api, 'AssumeRoleWithSAML') = 'AssumeRoleWithSAML'
         AND coalesce(type, 'AssumedRole') IN ('AssumedRole', 'Role') THEN 'identity_center'
    WHEN api = 'AssumeRoleWithSAML' THEN 'assumed_role_saml'
    WHEN api IN ('AssumeRoleWithWebIdentity', 'GetCredentialsForIdentity') THEN 'assumed_role_web_identity'
    WHEN api IN ('CreateSession', 'AssumeRoleForPodIdentity') OR (api = 'AssumeRole' AND caller_type = 'AWSService') THEN 'service_role'
    WHEN api = 'AssumeRole' AND caller_class = 'none' AND caller_service IS NOT NULL THEN 'service_role'
    WHEN api = 'AssumeRole' THEN 'assumed_role'
    WHEN api = 'GetSessionToken' THEN 'session_token'
    WHEN api = 'GetFederationToken' THEN 'federation_token'
    WHEN api = 'AssumeRoot' THEN 'root_session'
    WHEN api = 'GetScopedCredentials' THEN 'scoped'
    WHEN api IN ('ConsoleLogin', 'GetSigninToken') THEN 'console_session'
    WHEN api LIKE 'CreateOAuth2Token%' THEN 'oauth_login'
    WHEN type IN ('AssumedRole', 'Role') AND (ec2_delivery IS NOT NULL OR in_scope_of IS NOT NULL
         OR issuer_arn LIKE '%:role/aws-service-role/%') THEN 'service_role'
    WHEN type IN ('AssumedRole', 'Role') AND federated_provider IS NOT NULL THEN 'assumed_role_web_identity'
    WHEN type IN ('AssumedRole', 'Role') THEN 'assumed_role'
    WHEN type = 'FederatedUser' THEN 'federation_token'
    WHEN type = 'Root' AND assumed_root THEN 'root_session'
    WHEN type IN ('IAMUser', 'Root') AND console THEN 'console_session'
    ELSE 'unknown'
  END AS kind
FROM described d;

CREATE TABLE lives AS
SELECT k.*,
  CASE WHEN kind = 'long_term_key' THEN NULL ELSE coalesce(created, issued_time) END AS issued_at,
  CASE WHEN expires IS NOT NULL THEN expires
       WHEN kind IN ('session_token', 'federation_token') AND duration IS NOT NULL
            THEN issued_time + CASE WHEN caller_type = 'Root' AND duration > 3600 THEN 3600 ELSE duration END
       WHEN kind LIKE 'assumed_role%' AND duration IS NOT NULL THEN issued_time + duration END AS expires_at,
  CASE WHEN kind IN ('session_token', 'federation_token') AND caller_type = 'Root' THEN 3600
       WHEN kind IN ('session_token', 'federation_token', 'scoped', 'unknown') THEN 129600
       WHEN kind = 'root_session' THEN 900
       WHEN kind = 'oauth_login' THEN 900
       WHEN kind = 'assumed_role' AND api = 'AssumeRole' AND caller_class = 'temporary'
            AND caller_type IN ('AssumedRole', 'Role') THEN 3600
       WHEN kind = 'long_term_key' THEN NULL
       WHEN kind = 'console_session' AND type = 'FederatedUser' THEN 129600
       WHEN kind = 'forwarded' AND type IN ('IAMUser', 'FederatedUser', 'Root') THEN 129600
       ELSE 43200 END AS longest
FROM kinds k;

CREATE TABLE named AS
SELECT ck, CASE WHEN ck LIKE 'I|%' THEN issued_key
       WHEN ck LIKE 'G|%' THEN coalesce(principal_id, child) || '@' || iso(coalesce(created, issued_time))
       WHEN ck LIKE 'L|%' THEN coalesce(some_key, split_part(ck, '|', 3))
       WHEN some_key IS NULL THEN coalesce(principal_id, '') || '@' || iso(created)
       ELSE some_key END AS natural_id
FROM lives;

-- One id for several credentials is a collision: the date, or the principal, tells them apart.
CREATE TABLE alike AS
SELECT l.ck, n.natural_id,
       CASE WHEN l.ck LIKE 'G|%' THEN n.natural_id
            WHEN l.ck LIKE 'L|%' OR l.issued_at IS NULL
                 THEN n.natural_id || '@' || coalesce(l.principal_id, l.seen_account, '')
            ELSE n.natural_id || '@' || iso(l.issued_at) END AS wanted_id
FROM lives l JOIN named n ON n.ck = l.ck
JOIN (SELECT natural_id FROM named GROUP BY natural_id HAVING count(*) > 1) m ON m.natural_id = n.natural_id;

CREATE TABLE ids AS
SELECT n.ck, CASE WHEN a.ck IS NULL THEN n.natural_id WHEN o.wanted_id IS NULL THEN a.wanted_id
                  ELSE a.wanted_id || '@' || n.ck END AS id
FROM named n LEFT JOIN alike a ON a.ck = n.ck
LEFT JOIN (SELECT wanted_id FROM alike GROUP BY wanted_id HAVING count(*) > 1) o ON o.wanted_id = a.wanted_id;

-- A parent by inference: only one credential of the caller that the other account's trail does not name was alive.
CREATE TABLE inferred AS
SELECT ck, parent FROM (
  SELECT x.ck, p.ck AS parent, count(*) OVER (PARTITION BY x.ck) AS candidates
  FROM lives x JOIN lives p ON p.principal_id = x.caller_principal AND p.seen_account = x.caller_account
  WHERE x.caller_type = 'AWSAccount' AND x.caller_ck IS NULL AND p.ck <> x.ck
    AND coalesce(p.issued_at, p.first) <= x.issued_time
    AND (p.longest IS NULL OR x.issued_time < coalesce(p.expires_at, coalesce(p.issued_at, p.first) + p.longest))
) WHERE candidates = 1;

