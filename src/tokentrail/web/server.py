"""
The server: a socket on loopback and nowhere else, a fresh token for each start.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import uvicorn

from tokentrail.errors import UsageError
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present.html.console import address
from tokentrail.web.answers import Answers
from tokentrail.web.app import application
from tokentrail.web.guard import TOKEN

LOOPBACK = "127.0.0.1"
USUAL_PORT = 8341
_PATIENCE = 2
"""Seconds that requests under way get when the server is stopped."""


def listening(port: int | None) -> socket.socket:
    """
    Listen on loopback: at the given port, else at the usual one, so that addresses survive a restart, else at any free.

    Raises:
        UsageError: the given port is taken or not allowed.
    """
    for wanted in (USUAL_PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((LOOPBACK, wanted), backlog=64)
        except OSError as error:
            if port is not None:
                told = f"--port {port}: {error.strerror or error}. Give another, or none, and one is chosen."
                raise UsageError(told) from error
    raise UsageError(f"no port on {LOOPBACK} is free.")


def server(answers: Answers, token: str, port: int) -> uvicorn.Server:
    """Build the server that answers at a port of loopback."""
    config = uvicorn.Config(
        application(answers, token=token, port=port), log_level="critical", access_log=False, server_header=False,
        lifespan="off", ws="none", timeout_graceful_shutdown=_PATIENCE,
    )  # fmt: skip
    return uvicorn.Server(config)


def serve(
    folder: Path | str,
    port: int | None,
    as_of: datetime | None,
    started: Callable[[str], None],
    snapshots: Sequence[Snapshot] = (),
) -> None:
    """
    Serve a case until told to stop.

    Args:
        folder: The case.
        port: The port; chosen if `None`.
        as_of: The time of the start page.
        started: Called with the start address, once the server listens.
        snapshots: IAM snapshots, by whose trust policies and permissions plans are proven.
    """
    answers = Answers(folder, snapshots)
    token = secrets.token_urlsafe(24)
    try:
        with listening(port) as door:
            bound = door.getsockname()[1]
            started(f"http://{LOOPBACK}:{bound}{address('/', [(TOKEN, token)], as_of)}")
            server(answers, token, bound).run(sockets=[door])
    finally:
        answers.beside.end()
        if answers.turn.acquire(blocking=False):
            answers.close()
        else:  # Python would wait until the question under way is answered; what works at it may be killed at any time
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
