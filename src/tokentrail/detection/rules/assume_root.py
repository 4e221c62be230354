"""A root session in a member account, and who had made root sessions possible."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tokentrail.detection.cited_events import event_of, issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CREDENTIAL_DETAILS
from tokentrail.formatting import at, enumerated
from tokentrail.lineage.rows import Row

_SWITCHED_ON = """
    SELECT n, by_arn, in_account, name, request, time, event_id, event_id_text FROM attributed_changes
    WHERE (source = 'iam.amazonaws.com' AND name = 'EnableOrganizationsRootSessions')
       OR (source = 'organizations.amazonaws.com' AND name = 'RegisterDelegatedAdministrator'
           AND json_extract_string(request, '$.servicePrincipal') = 'iam.amazonaws.com')
    ORDER BY time, event_id"""
"""
AssumeRoot works from then on: in an organisation (IAM API Reference, 'EnableOrganizationsRootSessions'), or from an
account that administers IAM for its management account (IAM User Guide, 'Centralize root access for member accounts').
"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather root sessions by who asked for them."""
    by_maker: dict[int | None, list[Row]] = {}
    for row in context.rows(
        "SELECT * FROM credential_details WHERE kind = 'root_session' ORDER BY issued_time, n"
    ):
        by_maker.setdefault(row["parent_n"], []).append(row)
    switched_on = list(context.rows(_SWITCHED_ON)) if by_maker else []
    change_actors = context.credentials(
        n for n in (*by_maker, *(row["n"] for row in switched_on)) if n is not None
    )
    for n, found in by_maker.items():
        when = found[0]["issued_time"] or found[0]["first"] or 0
        maker = named(change_actors[n]) if n is not None else "a credential that is not in the evidence"
        together = _of_one_organisation(switched_on, found[0]["caller_account"])
        there = [
            row for row in switched_on if row["in_account"] in together or (n is not None and row["n"] == n)
        ]
        switch = _shortly_before(there, when, context.thresholds["new_for"])
        severity: Severity = "high" if switch else "medium"
        if context.suspicious(n):
            severity = "critical"
        yield Hit(
            about=tuple(row["id"] for row in found[:1]),
            time=when,
            severity=severity,
            why=f"{maker} took up the root user of {enumerated(sorted({row['target'] or '?' for row in found}))}, "
            f"first at {at(when)}{_after(switch, change_actors)}.",
            subject=n if n is not None else found[0]["n"],
            places=tuple(row["n"] for row in found),
            events=(*([event_of(switch)] if switch else []), *(issuance_of(row) for row in found)),
            count=len(found),
            thresholds=("new_for",),
        )


def _of_one_organisation(switched_on: list[Row], account: str | None) -> set[str | None]:
    """An account, those that it let administer IAM in its organisation, and the one that let it, by the log."""
    together = {account}
    for row in switched_on:
        if row["name"] == "RegisterDelegatedAdministrator":
            pair = {row["in_account"], msgspec.json.decode(row["request"]).get("accountId")}
            together |= pair if together & pair else set()
    return together


def _shortly_before(switched_on: list[Row], when: int, within: float) -> Row | None:
    """The last call before a time, and not long before, that made root sessions possible."""
    return next((row for row in reversed(switched_on) if when - within <= row["time"] <= when), None)


def _after(switch: Row | None, actors: dict[int, Row]) -> str:
    """When and by whom root sessions had been made possible, in words."""
    if switch is None:
        return ""
    who = named(actors[switch["n"]]) if switch["n"] in actors else short(switch["by_arn"])
    if switch["name"] == "RegisterDelegatedAdministrator":
        return f", after {who} had let its account administer IAM in the organisation at {at(switch['time'])}"
    return f", after {who} had switched on such sessions at {at(switch['time'])}"


RULE = Rule(
    id="assume-root",
    title="A root session was taken up in a member account",
    severity="critical",
    attack=("T1548.005", "T1078.004"),
    why="AssumeRoot gives, for a quarter of an hour, what only the root user may: opening locked bucket and queue "
    "policies, making a root password. An organisation switches it on once: who does so and "
    "uses it at once has made a way in.",
    false_alarm="Cleaning up root credentials across an organisation looks so; it is announced, and done by a few "
    "people.",
    references=(
        "IAM User Guide, 'Centralize root access for member accounts'",
        "IAM User Guide, 'Track privileged tasks in AWS CloudTrail'",
        "Elastic, 'AWS STS AssumeRoot by rare user and member account'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, ATTRIBUTED_CHANGES),
    thresholds=("new_for",),
    prefilter=frozenset({"root_session"}),
    late=True,
)
