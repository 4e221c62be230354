"""
`tokentrail`: the entry point, and the list of verbs in the order in which one would use them.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from tokentrail import __version__
from tokentrail.cli.example import example
from tokentrail.cli.failure import INTERRUPTED, Failure, without_secrets
from tokentrail.cli.memory import (
    LIBRARY_SETTINGS,
    environment_defaults,
    exit_without_search,
    keep_few_arenas,
    search_seldom_for_cycles,
)
from tokentrail.cli.settings import VARIABLE, use_settings
from tokentrail.errors import UsageError
from tokentrail.store.without_pandas import load_arrow_without_pandas

_VERBS = {
    "demo": "Walk through the leak of a key, on built-in evidence.",
    "investigate": "The main job in one go: ingest, findings, trace, timeline, containment plan.",
    "ingest": "Read evidence into the case.",
    "verify-logs": "Check the logs against CloudTrail's own digests.",
    "status": "What the case holds, and its evidence gaps.",
    "credentials": "Every credential, its state, and where it came from.",
    "trace": "What a subject descends from, what descends from it, and what it did.",
    "timeline": "What a subject and its descendants did, in order.",
    "identify": "Which credential a leaked string, file or URL holds.",
    "leads": "Where to start: credentials ranked by signs of theft, with reasons.",
    "detect": "Findings: what looks like theft, why, and which command answers it.",
    "rules": "The catalogue of what `detect` looks for.",
    "contain": "Plan what ends all of the attacker's credentials and nobody else's, with proof.",
    "apply": "Carry out a plan in AWS.",
    "verify": "Check whether a plan that was carried out has held.",
    "undo": "Take back what `apply` did.",
    "guard": "What would have stopped it: audit, guardrail policies, and their back-test.",
    "watch": "Follow a log source, and report findings as they come.",
    "report": "Write one self-contained page: lifelines, plan, lineage, timeline, evidence.",
    "rebuild": "Recompute what is derived from a case's evidence.",
    "serve": "The same page live in your browser: any subject, any moment, raw records.",
    "mcp": "Let an assistant ask the case over the Model Context Protocol, read-only.",
}
"""What each verb is for, in one line. It stands here, and not beside the verb, so that a list loads none of them."""

_SPARING = frozenset({"detect", "investigate", "leads"})
"""Verbs whose memory must not grow with the evidence."""
_SMALL = _SPARING | {"watch"}
"""Verbs in which all that is no longer used must be found soon."""


class Verbs(click.Group):
    """A group that lists its commands in the order given, and loads each when it is asked for: some take their time."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; Ctrl-C while it is loaded, or where it asks for something, ends it as Ctrl-C does later."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.message = without_secrets(error.message)
            raise
        except (KeyboardInterrupt, click.Abort) as stopped:
            raise Failure(["Stopped before it was done."], INTERRUPTED) from stopped

    def list_commands(self, ctx: click.Context | None = None) -> list[str]:
        """List the verbs in order of use."""
        return list(_VERBS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs and what each is for, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that was named; of one that there is not, say which looks like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            for near in get_close_matches(args[0], _VERBS, n=1):
                error.message += f" Did you mean {near}?"
            raise

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        """Load a verb: `command` of the module of its name."""
        if cmd_name not in _VERBS:
            return None
        if cmd_name in _SPARING:
            keep_few_arenas()
        if cmd_name not in _SMALL:
            search_seldom_for_cycles()
        with environment_defaults(LIBRARY_SETTINGS):
            load_arrow_without_pandas()  # every verb loads Arrow
            found: click.Command = import_module(f"tokentrail.cli.{cmd_name.replace('-', '_')}").command
        return found


def scanner() -> str:
    """Which of the two scanners this installation reads with."""
    try:
        import_module("tokentrail.events._scan")
    except ImportError:
        # Never compiled, or for another system, as in a folder that a container shares with its host.
        return "pure Python scanner"
    return "compiled scanner"


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version, and which scanner was installed with it."""
    if wanted and not ctx.resilient_parsing:
        click.echo(f"tokentrail {__version__} ({scanner()})")
        ctx.exit()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100, "max_content_width": 100},
    epilog=example("tokentrail investigate AWSLogs/ --subject AKIAIOSFODNN7EXAMPLE"),
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.option(
    "--config", "settings", envvar=VARIABLE, metavar="FILE",
    help="A file of settings; by default ./tokentrail.toml, if there is one; '' for none.",
)  # fmt: skip
@click.pass_context
def root(context: click.Context, settings: str | None) -> None:
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
    if context.resilient_parsing:
        return
    try:
        use_settings(context, settings, list(_VERBS))
    except UsageError as error:
        raise Failure([f"Error: {error}"], error.exit_code) from error


def main() -> None:
    """Run the command line, and exit."""
    exit_without_search()
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    root(prog_name="tokentrail")


def _replace_closed_streams() -> None:
    """Open a null device in place of each standard stream that is closed, as by `>&-` or a scheduler."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as it runs
