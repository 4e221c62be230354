"""
The model of an incident: who holds which credentials, who can mint which, and since when the log is incomplete.

It is pure data, which `build_model` takes from a case. All times are whole seconds, as in CloudTrail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tokentrail.aws.principals import (
    KnownPrincipal,
    Principal,
    arn_of,
    caseless,
    is_account,
    partition_in,
    under_any_path,
)
from tokentrail.containment.documents import FULL_ACCESS, MANAGED_MOST, Person, Token, controls_most
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.policy.account.holders import Holder, size_of
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.history.changes import Change
from tokentrail.policy.language.context import LASTING, Caller, CallerKind

UNTIMED = frozenset({"scoped", "delegated", "forwarded"})
"""Kinds whose `aws:TokenIssueTime` may differ from the creation date in the log (`policy.context.issue_time`)."""
EntryPointKind = Literal["host", "password", "trust", "provider", "portal", "sign_in", "user", "role", "key"]
_NAMED = frozenset({"user", "role", "password", "trust"})
"""Kinds of sources whose id is a name of IAM's."""
LONGEST: dict[str, timedelta] = {"role": timedelta(hours=12), "user": timedelta(hours=36)}
"""The longest lives of sessions (AWS STS API Reference, 'AssumeRole', 'GetSessionToken', 'GetFederationToken')."""
ALWAYS = datetime.min.replace(tzinfo=UTC)
"""Stands for the beginning of what was there before the evidence begins."""
_STOPPING = timedelta(seconds=130)
"""
How long a container may go on after its ECS task was stopped: on Fargate 120 seconds at most, and a few until the agent
knows; on instances as long as is configured there.

Source: Amazon ECS API Reference, 'StopTask' (it signals first, and kills after a timeout), 'ContainerDefinition'
(`stopTimeout`). AWS does not say whether a task that is being stopped is handed new sessions; we assume that it is.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCredential:
    """A credential in the evidence, the attacker's or an innocent one, in the form that planner and prover use."""

    id: str
    caller: Caller
    """It as policies see it, when it calls."""
    key_id: str | None
    """The access key id, if it is a long-term key and the evidence does not mask it."""
    principal: Principal
    """The principal whose policies bind it."""
    expires: datetime | None
    """When it expires, at the latest."""
    made: bool = False
    """Whether it is a key that the attacker created, so that nobody else uses it."""
    since: datetime | None = None
    """When it was created, if it is a long-term key and the evidence shows it."""
    by_user_alone: bool = False
    """Whether it is an API key some of whose calls are known to be its own only by its user and service."""
    anchor: str | None = None
    """For the session of a certificate's holder: the trust anchor by which it was issued, if the attacker made that."""

    @property
    def kind(self) -> CallerKind:
        """The kind of credential."""
        return self.caller.kind

    @property
    def is_masked(self) -> bool:
        """Whether it is a long-term key or API key whose id the evidence does not show, so that no call can name it."""
        return self.kind in LASTING and self.key_id is None

    @property
    def issued_at(self) -> datetime | None:
        """When it was issued, if known."""
        return self.caller.issued_at

    @property
    def user_id(self) -> str | None:
        """Its `aws:userid`, if the evidence shows it; all session tokens of a user share the user's."""
        found = self.caller.principal_id
        return found if self.principal.kind != "role" or ":" in (found or "") else None

    @property
    def timed(self) -> bool:
        """Whether its `aws:TokenIssueTime` is known, so that it is known whether a deny by it applies."""
        return self.issued_at is not None and self.kind not in UNTIMED

    @property
    def token(self) -> Token | None:
        """By what a deny can single it out; `None` for a long-term key, and if the time of issue is not known."""
        if self.kind in LASTING or self.issued_at is None:
            return None
        return Token(self.issued_at, self.user_id)


def by_principal(some: Iterable[HeldCredential]) -> dict[Principal, list[HeldCredential]]:
    """Credentials grouped by their principals, in the given order."""
    found: dict[Principal, list[HeldCredential]] = {}
    for one in some:
        found.setdefault(one.principal, []).append(one)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """That a principal's credentials can mint sessions of a role."""

    by: Principal
    into: Principal
    why: str
    seen: bool
    """Whether the log shows that it was done; else policies allow it."""
    call: str = "AssumeRole"
    """The call by which they do. By others, somebody else assumes the role for them."""

    @property
    def direct(self) -> bool:
        """Whether they assume the role themselves, so that a deny of `sts:AssumeRole` stops them."""
        return self.call == "AssumeRole"


_LABELS: dict[str, str] = {
    "host": "the host {}",
    "password": "whoever knows the password of {}",
    "trust": "whom the attacker let into {}",
    "provider": "whoever comes in through {}",
    "portal": "the access portal, for {},",
    "sign_in": "the sign-in session {}",
    "user": "the user {}, which the attacker made,",
    "role": "whoever may assume {}, which the attacker made,",
    "key": "the key {}",
}


def assumes(caller: Caller) -> bool:
    """
    Whether a credential may assume roles.

    A forwarded call is not a credential by itself, and an API key calls nothing but the service that it is for (IAM
    User Guide, 'Service-specific credentials for IAM users'). A federated user, also in the console, can only mint
    sessions of the same identity (AWS STS API Reference, 'GetFederationToken').
    """
    return caller.kind not in ("forwarded", "api_key") and caller.principal_type != "federated_user"


def label_of(kind: str, name: str) -> str:
    """What a sentence calls whoever mints with a source of some kind; for other kinds, the name itself."""
    return _LABELS[kind].format(name) if kind in _LABELS else name


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoint:
    """What hands the attacker credentials until a step closes it: a host, a password, a changed trust policy."""

    kind: EntryPointKind
    id: str
    mints: Principal
    account: str
    why: str
    before: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """For a trust policy: its text before the attacker's change (`document`) and after (`now`). For a key: its `id`."""
    made: bool = False
    """Whether the attacker made it, so that it can be deleted; else it must be put back."""
    region: str | None = field(default=None, compare=False)
    """Its region, if it has one and that is known."""
    what: str | None = field(default=None, compare=False)
    """For a host: the kind of workload (`workloads.WORKLOADS`). For a provider: the same, or `certificate`."""
    service: str | None = field(default=None, compare=False)
    """For a host: the service that issued its session, if known."""
    person: str | None = field(default=None, compare=False)
    """For an identity provider: whom it let in; for a portal: the name of its sessions."""
    cluster: str | None = field(default=None, compare=False)
    """For an ECS task or service: its cluster, if known."""
    since: datetime | None = field(default=None, compare=False)
    """From when on it hands out credentials, if known; `ALWAYS` if it may have done so before the evidence begins."""
    until: datetime | None = field(default=None, compare=False)
    """From when on it hands out nothing, because somebody has closed it already; `None` if it is open."""
    assumed: bool = field(default=False, compare=False)
    """Whether `until` is not in the evidence, but an assumption of the proof."""
    named: bool = field(default=True, compare=False)
    """Whether the log names it; else its id stands for the call that made it, and no command takes that."""

    @property
    def lingers(self) -> timedelta:
        """How long it may still run, and be handed sessions, after it was stopped."""
        ecs = self.what in ("task", "task_service") or self.service == "ecs-tasks.amazonaws.com"
        return _STOPPING if self.kind == "host" and ecs else timedelta()

    @property
    def label(self) -> str:
        """What a sentence calls whoever mints with it."""
        return label_of(self.kind, self.id)

    @property
    def name(self) -> tuple[str, ...]:
        """
        What tells it from other sources: kind, account and id; for a workload also its kind and region.

        Most names are unique only within a service and a region.
        """
        own = caseless(self.id) if self.kind in _NAMED else self.id
        return (self.kind, self.account, own, *((self.what, self.region or "") if self.what else ()))


@dataclass(frozen=True, slots=True)
class LoggedPolicies:
    """The policies that the log shows on a user or role, which count against IAM's quotas."""

    inline: dict[str, int] = field(default_factory=dict)
    """The size of each inline policy by its name."""
    attached: set[str] = field(default_factory=set)
    """The ARNs of managed policies."""


def logged_policies(changes: Iterable[Change]) -> dict[Principal, LoggedPolicies]:
    """
    Find the policies that the log shows on users and roles, by the changes in order.

    An attacker may fill up the policies of a user that it made, so that IAM refuses a deny.
    """
    found: dict[Principal, LoggedPolicies] = {}
    for change in changes:
        for kind, member in (("user", "userName"), ("role", "roleName")):
            name = change.asked(member)
            if name is None or not change.event_source.startswith("iam."):
                continue
            principal = Principal(change.account, "user" if kind == "user" else "role", name)
            if change.event_name in ("DeleteUser", "DeleteRole"):
                found.pop(principal, None)
            elif change.event_name == "UpdateUser" and principal in found:
                found[Principal(change.account, "user", change.asked("newUserName") or name)] = found.pop(
                    principal
                )
            elif change.event_name.endswith(f"{kind.title()}Policy"):
                _keep(found.setdefault(principal, LoggedPolicies()), change)
    return found


def _keep(policies: LoggedPolicies, change: Change) -> None:
    """Bring the policies of a user or role up to date with a change of one."""
    name, arn = change.asked("policyName") or "", change.asked("policyArn") or ""
    if change.event_name.startswith("Put"):
        document = change.document("policyDocument")
        text = document if isinstance(document, str) else json.dumps(document, default=str)
        policies.inline[name] = size_of(text)
    elif change.event_name.startswith("Delete"):
        policies.inline.pop(name, None)
    elif change.event_name.startswith("Attach"):
        policies.attached.add(arn)
    elif change.event_name.startswith("Detach"):
        policies.attached.discard(arn)


def logged_controls(changes: Iterable[Change]) -> dict[str, set[str]]:
    """Find the SCPs by id that the log shows attached to each account, by the changes in order."""
    controls, found = {FULL_ACCESS}, dict[str, set[str]]()
    for change in changes:
        if not change.event_source.startswith("organizations."):
            continue
        policy, account = change.asked("policyId") or "", change.asked("targetId") or ""
        if change.event_name == "CreatePolicy" and change.asked("type") == "SERVICE_CONTROL_POLICY":
            controls.add(change.answered("policy", "policySummary", "id") or "")
        elif change.event_name == "AttachPolicy" and policy in controls:
            found.setdefault(account, {FULL_ACCESS}).add(policy)
        elif change.event_name == "DetachPolicy":
            found.setdefault(account, {FULL_ACCESS}).discard(policy)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentModel:
    """All that planner and prover know."""

    case_id: str
    as_of: datetime
    subjects: tuple[str, ...]
    narrowing: Mapping[str, Any]
    margin: int
    lag: int
    tainted: tuple[str, ...]
    """The ids of all credentials that count as tainted, including those that have ended."""
    held: tuple[HeldCredential, ...]
    """Those of them that had not expired when the log stops being complete; some may have been ended otherwise."""
    acted_as: frozenset[Principal]
    """The principals of all tainted credentials, including those that have ended."""
    innocents: tuple[HeldCredential, ...]
    """Other living credentials of the principals as which the tainted ones act or could act."""
    known: Mapping[Principal, KnownPrincipal]
    renamed: Mapping[Principal, str]
    """By old name: the present names of renamed users, which calls must use."""
    persons: Mapping[Principal, tuple[Person, ...]]
    """By role that people come in by: for whom the attacker acts, if that tells it from colleagues."""
    edges: tuple[Edge, ...]
    sources: tuple[EntryPoint, ...]
    writers: tuple[tuple[str, str], ...]
    """Tainted credentials that may change IAM, and how that is known."""
    changes: tuple[Change, ...]
    """All changes to IAM and Organizations that bear on the principals, by whomever."""
    unseen_since: Mapping[str, datetime]
    """By account: from when on there may be sessions that no log shows yet."""
    writing: frozenset[Principal]
    """The principals that may change IAM."""
    responders: frozenset[str]
    """Untainted credentials that have already taken steps of containment."""
    uncertain: frozenset[str]
    """Ids of things that the owner of the leaked key may have made before it leaked."""
    made_users: frozenset[Principal]
    made_roles: frozenset[Principal]
    without_access: frozenset[str]
    """Accounts in which nobody here can change anything."""
    management_account: str | None
    reach: Reach | None
    assumptions: tuple[Assumption, ...]
    """What the evidence leaves open, and is assumed; the prover leaves out what steps make sure of."""
    residual_risks: tuple[Assumption, ...]
    """What the attacker left or got that no step takes back."""
    delete_created: bool = False
    """Whether the keys and users that the attacker made are deleted, rather than kept as evidence."""
    handed: Mapping[str, str] = field(default_factory=dict)
    """By id of a tainted credential that a trace does not call so: why it counts (see `taint`)."""
    handed_to_hosts_alone: frozenset[Principal] = field(init=False, repr=False, compare=False)
    """
    Roles whose sessions the attacker has from workloads only: none of its credentials may assume them.

    The service that hands such a session out gives neither MFA nor a source identity with it.
    """
    _federating: frozenset[Principal] = field(init=False, repr=False, compare=False)
    _logged: Mapping[Principal, LoggedPolicies] = field(init=False, repr=False, compare=False)
    _controls: Mapping[str, set[str]] = field(init=False, repr=False, compare=False)
    _sources_of: Mapping[Principal, Sequence[EntryPoint]] = field(init=False, repr=False, compare=False)
    _assumed: Mapping[str, Sequence[Assumption]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index once what is asked of each of many principals."""
        having = (one.principal for one in self.held if one.kind in ("long_term_key", "federation_token"))
        object.__setattr__(self, "_federating", frozenset(having))
        object.__setattr__(self, "_logged", logged_policies(self.changes))
        object.__setattr__(self, "_controls", logged_controls(self.changes))
        sources_of: dict[Principal, list[EntryPoint]] = {}
        for source in self.sources:
            sources_of.setdefault(source.mints, []).append(source)
        object.__setattr__(self, "_sources_of", sources_of)
        assumed: dict[str, list[Assumption]] = {}
        for one in self.assumptions:
            assumed.setdefault(one.kind, []).append(one)
        object.__setattr__(self, "_assumed", assumed)
        object.__setattr__(self, "handed_to_hosts_alone", self._handed_to_hosts_alone())

    def _handed_to_hosts_alone(self) -> frozenset[Principal]:
        otherwise = {edge.into for edge in self.edges}
        otherwise.update(one.mints for one in self.sources if one.kind != "host")
        otherwise.update(one.principal for one in self.held if one.kind != "service_role")
        hosted = {one.mints for one in self.sources if one.kind == "host" and one.mints.kind == "role"}
        return frozenset(hosted - otherwise)

    @property
    def cutoff(self) -> datetime:
        """The cutoff of steps that are sent at `as_of`."""
        return self.as_of + timedelta(seconds=self.margin)

    def unseen(self, principal: Principal) -> datetime:
        """
        From when on a principal may have living sessions that no log shows.

        Never earlier than the longest life of a session ago, which is also the answer for accounts without a log.
        """
        longest = self.as_of - LONGEST.get(principal.kind, LONGEST["user"])
        return max(self.unseen_since.get(principal.account, longest), longest)

    def sources_of(self, principal: Principal) -> Sequence[EntryPoint]:
        """The sources that hand out a principal's credentials."""
        return self._sources_of.get(principal, ())

    def assumed(self, *kinds: str) -> Iterator[Assumption]:
        """The assumptions of some kinds, in their order."""
        if len(kinds) == 1:
            return iter(self._assumed.get(kinds[0], ()))
        return (one for one in self.assumptions if one.kind in kinds)

    def barred(self, account: str) -> bool:
        """Whether no call of ours can be made in an account: access is lacking, or a record calls so what is none."""
        return account in self.without_access or not is_account(account)

    def within_reach(self, principal: Principal) -> bool:
        """Whether our IAM calls can bind a principal: not root, nor AWS's own roles, nor in barred accounts."""
        known = self.known.get(principal)
        beyond = principal.is_root or principal.kind == "unknown" or self.barred(principal.account)
        return not beyond and not (known and (known.reserved or known.service_linked))

    def federates(self, principal: Principal) -> bool:
        """Whether it may have federated users: any user, and root if the attacker has a key or federated user of it."""
        return principal.kind == "user" or principal in self._federating

    def arn(self, principal: Principal) -> str:
        """The ARN of a principal, as the evidence shows it."""
        known = self.known.get(principal)
        return known.arn if known else arn_of(principal, self.partition(principal.account))

    def pattern(self, principal: Principal) -> str:
        """A pattern that `aws:PrincipalArn` of its credentials matches."""
        known = self.known.get(principal)
        return known.pattern if known else under_any_path(self.arn(principal))

    def partition(self, account: str) -> str:
        """The partition of an account, by the ARNs known there, or else by all others."""
        return partition_in((one.arn for one in self.known.values()), account)

    def inline_size(self, principal: Principal) -> int:
        """Characters of a principal's inline policies, as far as snapshots or the log show them."""
        holder, logged = self._holder(principal), self._logged.get(principal)
        return max(holder.inline_size if holder else 0, sum(logged.inline.values()) if logged else 0)

    def attachable(self, principal: Principal) -> int:
        """How many more managed policies can be attached to a principal, as far as snapshots or the log show."""
        holder, logged = self._holder(principal), self._logged.get(principal)
        attached = max(len(holder.managed) if holder else 0, len(logged.attached) if logged else 0)
        return max(MANAGED_MOST - attached, 0)

    def controls_room(self, account: str) -> int:
        """How many more SCPs can be attached to an account, as far as the log shows what is attached there."""
        attached = len(self._controls.get(account, {FULL_ACCESS}))
        return max(controls_most(self.partition(account)) - attached, 0)

    def _holder(self, principal: Principal) -> Holder | None:
        """What a snapshot shows of a user or role."""
        if self.reach is None or principal.kind not in ("user", "role"):
            return None
        arn = arn_of(principal)
        return self.reach.user(arn) if principal.kind == "user" else self.reach.role(arn)
