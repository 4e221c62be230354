"""Models are called with roles: API keys are refused, but to the users who call with them today."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import but_for_doers
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade

_ACTIONS = (
    "bedrock:CallWithBearerToken", "bedrock-mantle:CallWithBearerToken", "aws-external-anthropic:CallWithBearerToken",
)  # fmt: skip


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Deny calls with API keys of model services, but to users who ordinarily call with one."""
    return but_for_doers(evidence, WORDS, "NoApiKeysForModels", _ACTIONS, do="call models with API keys")


WORDS = Words(
    id="no-api-keys",
    title="API keys of model services are refused to all who do not use one today",
    prevents="A key copied out of a laptop or a program invokes models at your cost, from anywhere, "
    "until somebody deactivates it.",
    limits="The log does not tell calls with a short-term key from others of the session that made it: the back-test "
    "counts long-term keys alone.",
    stage=1,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=(
        "Amazon Bedrock User Guide, 'Handle compromised long-term and short-term API keys'",
        "Service Authorization Reference, Amazon Bedrock, `CallWithBearerToken`",
    ),
    make=make,
)
