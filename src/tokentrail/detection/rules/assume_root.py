"""A root session in a member account."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import CREDENTIAL_DETAILS
from tokentrail.detection.wording import at, listed, named
from tokentrail.lineage.rows import Row


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather root sessions by who asked for them."""
    by_maker: dict[int | None, list[Row]] = {}
    for row in context.rows(
        "SELECT * FROM credential_details WHERE kind = 'root_session' ORDER BY issued_time, n"
    ):
        by_maker.setdefault(row["parent_n"], []).append(row)
    change_actors = context.credentials(n for n in by_maker if n is not None)
    for n, found in by_maker.items():
        when = found[0]["issued_time"] or found[0]["first"] or 0
        maker = named(change_actors[n]) if n is not None else "a credential that is not in the evidence"
        severity: Severity = "critical" if context.suspicious(n) else "medium"
        yield Hit(
            about=tuple(row["id"] for row in found[:1]),
            time=when,
            severity=severity,
            why=f"{maker} took up the root user of {listed(sorted({row['target'] or '?' for row in found}))}, "
            f"first at {at(when)}.",
            subject=n if n is not None else found[0]["n"],
            places=tuple(row["n"] for row in found),
            events=tuple(issuance_of(row) for row in found),
            count=len(found),
        )


RULE = Rule(
    id="assume-root",
    title="A root session was taken up in a member account",
    severity="critical",
    attack=("T1548.005", "T1078.004"),
    why="AssumeRoot gives, for a quarter of an hour, what only the root user may: opening locked bucket and queue "
    "policies, making a root password.",
    false_alarm="Cleaning up root credentials across an organisation looks so; it is announced, and done by a few "
    "people.",
    references=(
        "IAM User Guide, 'Track privileged tasks in AWS CloudTrail'",
        "Elastic, 'AWS STS AssumeRoot by rare user and member account'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS,),
    prefilter=frozenset({"root_session"}),
    late=True,
)
