"""Nobody but who keeps the trails stops them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokentrail.prevention.documents import MOST_SPARED, but_by, deny, doers, policy, spared_none
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, scp
from tokentrail.prevention.rule import Maker, Nothing

_ACTIONS = (
    "cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors",
    "cloudtrail:DeleteEventDataStore", "guardduty:DeleteDetector", "guardduty:UpdateDetector",
    "config:StopConfigurationRecorder", "config:DeleteConfigurationRecorder",
)  # fmt: skip


def make(evidence: Evidence) -> Iterable[Proposal] | Nothing:
    """Spare those who did so in the evidence."""
    able = doers(evidence, _ACTIONS)
    if len(able) > MOST_SPARED:
        return Nothing(f"{len(able)} principals do so today, too many to spare in one policy")
    document = policy(deny("LoggingIsKept", list(_ACTIONS), but_by(able)))
    words = replace(WORDS, limits=WORDS.limits + spared_none(able))
    return (scp(words, document, organisations=evidence.organisations, unbound=evidence.unbound),)


WORDS = Words(
    id="logging-kept",
    title="Trails, detectors and recorders are stopped by those who do so today only",
    prevents="The blind spot in which everything else goes unseen.",
    limits="It stops nothing else. Keep a way in for emergencies among those spared, and whoever sets trails up "
    "for you, where the evidence does not show it at work.",
    stage=1,
)
GUARDRAIL = Maker(
    words=WORDS,
    kind="scp",
    references=("AWS Organizations User Guide, 'SCP examples'",),
    make=make,
)
