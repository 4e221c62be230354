"""
The head of the page: what still works, what ends it, and what got out, before anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tokentrail import formatting
from tokentrail.containment.model import Plan
from tokentrail.formatting import counted, joined, verb
from tokentrail.lineage.model import KINDS, TracedCredential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.family import Family
from tokentrail.present.html.console import address
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.view_models import Badge, Figure, Reference
from tokentrail.present.safe import brief
from tokentrail.present.views.damage import known_secrets, total_calls, unkeyed, volume
from tokentrail.present.views.report import ReportData
from tokentrail.results import AttackerActivity

_MOST, _FEW, _NAMED = 8, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What narrowed what counts as the attacker's, and what works that does not count: else all below misleads."""

    told: str
    left_out: str
    """How many descendants that leaves out, in words."""
    alive: bool
    """Whether one of these works, or may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerhapsOwner:
    """The subject's owner may be among its users: how the page without the first address is had."""

    told: str
    address: str
    place: str | None
    """`None`: by an option of the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """When the attacker was about, from where, with what, and with which call that began."""

    first: Reference
    first_call: str
    last: str
    dwell_time: str
    addresses: str
    tools: str
    owner: PerhapsOwner | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A credential that works; or several of a kind."""

    badge: Badge | None
    """`None`: several."""
    kind: str
    of: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryView:
    """What the head of the page shows."""

    case_id: str
    as_of: datetime
    last: datetime | None
    """The last event, where that was before."""
    verdict: str
    subject: str
    whose: str
    sentences: tuple[str, ...]
    narrowing: Narrowing | None
    activity: Activity | None
    working: tuple[Working, ...]
    hits: str
    """Whom the plan cuts off besides the attacker."""
    figures: tuple[Figure, ...]


def summary_view(report_data: ReportData, names: LabelResolver) -> SummaryView:
    """Choose what the head of the page shows."""
    trace, last = report_data.trace, report_data.status.last
    tainted = [one for one in trace.credentials if one.tainted]
    said = (*words.named_persons(trace), *words.handed(trace))
    return SummaryView(
        case_id=report_data.case_id, as_of=trace.as_of, last=last if last and last < trace.as_of else None,
        verdict=words.verdict(tainted), subject=formatting.listed((brief(one, 80) for one in trace.subject), 3),
        whose=_whose(report_data), sentences=tuple(brief(one, 800) for one in said), narrowing=_narrowing(report_data),
        activity=_activity(report_data.activity, names),
        working=tuple(_working([one for one in tainted if one.state in words.ALIVE], names)),
        hits=_hits(report_data, report_data.plan, names) if report_data.plan else "",
        figures=_figures(report_data, {one.id for one in tainted}),
    )  # fmt: skip


def _activity(used: AttackerActivity | None, names: LabelResolver) -> Activity | None:
    if used is None or used.first is None or used.last is None:
        return None
    addresses = [f"{brief(one.name, 60)} ({counted(one.calls, 'call')})" for one in used.addresses]
    return Activity(
        first=names.moment(used.first, used.first_event or ""), first_call=brief(used.first_call or "", 80),
        last=timestamp(used.last), dwell_time=words.lasted(used), addresses=formatting.listed(addresses, _NAMED),
        tools=formatting.listed([brief(one, 60) for one in words.tools(used)], _NAMED),
        owner=_owner(used, names) if len(used.shared_from) > 1 else None,
    )  # fmt: skip


def _owner(used: AttackerActivity, names: LabelResolver) -> PerhapsOwner:
    first, live = used.shared_from[0].name, names.live
    place = address(live.path, [*live.query, ("trusted_ip", first)], live.as_of) if live else None
    told = f"{words.shared(used)} The first may be the owner's: "
    return PerhapsOwner(told=told, address=brief(first, 60), place=place)


def _whose(report_data: ReportData) -> str:
    found = [one for one in report_data.trace.credentials if one.id in report_data.trace.subject]
    if len(found) == 1:
        return f"{words.kind(found[0])} of {brief(words.who(found[0]), 120)}"
    accounts = sorted({one.account for one in report_data.trace.credentials if one.account})
    return f"in {formatting.listed(accounts, 3)}" if accounts else "in no known account"


def _narrowing(report_data: ReportData) -> Narrowing | None:
    told = words.narrowed(report_data.since, report_data.source_ips, report_data.trusted_ips)
    if told is None:
        return None
    below = Family(report_data.trace).descendants()
    left = [one for one in below if not one.tainted]
    out = f"{len(left):,} of its {counted(len(below), 'descendant')} {verb(len(left), 'does', 'do')} "
    out += f"not count, of which {words.still_work(left)}."
    alive = any(one.state in words.ALIVE for one in left)
    return Narrowing(told=told, left_out=out if left else "", alive=alive)


def _working(alive: list[TracedCredential], names: LabelResolver) -> list[Working]:
    listed: list[Working] = []
    for group in _by_kind(alive):
        listed += [_together(group)] if len(group) > _FEW else [
            Working(badge=names.badge(one), kind=words.kind(one), of=brief(_of_whom(one), 60), until=_until(one))
            for one in group
        ]  # fmt: skip
    return listed


def _of_whom(one: TracedCredential) -> str:
    """The role or user; of a session of the access portal the person, and with which permission set."""
    of = one.role or one.principal
    return f"{words.person(one)} ({words.part(of)})" if words.person(one) else words.principal(of)


def _by_kind(alive: list[TracedCredential]) -> list[list[TracedCredential]]:
    """Put those of a kind together where there are too many to list, what lasts longest by its nature first."""
    if len(alive) <= _MOST:
        return [[one] for one in alive]
    kinds: dict[str, list[TracedCredential]] = {}
    for one in alive:
        kinds.setdefault(one.kind, []).append(one)
    return [kinds[kind] for kind in KINDS if kind in kinds]


def _together(group: list[TracedCredential]) -> Working:
    """Sum up credentials of a kind: how many, of how many roles and users, and when the last of them ends."""
    of = {one.role or one.principal for one in group}
    whose = brief(words.principal(next(iter(of))), 60) if len(of) == 1 else f"{len(of):,} roles and users"
    ends = [one.expires_at or one.expires_bound for one in group]
    last = max((end for end in ends if end), default=None)
    until = (
        "until somebody ends them" if None in ends or last is None else f"the last until {timestamp(last)}"
    )
    return Working(badge=None, kind=words.kinds(len(group), group[0]), of=whose, until=until)


def _until(one: TracedCredential) -> str:
    end = one.expires_at or one.expires_bound
    if end is None:
        return "until somebody ends it"
    return f"until {timestamp(end)}" + ("" if one.expires_at else " at the latest")


def _hits(report_data: ReportData, plan: Plan, names: LabelResolver) -> str:
    """Say whom the plan cuts off besides the attacker: who rightly uses a stolen credential, and colleagues."""
    hit = dict.fromkeys(one.credential for step in plan.steps for one in step.collateral)
    mine = [one for one in hit if one in plan.tainted]
    theirs = [one for one in hit if one not in mine]
    known = {one.id: names.called(one) for one in report_data.bystanders}
    told = []
    if mine:
        told.append(f"the rightful user of {names.listed(mine)}")
    if theirs:
        owners = [one for one in theirs if one in names.owners]
        others = [one for one in theirs if one not in names.owners]
        for of, single, plural in (
            (owners, "the owner's session", "sessions of the owner"), (others, "a colleague", "sessions of colleagues"),
        ):  # fmt: skip
            named = formatting.listed(dict.fromkeys(brief(known.get(one, one), 40) for one in of), 3)
            told += [f"{single if len(of) == 1 else f'{len(of):,} {plural}'} ({named})"] if of else []
    return f"It cuts off {joined(told)} too." if told else "Collateral: none seen."


def _figures(report_data: ReportData, tainted: set[str]) -> tuple[Figure, ...]:
    """Sum up what the attacker's credentials did, and no other's."""
    trace = report_data.trace
    secrets = known_secrets(trace, tainted)
    made = sum(one.by in tainted for one in trace.created)
    accounts = len({one.account for one in trace.credentials if one.account and one.id in tainted})
    figures = [
        Figure(*volume(trace, tainted)),
        Figure(f"{len(secrets):,}", verb(len(secrets), "secret read", "secrets read")),
        Figure(f"{made:,}", verb(made, "thing made or changed", "things made or changed")),
        Figure(f"{total_calls(trace, tainted):,}", "calls"),
        Figure(f"{accounts:,}", verb(accounts, "account", "accounts")),
    ]
    alone = sum(one.count for one in unkeyed(trace, tainted))
    if alone:
        named = verb(alone, "more call names", "more calls name") + " its principal and no key"
        figures.append(Figure(f"{alone:,}", named))
    return tuple(figures)
