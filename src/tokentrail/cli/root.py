"""
`tokentrail`: the entry point, and the list of verbs in the order in which one would use them.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from io import TextIOWrapper

import click

from tokentrail import __version__
from tokentrail.cli import (
    apply,
    contain,
    credentials,
    demo,
    detect,
    guard,
    ingest,
    investigate,
    report,
    rules,
    serve,
    status,
    timeline,
    trace,
    undo,
    verify,
    verify_logs,
    watch,
)  # fmt: skip
from tokentrail.cli.example import example

_VERBS = (
    demo.command, investigate.command, ingest.command, verify_logs.command, status.command,
    credentials.command, trace.command, timeline.command, detect.command, rules.command, contain.command,
    apply.command, verify.command, undo.command, guard.command, watch.command, report.command, serve.command,
)  # fmt: skip


class Verbs(click.Group):
    """A group that lists its commands in the order given."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in order of use."""
        return list(self.commands)


@click.group(
    cls=Verbs,
    commands={str(verb.name): verb for verb in _VERBS},
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100, "max_content_width": 100},
    epilog=example("tokentrail investigate AWSLogs/ --subject AKIAIOSFODNN7EXAMPLE"),
)
@click.version_option(
    f"{__version__} ({'compiled' if find_spec('tokentrail.events._scan') else 'pure Python'} scanner)",
    prog_name="tokentrail",
    message="%(prog)s %(version)s",
)
def root() -> None:
    """
    Find out, from AWS CloudTrail, which credential came from which, which still work, and what they did.

    The verbs stand in the order in which one would use them.
    Results go to stdout; progress and summaries go to stderr.

    \b
    Exit codes:
      0  done as asked
      1  findings, or a plan that is not proven
      2  wrong use, or a case or source that can't be read
      3  evidence could not all be read, under --strict
      4  an action was refused or failed
    """


def main() -> None:
    """Run the command line, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    root(prog_name="tokentrail")
