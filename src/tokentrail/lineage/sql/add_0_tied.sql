-- The rows of all that are tied to what was touched last (`next_`), by the joins of `4_credentials.sql` and `5_births.sql`:
-- times of an issuing call and of a session differ by two seconds at most, a sign-in URL is good for fifteen minutes.

CREATE TABLE tied_people AS
WITH likely AS (
  SELECT * FROM all_people WHERE class <> 'none' AND (
    key IN (SELECT name FROM next_key)
    OR principal IN (SELECT name FROM next_moment UNION ALL SELECT name FROM next_signin)
    OR issuer_arn IN (SELECT name FROM next_role))
)
SELECT p.* FROM likely p WHERE (
    p.key IN (SELECT name FROM next_key)
    OR EXISTS (SELECT 1 FROM next_moment m
               WHERE m.name = p.principal AND p.created BETWEEN m.second - 2 AND m.second + 2)
    OR EXISTS (SELECT 1 FROM next_signin m
               WHERE m.name = p.principal AND p.created BETWEEN m.second - 2 AND m.second + 900)
    OR EXISTS (SELECT 1 FROM next_role m
               WHERE m.name = p.issuer_arn AND p.created BETWEEN m.second - 2 AND m.second + 2))
  AND NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = p.segment AND t.identity = p.identity);

CREATE TABLE tied_issuing AS
WITH likely AS (
  SELECT * FROM all_issuing WHERE key IN (SELECT name FROM next_key) OR child IN (SELECT name FROM next_moment)
    OR (child = '' AND role_arn IN (SELECT name FROM next_issuer)) OR shared_id IN (SELECT name FROM next_shared)
)
SELECT i.* FROM likely i WHERE (
    i.key IN (SELECT name FROM next_key)
    OR i.shared_id IN (SELECT name FROM next_shared)
    OR EXISTS (SELECT 1 FROM next_moment m
               WHERE m.name = i.child AND i.time BETWEEN m.second - 2 AND m.second + 2)
    OR (i.api = 'GetSigninToken' AND EXISTS (
          SELECT 1 FROM next_moment m WHERE m.name = i.child AND i.time BETWEEN m.second - 900 AND m.second + 2))
    OR (i.child = '' AND EXISTS (
          SELECT 1 FROM next_issuer m WHERE m.name = i.role_arn AND i.time BETWEEN m.second - 2 AND m.second + 2)))
  AND NOT EXISTS (SELECT 1 FROM touched_issuing t
                  WHERE t.segment = i.segment AND t.object = i.object AND t.ordinal = i.ordinal);
