-- What acts through something that a credential made: the key, user, password, role, trust, function or instance.

CREATE TABLE through AS
SELECT n.ck, m.ck AS maker, m.what, m.id AS thing, m.api, m.event_id, m.event_id_text, m.time,
       coalesce(n.issued_at, n.first, m.time) AS moment, m.owner, m.segment, m.object, m.ordinal
FROM lives n JOIN made m ON m.what = 'access_key' AND m.id = split_part(n.ck, '|', 3) AND m.account = split_part(n.ck, '|', 2)
WHERE n.ck LIKE 'L|%' AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, coalesce(n.issued_at, n.first), NULL, NULL, NULL, NULL
FROM (SELECT *, regexp_extract(coalesce(arn, caller_arn), ':user/(?:.*/)?([^/]+)$', 1) AS user_name FROM lives
      WHERE kind IN ('long_term_key', 'session_token', 'console_session', 'unknown', 'federation_token')) n
JOIN made m ON m.account = coalesce(n.seen_account, n.caller_account) AND m.id = n.user_name
           AND (m.what = 'user' OR (m.what = 'login_profile' AND n.kind = 'console_session'))
WHERE m.time <= coalesce(n.issued_at, n.first) AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, n.issued_at, NULL, NULL, NULL, NULL
FROM (SELECT *, regexp_extract(coalesce(role_arn, issuer_arn), '([^/]+)$', 1) AS role_name,
             split_part(coalesce(role_arn, issuer_arn), ':', 5) AS role_account
      FROM lives WHERE coalesce(role_arn, issuer_arn) IS NOT NULL) n
JOIN made m ON m.account = n.role_account AND m.id = n.role_name
           AND (m.what = 'role' OR (m.what = 'trust' AND n.caller_ck IS NULL AND n.caller_service IS NULL
                AND (m.document LIKE '%"*"%' OR m.document LIKE '%' || coalesce(n.caller_account, '-') || '%'
                     OR m.document LIKE '%' || coalesce(n.caller_provider, n.federated_provider, '-') || '%')))
WHERE m.time <= n.issued_at AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, n.issued_at, NULL, NULL, NULL, NULL
FROM (SELECT *, coalesce(session_name, split_part(principal_id, ':', 2)) AS host FROM lives
      WHERE kind = 'service_role') n
JOIN made m ON m.id = n.host AND m.what IN ('instance', 'function')
           AND m.account = coalesce(n.seen_account, split_part(n.role_arn, ':', 5))
WHERE m.time <= n.issued_at AND m.ck <> n.ck
UNION ALL
SELECT n.ck, m.ck, m.what, m.id, m.api, m.event_id, m.event_id_text, m.time, n.issued_at, NULL, NULL, NULL, NULL
FROM lives n JOIN made m ON m.what = 'provider' AND m.id = coalesce(n.caller_provider, n.federated_provider)
WHERE m.time <= n.issued_at AND m.ck <> n.ck;

-- The latest maker before the credential came to be is its parent where nobody is recorded to have minted it.
-- Whoever changed a function's code did not make the function: that is a link, but no parent.
CREATE TABLE makers AS
SELECT * FROM (
  SELECT t.*, row_number() OVER (PARTITION BY ck ORDER BY CASE WHEN what = 'access_key' THEN 0 WHEN api LIKE 'UpdateFunction%' THEN 2 ELSE 1 END,
                                 time DESC, event_id, maker, what) AS place
  FROM through t
);

CREATE TABLE parents AS
SELECT n.ck,
       coalesce(nullif(n.caller_ck, n.ck), i.parent, m.maker) AS parent_ck,
       CASE WHEN n.caller_ck <> n.ck THEN
              CASE WHEN birth = 'inferred' THEN 'inferred' WHEN twin THEN 'shared_event'
                   WHEN birth = 'matched' OR loose THEN 'matched' ELSE 'recorded' END
            WHEN i.parent IS NOT NULL THEN 'inferred'
            WHEN m.maker IS NOT NULL THEN 'created' END AS parent_link,
       CASE WHEN (n.caller_ck IS NULL OR n.caller_ck = n.ck) AND i.parent IS NULL THEN m.what END AS created_what,
       m.thing AS created_thing, m.api AS created_api, m.event_id AS created_event, m.event_id_text AS created_text,
       m.time AS created_time, m.owner AS created_owner, f.ip AS created_ip, f.agent AS created_agent,
       d.id, coalesce(n.issued_at, n.first, m.time) AS moment
FROM lives n JOIN ids d ON d.ck = n.ck
LEFT JOIN inferred i ON i.ck = n.ck
LEFT JOIN (SELECT * FROM makers WHERE place = 1 AND api NOT LIKE 'UpdateFunction%') m ON m.ck = n.ck
LEFT JOIN facts f ON f.segment = m.segment AND f.object = m.object AND f.ordinal = m.ordinal
