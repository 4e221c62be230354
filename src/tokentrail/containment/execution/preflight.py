"""
Checks before a plan is carried out: its calls, who makes them, and whether it still ends what newer evidence shows.
"""

from __future__ import annotations

import shlex

from tokentrail.aws.principals import Principal, permission_set, principal_of_arn
from tokentrail.containment.cutoff import DOCUMENTS
from tokentrail.containment.documents import controls_most
from tokentrail.containment.execution.cloud import CallFailed, CallingIdentity, Cloud
from tokentrail.containment.execution.operations import change, known, references
from tokentrail.containment.execution.other_resources import SCP
from tokentrail.containment.execution.recheck import Recheck, in_words, management_account_of
from tokentrail.containment.margin import LAG, MARGIN
from tokentrail.containment.model import Call, Plan, Step
from tokentrail.errors import ActionRefused, UsageError
from tokentrail.events.values import session_of
from tokentrail.formatting import instant
from tokentrail.policy.language.context import Caller, context_of
from tokentrail.policy.language.documents import Document, parse
from tokentrail.policy.language.evaluate import Request
from tokentrail.policy.language.truth import Truth

_DELETES_CREATED = frozenset({"delete-created-key", "delete-created-user"})
"""Actions of plans that delete what the attacker made; else it stays as evidence."""
_DENYING = frozenset({"PutRolePolicy", "CreatePolicy", "AttachRolePolicy", "AttachPolicy"})
"""Calls that do nothing but put a document in force."""
RESERVE = 10
"""
The least margin in seconds of a plan with cutoffs, and how far our clock may be off: twice the longest time that IAM
was measured to take until a change has effect.
"""


def accounts(plan: Plan) -> list[str]:
    """The accounts in which a plan makes calls."""
    return sorted({call.account for step in plan.steps for call in step.calls})


def by_hand(step: Step, cloud: Cloud) -> str | None:
    """Why a person must do a step; `None` if calls do it."""
    if not step.calls:
        return step.why
    faults = (cloud.fault(call) for call in step.calls if call.service == "signin")
    lacking = next((fault for fault in faults if fault and fault.kind == "unknown-operation"), None)
    return f"{lacking.message}: do it by hand, or with a newer boto3. {step.why}" if lacking else None


def insist_on_calls(plan: Plan, cloud: Cloud) -> None:
    """
    Check every call before any is sent.

    Raises:
        UsageError: TokenTrail does not make such a call, or AWS's API does not have it or its parameters.
        ActionRefused: the plan's margin is shorter than changes to IAM may take.
    """
    for step in plan.steps:
        if step.cutoff and step.calls and plan.margin < RESERVE:
            raise ActionRefused(
                f"step {step.n}: the margin is {plan.margin} seconds, and IAM may take {RESERVE} to follow, so that "
                "its cutoff could be older than a session that it must end. Plan again with --margin 60."
            )
        if by_hand(step, cloud):
            continue
        for index, call in enumerate(step.calls):
            if fault := _fault(call, index, cloud):
                raise UsageError(
                    f"step {step.n}, call {index + 1}: {fault}. Nothing was sent; make the plan anew with "
                    "`tokentrail contain`."
                )
            change(call)


def _fault(call: Call, index: int, cloud: Cloud) -> str | None:
    """What is wrong with a step's call, by its place from 0; `None` if nothing is."""
    if any(place >= index for place in references(call)):
        return "refers to a call that does not come before it"
    if not known(call):
        return f"no call that TokenTrail carries out: {call.service}:{call.operation}"
    found = cloud.fault(call)
    return found.message if found else None


def insist_on_room(plan: Plan, cloud: Cloud) -> None:
    """
    Check that accounts can have the service control policies that a plan attaches, as far as that can be read.

    Raises:
        ActionRefused: an account would have more than its quota.
    """
    names: dict[tuple[str, str], set[str]] = {}
    for step in plan.steps:
        for call in step.calls:
            if (call.service, call.operation) == ("organizations", "AttachPolicy"):
                made = [step.calls[place].parameters.get("Name") for place in references(call)]
                where = (call.account, str(call.parameters.get("TargetId")))
                names.setdefault(where, set()).update(str(name) for name in made)
    for (manager, target), ours in sorted(names.items()):
        asked = Call(
            account=manager, service="organizations", operation="ListPoliciesForTarget",
            parameters={"TargetId": target, "Filter": SCP},
        )  # fmt: skip
        try:
            others = {str(one.get("Name")) for one in cloud.listed(asked, "Policies")} - ours
        except CallFailed:
            continue  # whoever may attach need not be allowed to list
        most = controls_most(cloud.caller(manager).partition)
        if len(others) + len(ours) > most:
            raise ActionRefused(
                f"account {target} has {len(others)} service control policies, and the plan attaches {len(ours)} more, "
                f"but an account can have {most}. Nothing was sent: detach one that it can do without, or attach one "
                "policy with the statements of several, then run the same command again."
            )


def insist_on_callers(plan: Plan, cloud: Cloud, *, may_be_cut: bool) -> tuple[CallingIdentity, ...]:
    """
    Check with which identity the calls would be made, in every account of a plan.

    Raises:
        ActionRefused: there is none, or one that must not: of another account, tainted, or cut off by a step.
    """
    found = tuple(cloud.caller(account) for account in accounts(plan))
    for caller in found:
        _insist_on_untainted(plan, caller)
        _insist_on_clock(caller)
        cutting = [step for step in plan.steps if _cuts(step, caller)]
        if cutting and not may_be_cut:
            raise ActionRefused(
                f"step {cutting[0].n} ({cutting[0].action}) would cut off {caller.arn}, which carries out the plan in "
                f"account {caller.account}. Use another identity (--profile-for {caller.account}=NAME), or go on with "
                "--yes-cut-my-own-session."
            )
    return found


def _insist_on_untainted(plan: Plan, caller: CallingIdentity) -> None:
    behind = {one for one in plan.tainted if one in caller.access_key_ids}
    behind |= {
        one
        for one in plan.tainted
        if "@" in one and _session(one) in (*caller.access_key_ids, caller.user_id)
    }
    if behind:
        raise ActionRefused(
            f"{caller.arn} would carry out the plan in account {caller.account}, and {min(behind)} counts as the "
            f"attacker's. Use credentials of another identity: --profile-for {caller.account}=NAME."
        )


def _session(credential: str) -> str:
    """The principal or key id in a credential's id: what stands before the date of one such as `AROA…:name@DATE`."""
    return credential.rpartition("@")[0] or credential


def _insist_on_clock(caller: CallingIdentity) -> None:
    if abs(caller.clock_ahead) > RESERVE:
        way = "ahead of" if caller.clock_ahead > 0 else "behind"
        raise ActionRefused(
            f"this computer's clock is {abs(caller.clock_ahead):.0f} seconds {way} AWS's in account {caller.account}, "
            "so that cutoffs would name the wrong moment. Set the clock, and run the same command again."
        )


def _cuts(step: Step, caller: CallingIdentity) -> bool:
    """Whether a step acts on the identity that carries out the plan: on its principal, key or session."""
    own = principal_of_arn(caller.arn)
    named = {
        principal_of_arn(arn) for arn in (*step.principals, *([step.principal] if step.principal else []))
    } - {None}
    hit = {_session(one.credential) for one in step.collateral}
    return (
        (own is not None and own in named and not _spares(step, caller, own))
        or caller.arn in (*step.principals, *step.targets)
        or bool(hit & {*caller.access_key_ids, caller.user_id})
        or bool(set(step.targets) & set(caller.access_key_ids))
    )


def _spares(step: Step, caller: CallingIdentity, own: Principal) -> bool:
    """
    Whether a step surely leaves a session of a role alone on which it acts, as its documents deny others of that role.

    When our own session was issued, and for whom it acts, AWS tells nobody: what asks for that may hit it.
    """
    if own.kind != "role" or not all(one.operation in _DENYING for one in step.calls):
        return False
    session = Caller(
        kind="identity_center" if permission_set(own) else "assumed_role", account=caller.account,
        principal=caller.arn, principal_id=caller.user_id, session_name=session_of(caller.user_id),
    )  # fmt: skip
    request = Request(context_of(session))
    texts = [text for one in step.calls for name in DOCUMENTS if (text := one.parameters.get(name))]
    return bool(texts) and all(
        isinstance(document := parse(text), Document)
        and all(request.meets(one, variables=document.variables) is Truth.NO for one in document.denials)
        for text in texts
    )


def insist_on_evidence(plan: Plan, found: Recheck) -> None:
    """
    Check that a plan still ends everything, given the evidence that was ingested after it was made.

    Raises:
        ActionRefused: something outlives its steps that it did not show to outlive them.
    """
    if found.uncovered:
        raise ActionRefused(
            "the case holds evidence of what the plan does not end, by steps that were sent or by those that are left: "
            f"{in_words(found.uncovered)}. Plan again: `{planning_command(plan)}`."
        )


def planning_command(plan: Plan) -> str:
    """The command that plans the same again; without its narrowing, a plan might end what is the owner's."""
    narrowing, options = plan.narrowing, list[tuple[str, str]]()
    options += [("--strategy", plan.strategy)] if plan.strategy not in (None, "standard") else []
    options += [("--attacker-since", instant(narrowing["since"]))] if narrowing["since"] else []
    options += [("--source-ip", address) for address in narrowing["source_ips"]]
    options += [("--trusted-ip", address) for address in narrowing["trusted_ips"]]
    options += [("--margin", str(plan.margin))] if plan.margin != MARGIN else []
    options += [("--lag", str(plan.lag))] if plan.lag != LAG else []
    manager = management_account_of(plan)
    options += [("--management-account", manager)] if manager else []
    deletes = any(step.action in _DELETES_CREATED for step in plan.steps)
    flags = ["--delete-created"] if deletes and plan.strategy else []
    words = [*plan.subjects, *(word for option in options for word in option), *flags, "-o", "NEW-PLAN.json"]
    return f"tokentrail contain {shlex.join(words)}"
