"""Leads as text: the one to look at first at the head, each with its reasons and the command that follows it up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokentrail import formatting
from tokentrail.detection.leads.model import Lead
from tokentrail.formatting import counted
from tokentrail.present import words
from tokentrail.present.text.text_writer import TextWriter

_REASONS_MOST = 6
"""Reasons that the text lists; the other formats have all."""
_NONE = "No sign of theft."


def write_leads(leads: Iterable[Lead], writer: TextWriter, *, case: Path | str | None = None) -> None:
    """Write leads, the strong ones before a line that says that the others are weak."""
    listed = list(leads)
    if not listed:
        writer.line("No leads: no credential made a call, in the time asked about or at all.")
        return
    strong = sum(lead.strong for lead in listed)
    shown = f", the first {len(listed):,}" if in_all(listed) > len(listed) else ""
    told = f"{shown}: {strong} strong, {len(listed) - strong} weak"
    writer.line((counted(in_all(listed), "lead"), "bold"), told)
    if not strong:
        writer.wrapped("None is strong: these only differ most from the rest of this evidence.")
    for lead in listed:
        _write_lead(lead, writer, case)


def in_all(leads: Sequence[Lead]) -> int:
    """How many leads there are, of which some are listed: each reason tells it."""
    return max(len(leads), *(reason.of for lead in leads for reason in lead.reasons), 0)


def _write_lead(lead: Lead, writer: TextWriter, case: Path | str | None) -> None:
    writer.line()
    strength, style = ("STRONG", "bold red") if lead.strong else ("weak", "dim")
    writer.entry(
        (f"{lead.rank:>3}  "), (f"{strength:<7}", style), f"{lead.score:>5.1f}  ", (lead.credential, "bold"), "  ",
        (lead.state, words.STYLES[lead.state]), f"  {lead.account or '-'} ",
        tail=words.principal(lead.principal), indent=" " * 5,
    )  # fmt: skip
    for reason in lead.reasons[:_REASONS_MOST]:
        writer.wrapped(reason.why, first="     - ", rest="       ")
    writer.and_more(len(lead.reasons), _REASONS_MOST, " reasons (--format json)", lead="     … and")
    if not lead.reasons:
        writer.wrapped(_NONE, first="     - ", rest="       ")
    others = [credential for credential in lead.credentials if credential != lead.credential]
    if others:
        writer.wrapped(f"with {formatting.listed(others, 3)}", first="       ", rest="       ")
    writer.command(words.pasted(lead.next, case), first="     ", style="bold")
