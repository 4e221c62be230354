"""
The web application: an address for each page, and the same with `.json` for its JSON twin.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tokentrail import __version__
from tokentrail.errors import RecordNotFound, SubjectNotFound, TokenTrailError, UsageError
from tokentrail.present.document import Document, document, timestamp
from tokentrail.present.html.console import Live, address
from tokentrail.present.html.console_pages import refusal_page
from tokentrail.present.machine import indented
from tokentrail.present.safe import safe
from tokentrail.web import asked
from tokentrail.web.answers import Answers
from tokentrail.web.beside import Found
from tokentrail.web.guard import Guard
from tokentrail.web.pages import Page

Ask = Callable[[Request], Page]
_WITH_FINDINGS = ("/start", "/trace", "/findings")
"""Pages with what detection found."""


class Console:
    """Turns requests into pages, one at a time, since only one thread may use a case."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def routes(self) -> list[Route]:
        """List the addresses: each page, and its twin."""
        answers = self._answers
        pages: dict[str, Ask] = {
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

    def _shown(self, ask: Ask) -> Callable[[Request], Response]:
        def shown(request: Request) -> Response:
            if request.query_params.get("at"):
                return self._guarded(request, lambda: _canonical(request), html=True)
            return self._guarded(request, lambda: HTMLResponse(ask(request).html()), html=True)

        return shown

    def _told(self, ask: Ask, *, patient: bool) -> Callable[[Request], Response]:
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
            while asked.as_of(request.query_params) is None and (looking := self._looking()) is not None:
                wait([looking])

    def _looking(self) -> Future[Found] | None:
        with self._answers.turn:
            self._answers.refresh()
            return self._answers.looking()

    def _guarded(self, request: Request, answer: Callable[[], Response], *, html: bool) -> Response:
        """Answer, or give a page that says why there is no answer."""
        with self._answers.turn:
            try:
                asked.understood(request.query_params)
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


def application(answers: Answers, *, token: str, port: int) -> Guard:
    """Build the application, behind the guard."""

    def refusal(title: str, told: str, onward: tuple[str, str] | None) -> str:
        return refusal_page(title, told, None, __version__, onward)

    return Guard(Starlette(routes=Console(answers).routes()), token=token, port=port, refusal=refusal)


def _canonical(request: Request) -> Response:
    """Redirect the slider's request to the address with the time in readable form."""
    query = request.query_params
    rest = [(name, value) for name, value in query.multi_items() if name not in ("at", "as_of") and value]
    moment = asked.as_of(QueryParams([("at", query["at"])]))
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
