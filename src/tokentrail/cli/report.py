"""
`tokentrail report`: one page that stands alone, for the incident's ticket.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast, get_args

import click

from tokentrail import __version__
from tokentrail.case import Case
from tokentrail.case.result_set import Rows
from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.investigation import choose_subject
from tokentrail.cli.judging import JUDGING, leads_of
from tokentrail.cli.options import CommonOptions, about, common_with, narrowing
from tokentrail.cli.snapshots import with_snapshots
from tokentrail.cli.subjects import GivenSubjects
from tokentrail.containment.model import Strategy
from tokentrail.detection.leads.model import Lead
from tokentrail.detection.model import Finding
from tokentrail.errors import UsageError
from tokentrail.formatting import counted
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present.document import columns, document
from tokentrail.present.formats.indicators import indicators_csv, indicators_stix, navigator_layer
from tokentrail.present.formats.markdown import incident_markdown
from tokentrail.present.html.case_page import case_page
from tokentrail.present.html.page import lifelines_file, report_page
from tokentrail.present.html.png import png
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.present.views.report import ReportData
from tokentrail.report_data import Question, Solution, gather
from tokentrail.store.path_safety import write_file

_STDOUT = Path("-")
_FORMS: dict[str, Callable[[ReportData], str]] = {
    "md": incident_markdown, "indicators": indicators_csv, "stix": indicators_stix, "navigator": navigator_layer,
}  # fmt: skip
"""Forms of a report for other tools than a browser, by their formats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that was written."""

    file: str
    bytes: int
    credentials: int


@click.command(
    "report",
    epilog=example("tokentrail report AKIAIOSFODNN7EXAMPLE -o leak.html"),
)
@about(required=False)
@click.option(
    "-o", "page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html",
    help="Where the page goes; `-` for standard output.",
)  # fmt: skip
@click.option(
    "--lifelines", "picture", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.svg|FILE.png",
    help="Where the picture alone goes.",
)  # fmt: skip
@click.option(
    "--strategy", type=click.Choice(get_args(Strategy), case_sensitive=False), default="standard", show_default=True,
    help="Of the plan on the page, as in `tokentrail contain`.",
)  # fmt: skip
@narrowing
@common_with("md", "indicators", "stix", "navigator")
@with_snapshots
def command(
    options: CommonOptions, subjects: tuple[str, ...], page: Path | None, picture: Path | None, strategy: str,
    since: datetime | None, source_ips: tuple[str, ...], trusted_ips: tuple[str, ...],
    snapshots: tuple[Snapshot, ...],
) -> None:  # fmt: skip
    """
    Write one HTML file that shows a subject's lineage, what still works, what ends it, and what was taken.

    The file asks no network for anything, and opens anywhere. SUBJECT is as in `tokentrail trace`. Without it, the
    page starts from what most of the worst findings lead to, or from the strongest lead; where there is none, it
    shows what the case holds and where to start. As md it is Markdown, for a ticket, a chat or a pull request: the
    verdict, the lineage as Mermaid, the plan and indicators. For other tools, indicators is a table of access key
    ids, addresses and user agents as CSV, stix the same as STIX 2.1, and navigator a layer of ATT&CK Navigator.
    """
    form = _FORMS.get(options.format)
    if page is None and picture is None and form is None:
        raise UsageError(
            "say where the page goes (-o FILE.html), or the picture alone (--lifelines FILE.svg or .png); --format "
            "md, indicators, stix or navigator prints the report for other tools."
        )
    with output.open_case(options) as case:
        asked = GivenSubjects.read(subjects).asked(case, options, source_ips)
        findings, leads = _judged(case, options, asked.subjects)
        failed = (*findings.failed, *leads.failed)
        question = Question(
            subjects=asked.subjects or choose_subject(findings, leads), as_of=options.as_of, since=since,
            source_ips=asked.source_ips, trusted_ips=trusted_ips, strategy=cast(Strategy, strategy),
            snapshots=snapshots,
        )  # fmt: skip
        with output.waiting("Drawing the page"):
            place = (page or _STDOUT) if form else page
            written = write_report(case, question, place, picture, findings, failed=failed, form=form)
        _show(options, written)
        output.enforce_strict(options, case, failed)


def _judged(case: Case, options: CommonOptions, subjects: Sequence[str]) -> tuple[Rows[Finding], Rows[Lead]]:
    """The findings, and where no subject is given the first lead; which rules and signals failed is said."""
    with output.waiting(JUDGING):
        findings = case.detect(as_of=options.as_of)
    output.warn(*findings.failed)
    return findings, Rows() if subjects else leads_of(case, options.as_of, 1)


def write_report(
    case: Case, question: Question, page: Path | None, picture: Path | None, findings: Sequence[Finding], *,
    failed: Sequence[str] = (), form: Callable[[ReportData], str] | None = None, solution: Solution | None = None,
) -> list[Written]:  # fmt: skip
    """
    Write the page, as HTML or in a form for other tools, the picture, or both.

    Raises:
        UsageError: a file can't be written, or there is no subject to draw.
    """
    judged = [document(one) for one in findings]
    if not question.subjects:
        if page is None or picture is not None or form:
            what = "a report for other tools" if form else "the picture"
            raise UsageError(f"{what} needs a subject: name a key id, ARN, address, instance or event.")
        found = case.overview(as_of=question.as_of)
        text = case_page(
            case.case_id, found, judged, case.status(as_of=question.as_of), __version__, failed=failed
        )
        return [_put(page, text.encode(), found.credentials)]
    written = []
    report_data = gather(case, question, judged, failed=failed, records=page is not None, solution=solution)
    for path, draw in ((page, form or report_page), (picture, lifelines_file)):
        if path is not None:
            text = draw(report_data)
            content = png(text) if path == picture and path.suffix.lower() == ".png" else text.encode()
            written.append(_put(path, content, len(report_data.trace.credentials)))
    return written


def _put(path: Path, content: bytes, credentials: int) -> Written:
    if path == _STDOUT:
        sys.stdout.write(content.decode())
    else:
        write_file(path, content)
    return Written(file=str(path), bytes=len(content), credentials=credentials)


def _show(options: CommonOptions, written: list[Written]) -> None:
    """Print what was written, but not behind a page that went to standard output."""
    if any(one.file == "-" for one in written):
        return
    shown = [document(one) for one in written]
    output.show_one(
        options,
        {"written": shown},
        lambda writer: _write(written, writer),
        lines=shown,
        table=(columns(Written), shown),
    )


def _write(written: list[Written], writer: TextWriter) -> None:
    for one in written:
        writer.wrapped(f"{one.file}: {counted(one.credentials, 'credential')}, {one.bytes:,} bytes")
