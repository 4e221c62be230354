"""
Check whether a plan that was carried out has held, in the accounts and in the evidence since.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tokentrail.aws.principals import principal_of_arn
from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.execution.history import History, ResourceRecord, StepRecord
from tokentrail.containment.execution.operations import change, references
from tokentrail.containment.execution.outcome import Refusal, Verification
from tokentrail.containment.execution.recheck import Recheck
from tokentrail.containment.execution.sending import together
from tokentrail.containment.incident.closed_hosts import Closing
from tokentrail.containment.incident.workloads import name_of
from tokentrail.containment.model import Call, Plan, Step
from tokentrail.containment.verification.authorization_details import authorization_id, explained
from tokentrail.containment.verification.judge import (
    AttackerCredential,
    Denier,
    Observations,
    ObservedCall,
    StepEffect,
    judge,
    reaches_past_all_steps,
)
from tokentrail.errors import ActionRefused
from tokentrail.formatting import instant, listed
from tokentrail.lineage.coverage import gaps
from tokentrail.lineage.model import TimelineEvent, Trace, TracedCredential
from tokentrail.policy.history.survival import called, from_service
from tokentrail.policy.language.context import LASTING
from tokentrail.results import Coverage

_DENIED = ("AccessDenied", "UnauthorizedOperation", "Client.UnauthorizedOperation", "AccessDeniedException")
_REASON = re.compile(
    r"explicit deny in (?:an?|the) (?P<kind>[a-z-]+(?: [a-z-]+){0,3}?)(?: policy\b|: |\.|$)(?:: (?P<arn>arn:\S+))?"
    r"|because no ",
    re.IGNORECASE,
)
"""How AWS's error message gives the reason: the type of policy, and its ARN if known."""
_OURS = ":policy/TokenTrail-"
_EXPLAINED_EACH, _EXPLAINED_MOST = 3, 60
"""How many refusals AWS is asked about, or are named to be asked about: of each credential, and in all."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What verification asks of the case."""

    covered: Sequence[Coverage]
    """How far the evidence reaches, by account and region."""
    retrace: Callable[[], Trace]
    """Traces what counts as the attacker's now, by the plan's rules: its subjects, and what was handed out since."""
    timeline: Callable[[Sequence[str]], Iterable[TimelineEvent]]
    """The calls of subjects and of all their descendants."""
    record: Callable[[str, int], Any]
    """One raw record, by evidence object and place in it."""
    recheck: Callable[[Mapping[int, StepRecord], datetime], Recheck]
    """Proves the plan again, given the steps that are done and the present time."""
    closed: Callable[[Mapping[str, Collection[str]], datetime], Mapping[str, Closing]] = lambda hosts, since: {}
    """For hosts, given with their roles: the call after a time that shut each, if no session was handed to it since."""


def verify(
    plan: Plan,
    history: History,
    cloud: Cloud | None,
    evidence: Evidence | None,
    *,
    now: datetime,
    ask_aws: bool = False,
) -> Verification:
    """
    Judge a plan by its journal, the state of the accounts, and the evidence in the case.

    Args:
        plan: The plan.
        history: What its journal says.
        cloud: The accounts, if they may be read.
        evidence: The case, if there is one.
        now: The present time.
        ask_aws: Whether AWS is asked which statements refused the attacker's calls.
    """
    notes: list[str] = []
    unreachable = _unreachable(plan, history, cloud) if cloud is not None else {}
    standing = _read_back(history, cloud, unreachable, notes) if cloud is not None else None
    if standing is None:
        notes.append("The accounts were not read back: whether each step still stands is not known.")
    by_hand = _done_by_hand(plan, history, cloud, unreachable) if cloud is not None else frozenset()
    effects = _effects_of(plan, history, standing, by_hand)
    held = _known_to_plan(plan)
    events: tuple[ObservedCall, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    if evidence is not None:
        trace = evidence.retrace()
        held = _attacker_credentials(plan, trace)
        events, refusals = _observed(evidence, trace.subject, {one.id for one in held}, effects)
        if cloud is not None and ask_aws:
            refusals = explained(refusals, cloud, history)
            events = _as_explained(events, refusals)
        notes += _about_added(held, trace, evidence.recheck(history.steps, now).ended_by)
        effects = _with_log_proofs(plan, history, evidence, effects, _started_by_attacker(trace))
    else:
        notes.append("There is no case to look into: nothing is known of what happened since.")
    newest, lacking = reaches(plan, evidence.covered) if evidence is not None else (None, [])
    if lacking:
        notes.append(
            f"The case holds no log of {' and '.join(lacking)}: nothing is known of what happens there."
        )
    notes += _unlogged(plan, evidence.covered) if evidence is not None else ()
    observations = Observations(
        effects=effects, credentials=held, events=events, newest=newest, lag=timedelta(seconds=plan.lag), now=now,
        whole=not lacking,
    )  # fmt: skip
    steps, credentials, verdict = judge(observations)
    if newest is not None and effects and not lacking and not reaches_past_all_steps(observations):
        notes.append(
            "What was minted unseen until the last step took effect may not be in the evidence yet: ingest newer logs."
        )
    return Verification(
        verdict=verdict, evidence_until=newest, looked_back=standing is not None, steps=steps, credentials=credentials,
        notes=tuple(notes), refusals=refusals,
    )  # fmt: skip


def reaches(plan: Plan, covered: Sequence[Coverage]) -> tuple[datetime | None, list[str]]:
    """
    The time up to which the case has the logs of all of a plan's accounts, and the accounts of which it has none.

    The log of one account says nothing about another. Within an account, the newest event of any region counts, since
    many regions are quiet.
    """
    last: dict[str, datetime] = {}
    for one in covered:
        last[one.account or ""] = max(last.get(one.account or "", one.last), one.last)
    asked = _accounts(plan) or set(last)
    return min((last[one] for one in asked & last.keys()), default=None), sorted(asked - last.keys())


def _accounts(plan: Plan) -> set[str]:
    return {
        principal.account
        for step in plan.steps
        for arn in step.principals
        if (principal := principal_of_arn(arn))
    }


def _unlogged(plan: Plan, covered: Sequence[Coverage]) -> list[str]:
    """Notes on the kinds of events that the logs of a plan's accounts lack: silence proves less there."""
    whose: dict[str, list[str]] = {}
    known = {one.account for one in covered if one.account}
    for gap in gaps(covered, known & (_accounts(plan) or known)):
        if gap.kind != "silent_hours":
            whose.setdefault(gap.why, []).append(str(gap.account))
    return [f"The log of {listed(accounts, 3)} has {why}." for why, accounts in whose.items()]


def _unreachable(plan: Plan, history: History, cloud: Cloud) -> dict[str, str]:
    """Why accounts can't be read, by account. Each is tried once, since it takes long to find one unreachable."""
    unreachable = {}
    calls = [record.call for record in history.things.values()]
    calls += [call for step in plan.steps if _by_person(history, step) for call in step.calls]
    for account in sorted({call.account for call in calls}):
        try:
            cloud.caller(account)
        except ActionRefused as error:
            unreachable[account] = str(error)
    return unreachable


def _read_back(
    history: History, cloud: Cloud, unreachable: Mapping[str, str], notes: list[str]
) -> dict[str, bool | None] | None:
    """Whether each thing is as it was left, by key, or `None` if unknown; `None` as a whole if none could be read."""

    def look(record: ResourceRecord) -> tuple[str, bool | None, str | None]:
        if record.call.account in unreachable:
            return record.key, None, unreachable[record.call.account]
        try:
            meant = change(record.call)
            return record.key, meant.stands(meant.thing.read(cloud)), None
        except (CallFailed, ActionRefused) as error:
            return record.key, None, str(error)

    found = together(look, list(history.things.values()))
    notes += sorted({f"Not read back: {why.rstrip('.')}." for _, _, why in found if why})
    if found and all(stands is None for _, stands, _ in found):
        return None
    return {key: stands for key, stands, _ in found}


def _done_by_hand(plan: Plan, history: History, cloud: Cloud, unreachable: Container[str]) -> frozenset[int]:
    """The steps that a person carried out and whose calls all have nothing left to do, by the state of the accounts."""

    def stands(call: Call) -> bool:
        if call.account in unreachable:
            return False
        try:
            meant = change(call)
            return meant.stands(meant.thing.read(cloud))
        except (CallFailed, ActionRefused):
            return False

    steps = [step for step in plan.steps if step.calls and _by_person(history, step)]
    whole = [step for step in steps if not any(map(references, step.calls))]
    return frozenset(step.n for step in whole if all(together(stands, step.calls)))


def _by_person(history: History, step: Step) -> bool:
    record = history.steps.get(step.n)
    return record is not None and record.outcome == "by-person"


def _started_by_attacker(trace: Trace) -> frozenset[str]:
    """
    The ids of tasks and builds that the attacker started by a call.

    A service or pipeline, in contrast, starts another in place of one that is stopped.
    """
    return frozenset(
        name_of(one.what, one.id) for one in trace.created if one.id and one.what in ("task", "build")
    )


def _with_log_proofs(
    plan: Plan, history: History, evidence: Evidence, effects: Sequence[StepEffect], started: Container[str]
) -> tuple[StepEffect, ...]:
    """The same steps, with the log's proof that a person shut their hosts, if the log goes far enough past that."""
    wanted = {
        step.n: step.targets
        for step in plan.steps
        if step.action == "isolate-instance"
        and step.principals
        and _by_person(history, step)
        and all(one.startswith("i-") or one in started for one in step.targets)
    }
    roles = {one: step.principals for step in plan.steps for one in wanted.get(step.n, ())}
    found = evidence.closed(roles, plan.as_of) if roles else {}
    newest, _ = reaches(plan, evidence.covered)
    lag = timedelta(seconds=plan.lag)
    said = {
        n: ", ".join(f"{found[one].call} of {one} at {instant(found[one].time)}" for one in targets)
        for n, targets in wanted.items()
        if targets and all(one in found and newest and newest >= found[one].time + lag for one in targets)
    }
    return tuple(
        replace(
            effect, shown=f"the log shows {said[effect.n]}, and no session that was handed out there since"
        )
        if effect.n in said
        else effect
        for effect in effects
    )


def _effects_of(
    plan: Plan, history: History, standing: dict[str, bool | None] | None, by_hand: Container[int]
) -> tuple[StepEffect, ...]:
    effects = []
    for step in plan.steps:
        record = history.steps.get(step.n)
        keys = [key for key, thing in history.things.items() if step.n in thing.steps]
        looks = {key: standing.get(key) for key in keys} if standing is not None else dict.fromkeys(keys)
        gone = [key for key, stands in looks.items() if stands is False]
        known = bool(looks) and None not in looks.values() and not _by_person(history, step)
        effects.append(
            StepEffect(
                n=step.n, action=step.action, ends=frozenset(step.ends), at=record.bites_at if record else None,
                reads_back=False if gone else True if known or step.n in by_hand else None,
                changed=gone[0] if gone else None, keys_off=step.keys_off,
            )
        )  # fmt: skip
    return tuple(effects)


def _known_to_plan(plan: Plan) -> tuple[AttackerCredential, ...]:
    """The attacker's credentials as far as the plan itself knows them."""
    survivors = {one.credential for one in plan.proof.survivors}
    return tuple(
        AttackerCredential(
            id=one, planned=True, issued_at=None, issued_in=None, expires=None, parent=None, survives=one in survivors
        )
        for one in plan.tainted
    )  # fmt: skip


def _attacker_credentials(plan: Plan, trace: Trace) -> tuple[AttackerCredential, ...]:
    """The attacker's credentials as the evidence shows them now, with those added since the plan."""
    traced = {one.id: one for one in trace.credentials}
    known = {one.id: one for one in _known_to_plan(plan)}
    joined = [_updated(one, traced.get(one.id)) for one in known.values()]
    added = [
        _updated(
            AttackerCredential(
                id=one.id, planned=False, issued_at=None, issued_in=None, expires=None, parent=None
            ),
            one,
        )
        for one in trace.credentials
        if one.tainted and one.id not in known
    ]
    return (*joined, *added)


def _updated(held: AttackerCredential, one: TracedCredential | None) -> AttackerCredential:
    if one is None:
        return held
    return replace(
        held, issued_at=one.issued_at, issued_in=one.issued_by.event_id if one.issued_by else None,
        issued_with=one.issued_by.api if one.issued_by else None,
        expires=one.expires_at or one.expires_bound, parent=one.parent, long_term=one.kind in LASTING,
        active=one.state == "active", forwarded=one.kind == "forwarded",
    )  # fmt: skip


def _observed(
    evidence: Evidence, subjects: Sequence[str], tainted: set[str], effects: Sequence[StepEffect]
) -> tuple[tuple[ObservedCall, ...], tuple[Refusal, ...]]:
    """
    The calls of tainted credentials that bear on the verdict: all since the first step took effect, and refusals.

    Beside them some of the refusals since then that AWS can explain.
    """
    first = min((effect.at for effect in effects if effect.at), default=None)
    if first is None:
        return (), ()
    found: list[ObservedCall] = []
    refusals: dict[str, list[Refusal]] = {}
    for event in evidence.timeline(subjects):
        if event.credential not in tainted or event.began:
            continue
        denied, since = _denied(event), event.time >= first
        if not (denied or since):
            continue
        record = evidence.record(event.object, event.ordinal) if denied and since else None
        found.append(_observed_call(event, record))
        some = refusals.setdefault(event.credential, [])
        if (named := authorization_id(record)) and event.account and len(some) < _EXPLAINED_EACH:
            some.append(_refusal(event, event.account, named))
    return tuple(found), tuple(one for some in refusals.values() for one in some)[:_EXPLAINED_MOST]


def _refusal(event: TimelineEvent, account: str, named: str) -> Refusal:
    return Refusal(
        credential=event.credential, event_id=event.event_id, time=event.time, account=account, region=event.region,
        call=called(event.event_source, event.event_name), authorization_id=named,
    )  # fmt: skip


def _as_explained(events: Iterable[ObservedCall], refusals: Iterable[Refusal]) -> tuple[ObservedCall, ...]:
    """The same calls: where AWS said what refused one, that counts, and no longer what its message says."""
    told = {(one.credential, one.event_id): one.by for one in refusals if one.answered}
    return tuple(
        replace(one, denied_by=told[key]) if (key := (one.credential, one.event_id)) in told else one
        for one in events
    )


def _observed_call(event: TimelineEvent, record: Any) -> ObservedCall:
    """
    A call as it bears on the verdict.

    Args:
        event: The call.
        record: Its raw record, if it was refused since the first step took effect.
    """
    return ObservedCall(
        time=event.time,
        event_id=event.event_id,
        credential=event.credential,
        call=called(event.event_source, event.event_name),
        denied=_denied(event),
        failed=event.error_code is not None,
        forwarded=from_service(event.source_ip),
        denied_by=_denier(record),
    )


def _denied(event: TimelineEvent) -> bool:
    return event.error_code is not None and event.error_code in _DENIED


def _denier(record: Any) -> Denier | None:
    """
    The type of policy that denied a call, by the error message; `None` if the plan's policies can't have done so.

    The reason is at the end of the message, after the resource, whose name an attacker may choose. If the message has
    the ARN of an identity-based policy, it must be one of TokenTrail's.
    Sources: IAM User Guide, 'Troubleshoot access denied error messages'; AWS Security Blog, 'Enhanced access denied
    error messages with policy ARNs'.
    """
    message = record.get("errorMessage") if isinstance(record, dict) else None
    reasons = list(_REASON.finditer(message)) if isinstance(message, str) else []
    if not reasons or reasons[-1]["kind"] is None:
        return None
    kind, arn = reasons[-1]["kind"].lower(), reasons[-1]["arn"] or ""
    if kind == "service control":
        return "service control policy"
    return "identity-based policy" if kind == "identity-based" and (not arn or _OURS in arn) else None


def _about_added(held: Iterable[AttackerCredential], trace: Trace, covered: Container[str]) -> list[str]:
    added = [one.id for one in held if not one.planned and one.id not in covered]
    if not added:
        return []
    notes = [f"The plan does not know of {listed(added, 1)}, which the evidence now shows: plan again."]
    theirs = [one.id for one in trace.credentials if one.id in added and _is_hosted(one)]
    if theirs:
        notes.append(
            f"{listed(theirs, 1)} came from what had handed out the attacker's before: it is not shut, or it was "
            "opened again. If you did that, and nothing of the attacker's is left on it, this is its own."
        )
    return notes


def _is_hosted(one: TracedCredential) -> bool:
    """Whether a service issued a session to a workload that runs with a role."""
    given = one.origin == "service" or one.parent_link == "created"
    return one.kind == "service_role" and given and one.principal is not None
