-- The places of what was linked again, once roots and depths are known (`found_places`).

-- Those that were linked again, and the makers outside of them that they name.
CREATE TABLE places AS
SELECT c.ck, c.n, c.parent_n AS parent, f.root, f.depth FROM numbered c JOIN found_places f ON f.n = c.n
UNION ALL
SELECT DISTINCT maker, -maker - 1, NULL, NULL, NULL FROM makers WHERE maker < -1;

-- Those that were not, and whose root or depth is another one now.
CREATE TABLE carried AS
SELECT f.n, f.root, f.depth FROM found_places f JOIN kin k ON k.n = f.n WHERE f.root <> k.root_n OR f.depth <> k.depth;
