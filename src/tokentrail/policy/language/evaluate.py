"""
What a policy document says about requests: one evaluator with three answers, which names the keys that decide.

`YES` and `NO` hold for every value that the log leaves open, or that the caller may choose; else the answer is
`UNDECIDED`. An explicit deny overrides every allow, so that denials alone decide what a credential can no longer do.
Sources: IAM User Guide, 'Policy evaluation logic', 'Disabling permissions for temporary security credentials',
'IAM JSON policy elements: Action', 'IAM JSON policy elements: Resource' and 'IAM JSON policy elements: NotResource'.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tokentrail.formatting import more, quoted
from tokentrail.policy.language.conditions import Condition, all_hold, holds, instant
from tokentrail.policy.language.context import Context
from tokentrail.policy.language.documents import (
    EVERYTHING,
    UNDENIABLE,
    Document,
    Malformed,
    Selection,
    Statement,
    names_action,
    only_stars,
)
from tokentrail.policy.language.truth import Truth, every, some
from tokentrail.policy.language.wildcard import Glob, Unresolved, covers, glob, may_overlap, resolved

_NAMED_MOST = 4
"""How many denied actions a sentence names."""
_SPELLED = {
    key.casefold(): key
    for key in (
        "aws:CurrentTime", "aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent", "aws:PrincipalAccount",
        "aws:PrincipalArn", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalType",
        "aws:RequestedRegion", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn",
        "aws:SourceIdentity", "aws:SourceIp", "aws:SourceVpc", "aws:SourceVpcArn", "aws:SourceVpce",
        "aws:TokenIssueTime", "aws:UserAgent", "aws:ViaAWSService", "aws:VpceAccount", "aws:VpceOrgID",
        "aws:VpceOrgPaths", "aws:VpcSourceIp", "iam:PassedToService", "iam:PermissionsBoundary", "iam:PolicyARN",
        "sts:DurationSeconds", "sts:ExternalId", "sts:RoleSessionName", "sts:SourceIdentity", "sts:TransitiveTagKeys",
    )
}  # fmt: skip
"""By key in lower case, in which documents are parsed: AWS's spelling of keys that policies use."""


# ---------------------------------------------------------------- the request


class Request:
    """Requests of which some condition keys are known, and which conditions hold for them; each is judged once."""

    def __init__(self, context: Context) -> None:
        """Begin with what is known of the requests."""
        self.context = context
        self._judged: dict[tuple[tuple[Condition, ...], bool], Truth] = {}
        self._open: dict[tuple[tuple[Condition, ...], bool], tuple[str, ...]] = {}

    def meets(self, statement: Statement, *, variables: bool) -> Truth:
        """Whether a statement's conditions hold."""
        if not statement.conditions:
            return Truth.YES
        asked = (statement.conditions, variables)
        truth = self._judged.get(asked)
        if truth is None:
            truth = all_hold(statement.conditions, self.context, variables=variables)
            self._judged[asked] = truth
        return truth

    def open_keys(self, statement: Statement, *, variables: bool) -> tuple[str, ...]:
        """The condition keys that decide an undecided statement, as they are unknown or the caller's choice."""
        asked = (statement.conditions, variables)
        keys = self._open.get(asked)
        if keys is None:
            found = {
                condition.key
                for condition in statement.conditions
                if holds(condition, self.context, variables=variables) is Truth.UNDECIDED
            }
            keys = self._open[asked] = tuple(sorted(_SPELLED.get(key, key) for key in found))
        return keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, or many that no policy can tell apart."""

    actions: tuple[str, ...]
    """All permissions that it needs, in lower case; with wildcards if not known exactly."""
    resources: tuple[str, ...] | None
    """ARNs, on one of which it was authorised; with wildcards for all that match. `None` if nothing is known of it."""
    request: Request

    @classmethod
    def of(cls, actions: Iterable[str], resources: Iterable[str] | None, context: Context) -> Call:
        """Put a call together."""
        named = None if resources is None else tuple(resources)
        return cls(actions=tuple(actions), resources=named or None, request=Request(context))


@lru_cache(maxsize=1024)
def listed(keys: tuple[str, ...]) -> str:
    """Name condition keys in a sentence: each once, not too many."""
    return quoted(" and ".join(dict.fromkeys(keys)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The resources that a statement names for one caller, with policy variables replaced."""

    inverted: bool = False
    everything: bool = False
    exact: frozenset[str] = frozenset()
    globs: tuple[Glob, ...] = ()
    patterns: tuple[str, ...] = ()
    """Those of its patterns that have no variables, as written."""
    replaced: bool = False
    """Whether any had variables."""
    doubtful: bool = False
    """Whether some pattern has a variable whose value is not known."""

    def takes(self, resource: str | None) -> Truth:
        """
        Whether a resource is among them.

        For a resource with wildcards: `YES` if all that match are, `UNDECIDED` if some may be. `None` stands for a
        resource of which nothing is known.
        """
        if self.everything:
            return Truth.of(not self.inverted)
        if resource is None:
            return Truth.UNDECIDED
        if _wild(resource):
            found = self._takes_some(resource)
        elif resource in self.exact or any(item.matches(resource) for item in self.globs):
            found = Truth.YES
        else:
            found = Truth.UNDECIDED if self.doubtful else Truth.NO
        return found.opposite if self.inverted else found

    def takes_one_of(self, resources: tuple[str, ...] | None) -> Truth:
        """Whether the one of several resources on which a call was authorised is among them: all must agree."""
        if resources is None:
            return self.takes(None)
        truths = {self.takes(one) for one in resources}
        return truths.pop() if len(truths) == 1 else Truth.UNDECIDED

    def _takes_some(self, resource: str) -> Truth:
        open_ones = Truth.UNDECIDED if self.replaced or self.doubtful else Truth.NO
        return some((*(_pattern_takes(pattern, resource) for pattern in self.patterns), open_ones))


_ALL = Resources(everything=True)


def resources_of(selection: Selection, context: Context, *, variables: bool) -> Resources:
    """Prepare a statement's resources for judging."""
    if selection is EVERYTHING or any(only_stars(pattern) for pattern in selection.patterns):
        return Resources(everything=True, inverted=True) if selection.inverted else _ALL
    plain = [text for text in selection.patterns if not (variables and "${" in text)]
    values = [
        resolved(text, context, wildcards=True, variables=True)
        for text in selection.patterns
        if variables and "${" in text
    ]
    return Resources(
        inverted=selection.inverted,
        exact=frozenset(text for text in plain if not _wild(text)),
        globs=(
            *(glob(text) for text in plain if _wild(text)),
            *(value for value in values if isinstance(value, Glob)),
        ),
        patterns=tuple(plain),
        replaced=any(isinstance(value, Glob) for value in values),
        doubtful=any(_open(value, inverted=selection.inverted) for value in values),
    )


def _open(value: Glob | Unresolved, *, inverted: bool) -> bool:
    """
    Whether it is open what a variable matches.

    One whose key is absent matches nothing; AWS does not say what NotResource means then.
    """
    return value is Unresolved.UNKNOWN or (inverted and value is Unresolved.ABSENT)


def _wild(text: str) -> bool:
    return "*" in text or "?" in text


def _pattern_takes(pattern: str, resource: str) -> Truth:
    if covers(pattern, resource):
        return Truth.YES
    return Truth.UNDECIDED if may_overlap(pattern, resource) else Truth.NO


# ---------------------------------------------------------------- what a document says about a call


def applies(statement: Statement, document: Document, call: Call, action: str) -> Truth:
    """
    Whether a statement is about one of the actions of a call, and its resources and conditions fit the call.

    To whom a statement with a (Not)Principal applies is not decided here (`policy.account.trust`).
    """
    truth = names_action(statement.actions, action)
    if truth is not Truth.NO and statement.resources is not EVERYTHING:
        chosen = resources_of(statement.resources, call.request.context, variables=document.variables)
        truth = every((truth, chosen.takes_one_of(call.resources)))
    if truth is Truth.NO:
        return truth
    return every((truth, call.request.meets(statement, variables=document.variables)))


def denied(document: Document | Malformed, call: Call) -> Truth:
    """Whether a statement of a policy denies any permission that a call needs."""
    if isinstance(document, Malformed):
        return Truth.UNDECIDED
    context = call.request.context
    if not UNDENIABLE.issuperset(call.actions) and any(
        call.request.meets(total, variables=document.variables) is Truth.YES
        for total in _of_its_time(document.total_denials, context)
    ):  # in a plan's documents one nearly always decides, so that others wait
        return Truth.YES
    denials = _of_its_time(document.denials, context)
    return some(
        _for_anybody(statement, applies(statement, document, call, action))
        for action in call.actions
        if action not in UNDENIABLE
        for statement in denials
    )


def _of_its_time(statements: Sequence[Statement], context: Context) -> Sequence[Statement]:
    """
    The statements that a token's time of issue, where it is known, does not rule out.

    A plan's documents have a statement for each second in which they spare somebody, and are asked about thousands of
    tokens.
    """
    known = context.get("aws:tokenissuetime")
    issued = instant(known[0]) if isinstance(known, tuple) and len(known) == 1 else None
    if issued is None:
        return statements
    return [one for one in statements if one.issued_between[0] <= issued <= one.issued_between[1]]


def allowed(document: Document | Malformed, call: Call) -> Truth:
    """Whether statements of a policy allow every permission that a call needs, without regard to denials."""
    if isinstance(document, Malformed):
        return Truth.UNDECIDED
    granting = [statement for statement in document.statements if statement.effect == "Allow"]
    return every(
        some(_for_anybody(statement, applies(statement, document, call, action)) for statement in granting)
        for action in call.actions
        if action not in UNDENIABLE
    )


def refused_by(document: Document | Malformed, call: Call) -> Truth:
    """
    Whether a policy that limits what others allow (an SCP, a boundary) refuses a call.

    One that only denies is taken to be a deny list, used beside another that allows everything.
    """
    deny = denied(document, call)
    if deny is Truth.YES or isinstance(document, Malformed) or not document.allows:
        return deny
    return some((deny, allowed(document, call).opposite))


def open_keys(document: Document | Malformed, call: Call) -> tuple[str, ...]:
    """What leaves the verdict on a call undecided: condition keys that the log lacks, or another reason."""
    if isinstance(document, Malformed):
        return (document.reason,)
    found = [
        key
        for statement in document.statements
        if call.request.meets(statement, variables=document.variables) is Truth.UNDECIDED
        for key in call.request.open_keys(statement, variables=document.variables)
    ]
    return tuple(dict.fromkeys(found)) or ("which action or resource it was",)


def _for_anybody(statement: Statement, truth: Truth) -> Truth:
    """An answer of a statement in an identity policy, where a (Not)Principal may not stand."""
    return truth if statement.principals is None else every((truth, Truth.UNDECIDED))


# ---------------------------------------------------------------- whether a document denies everything


class Extent(enum.Enum):
    """How much a document denies."""

    ALL = "all"
    """Every action on every resource, except those that no policy can deny."""
    PARTLY = "partly"
    NO = "no"
    UNDECIDED = "undecided"
    """It may be all; the log does not show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How much a document denies to a credential, and why."""

    extent: Extent
    reason: str
    """A clause to follow 'it', such as 'denies every action on every resource'."""
    keys: tuple[str, ...] = ()
    """If undecided: the condition keys that decide it."""


def denies_everything(policy: Document | Malformed, context: Context) -> Verdict:
    """Judge whether a document denies a credential effectively all actions on all resources."""
    if isinstance(policy, Malformed):
        return Verdict(extent=Extent.UNDECIDED, reason=f"could not be read: {policy.reason}")
    truths: dict[int, Truth] = {}
    total_denials = _of_its_time(policy.total_denials, context)
    for total in total_denials:  # in a plan's documents one nearly always decides, so that others wait
        truths[id(total)] = truth = all_hold(total.conditions, context, variables=policy.variables)
        if truth is Truth.YES:
            return Verdict(extent=Extent.ALL, reason=complete_reason(total))
    denials = _of_its_time(policy.denials, context)
    for other in denials:
        if id(other) not in truths:
            truths[id(other)] = all_hold(other.conditions, context, variables=policy.variables)
    judged = [(statement, _for_anybody(statement, truths[id(statement)])) for statement in denials]
    certain = [statement for statement, truth in judged if truth is Truth.YES]
    possible = [statement for statement, truth in judged if truth is not Truth.NO]
    remaining = _remaining(certain)
    if remaining == ():
        reason = "denies every action on every resource, by several statements together"
        return Verdict(extent=Extent.ALL, reason=reason)
    if len(possible) > len(certain) and _remaining(possible) == ():
        return _undecided(
            [statement for statement, truth in judged if truth is Truth.UNDECIDED], policy, Request(context)
        )
    return _lesser(certain, remaining)


def _undecided(statements: Sequence[Statement], document: Document, request: Request) -> Verdict:
    keys = {
        key for statement in statements for key in request.open_keys(statement, variables=document.variables)
    }
    told = quoted(", ".join(sorted(keys)))
    if any(statement.principals is not None for statement in statements):
        told = "it names principals, as identity policies may not"
    return Verdict(
        extent=Extent.UNDECIDED,
        reason=f"may deny everything, which depends on what the log does not tell or the caller chooses: {told}",
        keys=tuple(sorted(keys)),
    )


def cutoff_of(document: Document) -> float | None:
    """
    The time before which tokens must have been issued for the document to deny them everything.

    In seconds since 1970; infinite if it denies everything to all credentials; `None` if its denials have any other
    form, so that only `denies_everything` can judge them. A shortcut for the documents that revocations write.
    """
    cutoffs = [statement_cutoff(statement) for statement in document.denials]
    known = [cutoff for cutoff in cutoffs if cutoff is not None]
    return max(known) if known and len(known) == len(cutoffs) else None


def statement_cutoff(statement: Statement) -> float | None:
    """The same of one statement that denies."""
    if not statement.is_total:
        return None
    match statement.conditions:
        case ():
            return math.inf
        case (Condition(operator="DateLessThan", key="aws:tokenissuetime", values=(text,)),):
            return instant(text)
        case _:
            return None


def widest(document: Document) -> Statement:
    """The statement with the latest cutoff of a document that has a cutoff."""
    return max(document.denials, key=lambda statement: statement_cutoff(statement) or -math.inf)


def _remaining(statements: Sequence[Statement]) -> tuple[str, ...] | None:
    """The actions that statements together do not deny: `()` if none, `None` if they can't be listed."""
    wide = [statement for statement in statements if statement.names_all_resources]
    if any(statement.names_all_actions for statement in wide):
        return ()
    inverted = [statement.actions.patterns for statement in wide if statement.actions.inverted]
    if not inverted:
        return None
    named = [pattern for item in wide if not item.actions.inverted for pattern in item.actions.patterns]
    return tuple(
        pattern
        for pattern in dict.fromkeys(inverted[0])
        if pattern not in UNDENIABLE
        and not any(covers(denied, pattern) for denied in named)
        and all(any(may_overlap(pattern, other) for other in others) for others in inverted[1:])
    )


def _lesser(certain: Sequence[Statement], remaining: tuple[str, ...] | None) -> Verdict:
    if not certain:
        return Verdict(extent=Extent.NO, reason="denies it nothing")
    if remaining is not None:
        kept = ", ".join(remaining)
        return Verdict(extent=Extent.PARTLY, reason=quoted(f"denies all but {kept}"))
    named = list(dict.fromkeys(text for statement in certain for text in _named(statement)))
    others = more(len(named) - _NAMED_MOST)
    return Verdict(
        extent=Extent.PARTLY,
        reason=f"{quoted('denies only ' + ', '.join(named[:_NAMED_MOST]))}{others}{_still_mints(certain)}",
    )


def _still_mints(certain: Sequence[Statement]) -> str:
    """Say so if roles can still be assumed, as under AWS's quarantine policies."""
    closed = any(names_action(statement.actions, "sts:assumerole") is Truth.YES for statement in certain)
    return "" if closed else "; sts:AssumeRole is not denied"


def _named(statement: Statement) -> Iterable[str]:
    where = "" if statement.names_all_resources else " on some resources"
    but = "all but " if statement.actions.inverted else ""
    return (f"{but}{pattern}{where}" for pattern in statement.actions.patterns)


def complete_reason(statement: Statement) -> str:
    """Say what a statement that denies everything needs in order to apply."""
    if not statement.conditions:
        return "denies every action on every resource"
    arms = [
        f"{item.key} {item.operator} {' or '.join(item.values[:3])}{' ...' if len(item.values) > 3 else ''}"
        for item in statement.conditions
    ]
    return quoted(f"denies every action on every resource where {' and '.join(arms)}")
