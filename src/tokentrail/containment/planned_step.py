"""
A planned step: one action on its targets, the calls that carry it out, and what the prover must know of their effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tokentrail.aws.principals import Principal
from tokentrail.containment.cutoff import moved
from tokentrail.containment.model import Action, Call
from tokentrail.policy.history.changes import Change

ORGANIZATIONS = "organizations"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """An action on targets, which becomes a step of a plan once the prover has judged it."""

    action: Action
    targets: tuple[str, ...]
    principals: tuple[Principal, ...]
    calls: tuple[Call, ...]
    """The calls to send; empty if a person must do it."""
    undo: tuple[Call, ...] = ()
    by_hand: tuple[Call, ...] = ()
    """The calls that a person's work amounts to, if known, so that the prover can judge their effect."""
    cutoff: datetime | None = None
    closes: frozenset[tuple[str, ...]] = frozenset()
    """The sources, by `Source.name`, that hand out nothing after it."""
    lingers: timedelta = timedelta()
    """How long what it stops may still run and be handed sessions after the step was sent."""
    shuts: tuple[Principal, ...] = ()
    """Roles that nobody can assume after it."""
    spares: frozenset[tuple[Principal, datetime, str | None]] = frozenset()
    """Seconds of issue and user ids that its policies except for a known innocent credential."""
    by_portal: bool = False
    """Whether Identity Center makes the change, since it alone can edit its roles."""
    shields: frozenset[Principal] = frozenset()
    """The principals that can't change IAM as long as it stands, and so can't take it back either."""
    denies: tuple[str, ...] = ()
    """The actions that its policies deny, if it ends nothing by them."""
    made: tuple[str, ...] = ()
    """Those targets that the attacker made and the move keeps as evidence, so that `undo` leaves them ended."""
    reversible: bool = True
    why: str = ""

    def changes(self, number: int, effective_at: datetime, cutoff: datetime) -> Iterator[Change]:
        """
        The changes that the log would show for it.

        Args:
            number: Its number among the moves.
            effective_at: When it takes effect, used as the time of the changes.
            cutoff: The cutoff to write into its documents.
        """
        for place, call in enumerate(self.calls or self.by_hand):
            kept = moved(call, self.cutoff, cutoff) if self.cutoff else call
            yield _change(kept, number, place, effective_at)


def new_policy(place: int) -> str:
    """How a later call of a step refers to the service control policy that the step's call number `place` creates."""
    return f"${{step.call[{place}].Policy.PolicySummary.Id}}"


def _change(call: Call, number: int, place: int, time: datetime) -> Change:
    """A call as the change that the log shows, with parameters in CloudTrail's lower camel case."""
    request = {name[:1].lower() + name[1:]: value for name, value in call.parameters.items()}
    response: Mapping[str, Any] | None = None
    account = call.account
    if call.service == ORGANIZATIONS:
        account = "management"  # any other could be doubted to be the management account, which no SCP binds
        if call.operation == "CreatePolicy":
            response = {"policy": {"policySummary": {"id": f"{number}:{new_policy(place)}"}}}
        elif "policyId" in request:
            request["policyId"] = f"{number}:{request['policyId']}"
    return Change(
        time=time,
        event_id=f"step-{number:04}-{place:06}",
        account=account,
        event_source=f"{call.service}.amazonaws.com",
        event_name=call.operation,
        request=request,
        response=response,
    )
