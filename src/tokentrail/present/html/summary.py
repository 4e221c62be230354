"""
The head of the page: what still works, what ends it, and what got out, before anything else.
"""

from __future__ import annotations

from tokentrail.containment.model import Plan
from tokentrail.lineage.model import KINDS, TracedCredential
from tokentrail.present import words
from tokentrail.present.damage import known_secrets, total_calls, unkeyed, volume
from tokentrail.present.document import timestamp
from tokentrail.present.family import Family
from tokentrail.present.html.console import address
from tokentrail.present.html.dossier import Dossier, Names
from tokentrail.present.html.markup import Html, join, tag
from tokentrail.present.html.pieces import badge, bullets, conditions, figure, happened, unstolen
from tokentrail.present.safe import brief
from tokentrail.results import AttackerActivity

_MOST, _FEW, _NAMED = 8, 3, 4


def summary(dossier: Dossier, names: Names) -> Html:
    """Build the head of the page."""
    trace = dossier.trace
    tainted = [one for one in trace.credentials if one.tainted]
    alive = [one for one in tainted if one.state in words.ALIVE]
    subject = words.listed((brief(one, 80) for one in trace.subject), 3)
    said = (*words.named_persons(trace), *words.handed(trace))
    last = dossier.status.last
    quiet = f", last event {timestamp(last)}" if last and last < trace.as_of else ""
    return tag(
        "header",
        tag("p", tag("b", "TokenTrail"), f"  case {dossier.case_id}  ·  as of {timestamp(trace.as_of)}{quiet}",
            class_="kicker"),
        tag("h1", words.verdict(tainted)),
        tag("p", "Traced from ", tag("code", subject), f", {_whose(dossier)}.", class_="lead"),
        *(tag("p", tag("strong", brief(one, 800)), class_="lead") for one in said),
        _narrowed(dossier),
        _about(dossier, names),
        tag("div", _works(alive, names), _ends(dossier, names), class_="first"),
        _figures(dossier, {one.id for one in tainted}),
    )  # fmt: skip


def _about(dossier: Dossier, names: Names) -> Html | None:
    """Tell when the attacker was about, from where, with what, and with which call that began."""
    used = dossier.activity
    if used is None or used.first is None or used.last is None:
        return None
    addresses = [f"{brief(one.name, 60)} ({words.number(one.calls, 'call')})" for one in used.addresses]
    tools = [brief(one, 60) for one in words.tools(used)]
    first = happened(timestamp(used.first), used.first_event or "", names)
    began = join([first, " ", tag("code", brief(used.first_call or "", 80))])
    last = join([tag("time", timestamp(used.last)), f", dwell time {words.lasted(used)}"])
    facts: list[tuple[str, Html | str]] = [("First call", began), ("Last call", last)]
    facts += [("From", words.listed(addresses, _NAMED))] if addresses else []
    facts += [("Tools", words.listed(tools, _NAMED))] if tools else []
    if len(used.shared_from) > 1:
        facts.append(("Owner?", _owner(used, names)))
    return tag(
        "dl", *(join([tag("dt", name), tag("dd", told)]) for name, told in facts), class_="facts about"
    )


def _owner(used: AttackerActivity, names: Names) -> Html:
    """Say that the subject's owner may be among its users, and lead to the page without the first address."""
    first = used.shared_from[0].name
    said = f"{words.shared(used)} The first may be the owner's: "
    if names.live is None:
        return join([said, "narrow with ", tag("code", f"--trusted-ip {brief(first, 60)}"), "."])
    there = address(names.live.path, [*names.live.query, ("trusted_ip", first)], names.live.as_of)
    return join([said, tag("a", f"leave out {brief(first, 60)}", href=there), "."])


def _whose(dossier: Dossier) -> str:
    found = [one for one in dossier.trace.credentials if one.id in dossier.trace.subject]
    if len(found) == 1:
        return f"{words.kind(found[0])} of {brief(words.who(found[0]), 120)}"
    accounts = sorted({one.account for one in dossier.trace.credentials if one.account})
    return f"in {words.listed(accounts, 3)}" if accounts else "in no known account"


def _narrowed(dossier: Dossier) -> Html | None:
    """Say what narrowed what counts as the attacker's, and what works that does not count: else all below misleads."""
    told = words.narrowed(dossier.since, dossier.source_ips, dossier.trusted_ips)
    if told is None:
        return None
    below = Family(dossier.trace).descendants()
    left = [one for one in below if not one.tainted]
    out = f"{len(left):,} of its {words.number(len(below), 'descendant')} {words.verb(len(left), 'does', 'do')} "
    out += f"not count, of which {words.still_work(left)}."
    if not left:
        return tag("p", told, " That leaves out none of its descendants.", class_="lead")
    alive = any(one.state in words.ALIVE for one in left)
    shown = tag("strong", out, class_="bad" if alive else None)
    return tag("p", told, " ", shown, class_="lead")


def _works(alive: list[TracedCredential], names: Names) -> Html:
    items: list[Html] = []
    for group in _by_kind(alive):
        items += [_together(group)] if len(group) > _FEW else [
            join([badge(one, names), " ", words.kind(one), " of ", brief(_of_whom(one), 60), " ",
                  tag("span", _until(one), class_="soft")])
            for one in group
        ]  # fmt: skip
    body = bullets(items, "plain") or tag("p", "None of the attacker's credentials.")
    return tag("div", tag("h2", "What still works"), body, class_="works")


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


def _together(group: list[TracedCredential]) -> Html:
    """Sum up credentials of a kind: how many, of how many roles and users, and when the last of them ends."""
    of = {one.role or one.principal for one in group}
    whose = brief(words.principal(next(iter(of))), 60) if len(of) == 1 else f"{len(of):,} roles and users"
    ends = [one.expires_at or one.expires_bound for one in group]
    last = max((end for end in ends if end), default=None)
    until = (
        "until somebody ends them" if None in ends or last is None else f"the last until {timestamp(last)}"
    )
    return join([
        tag("b", words.kinds(len(group), group[0])), " of ", whose, " ",
        tag("span", until, class_="soft"),
    ])  # fmt: skip


def _until(one: TracedCredential) -> str:
    end = one.expires_at or one.expires_bound
    if end is None:
        return "until somebody ends it"
    return f"until {timestamp(end)}" + ("" if one.expires_at else " at the latest")


def _ends(dossier: Dossier, names: Names) -> Html:
    plan = dossier.plan
    if plan is None:
        return tag("div", tag("h2", "What ends it"), tag("p", "No plan was asked for."), class_="ends")
    verdict, ending = words.plan_verdict(plan)
    look = {"good": "ends", "doubt": "ends doubtful", "bad": "ends failing"}[ending]
    others = unstolen(plan, names, _MOST)
    named = join([others, ". "]) if others else None
    if not plan.steps:
        told = f"Nothing to do{conditions(plan)}." if plan.proof.complete else "No step is known that would."
        doubt = tag("strong", f"{verdict}: ", class_="doubt") if ending == "doubt" else None
        return tag("div", tag("h2", "What ends it"),
                   tag("p", told, " ", doubt, named, tag("a", "The plan", href="#plan")), class_=look)  # fmt: skip
    hit = _hits(dossier, plan, names)
    proof = {
        "good": f"Proved complete{conditions(plan)}.", "doubt": f"{verdict}:",
        "bad": "NOT COMPLETE: the attacker survives it.",
    }[ending]  # fmt: skip
    return tag(
        "div",
        tag("h2", "What ends it"),
        tag("ol", *(tag("li", brief(words.action(step))) for step in plan.steps[:_MOST])),
        tag("p", f"and {len(plan.steps) - _MOST:,} more steps") if len(plan.steps) > _MOST else None,
        tag("p", tag("strong", proof, class_=ending), " ", named, f"{hit} ", tag("a", "The plan", href="#plan")),
        class_=look,
    )  # fmt: skip


def _hits(dossier: Dossier, plan: Plan, names: Names) -> str:
    """Say whom the plan cuts off besides the attacker: who rightly uses a stolen credential, and colleagues."""
    hit = dict.fromkeys(one.credential for step in plan.steps for one in step.collateral)
    mine = [one for one in hit if one in plan.tainted]
    theirs = [one for one in hit if one not in mine]
    known = {one.id: names.called(one) for one in dossier.bystanders}
    told = []
    if mine:
        told.append(f"the rightful user of {names.listed(mine)}")
    if theirs:
        owners = [one for one in theirs if one in names.owners]
        others = [one for one in theirs if one not in names.owners]
        for of, single, plural in (
            (owners, "the owner's session", "sessions of the owner"), (others, "a colleague", "sessions of colleagues"),
        ):  # fmt: skip
            named = words.listed(dict.fromkeys(brief(known.get(one, one), 40) for one in of), 3)
            told += [f"{single if len(of) == 1 else f'{len(of):,} {plural}'} ({named})"] if of else []
    return f"It cuts off {words.joined(told)} too." if told else "Collateral: none seen."


def _figures(dossier: Dossier, tainted: set[str]) -> Html:
    """Sum up what the attacker's credentials did, and no other's."""
    trace = dossier.trace
    secrets = known_secrets(trace, tainted)
    made = sum(one.by in tainted for one in trace.created)
    accounts = len({one.account for one in trace.credentials if one.account and one.id in tainted})
    alone = sum(one.count for one in unkeyed(trace, tainted))
    return tag(
        "dl",
        figure(*volume(trace, tainted)),
        figure(f"{len(secrets):,}", words.verb(len(secrets), "secret read", "secrets read")),
        figure(f"{made:,}", words.verb(made, "thing made or changed", "things made or changed")),
        figure(f"{total_calls(trace, tainted):,}", "calls"),
        figure(f"{accounts:,}", words.verb(accounts, "account", "accounts")),
        figure(
            f"{alone:,}",
            words.verb(alone, "more call names", "more calls name") + " its principal and no key",
        )
        if alone
        else None,
        class_="figures",
    )
