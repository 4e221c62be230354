"""Nobody but who keeps the trails stops them."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import but_for_doers
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade

_ACTIONS = (
    "cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors",
    "cloudtrail:DeleteEventDataStore", "guardduty:DeleteDetector", "guardduty:UpdateDetector",
    "config:StopConfigurationRecorder", "config:DeleteConfigurationRecorder",
)  # fmt: skip


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Spare those who did so in the evidence."""
    return but_for_doers(evidence, WORDS, "LoggingIsKept", _ACTIONS, do="do so today")


WORDS = Words(
    id="logging-kept",
    title="Trails, detectors and recorders are stopped by those who do so today only",
    prevents="The blind spot in which everything else goes unseen.",
    limits="It stops nothing else. Keep a way in for emergencies among those spared, and whoever sets trails up "
    "for you, where the evidence does not show it at work.",
    stage=1,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=("AWS Organizations User Guide, 'SCP examples'",),
    make=make,
)
