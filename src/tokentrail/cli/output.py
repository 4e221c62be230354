"""
Where results go: stdout, in the format asked for; and what is said on stderr meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from tokentrail.case import Case
from tokentrail.cli.intake import Intake
from tokentrail.cli.options import Common
from tokentrail.errors import EvidenceIncomplete
from tokentrail.present import words
from tokentrail.present.document import Document, columns, document
from tokentrail.present.holdings import held_before, write_ingest
from tokentrail.present.machine import write_csv, write_json, write_json_list, write_jsonl
from tokentrail.present.paper import Paper
from tokentrail.results import IngestSummary

Row = TypeVar("Row")


def show_rows(
    told: Common, kind: type[Row], rows: Iterable[Row], text: Callable[[Iterable[Row], Paper], object]
) -> None:
    """Print results of one kind: a table, a list, or a line for each."""
    shown = (document(one) for one in rows)
    match told.format:
        case "text":
            text(rows, Paper(sys.stdout))
        case "json":
            write_json_list(shown, sys.stdout)
        case "jsonl":
            write_jsonl(shown, sys.stdout)
        case "csv":
            write_csv(shown, columns(kind), sys.stdout)


def show_one(
    told: Common,
    whole: Document,
    text: Callable[[Paper], object],
    *,
    lines: Sequence[Document] | None = None,
    table: tuple[Sequence[str], Sequence[Document]],
) -> None:
    """
    Print one result.

    Args:
        told: The format.
        whole: The result as one document.
        text: What writes it as text.
        lines: Its parts as lines; the whole is one line if there are none.
        table: The columns and rows that stand for it in CSV.
    """
    match told.format:
        case "text":
            text(Paper(sys.stdout))
        case "json":
            write_json(whole, sys.stdout)
        case "jsonl":
            write_jsonl([whole] if lines is None else lines, sys.stdout)
        case "csv":
            write_csv(table[1], table[0], sys.stdout)


def take_in(case: Case, sources: Sequence[str], intake: Intake) -> IngestSummary:
    """Read sources into a case, and say on stderr what came in, and what the case held before."""
    before = case.status()
    with progress_bar("Reading evidence") as progress:
        summary = intake.into(case, sources, progress)
    write_ingest(summary, Paper(sys.stderr))
    say(*held_before(before, summary))
    return summary


def say(*sentences: str) -> None:
    """Say something on stderr."""
    paper = Paper(sys.stderr)
    for sentence in sentences:
        paper.wrapped(sentence)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on stderr while something takes its time, if a person is looking at it."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = Progress(
        what, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=Console(file=sys.stderr), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def insist(told: Common, case: Case) -> None:
    """
    Under `--strict`, refuse to call an answer whole that rests on evidence which could not all be read.

    Raises:
        EvidenceIncomplete: records or objects of the case were rejected.
    """
    if not told.strict:
        return
    lost = sum(one.count for one in case.status().rejected if one.field is None)
    if lost:
        raise EvidenceIncomplete(
            f"--strict: {words.number(lost, 'record or object', 'records or objects')} could not be read. "
            "`tokentrail status --rejected` lists them."
        )


def insist_on_all(told: Common, summary: IngestSummary) -> None:
    """
    Under `--strict`, refuse to call an ingest whole that could not read all of it.

    Raises:
        EvidenceIncomplete: records were rejected, or objects could not be read.
    """
    failed = [one for one in summary.skipped if one.lost]
    if told.strict and (failed or summary.records.rejected):
        raise EvidenceIncomplete(
            f"--strict: {words.number(summary.records.rejected, 'record')} rejected, "
            f"{words.number(len(failed), 'object')} not read."
        )
