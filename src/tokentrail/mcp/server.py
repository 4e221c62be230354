"""
The server: the protocol over standard input and output, until the assistant closes it.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

from tokentrail import __version__
from tokentrail.errors import TokenTrailError, UsageError
from tokentrail.formatting import joined
from tokentrail.mcp import questions as asked
from tokentrail.mcp.answer import UNTRUSTED
from tokentrail.mcp.tools import CaseTools
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present.document import Document
from tokentrail.present.safe import ELLIPSIS, safe

TOOLS: dict[str, tuple[type[asked.Question], Callable[[CaseTools, Any], Document]]] = {
    "leads": (asked.LeadsQuestion, CaseTools.leads),
    "trace": (asked.TraceQuestion, CaseTools.trace),
    "timeline": (asked.TimelineQuestion, CaseTools.timeline),
    "credential": (asked.CredentialQuestion, CaseTools.credential),
    "event": (asked.EventQuestion, CaseTools.event),
    "detect": (asked.DetectQuestion, CaseTools.detect),
    "plan": (asked.PlanQuestion, CaseTools.plan),
    "status": (asked.StatusQuestion, CaseTools.status),
    "explain": (asked.ExplainQuestion, CaseTools.explain),
}
"""What can be asked, in the order in which one would."""
INSTRUCTIONS = f"""\
One case of AWS CloudTrail evidence: which credential came from which, which still work, what looks stolen, and what
ends all of the attacker's credentials and nobody else's. Read-only; nothing here changes the case or AWS.
Start with `leads` (or `detect`), `trace` what they name, then `plan`. `credential`, `timeline` and `event` show more of
one thing, `status` what the evidence covers, `explain` what a word means.
Cite the event ids of `events`. Tell what `inferred` and `missing` say: it is part of the answer.
Where `page.more` is true, ask again with `offset` = `page.next_offset`. `cut` tells what was shortened.
{UNTRUSTED}
"""
_JUDGEMENTS = frozenset({"detect", "leads"})
_JUDGED_AHEAD = 3_000_000
"""Records up to which the newest evidence is judged when the server starts: a million take some ten seconds."""
_LONGEST_ERROR = 2_000
_PATIENCE = 2.0
"""Seconds that a question under way gets when the assistant has gone."""


def listing() -> list[types.Tool]:
    """The tools as an assistant is told of them."""
    hints = types.ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    return [
        types.Tool(
            name=name, description=inspect.getdoc(kind), input_schema=asked.schema(kind), annotations=hints
        )
        for name, (kind, _) in TOOLS.items()
    ]


def told(tools: CaseTools, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
    """The answer to one call of a tool; where there is none, why, and what to do next."""
    try:
        if name not in TOOLS:
            raise UsageError(f"there is no tool {name[:80]!r}. The tools are {joined(TOOLS)}.")
        kind, ask = TOOLS[name]
        found = ask(tools, asked.read(kind, arguments))
    except TokenTrailError as error:
        return _refused(str(error))
    except Exception as error:  # noqa: BLE001  # the outermost loop: the next question must be answered
        sys.stderr.writelines(f"{safe(line)}\n" for line in traceback.format_exc().splitlines())
        return _refused(
            f"A fault in TokenTrail itself: {type(error).__name__}. The server's standard error shows more; the other "
            "tools still answer."
        )
    text = types.TextContent(type="text", text=json.dumps(found))
    return types.CallToolResult(content=[text], structured_content=found)


def _refused(why: str) -> types.CallToolResult:
    shown = safe(why)
    shown = shown if len(shown) <= _LONGEST_ERROR else shown[: _LONGEST_ERROR - 1] + ELLIPSIS
    text = types.TextContent(type="text", text=f"{shown}\n{UNTRUSTED}")  # it may name what the evidence names
    return types.CallToolResult(content=[text], is_error=True)


class Desk:
    """A thread, and a case that it alone uses: there are two, so that whoever asks need not wait for a judgement."""

    def __init__(self, tools: CaseTools) -> None:
        self._tools = tools
        self._pool = ThreadPoolExecutor(1, "case")

    async def answer(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """Answer a question, once those before it are answered."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, told, self._tools, name, arguments)

    def prepare(self) -> None:
        """Open the case, and load what plans need, before anybody asks."""
        self._pool.submit(_prepare, self._tools)

    def judge_ahead(self) -> None:
        """Judge the newest evidence before anybody asks, unless there is so much that it should be asked for."""
        self._pool.submit(_judge_ahead, self._tools)

    def close(self) -> Future[None]:
        """Close the case, with what was derived for a while, once what is under way has ended."""
        ended = self._pool.submit(self._tools.close)
        self._pool.shutdown(wait=False)
        return ended


def _prepare(tools: CaseTools) -> None:
    importlib.import_module("tokentrail.case.planning")
    with suppress(TokenTrailError):  # told when it is asked for
        tools.status(asked.StatusQuestion())


def _judge_ahead(tools: CaseTools) -> None:
    with suppress(TokenTrailError):  # told when it is asked for
        if tools.status(asked.StatusQuestion())["records"] <= _JUDGED_AHEAD:
            tools.leads(asked.LeadsQuestion())
            tools.detect(asked.DetectQuestion())


def built(quick: Desk, judging: Desk) -> Server[dict[str, Any]]:
    """Build the server."""

    async def list_tools(
        _: ServerRequestContext[dict[str, Any]], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listing())

    async def call_tool(
        _: ServerRequestContext[dict[str, Any]], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        desk = judging if params.name in _JUDGEMENTS else quick
        return await desk.answer(params.name, params.arguments or {})

    return Server(
        "tokentrail", version=__version__, title="TokenTrail", instructions=INSTRUCTIONS,
        on_list_tools=list_tools, on_call_tool=call_tool,
    )  # fmt: skip


def serve(folder: Path | str, as_of: datetime | None, snapshots: Sequence[Snapshot] = ()) -> None:
    """
    Answer an assistant's questions about a case until it closes standard input.

    Args:
        folder: The case; there need be none yet.
        as_of: The moment of answers to questions that name none.
        snapshots: IAM snapshots, by whose trust policies and permissions plans are proven.
    """
    quick, judging = (Desk(CaseTools(folder, as_of, snapshots)) for _ in range(2))

    def leave(signum: int, _: FrameType | None) -> None:
        """End at once: what reads standard input would wait for more, whatever is asked of it."""
        _closed(quick, judging)
        os._exit(128 + signum)

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, leave)
    quick.prepare()
    judging.judge_ahead()
    try:
        asyncio.run(_until_closed(built(quick, judging)))
    finally:
        if not _closed(quick, judging):  # Python would wait until the question under way is answered
            os._exit(0)


def _closed(*desks: Desk) -> bool:
    """Close what can be closed soon, and tell whether that was all."""
    ended = [one.close() for one in desks]
    sys.stderr.flush()
    return not wait(ended, _PATIENCE).not_done


async def _until_closed(server: Server[dict[str, Any]]) -> None:
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
