-- The places of all that was linked again or moved, now that those that needed another one have it (`grafts`).

-- Credentials that were not linked again, and moved.
CREATE TABLE carried AS
SELECT -who - 1 AS old, n, parent, root, depth, span FROM grafts WHERE who < -1;

-- Those that were, and the makers outside of them that they name.
CREATE TABLE places AS
SELECT who AS ck, n, parent, root, depth, span FROM grafts WHERE who >= 0
UNION ALL
SELECT ck, old, parent_n, root_n, depth, span FROM staying
UNION ALL
SELECT m.maker, coalesce(c.n, -m.maker - 1), NULL, NULL, NULL, NULL
FROM (SELECT DISTINCT maker FROM makers WHERE maker < -1) m LEFT JOIN carried c ON c.old = -m.maker - 1;

-- Former places and new ones, for links from credentials that were not linked again.
CREATE TABLE replaced AS
SELECT old, n FROM carried
UNION ALL
SELECT h.old, p.n FROM handles h JOIN places p ON p.ck = h.ck WHERE h.old <> p.n;
