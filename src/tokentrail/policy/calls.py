"""
Whether a policy would deny or allow a logged call, or whether the log does not show enough to say.

It uses the same statements, operators and three truth values as the rest of this room. In addition, a log may leave
open which permission a call needed, and on which resource it was authorised.
Sources: IAM User Guide, 'Policy evaluation logic'; AWS Organizations User Guide, 'SCP evaluation' and 'RCP
evaluation'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tokentrail.policy.deny import UNDENIABLE
from tokentrail.policy.document import EVERYTHING, Document, Malformed, Selection, Statement
from tokentrail.policy.request import Request
from tokentrail.policy.selects import Resources, resources_of, selects_action
from tokentrail.policy.trust import Principals, Trust, Who, hits
from tokentrail.policy.truth import Truth, every, some
from tokentrail.policy.variables import Context
from tokentrail.policy.wildcard import covers, may_overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, or many that no policy can tell apart."""

    actions: tuple[str, ...]
    """All permissions that it needs, in lower case; with wildcards if not known exactly."""
    resources: tuple[str, ...] | None
    """The ARNs that the log names; `None` if it names none."""
    request: Request

    @classmethod
    def of(cls, actions: Iterable[str], resources: Iterable[str] | None, context: Context) -> Call:
        """Put a call together."""
        named = None if resources is None else tuple(resources)
        return cls(actions=tuple(actions), resources=named or None, request=Request(context))


def denied(document: Document | Malformed, call: Call) -> Truth:
    """Whether a statement of a policy denies any permission that a call needs."""
    if isinstance(document, Malformed):
        return Truth.UNDECIDED
    return some(
        every((_names(statement, document, call, action), _meets(statement, document, call)))
        for action in call.actions
        if action not in UNDENIABLE
        for statement in document.denials
    )


def allowed(document: Document | Malformed, call: Call) -> Truth:
    """Whether statements of a policy allow every permission that a call needs, without regard to denials."""
    if isinstance(document, Malformed):
        return Truth.UNDECIDED
    granting = [one for one in document.statements if one.effect == "Allow"]
    return every(
        some(
            every((_names(statement, document, call, action), _meets(statement, document, call)))
            for statement in granting
        )
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
        every(
            (
                _addresses(clause.principals, who),
                _about(clause.statement, call),
                _on_it(clause.statement, trust, call),
                call.request.meets(clause.statement, variables=trust.variables),
            )
        )
        for clause in trust.clauses
        if clause.statement.effect == "Deny"
    )


def _addresses(principals: Principals, who: Who | None) -> Truth:
    if principals.inverted:
        return Truth.UNDECIDED
    if principals.anyone:
        return Truth.YES
    return Truth.NO if who is None else hits(principals, who)


def _about(statement: Statement, call: Call) -> Truth:
    return some(_selects(statement.actions, one) for one in call.actions if one not in UNDENIABLE)


def _on_it(statement: Statement, trust: Trust, call: Call) -> Truth:
    if statement.resources is EVERYTHING:
        return Truth.YES
    chosen = resources_of(statement.resources, call.request.context, variables=trust.variables)
    return _takes(chosen, call.resources)


def _names(statement: Statement, document: Document, call: Call, action: str) -> Truth:
    named = _selects(statement.actions, action)
    if named is Truth.NO or statement.resources is EVERYTHING:
        return named
    chosen = resources_of(statement.resources, call.request.context, variables=document.variables)
    return every((named, _takes(chosen, call.resources)))


def _meets(statement: Statement, document: Document, call: Call) -> Truth:
    met = call.request.meets(statement, variables=document.variables)
    return every((met, Truth.UNDECIDED)) if statement.names_principals else met


def _selects(selection: Selection, action: str) -> Truth:
    """Whether a statement names a permission, which wildcards may leave open."""
    if not ("*" in action or "?" in action):
        return Truth.of(selects_action(selection, action))
    if any(covers(pattern, action) for pattern in selection.patterns):
        found = Truth.YES
    elif any(may_overlap(pattern, action) for pattern in selection.patterns):
        found = Truth.UNDECIDED
    else:
        found = Truth.NO
    return found.opposite if selection.inverted else found


def _takes(chosen: Resources, named: tuple[str, ...] | None) -> Truth:
    """Whether the logged resources are chosen; the call was authorised on one of several, so all must agree."""
    if named is None:
        return chosen.takes(None)
    truths = {chosen.takes(one) for one in named}
    return truths.pop() if len(truths) == 1 else Truth.UNDECIDED
