-- What came out otherwise than before.

-- Whose the identities were that are touched or are no more, and which file says so.
CREATE OR REPLACE TABLE had AS
SELECT w.*, EXISTS (SELECT 1 FROM later_who l WHERE l.segment = w.segment AND l.identity = w.identity) AS later
FROM (
  SELECT w.n, w.segment, w.identity, FALSE AS removed FROM stored_who w
  JOIN touched_people t ON t.segment = w.segment AND t.identity = w.identity
  UNION ALL
  SELECT w.n, w.segment, w.identity, TRUE FROM stored_who w JOIN removed_segments r ON r.segment = w.segment
) w;

-- A credential is the one that it was if its id is.
CREATE OR REPLACE TABLE handles AS
SELECT p.ck, s.n AS old FROM parents p LEFT JOIN (SELECT name, n FROM stored_names WHERE own) s ON s.name = p.id;

CREATE OR REPLACE TABLE touched_before AS
SELECT n FROM had
UNION
SELECT f.n FROM stored_forest f JOIN (
  SELECT segment, object, ordinal FROM touched_issuing UNION ALL SELECT segment, object, ordinal FROM removed_issuing
) i ON i.segment = f.segment AND i.object = f.object AND i.ordinal = f.ordinal
UNION
SELECT n FROM stored_names WHERE own AND name IN (SELECT name FROM known_key)
UNION
SELECT n FROM stored_creations WHERE created_what = 'access_key' AND created_thing IN (SELECT name FROM known_key);

CREATE OR REPLACE TABLE vanished AS
SELECT n FROM touched_before WHERE n NOT IN (SELECT old FROM handles WHERE old IS NOT NULL);

-- Identities that turned out to be somebody else's.
CREATE OR REPLACE TABLE moved AS
SELECT DISTINCT h.segment, h.identity FROM had h
LEFT JOIN (SELECT w.segment, w.identity, o.old FROM who w JOIN handles o ON o.ck = w.ck) q
  ON q.segment = h.segment AND q.identity = h.identity
WHERE NOT h.removed AND q.old IS DISTINCT FROM h.n;

CREATE OR REPLACE TABLE touched_makings AS
SELECT * FROM new_makings
UNION ALL
SELECT * FROM removed_makings
UNION ALL
SELECT m.* FROM all_makings m JOIN moved q ON q.segment = m.segment AND q.identity = m.identity;

-- Principals of credentials that were not seen to be theirs before, or whose lives are others now, and when these or
-- the former ones were: whoever may have been the only one to make a call in another account may be so no more, or only
-- now.
CREATE OR REPLACE TABLE changed AS
WITH principals AS (
  SELECT DISTINCT w.ck, t.principal, t.account FROM who w
  JOIN touched_people t ON t.segment = w.segment AND t.identity = w.identity
), several AS (SELECT ck FROM principals GROUP BY ck HAVING count(*) > 1),
lives_now AS (
  SELECT ck, coalesce(issued_at, first) AS start, coalesce(expires_at, expires_bound) AS finish FROM parents
), lives_before AS (
  SELECT n, coalesce(issued_at, first) AS start, coalesce(expires_at, expires_bound) AS finish, events FROM stored_forest
)
SELECT q.principal, least(l.start, b.start) AS start,
       CASE WHEN l.finish IS NOT NULL AND (b.n IS NULL OR b.finish IS NOT NULL) THEN greatest(l.finish, b.finish) END AS finish
FROM lives_now l JOIN handles h ON h.ck = l.ck JOIN principals q ON q.ck = l.ck LEFT JOIN lives_before b ON b.n = h.old
WHERE b.events IS NULL OR l.start IS DISTINCT FROM b.start OR l.finish IS DISTINCT FROM b.finish
   OR l.ck IN (SELECT ck FROM several)
UNION ALL
SELECT DISTINCT t.principal, b.start, b.finish FROM had h JOIN lives_before b ON b.n = h.n
JOIN (SELECT segment, identity, principal FROM touched_people
      UNION ALL SELECT segment, identity, principal FROM removed_people) t
  ON t.segment = h.segment AND t.identity = h.identity
WHERE NOT EXISTS (SELECT 1 FROM handles n JOIN principals q ON q.ck = n.ck WHERE n.old = h.n AND q.principal = t.principal);
