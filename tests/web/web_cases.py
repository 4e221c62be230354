"""What the tests of the console share: a console that really listens, and a plain way to ask it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from patience import PATIENCE
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.web.console_queries import ConsoleQueries
from tokentrail.web.server import listening, server

TOKEN = "the-token-of-the-tests"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Served:
    """A console that listens."""

    port: int

    @property
    def start(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"tokentrail-{self.port}={TOKEN}"}

    def ask(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        """Ask with these headers and no others but Host."""
        door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        given = dict(headers or {})
        door.putrequest(method, path, skip_host="Host" in given, skip_accept_encoding=True)
        for name, value in given.items():
            door.putheader(name, value)
        door.endheaders()
        came = door.getresponse()
        answer = Answer(came.status, {k.lower(): v for k, v in came.getheaders()}, came.read().decode())
        door.close()
        return answer

    def get(self, path: str, **query: str) -> Answer:
        """Ask as the browser that was let in."""
        return self.ask(f"{path}?{urlencode(query)}" if query else path, self.cookie)


@contextmanager
def console(case: Path, snapshots: tuple[Snapshot, ...] = ()) -> Iterator[Served]:
    """A console over a case, on a port of its own."""
    answers = ConsoleQueries(case, snapshots)
    door = listening_anywhere()
    port = door.getsockname()[1]
    running = server(answers, TOKEN, port)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    try:
        yield Served(port)
    finally:
        running.should_exit = True
        thread.join(PATIENCE)
        door.close()
        answers.close()


def listening_anywhere() -> Any:
    """A socket as `serve` opens it, at any free port."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    return listening(port)
