"""
Sessions that came in through an identity provider or a trust anchor since the attacker changed it.

Whoever replaces the metadata of a SAML provider, or lets another client or certificate into an OIDC provider, can sign
in as anybody whom it lets in, while everybody else goes on signing in (IAM API Reference, 'UpdateSAMLProvider',
'AddClientIDToOpenIDConnectProvider', 'UpdateOpenIDConnectProviderThumbprint'); so does a trust anchor's new certificate
authority (IAM Roles Anywhere API Reference, 'UpdateTrustAnchor'). So these sessions are the attacker's, or somebody's
own. What comes through a provider or anchor that the attacker made descends from its maker (`7_created.sql`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import NamedTuple

from tokentrail.containment.incident.persistence import AttackerAction
from tokentrail.containment.incident.reversal_index import ReversalIndex
from tokentrail.containment.incident.source_issued import expired_before_log_ends, that_minted_or_changed
from tokentrail.lineage import creations, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row

_ANYWHERE = "rolesanywhere.amazonaws.com"
_RIGHTED: dict[str, tuple[tuple[str, str], ...]] = {
    "provider": (("provider", "sAMLProviderArn"), ("provider", "openIDConnectProviderArn")),
    "trust_anchor": (("anywhere", "trustAnchorId"),),
}
"""By kind of thing: how it is put right (`ReversalIndex.put_right`), and the parameter that names it then."""
_KINDS = {"provider": "'assumed_role_saml', 'assumed_role_web_identity'", "trust_anchor": "'service_role'"}
_Door = tuple[str, str]
"""A provider, by its ARN; the trust anchors of an account, by that, as sessions don't tell by which they came in."""


class _Changed(NamedTuple):
    """That the attacker changed a provider or an anchor."""

    since: datetime
    until: datetime | None
    """When somebody else changed or deleted it, if anybody has."""
    why: str


class CameIn(NamedTuple):
    """A session that came in meanwhile."""

    one: Credential
    why: str
    spent: bool
    """Whether it is spent, as `source_issued` defines it."""


def came_in(
    forest: Forest, deeds: Sequence[AttackerAction], known: Set[str], unseen_since: Mapping[str, datetime]
) -> list[CameIn]:
    """
    The sessions that came in through what some deeds changed, as long as it stayed so.

    Args:
        forest: The forest.
        deeds: The changes that the attacker made.
        known: The ids of sessions that are left out, since it is known whose they are.
        unseen_since: By account, when the log stops telling all.
    """
    changed = _changed(forest, deeds)
    if not changed:
        return []
    first = int(min(one.since for one in changed.values()).timestamp())
    kinds = ", ".join(sorted({_KINDS[what] for what, _ in changed}))
    ways: dict[int, _Changed] = {}
    for some in forest.known(f"kind IN ({kinds}) AND coalesce(issued_at, first, 0) >= {first}"):
        for row in some:
            way = next((changed[door] for door in _doors(row) if door in changed), None)
            if way is not None and row["id"] not in known and _meanwhile(row, way):
                ways[row["n"]] = way
    listed = forest.chosen_rows(ways) if ways else ()
    pairs = list(zip(listed, forest.credentials(listed), strict=True))
    dead = {row["n"] for row, one in pairs if expired_before_log_ends(one, unseen_since)}
    spent = dead - that_minted_or_changed(forest, dead)
    return [CameIn(one, ways[row["n"]].why, row["n"] in spent) for row, one in pairs]


def _changed(forest: Forest, deeds: Sequence[AttackerAction]) -> dict[_Door, _Changed]:
    found: dict[_Door, _Changed] = {}
    changing = [
        (deed, what, thing)
        for deed in sorted(deeds, key=lambda one: (one.time, one.event_id))
        if deed.source in ("iam.amazonaws.com", _ANYWHERE) and not deed.name.startswith("Create")
        for what, thing in creations.made(deed.name, deed.request, deed.response, deed.source)
        if what in _RIGHTED and thing
    ]
    if not changing:
        return found
    own = {one.event_id for one in deeds}
    anchors = any(what == "trust_anchor" for _, what, _ in changing)
    changes = (
        *forest.changes({deed.account for deed, _, _ in changing}), *(forest.removals() if anchors else ()),
    )  # fmt: skip
    reversals = ReversalIndex(one for one in changes if one.event_id not in own)
    for deed, what, thing in changing:
        named = thing if what == "provider" else thing.rpartition("/")[2]
        ends = [reversals.put_right(deed, kind, member, named) for kind, member in _RIGHTED[what]]
        why = f"{deed.name} by {deed.by} (event {deed.event_id}) lets identities of its maker in through {thing}"
        told = _Changed(deed.time, min((end for end in ends if end), default=None), why)
        found.setdefault((what, thing if what == "provider" else deed.account), told)
    return found


def _doors(row: Row) -> Iterator[_Door]:
    """Through what a session came in, as its issuing call and its own calls tell."""
    who = rows.caller(row)
    yield from (("provider", one) for one in (row["target"], who.federated_provider) if one)
    if row["api"] == "CreateSession" or row["issue_ip"] == _ANYWHERE:
        yield "trust_anchor", who.account or ""


def _meanwhile(row: Row, way: _Changed) -> bool:
    began = row["issued_at"] or row["first"] or 0
    return began >= way.since.timestamp() and (way.until is None or began <= way.until.timestamp())
