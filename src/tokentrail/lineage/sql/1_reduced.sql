-- Reduce segments to what linking needs, which is much less than their records; done once for each segment, then kept.
-- Unknown values are '' and -1, so that joins need no special case for null. What only people read (ARNs, names,
-- addresses) stays in the segment, and the forest points to it.

-- How much each identity of a segment was used, and when.
CREATE TABLE uses AS
SELECT segment, identity, bool_or(console) AS console, count(*) AS events, count(error) AS errors, min(time) AS first,
       max(time) AS last
FROM facts GROUP BY segment, identity;

-- Who is seen acting: one row for each identity of a segment.
CREATE TABLE new_people AS
SELECT i.segment, i.identity, coalesce(i.type, '') AS type, coalesce(i.account, '') AS account,
       coalesce(i.key_id, '') AS key, coalesce(i.principal_id, '') AS principal, greatest(coalesce(i.created, -1), -1) AS created,
       -- Until 2020 or so, what a console session called bore the sign-in service as its caller, and no flag.
       nullif(i.invoked_by, 'signin.amazonaws.com') IS NOT NULL AS forwarded, i.issuer_arn, i.federated_provider, i.sign_in_session, i.assumed_root,
       CASE WHEN coalesce(i.type, '') NOT IN ('AssumedRole', 'Role') THEN i.arn END AS user_arn,
       i.on_behalf_of AS person,  -- the user of IAM Identity Center
       i.ec2_delivery IS NOT NULL OR i.in_scope_of IS NOT NULL AS hosted,
       u.console OR coalesce(i.invoked_by = 'signin.amazonaws.com', FALSE) AS console, u.events, u.errors, u.first, u.last,
       -- Nothing is older than AWS: a session of before 1970 tells no time.
       CASE WHEN coalesce(i.key_id, '') = '' AND
                 (coalesce(i.created, -1) < 0 OR coalesce(i.type, '') NOT IN ('IAMUser', 'Root', 'AssumedRole', 'Role', 'FederatedUser'))
                 THEN 'none'
            -- Whoever was delegated access acts as whoever approved it, with credentials of its own.
            WHEN i.delegate IS NOT NULL THEN 'delegated'
            -- Users and root have long-term keys, whose names a sample's sessions may bear.
            WHEN i.type IN ('AssumedRole', 'Role', 'FederatedUser') THEN 'temporary'
            -- Where the evidence masks key ids, a stand-in tells what kind of key it was (`events.masked_ids`).
            WHEN i.key_id LIKE 'AKIA%' OR i.key_id LIKE 'ACCA%' OR i.key_id LIKE 'masked-key:%' THEN 'long'
            WHEN coalesce(i.created, -1) < 0 AND i.key_id NOT LIKE 'ASIA%' AND i.key_id NOT LIKE 'masked-session:%' THEN 'long'
            ELSE 'temporary' END AS class
FROM identities i JOIN uses u ON u.segment = i.segment AND u.identity = i.identity;

-- Successful calls that issue credentials, and who made them.
CREATE TABLE new_issuing AS
SELECT i.segment, i.object, i.ordinal, i.time, i.event_id, i.shared_id, i.api, coalesce(i.key_id, '') AS key, i.role_arn,
       i.session_name, i.role_arn LIKE '%/AWSReservedSSO_%' AS portal, i.expires, i.duration, i.sign_in_session, i.token_id,
       i.identity, p.type AS caller_type, p.account AS caller_account, p.class AS caller_class,
       p.forwarded AS caller_service, p.key AS caller_key, p.principal AS caller_principal, p.created AS caller_created,
       p.user_arn AS caller_user_arn,
       -- Of a SAML provider the caller's identity tells no more than its qualifier; its ARN is in the request, as is that of
       -- the trust anchor by which a certificate's holder comes in (IAM Roles Anywhere User Guide, 'CreateSession API').
       coalesce(CASE WHEN i.api IN ('AssumeRoleWithSAML', 'CreateSession') THEN i.target END, p.federated_provider) AS caller_provider,
       i.api = 'GetSigninToken' AND coalesce(i.key_id, '') = p.key AS echoed,  -- a token that bears its caller's key
       CASE WHEN i.api LIKE 'AssumeRole%' OR i.api IN ('CreateSession', 'GetCredentialsForIdentity') THEN coalesce(i.child_id, '')
            -- Where the answer is left out, account and name tell it (AWS STS API Reference, 'FederatedUser').
            WHEN i.api = 'GetFederationToken' THEN coalesce(i.child_id, nullif(p.account, '') || ':' || i.session_name, '')
            WHEN i.api = 'AssumeRoot' THEN coalesce(i.target, '')
            -- What these give speaks for another principal than their caller, which the record does not tell.
            WHEN i.api IN ('GetDelegatedAccessToken', 'GetWebIdentityToken') OR i.api LIKE 'lakeformation:%' THEN ''
            ELSE coalesce(i.child_id, p.principal) END AS child
FROM issuances i
JOIN (SELECT p.* FROM new_people p SEMI JOIN issuances h ON h.segment = p.segment AND h.identity = p.identity) p
  ON p.segment = i.segment AND p.identity = i.identity
WHERE NOT EXISTS (SELECT 1 FROM new_duplicates l WHERE l.segment = i.segment AND l.object = i.object AND l.ordinal = i.ordinal);

-- What calls made that others then act through, and what became of keys; `id` is what will show in the records of whoever does.
CREATE TABLE making AS
SELECT h.*, coalesce(h.account, i.account) AS in_account,  -- what bears no recipient happened at home
       CASE WHEN name = 'CreateAccessKey' THEN 'access_key' WHEN name IN ('UpdateAccessKey', 'DeleteAccessKey') THEN 'key_status'
            -- Whoever resets an API key is told its new secret (IAM API Reference, 'ResetServiceSpecificCredential').
            WHEN name IN ('CreateServiceSpecificCredential', 'ResetServiceSpecificCredential') THEN 'api_key'
            WHEN name IN ('UpdateServiceSpecificCredential', 'DeleteServiceSpecificCredential') THEN 'api_key_status'
            WHEN name = 'CreateUser' THEN CASE WHEN source = 'iam.amazonaws.com' THEN 'user' ELSE 'directory_user' END
            -- No record has a password: where something else was set, there may have been none (IAM API Reference, 'UpdateLoginProfile').
            WHEN name = 'UpdateLoginProfile' AND contains(coalesce(request, ''), 'axSigninSessionDuration":') THEN 'login_setting'
            WHEN name IN ('CreateLoginProfile', 'UpdateLoginProfile') THEN 'login_profile'
            WHEN name IN ('CreateRole', 'AcquireRole') THEN 'role' WHEN name = 'UpdateAssumeRolePolicy' THEN 'trust'
            WHEN name IN ('CreateOpenIDConnectProvider', 'CreateSAMLProvider') THEN 'provider'
            WHEN name = 'CreateTrustAnchor' THEN 'trust_anchor' WHEN name = 'IssueCertificate' THEN 'private_certificate'
            WHEN name IN ('AcceptDelegationRequest', 'SendDelegationToken') THEN 'delegation'
            WHEN name = 'RunInstances' THEN 'instance' WHEN name IN ('RunTask', 'StartTask') THEN 'task'
            WHEN name IN ('StartBuild', 'RetryBuild') THEN 'build'
            WHEN name IN ('AssociateIamInstanceProfile', 'ReplaceIamInstanceProfileAssociation') THEN 'instance_profile' ELSE 'function' END AS what
FROM changes h
LEFT JOIN (
  SELECT i.segment, i.identity, i.account FROM identities i
  SEMI JOIN (SELECT segment, identity FROM changes WHERE account IS NULL) b ON b.segment = i.segment AND b.identity = i.identity
) i ON i.segment = h.segment AND i.identity = h.identity
WHERE (h.source = 'iam.amazonaws.com' AND h.name IN (
         'CreateAccessKey', 'UpdateAccessKey', 'DeleteAccessKey', 'CreateServiceSpecificCredential', 'ResetServiceSpecificCredential',
         'UpdateServiceSpecificCredential', 'DeleteServiceSpecificCredential', 'CreateUser', 'CreateLoginProfile', 'UpdateLoginProfile', 'CreateRole',
         'AcquireRole', 'UpdateAssumeRolePolicy', 'CreateOpenIDConnectProvider', 'CreateSAMLProvider', 'AcceptDelegationRequest',
         'SendDelegationToken')
       OR h.source = 'ec2.amazonaws.com' AND h.name IN (
         'RunInstances', 'AssociateIamInstanceProfile', 'ReplaceIamInstanceProfileAssociation')
       -- By the API, and in the console.
       OR h.source IN ('identitystore.amazonaws.com', 'sso-directory.amazonaws.com') AND h.name = 'CreateUser'
       OR h.source = 'rolesanywhere.amazonaws.com' AND h.name = 'CreateTrustAnchor'
       OR h.source = 'acm-pca.amazonaws.com' AND h.name = 'IssueCertificate'
       OR h.source = 'ecs.amazonaws.com' AND h.name IN ('RunTask', 'StartTask')
       OR h.source = 'codebuild.amazonaws.com' AND h.name IN ('StartBuild', 'RetryBuild')
       OR h.source = 'lambda.amazonaws.com' AND (h.name LIKE 'CreateFunction20%' OR h.name LIKE 'UpdateFunctionCode%')
          AND NOT contains(coalesce(h.request, ''), '"dryRun":true'))
  AND NOT EXISTS (SELECT 1 FROM new_duplicates l WHERE l.segment = h.segment AND l.object = h.object AND l.ordinal = h.ordinal);

-- The same with what will identify the thing where it acts, taken from the request or the answer. One call may start
-- several instances or tasks: one row for each.
CREATE TABLE things AS
SELECT segment, object, ordinal, identity, event_id, event_id_text, time, name AS api, what, in_account AS account,
       CASE WHEN what IN ('role', 'trust') THEN document
            WHEN name IN ('DeleteAccessKey', 'DeleteServiceSpecificCredential') THEN 'Deleted'
            WHEN what IN ('key_status', 'api_key_status') THEN regexp_extract(request, '"status":"([^"]+)"', 1)
            -- The service whose key it is, and after how many days it expires, if ever.
            WHEN what = 'api_key' THEN
              regexp_extract(coalesce(nullif(regexp_extract(request, '"serviceName":"([^"]+)"', 1), ''),
                                      regexp_extract(response, '"serviceName":"([^"]+)"', 1)), '^([^.]*)', 1)
              || ' ' || regexp_extract(request, '"credentialAgeDays":"?([0-9]{1,5})[^0-9]', 1) END AS document,
       -- Whose key was made, and what tells a user that was made from a later one of its name.
       CASE WHEN what = 'access_key' THEN nullif(regexp_extract(response, '"userName":"([^"]+)"', 1), '')
            WHEN what = 'api_key' THEN coalesce(nullif(regexp_extract(request, '"userName":"([^"]+)"', 1), ''),
                                                nullif(regexp_extract(response, '"userName":"([^"]+)"', 1), ''))
            WHEN what = 'user' THEN nullif(regexp_extract(response, '"userId":"([^"]+)"', 1), '') END AS owner,
       CASE what
         WHEN 'access_key' THEN nullif(regexp_extract(response, '"accessKeyId":"([^"]+)"', 1), '')
         WHEN 'instance_profile' THEN coalesce(nullif(regexp_extract(response, '"instanceId":"([^"]+)"', 1), ''),
                                               nullif(regexp_extract(request, '"instanceId":"([^"]+)"', 1), ''))
         WHEN 'key_status' THEN nullif(regexp_extract(request, '"accessKeyId":"([^"]+)"', 1), '')
         WHEN 'api_key' THEN coalesce(nullif(regexp_extract(response, '"serviceSpecificCredentialId":"([^"]+)"', 1), ''),
                                      nullif(regexp_extract(request, '"serviceSpecificCredentialId":"([^"]+)"', 1), ''))
         WHEN 'api_key_status' THEN nullif(regexp_extract(request, '"serviceSpecificCredentialId":"([^"]+)"', 1), '')
         WHEN 'user' THEN nullif(regexp_extract(response, '"userName":"([^"]+)"', 1), '')
         WHEN 'login_setting' THEN nullif(regexp_extract(request, '"userName":"([^"]+)"', 1), '')
         WHEN 'login_profile' THEN nullif(regexp_extract(request, '"userName":"([^"]+)"', 1), '')
         -- Of a role that was made of a template, only the answer tells the name.
         WHEN 'role' THEN coalesce(nullif(regexp_extract(request, '"roleName":"([^"]+)"', 1), ''),
                                   nullif(regexp_extract(response, '"roleName":"([^"]+)"', 1), ''))
         WHEN 'trust' THEN nullif(regexp_extract(request, '"roleName":"([^"]+)"', 1), '')
         WHEN 'provider' THEN nullif(regexp_extract(response, '(?:openIDConnect|sAML)ProviderArn":"([^"]+)"', 1), '')
         WHEN 'delegation' THEN nullif(regexp_extract(request, '"delegationRequestId":"([^"]+)"', 1), '')
         WHEN 'directory_user' THEN nullif(regexp_extract(response, '"userId":"([^"]+)"', 1), '')
         WHEN 'trust_anchor' THEN nullif(regexp_extract(response, '"trustAnchorArn":"([^"]+)"', 1), '')
         -- A private authority names a certificate by its serial number, as IAM Roles Anywhere names its holder's sessions.
         WHEN 'private_certificate' THEN
           nullif(regexp_replace(regexp_extract(lower(response), '/certificate/([0-9a-f]+)"', 1), '^0+', ''), '')
         -- CodeBuild names a build's session so, with the last part of the build's ARN.
         WHEN 'build' THEN 'AWSCodeBuild-' || nullif(regexp_extract(response, ':build/[^":]+:([^":]+)"', 1), '')
         -- Lambda takes a function's name, its ARN or a part of that, each with a version or alias or without one.
         ELSE nullif(regexp_extract(regexp_extract(request, '"functionName":"([^"]+)"', 1),
                                    '^(?:.*function:|[0-9]{12}:)?([^:]+)(?::[^:]+)?$', 1), '') END AS id
FROM making WHERE what NOT IN ('instance', 'task')
UNION ALL
SELECT segment, object, ordinal, identity, event_id, event_id_text, time, name, what, in_account, NULL, NULL,
       unnest(regexp_extract_all(response, '"instanceId":"([^"]+)"', 1))
FROM making WHERE what = 'instance'
UNION ALL
-- ECS names a task's sessions by the last part of its ARN.
SELECT segment, object, ordinal, identity, event_id, event_id_text, time, name, what, in_account, NULL, NULL,
       unnest(regexp_extract_all(response, '"taskArn":"[^"]*/([^"/]+)"', 1))
FROM making WHERE what = 'task';

-- The same with where the call came from, which people read.
CREATE TABLE new_makings AS
SELECT m.segment, m.object, m.ordinal, m.identity, m.event_id, m.event_id_text, m.time, m.api, m.what, m.account,
       m.document, m.owner, m.id, f.ip, f.agent, f.region
FROM things m
LEFT JOIN facts f ON f.segment = m.segment AND f.object = m.object AND f.ordinal = m.ordinal;
