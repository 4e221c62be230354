"""
`tokentrail mcp`: a case for assistants, over the Model Context Protocol.
"""

from __future__ import annotations

import importlib.util
import sys

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.cli.snapshots import with_snapshots
from tokentrail.errors import CaseError, UsageError
from tokentrail.policy.account.snapshot import Snapshot


@click.command(
    "mcp",
    epilog=example("tokentrail mcp --case leak"),
)
@with_snapshots
@common
def command(options: CommonOptions, snapshots: tuple[Snapshot, ...]) -> None:
    """
    Serve the case to an assistant that speaks the Model Context Protocol (MCP), over standard input and output.

    The assistant starts it: docs/assistants.md has what to configure. Its tools read one case and change nothing, and
    none can carry a plan out. With --as-of, answers are as of then where a question names no other moment.
    """
    if importlib.util.find_spec("mcp") is None:
        raise UsageError(
            "this verb needs the MCP SDK: pip install 'tokentrail[mcp]', or '.[mcp]' in a clone. "
            "The other verbs need nothing more."
        )
    from tokentrail.mcp.server import serve

    try:
        output.open_case(options).close()  # a case of an older format is updated before the first question
    except CaseError as error:
        output.say(f"{error} Until then, each tool says so.")
    if sys.stdin.isatty():
        output.say("Waiting for an assistant on standard input; Ctrl+C ends it.")
    serve(options.case, options.as_of, snapshots)
