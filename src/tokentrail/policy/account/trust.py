"""
Trust policies of roles: whom they let assume the role.

Sources: IAM User Guide, 'AWS JSON policy elements: Principal', 'AWS JSON policy elements: NotPrincipal',
'How permissions and policies provide access management' and 'IAM roles trust policies';
AWS STS API Reference, 'AssumeRole'.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tokentrail.aws.principals import Principal
from tokentrail.policy.language.context import ChosenText, Known
from tokentrail.policy.language.documents import (
    EVERYTHING,
    UNDENIABLE,
    Document,
    Malformed,
    Principals,
    Statement,
    names_action,
    parse,
)
from tokentrail.policy.language.evaluate import Call, Request, applies, resources_of
from tokentrail.policy.language.truth import Truth, every, some

ASSUME_ROLE = "sts:AssumeRole"
FEDERATED_ACTIONS = ("sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
"""Calls that are not made with an AWS credential, but with an identity provider's assertion or token."""

_OIDC = ":oidc-provider/"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_UNIQUE_ID_PREFIX = {"user": "AIDA", "role": "AROA", "root": ""}


class Basis(enum.Enum):
    """By what a trust policy lets a principal in."""

    PRINCIPAL = "names the principal itself"
    SESSION = "names a session of it"
    ACCOUNT = "delegates to its account, whose identity policies decide"
    ITSELF = "says nothing of it, being its own role's"
    """Only for a role that assumes itself, which in the past needed no trust."""
    ANYONE = "trusts anyone"


class Trust(Document):
    """A trust or resource policy that could be read: every statement has principals."""

    @cached_property
    def assuming(self) -> tuple[Statement, ...]:
        """Its statements about AssumeRole."""
        return self._about(ASSUME_ROLE)

    @cached_property
    def names_resources(self) -> bool:
        """Whether it has a Resource, so that the role's ARN matters; IAM would not have stored that."""
        return any(statement.resources is not EVERYTHING for statement in self.statements)

    def about(self, action: str) -> tuple[Statement, ...]:
        """Its statements about an action."""
        return self.assuming if action == ASSUME_ROLE else self._about(action)

    def naming(self, action: str = ASSUME_ROLE) -> tuple[Principals, ...]:
        """The principals of its statements that allow an action, regardless of conditions."""
        return tuple(principals_of(one) for one in self.about(action) if one.effect == "Allow")

    def _about(self, action: str) -> tuple[Statement, ...]:
        wanted = action.lower()
        return tuple(one for one in self.statements if names_action(one.actions, wanted) is Truth.YES)

    @property
    def services(self) -> frozenset[str]:
        """The AWS services that it lets in, as `lambda.amazonaws.com`."""
        return frozenset(name for principals in self.naming() for name in principals.services)

    @property
    def providers(self) -> frozenset[str]:
        """The identity providers whose users it lets in."""
        return frozenset(
            name
            for action in FEDERATED_ACTIONS
            for principals in self.naming(action)
            for name in principals.providers
        )

    def may_admit(self, provider: str, subject: str | None) -> bool:
        """
        Whether it may let in somebody whom an identity provider knows.

        Args:
            provider: The provider, by ARN or, of those that AWS knows, by name. An OIDC provider is the same in each
                account, by its URL; of two SAML providers of one name nobody knows whether they are.
            subject: The `sub` of a token of somebody's, if known. Other tokens of a repository or project differ in
                what follows its name; a service account and a person have one subject.
        """
        return any(
            statement.effect == "Allow"
            and _may_name(principals_of(statement), provider)
            and _may_be(statement, subject, variables=self.variables)
            for action in FEDERATED_ACTIONS
            for statement in self.about(action)
        )


def _may_name(principals: Principals, provider: str) -> bool:
    broad = principals.anyone or principals.inverted or principals.unclear
    return broad or any(_same_provider(one, provider) for one in principals.providers)


def _same_provider(one: str, other: str) -> bool:
    return one == other or one.rpartition(_OIDC)[2] == other.rpartition(_OIDC)[2]


def _may_be(statement: Statement, subject: str | None, *, variables: bool) -> bool:
    """Whether a statement's conditions may hold for the tokens of who has one of a subject."""
    context: dict[str, Known] = {}
    if subject is not None:
        several = subject.count(":") > 1 and not subject.startswith(_SERVICE_ACCOUNT)
        stem = ":".join(subject.split(":")[:2])
        known: Known = ChosenText(pattern=f"{stem}:*") if several else (subject,)
        context = {one.key: known for one in statement.conditions if one.key.endswith(":sub")}
    return Request(context).meets(statement, variables=variables) is not Truth.NO


def principals_of(statement: Statement) -> Principals:
    """The principals of a statement; one without any, which IAM would not have stored, may mean anybody."""
    return statement.principals or Principals(unclear=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A principal that wants to assume a role: all of its credentials together."""

    identity: Principal
    unique_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One way in which a trust policy lets a principal in."""

    basis: Basis
    truth: Truth
    """Never `NO`."""
    keys: tuple[str, ...] = ()
    """The condition keys that it depends on."""
    session: str | None = None
    """Under `SESSION`, the name that the session must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustVerdict:
    """Whether a trust policy lets one principal in."""

    grants: tuple[Grant, ...]
    """The ways in; empty if it surely does not let it in."""
    denial_keys: tuple[str, ...] = ()
    """The condition keys that an explicit denial depends on, if any may apply."""
    refused: bool = False
    """Whether an explicit denial surely applies."""

    @property
    def truth(self) -> Truth:
        """Whether it lets the principal in; under `ACCOUNT`, if its identity policies do."""
        return some(grant.truth for grant in self.grants)


_REFUSED = TrustVerdict(grants=(), refused=True)


def parse_trust(text: object) -> Trust | Malformed:
    """Read a trust policy, whatever it may hold."""
    document = parse(text)
    if isinstance(document, Malformed):
        return document
    return Trust(statements=document.statements, variables=document.variables)


def trusts(
    trust: Trust | Malformed,
    who: Who,
    request: Request,
    *,
    action: str = ASSUME_ROLE,
    role: str | None = None,
) -> TrustVerdict:
    """
    Judge whether a trust policy lets a principal call an action on its role.

    Args:
        role: The role's ARN, for documents with a Resource, which IAM would not have stored.
    """
    if isinstance(trust, Malformed):
        return TrustVerdict(grants=(Grant(basis=Basis.ANYONE, truth=Truth.UNDECIDED),))
    named = trust.about(action)
    denial_keys: list[str] = []
    doubt = False
    for item in named:
        if item.effect == "Deny":
            hit = every((hits(principals_of(item), who), _applies(item, trust, request, role)))
            if hit is Truth.YES:
                return _REFUSED
            if hit is Truth.UNDECIDED:
                doubt = True
                denial_keys += request.open_keys(item, variables=trust.variables)
    grants = tuple(
        grant
        for item in named
        if item.effect == "Allow"
        for grant in _granted(item, trust, who, request, role, doubt=doubt)
    )
    return TrustVerdict(grants=grants, denial_keys=tuple(dict.fromkeys(denial_keys)))


def _granted(
    item: Statement, trust: Trust, who: Who, request: Request, role: str | None, *, doubt: bool
) -> Iterator[Grant]:
    applies: Truth | None = None
    for basis, truth, session in _named(principals_of(item), who):
        if applies is None:
            applies = _applies(item, trust, request, role)
        if applies is Truth.NO:
            return
        keys: tuple[str, ...] = ()
        if applies is Truth.UNDECIDED:
            keys = request.open_keys(item, variables=trust.variables)
        sure = applies is Truth.YES and truth is Truth.YES and not doubt
        joined = Truth.YES if sure else Truth.UNDECIDED
        yield Grant(basis=basis, truth=joined, keys=keys, session=session)


def _applies(item: Statement, trust: Trust, request: Request, role: str | None) -> Truth:
    truth = request.meets(item, variables=trust.variables)
    selection = item.resources
    if selection is EVERYTHING:
        return truth
    chosen = resources_of(selection, request.context, variables=trust.variables)
    return every((truth, chosen.takes(role)))


def _named(principals: Principals, who: Who) -> Iterator[tuple[Basis, Truth, str | None]]:
    """The ways in which a statement's principals include this one, how surely, and under which session name."""
    if principals.inverted:
        yield Basis.ANYONE, Truth.UNDECIDED, None
        return
    identity = who.identity
    if principals.anyone:
        yield Basis.ANYONE, Truth.YES, None
    if identity in principals.identities:
        yield Basis.PRINCIPAL, Truth.YES, None
    if principals.unique_ids:
        truth = _same_id(principals.unique_ids, who)
        if truth is not Truth.NO:
            yield Basis.PRINCIPAL, truth, None
    for role, session in principals.sessions:
        if role == identity:
            yield Basis.SESSION, Truth.UNDECIDED, session
    if identity.account in principals.accounts:
        yield Basis.ACCOUNT, Truth.YES, None
    if principals.unclear:
        yield Basis.ANYONE, Truth.UNDECIDED, None


def hits(principals: Principals, who: Who) -> Truth:
    """
    Whether a denial applies to a principal.

    A denial to an account applies to all principals in it, and one to a role to its sessions.
    """
    return some(truth for _, truth, _ in _named(principals, who))


def _same_id(unique_ids: frozenset[str], who: Who) -> Truth:
    if who.unique_id is not None:
        return Truth.of(who.unique_id in unique_ids)
    prefix = _UNIQUE_ID_PREFIX[who.identity.kind]
    return Truth.UNDECIDED if any(prefix and one.startswith(prefix) for one in unique_ids) else Truth.NO


def denied_by_trust(trust: Trust | Malformed, who: Who | None, call: Call) -> Truth:
    """
    Whether a resource's policy denies a call to a principal.

    Args:
        trust: The policy; a role's trust policy, or an RCP.
        who: The user, role or root user; `None` for a service, a federated user or anybody else, to whom only
            statements about all principals apply.
        call: The call.
    """
    if isinstance(trust, Malformed):
        return Truth.UNDECIDED
    return some(
        every((_addresses(principals_of(statement), who), applies(statement, trust, call, action)))
        for statement in trust.denials
        for action in call.actions
        if action not in UNDENIABLE
    )


def _addresses(principals: Principals, who: Who | None) -> Truth:
    if principals.inverted:
        return Truth.UNDECIDED
    if principals.anyone:
        return Truth.YES
    return Truth.NO if who is None else hits(principals, who)
