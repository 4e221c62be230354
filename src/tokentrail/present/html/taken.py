"""
What was taken: secrets read, resources touched, things made, calls.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokentrail import formatting
from tokentrail.formatting import counted, verb
from tokentrail.lineage.model import Created, Trace
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.view_models import Excerpt, Reference, excerpt, first
from tokentrail.present.safe import brief
from tokentrail.present.views.damage import (
    KnownSecret,
    Tally,
    Unkeyed,
    calls,
    known_secrets,
    resources,
    unkeyed,
)

_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSecret:
    """A secret, and how the attacker read it."""

    time: Reference
    """The first time."""
    times: int
    name: str
    calls: str
    credentials: Excerpt[Reference]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeThing:
    """A thing that the attacker made or changed."""

    time: Reference
    kind: str
    name: str
    call: str
    credential: Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenView:
    """What the section shows, over all that counts as the attacker's."""

    secrets: Excerpt[ReadSecret]
    rotate: str
    """What to do about the secrets, in words."""
    made: Excerpt[MadeThing]
    resources: Excerpt[Tally]
    calls: Excerpt[Tally]
    kinds: int
    """Of calls."""
    unkeyed: Excerpt[Unkeyed]
    """Calls that name the principal and no key."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to show."""
        listed = (self.secrets, self.made, self.resources, self.calls, self.unkeyed)
        return not any(one.entries for one in listed)


def taken_view(trace: Trace, names: LabelResolver) -> TakenView:
    """Choose what the section shows."""
    tainted = {one.id for one in trace.credentials if one.tainted}
    secrets = known_secrets(trace, tainted)
    called, touched, alone = calls(trace, tainted), resources(trace, tainted), unkeyed(trace, tainted)
    return TakenView(
        secrets=excerpt(secrets, _MOST, lambda one: _secret(one, names)),
        rotate=f"{counted(len(secrets), 'secret')} read: rotate {verb(len(secrets), 'it', 'these')}",
        made=excerpt([one for one in trace.created if one.by in tainted], _MOST, lambda one: _made(one, names)),
        resources=first(touched, _MOST), calls=first(called, _MOST), kinds=len(called),
        unkeyed=first(alone, _MOST),
    )  # fmt: skip


def _secret(one: KnownSecret, names: LabelResolver) -> ReadSecret:
    return ReadSecret(
        time=names.moment(one.reads[0].time, one.reads[0].event_id), times=len(one.reads),
        name=brief(one.what or "of unknown name"),
        calls=formatting.listed(dict.fromkeys(read.event_name for read in one.reads), 3),
        credentials=names.references(list(dict.fromkeys(read.credential for read in one.reads)), 3),
    )  # fmt: skip


def _made(one: Created, names: LabelResolver) -> MadeThing:
    return MadeThing(
        time=names.moment(one.time, one.event_id), kind=one.what.replace("_", " "), name=brief(one.id or "-"),
        call=one.event_name, credential=names.reference(one.by),
    )  # fmt: skip
