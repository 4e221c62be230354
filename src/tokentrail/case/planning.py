"""From a case to a plan: what was traced is staged, and its end planned, or steps of somebody's own proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING

from tokentrail.case.arguments import check_word, names, narrowing_of
from tokentrail.case.views import Views
from tokentrail.containment.incident.build_model import PlanRequest, build_model
from tokentrail.containment.incident.incident_model import LONGEST
from tokentrail.containment.incident.taint import extended_taint, log_ends, subjects_by_now
from tokentrail.containment.model import Plan, Strategy
from tokentrail.containment.planning import whatif
from tokentrail.containment.planning.plan import contain
from tokentrail.containment.planning.plan import what_if as prove_steps
from tokentrail.errors import UsageError
from tokentrail.formatting import instant
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Trace
from tokentrail.lineage.trace import Narrowing, family
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.policy.account.snapshot_update import updated
from tokentrail.store.freed_memory import without_collection

if TYPE_CHECKING:
    from tokentrail.containment.execution.history import StepRecord
    from tokentrail.containment.execution.recheck import Recheck

_LAST = 9_990
"""A year from which on a plan's times, and how long tokens last, would lie beyond those that there are."""


@without_collection()
def plan(
    views: Views,
    found: Trace,
    *,
    case_id: str,
    strategy: Strategy,
    what_if: Sequence[str],
    as_of: datetime | None,
    margin: int,
    lag: int,
    narrowing: Narrowing,
    spare: Sequence[str],
    snapshots: Sequence[Snapshot],
    without_access: Sequence[str],
    management_account: str | None,
    delete_created: bool,
) -> Plan:
    """
    Plan what ends the tainted credentials of a family, as `Case.contain` says.

    Raises:
        UsageError: a step or prefix can't be used, or no time is left for steps before the calendar ends.
    """
    moment = views.forest(as_of).as_of
    if moment.year >= _LAST:
        raise UsageError(
            f"as of {instant(moment)}, by the newest event, which may be forged, no plan can be made: give "
            "--as-of, as `--as-of now`."
        )
    check_word(strategy, Strategy, "strategy")
    steps = names(what_if)
    forest = views.forest(as_of)
    asked = PlanRequest(
        case_id=case_id,
        margin=margin,
        lag=lag,
        narrowing=narrowing,
        reach=_reach(forest, snapshots) if snapshots else None,
        without_access=frozenset(names(without_access)),
        management_account=management_account,
        delete_created=delete_created,
        also=whatif.principals_named(steps),
    )
    unseen = log_ends(views.open(as_of).covered(), lag, forest.as_of)
    theirs = extended_taint(forest, found, unseen, narrowing)
    incident = build_model(forest, found, theirs, unseen, asked)
    return (
        prove_steps(incident, steps, found.gaps)
        if steps
        else contain(incident, strategy, names(spare), found.gaps)
    )


def recheck(
    views: Views, plan: Plan, done: Mapping[int, StepRecord], now: datetime, as_of: datetime | None
) -> Recheck:
    """
    Prove a plan again over the evidence that the case holds by now, as `Case.recheck` says.

    Evidence from after `now` is left out: with a forged time far ahead, all sessions would seem to have expired. What
    had expired when the plan was made has expired, though the evidence may end before (`--as-of now`).
    """
    from tokentrail.containment.execution import recheck as rechecking  # loads what carries plans out

    moment = as_of or max(views.forest(None).as_of, plan.as_of)
    as_of = min(moment, now.replace(microsecond=0))
    told = plan.narrowing
    narrowing = narrowing_of(told["since"], told["source_ips"], told["trusted_ips"])
    forest, covered = views.forest(as_of), views.open(as_of).covered()
    asked = PlanRequest(
        case_id=plan.case_id,
        margin=plan.margin,
        lag=plan.lag,
        narrowing=narrowing,
        management_account=rechecking.management_account_of(plan),
        also=rechecking.principals_of(plan),
    )
    unseen = log_ends(covered, plan.lag, forest.as_of)
    found = family(forest, plan.subjects, narrowing=narrowing, gaps=())
    theirs = extended_taint(forest, found, unseen, narrowing)
    if known := [row["id"] for row in forest.named(sorted(set(plan.tainted).difference(theirs.tainted)))]:
        subjects = (*plan.subjects, *known)  # what counted as the attacker's still does
        found = family(forest, subjects, narrowing=narrowing, gaps=())
        theirs = extended_taint(forest, found, unseen, narrowing)
    incident = build_model(forest, found, theirs, unseen, asked)
    return rechecking.recheck(incident, plan, done)


def _reach(forest: Forest, snapshots: Sequence[Snapshot]) -> Reach:
    """What snapshots allow, with what the log shows to have changed and they do not show."""
    changes = list(forest.changes({one.account for one in snapshots}))
    since = forest.as_of - LONGEST["role"]
    return Reach(updated(one, changes, since) for one in snapshots)


def subjects(
    views: Views, found: Trace, made: Plan, narrowing: Narrowing, as_of: datetime | None, *, spent: bool
) -> tuple[str, ...]:
    """
    The subjects of a plan by now: its own, and what sources have handed out since.

    Args:
        views: The case.
        found: The trace of the plan's subjects.
        made: The plan.
        narrowing: What of its subjects counts.
        as_of: The moment.
        spent: Whether credentials count that were handed out since the plan was made and have expired again.
    """
    spent_after = made.as_of.timestamp() if spent else inf
    covered = views.open(as_of).covered()
    return subjects_by_now(
        views.forest(as_of), found, covered, made.lag, narrowing, made.tainted, spent_after
    )
