"""What the tests of the server for assistants share: the SDK's own client over standard input and output."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters, stdio_client, types

from patience import PATIENCE
from tokentrail.mcp.answer import UNTRUSTED


@dataclass(frozen=True)
class Assistant:
    """A client that a server of its own answers."""

    client: Client
    portal: BlockingPortal

    def call(self, tool: str, **arguments: Any) -> types.CallToolResult:
        """Call a tool."""

        async def called() -> types.CallToolResult:
            return await self.client.call_tool(tool, arguments, read_timeout_seconds=PATIENCE)

        return self.portal.call(called)

    def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers; its text is the same document."""
        came = self.call(tool, **arguments)
        (text,) = came.content
        assert isinstance(text, types.TextContent)
        assert not came.is_error, text.text
        assert came.structured_content is not None and json.loads(text.text) == came.structured_content
        return came.structured_content

    def refusal(self, tool: str, **arguments: Any) -> str:
        """Why a tool does not answer; that is marked as evidence, too."""
        came = self.call(tool, **arguments)
        (text,) = came.content
        assert came.is_error and isinstance(text, types.TextContent)
        why, _, marked = text.text.rpartition("\n")
        assert marked == UNTRUSTED
        return why

    def every(self, tool: str, **arguments: Any) -> list[Any]:
        """All items of an answer, page by page."""
        found: list[Any] = []
        offset: int | None = 0
        while offset is not None:
            one = self.ask(tool, offset=offset, **arguments)
            found += one["items"]
            offset = one["page"]["next_offset"]
            assert one["page"]["more"] is (offset is not None)
        return found

    def tools(self) -> list[types.Tool]:
        """What the server says that can be asked."""

        async def listed() -> types.ListToolsResult:
            return await self.client.list_tools()

        return self.portal.call(listed).tools


@contextmanager
def assistant(case: Path, *options: str) -> Iterator[Assistant]:
    """An assistant that has started the server over a case."""
    arguments = ["-m", "tokentrail", "mcp", "--case", str(case), *options]
    server = StdioServerParameters(command=sys.executable, args=arguments)
    with start_blocking_portal() as portal:
        client = Client(stdio_client(server))
        with portal.wrap_async_context_manager(client):
            yield Assistant(client, portal)


def content(folder: Path) -> dict[str, str]:
    """The hash of every file in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
