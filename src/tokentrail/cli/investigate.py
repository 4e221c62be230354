"""
`tokentrail investigate`: the main job in one go.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.intake import Intake, intake_options
from tokentrail.cli.investigation import Investigation, choose_subject, show_investigation, show_overview
from tokentrail.cli.judging import FOUND, Judging, judging_options, leads_of
from tokentrail.cli.options import SUBJECT, CommonOptions, common, narrowing
from tokentrail.cli.output import ingest_and_report
from tokentrail.cli.report import write_report
from tokentrail.cli.snapshots import with_snapshots
from tokentrail.cli.subjects import GivenSubjects
from tokentrail.containment.model import Plan
from tokentrail.detection.leads.model import Lead
from tokentrail.detection.model import Finding
from tokentrail.dossier import Question, with_handed_out
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.results import IngestSummary
from tokentrail.sources.dispatch import check_exist

_LEADS = 5
"""Leads that an investigation lists; `tokentrail leads` lists more."""


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
@narrowing
@judging_options
@intake_options
@common
@with_snapshots
def command(
    options: CommonOptions, logs: tuple[str, ...], subjects: tuple[str, ...], page: Path | None, since: datetime | None,
    source_ips: tuple[str, ...], trusted_ips: tuple[str, ...], intake: Intake, judging: Judging,
    snapshots: tuple[Snapshot, ...],
) -> None:  # fmt: skip
    """
    Read logs into a case, judge them, trace the subject, list what it and its descendants did, and plan what ends them.

    What it comes to stands first, then the leads and the findings. Without --subject, the trace starts from what most
    of the worst findings lead to, or else from the first lead if it is strong; where there is none, credentials are
    counted and those named that an investigation might start from.
    The exit code is 1 if there are findings, or if the plan does not hold.
    As JSON lines, each line says in "section" what it is; as CSV, it is the table of traced credentials.
    """
    plan = None
    check_exist(logs)
    given = GivenSubjects.read(subjects)
    with output.open_case(options, create=True) as case:
        summary = ingest_and_report(case, logs, intake.narrowed(None, None, given.followed))
        about = given.asked(case, options, source_ips)
        leads, findings = leads_of(case, options.as_of, _LEADS), judging.judge(case, options.as_of)
        asked = Question(
            subjects=about.subjects or choose_subject(findings, leads), as_of=options.as_of, since=since,
            source_ips=about.source_ips, trusted_ips=trusted_ips, snapshots=snapshots,
        )  # fmt: skip
        if asked.subjects:
            plan = _trace_and_plan(options, case, asked, summary, leads, findings)
        else:
            show_overview(options, summary, leads, findings, case)
        if page is not None:
            write_report(case, asked, page, None, findings)
        _enforce_strict(options, summary, case, judging)
    if findings or (plan is not None and not plan.proof.complete):
        raise click.exceptions.Exit(FOUND)


def _enforce_strict(options: CommonOptions, summary: IngestSummary, case: Case, judging: Judging) -> None:
    output.enforce_strict_ingest(options, summary)
    output.enforce_strict(options, case, judging.failed)


def _trace_and_plan(
    options: CommonOptions, case: Case, asked: Question, summary: IngestSummary, leads: tuple[Lead, ...],
    findings: tuple[Finding, ...],
) -> Plan:  # fmt: skip
    """Trace and plan, and print all of it."""
    with output.waiting("Tracing and planning"):
        trace = case.trace(
            asked.subjects, as_of=asked.as_of, since=asked.since, source_ips=asked.source_ips,
            trusted_ips=asked.trusted_ips, followed=True,
        )  # fmt: skip
        plan = case.contain(
            asked.subjects, as_of=asked.as_of, since=asked.since, source_ips=asked.source_ips,
            trusted_ips=asked.trusted_ips, snapshots=asked.snapshots,
        )  # fmt: skip
    events = output.announced(
        "Tracing", case.timeline(with_handed_out(trace, asked.subjects), as_of=asked.as_of)
    )
    show_investigation(options, Investigation(summary, leads, findings, trace, events, plan))
    return plan
