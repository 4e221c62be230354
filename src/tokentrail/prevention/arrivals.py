"""
By which calls the attacker came in without a credential of the case: by a web identity, an assertion, another account.

Such a call is nobody's whom the case knows, and what it minted is the attacker's: else a trust policy that is made of
who ordinarily comes would let the attacker in by name.
"""

from __future__ import annotations

OUTSIDERS = ("WebIdentityUser", "SAMLUser", "AWSAccount")
"""How CloudTrail calls those who come so (AWS CloudTrail User Guide, 'CloudTrail userIdentity element')."""
ARRIVALS = f"""
    CREATE OR REPLACE TEMP TABLE arrivals AS
    SELECT f.segment, f.object, f.ordinal, a.n, a.place, f.parent_n IS NULL AS first, s.event_id, s.event_id_text
    FROM forest f JOIN attackers a ON a.n = f.n
    JOIN issuances s ON s.segment = f.segment AND s.object = f.object AND s.ordinal = f.ordinal
    JOIN identities i ON i.segment = s.segment AND i.identity = s.identity
    LEFT JOIN starts t ON t.n = f.n
    LEFT JOIN owners o ON o.n = f.n AND o.ip = coalesce(s.ip, '')
    WHERE i.type IN {OUTSIDERS!r} AND (t.since IS NULL OR coalesce(s.time >= t.since, FALSE) AND o.n IS NULL)"""
"""What narrows the subject's own calls tells its minting as well: a session that was stolen later was its owner's."""
BORN_SO = """
      UNION ALL
      SELECT event_id, event_id_text, place FROM arrivals WHERE first"""
"""What came to be through something that the attacker made is counted among what that brought about."""
SEGMENTS = "SELECT DISTINCT segment FROM arrivals"
