"""Models are called with roles: API keys are refused, but to the users who call with them today."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokentrail.aws.principals import in_conditions
from tokentrail.events.bearer import key_service
from tokentrail.lineage.rows import Row
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.documents import MOST_SPARED, but_by, deny, policy, spared_none
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import NO, Judgement, Proposal, Words, scp
from tokentrail.prevention.rule import GuardrailRule, NotMade

_SERVICES = frozenset({"bedrock", "aws-external-anthropic"})
_ACTIONS = [
    "bedrock:CallWithBearerToken", "bedrock-mantle:CallWithBearerToken", "aws-external-anthropic:CallWithBearerToken",
]  # fmt: skip


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """
    Deny calls with API keys of model services, but to users who ordinarily call with one.

    A call with a long-term key shows in the log as one of kind `api_key`, and needs this permission beside its own.
    """
    able = sorted({
        in_conditions(way.principal)
        for way in evidence.ordinary(lambda way: way.kind == "api_key")
        if way.principal
    })  # fmt: skip
    if len(able) > MOST_SPARED:
        return NotMade(f"{len(able)} users call with API keys, too many to spare in one policy")
    words = replace(WORDS, limits=WORDS.limits + spared_none(able))
    denial = scp(words, policy(deny("NoApiKeysForModels", _ACTIONS, but_by(able))), unbound=evidence.unbound)

    def judge(row: Row) -> Judgement:
        spared = row["home"] in evidence.unbound or in_conditions(row["principal"] or "") in able
        if row["kind"] != "api_key" or spared:
            return NO
        if row["source"] is None:  # callers are judged first, whatever they call
            return Truth.UNDECIDED, ()
        return (Truth.YES, ()) if key_service(row["source"]) in _SERVICES else NO

    return (
        replace(
            denial, judge=judge, needs=frozenset({"source", "principal", "home"}), where="kind = 'api_key'"
        ),
    )


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
