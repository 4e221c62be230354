-- All that is known of credentials.
-- Who they are and how they were issued is read where it was recorded. Names in braces stand for tables, see `described`.

SELECT f.n, f.parent_n, f.root_n, f.depth, f.id, a.id AS parent_id, o.id AS root_id, f.parent_link, f.created_what,
       f.created_thing, f.created_api, f.created_event, f.created_text, f.created_time, f.created_owner, f.created_ip,
       f.created_agent, f.kind, f.key_account, f.keys, s.seen_account, s.principal_id, s.arn, s.mfa, s.issuer_type,
       -- Some records tell of a session without its issuer: its own ARN has the role's name, and not its path.
       coalesce(s.issuer_arn, CASE WHEN c.role_arn IS NULL AND s.arn LIKE 'arn:%:sts::%:assumed-role/%/%' THEN
         'arn:' || split_part(s.arn, ':', 2) || ':iam::' || split_part(s.arn, ':', 5) || ':role/' || split_part(s.arn, '/', 2) END) AS issuer_arn,
       s.federated_provider, coalesce(s.source_identity, c.source_identity, CASE WHEN c.api = 'AssumeRole' THEN p.source_identity END) AS source_identity, s.ec2_delivery,
       s.sign_in_session, s.on_behalf_of, s.origin_subject, s.origin_issuer, s.in_scope_of, s.delegate, c.api, c.event_id AS issue_event, c.event_id_text AS issue_text,
       c.ip AS issue_ip, c.agent AS issue_agent, c.account AS issue_account, f.issued_time,
       CASE WHEN c.api LIKE 'AssumeRole%' OR c.api IN ('GetFederationToken', 'CreateSession', 'GetCredentialsForIdentity')
                 THEN coalesce(c.child_id, '')
            WHEN c.api = 'AssumeRoot' THEN coalesce(c.target, '')
            WHEN c.api IS NOT NULL THEN coalesce(c.child_id, p.principal_id, '') END AS child,
       c.child_arn, c.role_arn, c.session_name, c.mfa_serial, c.target, c.subject,
       CASE WHEN f.identity IS NOT NULL THEN coalesce(p.type, '') END AS caller_type,
       CASE WHEN f.identity IS NOT NULL THEN coalesce(p.account, '') END AS caller_account,
       CASE WHEN f.identity IS NOT NULL THEN coalesce(p.principal_id, '') END AS caller_principal,
       p.arn AS caller_arn, p.user_name AS caller_name, nullif(p.invoked_by, 'signin.amazonaws.com') AS caller_service,
       f.issued_at, f.expires_at, f.expires_bound, f.events, f.errors, f.first, f.last, u.ips
FROM {credentials} f
LEFT JOIN {kin} a ON a.n = f.parent_n
LEFT JOIN {roots} o ON o.n = f.root_n
LEFT JOIN (
  SELECT w.n, coalesce(min(nullif(i.account, '')), '') AS seen_account, min(nullif(i.principal_id, '')) AS principal_id, min(i.arn) AS arn,
         bool_or(i.mfa) AS mfa, min(i.issuer_type) AS issuer_type, min(i.issuer_arn) AS issuer_arn,
         min(i.federated_provider) AS federated_provider, min(i.source_identity) AS source_identity,
         min(i.ec2_delivery) AS ec2_delivery, min(i.sign_in_session) AS sign_in_session,
         min(i.on_behalf_of) AS on_behalf_of,
         -- A session whose calls name several persons is no one's.
         CASE WHEN min(i.origin_subject) = max(i.origin_subject) THEN min(i.origin_subject) END AS origin_subject,
         CASE WHEN min(i.origin_issuer) = max(i.origin_issuer) THEN min(i.origin_issuer) END AS origin_issuer,
         min(i.in_scope_of) AS in_scope_of,
         min(i.delegate) AS delegate
  FROM {identities} i JOIN {credential_identities} w ON w.segment = i.segment AND w.identity = i.identity
  GROUP BY w.n
) s ON s.n = f.n
LEFT JOIN {issuances} c ON c.segment = f.segment AND c.object = f.object AND c.ordinal = f.ordinal
LEFT JOIN {callers} p ON p.segment = f.segment AND p.identity = f.identity
LEFT JOIN (
  SELECT n, list_sort(list(ip)) AS ips FROM (SELECT DISTINCT n, ip FROM {acts} e WHERE ip IS NOT NULL) e GROUP BY n
) u ON u.n = f.n
