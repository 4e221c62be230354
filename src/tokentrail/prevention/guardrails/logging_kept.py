"""Nobody but who keeps the trails stops them."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.policy.arn import identity_of
from tokentrail.prevention.documents import deny, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, scp
from tokentrail.prevention.rule import Maker

_ACTIONS = (
    "cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors",
    "cloudtrail:DeleteEventDataStore", "guardduty:DeleteDetector", "guardduty:UpdateDetector",
    "config:StopConfigurationRecorder", "config:DeleteConfigurationRecorder",
)  # fmt: skip


def make(evidence: Evidence) -> Iterable[Proposal]:
    """Spare those who did so in the evidence."""
    lower = {one.lower() for one in _ACTIONS}
    able = sorted(
        {
            way.principal
            for way in evidence.ordinary(lambda way: bool(lower & set(way.actions)))
            if way.principal and identity_of(way.principal)
        }
    )
    condition = {"ArnNotEquals": {"aws:PrincipalArn": able}} if able else None
    document = policy(deny("LoggingIsKept", list(_ACTIONS), condition))
    return (scp(WORDS, document, organisations=evidence.organisations, unbound=evidence.unbound),)


WORDS = Words(
    id="logging-kept",
    title="Trails, detectors and recorders are stopped by those who do so today only",
    prevents="The blind spot in which everything else goes unseen.",
    limits="It stops nothing else.",
    stage=1,
)
GUARDRAIL = Maker(
    words=WORDS,
    kind="scp",
    references=("AWS Organizations User Guide, 'SCP examples'",),
    make=make,
)
