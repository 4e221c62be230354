"""From a case to a plan: what was traced is staged, and its end planned, or steps of somebody's own proved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tokentrail.case.asked import check_word, names
from tokentrail.case.views import Views
from tokentrail.containment import whatif
from tokentrail.containment.model import Plan, Strategy
from tokentrail.containment.plan import contain
from tokentrail.containment.plan import what_if as prove_steps
from tokentrail.containment.staging import Asked, followed, stage
from tokentrail.errors import UsageError
from tokentrail.lineage.model import Trace
from tokentrail.lineage.trace import Narrowing
from tokentrail.policy.reach import Reach
from tokentrail.policy.snapshot import Snapshot
from tokentrail.spelling import instant

_LAST = 9_990
"""A year from which on a plan's times, and how long tokens last, would lie beyond those that there are."""


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
    asked = Asked(
        case_id=case_id,
        margin=margin,
        lag=lag,
        narrowing=narrowing,
        reach=Reach(snapshots) if snapshots else None,
        without_access=frozenset(names(without_access)),
        management_account=management_account,
        also=whatif.named(steps),
    )
    scene = stage(views.forest(as_of), found, views.open(as_of).covered(), asked)
    return (
        prove_steps(scene, steps, found.gaps) if steps else contain(scene, strategy, names(spare), found.gaps)
    )


def subjects(
    views: Views, found: Trace, made: Plan, narrowing: Narrowing, as_of: datetime | None, *, spent: bool
) -> tuple[str, ...]:
    """
    What a plan's subjects are by now: what was handed out since is the attacker's too, as when it was made.

    With what was `spent` since, which nothing is left to end of.
    """
    asked = Asked(case_id=made.case_id, margin=made.margin, lag=made.lag, narrowing=narrowing)
    told = (views.forest(as_of), found, views.open(as_of).covered(), asked, made.tainted)
    return followed(*told, made.as_of.timestamp()) if spent else followed(*told)
