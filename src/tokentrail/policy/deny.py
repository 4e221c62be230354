"""
What a policy document denies to one credential.

An explicit deny overrides every allow, so that the denials alone decide what a credential can no longer do.
Source: IAM User Guide, 'Policy evaluation logic' and 'Disabling permissions for temporary security
credentials'.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokentrail.policy.conditions import Condition, all_hold, holds
from tokentrail.policy.document import Document, Malformed, Selection, Statement, quoted
from tokentrail.policy.operators import instant
from tokentrail.policy.selects import stars
from tokentrail.policy.truth import Truth, every, some
from tokentrail.policy.variables import Context, Unresolved, resolved
from tokentrail.policy.wildcard import Glob, covers, may_overlap
from tokentrail.spelling import more

EVERY = "*"
"""All actions, or all resources."""
UNDENIABLE = frozenset({"sts:getcalleridentity", "sts:getsessiontoken"})
"""
Calls that no policy can deny, so that a policy that denies everything need not name them.

GetCallerIdentity needs no permission and succeeds even under a deny (AWS STS API Reference, 'GetCallerIdentity').
GetSessionToken needs none either; its token is subject to the same denials as the user who requested it (IAM User
Guide, 'Controlling permissions for GetSessionToken').
"""


_NAMED_MOST = 4
"""How many denied actions a sentence names."""


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


def denies_everything(policy: Document | Malformed | Iterable[Statement], context: Context) -> Verdict:
    """Judge whether a document denies a credential effectively all actions on all resources."""
    if isinstance(policy, Malformed):
        return Verdict(extent=Extent.UNDECIDED, reason=f"could not be read: {policy.reason}")
    document = policy if isinstance(policy, Document) else Document(statements=tuple(policy))
    judged = [(statement, applies(statement, document, context)) for statement in document.denials]
    certain = [statement for statement, truth in judged if truth is Truth.YES]
    possible = [statement for statement, truth in judged if truth is not Truth.NO]
    remaining = _remaining(certain)
    if remaining == ():
        return Verdict(extent=Extent.ALL, reason=_complete_reason(certain))
    if len(possible) > len(certain) and _remaining(possible) == ():
        open_keys = _open_keys(
            [item for item, truth in judged if truth is Truth.UNDECIDED], document, context
        )
        return Verdict(
            extent=Extent.UNDECIDED,
            reason=f"may deny everything, which depends on what the log does not tell: {open_keys}",
        )
    return _lesser(certain, remaining)


def denies(
    policy: Document | Malformed | Iterable[Statement],
    context: Context,
    action: str,
    resource: str | None = EVERY,
) -> Truth:
    """
    Judge whether a document denies an action on a resource.

    Args:
        action: Such as `sts:AssumeRole`; with wildcards it means all that match, so that `sts:*` is
            denied only if every action of STS is.
        resource: An ARN, with wildcards meant likewise; `*` is every resource, `None` an unknown one.
    """
    if isinstance(policy, Malformed):
        return Truth.UNDECIDED
    document = policy if isinstance(policy, Document) else Document(statements=tuple(policy))
    wanted = action.lower()
    if wanted in UNDENIABLE:
        return Truth.NO
    return some(
        every(
            (
                _selects_action(statement.actions, wanted),
                _selects_resource(statement.resources, resource, document, context),
                applies(statement, document, context),
            )
        )
        for statement in document.denials
    )


def applies(statement: Statement, document: Document, context: Context) -> Truth:
    """Whether a statement's conditions hold for the credential."""
    truth = all_hold(statement.conditions, context, variables=document.variables)
    return every((truth, Truth.UNDECIDED)) if statement.names_principals else truth


def all_actions(statement: Statement) -> bool:
    """Whether a statement surely names every action, except those that can't be denied anyway."""
    if statement.actions.inverted:
        return UNDENIABLE.issuperset(statement.actions.patterns)
    return any(_any_action(pattern) for pattern in statement.actions.patterns)


def all_resources(statement: Statement) -> bool:
    """Whether a statement surely names every resource."""
    selection = statement.resources
    return not selection.inverted and any(stars(pattern) for pattern in selection.patterns)


def cutoff_of(document: Document) -> float | None:
    """
    The time before which tokens must have been issued for the document to deny them everything.

    In seconds since 1970; infinite if it denies everything to all credentials; `None` if its denials have any other
    form, so that only `denies_everything` can judge them. A shortcut for the documents that revocations write.
    """
    cutoffs = [_cutoff(statement) for statement in document.denials]
    known = [cutoff for cutoff in cutoffs if cutoff is not None]
    return max(known) if known and len(known) == len(cutoffs) else None


def _cutoff(statement: Statement) -> float | None:
    if statement.names_principals or not (all_actions(statement) and all_resources(statement)):
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
    return max(document.denials, key=lambda statement: _cutoff(statement) or -math.inf)


def _any_action(pattern: str) -> bool:
    service, colon, name = pattern.partition(":")
    return stars(service) and (not colon or stars(name))


def _selects_action(selection: Selection, action: str) -> Truth:
    if selection.inverted:
        spared = [pattern for pattern in selection.patterns if pattern not in UNDENIABLE]
        return Truth.of(not any(may_overlap(pattern, action) for pattern in spared))
    return Truth.of(any(_any_action(p) or covers(p, action) for p in selection.patterns))


def _selects_resource(
    selection: Selection, resource: str | None, document: Document, context: Context
) -> Truth:
    if not selection.inverted and any(stars(pattern) for pattern in selection.patterns):
        return Truth.YES
    if resource is None:
        return Truth.UNDECIDED
    truths = [
        _meets(pattern, resource, document, context, overlap=selection.inverted)
        for pattern in selection.patterns
    ]
    return some(truths).opposite if selection.inverted else some(truths)


def _meets(pattern: str, resource: str, document: Document, context: Context, *, overlap: bool) -> Truth:
    """Whether a resource pattern takes in all that `resource` means, or (`overlap`) any of it."""
    if not document.variables or "${" not in pattern:
        return Truth.of(may_overlap(pattern, resource) if overlap else covers(pattern, resource))
    glob = resolved(pattern, context, wildcards=True, variables=True)
    if glob is Unresolved.ABSENT:
        return Truth.NO
    if isinstance(glob, Glob) and not ("*" in resource or "?" in resource):
        return Truth.of(glob.matches(resource))
    return Truth.UNDECIDED


def _remaining(statements: Sequence[Statement]) -> tuple[str, ...] | None:
    """The actions that statements together do not deny: `()` if none, `None` if they can't be listed."""
    wide = [statement for statement in statements if all_resources(statement)]
    if any(all_actions(statement) for statement in wide):
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
    closed = any(_selects_action(statement.actions, "sts:assumerole") is Truth.YES for statement in certain)
    return "" if closed else "; sts:AssumeRole is not denied"


def _named(statement: Statement) -> Iterable[str]:
    where = "" if all_resources(statement) else " on some resources"
    but = "all but " if statement.actions.inverted else ""
    return (f"{but}{pattern}{where}" for pattern in statement.actions.patterns)


def _complete_reason(certain: Sequence[Statement]) -> str:
    """Describe the statement that denies everything with the fewest conditions."""
    full = [item for item in certain if all_actions(item) and all_resources(item)]
    if not full:
        return "denies every action on every resource, by several statements together"
    return complete_reason(min(full, key=lambda item: len(item.conditions)))


def complete_reason(statement: Statement) -> str:
    """Say what a statement that denies everything needs in order to apply."""
    if not statement.conditions:
        return "denies every action on every resource"
    arms = [
        f"{item.key} {item.operator} {' or '.join(item.values[:3])}{' ...' if len(item.values) > 3 else ''}"
        for item in statement.conditions
    ]
    return quoted(f"denies every action on every resource where {' and '.join(arms)}")


def _open_keys(undecided: Sequence[Statement], document: Document, context: Context) -> str:
    if any(statement.names_principals for statement in undecided):
        return "it names principals, as identity policies may not"
    keys = {
        condition.key
        for statement in undecided
        for condition in statement.conditions
        if holds(condition, context, variables=document.variables) is Truth.UNDECIDED
    }
    return quoted(", ".join(sorted(keys)))
