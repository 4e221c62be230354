"""Who may ask the console: the browser that was given the start address, and no other page, name, user or method."""

from __future__ import annotations

import socket
from pathlib import Path
from unittest import mock

import pytest
from web_cases import TOKEN, Served

from tokentrail.errors import UsageError
from tokentrail.web.console_queries import ConsoleQueries
from tokentrail.web.guard import HEADERS
from tokentrail.web.server import listening, serve

PATHS = (
    "/",
    "/start.json",
    "/trace?subject=AKIA",
    "/plan.json",
    "/record/00/1",
    "/event/x",
    "/nothing",
    "//x",
)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_without_the_token(served: Served, told: object, path: str) -> None:
    """No view, no twin and no unknown address says anything of the case, nor whether it exists."""
    for headers in ({}, {"Cookie": f"tokentrail-{served.port}=wrong"}, {"Authorization": "Bearer wrong"}):
        answer = served.ask(path, headers)
        assert answer.status == 403
        assert "tokentrail serve" in answer.text
        assert "set-cookie" not in answer.headers


def test_the_token_becomes_a_cookie_that_no_script_reads(served: Served) -> None:
    """The start address sends on to the same view without the token, and sets a strict cookie."""
    answer = served.ask(f"/credentials?state=active&token={TOKEN}")
    cookie = answer.headers["set-cookie"].lower()
    assert (answer.status, answer.headers["location"]) == (303, "/credentials?state=active")
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
    assert (
        served.ask("/credentials?state=active", {"Cookie": answer.headers["set-cookie"].split(";")[0]}).status
        == 200
    )


def test_the_token_sends_nobody_elsewhere(served: Served) -> None:
    """A path that looks like another host leads to this one."""
    answer = served.ask(f"//evil.example/?token={TOKEN}")
    assert answer.headers["location"].startswith("/") and not answer.headers["location"].startswith("//")


def test_a_program_gives_the_token_as_a_bearer(served: Served) -> None:
    """A twin can be fetched without cookies."""
    answer = served.ask("/evidence.json", {"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200 and answer.json["records"] > 1000


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_another_name_for_this_machine_gets_nothing(served: Served, host: str) -> None:
    """A name that was made to point to loopback (DNS rebinding) is refused, cookie or not."""
    answer = served.ask("/start.json", {"Host": host.format(port=served.port), **served.cookie})
    assert answer.status == 421 and "case_id" not in answer.text


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
])  # fmt: skip
def test_another_site_s_page_may_ask_nothing(served: Served, headers: dict[str, str]) -> None:
    """Not even with the cookie, nor with the token itself."""
    for path in ("/start.json", f"/?token={TOKEN}"):
        answer = served.ask(path, headers | served.cookie)
        assert answer.status == 403 and "case_id" not in answer.text and "set-cookie" not in answer.headers


def test_a_link_from_elsewhere_asks_before_it_leads_in(served: Served) -> None:
    """A person who follows a link from a ticket may go on; the address stays this machine's."""
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = served.ask("/trace?subject=AKIA%22%3E&as_of=x", elsewhere | served.cookie)
    assert answer.status == 403
    assert 'href="/trace?subject=AKIA%22%3E&amp;as_of=x"' in answer.text
    assert 'href="/evil.example"' in served.ask("//evil.example", elsewhere | served.cookie).text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_can_be_changed(served: Served, method: str) -> None:
    """No method that changes anything is let through, at any address."""
    for path in ("/", "/plan.json", "/trace"):
        assert served.ask(path, served.cookie, method).status in (400, 405)


def test_every_answer_is_sealed(served: Served) -> None:
    """Pages, twins, refusals and redirects all carry the headers."""
    asked = [served.get("/"), served.get("/evidence.json"), served.get("/nothing"), served.ask("/"),
             served.ask(f"/?token={TOKEN}"), served.ask("/", {"Host": "evil.example"}),
             served.get("/favicon.ico")]  # fmt: skip
    assert [one.status for one in asked] == [200, 200, 404, 403, 303, 421, 204]
    for one in asked:
        assert {name.lower(): value for name, value in HEADERS.items()}.items() <= one.headers.items()
        assert "server" not in one.headers or "uvicorn" not in one.headers["server"]


def test_a_page_s_policy_allows_nothing_but_our_own(served: Served) -> None:
    """Each HTML page forbids all but its own style and script, by hash, and forms to itself."""
    for path in ("/", "/credentials", "/trace?subject=nobody"):
        policy = served.get(path).text.split('Content-Security-Policy" content="')[1].split('"')[0]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy and "http" not in policy and "form-action 'self'" in policy


def test_an_endless_address_is_refused(served: Served) -> None:
    """Before anything looks at it."""
    assert served.get("/credentials", search="a" * 9000).status == 414


def test_it_listens_on_loopback_alone() -> None:
    """Whatever the port, the socket is bound to 127.0.0.1."""
    with listening(None) as one, listening(None) as other:
        assert one.getsockname()[0] == other.getsockname()[0] == "127.0.0.1"
        assert one.getsockname()[1] != other.getsockname()[1]


def test_a_port_that_is_taken_is_said(served: Served) -> None:
    """A port asked for by number is that one or none."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="Give another"):
        listening(taken.getsockname()[1])


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_when_told_to_whatever_is_being_worked_out(
    busy: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python waits for threads: Ctrl-C ended it no sooner than the question under way was answered."""
    ended: list[int] = []

    def stopped(answers: ConsoleQueries, *_: object) -> mock.Mock:
        if busy:
            answers.turn.acquire()
        return mock.Mock(run=mock.Mock(side_effect=KeyboardInterrupt))

    monkeypatch.setattr("tokentrail.web.server.server", stopped)
    monkeypatch.setattr("tokentrail.web.server.os._exit", ended.append)
    with pytest.raises(KeyboardInterrupt):
        serve(folder, None, None, lambda _: None)
    assert ended == [0] * busy
