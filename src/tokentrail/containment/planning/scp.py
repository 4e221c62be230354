"""
Deny by service control policy (SCP) what our IAM calls can't: root, Identity Center's roles, accounts without access.

If nothing can be minted afterwards, the deny has a cutoff. If a key, another principal, or a source that we can't close
may still mint, it has none, so that it holds whatever happens and in whatever order the steps are sent.
Source: AWS Organizations User Guide, 'Service control policies (SCPs)'. A federated user's `aws:PrincipalArn` is not
that of the user behind it (IAM User Guide, 'AWS global condition context keys'), so that it is denied by its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace
from itertools import groupby

from tokentrail.aws.principals import Principal, in_any_account, permission_set
from tokentrail.containment import documents
from tokentrail.containment.documents import Person, Statement
from tokentrail.containment.incident.incident_model import HeldCredential, IncidentModel
from tokentrail.containment.model import iam
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.planning import actions
from tokentrail.policy.language.context import LASTING

_WRITES = ("iam:*", "organizations:*")
"""What is denied to whoever may change IAM, before all else."""
_MANY = 10
"""If one policy is too short: how many accounts must deny the same principals to have one policy for all of them."""


def deny_by_scps(
    incident: IncidentModel, principals: Sequence[Principal], live: Sequence[HeldCredential]
) -> Iterator[PlannedStep]:
    """
    Deny principals, those of each partition in one move, as an organisation lies in one.

    Args:
        incident: The incident.
        principals: Whom to deny.
        live: The credentials that live if nothing is done.
    """
    denied_for_good = _still_minted(incident, live).intersection(principals)
    by_partition = sorted(principals, key=lambda one: (_partition(incident, one), one))
    for _, some in groupby(by_partition, key=lambda one: _partition(incident, one)):
        yield _deny_by_scp(incident, list(some), denied_for_good)


def in_permission_sets(
    incident: IncidentModel, roles: Sequence[Principal], live: Sequence[HeldCredential]
) -> PlannedStep:
    """
    Deny sessions of Identity Center's roles in the management account by the inline policies of their permission sets.

    Source: IAM Identity Center User Guide, 'Revoke access for deleted users' (such a deny), 'Delegated administration'
    (who may edit what is provisioned there); API Reference, 'PutInlinePolicyToPermissionSet', 'ProvisionPermissionSet'.
    """
    denied_for_good = _still_minted(incident, live)
    return actions.merged(
        "deny-sessions", [_in_permission_set(incident, one, denied_for_good) for one in roles]
    )


def _in_permission_set(
    incident: IncidentModel, role: Principal, denied_for_good: Set[Principal]
) -> PlannedStep:
    document = documents.text(statements(incident, [role], denied_for_good))
    written = iam(
        role.account, "PutRolePolicy", RoleName=role.name, PolicyName=actions.DENY, PolicyDocument=document
    )
    cut = role not in denied_for_good
    return PlannedStep(
        action="deny-sessions", targets=(incident.arn(role),), principals=(role,), calls=(), by_hand=(written,),
        by_portal=True, reversible=False, cutoff=incident.cutoff if cut else None,
        why="No service control policy binds the management account, and Identity Center alone edits its roles. From "
        "that account (a delegated administrator can't), add to the inline policy of the permission set "
        f"{permission_set(role)}, and provision it to {role.account} again (`aws sso-admin "
        "put-inline-policy-to-permission-set` replaces what stands there; `provision-permission-set`)"
        f"{actions.in_time(incident) if cut else ','} the statement of: {document} ",
    )  # fmt: skip


def deny_writes_first(incident: IncidentModel, principals: Sequence[Principal]) -> PlannedStep:
    """
    Deny principals of one partition all changes to IAM, so that nobody who acts as them can undo the steps after it.

    IAM takes seconds to act on a change, and whoever may write IAM can take a deny back before it takes effect. An
    account can't change what its organisation denies it. `iam:PassRole` is among what is denied.
    Sources: IAM User Guide, 'Troubleshoot IAM' (changes are not always visible at once); OFFENSAI's and
    hackingthe.cloud's articles on persistence through IAM's eventual consistency (the race, and that SCPs win it).
    """
    policies = [(_no_writes(incident, some), some) for some in _batches(incident, principals, _no_writes)]
    move = actions.deny_by_scp(
        incident, policies, "Whoever may change IAM could take back each step after this one, so that it comes first. "
        "While it stands, nobody who acts as these principals changes IAM, colleagues included. ",
    )  # fmt: skip
    return replace(move, denies=_WRITES, shields=frozenset(move.principals))


def _no_writes(incident: IncidentModel, on: Sequence[Principal]) -> list[Statement]:
    """The statements that deny some principals, and federated users of theirs, all changes to IAM."""
    found: dict[tuple[Person, ...], dict[str, None]] = {}
    for one in on:
        patterns = found.setdefault(incident.persons.get(one, ()), {})
        patterns[incident.pattern(one)] = None
        if incident.federates(one):
            patterns.update(dict.fromkeys(_guests(incident, one, one.account)))
    return [
        documents.of_principals([*arns], None, persons, _WRITES) for persons, arns in sorted(found.items())
    ]


def _guests(incident: IncidentModel, principal: Principal, account: str) -> list[str]:
    """Patterns that the ARNs of a principal's federated users match, as AWS spells them in one place or another."""
    return [
        f"arn:{_partition(incident, principal)}:{service}::{account}:federated-user/*"
        for service in ("sts", "iam")
    ]


def statements(
    incident: IncidentModel,
    on: Sequence[Principal],
    denied_for_good: Set[Principal],
    *,
    anywhere: bool = False,
) -> list[Statement]:
    """
    The statements that deny some principals for good, and of others the tokens issued before the cutoff.

    Federated users of the principals' accounts are denied before the cutoff too.

    Args:
        incident: The incident.
        on: Whom to deny.
        denied_for_good: Those for whom more may be minted, so that they are denied for good.
        anywhere: Whether the statements name the principals in any account, so that one policy serves several.
    """
    found: dict[tuple[tuple[Person, ...], bool], dict[str, None]] = {}
    guests: dict[str, None] = {}
    for one in on:
        account = "*" if anywhere else one.account
        pattern = in_any_account(incident.pattern(one)) if anywhere else incident.pattern(one)
        found.setdefault((incident.persons.get(one, ()), one in denied_for_good), {})[pattern] = None
        if incident.federates(one):
            guests.update(dict.fromkeys(_guests(incident, one, account)))
    if guests:
        found.setdefault(((), False), {}).update(guests)
    return [
        documents.of_principals([*arns], None if for_good else incident.cutoff, persons)
        for (persons, for_good), arns in sorted(
            found.items(), key=lambda one: (not one[0][0], one[0][0], not one[0][1])
        )
    ]  # a person and no colleague (IAM Identity Center User Guide, 'Revoke active IAM role sessions')


def _partition(incident: IncidentModel, principal: Principal) -> str:
    return incident.arn(principal).split(":")[1]


def _still_minted(incident: IncidentModel, live: Sequence[HeldCredential]) -> set[Principal]:
    """The principals for which more may be minted after the cutoff."""
    keys = {one.principal for one in live if one.kind in LASTING}
    unreached = {one.mints for one in incident.sources if incident.barred(one.account) and one.until is None}
    return keys | unreached | {edge.into for edge in incident.edges}


def _deny_by_scp(
    incident: IncidentModel, on: Sequence[Principal], denied_for_good: Set[Principal]
) -> PlannedStep:
    def written(incident: IncidentModel, some: Sequence[Principal]) -> list[Statement]:
        return statements(incident, some, denied_for_good)

    policies = [(written(incident, some), some) for some in _batches(incident, on, written)]
    if len(policies) > 1:
        policies = list(_by_name(incident, on, denied_for_good))
    move = actions.deny_by_scp(
        incident, policies, f"No IAM call of yours can end these sessions. {_of_root(on)}"
    )
    for_good = frozenset(denied_for_good & {*move.principals})
    return replace(
        move,
        closes=frozenset(one.name for one in incident.sources if one.mints in for_good),
        shields=for_good,
    )


def _by_name(
    incident: IncidentModel, on: Sequence[Principal], denied_for_good: Set[Principal]
) -> Iterator[tuple[list[Statement], list[Principal]]]:
    """The policies: one for each set of principals that many accounts deny alike; the others in batches."""
    alike: dict[str, list[Principal]] = {}
    for _, there in groupby(on, key=lambda one: one.account):
        own = list(there)
        alike.setdefault(
            documents.text(statements(incident, own, denied_for_good, anywhere=True)), []
        ).extend(own)
    apart: list[Principal] = []
    for some in alike.values():
        said = statements(incident, some, denied_for_good, anywhere=True)
        few = len({one.account for one in some}) < _MANY
        if few or len(documents.text(said)) > documents.control_room(incident.arn(some[0])):
            apart += some
        else:
            yield said, some
    if apart:
        yield from (
            (statements(incident, some, denied_for_good), some)
            for some in _batches(
                incident, sorted(apart), lambda incident, some: statements(incident, some, denied_for_good)
            )
        )


def _batches(
    incident: IncidentModel,
    on: Sequence[Principal],
    written: Callable[[IncidentModel, Sequence[Principal]], Sequence[Statement]],
) -> Iterator[list[Principal]]:
    """The principals in batches, each as large as fits in one policy of the given statements."""
    batch: list[Principal] = []
    for principal in on:
        whole = documents.text(written(incident, [*batch, principal]))
        if batch and len(whole) > documents.control_room(incident.arn(principal)):
            yield batch
            batch = []
        batch.append(principal)
    yield batch


def _of_root(on: Sequence[Principal]) -> str:
    """What else ends sessions of AssumeRoot, in words."""
    if not any(one.is_root for one in on):
        return ""
    return (
        "Sessions of AssumeRoot end by themselves within 15 minutes; in the management account `aws iam "
        "disable-organizations-root-sessions` lets nobody open another in any member account. "
    )
