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

-- Credentials that came or went, whether anybody was seen using them or not.
CREATE OR REPLACE TABLE came AS
SELECT child, role_arn, session_name, time FROM new_issuing WHERE child <> '' OR session_name IS NOT NULL
UNION
SELECT child, role_arn, session_name, time FROM removed_issuing WHERE child <> '' OR session_name IS NOT NULL;

-- Who may be meant where a call of another account names a principal: as whom credentials are seen, now and before. A
-- credential is named by its former place, or by its number below none.
CREATE OR REPLACE TABLE meant_now AS
SELECT DISTINCT coalesce(o.old, -o.ck) AS whose, t.principal, t.account FROM who w JOIN handles o ON o.ck = w.ck
JOIN touched_people t ON t.segment = w.segment AND t.identity = w.identity;

CREATE OR REPLACE TABLE meant_before AS
SELECT h.n AS whose, t.principal, t.account FROM had h
JOIN touched_people t ON t.segment = h.segment AND t.identity = h.identity
WHERE NOT h.removed AND h.segment NOT IN (SELECT segment FROM removed_segments)
UNION
SELECT h.n, t.principal, t.account FROM had h
JOIN removed_people t ON t.segment = h.segment AND t.identity = h.identity
WHERE h.removed;

-- From when and until when they are meant, whether now or before, and whether that is another time now.
CREATE OR REPLACE TABLE lives_of AS
SELECT whose, min(start) AS start, CASE WHEN count(finish) = count(*) THEN max(finish) END AS finish,
       count(*) = 1 OR count(start) = 1 OR count(finish) = 1 OR min(start) <> max(start) OR min(finish) <> max(finish) AS differs
FROM (
  SELECT coalesce(h.old, -h.ck) AS whose, CASE WHEN p.kind <> 'long_term_key' THEN coalesce(p.issued_at, p.first) END AS start, coalesce(p.expires_at, p.expires_bound) AS finish
  FROM parents p JOIN handles h ON h.ck = p.ck
  UNION ALL
  SELECT f.n, CASE WHEN f.kind <> 'long_term_key' THEN coalesce(f.issued_at, f.first) END, coalesce(f.expires_at, f.expires_bound)
  FROM stored_forest f JOIN touched_before t ON t.n = f.n
) GROUP BY whose;

-- Whoever may have been the only one to make a call may be so no more, or only now.
CREATE OR REPLACE TABLE changed AS
SELECT DISTINCT m.principal, l.start, l.finish FROM lives_of l
JOIN (SELECT * FROM meant_now UNION SELECT * FROM meant_before) m ON m.whose = l.whose
WHERE coalesce(l.differs, FALSE) OR l.whose IN (
  SELECT whose FROM (SELECT * FROM meant_now EXCEPT SELECT * FROM meant_before)
  UNION ALL SELECT whose FROM (SELECT * FROM meant_before EXCEPT SELECT * FROM meant_now));
