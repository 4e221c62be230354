"""
The web application, an address for each page and the same with `.json` for its JSON twin, and its server.

The server listens on loopback and nowhere else, with a fresh token for each start.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tokentrail import __version__
from tokentrail.errors import RecordNotFound, SubjectNotFound, TokenTrailError, UsageError
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present.document import Document, document, timestamp
from tokentrail.present.formats.json_csv import indented
from tokentrail.present.html.console import Live, address
from tokentrail.present.html.console_pages import refusal_page
from tokentrail.present.safe import safe
from tokentrail.web import query_params
from tokentrail.web.background_detection import Found
from tokentrail.web.console_queries import ConsoleQueries
from tokentrail.web.guard import TOKEN, Guard
from tokentrail.web.pages import Page

_Ask = Callable[[Request], Page]
_WITH_FINDINGS = ("/start", "/trace", "/findings")
"""Pages with what detection found."""
LOOPBACK = "127.0.0.1"
USUAL_PORT = 8341
_PATIENCE = 2
"""Seconds that requests under way get when the server is stopped."""


class _Console:
    """Turns requests into pages, one at a time, since only one thread may use a case."""

    def __init__(self, answers: ConsoleQueries) -> None:
        self._answers = answers

    def routes(self) -> list[Route]:
        """List the addresses: each page, and its twin."""
        answers = self._answers
        pages: dict[str, _Ask] = {
            "/start": lambda request: answers.start(request.query_params),
            "/trace": lambda request: answers.trace(request.query_params),
            "/lineage": lambda request: answers.lineage(request.query_params),
            "/timeline": lambda request: answers.timeline(request.query_params),
            "/credentials": lambda request: answers.credentials(request.query_params),
            "/findings": lambda request: answers.findings(request.query_params),
            "/evidence": lambda request: answers.evidence(request.query_params),
            "/event/{event_id}": lambda request: answers.event(
                request.path_params["event_id"], request.query_params
            ),
            "/record/{sha256}/{ordinal:int}": lambda request: answers.record(
                request.path_params["sha256"], request.path_params["ordinal"], request.query_params
            ),
        }
        found = [Route("/plan.json", self._plan), Route("/favicon.ico", _no_icon)]
        for path, ask in pages.items():
            found.append(Route(f"{path}.json", self._told(ask, patient=path in _WITH_FINDINGS)))
            found.append(Route("/" if path == "/start" else path, self._shown(ask)))
        return found

    def _shown(self, ask: _Ask) -> Callable[[Request], Response]:
        def shown(request: Request) -> Response:
            if request.query_params.get("at"):
                return self._guarded(request, lambda: _canonical(request), html=True)
            return self._guarded(request, lambda: HTMLResponse(ask(request).html()), html=True)

        return shown

    def _told(self, ask: _Ask, *, patient: bool) -> Callable[[Request], Response]:
        def told(request: Request) -> Response:
            if patient:
                self._await_findings(request)
            return self._guarded(request, lambda: _json(ask(request).twin()), html=False)

        return told

    def _plan(self, request: Request) -> Response:
        """The plan as a file, for `tokentrail apply`."""

        def found() -> Response:
            answer = _json(document(self._answers.plan(request.query_params)))
            answer.headers["Content-Disposition"] = 'attachment; filename="plan.json"'
            return answer

        return self._guarded(request, found, html=False)

    def _await_findings(self, request: Request) -> None:
        """Wait until detection has ended, since a program does not ask again; others may ask meanwhile."""
        with suppress(TokenTrailError):  # told when the page is asked for
            while (
                query_params.as_of(request.query_params) is None and (looking := self._looking()) is not None
            ):
                wait([looking])

    def _looking(self) -> Future[Found] | None:
        with self._answers.turn:
            self._answers.refresh()
            return self._answers.looking()

    def _guarded(self, request: Request, answer: Callable[[], Response], *, html: bool) -> Response:
        """Answer, or give a page that says why there is no answer."""
        with self._answers.turn:
            try:
                query_params.understood(request.query_params)
                self._answers.refresh()
                return answer()
            except TokenTrailError as error:
                status, told = _status(error), str(error).splitlines()[0]
            except Exception as error:  # noqa: BLE001  # the outermost loop: the next request must be answered
                sys.stderr.writelines(f"{safe(line)}\n" for line in traceback.format_exc().splitlines())
                status, told = (
                    500,
                    f"A fault in TokenTrail itself: {type(error).__name__}. The terminal shows more.",
                )
            if not html:
                return _json({"error": told}, status)
            title = {404: "Nothing answers to that", 400: "That can't be asked"}.get(status, "No answer")
            subject = request.query_params.get("subject", "")
            search = address("/credentials", [("search", subject)])
            onward = ("Search all credentials for it", search) if status == 404 and subject else None
            return HTMLResponse(refusal_page(title, told, self._place(request), __version__, onward), status)

    def _place(self, request: Request) -> Live:
        """Where a page stands that could not be made: as near to where it was asked for as can be."""
        path, query = request.url.path, request.query_params
        for place in (self._answers.story, self._answers.live):
            try:
                return place(path, query)
            except (TokenTrailError, OSError):
                continue
        return Live(path=path)


def _application(answers: ConsoleQueries, *, token: str, port: int) -> Guard:
    """Build the application, behind the guard."""

    def refusal(title: str, told: str, onward: tuple[str, str] | None) -> str:
        return refusal_page(title, told, None, __version__, onward)

    return Guard(Starlette(routes=_Console(answers).routes()), token=token, port=port, refusal=refusal)


def _canonical(request: Request) -> Response:
    """Redirect the slider's request to the address with the time in readable form."""
    query = request.query_params
    rest = [(name, value) for name, value in query.multi_items() if name not in ("at", "as_of") and value]
    moment = query_params.as_of(QueryParams([("at", query["at"])]))
    assert moment is not None
    return RedirectResponse(address(request.url.path, [*rest, ("as_of", timestamp(moment))]), 303)


def _no_icon(_: Request) -> Response:
    """Answer the browser's own request for an icon, so that it shows no error."""
    return Response(status_code=204)


def _json(told: Document, status: int = 200) -> Response:
    return Response(f"{indented(told)}\n", status, media_type="application/json")


def _status(error: TokenTrailError) -> int:
    match error:
        case SubjectNotFound() | RecordNotFound():
            return HTTPStatus.NOT_FOUND
        case UsageError():
            return HTTPStatus.BAD_REQUEST
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


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


def server(answers: ConsoleQueries, token: str, port: int) -> uvicorn.Server:
    """Build the server that answers at a port of loopback."""
    config = uvicorn.Config(
        _application(answers, token=token, port=port), log_level="critical", access_log=False, server_header=False,
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
    answers = ConsoleQueries(folder, snapshots)
    token = secrets.token_urlsafe(24)
    try:
        with listening(port) as door:
            bound = door.getsockname()[1]
            started(f"http://{LOOPBACK}:{bound}{address('/', [(TOKEN, token)], as_of)}")
            server(answers, token, bound).run(sockets=[door])
    finally:
        answers.background.end()
        if answers.turn.acquire(blocking=False):
            answers.close()
        else:  # Python would wait until the question under way is answered; what works at it may be killed at any time
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
