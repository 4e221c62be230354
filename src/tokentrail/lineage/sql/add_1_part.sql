-- The part of a forest that is linked again, beside what linking knows of all.

-- The names that linking reads, for what is touched alone or, as `every_...`, for all.
CREATE OR REPLACE VIEW people AS SELECT * FROM touched_people;

CREATE OR REPLACE VIEW issuing AS SELECT * FROM touched_issuing;

CREATE OR REPLACE VIEW every_issuing AS SELECT * FROM all_issuing;

CREATE OR REPLACE VIEW every_people AS SELECT * FROM all_people;

CREATE OR REPLACE VIEW duplicates AS SELECT * FROM all_duplicates;

-- A key that somebody made is told without any use of it: only those that are touched are.
CREATE OR REPLACE VIEW makings AS
SELECT * FROM all_makings WHERE what NOT IN ('access_key', 'api_key') OR id IN (SELECT name FROM known_key);

-- Whoever made a call or a thing and is not touched, by a number below those of any call: -1 less the place.
CREATE OR REPLACE TABLE elsewhere AS
SELECT w.segment, w.identity, -w.n - 1 AS ck FROM stored_credential_identities w
JOIN (
  SELECT segment, identity FROM (SELECT segment, identity FROM touched_issuing UNION SELECT segment, identity FROM makings)
  WHERE segment NOT IN (SELECT segment FROM fresh_segments)
) c ON c.segment = w.segment AND c.identity = w.identity
WHERE NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = w.segment AND t.identity = w.identity);
