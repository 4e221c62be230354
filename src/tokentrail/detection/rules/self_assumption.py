"""A role that takes up itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import CREDENTIAL_DETAILS
from tokentrail.formatting import at, counted
from tokentrail.lineage.rows import Row, event_id

_LIKELY = """
    SELECT k.n FROM credential_details k
    JOIN credential_details p ON p.n = k.parent_n AND hash(p.into_role) = hash(k.into_role)
    WHERE k.api = 'AssumeRole' AND k.parent_link <> 'created'"""
"""What a role is called takes more room than all else that is compared of the many."""
_SELF = """
    SELECT k.n, k.parent_n, k.into_role, k.issued_time, k.issue_event, k.issue_text,
           EXISTS (SELECT 1 FROM issuances s WHERE s.event_id = k.issue_event AND NOT s.explicit_trust) AS untold
    FROM likely_selves l JOIN credential_details k ON k.n = l.n JOIN credential_details p ON p.n = k.parent_n
    WHERE k.api = 'AssumeRole' AND k.into_role = p.into_role AND k.parent_link <> 'created'
    ORDER BY k.into_role, k.issued_time, k.n"""


_UNTOLD = "; its trust policy does not allow it, and AWS lets it pass since the role did so before 2022"


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather, by role, sessions minted by a session of the same role."""
    if not context.table("likely_selves", _LIKELY):
        return
    most = context.thresholds.whole("most_events")
    by_role = [
        _Renewed(role, found, most) for role, found in groupby(context.rows(_SELF), itemgetter("into_role"))
    ]
    earliest = context.credentials(one.places[0] for one in by_role)
    for one in by_role:
        suspicious = any(map(context.suspicious, one.places))
        severity: Severity = "high" if suspicious else "medium" if one.untold else "low"
        yield Hit(
            about=(one.role,),
            time=one.time,
            severity=severity,
            why=f"Sessions of {one.role} minted {counted(len(one.places), 'session')} of the same role, first "
            f"{named(earliest[one.places[0]])} at {at(one.time)}: the same power for a fresh hour, under any session "
            f"name{_UNTOLD if one.untold else ''}.",
            subject=one.parent,
            places=tuple(one.places),
            events=tuple(one.events),
            count=len(one.places),
        )


class _Renewed:
    """A role's sessions that sessions of the same role minted; of very many, no more than is told."""

    def __init__(self, role: str, found: Iterable[Row], most: int) -> None:
        self.role = role
        self.places: list[int] = []
        self.events: dict[str, None] = {}
        self.untold = False
        for row in found:
            if not self.places:
                self.parent, self.time = row["parent_n"], row["issued_time"]
            self.places.append(row["n"])
            self.untold |= row["untold"]
            if len(self.events) < most and (event := event_id(row["issue_event"], row["issue_text"])):
                self.events[event] = None


RULE = Rule(
    id="self-assumption",
    title="A role's session takes up the same role again",
    severity="high",
    attack=("T1550.001",),
    why="It renews a session without whoever it came from, and under another name.",
    false_alarm="Some libraries assume the role that they already run as, out of habit; AWS asks for explicit "
    "trust since 2022. By itself it is told at low severity, and at medium where the record says that the trust "
    "policy does not allow it.",
    references=(
        "AWS Security Blog, 'Announcing an update to IAM role trust policy behavior' (2022-09-21)",
        "IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail': explicitTrustGrant",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS,),
    late=True,
)
