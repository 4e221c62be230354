"""
Where results go: stdout, in the format asked for; and what is said on stderr meanwhile.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, islice
from threading import Timer
from typing import TYPE_CHECKING, TypeVar

import click

from tokentrail.case.bookkeeping import unfinished
from tokentrail.cli.options import CommonOptions
from tokentrail.errors import EvidenceIncomplete, SourceError
from tokentrail.formatting import counted, listed
from tokentrail.present.document import Document, columns, document
from tokentrail.present.formats.json_csv import (
    write_csv,
    write_json,
    write_json_list,
    write_json_of,
    write_jsonl,
)
from tokentrail.present.text.status_text import held_before, write_ingest
from tokentrail.present.text.text_writer import TextWriter

if TYPE_CHECKING:
    from rich.progress import TaskID

    from tokentrail.case import Case
    from tokentrail.cli.intake import Intake
    from tokentrail.results import IngestSummary

Row = TypeVar("Row")
_TERMINAL_GONE = (OSError, IndexError)
"""What rich raises when the terminal has gone: the answer matters more than the progress line."""
_SILENT_FOR = 1.0
"""Seconds of waiting after which a progress line is shown."""


class _Screen(io.StringIO):
    """Text for a terminal, kept until it is known whether it fits."""

    def isatty(self) -> bool:
        return True


def show_text(text: Callable[[TextWriter], object]) -> None:
    """
    Print text; on a terminal, what is longer than it goes through a pager.

    The pager is `$PAGER`, or else `less` (click's `echo_via_pager`); with `--no-pager` there is none.
    """
    if not (_option("pager") and sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        text(TextWriter(sys.stdout))
        return
    screen = _Screen()
    text(TextWriter(screen))
    shown = screen.getvalue()
    if shown.count("\n") < shutil.get_terminal_size().lines:
        sys.stdout.write(shown)
        return
    sys.stdout.flush()
    click.echo_via_pager(shown)


def _option(name: str) -> bool:
    """Whether an option that all verbs share is given to the verb that runs."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get(name))


def show_rows(
    options: CommonOptions,
    kind: type[Row],
    rows: Iterable[Row],
    text: Callable[[Iterable[Row], TextWriter], object],
) -> None:
    """Print results of one kind: a table, a list, or a line for each."""
    shown = (document(one) for one in rows)
    match options.format:
        case "text":
            show_text(lambda writer: text(rows, writer))
        case "json":
            write_json_list(shown, sys.stdout)
        case "jsonl":
            write_jsonl(shown, sys.stdout)
        case "csv":
            write_csv(shown, columns(kind), sys.stdout)


def show_one(
    options: CommonOptions,
    whole: Document,
    text: Callable[[TextWriter], object],
    *,
    lines: Sequence[Document] | None = None,
    table: tuple[Sequence[str], Sequence[Document]],
) -> None:
    """
    Print one result.

    Args:
        options: Name the format.
        whole: The result as one document.
        text: Writes it as text.
        lines: Its parts for JSON lines; by default the whole is one line.
        table: The columns and rows for CSV.
    """
    if options.format == "text":
        show_text(text)
    else:
        show_documents(options, whole, lines=lines, table=table)


def show_parts(
    options: CommonOptions, found: Row, text: Callable[[Row, TextWriter], object], parts: str, kind: type
) -> None:
    """
    Print one result part by part: to build the whole document of a large result first would take longest of all.

    Args:
        options: Name the format.
        found: The result.
        text: Writes it as text.
        parts: The name of the field whose items are the lines of JSON lines and the rows of CSV.
        kind: The type of these items.
    """
    match options.format:
        case "text":
            show_text(lambda writer: text(found, writer))
        case "json":
            write_json_of(found, sys.stdout)
        case "jsonl":
            write_jsonl(map(document, getattr(found, parts)), sys.stdout)
        case "csv":
            write_csv(map(document, getattr(found, parts)), columns(kind), sys.stdout)


def show_documents(
    options: CommonOptions,
    whole: Document,
    *,
    lines: Sequence[Document] | None = None,
    table: tuple[Sequence[str], Sequence[Document]],
) -> None:
    """Print one result in a format for programs, with arguments as `show_one` has them."""
    match options.format:
        case "json":
            write_json(whole, sys.stdout)
        case "jsonl":
            write_jsonl([whole] if lines is None else lines, sys.stdout)
        case "csv":
            write_csv(table[1], table[0], sys.stdout)


def ingest_and_report(case: Case, sources: Sequence[str], intake: Intake) -> IngestSummary:
    """
    Read sources into a case, and say on stderr what came in, and what the case held before.

    Raises:
        SourceError: there is no record of CloudTrail in any of some files and folders.
    """
    before = case.status()
    with reading_evidence() as progress:
        summary = intake.into(case, sources, progress)
    if not _option("quiet"):
        write_ingest(summary, TextWriter(sys.stderr))
    say(*held_before(before, summary))
    expect_records(sources, summary)
    return summary


@contextmanager
def reading_evidence() -> Iterator[Callable[[int, int], None] | None]:
    """Show how far reading is; where Ctrl-C ends it, say how it resumes."""
    try:
        with progress_bar("Reading evidence", "Linking credentials") as progress:
            yield progress
    except KeyboardInterrupt:
        warn("Not all of the evidence was read. Run the same command again: it resumes where it stopped.")
        raise


def expect_records(sources: Sequence[str], summary: IngestSummary) -> None:
    """
    See that there was a record of CloudTrail in some files or folders; what is elsewhere may have nothing new.

    Raises:
        SourceError: there was none.
    """
    from tokentrail.sources.dispatch import is_remote  # who ingests has loaded it

    if (
        summary.records.read
        or summary.records.repeated
        or summary.objects.repeated
        or any(map(is_remote, sources))
    ):
        return
    if summary.objects.read or summary.skipped:
        files = counted(summary.objects.read + len(summary.skipped), "file")
        there = f"{files} there, listed above with the reason"
    else:
        there = "no file there"
    raise SourceError(
        f"No CloudTrail records in {listed([*sources], 3)}: {there}. Give the folder that holds the trail's "
        "files, such as AWSLogs/; docs/evidence.md lists what can be read."
    )


def say(*sentences: str) -> None:
    """Say something on stderr, unless `--quiet` is given."""
    if not _option("quiet"):
        warn(*sentences)


def warn(*sentences: str) -> None:
    """Say something on stderr that an answer can't be judged without."""
    writer = TextWriter(sys.stderr)
    for sentence in sentences:
        writer.wrapped(sentence)


def open_case(options: CommonOptions, *, create: bool = False) -> Case:
    """Open the case that the options name; say on stderr, and show how far it is, if it must be brought up to date."""
    from tokentrail.case import Case  # loads what answers, which some verbs do without

    with ExitStack() as stack:
        bars: list[Callable[[int, int], None] | None] = []

        def show(done: int, total: int) -> None:
            if not bars:
                say(
                    f"{options.case}: a case of an older format. Its columns are read again from its own evidence."
                )
                bars.append(stack.enter_context(progress_bar("Updating the case")))
            if bars[0] is not None:
                bars[0](done, total)

        return Case.open(options.case, create=create, progress=show)


@contextmanager
def progress_bar(what: str, then: str | None = None) -> Iterator[Callable[[int, int], None] | None]:
    """
    Show a bar on stderr while something takes its time, if a person is looking at it.

    Args:
        what: The work that is measured.
        then: The work that follows it, whose length is not known.
    """
    if not sys.stderr.isatty() or _option("quiet"):
        yield None
        return
    from rich.console import Console  # loaded only where a person looks on
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=Console(file=sys.stderr), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=None)
        last: list[TaskID] = []

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if then is not None and done >= total and not last:
                last.append(bar.add_task(then, total=None))
            elif done < total and last:  # a source may tell of its objects some at a time
                bar.remove_task(last.pop())

        yield show


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on stderr what is being done, and for how long, once it takes a while, if a person is looking at it."""
    if not _person_sees_stderr():
        yield
        return
    from rich.console import Console  # loaded only where a person looks on
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr)
    if console.is_dumb_terminal:
        yield
        return
    line = Progress(
        SpinnerColumn("line"), TextColumn("{task.description}"), TimeElapsedColumn(),
        console=console, transient=True, redirect_stdout=False,
    )  # fmt: skip
    line.add_task(what, total=None)

    def show() -> None:
        with suppress(*_TERMINAL_GONE):
            line.start()
            console.show_cursor(True)  # a verb that is killed could not show it again

    begin = Timer(_SILENT_FOR, show)
    begin.daemon = True
    begin.start()
    try:
        yield
    finally:
        begin.cancel()
        begin.join()
        with suppress(*_TERMINAL_GONE):
            line.stop()


def _person_sees_stderr() -> bool:
    """Whether a person sees what is drawn on stderr: it is a terminal, and this process is in its foreground."""
    if not sys.stderr.isatty() or _option("quiet"):
        return False
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:  # it is not this session's terminal, so that there is no foreground to be in
        return True


def announced(what: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Pass rows on; until the first of them comes, show on stderr what is being done."""
    rest = iter(rows)
    with waiting(what):
        first = list(islice(rest, 1))
    return chain(first, rest)


def enforce_strict(options: CommonOptions, case: Case, failed: Sequence[str] = ()) -> None:
    """
    Say so where an ingest has not ended; under `--strict`, fail where not all evidence could be read or judged.

    Args:
        options: Whether it is strict.
        case: The case.
        failed: Sentences about rules that could not judge the evidence.

    Raises:
        EvidenceIncomplete: records or objects of the case were rejected, an ingest has not ended, or a rule failed.
    """
    unread = unfinished(case.folder)
    warn(*unread)
    if not options.strict:
        return
    lost = sum(one.count for one in case.status().rejected if one.field is None)
    if lost:
        raise EvidenceIncomplete(
            f"--strict: {counted(lost, 'record or object', 'records or objects')} could not be read. "
            "`tokentrail status --rejected` lists them."
        )
    if unread or failed:
        raise EvidenceIncomplete(f"--strict: {' '.join((*unread, *failed))}")


def enforce_strict_ingest(options: CommonOptions, summary: IngestSummary) -> None:
    """
    Under `--strict`, fail after an ingest that could not read everything it was given.

    Raises:
        EvidenceIncomplete: records were rejected, or objects could not be read.
    """
    failed = [one for one in summary.skipped if one.lost]
    if options.strict and (failed or summary.records.rejected):
        raise EvidenceIncomplete(
            f"--strict: {counted(summary.records.rejected, 'record')} rejected, "
            f"{counted(len(failed), 'object')} not read."
        )
