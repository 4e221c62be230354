"""A language model is invoked by a credential, or in a region, that is new to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tokentrail.detection.context import DetectionContext
from tokentrail.detection.first_uses import (
    FIRST_USE_READS,
    HABITS,
    FirstUse,
    first_uses,
    high_if_suspicious,
    hits_of,
)
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import event_names
from tokentrail.formatting import at, counted, enumerated, lasting
from tokentrail.lineage.rows import Row

_REGIONS = """
    SELECT c.region, min(coalesce(k.person, k.id)) AS one, count(DISTINCT coalesce(k.person, k.id)) AS people
    FROM notable_calls c JOIN credential_details k ON k.n = c.n
    WHERE c.kind = 'model' AND c.region IS NOT NULL GROUP BY c.region"""
_OPENED = "SELECT DISTINCT n FROM notable_calls WHERE kind = 'model_access'"

_CREATED = """
    SELECT n, created_time AS time, created_ip AS ip FROM credential_details
    WHERE kind IN ('long_term_key', 'api_key') AND created_time IS NOT NULL AND created_ip IS NOT NULL"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for invocations with two signs of a stranger, or of a lineage that is suspicious already."""
    uses = first_uses(context, "model", what="had invoked no model there", each_region=True)
    if not uses:
        return
    regions = {row["region"]: row["people"] for row in context.rows(_REGIONS)}
    opened = {row["n"] for row in context.rows(_OPENED)}
    created = {row["n"]: row for row in context.rows(_CREATED)}
    judged = [
        replace(use, signs=(*_signs(use, regions, opened), *_new_key(context, use, created))) for use in uses
    ]
    told = [use for use in judged if len(use.signs) > 1 or use.suspicious]
    yield from hits_of(context, told, high_if_suspicious, _said)


def _said(use: FirstUse) -> str:
    return f"invoked models of Amazon Bedrock ({counted(use.count, 'call')}), first at {at(use.time)}"


def _signs(use: FirstUse, regions: dict[str, int], opened: set[int]) -> tuple[str, ...]:
    """The signs of a stranger; that nobody else invokes in a region tells only where somebody does elsewhere."""
    signs = list(use.signs)
    alone = sorted({row["region"] for row in use.rows if regions.get(row["region"]) == 1})
    if alone and len(regions) > len(alone):
        signs.append(f"nobody else invokes models in {enumerated(alone)}")
    if use.kind in ("long_term_key", "api_key", "session_token"):
        signs.append("a long-term key is behind it instead of a role")
    if use.n in opened:
        signs.append("it asked for access to models itself")
    return tuple(signs)


def _new_key(context: DetectionContext, use: FirstUse, created: dict[int, Row]) -> Iterator[str]:
    """That a key was made just before, and not where it is used: who tries models out calls from where they made it."""
    made = created.get(use.n)
    if made is None or use.time > made["time"] + context.thresholds["new_for"]:
        return
    elsewhere = next((row["ip"] for row in use.rows if row["ip"] not in (None, made["ip"])), None)
    if elsewhere is not None:
        yield (
            f"its key was made {lasting(max(use.time - made['time'], 0))} before from "
            f"{context.addresses.in_words(made['ip'])}, and is used from {context.addresses.in_words(elsewhere)}"
        )


RULE = Rule(
    id="models-invoked",
    title="Language models were invoked by a credential that is new to them",
    severity="high",
    attack=("T1496.004",),
    why="Stolen keys are sold for the models that they can invoke; that costs thousands a day, and who pays is "
    "the account.",
    false_alarm="People try models out: one sign alone is no finding. Programs invoke models with a role, in one "
    "region, every day; a key that was just made for one is used from another address, too. Ask what the "
    "invocations were for, and look at the bill.",
    references=(
        "Amazon Bedrock User Guide, 'Monitor Amazon Bedrock API calls using CloudTrail'",
        "Sysdig, 'LLMjacking: Stolen Cloud Credentials Used in New AI Attack'",
        "Permiso, 'When AI Gets Hijacked: Exploiting Hosted Models for Dark Roleplaying'",
        "Stratus Red Team, aws.impact.bedrock-invoke-model",
    ),
    find=find,
    reads=(*FIRST_USE_READS,),
    late=True,
    thresholds=HABITS,
    prefilter=event_names("model"),
)
