"""
What verifying log files by their digests showed, as text.
"""

from __future__ import annotations

from tokentrail.formatting import counted
from tokentrail.present import words
from tokentrail.present.paper import Paper, pad
from tokentrail.results import LogVerification

_MOST = 20


def write_verification(found: LogVerification, paper: Paper) -> None:
    """Write what was proven of each account and region, and what was not."""
    paper.wrapped(
        f"{counted(found.digests, 'digest file')} read, which vouch for {counted(found.files, 'log file')}."
    )
    paper.line()
    paper.line((f"{'ACCOUNT':<14}{'REGION':<16}{'VERDICT':<10}{'PROOF':<12}{'FILES':>8}  HOURS", "bold"))
    for one in found.periods:
        style = "" if one.verdict == "complete" else "bold"
        paper.line(
            pad(one.account, 14), pad(one.region, 16), (f"{one.verdict:<10}", style),
            f"{one.proof:<12}{one.files:>8,}  {words.span(one.start, one.end)}",
        )  # fmt: skip
        for why in one.why[:_MOST]:
            paper.wrapped(why, first="    - ")
        paper.and_more(len(one.why), _MOST, "; --format json lists them", lead="    … and")
        if one.not_in_case:
            paper.wrapped(
                f"{counted(one.not_in_case, 'log file')} of these hours, intact at the source, not in the case",
                first="    - ",
            )
    paper.line()
    for sentence in found.said:
        paper.wrapped(sentence, first="  - ")
    for name in found.unlisted[:_MOST]:
        paper.wrapped(f"{name}: in the case, and no digest of its hour knows it", first="  - ")
    paper.and_more(len(found.unlisted), _MOST, " such files; --format json lists them")
