"""
What a proof is about: who holds what, who can mint what, and what nobody has seen yet.

A scene is pure data; `staging` takes it from a case. All times are whole seconds, as CloudTrail has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from tokentrail.containment.documents import MANAGED_MOST, Token
from tokentrail.containment.principal import KnownPrincipal, Principal, arn_of, partition_in
from tokentrail.policy.arn import under_any_path
from tokentrail.policy.changes import Change
from tokentrail.policy.context import Caller, CallerKind, principal_of
from tokentrail.policy.holders import Holder
from tokentrail.policy.reach import Reach

UNTIMED = frozenset({"scoped", "forwarded"})
"""Kinds whose `aws:TokenIssueTime` may be another than the log's creation date (`policy.context.issue_time`)."""
SourceKind = Literal["host", "password", "trust", "provider", "portal", "sign_in", "user", "role", "key"]
WayKind = Literal["portal", "certificate", "saml"]
LONGEST: dict[str, timedelta] = {"role": timedelta(hours=12), "user": timedelta(hours=36)}
"""How long what is minted can live (AWS STS API Reference, 'AssumeRole', 'GetSessionToken', 'GetFederationToken')."""
ALWAYS = datetime.min.replace(tzinfo=UTC)
_STOPPING = timedelta(seconds=130)
"""
How long a container may go on once its ECS task is stopped: on Fargate 120 seconds at most, and a few until its agent
knows; on instances whatever is set there.

Source: Amazon ECS API Reference, 'StopTask' (a signal first, and only after a timeout the end), 'ContainerDefinition'
(`stopTimeout`). Whether a task that is being stopped is handed a new session is nowhere said, so that it counts as if.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCredential:
    """A credential that the evidence shows, the attacker's or an innocent one, as planner and prover see it."""

    id: str
    caller: Caller
    key_id: str | None
    """For a long-term key: its id."""
    principal: Principal
    expires: datetime | None
    """Its known end, or the latest possible one."""
    made: bool = False
    """Whether an attacker made it: a key that nobody else uses."""
    since: datetime | None = None
    """When it was made, if it is a long-term key and the evidence shows that."""
    anchor: str | None = None
    """Of a certificate's holder: the trust anchor that it came in by, where an attacker made that."""

    @property
    def kind(self) -> CallerKind:
        """What sort of credential it is."""
        return self.caller.kind

    @property
    def issued_at(self) -> datetime | None:
        """When it was issued, where that is known."""
        return self.caller.issued_at

    @property
    def user_id(self) -> str | None:
        """Its `aws:userid`, as far as the evidence tells it; all session tokens of a user share the user's."""
        found = self.caller.principal_id
        return found if self.principal.kind != "role" or ":" in (found or "") else None

    @property
    def timed(self) -> bool:
        """Whether it is known what a deny by issue time makes of it."""
        return self.issued_at is not None and self.kind not in UNTIMED

    @property
    def token(self) -> Token | None:
        """How a deny can single it out; `None` for long-term keys and where the issue is not known."""
        if self.kind == "long_term_key" or self.issued_at is None:
            return None
        return Token(self.issued_at, self.user_id)


def by_principal(some: Iterable[HeldCredential]) -> dict[Principal, list[HeldCredential]]:
    """Credentials by whom they act as, in the order in which they are given."""
    found: dict[Principal, list[HeldCredential]] = {}
    for one in some:
        found.setdefault(one.principal, []).append(one)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A principal's credentials may mint sessions of a role."""

    by: Principal
    into: Principal
    why: str
    seen: bool
    """Whether the log shows it done; else a trust policy allows it."""


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

    A forwarded call is nobody's credential, and STS refuses a federated user, in the console too, all but what mints
    the same identity (AWS STS API Reference, 'GetFederationToken').
    """
    return caller.kind != "forwarded" and principal_of(caller) != "federated_user"


def label_of(kind: str, name: str) -> str:
    """What a sentence calls whoever mints with a source; a kind that is none is called by its name alone."""
    return _LABELS[kind].format(name) if kind in _LABELS else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Something that is no credential and mints them: a host, a password, a trust opened to strangers."""

    kind: SourceKind
    id: str
    mints: Principal
    account: str
    why: str
    before: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What is known of how it was before the attacker touched it, such as a role's `trust` document."""
    made: bool = False
    """Whether the attacker made it, so that it can be removed; else it must be put back."""
    region: str | None = field(default=None, compare=False)
    """Where it is, if it is somewhere and that is known."""
    what: str | None = field(default=None, compare=False)
    """Of a host: which kind of workload, as `workloads` calls them. Of a provider: `certificate`, if it is one."""
    service: str | None = field(default=None, compare=False)
    """Of a host: the service that gave it its session, if that is known."""
    person: str | None = field(default=None, compare=False)
    """Of an identity provider: whom it let in; of a portal: what its sessions are named."""
    cluster: str | None = field(default=None, compare=False)
    """Of an ECS task or service: where it runs, if that is known."""
    since: datetime | None = field(default=None, compare=False)
    """From when on it hands out anything, where the evidence tells; `ALWAYS` where it may have before all that."""
    until: datetime | None = field(default=None, compare=False)
    """From when on it hands out nothing, as somebody has shut it already: nothing is left to close."""
    assumed: bool = field(default=False, compare=False)
    """Whether that is not in the evidence, but what the proof rests on."""

    @property
    def lingers(self) -> timedelta:
        """How long it may go on, and be handed sessions, after it was stopped."""
        ecs = self.what in ("task", "task_service") or self.service == "ecs-tasks.amazonaws.com"
        return _STOPPING if self.kind == "host" and ecs else timedelta()

    @property
    def label(self) -> str:
        """What a sentence calls whoever mints with it."""
        return label_of(self.kind, self.id)

    @property
    def name(self) -> tuple[str, ...]:
        """
        What tells it from other sources: kind, account and id; of what runs or is a door, also what it is, and where.

        Nearly all that AWS runs is named within a service and a region: of one name there can be one in each.
        """
        return (self.kind, self.account, self.id, *((self.what, self.region or "") if self.what else ()))


class WayIn(NamedTuple):
    """A portal's or provider's person, or a certificate, that opens more than one role."""

    kind: WayKind
    name: str
    since: datetime | None
    """When it was first seen in the attacker's hands."""
    others: tuple[Principal, ...]
    """The roles besides the attacker's that it was seen to open, at any time."""


class Neighbour(NamedTuple):
    """A credential that descends from none of the attacker's, and works from an address that the attacker brought."""

    id: str
    address: str
    by: str
    """The attacker's credential that was used there first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that planner and prover look at."""

    case_id: str
    as_of: datetime
    subjects: tuple[str, ...]
    narrowing: Mapping[str, Any]
    margin: int
    lag: int
    tainted: tuple[str, ...]
    """All tainted credentials, dead ones too, and what counts as such."""
    held: tuple[HeldCredential, ...]
    """The tainted ones that had not expired when the log stopped telling all; some of them may have been ended."""
    acted_as: frozenset[Principal]
    """The principals of all tainted credentials, dead ones too."""
    innocents: tuple[HeldCredential, ...]
    """Others that live now, of the principals that the tainted ones act as or could."""
    known: Mapping[Principal, KnownPrincipal]
    renamed: Mapping[Principal, str]
    """Users whom somebody has renamed, and what they are called now: calls must say that."""
    persons: Mapping[Principal, tuple[str, ...]]
    """Of roles of Identity Center: the attacker's user ids in its directory, where they tell it from all others."""
    edges: tuple[Edge, ...]
    sources: tuple[Source, ...]
    let_in: tuple[tuple[str, str, Principal], ...]
    """Identity providers, whom each let in as the attacker, and into which role, where nobody has seen that to end."""
    ways_in: tuple[WayIn, ...]
    """What lets the attacker in, and may do so into other roles than it was seen in."""
    writers: tuple[tuple[str, str], ...]
    """Tainted credentials that may change IAM, and how that is known."""
    changes: tuple[Change, ...]
    unseen_since: Mapping[str, datetime]
    """By account, from when on sessions may exist that no log shows yet."""
    beyond: tuple[str, ...]
    """What snapshots allow the attacker that the game does not play."""
    writing: frozenset[Principal]
    """The principals of those who may change IAM."""
    responders: frozenset[str]
    """Credentials, not tainted, that took steps of containment already."""
    uncertain: frozenset[str]
    """Ids of keys and users that the owner of the leaked key may have made before it leaked."""
    made_users: frozenset[Principal]
    made_roles: frozenset[Principal]
    without_access: frozenset[str]
    """Accounts in which nobody here can change anything."""
    management_account: str | None
    reach: Reach | None
    residual_risks: tuple[str, ...]
    entered: tuple[str, ...] = ()
    """What of the owner's the attacker got into, as conditions: what was taken there is not known."""
    minters: tuple[str, ...] = ()
    """What the subjects descend from and is not tainted, as far as it may still work: whoever holds it mints again."""
    left_out: tuple[str, ...] = ()
    """What descends from the subjects, may still work, and does not count as the attacker's, as it was narrowed."""
    strangers: tuple[tuple[str, Principal, str], ...] = ()
    """Tainted ones of which the evidence does not show who minted them, whom they act as, and what it says instead."""

    held_there: tuple[tuple[str, str], ...] = ()
    """Others that live and that a function held when the attacker gave it other code, and the function."""

    handed: Mapping[str, str] = field(default_factory=dict)
    """Of the tainted ones, those that a trace does not call so, and why they count: `handed`."""
    doubts: tuple[tuple[str, str], ...] = ()
    """Others that live, which a source of the attacker's handed out to its owner or to the attacker, and how."""
    neighbours: tuple[Neighbour, ...] = ()
    """Others that live and were used from where the attacker had come first."""
    _federating: frozenset[Principal] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find who has keys or federated users, which is asked of each of thousands."""
        having = (one.principal for one in self.held if one.kind in ("long_term_key", "federation_token"))
        object.__setattr__(self, "_federating", frozenset(having))

    @property
    def cutoff(self) -> datetime:
        """The moment that cutoffs name when sent at `as_of`."""
        return self.as_of + timedelta(seconds=self.margin)

    def unseen(self, principal: Principal) -> datetime:
        """
        From when on a principal may have living sessions that no log shows.

        In an account without a log, as long as any may live; nowhere longer than that.
        """
        longest = self.as_of - LONGEST.get(principal.kind, LONGEST["user"])
        return max(self.unseen_since.get(principal.account, longest), longest)

    def within_reach(self, principal: Principal) -> bool:
        """Whether IAM calls of ours bind a principal: not root's, not AWS's own roles, not without access."""
        known = self.known.get(principal)
        beyond = principal.is_root or principal.kind == "unknown" or principal.account in self.without_access
        return not beyond and not (known and (known.reserved or known.service_linked))

    def federates(self, principal: Principal) -> bool:
        """Whether it may have federated users: any user, and root where its key or one of them is the attacker's."""
        return principal.kind == "user" or principal in self._federating

    def arn(self, principal: Principal) -> str:
        """The ARN by which the evidence knows a principal."""
        known = self.known.get(principal)
        return known.arn if known else arn_of(principal, self.partition(principal.account))

    def pattern(self, principal: Principal) -> str:
        """What `aws:PrincipalArn` of its credentials is like, as far as the evidence knows."""
        known = self.known.get(principal)
        return known.pattern if known else under_any_path(self.arn(principal))

    def partition(self, account: str) -> str:
        """The partition that an account is in: that of whatever is known there, else of all else that is known."""
        return partition_in((one.arn for one in self.known.values()), account)

    def inline_size(self, principal: Principal) -> int:
        """Characters of the inline policies that a snapshot shows on a principal; 0 where none shows it."""
        holder = self._holder(principal)
        return holder.inline_size if holder else 0

    def attachable(self, principal: Principal) -> int:
        """How many managed policies fit on a principal besides those that a snapshot shows there."""
        holder = self._holder(principal)
        return max(MANAGED_MOST - len(holder.managed), 0) if holder else MANAGED_MOST

    def _holder(self, principal: Principal) -> Holder | None:
        """What a snapshot shows of a user or role."""
        if self.reach is None or principal.kind not in ("user", "role"):
            return None
        arn = arn_of(principal)
        return self.reach.user(arn) if principal.kind == "user" else self.reach.role(arn)
