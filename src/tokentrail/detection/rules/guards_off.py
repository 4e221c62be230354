"""Detection and records other than CloudTrail's are turned off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from tokentrail.aws.calls.names import service_of
from tokentrail.detection.call_kinds import INFRASTRUCTURE
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.first_uses import FIRST_USE_READS, HABITS, FirstUse, first_uses, hits_of
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import event_names
from tokentrail.formatting import at

_TUNING = frozenset({
    "BatchDisableStandards", "CreateFilter", "CreateIPSet", "DeleteConfigRule", "DeleteConfigurationPolicy",
    "DeletePublishingDestination", "UpdateFilter", "UpdateIPSet",
})  # fmt: skip
"""Calls that narrow what is watched, and leave the rest on (API References of GuardDuty, AWS Config, Security Hub)."""
_SERVICES_MANY = 2
_BY_TOOLS = f"""
    SELECT DISTINCT d.n FROM credential_events d JOIN guard_actors s ON s.n = d.n
    WHERE d.name IN ({", ".join(repr(name) for name in sorted(event_names("guard")))})
      AND regexp_matches(d.agent, '{INFRASTRUCTURE}')"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather such calls by the credential that made them."""
    uses = first_uses(context, "guard", what="had turned nothing off")
    if not uses:
        return
    context.add_credentials("guard_actors", (use.n for use in uses))
    built = {row["n"] for row in context.rows(_BY_TOOLS)}
    told = [replace(use, signs=()) for use in uses]  # whoever it was, it is told
    yield from hits_of(context, told, partial(_severity, built), _said)


def _said(use: FirstUse) -> str:
    return (
        f"called {use.calls}, first at {at(use.time)}: what GuardDuty, AWS Config, Security Hub, flow logs and the "
        "like saw until then, they may see no more"
    )


def _severity(built: set[int], use: FirstUse) -> Severity:
    """How bad it is: tools that build infrastructure take down what they `built`, and most narrowing is upkeep."""
    if use.suspicious:
        return "high"
    off = {service_of(row["source"]) for row in use.rows if row["name"] not in _TUNING}
    if use.n in built or not off:
        return "low"
    left = any(row["name"] == "LeaveOrganization" for row in use.rows)
    return "high" if len(off) >= _SERVICES_MANY or left else "medium"


RULE = Rule(
    id="guards-off",
    title="Detection or records other than CloudTrail's were turned off",
    severity="high",
    attack=("T1562.001", "T1562.008"),
    why="Whoever turns off what watches an account has something to do that it should not see. An account that "
    "leaves its organization is rid of all of its guardrails at once.",
    false_alarm="Networks that are taken down lose their flow logs, and a tool that builds infrastructure takes "
    "down what it built: that, and filters and rules by themselves, are told at low severity. What the same principal "
    "did on an earlier day is left out, and so is what CloudFormation does.",
    references=(
        "API References of Amazon GuardDuty, AWS Config, AWS Security Hub, Amazon EC2 ('DeleteFlowLogs'), Route 53 "
        "Resolver, IAM Access Analyzer, AWS Organizations ('LeaveOrganization'), Amazon Bedrock "
        "('DeleteModelInvocationLoggingConfiguration')",
        "Stratus Red Team, aws.defense-evasion.vpc-remove-flow-logs, dns-delete-logs, organizations-leave",
    ),
    find=find,
    reads=(*FIRST_USE_READS,),
    late=True,
    thresholds=HABITS,
    prefilter=event_names("guard"),
)
