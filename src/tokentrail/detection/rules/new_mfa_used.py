"""A second factor that was made and then used."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, named, short
from tokentrail.lineage.rows import event_id

_DEVICES = """
    SELECT time, event_id, event_id_text, by_arn, n,
           nullif(regexp_extract(request, '"serialNumber":"([^"]+)"', 1), '') AS serial
    FROM changed WHERE name = 'EnableMFADevice'"""
_USED = """
    SELECT k.*, c.serial, c.time AS made_at, c.event_id AS made_event, c.event_id_text AS made_text,
           c.by_arn, c.n AS maker
    FROM devices c
    JOIN known k ON k.mfa_serial = c.serial AND k.issued_time BETWEEN c.time AND c.time + ?
    ORDER BY c.serial, k.issued_time, k.n"""


def find(scene: Scene) -> Iterator[Hit]:
    """Join devices that were enabled with what was minted with them soon after."""
    if not scene.table("devices", _DEVICES):
        return
    seen: set[str] = set()
    for row in list(scene.rows(_USED, (scene.thresholds.whole("mfa_used_within"),))):
        other = row["by_arn"] is not None and row["by_arn"] != (row["caller_arn"] or row["by_arn"])
        suspicious = scene.suspicious(row["maker"])
        if row["serial"] in seen or not (other or suspicious):
            continue
        seen.add(row["serial"])
        severity: Severity = "high" if suspicious else "medium"
        made = event_id(row["made_event"], row["made_text"]) or ""
        yield Hit(
            about=(row["serial"], made),
            time=row["issued_time"],
            severity=severity,
            why=f"{short(row['by_arn'])} enabled the device {row['serial']} at {at(row['made_at'])}, and "
            f"{named(row)} was minted with "
            f"it at {at(row['issued_time'])}.",
            subject=row["n"],
            places=(row["n"],) if row["maker"] is None else (row["n"], row["maker"]),
            events=(made, event_id(row["issue_event"], row["issue_text"]) or ""),
            count=2,
            thresholds=("mfa_used_within",),
        )


RULE = Rule(
    id="new-mfa-used",
    title="A new second factor was enabled for somebody, and used",
    severity="high",
    attack=("T1556.006", "T1098.005"),
    why="A second factor of the attacker's own opens what asks for one, and stays when the key is changed.",
    false_alarm="People get new phones: they enable the device themselves, which is left out unless their lineage "
    "is suspicious.",
    references=("Elastic, 'AWS STS AssumeRole with new MFA device'",),
    find=find,
    marks=frozenset({"EnableMFADevice"}),
    late=True,
    thresholds=("mfa_used_within",),
)
