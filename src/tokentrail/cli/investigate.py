"""
`tokentrail investigate`: the main job in one go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.intake import Intake, intake_options
from tokentrail.cli.investigation import choose_subject, show_investigation, show_overview
from tokentrail.cli.judging import FOUND, Judging, judging_options, leads_of
from tokentrail.cli.options import SUBJECT, CommonOptions, common, narrowed_by, narrowing, with_days
from tokentrail.cli.output import ingest_and_report
from tokentrail.cli.report import write_report
from tokentrail.cli.snapshots import with_snapshots
from tokentrail.cli.subjects import GivenSubjects, check_logs
from tokentrail.detection.leads.model import Lead
from tokentrail.detection.model import Finding
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present.text.investigation_text import Investigation
from tokentrail.report_data import Question, Solution, solve, with_handed_out
from tokentrail.results import IngestSummary

_LEADS = 50
"""Leads that an investigation gives as JSON and looks at; `tokentrail leads` lists more."""


@click.command(
    "investigate",
    epilog=example("tokentrail investigate AWSLogs/ --subject AKIAIOSFODNN7EXAMPLE --case leak"),
)
@click.argument("logs", nargs=-1, required=True, metavar="LOGS...")
@click.option(
    "--subject", "subjects", multiple=True, type=SUBJECT,
    help="A key id, credential id, ARN, address, instance or event to start from; or a file with an alert of "
    "GuardDuty, Security Hub or Access Analyzer as JSON (- for standard input). Repeatable.",
)  # fmt: skip
@click.option(
    "--report", "page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html",
    help="Write the page of `tokentrail report` too.",
)  # fmt: skip
@click.option(
    "--full", is_flag=True, help="Print leads, findings, lineage, timeline, damage and proof in full.",
)  # fmt: skip
@narrowing
@judging_options
@intake_options
@partial(common, reads=True)
@with_snapshots
def command(
    options: CommonOptions, logs: tuple[str, ...], subjects: tuple[str, ...], page: Path | None, full: bool,
    since: datetime | None, source_ips: tuple[str, ...], trusted_ips: tuple[str, ...], intake: Intake,
    judging: Judging, snapshots: tuple[Snapshot, ...],
) -> None:  # fmt: skip
    """
    Read logs into a case, look for theft, trace the subject, and plan what ends all that the attacker has.

    The answer is one screen: the verdict, leads, findings, plan, evidence gaps, and what to run next; --full prints
    the rest. Without --subject, the trace starts from the credential behind the most severe findings, or else from the
    first lead if it is strong; where there is neither, the possible subjects are listed.
    The exit code is 1 if there are findings, or if the plan does not hold.
    As JSON lines, each line says in "section" what it is; as CSV, it is the table of traced credentials.
    """
    check_logs(logs)
    given = GivenSubjects.read(subjects)
    with output.open_case(options, create=True) as case:
        summary = ingest_and_report(case, logs, intake.narrowed(None, None, given.followed))
        status = case.status()
        options, dated = with_days(options, {"since": since}, (status.first, status.last))
        about = given.asked(case, options, source_ips)
        leads, findings = leads_of(case, options.as_of, _LEADS), judging.judge(case, options.as_of)
        asked = Question(
            subjects=about.subjects or choose_subject(findings, leads), as_of=options.as_of, since=dated["since"],
            source_ips=about.source_ips, trusted_ips=trusted_ips, snapshots=snapshots,
        )  # fmt: skip
        solution = _trace_and_plan(options, logs, case, asked, summary, leads, findings, full=full)
        failed = (*leads.failed, *findings.failed)
        if page is not None:
            write_report(case, asked, page, None, findings, failed=failed, solution=solution)
        output.enforce_strict_ingest(options, summary)
        output.enforce_strict(options, case, failed)
    if findings or (solution is not None and not solution.plan.proof.complete):
        raise click.exceptions.Exit(FOUND)


def _trace_and_plan(
    options: CommonOptions, logs: Sequence[str], case: Case, asked: Question, summary: IngestSummary,
    leads: tuple[Lead, ...], findings: tuple[Finding, ...], *, full: bool,
) -> Solution | None:  # fmt: skip
    """Trace and plan, and print what came of it; or where there is no subject, where to start."""
    if not asked.subjects:
        show_overview(options, summary, leads, findings, case)
        return None
    with output.waiting("Tracing and planning"):
        solution = solve(case, asked)
    calls = case.timeline(with_handed_out(solution.trace, asked.subjects), as_of=asked.as_of)
    found = Investigation(
        summary=summary, logs=logs, leads=leads, findings=findings, trace=solution.trace,
        activity=solution.activity, events=output.announced("Tracing", calls), plan=solution.plan,
        case=options.case, narrowed=narrowed_by(asked.as_of, **asked.narrowed),
    )  # fmt: skip
    show_investigation(options, found, full=full)
    return solution
