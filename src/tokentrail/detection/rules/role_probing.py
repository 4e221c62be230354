"""
One credential tries roles until one opens.

A role that was made or opened a moment ago is refused until IAM has told itself everywhere, and its own maker is who
asks too early (IAM User Guide, "Troubleshoot IAM": changes that I make are not always immediately visible). Such a
refusal is followed within seconds by the same call of the same caller, granted: it is no try. Relies on the role
that `errorMessage` names, and on `requestParameters.roleArn` of what was granted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from operator import itemgetter

import pyarrow as pa

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.record_access import Place, place_of
from tokentrail.detection.views import CREDENTIAL_DETAILS, IDENTITY_CREDENTIALS
from tokentrail.formatting import at, counted, enumerated
from tokentrail.lineage.rows import Row

_CALLS = """
    SELECT e.segment, e.identity, e.object, e.ordinal, e.time, e.event_id, e.event_id_text FROM facts e
    WHERE e.source = 'sts.amazonaws.com' AND e.name = 'AssumeRole'
      AND e.error IN ('AccessDenied', 'AccessDeniedException')"""
"""They are few: set aside, whoever made them is found without all callers being held in memory."""
_REFUSED = """
    SELECT a.n, c.time, c.segment, c.object, c.ordinal, c.event_id, c.event_id_text,
           count(*) OVER (PARTITION BY a.n) AS refused
    FROM refused_calls c JOIN identity_credentials a ON a.segment = c.segment AND a.identity = c.identity
    WHERE a.n IS NOT NULL
    QUALIFY refused >= {many}"""
_FOLLOWED = """
    SELECT r.*, coalesce(k.issued_time <= r.time + {soon}, FALSE) AS opened FROM refusals r
    ASOF LEFT JOIN (SELECT parent_n, issued_time FROM credential_details
                    WHERE api = 'AssumeRole' AND parent_n IN (SELECT n FROM refusals)) k
      ON k.parent_n = r.n AND k.issued_time >= r.time
    ORDER BY r.n, r.time, r.event_id"""
"""With whether any role opened to the caller right after: which one a call was for is not read yet."""
_GRANTED = """
    SELECT t.segment, t.object, t.ordinal FROM tried t
    ASOF JOIN (SELECT parent_n, role_arn, issued_time FROM credential_details
               WHERE api = 'AssumeRole' AND parent_n IN (SELECT n FROM tried)) k
      ON k.parent_n = t.n AND k.role_arn = t.role AND k.issued_time >= t.time
    WHERE k.issued_time <= t.time + {soon}"""
_ROLE = re.compile(r"on resource: (arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+)")


def find(context: DetectionContext) -> Iterator[Hit]:
    """Count refused AssumeRole calls; which roles they were for stands only in their messages."""
    many = context.thresholds.whole("many_denied")
    if not (context.table("refused_calls", _CALLS) and context.table("refusals", _REFUSED.format(many=many))):
        return
    by_caller: dict[int, list[Row]] = {}
    for row in context.rows(_FOLLOWED.format(soon=context.thresholds.whole("propagation"))):
        by_caller.setdefault(row["n"], []).append(row)
    tried = {n: some for n, refused in by_caller.items() if _names(some := _tried(context, refused)) >= many}
    granted = _granted(context, by_caller, tried)
    known = context.credentials(tried)
    for n, roles in sorted(tried.items()):
        left = {place: role for place, role in roles.items() if place not in granted}
        if _names(left) >= many:
            kept = [row for row in by_caller[n] if place_of(row) in left or not row["opened"]]
            yield _hit(known[n], by_caller[n][0], kept, sorted(set(left.values())))


def _names(tried: Mapping[Place, str]) -> int:
    """How many different role names were tried; the same name in several accounts counts once."""
    return len({role.rpartition("/")[2] for role in tried.values()})


def _tried(context: DetectionContext, refused: list[Row]) -> dict[Place, str]:
    """The roles of a caller's refused calls; of very many, those are read first after which nothing opened."""
    asked = sorted(refused, key=itemgetter("opened"))[: context.thresholds.whole("most_records")]
    records = context.read([place_of(row) for row in asked])
    messages = ((place, str(record.get("errorMessage") or "")) for place, record in records)
    return {place: found[1] for place, message in messages if (found := _ROLE.search(message))}


def _granted(
    context: DetectionContext, by_caller: Mapping[int, list[Row]], tried: Mapping[int, Mapping[Place, str]]
) -> set[Place]:
    """The refused calls after which the same caller was soon granted the same role."""
    rows = [
        (*place_of(row), n, row["time"], roles[place_of(row)])
        for n, roles in tried.items()
        for row in by_caller[n]
        if row["opened"] and place_of(row) in roles
    ]
    if not rows:
        return set()
    names = ("segment", "object", "ordinal", "n", "time", "role")
    context.add_table(
        "tried", {name: pa.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    )
    soon = context.thresholds.whole("propagation")
    return {place_of(row) for row in context.rows(_GRANTED.format(soon=soon))}


def _hit(known: Row, first: Row, refused: list[Row], roles: list[str]) -> Hit:
    """The hit; it is identified by the caller's first refusal, whatever is learned later."""
    severity: Severity = "high" if known["kind"] in ("service_role", "session_token") else "medium"
    return Hit(
        about=(known["id"], event_of(first)),
        time=refused[0]["time"],
        severity=severity,
        why=f"{named(known)} was refused {counted(len(roles), 'role')} from {at(refused[0]['time'])} to "
        f"{at(refused[-1]['time'])}: {enumerated(role.rpartition('/')[2] for role in roles)}.",
        subject=known["n"],
        places=(known["n"],),
        events=tuple(event_of(row) for row in refused),
        count=len(refused),
        thresholds=("many_denied", "propagation", "most_records"),
    )


RULE = Rule(
    id="role-probing",
    title="A credential tries one role after the other",
    severity="high",
    attack=("T1087.004", "T1548.005"),
    why="Whoever holds a stolen key and does not know the account tries which roles it opens.",
    false_alarm="A script that walks all accounts of an organisation is refused where its role is missing: always "
    "the same role name, in many accounts, which counts as one. Whoever makes a role and takes it up at once is "
    "refused for some seconds: a refusal after which the same credential soon got that role is left out.",
    references=(
        "CloudTrail record of a refused AssumeRole: requestParameters is null, errorMessage names the role",
        "IAM User Guide, 'Troubleshoot IAM': changes are not always immediately visible",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, IDENTITY_CREDENTIALS),
    thresholds=("many_denied", "propagation", "most_records"),
)
