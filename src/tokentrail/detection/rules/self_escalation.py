"""A user or role gives itself more power."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import SEVERITIES, Hit, Rule, Severity
from tokentrail.detection.privilege_gains import OWN_CALLS, PrivilegeGain, privilege_gains
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CREDENTIAL_DETAILS
from tokentrail.formatting import at, enumerated
from tokentrail.lineage.rows import Row


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather such changes by the credential that made them, until they are a habit of its principal."""
    changes = privilege_gains(context)
    change_actors = {one.row["n"] for one in changes if one.row["n"] is not None}
    known = context.credentials(change_actors)
    begun: dict[str, int] = {}
    found: dict[tuple[int, str], list[PrivilegeGain]] = {}
    for one in changes:
        n, arn = one.row["n"], one.row["by_arn"] or ""
        person = (known[n]["person"] if n in known else None) or arn
        since = begun.setdefault(person, one.row["time"])
        if one.row["time"] <= since + context.thresholds["habit_after"] or context.suspicious(n):
            found.setdefault((n if n is not None else -1, arn), []).append(one)
    for (n, arn), made in sorted(found.items()):
        yield _hit(known.get(n), arn, made, suspicious=n >= 0 and context.suspicious(n))


def _hit(maker: Row | None, arn: str, made: list[PrivilegeGain], *, suspicious: bool) -> Hit:
    worst: Severity = max((one.severity for one in made), key=SEVERITIES.index)
    events = tuple(event_of(one.row) for one in made)
    return Hit(
        about=(maker["id"] if maker else arn, events[0]),
        time=made[0].row["time"],
        severity="critical" if suspicious and worst == "high" else "high" if suspicious else worst,
        why=f"{named(maker) if maker else short(arn or None)} gave itself more power, first at "
        f"{at(made[0].row['time'])}: it {enumerated(dict.fromkeys(one.what for one in made))}.",
        subject=maker["n"] if maker else None,
        places=(maker["n"],) if maker else (),
        events=events,
        count=len(made),
        principals=(arn,) if arn else (),
        accounts=tuple(sorted({one.row["in_account"] for one in made if one.row["in_account"]})),
        thresholds=("habit_after",),
    )


RULE = Rule(
    id="self-escalation",
    title="A user or role gave itself more power",
    severity="critical",
    attack=("T1098.001", "T1098.003", "T1548"),
    why="Whoever may change its own permissions has all of them; a thief's first step is to take what the stolen "
    "credential lacks.",
    false_alarm="Administrators who set an account up and pipelines that manage their own role do so: what the "
    "same principal did on an earlier day is left out. Policies that give something, but neither everything nor the "
    "way to it, and those whose text is not in the evidence, are told at medium severity.",
    references=(
        "IAM API Reference, the page of each call",
        "Rhino Security Labs, 'AWS IAM Privilege Escalation Methods and Mitigation'",
        "MITRE ATT&CK, T1098.003 'Additional Cloud Roles'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, ATTRIBUTED_CHANGES),
    late=True,
    prefilter=frozenset(OWN_CALLS),
    thresholds=("habit_after",),
)
