"""A bucket over a wire that can fail: slow down, cut connections, let credentials expire, lose objects."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from tokentrail import Case
from tokentrail.results import IngestSummary
from tokentrail.sources.interface import Access, Wanted

BUCKET = "logs"


@dataclass(frozen=True)
class Request:
    """A request on the wire."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def operation(self) -> str:
        """The operation of a service that speaks JSON; empty for others."""
        return self.headers.get("X-Amz-Target", "").rpartition(".")[2]

    @property
    def json(self) -> Any:
        """What is asked of such a service."""
        return json.loads(self.content)

    @property
    def key(self) -> str:
        """The object that is meant; empty for a listing."""
        return unquote(urlsplit(self.path).path.removeprefix(f"/{BUCKET}").removeprefix("/"))

    @property
    def asked(self) -> dict[str, str]:
        return {
            name: values[0]
            for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()
        }

    @property
    def reads(self) -> bool:
        """Whether it reads a whole object, or the rest of one, and is no mere probe."""
        return self.method == "GET" and bool(self.key) and self.headers.get("Range") != "bytes=0-0"


@dataclass(frozen=True)
class Refusal:
    """An answer instead of the bucket's own."""

    status: int
    code: str
    message: str = "no"

    def json(self) -> bytes:
        return json.dumps({"__type": self.code, "message": self.message}).encode()

    def xml(self) -> bytes:
        return f"<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>".encode()


@dataclass(frozen=True)
class Answer:
    """An answer of a service that moto does not know."""

    content: Any
    """JSON, or XML as text."""

    def body(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else json.dumps(self.content).encode()

    @property
    def kind(self) -> str:
        return "text/xml" if isinstance(self.content, str) else "application/x-amz-json-1.1"


@dataclass(frozen=True)
class Cut:
    """The bucket's own answer, but for a connection that breaks after so many bytes of it."""

    after: int


Fault = Callable[[Request], "Refusal | Cut | Answer | None"]


class Wire:
    """An HTTP proxy in front of moto that does what a test's `fault` says."""

    def __init__(self, upstream: str) -> None:
        self.fault: Fault = lambda _: None
        self.requests: list[Request] = []
        self.busy = 0
        """Requests that are being answered."""
        self._lock = threading.Lock()
        self._upstream = urlsplit(upstream).netloc
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = (
                True  # else each answer waits for the acknowledgement of its own headers
            )

            def handle_one_request(self) -> None:
                with suppress(ConnectionError):
                    super().handle_one_request()

            def do_GET(self) -> None:
                wire._count(1)
                try:
                    wire._answer(self)
                finally:
                    wire._count(-1)

            do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - as the standard library wants them

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def _count(self, more: int) -> None:
        with self._lock:
            self.busy += more

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        content = handler.rfile.read(length)
        if len(content) < length:
            raise ConnectionError  # whoever asked was killed at it: moto would wait for the rest for ever
        request = Request(handler.command, handler.path, dict(handler.headers.items()), content)
        self.requests.append(request)
        fault = self.fault(request)
        if isinstance(fault, Refusal):
            body = fault.json() if request.operation else fault.xml()
            if request.path == "/" and not request.operation:  # STS and EC2 wrap their errors
                body = b"<ErrorResponse>" + body + b"</ErrorResponse>"
            self._send(handler, fault.status, {"Content-Type": "application/xml"}, body)
            return
        if isinstance(fault, Answer):
            self._send(handler, 200, {"Content-Type": fault.kind}, fault.body())
            return
        status, headers, body = self._upstream_answer(request, content)
        if isinstance(fault, Cut):
            self._send(handler, status, headers, body, fault.after)
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        self._send(handler, status, headers, body)

    def _upstream_answer(self, request: Request, content: bytes) -> tuple[int, HTTPMessage, bytes]:
        connection = HTTPConnection(self._upstream)
        try:
            connection.request(request.method, request.path, content or None, dict(request.headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: Any,
        body: bytes,
        until: int | None = None,
    ) -> None:
        handler.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                handler.send_header(name, value)
        length = headers.get("Content-Length") if handler.command == "HEAD" else len(body)
        handler.send_header("Content-Length", str(length or 0))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body[:until])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Cloud:
    """The bucket, the wire to it, and a folder for cases."""

    wire: Wire
    client: Any
    folder: Path
    case: Path = field(init=False)

    def __post_init__(self) -> None:
        self.case = self.folder / "case"

    @property
    def access(self) -> Access:
        return Access(endpoint_url=self.wire.url)

    def put(self, key: str, content: bytes, **metadata: Any) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, **metadata)

    def stock(self, objects: Mapping[str, bytes]) -> None:
        """Have many objects in the bucket at once, without a request for each; they are served as all others are."""
        there = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for key, content in objects.items():
            there.put_object(BUCKET, key, content)

    def put_folder(self, folder: Path, prefix: str = "") -> list[str]:
        """Copy files of a folder into the bucket; their keys."""
        keys = []
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                keys.append(prefix + path.relative_to(folder).as_posix())
                self.put(keys[-1], path.read_bytes())
        return keys

    def ingest(
        self, prefix: str = "", *, access: Access | None = None, workers: int = 1, **wanted: Any
    ) -> IngestSummary:
        with Case.open(self.case) as case:
            return case.ingest(
                [f"s3://{BUCKET}/{prefix}"],
                access=[access or self.access],
                wanted=Wanted(**wanted),
                workers=workers,
            )

    def fetched(self) -> list[str]:
        """Keys of objects that were read, each as often as it was."""
        return [one.key for one in self.wire.requests if one.reads]

    def listed(self) -> list[str]:
        """Prefixes that were listed."""
        return [one.asked.get("prefix", "") for one in self.wire.requests if "list-type" in one.asked]
