"""Use of a credential whose ancestor key was deactivated, deleted or denied."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.revocations import Revocation, add_revocations, was_rotated
from tokentrail.detection.views import (
    ATTRIBUTED_CHANGES,
    CREDENTIAL_DETAILS,
    CREDENTIAL_EVENTS,
    CREDENTIAL_IPS,
    PRINCIPAL_IPS,
)
from tokentrail.formatting import at, counted, enumerated
from tokentrail.lineage.rows import Row

_USED = """
    SELECT key_n, n, uses, time, event_id, event_id_text, minted_after FROM (
      SELECT c.n AS key_n, k.n, d.time, d.event_id, d.event_id_text,
             coalesce(k.issued_time, 0) > c.done_at AS minted_after,
             count(*) OVER (PARTITION BY c.n, k.n) AS uses,
             row_number() OVER (PARTITION BY c.n, k.n ORDER BY d.time, d.event_id) AS place
      FROM revoked_keys c
      JOIN minted_by_keys m ON m.start = c.n AND m.n <> c.n
      JOIN credential_details k ON k.n = m.n
      JOIN credential_events d ON d.n = k.n AND d.time > c.done_at AND d.error IS NULL AND NOT d.forwarded
      WHERE d.name <> 'GetCallerIdentity'
    ) WHERE place = 1 ORDER BY key_n, time, event_id"""
"""First uses after the cut of what was minted from the key; what acts through things that it made is another story."""
_CREATED = "SELECT n FROM credential_details WHERE parent_link = 'created'"


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look among the descendants of each key that was ended for credentials that were used afterwards."""
    revocations = {one.credential["n"]: one for one in context.revoked_keys()}
    if not revocations:
        return
    add_revocations(context, "revoked_keys", revocations.values())
    created = [row["n"] for row in context.rows(_CREATED)]
    context.add_table("minted_by_keys", context.ancestry.below(revocations.keys(), apart=created))
    used: dict[int, list[Row]] = {}
    for row in context.rows(_USED):
        used.setdefault(row["key_n"], []).append(row)
    names = context.credentials(row["n"] for found in used.values() for row in found)
    for n, found in sorted(used.items()):
        yield _hit(revocations[n], found, names, quiet=was_rotated(context, revocations[n]))


def _hit(revocation: Revocation, found: list[Row], names: dict[int, Row], *, quiet: bool) -> Hit:
    fresh = [row for row in found if row["minted_after"]]
    severity: Severity = "critical" if fresh else "low" if quiet else "high"
    why = (
        f"{revocation.event_name} ended {named(revocation.credential)} at {at(revocation.done_at)}, yet "
        f"{counted(len(found), 'credential')} minted from it went on: "
        f"{enumerated(named(names[row['n']]) for row in found)}, first at {at(found[0]['time'])}"
    )
    if fresh:
        why += f"; {counted(len(fresh), 'of them was', 'of them were')} minted only after the key was gone"
    elif quiet:
        why += "; all of it where the user's next key works too, an address of days ago: the key was rotated, it seems"
    return Hit(
        about=(revocation.credential["id"],),
        time=found[0]["time"],
        severity=severity,
        why=why + ".",
        subject=revocation.credential["n"],
        places=(revocation.credential["n"], *(row["n"] for row in found)),
        events=(revocation.event, *(event_of(row) for row in found)),
        count=sum(row["uses"] for row in found),
        thresholds=("new_for",),
    )


RULE = Rule(
    id="outlived-key",
    title="Credentials go on after the key behind them was cut",
    severity="critical",
    attack=("T1550.001", "T1078.004"),
    why="Deactivating or deleting a key ends the key alone. What was minted from it works until it expires, for up to "
    "36 hours, and a session token among it mints new role sessions all the while.",
    false_alarm="Keys are rotated in good order too: then the key's owner knows the sessions, and none is minted "
    "after the cut. Where they work only at old addresses at which the user's next key works too, it is told at low "
    "severity.",
    references=(
        "IAM User Guide, 'Disabling permissions for temporary security credentials'",
        "Netskope Threat Labs, 'Securing AWS Temporary Tokens'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, CREDENTIAL_IPS, PRINCIPAL_IPS, ATTRIBUTED_CHANGES),
    thresholds=("new_for",),
)
