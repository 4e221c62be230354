-- The rows of all that are tied to what was touched last (`next_`), by the joins of `4_credentials.sql`, `5_births.sql` and `7_created.sql`.
-- Where these allow for two seconds, ties are looked for in `about_`; a sign-in URL is good for fifteen minutes.
-- {among}: a condition that all that are tied meet, as to which segments they are in.

-- Those with a long-term key are few beside all, and may be in any segment.
CREATE TABLE tied_people AS
SELECT p.* FROM all_people p
WHERE {among} AND p.class IN ('temporary', 'delegated')
  AND (p.key IN (SELECT name FROM next_key)
       OR (p.principal, p.created) IN (SELECT (name, second) FROM next_moment UNION ALL SELECT (name, second) FROM about_birth)
       OR (p.issuer_arn, p.created) IN (SELECT (name, second) FROM about_role)
       OR p.sign_in_session IN (SELECT name FROM next_oauth)
       OR (p.principal LIKE '%:AWSLF-%' AND split_part(p.principal, ':', -1) IN (SELECT name FROM next_vended)))
  AND NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = p.segment AND t.identity = p.identity)
UNION ALL
SELECT p.* FROM all_keyholders p
WHERE p.key IN (SELECT name FROM next_key)
  AND NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = p.segment AND t.identity = p.identity);

-- The same of calls that issue: by key, shared event, OAuth session, principal and second, role and second.
CREATE TABLE tied_issuing AS
SELECT i.* FROM all_issuing i
WHERE {among} AND (i.key IN (SELECT name FROM next_key)
       OR i.shared_id IN (SELECT name FROM next_shared)
       OR i.sign_in_session IN (SELECT name FROM next_oauth)
       OR i.token_id IN (SELECT name FROM next_token)
       OR (i.session_name LIKE 'AWSLF-%' AND i.session_name IN (SELECT name FROM next_vended))
       OR (i.child <> '' AND (i.child, i.time) IN (SELECT (name, second) FROM next_moment))
       OR (i.child <> '' AND (i.key = '' OR i.api IN ('GetSigninToken', 'ConsoleLogin'))
           AND (i.child, i.time) IN (SELECT (name, second) FROM about_use))
       OR (i.child = '' AND (i.role_arn, i.time) IN (SELECT (name, second) FROM about_issuer))
       OR (i.api = 'AssumeRole' AND i.caller_service
           AND (i.role_arn, i.time) IN (SELECT (name, second) FROM about_wrapper))
       OR (i.api = 'CreateSession' AND i.key = ''
           AND (i.role_arn, i.time) IN (SELECT (name, second) FROM about_wrapped)))
  AND NOT EXISTS (SELECT 1 FROM touched_issuing t
                  WHERE t.segment = i.segment AND t.object = i.object AND t.ordinal = i.ordinal);

INSERT INTO tied_issuing
SELECT DISTINCT i.* FROM (SELECT * FROM all_issuing WHERE api = 'GetSigninToken') i
JOIN next_moment m ON m.name = i.child AND i.time BETWEEN m.second - 900 AND m.second + 2
WHERE NOT EXISTS (SELECT 1 FROM (SELECT segment, object, ordinal FROM touched_issuing
                                 UNION ALL SELECT segment, object, ordinal FROM tied_issuing) t
                  WHERE t.segment = i.segment AND t.object = i.object AND t.ordinal = i.ordinal);
