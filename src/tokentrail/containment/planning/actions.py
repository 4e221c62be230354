"""
The planned steps of the catalogue's actions: which calls carry them out.

Source for operations and parameters: IAM and AWS Organizations API References. Policies are named `TokenTrail-…`, so
that they are known to be ours and replace nobody else's.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tokentrail.aws.principals import Principal, caseless, short_apart
from tokentrail.containment import documents
from tokentrail.containment.catalogue import CATALOGUE
from tokentrail.containment.documents import Statement
from tokentrail.containment.incident.incident_model import HeldCredential, IncidentModel
from tokentrail.containment.inverses import undoing
from tokentrail.containment.model import Action, Call, iam
from tokentrail.containment.planned_step import ORGANIZATIONS, PlannedStep, new_policy
from tokentrail.formatting import instant, joined, listed, short, without_ids
from tokentrail.policy.account.holders import size_of

REVOKE, DENY, SESSIONS, FREEZE = (
    "TokenTrail-RevokeSessions", "TokenTrail-DenyAll", "TokenTrail-DenySessions", "TokenTrail-Freeze",
)  # fmt: skip
"""Names of policies, to which `incident_name` adds a mark of the incident."""
_LONGEST_NAME = 64
"""Characters of a user's or role's name that go into a policy's name."""
_NAMED = 8
"""How many targets a sentence names; the step lists them all."""
_IN = "--region "
"""What precedes a region in a command."""
_IN_FULL = 3
"""How many sentences that differ only by region or name are written out with commands that can be pasted."""
QUARANTINE = "arn:{}:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
_LOCK_OUT = documents.text([
    {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
])  # fmt: skip


DEACTIVATES: tuple[Action, ...] = ("deactivate-key", "deactivate-api-key")
"""Actions that make keys inactive."""


def of_keys(action: Action, keys: Iterable[HeldCredential]) -> PlannedStep:
    """
    Deactivate or delete long-term keys or API keys; by a person for root's, and for those whose user is not known.

    A key that the attacker made has no call that undoes its deactivation.
    """
    listed = sorted(keys, key=lambda one: (one.principal, one.id))
    calls, reversible, by_hand = [], [], []
    for one in listed:
        if one.is_masked or not (one.principal.is_root or one.principal.is_named):
            continue  # its id or its user is not known
        status = "Inactive" if action in DEACTIVATES else None
        if one.principal.is_root:
            by_hand.append(_key_call(one, status))
            continue
        calls.append(_key_call(one, status))
        if not one.made:
            reversible.append(calls[-1])
    return PlannedStep(
        action=action, targets=tuple(one.key_id or one.id for one in listed),
        principals=tuple(dict.fromkeys(one.principal for one in listed)), calls=tuple(calls),
        undo=undoing(reversible), by_hand=tuple(by_hand), reversible=CATALOGUE[action].reversible,
        made=tuple(one.key_id or one.id for one in listed if one.made and action in DEACTIVATES),
    )  # fmt: skip


def _key_call(key: HeldCredential, status: str | None) -> Call:
    """
    The call that sets the status of a long-term key or API key, or deletes it.

    Sources: IAM API Reference, 'UpdateAccessKey', 'UpdateServiceSpecificCredential' and the calls that delete them.
    """
    what, member = (
        ("ServiceSpecificCredential", "ServiceSpecificCredentialId")
        if key.kind == "api_key"
        else ("AccessKey", "AccessKeyId")
    )
    user = {} if key.principal.is_root else {"UserName": key.principal.name}
    told = {**user, member: key.key_id} | ({"Status": status} if status else {})
    return iam(key.principal.account, f"{'Update' if status else 'Delete'}{what}", **told)


def deny_masked_keys(incident: IncidentModel, users: Sequence[Principal]) -> PlannedStep:
    """Deny users everything because the evidence masks the ids of their leaked keys."""
    kinds = {
        (one.principal, one.kind == "api_key")
        for one in incident.held
        if one.is_masked and one.principal in users
    }
    some = [
        f"`aws iam list-{'service-specific-credentials' if api else 'access-keys'} --user-name {shlex.quote(one.name)}`"
        for one, api in sorted(kinds)
    ]
    api_too = any(api for _, api in kinds)
    why = (
        f"The evidence {'does not show' if api_too else 'masks'} the ids of the {'' if api_too else 'access '}keys of "
        f"{listed([one.name for one in users], _NAMED)}, so that no call can deactivate them: the user is denied "
        f"everything, whichever keys it has. {listed(some, _IN_FULL)} lists the keys there are: deactivate those that "
        "leaked, or all of them, before this is undone. "
    )
    return merged("deny-user", [with_document(incident, "deny-user", DENY, documents.deny_all(), users)], why)


def masked_key_by_hand(key: HeldCredential) -> PlannedStep:
    """Leave a key to a person whose id the evidence masks, and whose principal no policy of ours can deny."""
    whose = (
        f"root of account {key.principal.account}"
        if key.principal.is_root
        else key.principal.name or "nobody known"
    )
    why = (
        f"The evidence masks the id of an access key of {whose}, so that no call can name it. Whoever has access finds "
        "it (`aws iam list-access-keys`, or the security credentials page for root) and deactivates it. "
    )
    return PlannedStep(
        action="deactivate-key", targets=(key.id,), principals=(key.principal,), calls=(), why=why
    )


def incident_name(incident: IncidentModel, name: str) -> str:
    """A policy's name for this incident; with the same name, another incident's policy would be replaced and lifted."""
    return f"{name}-{hashlib.sha256(chr(10).join(sorted(incident.subjects)).encode()).hexdigest()[:8]}"


def put_policy(principal: Principal, name: str, document: str) -> list[Call]:
    """The call that puts an inline policy on a user or role."""
    kind = "User" if principal.kind == "user" else "Role"
    named = {f"{kind}Name": principal.name, "PolicyName": name}
    return [iam(principal.account, f"Put{kind}Policy", **named, PolicyDocument=document)]


def inline_room(incident: IncidentModel, principal: Principal) -> int:
    """Characters left for an inline policy; IAM's whole limit if no snapshot shows what is there."""
    limit = documents.USER_INLINE if principal.kind == "user" else documents.ROLE_INLINE
    return limit - incident.inline_size(principal)


def attach_policies(
    incident: IncidentModel, principal: Principal, name: str, texts: Sequence[str]
) -> list[Call]:
    """
    The calls that create managed policies and attach them, for what is too long to be inline.

    A policy's name includes the kind of principal, since a user and a role may have the same name.
    Source: IAM User Guide, 'IAM and AWS STS quotas' (64 characters for a user's or role's name, 128 for a policy's).
    """
    kind = "User" if principal.kind == "user" else "Role"
    calls: list[Call] = []
    for number, document in enumerate(texts, 1):
        own = f"{name}-{principal.kind}-{principal.name[:_LONGEST_NAME]}-{number}"
        arn = f"arn:{incident.arn(principal).split(':')[1]}:iam::{principal.account}:policy/{own}"
        attached = {f"{kind}Name": principal.name, "PolicyArn": arn}
        calls.append(iam(principal.account, "CreatePolicy", PolicyName=own, PolicyDocument=document))
        calls.append(iam(principal.account, f"Attach{kind}Policy", **attached))
    return calls


def with_document(
    incident: IncidentModel, action: Action, name: str, document: str, on: Iterable[Principal]
) -> PlannedStep:
    """Put the same document on several principals; the move has the incident's cutoff if the document does."""
    listed = tuple(sorted(on))
    calls: list[Call] = []
    why = ""
    for principal in listed:
        if size_of(document) <= inline_room(incident, principal):
            calls += put_policy(principal, incident_name(incident, name), document)
        elif incident.attachable(principal):
            calls += attach_policies(incident, principal, incident_name(incident, name), [document])
        else:
            why += no_room(incident, principal)
    return PlannedStep(
        action=action, targets=tuple(incident.arn(one) for one in listed), principals=listed, calls=tuple(calls),
        undo=undoing(calls), cutoff=incident.cutoff if calls and instant(incident.cutoff) in document else None,
        closes=frozenset(
            name for one in listed if action in ("deny-user", "deny-role") and not why
            for name in _closed_by_denying(incident, one)
        ), why=why,
    )  # fmt: skip


def _closed_by_denying(incident: IncidentModel, principal: Principal) -> Iterator[tuple[str, ...]]:
    """The sources, by name, that hand out nothing that works once a principal is denied everything for good."""
    yield (principal.kind, principal.account, caseless(principal.name))
    if principal in incident.made_users:
        yield from (one.name for one in incident.sources_of(principal))


def deny_made_user(
    incident: IncidentModel, principal: Principal, keys: Iterable[HeldCredential]
) -> PlannedStep | None:
    """
    Deny a user that the attacker made everything, and deactivate its keys, so that it stays as evidence.

    A key that is only denied can still sign requests, and nothing but its use shows that the deny holds.

    Returns:
        `None` if the user has no room for another policy, so that only its deletion ends it.
    """
    denied = with_document(incident, "deny-user", DENY, documents.deny_all(), [principal])
    if not denied.calls:
        return None
    off = of_keys("deactivate-key", [one for one in keys if one.principal == principal and one.key_id])
    return replace(denied, calls=(*off.calls, *denied.calls), undo=(), reversible=False, made=denied.targets)


def no_room(incident: IncidentModel, principal: Principal) -> str:
    """Say that a principal has no room for another policy, so that a step does nothing there."""
    return (
        f"{short(incident.arn(principal))} has no room for another policy, inline or attached (the log or snapshot "
        "shows it at IAM's quotas): take one off it and plan again; until then this does nothing there. "
    )


def delete_user(
    incident: IncidentModel, principal: Principal, keys: Iterable[HeldCredential], action: Action
) -> PlannedStep:
    """Delete a user. IAM requires its keys and all else to be deleted first; `apply` finds and deletes what it has."""
    calls = [_key_call(one, None) for one in keys if one.principal == principal and one.key_id]
    calls.append(iam(principal.account, "DeleteUser", UserName=principal.name))
    return PlannedStep(
        action=action, targets=(incident.arn(principal),), principals=(principal,), calls=tuple(calls),
        reversible=False,
        closes=frozenset(
            (kind, principal.account, caseless(principal.name)) for kind in ("password", "user")
        ),
    )  # fmt: skip


def attach_quarantine(incident: IncidentModel, principal: Principal) -> PlannedStep:
    """Attach AWS's quarantine policy, which by itself contains nothing."""
    named = {
        "UserName": principal.name,
        "PolicyArn": QUARANTINE.format(incident.arn(principal).split(":")[1]),
    }
    return PlannedStep(
        action="attach-quarantine", targets=(incident.arn(principal),), principals=(principal,),
        calls=(call := iam(principal.account, "AttachUserPolicy", **named),), undo=undoing([call]),
    )  # fmt: skip


def edit_trust(incident: IncidentModel, principal: Principal) -> PlannedStep:
    """Let nobody assume a role any more."""
    call = iam(principal.account, "UpdateAssumeRolePolicy", RoleName=principal.name, PolicyDocument=_LOCK_OUT)
    return PlannedStep(
        action="edit-trust",
        targets=(incident.arn(principal),),
        principals=(principal,),
        calls=(call,),
        shuts=(principal,),
    )


def deny_by_scp(
    incident: IncidentModel, policies: Sequence[tuple[Sequence[Statement], Sequence[Principal]]], why: str
) -> PlannedStep:
    """
    Deny principals by service control policies on their accounts, which only their organisation can attach.

    Args:
        incident: The incident.
        policies: For each policy: its statements, and the principals whose accounts it is attached to.
        why: A sentence to begin the move's explanation.
    """
    calls: list[Call] = []
    told = []
    bound: list[Principal] = []
    attached: Counter[str] = Counter()
    full: set[str] = set()
    for said, on in policies:
        document = documents.text(said)
        full |= {one.account for one in on if incident.controls_room(one.account) <= attached[one.account]}
        accounts = sorted({one.account for one in on} - full)
        if not accounts:
            continue
        attached.update(accounts)
        bound += [one for one in on if one.account in accounts]
        made = new_policy(len(calls))
        calls += [
            _of_organization(
                incident, "CreatePolicy", Name=_name_of_scp(incident, accounts, document),
                Description="Containment by TokenTrail", Type="SERVICE_CONTROL_POLICY", Content=document,
            ),
            *(_of_organization(incident, "AttachPolicy", PolicyId=made, TargetId=one) for one in accounts),
        ]  # fmt: skip
        told.append(f"to account{'s' * (len(accounts) > 1)} {joined(accounts)}: {document} ")
    manager = incident.management_account
    cut = any(instant(incident.cutoff) in text for text in told)
    late = in_time(incident) if cut else ""
    several = "these service control policies" if len(told) > 1 else "this service control policy"
    by_hand = "" if manager else (
        "Whoever runs the organisation (or you, planning again with --management-account) attaches "
        f"{several}{late} {''.join(told)}"
    )  # fmt: skip
    targets = (incident.arn(one) for _, some in policies for one in some)
    return PlannedStep(
        action="scp-deny", targets=tuple(targets), principals=tuple(bound),
        calls=tuple(calls if manager else ()), undo=undoing(calls if manager else ()),
        by_hand=tuple(() if manager else calls),
        cutoff=incident.cutoff if cut else None, why=why + by_hand + _quota_of_controls(incident, attached, full),
    )  # fmt: skip


def _quota_of_controls(incident: IncidentModel, attached: Mapping[str, int], full: Iterable[str]) -> str:
    """Say how much room a move needs for SCPs, which the log does not tell, and where there is none."""
    told = ""
    if barred := sorted(full):
        told += (
            f"By the log, account{'s' * (len(barred) > 1)} {listed(barred, _NAMED)} can't have another service control "
            "policy: detach one and plan again; until then this does nothing there. "
        )
    if attached:
        most = max(documents.controls_most(incident.partition(account)) for account in attached)
        told += (
            f"An account can have {most} service control policies, AWS's own among them, and this attaches "
            f"{max(attached.values())} to each: `aws organizations list-policies-for-target --filter "
            "SERVICE_CONTROL_POLICY --target-id …` tells how many there are, and apply looks before it sends anything. "
        )
    return told


def in_time(incident: IncidentModel) -> str:
    """What a person who writes a cutoff by hand must know: it must be later than the plan's, by the time of writing."""
    return (
        f", with the time that it is then and {incident.margin} seconds in place of {instant(incident.cutoff)}, else "
        "what was minted until then goes on,"
    )


def _of_organization(incident: IncidentModel, operation: str, **parameters: str) -> Call:
    account = incident.management_account or "management"
    return Call(account=account, service=ORGANIZATIONS, operation=operation, parameters=parameters)


def _name_of_scp(incident: IncidentModel, accounts: Sequence[str], document: str) -> str:
    mark = hashlib.sha256(document.encode()).hexdigest()[:4]  # tells several policies of one plan apart
    name = f"TokenTrail-Deny-{accounts[0]}" if len(accounts) == 1 else "TokenTrail-Deny"
    return f"{incident_name(incident, name)}-{mark}"


def merged(action: Action, moves: Sequence[PlannedStep], why: str = "") -> PlannedStep:
    """Several moves as one, whose calls are sent together."""
    cutoffs: list[datetime] = [one.cutoff for one in moves if one.cutoff]
    return PlannedStep(
        action=action,
        targets=tuple(dict.fromkeys(target for one in moves for target in one.targets)),
        principals=tuple(dict.fromkeys(principal for one in moves for principal in one.principals)),
        calls=tuple(call for one in moves for call in one.calls),
        undo=tuple(call for one in moves for call in one.undo),
        by_hand=tuple(call for one in moves for call in one.by_hand),
        cutoff=cutoffs[0] if cutoffs else None,
        closes=frozenset(pair for one in moves for pair in one.closes),
        lingers=max(one.lingers for one in moves),
        shuts=tuple(principal for one in moves for principal in one.shuts),
        spares=frozenset(spared for one in moves for spared in one.spares),
        shields=frozenset(principal for one in moves for principal in one.shields),
        denies=tuple(dict.fromkeys(action for one in moves for action in one.denies)),
        made=tuple(dict.fromkeys(target for one in moves for target in one.made)),
        by_portal=any(one.by_portal for one in moves),
        reversible=all(one.reversible for one in moves),
        why=why or _said(moves),
    )


def by_present_names(incident: IncidentModel, move: PlannedStep) -> PlannedStep:
    """The same move with users' present names in its calls; calls that become equal are sent once."""
    if not incident.renamed:
        return move

    def calls(given: Sequence[Call]) -> tuple[Call, ...]:
        found: dict[tuple[str | None, ...], Call] = {}
        for call in given:
            name = incident.renamed.get(Principal(call.account, "user", str(call.parameters.get("UserName"))))
            told = replace(call, parameters={**call.parameters, "UserName": name}) if name else call
            alike = repr(sorted(told.parameters.items()))
            found.setdefault((told.account, told.region, told.service, told.operation, alike), told)
        return tuple(found.values())

    names = [
        f"{one.name} is called {name} by now. "
        for one in move.principals if (name := incident.renamed.get(one)) and (move.calls or move.by_hand)
    ]  # fmt: skip
    return replace(
        move,
        calls=calls(move.calls),
        undo=calls(move.undo),
        by_hand=calls(move.by_hand),
        why="".join(names) + move.why,
    )


def _said(moves: Sequence[PlannedStep]) -> str:
    """The explanations of several moves; those that differ only by target, region or other ids are given once."""
    alike: dict[str, list[PlannedStep]] = {}
    for one in moves:
        alike.setdefault(_without(_name(one), "NAME", _without_region(one.why)), []).append(one)
    kinds: dict[str, list[str]] = {}
    for text in alike:
        pasted = " --" in text or '{"Version"' in text  # what a command or a policy names is told of each
        kinds.setdefault(text if pasted else without_ids(text), []).append(text)
    told = []
    for texts in kinds.values():
        told += [_said_once(text, alike[text]) for text in texts[:_IN_FULL]]
        if others := [_name(one) for text in texts[_IN_FULL:] for one in alike[text]]:
            told.append(f"Do the same for {listed(short_apart(others), _NAMED)}. ")
    return "".join(told)


def _said_once(text: str, group: Sequence[PlannedStep]) -> str:
    names = list(dict.fromkeys(map(_name, group)))
    regions = sorted({region for one in group if (region := _region(one.why))})
    text = text.replace(f"{_IN}REGION", f"{_IN}{regions[0]}") if len(regions) == 1 else text
    text = text.replace("NAME", names[0]) if len(names) == 1 else text
    alike = dict.fromkeys(one.why for one in group)
    if len(regions) > 1 and len(group) <= _IN_FULL:
        return "".join(alike)
    if len(alike) == 1:
        accounts = sorted({principal.account for one in group for principal in one.principals})
        several = f"In each account of {listed(accounts, _NAMED)}: " if len(accounts) > 1 and text else ""
        return several + group[0].why
    if len(regions) < 2:
        return f"For each NAME of {listed(names, _NAMED)}: {text}"
    if len(names) == 1:
        return f"For {names[0]} in each REGION of {', '.join(regions)}: {text}"
    pairs = [f"{_name(one)} in {_region(one.why)}" for one in group]
    others = sorted({str(_region(one.why)) for one in group[_NAMED:]})
    return f"For each NAME in its REGION, {listed(pairs, _NAMED)}{' in ' * bool(others)}{', '.join(others)}: {text}"


def _name(move: PlannedStep) -> str:
    """The target of a move with one target, as its explanation names it: in full, or by the last part of its ARN."""
    target = move.targets[0] if len(move.targets) == 1 else ""
    return target if target in move.why else target.rpartition("/")[2]


def _without(what: str, word: str, text: str) -> str:
    return re.sub(rf"(?<![\w-]){re.escape(what)}(?![\w-])", word, text) if what else text


def _region(text: str) -> str | None:
    """The region that a sentence's commands name, if it is one."""
    found = set(re.findall(rf"{_IN}([a-z]{{2,}}(?:-[a-z]+)+-\d+)", text))
    return found.pop() if len(found) == 1 else None


def _without_region(text: str) -> str:
    region = _region(text)
    return text.replace(f"{_IN}{region}", f"{_IN}REGION") if region else text


def short_list(principals: Iterable[Principal], incident: IncidentModel) -> str:
    """Up to three principals, as a sentence names them."""
    return listed(short_apart([incident.arn(one) for one in principals]), 3)
