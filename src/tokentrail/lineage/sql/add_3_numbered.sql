-- What was linked again, by numbers: a credential that was there before keeps its own, and new ones get higher numbers.

-- The numbers of those that are new.
CREATE TABLE new_numbers AS
SELECT p.ck, l.last + row_number() OVER (ORDER BY coalesce(p.moment, 0), p.id) AS n
FROM parents p JOIN handles h ON h.ck = p.ck CROSS JOIN (SELECT coalesce(max(n), 0) AS last FROM stored_credentials) l
WHERE h.old IS NULL;

-- All of them, and their parents; a parent that was not linked again is named by a number below that of any call.
CREATE TABLE numbered AS
SELECT p.ck, coalesce(h.old, s.n) AS n,
       CASE WHEN p.parent_ck < -1 THEN -p.parent_ck - 1 ELSE coalesce(u.old, t.n) END AS parent_n
FROM parents p JOIN handles h ON h.ck = p.ck LEFT JOIN new_numbers s ON s.ck = p.ck
LEFT JOIN handles u ON u.ck = p.parent_ck LEFT JOIN new_numbers t ON t.ck = p.parent_ck;
