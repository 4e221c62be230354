"""
Find the calls by which the attacker came in from outside: by a web identity, a SAML assertion or another account.

No credential of the case made such a call. It counts as the attacker's if what it minted is: otherwise a trust policy
that is made from ordinary callers would let the attacker in by name.
"""

from __future__ import annotations

OUTSIDERS = ("WebIdentityUser", "SAMLUser", "AWSAccount")
"""The identity types of such callers (AWS CloudTrail User Guide, 'CloudTrail userIdentity element')."""
ARRIVALS = f"""
    CREATE OR REPLACE TEMP TABLE arrivals AS
    SELECT f.segment, f.object, f.ordinal, a.n, a.place, f.parent_n IS NULL AS first, s.event_id, s.event_id_text
    FROM credentials f JOIN attackers a ON a.n = f.n
    JOIN issuances s ON s.segment = f.segment AND s.object = f.object AND s.ordinal = f.ordinal
    JOIN identities i ON i.segment = s.segment AND i.identity = s.identity
    LEFT JOIN starts t ON t.n = f.n
    LEFT JOIN owners o ON o.n = f.n AND o.ip = coalesce(s.ip, '')
    WHERE i.type IN {OUTSIDERS!r} AND (t.since IS NULL OR coalesce(s.time >= t.since, FALSE) AND o.n IS NULL)"""
"""
Makes `arrivals` of `attackers`, `starts` and `owners` (see `history`).

What narrows the calls of a stolen session narrows the call that minted it too: that was the owner's, if it was earlier.
"""
BORN_SO = """
      UNION ALL
      SELECT event_id, event_id_text, place FROM arrivals WHERE first"""
"""Adds arrivals to the events that created a credential, but for credentials that descend from another."""
SEGMENTS = "SELECT DISTINCT segment FROM arrivals"
"""The segments of all arrivals."""
