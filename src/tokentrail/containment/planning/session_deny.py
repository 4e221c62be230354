"""
Deny some tokens of a principal and spare others: by user id, by the second of issue, by windows of time, within IAM's
limits of policy sizes.

Never by session name alone, since an attacker can choose any. Tokens that share a user id with an innocent one are told
apart by the second of their issue; two of the same user id and second can't be told apart.
Source: IAM User Guide, 'Disabling permissions for temporary security credentials'; 'IAM and AWS STS quotas'.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from tokentrail.aws.principals import Principal
from tokentrail.containment import documents
from tokentrail.containment.documents import MANAGED, Statement, Token
from tokentrail.containment.incident.incident_model import HeldCredential, IncidentModel
from tokentrail.containment.inverses import undoing
from tokentrail.containment.model import Call
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.planning import actions
from tokentrail.formatting import instant, listed
from tokentrail.policy.account.holders import size_of

_MANAGED_AT_MOST = 5
"""How many managed policies a plan attaches to a role or user, of the ten that may be attached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyTarget:
    """Which tokens of one principal to cut off."""

    principal: Principal
    tainted: tuple[HeldCredential, ...]
    others: tuple[HeldCredential, ...]
    """All living innocent ones."""
    kept: tuple[HeldCredential, ...]
    """Those of `others` to spare."""
    since: datetime | None
    """All tokens issued from then on are cut off, except `kept` ones; `None` for all of any age."""


def build_session_deny(incident: IncidentModel, cut: DenyTarget) -> PlannedStep:
    """The move that makes a cut; if its policies exceed IAM's limits, a wider one without exceptions."""
    theirs = {one.token for one in cut.tainted}
    spared = [one.token for one in cut.kept if one.token is not None and one.token not in theirs]
    if cut.since is None:
        statements = documents.older(incident.cutoff, spared)
    else:
        statements = _listed(incident, cut) + documents.window(cut.since, incident.cutoff, spared)
    name = actions.incident_name(incident, actions.REVOKE if cut.since is None else actions.SESSIONS)
    why = _twins(cut, theirs)
    calls = _calls(incident, cut.principal, name, statements)
    if calls is None:
        known = all(one.timed for one in cut.tainted)
        start = cut.since and min([cut.since, *(one.issued_at for one in cut.tainted if one.issued_at)])
        start = start if known else None
        statements = documents.window(start, incident.cutoff) if start else documents.older(incident.cutoff)
        spared = []
        calls = _calls(incident, cut.principal, name, statements)
        ended = f"since {instant(start)}" if start else "before the cutoff"
        told = (
            f"{actions.short_list([cut.principal], incident)}: too many sessions to tell apart within IAM's policy "
            f"sizes, so that all issued {ended} are ended. "
        )
        why += told if calls is not None else actions.no_room(incident, cut.principal)
    return PlannedStep(
        action="deny-sessions", targets=(incident.arn(cut.principal),), principals=(cut.principal,),
        calls=tuple(calls or ()), undo=undoing(calls or ()),
        cutoff=incident.cutoff if calls else None, why=why,
        spares=frozenset((cut.principal, one.issued_at, one.user_id) for one in spared),
    )  # fmt: skip


def _twins(cut: DenyTarget, theirs: Set[Token | None]) -> str:
    """Name the innocent sessions that can't be told from the attacker's."""
    alike = sorted(one.id for one in cut.kept if one.token is not None and one.token in theirs)
    if not alike:
        return ""
    some = listed(alike, 3)
    return (
        f"An attacker's session has the name and second of issue of {some}: no policy can tell them apart. "
    )


def _listed(incident: IncidentModel, cut: DenyTarget) -> list[Statement]:
    """Deny the tainted tokens that were issued before the window."""
    assert cut.since is not None
    shared = {one.user_id for one in cut.others}
    if cut.principal.kind == "user":
        shared |= {one.user_id for one in cut.tainted if ":" not in (one.user_id or "")}
    early = [
        one
        for one in cut.tainted
        if not one.timed or (one.issued_at is not None and one.issued_at < cut.since)
    ]
    own = {one.user_id for one in early if one.user_id and one.user_id not in shared}
    single = {token for one in early if one.user_id not in own and (token := one.token) is not None}
    unknown = {one.user_id for one in early if not one.timed and one.user_id and one.user_id in shared}
    return documents.of_user_ids(own | unknown, incident.cutoff) + documents.brackets(single)


def _calls(
    incident: IncidentModel, principal: Principal, name: str, statements: Sequence[Statement]
) -> list[Call] | None:
    """The calls: an inline policy, or else managed ones; `None` if not even these fit."""
    text = documents.text(statements)
    if size_of(text) <= actions.inline_room(incident, principal):
        return actions.put_policy(principal, name, text)
    texts: list[str] = []
    batch: list[Statement] = []
    for statement in statements:
        if size_of(documents.text([statement])) > MANAGED:
            return None
        if size_of(documents.text([*batch, statement])) > MANAGED:
            texts.append(documents.text(batch))
            batch = []
        batch.append(statement)
    texts.append(documents.text(batch))
    fits = len(texts) <= min(_MANAGED_AT_MOST, incident.attachable(principal))
    return actions.attach_policies(incident, principal, name, texts) if fits else None
