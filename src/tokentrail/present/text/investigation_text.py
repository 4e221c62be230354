"""
An investigation on one screen: the verdict, who and when, the leads, the plan, the gaps that matter, what to run next.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from tokentrail import formatting
from tokentrail.containment.model import Plan
from tokentrail.detection.leads.model import Lead
from tokentrail.detection.model import SEVERITIES, Finding
from tokentrail.formatting import counted, listed
from tokentrail.lineage.model import Candidate, Overview, State, TimelineEvent, Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.text.findings_text import worst_first
from tokentrail.present.text.leads_text import in_all
from tokentrail.present.text.plan_text import write_unstolen
from tokentrail.present.text.text_writer import Part, TextWriter, pad
from tokentrail.present.views.damage import known_secrets, volume
from tokentrail.present.views.plan import plan_view
from tokentrail.results import AttackerActivity, IngestSummary, UsedFrom

_LEADS, _TITLES, _STEPS, _NAMED, _GAPS, _ESCAPES = 7, 3, 6, 5, 2, 2
_TOOLS = 2
_GAP_LONGEST = 200
"""Characters of a gap on this screen; `trace` has all of it."""
_LABEL = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Investigation:
    """What an investigation found."""

    summary: IngestSummary
    logs: Sequence[str]
    """What was read, as it was given."""
    leads: Sequence[Lead]
    """The first ones."""
    findings: Sequence[Finding]
    trace: Trace
    activity: AttackerActivity
    events: Iterable[TimelineEvent]
    """In order of time; can be read once, since there may be millions."""
    plan: Plan
    case: Path | str
    narrowed: str = ""
    """The options that narrow what counts as the attacker's, as they can be pasted."""

    @property
    def leads_in_all(self) -> int:
        """How many leads the case has."""
        return in_all(self.leads)

    @property
    def subjects(self) -> str:
        """The subjects, as they can be pasted."""
        return " ".join(map(shlex.quote, self.trace.subject))

    def command(self, verb: str, arguments: str) -> str:
        """A command about the same subjects, narrowed alike, with the case."""
        named = " ".join(
            part for part in ("tokentrail", verb, self.subjects, self.narrowed, arguments) if part
        )
        return words.pasted(named, self.case)


def write_screen(found: Investigation, writer: TextWriter) -> None:
    """Write an investigation on one screen."""
    _verdict(found, writer)
    _incident(found, writer)
    _leads(found, writer)
    _findings(found, writer)
    _plan(found, writer)
    _gaps(found, writer)
    _next(found, writer)


def _verdict(found: Investigation, writer: TextWriter) -> None:
    plan, tainted = found.plan, [one for one in found.trace.credentials if one.tainted]
    told, ending = words.plan_verdict(plan)
    steps = counted(len(plan.steps), "step") if plan.steps else "nothing left to do"
    sentence = f"{told}: {steps}. {words.verdict(tainted)}."
    writer.wrapped(sentence, style=words.ENDINGS[ending])


def _incident(found: Investigation, writer: TextWriter) -> None:
    trace, used = found.trace, found.activity
    subjects = [one for one in trace.credentials if one.id in trace.subject]
    whose = f" ({words.kind(subjects[0])} of {words.who(subjects[0])})" if len(subjects) == 1 else ""
    writer.wrapped(
        f"{listed(trace.subject, 3)}{whose}, as of {timestamp(trace.as_of)}",
        first=_label("subject"),
    )
    if made_by := " < ".join(f"{one.id} ({words.kind(one)} of {words.who(one)})" for one in makers(trace)):
        writer.wrapped(f"{made_by}: if that was stolen too, start there:", first=_label("made by"))
        logs = " ".join(map(shlex.quote, found.logs))
        first = shlex.quote(makers(trace)[-1].id)
        writer.command(
            words.pasted(f"tokentrail investigate {logs} --subject {first}", found.case), first=_label("")
        )
    plan = found.plan
    if (narrowed := words.narrowed(**plan.narrowing)) is not None:
        writer.wrapped(narrowed, first=_label("narrowed"))
    if used.first and used.last:
        writer.wrapped(words.dwell(used), first=_label("when"))
        writer.wrapped(words.whence(used, _TOOLS), first=_label("from"))
    for sentence in (*words.named_persons(trace), *words.handed(trace)):
        writer.wrapped(sentence, first=_label("also"))
    writer.wrapped(_damage(trace), first=_label("damage"))
    if (narrower := owner_address(used)) is not None and not narrowed:
        writer.wrapped(
            f"{words.shared(used)} If the first is the owner's, leave it out:", first=_label("owner?")
        )
        logs = " ".join(map(shlex.quote, found.logs))
        writer.command(
            found.command(f"investigate {logs} --subject", f"--trusted-ip {narrower.name}"), first=_label("")
        )


def makers(trace: Trace) -> list[TracedCredential]:
    """Of a single subject that others made, those that are not taken for the attacker's: the nearest first."""
    known = {one.id: one for one in trace.credentials}
    if len(trace.subject) != 1 or trace.subject[0] not in known:
        return []
    found = list(_made_by(known[trace.subject[0]], known))
    return [] if any(one.tainted for one in found) else found


def _made_by(one: TracedCredential, known: Mapping[str, TracedCredential]) -> Iterator[TracedCredential]:
    """What made a credential, what made that, and so on, as far as a trace has them."""
    seen = {one.id}
    while (maker := known.get(one.parent or "")) is not None and maker.id not in seen:
        yield maker
        seen.add(maker.id)
        one = maker


def owner_address(used: AttackerActivity) -> UsedFrom | None:
    """Of a subject that was used from several addresses, the first: that may be its rightful owner's."""
    return used.shared_from[0] if len(used.shared_from) > 1 else None


def _damage(trace: Trace) -> str:
    tainted = {one.id for one in trace.credentials if one.tainted}
    secrets = len(known_secrets(trace, tainted))
    made = sum(one.by in tainted for one in trace.created)
    size, what = volume(trace, tainted)
    return ", ".join((
        f"{counted(secrets, 'secret')} read", f"{counted(made, 'thing')} created or changed",
        what if size == "?" else f"{size} {what}",
    ))  # fmt: skip


def _leads(found: Investigation, writer: TextWriter) -> None:
    strong = sum(lead.strong for lead in found.leads)
    writer.heading(f"Leads: {found.leads_in_all:,}, of which {strong:,} strong, the worst first")
    if found.leads:
        writer.line(
            (f"      {'STRENGTH':<9}{'SCORE':<6}{'STATE':<9}{'IN PLAN':<9}CREDENTIAL, PRINCIPAL", "bold")
        )
    for lead in found.leads[:_LEADS]:
        strength, style = ("STRONG", "bold red") if lead.strong else ("weak", "dim")
        writer.entry(
            f"  {lead.rank:>2}  ", (f"{strength:<9}", style), f"{lead.score:>5.1f} ",
            (f"{lead.state:<9}", words.STYLES[lead.state]),
            f"{_in_plan(lead, found.trace):<9}", (lead.credential, "bold"), " ",
            tail=words.principal(lead.principal), indent=" " * 34,
        )  # fmt: skip
        if lead.strong and lead.reasons:
            writer.line(f"      {lead.reasons[0].why.partition(': ')[0]}")
    if found.leads_in_all > _LEADS:
        command = words.pasted("tokentrail leads", found.case)
        writer.command(f"and {found.leads_in_all - _LEADS:,} more: {command}", first="  ")
    for sentence in _outside(found):
        writer.wrapped(sentence, first="  ! ", style="bold yellow")


def _in_plan(lead: Lead, trace: Trace) -> str:
    """Whether a plan treats a lead's lineage as the attacker's, or leaves something in it that works."""
    if not any(one.tainted and one.id in lead.credentials for one in trace.credentials):
        return "-"
    return "in part" if _spared(lead, trace) else "yes"


def _spared(lead: Lead, trace: Trace) -> list[str]:
    """Of a lead's lineage, what works and is not taken for the attacker's, such as what made the subject."""
    known = {one.id: one for one in trace.credentials}
    return [
        one.id
        for one in trace.credentials
        if not one.tainted and one.state in words.ALIVE
        and lead.credential in (one.id, *(maker.id for maker in _made_by(one, known)))
    ]  # fmt: skip


def _outside(found: Investigation) -> Iterator[str]:
    """Say which leads may still be somebody's whom this plan does not touch: else he would close the incident."""
    told = {lead.credential: _in_plan(lead, found.trace) for lead in found.leads}
    left = [
        (_spared(lead, found.trace) or lead.credentials)[0]
        for lead in found.leads
        if lead.strong and lead.state in words.ALIVE and told[lead.credential] != "yes"
    ]
    if left:
        yield (
            f"{counted(len(left), 'strong lead')} outside this plan still {formatting.verb(len(left), 'works', 'work')}"
            f": {listed(left, 3)}. Look at each before you close: "
            f"{words.pasted(f'tokentrail trace {shlex.quote(left[0])}', found.case)}"
        )


def _findings(found: Investigation, writer: TextWriter) -> None:
    counts = Counter(one.severity for one in found.findings)
    told = ", ".join(f"{counts[name]} {name}" for name in reversed(SEVERITIES) if counts[name])
    command = words.pasted("tokentrail detect", found.case)
    writer.heading(f"Findings: {len(found.findings):,}{f' ({told})' if told else ''}")
    for title, count in _titles(found.findings)[:_TITLES]:
        writer.line(f"  {title}{f' ({count} times)' if count > 1 else ''}")
    if found.findings:
        left = max(len(_titles(found.findings)) - _TITLES, 0)
        writer.command(f"{f'and {left} more kinds: ' if left else 'all: '}{command}", first="  ")


def _titles(findings: Sequence[Finding]) -> list[tuple[str, int]]:
    return list(Counter(f"{one.severity.upper():<9}{one.title}" for one in worst_first(findings)).items())


def _plan(found: Investigation, writer: TextWriter) -> None:
    plan = plan_view(found.plan)
    writer.heading(f"Plan: {counted(len(plan.steps), 'step')}, {plan.kind}; nothing has been changed yet")
    if not plan.steps:
        writer.wrapped(plan.no_step, first="  ")
    for step in plan.steps[:_STEPS]:
        ends = f"ends {listed(step.ends, 2)}" if step.ends else step.ends_none
        hit = f"; also cuts off {listed(step.cut_off, 2)}" if step.cut_off else ""
        writer.wrapped(f"{step.title}, {step.where}: {ends}{hit}", first=f"  {step.n}. ")
    writer.and_more(len(plan.steps), _STEPS, lead="  and")
    for sentence in plan.counterexample[:_ESCAPES]:
        writer.wrapped(sentence, first="  - ", style="red")
    writer.and_more(len(plan.counterexample), _ESCAPES, " ways around it", lead="  and")
    write_unstolen(plan, writer, _NAMED)
    if plan.conditions:
        command = found.command("contain", "")
        writer.command(f"Holds on {counted(plan.conditions, 'condition')}: {command}", first="  ")


def _gaps(found: Investigation, writer: TextWriter) -> None:
    told = words.gaps(found.trace.gaps, _GAPS)
    writer.heading("Evidence gaps" if told else "Evidence gaps: none known in these accounts")
    for one in told[:_GAPS]:
        shown = one if len(one) <= _GAP_LONGEST else f"{one[:_GAP_LONGEST].rpartition(' ')[0]} …"
        writer.wrapped(shown, first="  - ")
    if len(told) > _GAPS:
        status = words.pasted("tokentrail status", found.case)
        writer.command(f"and {len(told) - _GAPS:,} more: {status}", first="  ")


def _next(found: Investigation, writer: TextWriter) -> None:
    writer.heading("Next")
    for what, command in (
        ("the page for the ticket", found.command("report", "-o report.html")),
        ("the plan as a file, for `tokentrail apply plan.json`", found.command("contain", "-o plan.json")),
        ("the same in your browser", words.pasted("tokentrail serve", found.case)),
    ):
        room = writer.columns - len(command) - 6
        if len(what) > room:
            writer.line(f"  # {what}")
        writer.command(f"  {command}" if len(what) > room else f"  {command}  # {what}")
    writer.line(("  --full prints lineage, damage, timeline and proof, too", "dim"))


def _label(text: str) -> str:
    return f"{text:{_LABEL}}"


def write_overview(found: Overview, writer: TextWriter) -> None:
    """Write how many credentials of which kind are in which state, then where to start looking."""
    states = get_args(State)
    writer.line((f"{'KIND':<28}" + "".join(f"{state.upper():>10}" for state in states), "bold"))
    by_kind: dict[str, dict[str, int]] = {}
    for kind, state, count in found.counts:
        by_kind.setdefault(kind, {})[state] = count
    for name, counts in by_kind.items():
        writer.line(f"{name:<28}" + "".join(f"{counts.get(state, 0) or '-':>10}" for state in states))
    writer.line(f"{counted(found.credentials, 'credential')} in all")
    if found.candidates:
        _write_candidates(found.candidates, writer)


def _write_candidates(candidates: Sequence[Candidate], writer: TextWriter) -> None:
    writer.heading("Possible subjects: long-term keys and session tokens, those that minted most first")
    writer.line((f"{'CREDENTIAL':<22}{'KIND':<15}{'STATE':<9}{'MINTED':>7}{'CALLS':>8}  PRINCIPAL", "bold"))
    for one in candidates:
        state: Part = (pad(one.state, 9), words.STYLES[one.state])
        name = f"{one.account or '-'} {words.principal(one.principal)}"
        writer.line(f"{one.id:<22}{one.kind:<15}", state, f"{one.minted:>7,}{one.events:>8,}  {name}")
