"""
What there is to say of one credential in the tree: whom it came from, what it did, made and learned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from tokentrail.lineage.model import ApiUse, Created, Credential, Link, SecretRead, Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import address, story
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Html, join, tag
from tokentrail.present.html.pieces import event, happened, reference
from tokentrail.present.lineage import birth, uses
from tokentrail.present.safe import brief
from tokentrail.spelling import more

_TOP = 8
_KEYS = 20


@dataclass(slots=True)
class Doings:
    """What each credential did."""

    apis: dict[str, list[ApiUse]] = field(default_factory=lambda: defaultdict(list))
    made: dict[str, list[Created]] = field(default_factory=lambda: defaultdict(list))
    secrets: dict[str, list[SecretRead]] = field(default_factory=lambda: defaultdict(list))
    ties: dict[str, list[Link]] = field(default_factory=lambda: defaultdict(list))


def doings_of(trace: Trace) -> Doings:
    """Sort what a trace did by who did it."""
    found = Doings()
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


def facts(doings: Doings, one: TracedCredential, names: Names) -> Iterable[Html]:
    """Yield paragraphs: why it works or not, whence it came, what it did and made."""
    yield tag("p", brief(words.why(one), 600))
    parent = join([f" {words.hand(one)} ", reference(one.parent, names)]) if one.parent else None
    yield tag("p", brief(birth(one), 600), parent)
    yield from (tag("p", f"Tied to {link.parent} as well ({link.link}{': ' + link.why if link.why else ''})")
                for link in doings.ties.get(one.id, ()))  # fmt: skip
    yield tag("p", brief(uses(one), 600))
    yield from _details(one, names)
    yield from _did(doings, one, names)


def _details(one: TracedCredential, names: Names) -> Iterable[Html]:
    rests = [each for each in (one.issued_by.event_id if one.issued_by else None, one.ended_by) if each]
    if rests and any(names.record(each) for each in rests):
        yield tag("p", "Rests on ", join((event(each, names) for each in rests), ", "))
    agent = one.issued_by.user_agent if one.issued_by else None
    if agent:
        yield tag("p", "Minted with ", tag("code", brief(agent)))
    keys = [key for key in one.access_key_ids if key != one.id]
    if keys:
        shown = join((tag("code", key) for key in keys[:_KEYS]), " ")
        yield tag("p", "Keys: ", shown, more(len(keys) - _KEYS))
    if one.source_identity:
        yield tag("p", "Source identity ", tag("code", brief(one.source_identity)))


def _did(doings: Doings, one: TracedCredential, names: Names) -> Iterable[Html]:
    made = [
        tag("li", happened(timestamp(each.time), each.event_id, names),
            f" {each.event_name}: {each.what.replace('_', ' ')} {brief(each.id or '')}")
        for each in doings.made.get(one.id, ())[:_KEYS]
    ]  # fmt: skip
    secrets = [
        tag(
            "li",
            happened(timestamp(each.time), each.event_id, names),
            f" {each.event_name}: {brief(each.what or 'of unknown name')}",
        )
        for each in doings.secrets.get(one.id, ())[:_KEYS]
    ]
    if made:
        yield tag("p", "Made or changed:")
        yield tag("ul", *made, class_="plain")
        yield from _left(len(doings.made[one.id]), names)
    if secrets:
        yield tag("p", "Secrets read:")
        yield tag("ul", *secrets, class_="plain")
        yield from _left(len(doings.secrets[one.id]), names)
    calls = sorted(doings.apis.get(one.id, ()), key=attrgetter("count"), reverse=True)
    if calls:
        shown = (
            f"{words.call(each.event_source, each.event_name)} ×{each.count:,}"
            + (f" ({each.errors:,} refused)" if each.errors else "")
            for each in calls
        )
        yield tag("p", "Called ", brief(words.listed(shown, _TOP), 900))


def _left(count: int, names: Names) -> Iterable[Html]:
    """Say how many are not told here, and where they are: on the subject's page, if this is a part of its lineage."""
    if count > _KEYS:
        live = names.live
        page = address("/trace", story(live), live.as_of) if live and live.path == "/lineage" else ""
        yield tag("p", f"and {count - _KEYS:,} more, under ", tag("a", "Taken", href=f"{page}#taken"))
