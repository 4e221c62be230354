"""A federated user with all of its maker's power."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.record_access import place_of
from tokentrail.detection.trust_policies import grants_all
from tokentrail.detection.views import CREDENTIAL_DETAILS
from tokentrail.formatting import at
from tokentrail.lineage.rows import Row

_TOKENS = """
    SELECT * FROM (
      SELECT k.*, k.segment_of AS segment,
             row_number() OVER (PARTITION BY k.caller_arn, k.issue_ip ORDER BY k.issued_time, k.id) AS place,
             row_number() OVER (PARTITION BY k.caller_arn ORDER BY k.issued_time, k.id) AS turn
      FROM (SELECT k.*, f.segment AS segment_of, f.object, f.ordinal
            FROM credential_details k JOIN credentials f ON f.n = k.n) k
      WHERE k.api = 'GetFederationToken'
    ) WHERE place = 1 ORDER BY turn > 1, issued_time, id"""
"""Of each user the first token from each address: a broker's are many, and a thief of its key is elsewhere."""

_FIRST = {True: "that this user was seen to mint", False: "of this user from that address"}


def find(context: DetectionContext) -> Iterator[Hit]:
    """Read the session policies of the first federation tokens of each user; one finding a user."""
    rows = list(context.rows(_TOKENS))[: context.thresholds.whole("most_records")]
    by_place = {place_of(row): row for row in rows}
    found = [
        by_place[place]
        for place, record in context.read(list(by_place))
        if _allows_all(record.get("requestParameters") or {})
    ]
    told = set[str]()
    for row in sorted(found, key=lambda row: (row["issued_time"], row["id"])):
        if row["caller_arn"] not in told:
            told.add(row["caller_arn"])
            yield _hit(row)


def _allows_all(request: Any) -> bool:
    arns = request.get("policyArns") if isinstance(request, dict) else None
    if isinstance(arns, list) and any("AdministratorAccess" in json.dumps(one) for one in arns):
        return True
    return grants_all(request.get("policy") if isinstance(request, dict) else None)


def _hit(row: Row) -> Hit:
    event = issuance_of(row)
    return Hit(
        about=(row["id"], event),
        time=row["issued_time"],
        severity="medium",
        why=f"{named(row)} was minted by GetFederationToken at {at(row['issued_time'])} with a session policy that "
        f"takes next to nothing away from its user's power; it is the first {_FIRST[row['turn'] == 1]}.",
        subject=row["root_n"],
        places=(row["root_n"], row["n"]),
        events=(event,),
        count=1,
        thresholds=("most_records",),
    )


RULE = Rule(
    id="federated-with-all",
    title="A federated user has all of its maker's power",
    severity="medium",
    attack=("T1550.001", "T1098"),
    why="A federation token with a policy that allows everything is its user under another name, for up to 36 hours, "
    "and outlives the user's key.",
    false_alarm="A broker hands out tokens with narrow policies, and many of them. Ask what needs all power under a "
    "name of its own.",
    references=(
        "Stratus Red Team, aws.persistence.sts-federation-token",
        "Elastic, 'First occurrence of STS GetFederationToken by user'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS,),
    prefilter=frozenset({"GetFederationToken"}),
    thresholds=("most_records",),
)
