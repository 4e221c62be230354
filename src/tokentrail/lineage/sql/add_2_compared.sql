-- What came out otherwise than before.

-- The ids to look for in the earlier forest. An id without an "@" is a key, and whoever had it before is touched with it: one
-- that only new records name is nobody's.
CREATE OR REPLACE TABLE sought_names AS
SELECT name FROM known_key WHERE name IN (
  SELECT key FROM touched_people WHERE segment NOT IN (SELECT segment FROM fresh_segments)
  UNION ALL
  SELECT key FROM touched_issuing WHERE segment NOT IN (SELECT segment FROM fresh_segments)
  UNION ALL
  SELECT key FROM removed_people
  UNION ALL
  SELECT key FROM removed_issuing
  UNION ALL
  SELECT id FROM all_makings WHERE what IN ('access_key', 'api_key')
  UNION ALL
  SELECT id FROM removed_makings WHERE what IN ('access_key', 'api_key'))
UNION
SELECT id FROM parents WHERE contains(id, '@') OR id NOT IN (SELECT name FROM known_key);

-- Whose they were.
CREATE OR REPLACE TABLE near_names AS
SELECT name, n FROM stored_names WHERE own AND name IN (SELECT name FROM sought_names);

-- Touched identities that were there before.
CREATE OR REPLACE TABLE touched_older AS
SELECT segment, identity FROM touched_people WHERE segment NOT IN (SELECT segment FROM fresh_segments);

-- Most of them are of who has such an id, and those are soon found; the others are looked for among all.
CREATE OR REPLACE TABLE had_near AS
SELECT w.n, w.segment, w.identity FROM (SELECT * FROM stored_credential_identities WHERE n IN (SELECT n FROM near_names)) w
JOIN touched_older t ON t.segment = w.segment AND t.identity = w.identity;

-- Which credentials the identities belonged to that are touched or gone.
CREATE OR REPLACE TABLE had AS
SELECT n, segment, identity, FALSE AS removed FROM had_near
UNION ALL
SELECT w.n, w.segment, w.identity, FALSE FROM stored_credential_identities w JOIN (
  SELECT segment, identity FROM touched_older EXCEPT SELECT segment, identity FROM had_near
) t ON t.segment = w.segment AND t.identity = w.identity
UNION ALL
SELECT w.n, w.segment, w.identity, TRUE FROM stored_credential_identities w JOIN removed_segments r ON r.segment = w.segment;

-- A credential is the same as before if its id is.
CREATE OR REPLACE TABLE handles AS
SELECT p.ck, s.n AS old FROM parents p LEFT JOIN near_names s ON s.name = p.id;

-- What the calls that are touched, or are no more, had issued.
CREATE OR REPLACE TABLE issued_before AS
SELECT f.n, i.child, f.issued_at, f.first, f.expires_at, f.expires_bound FROM stored_credentials f JOIN (
  SELECT segment, object, ordinal, child FROM touched_issuing WHERE segment NOT IN (SELECT segment FROM fresh_segments)
  UNION ALL SELECT segment, object, ordinal, child FROM removed_issuing
) i ON i.segment = f.segment AND i.object = f.object AND i.ordinal = f.ordinal;

-- The places of all credentials that may come out otherwise: by their uses, their issuing calls, their keys.
CREATE OR REPLACE TABLE touched_before AS
SELECT n FROM had
UNION
SELECT n FROM issued_before
UNION
SELECT n FROM near_names WHERE name IN (SELECT name FROM known_key)
UNION
SELECT n FROM stored_credentials WHERE created_what IN ('access_key', 'api_key') AND created_thing IN (SELECT name FROM known_key);

-- What was known of them.
CREATE OR REPLACE TABLE touched_forest AS
SELECT f.n, f.parent_n, f.root_n, f.depth, f.id, f.kind, f.issued_at, f.first, f.expires_at, f.expires_bound,
       coalesce(f.issued_at, f.first, f.created_time, 0) AS moment
FROM stored_credentials f
WHERE f.n IN (SELECT n FROM touched_before);

-- Those of them that no longer exist under their id.
CREATE OR REPLACE TABLE vanished AS
SELECT n FROM touched_before WHERE n NOT IN (SELECT old FROM handles WHERE old IS NOT NULL);

-- Identities that turned out to be somebody else's.
CREATE OR REPLACE TABLE moved AS
SELECT DISTINCT h.segment, h.identity FROM had h
LEFT JOIN (SELECT w.segment, w.identity, o.old FROM credential_identities w JOIN handles o ON o.ck = w.ck) q
  ON q.segment = h.segment AND q.identity = h.identity
WHERE NOT h.removed AND q.old IS DISTINCT FROM h.n;

-- What was made by calls that are new, are no more, or turned out to be another credential's.
CREATE OR REPLACE TABLE touched_makings AS
SELECT * FROM new_makings
UNION ALL
SELECT * FROM removed_makings
UNION ALL
SELECT m.* FROM all_makings m JOIN moved q ON q.segment = m.segment AND q.identity = m.identity;

-- Services' sessions that bear a session's name alone, and may have become another role's.
CREATE OR REPLACE TABLE nameless AS
SELECT role_arn, session_name FROM touched_issuing WHERE child = '' AND session_name IS NOT NULL
UNION
SELECT role_arn, session_name FROM removed_issuing WHERE child = '' AND session_name IS NOT NULL;

-- Accounts in which a key was made that is touched: it may have come into use, or be older than it seemed.
CREATE OR REPLACE TABLE keyed_accounts AS
SELECT DISTINCT account FROM (
  SELECT m.account FROM all_makings m JOIN known_key k ON k.name = m.id WHERE m.what = 'access_key'
  UNION ALL
  SELECT account FROM touched_makings WHERE what = 'access_key'
);

-- Accounts in which a key was made active, inactive or deleted by a call that is touched.
CREATE OR REPLACE TABLE keys_changed AS
SELECT account, min(time) AS time FROM touched_makings WHERE what = 'key_status' GROUP BY account;

-- Who may be meant where a call of another account names a principal: as whom credentials are seen, now and before. A
-- credential is named by its former place, or by its number below none.
CREATE OR REPLACE TABLE meant_now AS
SELECT DISTINCT coalesce(o.old, -o.ck) AS whose, t.principal, t.account FROM credential_identities w JOIN handles o ON o.ck = w.ck
JOIN touched_people t ON t.segment = w.segment AND t.identity = w.identity
UNION
SELECT coalesce(o.old, -o.ck), c.child, '' FROM parents p JOIN calls c ON c.call = p.call JOIN handles o ON o.ck = p.ck WHERE c.child <> '';

-- The same as it was before.
CREATE OR REPLACE TABLE meant_before AS
SELECT h.n AS whose, t.principal, t.account FROM had h
JOIN touched_people t ON t.segment = h.segment AND t.identity = h.identity
WHERE NOT h.removed AND h.segment NOT IN (SELECT segment FROM removed_segments)
UNION
SELECT h.n, t.principal, t.account FROM had h
JOIN removed_people t ON t.segment = h.segment AND t.identity = h.identity
WHERE h.removed;

-- From when and until when they are meant, whether now or before.
CREATE OR REPLACE TABLE lives_of AS
SELECT whose, min(coalesce(start, -1)) AS start, CASE WHEN count(finish) = count(*) THEN max(finish) END AS finish
FROM (
  SELECT coalesce(h.old, -h.ck) AS whose, CASE WHEN p.kind NOT IN ('long_term_key', 'api_key') THEN coalesce(p.issued_at, p.first) END AS start,
         coalesce(p.expires_at, p.expires_bound) AS finish
  FROM parents p JOIN handles h ON h.ck = p.ck
  UNION ALL
  SELECT n, CASE WHEN kind NOT IN ('long_term_key', 'api_key') THEN coalesce(issued_at, first) END, coalesce(expires_at, expires_bound)
  FROM touched_forest
) GROUP BY whose;

-- Whoever may have been the only one to make a call may be so no more, or only now; and what a caller is called may be known
-- only now.
CREATE OR REPLACE TABLE changed AS
SELECT DISTINCT m.principal, l.start, l.finish FROM lives_of l
JOIN (SELECT * FROM meant_now UNION SELECT * FROM meant_before) m ON m.whose = l.whose
UNION
SELECT principal, -1, NULL FROM new_people WHERE principal <> '' AND user_arn IS NOT NULL
UNION
SELECT principal, -1, NULL FROM removed_people WHERE principal <> '' AND user_arn IS NOT NULL
UNION
SELECT child, coalesce(issued_at, first, -1), coalesce(expires_at, expires_bound) FROM issued_before WHERE child <> '';
