"""A credential reads many secrets at a time, by calls that name none of them."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.context import DetectionContext
from tokentrail.detection.first_uses import FIRST_USE_READS, HABITS, FirstUse, first_uses, hits_of
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import event_names
from tokentrail.formatting import at, counted

_BATCH = 20
"""Secrets that one call gives at most (AWS Secrets Manager API Reference, 'BatchGetSecretValue': MaxResults)."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for many such calls, or for two signs of a stranger, by who is no workload."""
    many = context.thresholds.whole("many_batches")
    told = [
        use for use in first_uses(context, "secret_batch", what="had read none so") if _is_strange(use, many)
    ]
    yield from hits_of(context, told, _severity, _said, "many_batches")


def _severity(use: FirstUse) -> Severity:
    return "high" if use.suspicious or len(use.signs) > 1 else "medium"


def _said(use: FirstUse) -> str:
    return (
        f"called BatchGetSecretValue {counted(use.count, 'time')}, first at {at(use.time)}: each call gives up to "
        f"{_BATCH} secrets, and the log does not name them"
    )


def _is_strange(use: FirstUse, many: int) -> bool:
    if use.suspicious:
        return True
    return use.kind != "service_role" and (use.count >= many or len(use.signs) > 1)


RULE = Rule(
    id="secrets-in-bulk",
    title="A credential reads secrets by the batch",
    severity="high",
    attack=("T1555.006",),
    why="With one call a batch, and filters that all secrets meet, a thief takes a vault in a minute; each secret "
    "in it is a way in that no revocation closes.",
    false_alarm="Some programs read their settings so: workloads are left out unless their lineage is suspicious, "
    "and so is what the same principal did on an earlier day. Ask which secrets the call's filters meet.",
    references=(
        "AWS Secrets Manager API Reference, 'BatchGetSecretValue'",
        "Stratus Red Team, aws.credential-access.secretsmanager-batch-retrieve-secrets",
    ),
    find=find,
    reads=(*FIRST_USE_READS,),
    late=True,
    thresholds=(*HABITS, "many_batches"),
    prefilter=event_names("secret_batch"),
)
