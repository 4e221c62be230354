"""
What there is to say of one credential in the tree: whom it came from, what it did, made and learned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from tokentrail.formatting import listed
from tokentrail.lineage.model import ApiUse, Created, Credential, Link, SecretRead, Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import address, story
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.view_models import Excerpt, Reference, excerpt, first
from tokentrail.present.safe import brief
from tokentrail.present.text.trace_text import birth, uses

_TOP = 8
_KEYS = 20


@dataclass(slots=True)
class CredentialActivity:
    """What each credential did."""

    apis: dict[str, list[ApiUse]] = field(default_factory=lambda: defaultdict(list))
    made: dict[str, list[Created]] = field(default_factory=lambda: defaultdict(list))
    secrets: dict[str, list[SecretRead]] = field(default_factory=lambda: defaultdict(list))
    ties: dict[str, list[Link]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True, slots=True)
class DoneThing:
    """What a credential made, changed or learned, and when."""

    time: Reference
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts:
    """What the tree tells of a credential."""

    why: str
    """Why it works or not."""
    birth: str
    hand: str
    """How its parent handed it on."""
    parent: Reference | None
    ties: tuple[str, ...]
    """Other credentials that it may have come from."""
    uses: str
    rests: Excerpt[Reference]
    """The events that this rests on."""
    user_agent: str
    keys: Excerpt[str]
    """Its other access keys."""
    source_identity: str
    made: Excerpt[DoneThing]
    secrets: Excerpt[DoneThing]
    taken: str
    """Where all that it made and learned is told."""
    calls: str


def doings_of(trace: Trace) -> CredentialActivity:
    """Sort what a trace did by who did it."""
    found = CredentialActivity()
    for use in trace.apis:
        found.apis[use.credential].append(use)
    for made in trace.created:
        found.made[made.by].append(made)
    for secret in trace.secrets_read:
        found.secrets[secret.credential].append(secret)
    parents = {one.id: one.parent for one in trace.credentials}
    for link in trace.links:
        if parents.get(link.child) != link.parent:
            found.ties[link.child].append(link)
    return found


def until(one: Credential) -> str:
    """When it ends or ended, in a few words."""
    end = one.ended_at or one.expires_at or one.expires_bound
    return timestamp(end) if end else "no end known"


def facts_of(doings: CredentialActivity, one: TracedCredential, names: LabelResolver) -> CredentialFacts:
    """Choose what is told: why it works or not, whence it came, what it did and made."""
    issued, live = one.issued_by, names.live
    rests = [each for each in (issued.event_id if issued else None, one.ended_by) if each]
    keys = [key for key in one.access_key_ids if key != one.id]
    return CredentialFacts(
        why=brief(words.why(one), 600), birth=brief(birth(one), 600),
        hand=words.hand(one) if one.parent else "", parent=names.reference(one.parent) if one.parent else None,
        ties=tuple(map(_tie, doings.ties.get(one.id, ()))), uses=brief(uses(one), 600),
        rests=excerpt(rests if any(map(names.record, rests)) else (), len(rests), names.event),
        user_agent=brief(issued.user_agent or "") if issued else "", keys=first(keys, _KEYS),
        source_identity=brief(one.source_identity or ""),
        made=excerpt(doings.made.get(one.id, ()), _KEYS, lambda each: _made(each, names)),
        secrets=excerpt(doings.secrets.get(one.id, ()), _KEYS, lambda each: _secret(each, names)),
        taken=(address("/trace", story(live), live.as_of) if live and live.path == "/lineage" else "") + "#taken",
        calls=_calls(doings.apis.get(one.id, ())),
    )  # fmt: skip


def _tie(link: Link) -> str:
    return f"Tied to {link.parent} as well ({link.link}{': ' + link.why if link.why else ''})"


def _made(one: Created, names: LabelResolver) -> DoneThing:
    told = f"{one.event_name}: {one.what.replace('_', ' ')} {brief(one.id or '')}"
    return DoneThing(names.moment(one.time, one.event_id), told)


def _secret(one: SecretRead, names: LabelResolver) -> DoneThing:
    told = f"{one.event_name}: {brief(one.what or 'of unknown name')}"
    return DoneThing(names.moment(one.time, one.event_id), told)


def _calls(used: Sequence[ApiUse]) -> str:
    shown = (
        f"{words.call(each.event_source, each.event_name)} ×{each.count:,}"
        + (f" ({each.errors:,} refused)" if each.errors else "")
        for each in sorted(used, key=attrgetter("count"), reverse=True)
    )
    return brief(listed(shown, _TOP), 900)
