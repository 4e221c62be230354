"""
Let only a browser on this machine in that was given the start address, and no other site's page.

Any page on the web can make a browser send requests to a server on loopback, or make a domain name of its own point
there (DNS rebinding). Sec-Fetch-Site and Origin protect against the first, Host against the second, and the token
against other users of the machine. The start address has the token once; it becomes a cookie that scripts can't read
and that is not sent with other sites' requests. Views only read, so that only GET and HEAD are let through.

Sources: Fetch Metadata Request Headers (W3C), RFC 6265bis (SameSite), 'Content Security Policy Level 3' (W3C).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; connect-src 'self'; "
    "script-src-attr 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers for what a page's own policy (a `meta` element) can't say. Evidence must not be kept in caches."""
_LONGEST = 8_000
"""The most characters of an address."""
TOKEN = "token"  # noqa: S105  # the name of a parameter

Refusal = Callable[[str, str, tuple[str, str] | None], str]
"""Makes a page of a title, a sentence, and a link to go on."""


class Guard:
    """Lets only its own browser's requests through to an application."""

    def __init__(self, app: ASGIApp, *, token: str, port: int, refusal: Refusal) -> None:
        self._app = app
        self._token = token
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._cookie = f"tokentrail-{port}"
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] != "http":
            return
        answer = self._answer(Request(scope)) or self._app
        await answer(scope, receive, _sealed(send))

    def _answer(self, request: Request) -> Response | None:
        """Refuse, or trade the token for the cookie; `None` lets the request through."""
        if request.headers.get("host", "").lower() not in self._hosts:
            return PlainTextResponse(
                "This is TokenTrail's console; it answers to its own address only.\n", 421
            )
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Nothing here can be changed.\n", 405, {"Allow": "GET, HEAD"})
        if len(request.url.path) + len(request.url.query) > _LONGEST:
            return PlainTextResponse("The address is too long.\n", 414)
        if not self._own(request):
            return self._foreign(request)
        given = request.query_params.get(TOKEN)
        if given is not None and self._known(given):
            return self._admitted(request)
        if self._known(request.cookies.get(self._cookie, "")) or self._known(_bearer(request)):
            return None
        told = "Open the address that `tokentrail serve` printed: it lets this browser in. Each start has another one."
        return HTMLResponse(self._refusal("Who is asking?", told, None), 403)

    def _own(self, request: Request) -> bool:
        """Whether a request comes from one of our pages, or from a person's own hand."""
        origin = request.headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            return False
        return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")

    def _foreign(self, request: Request) -> Response:
        """Refuse what another site's page asks for; a person who followed a link from there may go on by hand."""
        if (
            request.headers.get("sec-fetch-mode") != "navigate"
            or request.headers.get("sec-fetch-dest") != "document"
        ):
            return PlainTextResponse("Another site's page may ask nothing here.\n", 403)
        onward = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        told = "A link on another site led here. Go on if you meant to."
        return HTMLResponse(
            self._refusal("From another site", told, ("Go on", "/" + onward.lstrip("/"))), 403
        )

    def _known(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _admitted(self, request: Request) -> Response:
        """Give the cookie, and send the browser to the same view without the token."""
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != TOKEN]
        path = "/" + request.url.path.lstrip("/")
        answer = RedirectResponse(f"{path}?{urlencode(rest)}" if rest else path, 303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return answer


def _bearer(request: Request) -> str:
    """The token as a program gives it, which keeps no cookies."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else ""


def _sealed(send: Send) -> Send:
    """Put the headers on every answer."""

    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sealed
