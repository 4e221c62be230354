"""
Whether the policies that bear on a principal allow it an action: identity policies, boundary, SCPs.

What an unreadable policy says, and what depends on a condition key that the attacker may choose, is `UNDECIDED`, and
so counts as possible.
Sources: IAM User Guide, 'Policy evaluation logic', 'Policy evaluation for requests within a single account'
and 'Permissions boundaries for IAM entities'; AWS Organizations User Guide, 'SCP evaluation'.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from tokentrail.policy.language.documents import Document, Malformed, Statement, names_action
from tokentrail.policy.language.evaluate import Request, Resources, listed, resources_of
from tokentrail.policy.language.truth import Truth, every, some


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy with the words that name it, such as 'inline policy P of user support'."""

    label: str
    document: Document | Malformed
    accounts: frozenset[str] | None = None
    """Of an SCP that was given apart: the accounts that it is attached to; `None` if it binds all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """All policies that apply to a principal, except session and resource policies."""

    identity: tuple[Policy, ...]
    """Its own inline and managed policies, and those of its groups."""
    boundary: Policy | None = None
    controls: tuple[Policy, ...] | None = None
    """The SCPs of its account, in any order; `None` if none is known, or none binds it."""


class Need(enum.Enum):
    """Which policies must allow an action; in any case, none may deny it."""

    IDENTITY = "identity policies, boundary and SCPs"
    BOUNDARY = "boundary and SCPs"
    """If the resource's policy names the caller's role, in the same account."""
    CONTROLS = "SCPs"
    """If the resource's policy names the caller's user or session, in the same account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether an action is allowed, and why."""

    truth: Truth
    why: str
    """A clause, such as 'inline policy P of user support allows sts:AssumeRole'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A statement about the action in question, evaluated for one principal except for the resource."""

    label: str
    resources: Resources
    truth: Truth
    """Whether its conditions hold; never `NO`."""
    keys: tuple[str, ...] = ()
    """If the conditions are undecided: the condition keys that decide them."""

    def speaks(self, resource: str | None) -> Truth:
        """Whether it allows, or denies, the action on a resource."""
        taken = self.resources.takes(resource)
        return taken if self.truth is Truth.YES or taken is Truth.NO else Truth.UNDECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Policies of which one is enough to allow an action."""

    allowances: tuple[Rule, ...] = ()
    denials: tuple[Rule, ...] = ()
    unread: tuple[str, ...] = ()
    """Policies that could not be read, and why."""

    def allows(self, resource: str | None) -> Truth:
        """Whether any of the policies allows the action, without regard to denials."""
        return self._open(some(rule.speaks(resource) for rule in self.allowances))

    def denies(self, resource: str | None) -> Truth:
        """Whether any policy denies the action."""
        return self._open(some(rule.speaks(resource) for rule in self.denials))

    def _open(self, found: Truth) -> Truth:
        return Truth.UNDECIDED if self.unread and found is Truth.NO else found


class Rules:
    """
    What a principal's policies say about one action, prepared once to judge many resources.

    Resources that are named by the same statements are judged once.
    """

    def __init__(self, permissions: Permissions, action: str, request: Request) -> None:
        """
        Pick the statements that name the action and may apply.

        Args:
            permissions: The principal's policies.
            action: One action, such as `sts:AssumeRole`, without wildcards.
            request: What is known of the principal's requests.
        """
        self.action = action
        self._identity = _layer(permissions.identity, action, request)
        bound = permissions.boundary
        self._boundary = () if bound is None else (_layer((bound,), action, request),)
        controls = permissions.controls or ()
        self._controls = tuple(
            _layer((policy,), action, request) for policy in controls if not _only_denies(policy)
        )
        self._bare = bool(controls) and not self._controls
        only = tuple(policy for policy in controls if _only_denies(policy))
        layers = (self._identity, *self._boundary, *self._controls, _layer(only, action, request))
        self._denying = tuple(layer for layer in layers if layer.denials or layer.unread)
        self._named = tuple(
            rule.resources for layer in layers for rule in (*layer.allowances, *layer.denials)
        )
        self._truths: dict[tuple[Need, int], Truth] = {}
        self._judgements: dict[tuple[Need, int], Judgement] = {}

    def truth(self, resource: str | None, need: Need = Need.IDENTITY) -> Truth:
        """Whether the action is allowed on a resource; for a pattern, on any resource that matches."""
        asked = need, self._signature(resource)
        truth = self._truths.get(asked)
        if truth is None:
            truth = self._truths[asked] = self._truth(resource, need)
        return truth

    def judge(self, resource: str | None, need: Need = Need.IDENTITY) -> Judgement:
        """Whether the action is allowed on a resource, with the reason."""
        asked = need, self._signature(resource)
        judgement = self._judgements.get(asked)
        if judgement is None:
            truth = self.truth(resource, need)
            why = self._refusal(resource, need) if truth is Truth.NO else self._grant(resource, need)
            judgement = self._judgements[asked] = Judgement(truth=truth, why=why)
        return judgement

    def _signature(self, resource: str | None) -> int:
        """A number for which statements name a resource, and how surely; equal numbers have equal answers."""
        found = 0
        for resources in self._named:
            taken = resources.takes(resource)
            found = found * 3 + (0 if taken is Truth.NO else 1 if taken is Truth.UNDECIDED else 2)
        return found

    def _truth(self, resource: str | None, need: Need) -> Truth:
        allowed = every(layer.allows(resource) for layer in self._needed(need))
        if allowed is Truth.NO:
            return Truth.NO
        allowed = every((allowed, self._controlled(resource)))
        if allowed is Truth.NO or not self._denying:
            return allowed
        return every((allowed, some(layer.denies(resource) for layer in self._denying).opposite))

    def _needed(self, need: Need) -> tuple[Layer, ...]:
        if need is Need.IDENTITY:
            return (self._identity, *self._boundary)
        return self._boundary if need is Need.BOUNDARY else ()

    def _controlled(self, resource: str | None) -> Truth:
        """
        Whether the SCPs allow it, as they must at each level: root, organisational unit, account.

        At which level each is attached is not known. If no SCP allows it, it is not allowed; if each that allows
        anything allows it, it is.
        If all listed SCPs only deny, there must be others, since otherwise the account could do nothing.
        """
        if not self._controls:
            return Truth.UNDECIDED if self._bare else Truth.YES
        truths = {layer.allows(resource) for layer in self._controls}
        return truths.pop() if len(truths) == 1 else Truth.UNDECIDED

    def _refusal(self, resource: str | None, need: Need) -> str:
        denying = [rule for layer in self._denying for rule in layer.denials]
        surely = [rule for rule in denying if rule.speaks(resource) is Truth.YES]
        if surely:
            return f"{surely[0].label} denies {self.action}"
        if need is Need.IDENTITY and self._identity.allows(resource) is Truth.NO:
            return f"no identity policy allows {self.action}"
        if any(layer.allows(resource) is Truth.NO for layer in self._needed(need)):
            return f"the permissions boundary does not allow {self.action}"
        return f"no SCP allows {self.action}"

    def _grant(self, resource: str | None, need: Need) -> str:
        """Name the policy that allows it most surely, and all that the answer depends on."""
        needed = (*self._needed(need), *self._controls)
        granting = [rule for layer in needed if (rule := _best(layer, resource)) is not None]
        unread = [text for layer in (*needed, *self._denying) for text in layer.unread]
        shown = granting[0] if need is Need.IDENTITY and _best(self._identity, resource) else None
        if shown:
            text = f"{shown.label} allows {self.action}"
        elif need is Need.IDENTITY:
            text = f"{self.action} counts as allowed, since {unread[0]}"
        else:
            text = f"nothing forbids {self.action}"
        keys = [key for rule in granting for key in rule.keys]
        if keys:
            text += f", if the attacker meets the condition {listed(tuple(keys))}"
        if unread and unread[0] not in text:
            text += f" ({unread[0]})"
        return text + self._doubt(resource)

    def _doubt(self, resource: str | None) -> str:
        """Name the conditions of denials that may still forbid it."""
        rules = [rule for layer in self._denying for rule in layer.denials]
        keys = [key for rule in rules if rule.speaks(resource) is not Truth.NO for key in rule.keys]
        return f", unless a denial under {listed(tuple(keys))} stops it" if keys else ""


def allows(permissions: Permissions, action: str, resource: str | None, request: Request) -> Judgement:
    """
    Judge whether a principal's policies allow it an action.

    Args:
        permissions: The principal's policies.
        action: One action, without wildcards.
        resource: An ARN; with wildcards, whether the action is allowed on any that matches. `None` is a
            resource of which nothing is known.
        request: What is known of the principal's requests.
    """
    return Rules(permissions, action, request).judge(resource)


def _best(layer: Layer, resource: str | None) -> Rule | None:
    """The rule that allows most surely; `None` if none does."""
    judged = [(rule.speaks(resource).value, rule) for rule in layer.allowances]
    possible = [pair for pair in judged if pair[0]]
    return max(possible, key=lambda pair: pair[0])[1] if possible else None


def _only_denies(policy: Policy) -> bool:
    return isinstance(policy.document, Document) and not policy.document.allows


def _layer(policies: Iterable[Policy], action: str, request: Request) -> Layer:
    rules: dict[str, list[Rule]] = {"Allow": [], "Deny": []}
    unread = []
    for policy in policies:
        if isinstance(policy.document, Malformed):
            unread.append(f"{policy.label} can't be judged: {policy.document.reason}")
            continue
        for statement in policy.document.statements:
            rule = _rule(policy.label, policy.document, statement, action, request)
            if rule is not None:
                rules[statement.effect].append(rule)
    return Layer(allowances=tuple(rules["Allow"]), denials=tuple(rules["Deny"]), unread=tuple(unread))


def _rule(label: str, document: Document, statement: Statement, action: str, request: Request) -> Rule | None:
    if names_action(statement.actions, action.lower()) is Truth.NO:
        return None
    truth = request.meets(statement, variables=document.variables)
    if truth is Truth.NO:
        return None
    keys = request.open_keys(statement, variables=document.variables) if truth is Truth.UNDECIDED else ()
    resources = resources_of(statement.resources, request.context, variables=document.variables)
    if statement.principals is not None:
        truth = Truth.UNDECIDED
    return Rule(label=label, resources=resources, truth=truth, keys=keys)
