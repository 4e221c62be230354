"""
`tokentrail serve`: the console, on loopback.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.cli.snapshots import with_snapshots
from tokentrail.errors import UsageError
from tokentrail.policy.account.snapshot import Snapshot

_NEEDED = ("starlette", "uvicorn")


@click.command(
    "serve",
    epilog=example("tokentrail serve --case leak"),
)
@click.option(
    "--port", type=click.IntRange(1, 65535), show_default="8341, or any that is free", metavar="PORT",
    help="The port on 127.0.0.1.",
)  # fmt: skip
@with_snapshots
@common
def command(options: CommonOptions, port: int | None, snapshots: tuple[Snapshot, ...]) -> None:
    """
    Serve the case to a browser on this machine, until Ctrl+C: the page of `report` for any subject and moment.

    The address that it prints lets one browser in; nobody else on the network can reach it, and no other web page can
    ask it anything. It shows plans and can't carry one out. Each page has a twin in JSON. With --as-of, the start page
    is as of then.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the console needs {' and '.join(missing)}: pip install 'tokentrail[web]', or '.[web]' in a clone. "
            "`tokentrail report` needs nothing more."
        )
    from tokentrail.web.server import serve

    def started(address: str) -> None:
        shown = {"address": address}
        output.show_one(options, shown, lambda writer: writer.line(address), table=(("address",), [shown]))
        sys.stdout.flush()
        output.say(
            "Open it in a browser on this machine; Ctrl+C ends it. Nothing in the case or in AWS is changed."
        )

    output.open_case(options).close()  # a case of an older format is updated before the console opens it
    with suppress(KeyboardInterrupt):
        serve(options.case, port, options.as_of, started, snapshots)
