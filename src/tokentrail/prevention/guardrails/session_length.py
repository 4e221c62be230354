"""Sessions of a role live no longer than anybody uses one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from tokentrail.lineage.rows import Row
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.documents import named
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import NO, GuardrailProposal, Judgement, Words, setting
from tokentrail.prevention.rule import GuardrailRule, NotMade

_HOUR = 3600


def make(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
    """Take the longest ordinary use, in whole hours, where longer sessions were granted."""
    found = [one for role in evidence.roles if (one := _for(evidence, role)) is not None]
    return tuple(found) or NotMade("no abused role grants longer sessions than are used")


def _for(evidence: Evidence, role: str) -> GuardrailProposal | None:
    cap = max(1, math.ceil(evidence.used.get(role, 0) / _HOUR)) * _HOUR
    if evidence.asked_for(role) <= cap or "/aws-reserved/" in role:
        return None
    words = replace(WORDS, title=f"Sessions of {named(role)} live {cap // _HOUR} h")
    call = {
        "service": "iam", "operation": "UpdateRole",
        "parameters": {"RoleName": named(role), "MaxSessionDuration": cap},
    }  # fmt: skip

    def judge(row: Row) -> Judgement:
        bound = row["kind"] != "service_role"  # what a service gave to a host is as long as the service likes
        return (Truth.YES, ()) if bound and row["age"] is not None and row["age"] > cap else NO

    return setting(
        words, call, role, judge, where="principal = ? AND age > ?", parameters=(role, cap), extra=_AGE
    )


_AGE = "e.time - i.created AS age"
WORDS = Words(
    id="session-length",
    title="Sessions of an abused role live no longer than they are used",
    prevents="A stolen session dies sooner; nothing has to be revoked for that.",
    limits="Whoever can take the role up takes it up again. Requests for a longer session fail and must ask for less. "
    "What an instance is given is as long as before.",
    stage=1,
    attach="Set the role's maximum session duration.",
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="setting",
    references=(
        "IAM User Guide, 'Update the maximum session duration for a role'",
        "IAM API Reference, 'UpdateRole' (instances' credentials are not subject to it)",
    ),
    make=make,
)
