-- Which credentials keep their places, and which need another one. {gap} is the room between places of the first linking.

-- A credential stays where it is if its time and parent are unchanged and both it and its parent have places of the
-- first linking: those are multiples of the gap.
CREATE TABLE to_place AS
SELECT p.ck, h.old, p.parent_ck, coalesce(p.moment, 0) AS moment, p.id, s.parent_n, s.root_n, s.depth, s.span,
       coalesce(h.old % {gap} = 0 AND coalesce(p.moment, 0) = s.moment
                AND CASE WHEN p.parent_ck IS NULL THEN s.parent_n IS NULL
                         ELSE coalesce(u.old, -p.parent_ck - 1) = s.parent_n AND s.parent_n % {gap} = 0 END, FALSE) AS stays
FROM parents p JOIN handles h ON h.ck = p.ck LEFT JOIN handles u ON u.ck = p.parent_ck
LEFT JOIN touched_forest s ON s.n = h.old;

-- Credentials below one that leaves: they move with it.
CREATE TABLE dragged AS
SELECT DISTINCT f.n FROM stored_forest f JOIN to_place r ON f.n > r.old AND f.n < r.old + r.span
WHERE r.old % {gap} = 0 AND NOT r.stays AND f.n % {gap} = 0;

-- Who stays: neither it nor anybody above it leaves.
CREATE TABLE staying AS
SELECT * FROM to_place WHERE stays AND old NOT IN (SELECT n FROM dragged);

-- Credentials that were not linked again and whose rows are in later files, or will be.
CREATE TABLE held AS
SELECT n FROM later_forest WHERE n NOT IN (SELECT n FROM touched_before)
UNION
SELECT n FROM dragged WHERE n NOT IN (SELECT n FROM touched_before);

-- Their rows; rows of the first linking are needed only for those that move, mostly none.
CREATE TABLE held_first AS SELECT n FROM held WHERE n NOT IN (SELECT n FROM later_forest);

CREATE VIEW held_forest AS
SELECT f.* FROM later_forest f JOIN held h ON h.n = f.n
UNION ALL
SELECT f.* FROM stored_forest f JOIN held_first h ON h.n = f.n;

CREATE VIEW held_creations AS
SELECT c.* FROM later_creations c JOIN held h ON h.n = c.n
UNION ALL
SELECT c.* FROM stored_creations c JOIN held_first h ON h.n = c.n;

CREATE VIEW held_names AS
SELECT s.* FROM later_names s JOIN held h ON h.n = s.n
UNION ALL
SELECT s.* FROM stored_names s JOIN held_first h ON h.n = s.n;

-- Places of later files are given anew each time, so that there is always room.
CREATE TABLE leaving AS
SELECT ck AS who, parent_ck AS parent, moment, id FROM to_place WHERE ck NOT IN (SELECT ck FROM staying)
UNION ALL
SELECT -f.n - 1, coalesce(u.ck, -f.parent_n - 1), coalesce(f.issued_at, f.first, c.created_time, 0), f.id
FROM held_forest f LEFT JOIN handles u ON u.old = f.parent_n LEFT JOIN held_creations c ON c.n = f.n
WHERE f.n % {gap} <> 0 OR f.n IN (SELECT n FROM dragged);

-- Parents that were not linked again, by their places.
CREATE TABLE outer_parents AS
SELECT DISTINCT parent, -parent - 1 AS n FROM leaving WHERE parent < -1 AND parent NOT IN (SELECT who FROM leaving);

-- The parents under which they get their places, as far as these stay.
CREATE TABLE above AS
SELECT l.parent, s.old AS n, s.root_n, s.depth, s.span
FROM (SELECT DISTINCT parent FROM leaving) l JOIN staying s ON s.ck = l.parent
UNION ALL
SELECT l.parent, f.n, f.root_n, f.depth, f.span
FROM (SELECT n, root_n, depth, span FROM stored_forest WHERE n IN ({outer_parents.n})) f JOIN outer_parents l ON l.n = f.n;

-- Places of the first linking whose rows are gone.
CREATE TABLE unplaced AS
SELECT n FROM unplaced_before
UNION
SELECT old FROM to_place WHERE old % {gap} = 0 AND ck NOT IN (SELECT ck FROM staying)
UNION
SELECT n FROM dragged
UNION
SELECT n FROM vanished WHERE n % {gap} = 0;
