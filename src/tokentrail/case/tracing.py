"""What a case answers about a subject's lineage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from tokentrail.case.arguments import names, narrowing_of
from tokentrail.case.bookkeeping import unfinished
from tokentrail.case.proofs import noted
from tokentrail.case.views import View, Views
from tokentrail.lineage import coverage, proofs
from tokentrail.store.folder import CaseFolder

if TYPE_CHECKING:
    from tokentrail.containment.execution.history import StepRecord
    from tokentrail.containment.execution.recheck import Recheck
    from tokentrail.containment.incident.closed_hosts import Closing
    from tokentrail.containment.model import Plan
    from tokentrail.lineage.forest import Forest
    from tokentrail.lineage.model import Trace
    from tokentrail.lineage.trace import Narrowing
    from tokentrail.results import AttackerActivity


class Tracing:
    """The part of a case that traces."""

    _folder: CaseFolder
    _views: Views

    def trace(
        self,
        subjects: Sequence[str],
        *,
        as_of: datetime | None = None,
        up: bool = True,
        down: bool = True,
        since: datetime | None = None,
        source_ips: Sequence[str] = (),
        trusted_ips: Sequence[str] = (),
        followed: bool = False,
    ) -> Trace:
        """
        Trace subjects: what they descend from, what descends from them, what all of them did and made.

        Args:
            subjects: Key ids, credential ids or unique prefixes, ARNs, principal ids, addresses, instance or event ids.
            since: Only what was minted from the subject at or after this time counts as the attacker's, ...
            source_ips: ... and only from these addresses or networks, ...
            trusted_ips: ... and not from these.
            followed: Whether what hosts, portals and sign-ins behind them handed out since is traced with them, as a
                plan does; else `handed` names it.

        Raises:
            SubjectNotFound: nothing answers to a subject.
            UsageError: a prefix fits several, or an address can't be read.
        """
        from tokentrail.lineage.trace import trace

        narrowing = narrowing_of(since, source_ips, trusted_ips)
        view = self._views.open(as_of)
        forest = view.forest(as_of)
        traced = partial(trace, forest, up=up, down=down, narrowing=narrowing, gaps=())

        found = traced(names(subjects))
        if down:
            found = _with_handed_out(found, view, forest, narrowing, traced if followed else None, whole=True)
        return self._with_gaps(found, view, forest, narrowing)

    def family(
        self,
        subjects: Sequence[str],
        *,
        as_of: datetime | None = None,
        since: datetime | None = None,
        source_ips: Sequence[str] = (),
        trusted_ips: Sequence[str] = (),
        followed: bool = False,
    ) -> Trace:
        """
        Trace subjects downward as `trace` does, without what any of them did or made, which costs the most.

        Raises:
            SubjectNotFound: nothing answers to a subject.
            UsageError: a prefix fits several, or an address can't be read.
        """
        from tokentrail.lineage.trace import family

        narrowing = narrowing_of(since, source_ips, trusted_ips)
        view = self._views.open(as_of)
        forest = view.forest(as_of)
        traced = partial(family, forest, narrowing=narrowing, gaps=())

        found = traced(names(subjects))
        if followed:
            found = _with_handed_out(found, view, forest, narrowing, traced)
        return self._with_gaps(found, view, forest, narrowing)

    def activity(
        self,
        found: Trace,
        *,
        as_of: datetime | None = None,
        since: datetime | None = None,
        source_ips: Sequence[str] = (),
        trusted_ips: Sequence[str] = (),
    ) -> AttackerActivity:
        """
        Sum up when, from where and with which tools the attacker's credentials of a trace were used.

        Args:
            found: The trace; it was narrowed as here.
            as_of: The moment.
            since: Of the subjects' own calls, only those at or after this time count, ...
            source_ips: ... and only those from these addresses or networks, ...
            trusted_ips: ... and not those from these.
        """
        from tokentrail.lineage.attacker_activity import attacker_activity  # for pages and summaries alone

        narrowing = narrowing_of(since, source_ips, trusted_ips)
        return attacker_activity(self._views.forest(as_of), found, narrowing)

    def retrace(self, plan: Plan, *, as_of: datetime | None = None, spent: bool = False) -> Trace:
        """
        Trace downward what counts as the attacker's now, as a plan does.

        That is more than `trace` shows of its subjects: what hosts, portals and sign-ins handed out since, too.

        Args:
            plan: The plan.
            as_of: The moment.
            spent: Whether what was handed out after the plan was made counts though it has run out and left nothing to
                end: that it was used tells whether the plan held.

        Raises:
            SubjectNotFound: nothing answers to a subject any more.
        """
        from tokentrail.case.planning import subjects  # takes its time to load, and few verbs plan
        from tokentrail.lineage.trace import trace

        told = plan.narrowing
        found = self.family(plan.subjects, as_of=as_of, **told)
        narrowing = narrowing_of(told["since"], told["source_ips"], told["trusted_ips"])
        now = subjects(self._views, found, plan, narrowing, as_of, spent=spent)
        view = self._views.open(as_of)
        forest = view.forest(as_of)
        found = trace(forest, now, up=False, down=True, narrowing=narrowing, gaps=())
        return self._with_gaps(found, view, forest, narrowing)

    def recheck(
        self, plan: Plan, done: Mapping[int, StepRecord], now: datetime, *, as_of: datetime | None = None
    ) -> Recheck:
        """
        Prove a plan again over the evidence that the case holds by now: what of it outlives the plan's steps.

        Args:
            plan: The plan.
            done: The steps that were carried out, by number, as the journal tells.
            now: The present time; evidence from after it is left out.
            as_of: The moment.

        Raises:
            SubjectNotFound: nothing answers to a subject any more.
        """
        from tokentrail.case.planning import recheck  # takes its time to load, and few verbs plan

        as_of = as_of.replace(microsecond=0) if as_of else None  # policies hold whole seconds
        return recheck(self._views, plan, done, now, as_of)

    def closed(
        self, hosts: Mapping[str, Collection[str]], since: datetime, *, as_of: datetime | None = None
    ) -> dict[str, Closing]:
        """Tell by what call of anybody's each of some hosts, given with its roles, was shut and left so."""
        from tokentrail.containment.incident.closed_hosts import closed  # few verbs verify

        return closed(self._views.forest(as_of), hosts, since)

    def _with_gaps(self, found: Trace, view: View, forest: Forest, narrowing: Narrowing) -> Trace:
        """Add what evidence the answer lacks, as of the view that it is from."""
        from tokentrail.lineage.trace import people

        accounts = {one.account for one in found.credentials if one.account}
        covered = view.covered()
        missing = coverage.ended(covered, accounts, forest.as_of) + coverage.gaps(covered, accounts)
        missing += forest.unlisted.unlogged(people(forest, found), {one.account for one in covered})
        missing += tuple(forest.unlisted.unused(found.credentials, narrowing.admits, forest.as_of))
        judged, strays = noted(self._folder)
        missing = proofs.but_quiet(missing, judged)
        unproven = proofs.gaps(judged, strays, accounts)
        carried = view.lacking(self._folder)
        altered = coverage.left_out(view.contradicting(), "contradicting_copies")
        unread = coverage.left_out(unfinished(self._folder))
        return replace(
            found,
            gaps=coverage.weightiest_first(unread + altered + unproven + missing + carried + found.gaps),
        )


def _with_handed_out(
    found: Trace,
    view: View,
    forest: Forest,
    narrowing: Narrowing,
    again: Callable[[Sequence[str]], Trace] | None,
    *,
    whole: bool = False,
) -> Trace:
    """
    Name what was handed out since, and trace it `again` with the subjects.

    With `whole`, the trace lists what its credentials made, too: most need no further look-up then.
    """
    from tokentrail.case.source_issued import (
        MOST_FOLLOWED,
        follow_sources,
        handed_out,
        leads_to_a_source,
        roots,
    )

    if whole and len(found.credentials) <= MOST_FOLLOWED and not leads_to_a_source(found):
        return replace(found, handed=())
    more = follow_sources(forest, found, view.covered, narrowing)
    if more is None:
        return found
    wide = roots(found, more)
    if wide and again is not None:
        found = replace(again((*found.subject, *wide)), subject=found.subject)
    return replace(found, handed=handed_out(forest, more))
