-- Which credentials keep their places, and which need another one. {gap} is the room between places of the first linking;
-- `crowded` are the numbers of those gaps that have no more room as they are used.

-- A credential stays where it is if its time and parent are unchanged, and there is room for others beside it.
CREATE OR REPLACE TABLE to_place AS
SELECT p.ck, h.old, p.parent_ck, coalesce(p.moment, 0) AS moment, p.id, s.parent_n, s.root_n, s.depth, s.span,
       coalesce(coalesce(p.moment, 0) = s.moment
                AND CASE WHEN p.parent_ck IS NULL THEN s.parent_n IS NULL
                         ELSE coalesce(u.old, -p.parent_ck - 1) = s.parent_n END
                AND (h.old % {gap} = 0 OR h.old // {gap} NOT IN (SELECT gap FROM crowded)), FALSE) AS stays
FROM parents p JOIN handles h ON h.ck = p.ck LEFT JOIN handles u ON u.ck = p.parent_ck
LEFT JOIN touched_forest s ON s.n = h.old;

-- The trees of those that leave.
CREATE OR REPLACE TABLE leaving_trees AS
SELECT old AS n, old + span AS ends, old // {gap} AS gap FROM to_place WHERE NOT stays AND old IS NOT NULL;

-- Credentials below one that leaves: they move with it. Below one that has no place of the first linking, all lie in its gap.
CREATE OR REPLACE TABLE dragged AS
SELECT f.n FROM stored_credentials f JOIN (SELECT * FROM leaving_trees WHERE n % {gap} = 0) r ON f.n > r.n AND f.n < r.ends
UNION
SELECT f.n FROM (
  SELECT n FROM later_credentials WHERE n // {gap} IN (SELECT gap FROM leaving_trees WHERE n % {gap} <> 0)
) f JOIN (SELECT * FROM leaving_trees WHERE n % {gap} <> 0) r ON f.n > r.n AND f.n < r.ends;

-- Who stays: neither it nor anybody above it leaves.
CREATE OR REPLACE TABLE staying AS
SELECT * FROM to_place WHERE stays AND old NOT IN (SELECT n FROM dragged);

-- Credentials that were not linked again and need another place.
CREATE OR REPLACE TABLE held AS
SELECT n FROM dragged WHERE n NOT IN (SELECT n FROM touched_before)
UNION
SELECT n FROM later_credentials
WHERE n // {gap} IN (SELECT gap FROM crowded) AND n % {gap} <> 0 AND n NOT IN (SELECT n FROM touched_before);

-- Their rows.
CREATE OR REPLACE VIEW held_credentials AS SELECT * FROM stored_credentials WHERE n IN (SELECT n FROM held);

-- All that need a place.
CREATE OR REPLACE TABLE leaving AS
SELECT ck AS who, parent_ck AS parent, moment, id FROM to_place WHERE ck NOT IN (SELECT ck FROM staying)
UNION ALL
SELECT -f.n - 1, coalesce(u.ck, -f.parent_n - 1), coalesce(f.issued_at, f.first, f.created_time, 0), f.id
FROM held_credentials f LEFT JOIN handles u ON u.old = f.parent_n;

-- Parents that were not linked again, by their places.
CREATE OR REPLACE TABLE outer_parents AS
SELECT DISTINCT parent, -parent - 1 AS n FROM leaving WHERE parent < -1 AND parent NOT IN (SELECT who FROM leaving);

-- The parents under which they get their places, as far as these stay.
CREATE OR REPLACE TABLE above AS
SELECT l.parent, s.old AS n, s.root_n, s.depth, s.span
FROM (SELECT DISTINCT parent FROM leaving) l JOIN staying s ON s.ck = l.parent
UNION ALL
SELECT l.parent, f.n, f.root_n, f.depth, f.span
FROM (SELECT n, root_n, depth, span FROM stored_credentials WHERE n IN (SELECT n FROM outer_parents)) f JOIN outer_parents l ON l.n = f.n;

-- Places that nobody has any more.
CREATE OR REPLACE TABLE unplaced AS
SELECT old AS n FROM to_place WHERE old IS NOT NULL AND ck NOT IN (SELECT ck FROM staying)
UNION
SELECT n FROM held
UNION
SELECT n FROM vanished;
