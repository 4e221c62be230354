"""
What a principal can reach by the IAM snapshots of accounts: roles that it may assume, and IAM that it may write.

It is made for proofs: what can't be decided counts as possible, and only what policies surely refuse is left out.
Resource control policies and session policies can only restrict, and are ignored. A snapshot is of one time, and
policies may have changed since.
Sources: AWS STS API Reference, 'AssumeRole'; IAM User Guide, 'Policy evaluation for requests within a single
account', 'Cross-account policy evaluation logic' and 'Permissions for GetFederationToken'.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tokentrail.aws.principals import Principal, partition_of, principal_of_arn, role_arn, titled
from tokentrail.errors import UsageError
from tokentrail.policy import writes
from tokentrail.policy.account.holders import Holder, Role, User
from tokentrail.policy.account.permissions import Need, Permissions, Policy, Rules
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.policy.account.trust import ASSUME_ROLE, Basis, Grant, TrustVerdict, Who, trusts
from tokentrail.policy.history.managed import ALLOWS_ONLY
from tokentrail.policy.language.context import context_for, federated
from tokentrail.policy.language.documents import Document, Malformed, Principals
from tokentrail.policy.language.evaluate import Request, listed
from tokentrail.policy.language.truth import Truth

_ANY_OTHER = "000000000000"
"""Stands for an account that nobody named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """That a principal may assume a role."""

    why: str
    """A sentence, without its full stop."""
    certain: bool
    """Whether all policies surely allow it, whatever the request's condition keys."""


class _View:
    """One principal with all policies that apply to it, for judging many roles and calls."""

    def __init__(
        self, identity: Principal, arn: str, holder: Holder | None, snapshot: Snapshot | None
    ) -> None:
        self.identity, self.arn, self.holder = identity, arn, holder
        self.title = titled(arn)
        unique_id = (holder.unique_id or None) if holder else None
        self.who = Who(identity=identity, unique_id=unique_id)
        self.request = Request(context_for(arn, unique_id=unique_id, known=holder is not None))
        self.permissions = _permissions(self, snapshot)
        self._verdicts: dict[int, TrustVerdict] = {}

    def trusted(self, role: Role) -> TrustVerdict:
        """Whether a role's trust policy lets it in; roles with the same policy are judged once."""
        if isinstance(role.trust, Malformed) or role.trust.names_resources:
            return trusts(role.trust, self.who, self.request, role=role.arn)
        verdict = self._verdicts.get(id(role.trust))
        if verdict is None:
            verdict = self._verdicts[id(role.trust)] = trusts(role.trust, self.who, self.request)
        return verdict

    @cached_property
    def assuming(self) -> Rules:
        return Rules(self.permissions, ASSUME_ROLE, self.request)

    @cached_property
    def federating(self) -> bool:
        if self.identity.kind == "role":
            return False
        resource = f"arn:{partition_of(self.arn)}:sts::{self.identity.account}:federated-user/*"
        return self.may("sts:GetFederationToken", resource, self.request)

    def may(self, action: str, resource: str | None, request: Request) -> bool:
        return Rules(self.permissions, action, request).truth(resource) is not Truth.NO


class TrustIndex:
    """Roles by the principals that their trust policies may let in, so that only those roles are judged."""

    def __init__(self, roles: Iterable[Role]) -> None:
        """Index some roles."""
        self._by_account: dict[str, list[Role]] = defaultdict(list)
        self._by_identity: dict[Principal, list[Role]] = defaultdict(list)
        self._by_unique_id: dict[str, list[Role]] = defaultdict(list)
        self._anyone: list[Role] = []
        for role in roles:
            self._by_identity[role.identity].append(role)
            for principals in () if isinstance(role.trust, Malformed) else role.trust.naming():
                self._enter(role, principals)
            if isinstance(role.trust, Malformed):
                self._anyone.append(role)

    def _enter(self, role: Role, principals: Principals) -> None:
        if principals.anyone or principals.inverted or principals.unclear:
            self._anyone.append(role)
        for account in principals.accounts:
            self._by_account[account].append(role)
        for identity in principals.identities | {one for one, _ in principals.sessions}:
            self._by_identity[identity].append(role)
        for unique_id in principals.unique_ids:
            self._by_unique_id[unique_id].append(role)

    def candidates(self, who: Who) -> tuple[list[Role], list[Role]]:
        """
        Find every role whose trust policy may let a principal in, and the principal's own.

        The second list has the roles that only trust its account, so that identity policies must allow the call.
        """
        ids = self._by_unique_id
        gone = (
            ids.get(who.unique_id, [])
            if who.unique_id
            else [role for roles in ids.values() for role in roles]
        )
        named = {role.arn: role for role in (*self._anyone, *self._by_identity.get(who.identity, ()), *gone)}
        account = {role.arn: role for role in self._by_account.get(who.identity.account, ())}
        return list(named.values()), [role for arn, role in account.items() if arn not in named]


class Reach:
    """What principals can reach, by one snapshot for each account."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        """
        Index the roles by whom they trust.

        Raises:
            UsageError: Two snapshots are of the same account.
        """
        self._snapshots: dict[str, Snapshot] = {}
        for snapshot in snapshots:
            other = self._snapshots.setdefault(snapshot.account, snapshot)
            if other is not snapshot:
                raise UsageError(
                    f"Two snapshots are of account {snapshot.account}: {other.name} and {snapshot.name}. "
                    "Give the newest one of each account."
                )
        self._roles = sorted(
            (role for snapshot in self._snapshots.values() for role in snapshot.roles.values()),
            key=lambda role: role.arn,
        )
        self._index = TrustIndex(self._roles)
        self._views: dict[tuple[Principal, str], _View] = {}

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts with a snapshot."""
        return frozenset(self._snapshots)

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshots, by account."""
        return tuple(self._snapshots[account] for account in sorted(self._snapshots))

    def is_known(self, principal_arn: str) -> bool:
        """Whether a user or role is in a snapshot, so that its policies are known; root is if its account has one."""
        identity = principal_of_arn(principal_arn)
        if identity is not None and identity.kind == "root":
            return identity.account in self._snapshots
        return self._holder(principal_arn) is not None

    def user(self, arn: str) -> User | None:
        """Find a user by its ARN, with its path or without."""
        found = self._holder(arn)
        return found if isinstance(found, User) else None

    def role(self, arn: str) -> Role | None:
        """Find a role by its ARN, with its path or without, or by that of one of its sessions."""
        found = self._holder(arn)
        return found if isinstance(found, Role) else None

    def may_assume(self, principal_arn: str, role_arn: str) -> Way | None:
        """
        How a user, or a role's sessions, may call AssumeRole on a role.

        `None` if they surely can't, and also for a role that is in no snapshot, of which nothing is known.
        A principal that is in no snapshot may have any permission, but the role must trust it.
        Federated users can't assume roles (IAM User Guide, 'Compare AWS STS credentials').
        """
        view, role = self._view(principal_arn), self.role(role_arn)
        return _way(view, role) if view is not None and role is not None else None

    def assumable(self, principal_arn: str) -> tuple[tuple[str, Way], ...]:
        """List every role that a principal may assume, by ARN."""
        view = self._view(principal_arn)
        found = ((role.arn, _way(view, role)) for role in self._candidates(view)) if view else ()
        return tuple((arn, way) for arn, way in found if way is not None)

    def admitting(self, provider: str, subject: str | None) -> Iterator[str]:
        """The roles, by ARN, whose trust policies may let in somebody whom an identity provider knows."""
        for role in self._roles:
            if isinstance(role.trust, Malformed) or role.trust.may_admit(provider, subject):
                yield role.arn

    def edges(self, principal_arn: str) -> tuple[tuple[str, bool], ...]:
        """List the same roles by ARN, each with whether it is certain, without the reasons, which take longer."""
        view = self._view(principal_arn)
        found = ((role.arn, _best(view, role)) for role in self._candidates(view)) if view else ()
        return tuple((arn, best.certain) for arn, best in found if best is not None)

    def _candidates(self, view: _View) -> list[Role]:
        """The roles that may let a principal in; if it has no permission to assume any, only those that name it."""
        named, delegated = self._index.candidates(view.who)
        if delegated and view.assuming.truth("*") is Truth.NO:
            delegated = []
        roles = named + [role for role in delegated if view.assuming.truth(role.arn) is not Truth.NO]
        return sorted(roles, key=lambda role: role.arn)

    def may_write_iam(self, principal_arn: str) -> tuple[str, ...]:
        """
        List the calls by which a principal may undo or evade containment.

        `launches` stands for passing a role to a machine or function that it starts.
        For a principal that is no user, role or root user, all are listed, as nothing is known of it. It makes no
        difference which of its credentials calls: a token that can't call IAM's API may open a console that can.
        """
        names = self._possible(principal_arn, writes.IAM)
        passes = next(self._each_possible(principal_arn, writes.PASSING), None)
        launches = passes and next(self._each_possible(principal_arn, writes.LAUNCHING), None)
        return (*names, writes.LAUNCHES) if launches else names

    def may_write_organizations(self, principal_arn: str) -> tuple[str, ...]:
        """
        List the calls by which a principal may remove SCPs.

        Most work only in the management account, or one to which it delegated this. If the snapshot says that the
        principal's account is not the management account, only LeaveOrganization is listed.
        """
        names = self._possible(principal_arn, writes.ORGANIZATIONS)
        identity = principal_of_arn(principal_arn)
        snapshot = self._snapshots.get(identity.account) if identity else None
        member = snapshot is not None and snapshot.management is False
        return tuple(name for name in names if name == writes.LEAVES or not member)

    def may_take_over(self, principal_arn: str) -> tuple[str, ...]:
        """List the calls by which a principal may get the credentials of running workloads."""
        return self._possible(principal_arn, writes.TAKING_OVER)

    def may_go_elsewhere(self, principal_arn: str) -> tuple[str, ...]:
        """
        List AssumeRole, if a principal may call it on roles of accounts without a snapshot.

        Whether such a role trusts it is not known. In each account that an organisation created, one role trusts the
        management account (AWS Organizations User Guide, 'Accessing a member account that has
        OrganizationAccountAccessRole').
        """
        view = self._view(principal_arn)
        if view is None:
            return ("AssumeRole",)
        named = {
            pattern.split(":")[4]
            for policy in view.permissions.identity
            if isinstance(policy.document, Document)
            for statement in policy.document.statements
            for pattern in statement.resources.patterns
            if pattern.count(":") > 4
        }
        where = (named | {_ANY_OTHER}) - self.accounts - {"*"}
        roles = (f"arn:{partition_of(view.arn)}:iam::{account}:role/*" for account in where)
        return ("AssumeRole",) if any(view.assuming.truth(one) is not Truth.NO for one in roles) else ()

    def may_federate(self, user_arn: str) -> bool:
        """
        Whether a user or root may call GetFederationToken; GetSessionToken needs no permission.

        Roles can't (AWS STS API Reference, 'GetFederationToken').
        """
        view = self._view(user_arn)
        return view is not None and view.federating

    def _possible(self, principal_arn: str, calls: tuple[writes.Write, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._each_possible(principal_arn, calls)))

    def _each_possible(self, principal_arn: str, calls: tuple[writes.Write, ...]) -> Iterator[str]:
        view = self._view(principal_arn)
        if view is None:
            yield from (call.name for call in calls)
            return
        request = view.request
        if view.federating:
            request = Request(federated(request.context))
        where = partition_of(view.arn), view.identity.account
        yield from (call.name for call in calls if view.may(call.action, call.resource(*where), request))

    def _holder(self, arn: str) -> Holder | None:
        identity = principal_of_arn(arn)
        snapshot = self._snapshots.get(identity.account) if identity else None
        return snapshot.holder(arn) if snapshot else None

    def _view(self, arn: str) -> _View | None:
        """The view of a principal; `None` if it is no user, role or root user."""
        identity = principal_of_arn(arn)
        if identity is None:
            return None
        holder = self._holder(arn)
        full = holder.arn if holder else role_arn(arn)
        known = self._views.get((identity, full))
        if known is None:
            known = _View(identity, full, holder, self._snapshots.get(identity.account))
            self._views[identity, full] = known
        return known


def _permissions(view: _View, snapshot: Snapshot | None) -> Permissions:
    """Collect the policies that apply to a principal; if no snapshot has it, they are `Malformed`, so undecided."""
    controls = None
    if snapshot is not None and not snapshot.management and not _service_linked(view.holder):
        controls = snapshot.controls
    if view.identity.kind == "root":
        allowed = Policy(label=f"{view.title}, as root,", document=ALLOWS_ONLY)
        return Permissions(identity=(allowed,), controls=controls)
    if view.holder is None:
        where = "the snapshot" if snapshot else "the snapshots, which lack its account"
        reason = f"they are not in {where}"
        unknown = Policy(label=f"the identity policies of {view.title}", document=Malformed(reason=reason))
        return Permissions(identity=(unknown,), controls=controls)
    return Permissions(identity=view.holder.policies, boundary=view.holder.bound, controls=controls)


def _service_linked(holder: Holder | None) -> bool:
    return isinstance(holder, Role) and holder.service_linked


@dataclass(frozen=True, slots=True)
class _Best:
    """The surest way in which a role lets a principal in."""

    certain: bool
    verdict: TrustVerdict
    grant: Grant
    need: Need


def _way(view: _View, role: Role) -> Way | None:
    best = _best(view, role)
    if best is None:
        return None
    return Way(why=_why(view, role, best.verdict, best.grant, best.need), certain=best.certain)


def _best(view: _View, role: Role) -> _Best | None:
    verdict = view.trusted(role)
    best: tuple[Truth, Grant, Need] | None = None
    for grant in (*verdict.grants, *_itself(view, role, verdict)):
        for need, most in _needs(grant.basis, view.identity, role):
            truth = view.assuming.truth(role.arn, need)
            if truth is Truth.YES and not (grant.truth is Truth.YES and most is Truth.YES):
                truth = Truth.UNDECIDED
            if truth is not Truth.NO and (best is None or (best[0] is not Truth.YES and truth is Truth.YES)):
                best = truth, grant, need
    if best is None:
        return None
    truth, grant, need = best
    certain = truth is Truth.YES and view.identity.kind != "root"
    return _Best(certain, verdict, grant, need)


def _itself(view: _View, role: Role, verdict: TrustVerdict) -> tuple[Grant, ...]:
    """
    A grant for a role to assume itself without being trusted, unless its trust policy denies it.

    Since 2022 a role must be trusted by itself, too, except for roles that had assumed themselves before.
    Source: AWS Security Blog, 'Announcing an update to IAM role trust policy behavior'; such calls are logged
    with `additionalEventData.explicitTrustGrant` (IAM User Guide, 'Logging IAM and AWS STS API calls').
    """
    if view.identity != role.identity or verdict.grants or verdict.refused:
        return ()
    return (Grant(basis=Basis.ITSELF, truth=Truth.UNDECIDED),)


def _needs(basis: Basis, identity: Principal, role: Role) -> Iterator[tuple[Need, Truth]]:
    """
    Which policies, besides the trust policy, must allow the call, and how certain the answer can be at most.

    Within an account, if the trust policy names a user or session, no identity policy is needed; if it names a role,
    the role's boundary must allow the call. Across accounts, and if an account is named, identity policies decide.
    Source: IAM User Guide, 'Policy evaluation for requests within a single account'. It does not say whether this holds
    for `*` as well, so that without identity policies that is not certain.
    """
    if identity.account != role.identity.account or basis in (Basis.ACCOUNT, Basis.ITSELF):
        yield Need.IDENTITY, Truth.YES
    elif basis is Basis.ANYONE:
        yield Need.IDENTITY, Truth.YES
        yield Need.CONTROLS, Truth.UNDECIDED
    elif basis is Basis.PRINCIPAL and identity.kind == "role":
        yield Need.BOUNDARY, Truth.YES
    else:
        yield Need.CONTROLS, Truth.YES


def _why(view: _View, role: Role, verdict: TrustVerdict, grant: Grant, need: Need) -> str:
    parts = [f"the trust policy of {role.title} {_named(view, role, grant)}"]
    judgement = view.assuming.judge(role.arn, need)
    if need is Need.IDENTITY or judgement.truth is not Truth.YES:
        parts.append(f", and {judgement.why}")
    if grant.keys:
        parts.append(f", if the attacker meets the condition {listed(grant.keys)} of the trust policy")
    if verdict.denial_keys:
        parts.append(f", unless its denial under {listed(verdict.denial_keys)} applies")
    return "".join(parts)


def _named(view: _View, role: Role, grant: Grant) -> str:
    match grant.basis:
        case Basis.PRINCIPAL if grant.truth is Truth.UNDECIDED and not grant.keys:
            return f"names {view.title}, or a namesake that is gone"
        case Basis.PRINCIPAL:
            return f"names {view.title} itself"
        case Basis.SESSION:
            return f"names the session {grant.session} of {view.title}"
        case Basis.ACCOUNT:
            return f"trusts account {view.identity.account}"
        case Basis.ITSELF:
            return "does not name the role itself, which roles that did so before 2022 need not"
        case Basis.ANYONE if isinstance(role.trust, Malformed):
            return f"could not be read ({role.trust.reason}), so that it may trust anyone"
        case Basis.ANYONE:
            return "trusts anyone" if grant.truth is Truth.YES or grant.keys else "may trust anyone"
