"""
What verifying log files by their digests showed, as text.
"""

from __future__ import annotations

from tokentrail.formatting import counted
from tokentrail.present import words
from tokentrail.present.text.text_writer import TextWriter, pad
from tokentrail.results import LogVerification

_MOST = 20


def write_verification(found: LogVerification, writer: TextWriter) -> None:
    """Write what was proven of each account and region, and what was not."""
    writer.wrapped(
        f"{counted(found.digests, 'digest file')} read, which vouch for {counted(found.files, 'log file')}."
    )
    writer.line()
    writer.line((f"{'ACCOUNT':<14}{'REGION':<16}{'VERDICT':<10}{'PROOF':<12}{'FILES':>8}  HOURS", "bold"))
    for one in found.periods:
        style = "" if one.verdict == "complete" else "bold"
        writer.line(
            pad(one.account, 14), pad(one.region, 16), (f"{one.verdict:<10}", style),
            f"{one.proof:<12}{one.files:>8,}  {words.span(one.start, one.end)}",
        )  # fmt: skip
        for why in one.why[:_MOST]:
            writer.wrapped(why, first="    - ")
        writer.and_more(len(one.why), _MOST, "; --format json lists them", lead="    … and")
        if one.not_in_case:
            writer.wrapped(
                f"{counted(one.not_in_case, 'log file')} of these hours, intact at the source, not in the case",
                first="    - ",
            )
    writer.line()
    for sentence in found.said:
        writer.wrapped(sentence, first="  - ")
    for name in found.unlisted[:_MOST]:
        writer.wrapped(f"{name}: in the case, and no digest of its hour knows it", first="  - ")
    writer.and_more(len(found.unlisted), _MOST, " such files; --format json lists them")
