"""What stand-ins for services that take queries share: asking one for some keys, and what is compared of a trace."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from cloud_cases import Answer, Cloud, Cut, Refusal, Request

from tokentrail import Case
from tokentrail.results import IngestSummary
from tokentrail.sources.interface import Queries, Wanted
from tokentrail.testing.names import Json

ROW = 1000
"""Bytes of a record, as the stand-ins count what was scanned."""


@dataclass
class Asked:
    """A service that holds records, for a wire's `fault`."""

    cloud: Cloud
    records: list[Json]
    _: KW_ONLY
    texts: list[str] = field(default_factory=list)
    """The queries that were started."""
    rows: int = 0
    """Rows that were returned."""
    refuse: Any = None
    slow: tuple[str, ...] = ()
    """Queries that never end by themselves."""
    stopped: list[str] = field(default_factory=list)
    page: int = 1000
    source: ClassVar[str]
    """What is asked, as a user names it."""
    target: ClassVar[str]
    """What the names of the service's operations begin with on the wire."""

    def __post_init__(self) -> None:
        self.cloud.wire.fault = self

    def __call__(self, request: Request) -> Refusal | Cut | Answer | None:
        """Each operation is a method of its name."""
        if not request.headers.get("X-Amz-Target", "").startswith(self.target):
            return None
        asked = request.json
        if self.refuse and (refusal := self.refuse(request.operation, asked)):
            return refusal
        return getattr(self, re.sub(r"(?<!^)(?=[A-Z])", "_", request.operation).lower())(asked)

    def ingest(self, *subjects: str, queries: Queries | None = None, **wanted: Any) -> IngestSummary:
        """Ask for some keys, over all that there is."""
        moments = [datetime.fromisoformat(one["eventTime"]) for one in self.records]
        bounds = {
            "since": min(moments) - timedelta(hours=1),
            "until": max(moments) + timedelta(hours=1),
        } | wanted
        with Case.open(self.cloud.case) as case:
            return case.ingest(
                [self.source], access=[self.cloud.access], workers=1,
                wanted=Wanted(subjects=subjects, queries=queries or Queries(), **bounds),
            )  # fmt: skip


def lineage(case: Case, key: str, **options: Any) -> dict[str, tuple[Any, ...]]:
    """Who is in a trace, below whom and why, and in what state."""
    return {
        one.id: (one.parent, one.parent_link, one.state, one.ended_by)
        for one in case.trace([key], **options).credentials
    }


def followed(found: dict[str, tuple[Any, ...]], subject: str) -> dict[str, tuple[Any, ...]]:
    """
    A subject's lineage without what can't be asked for, and what is in it by way of that alone.

    These are sessions of roles and machines that it made or started, sessions whose issuing call no log shows, and who
    is inferred to have made a call of which the record names the principal of another account and no key.
    Which session created a key is seen in that call alone, which may not tell its id. Where services made calls for a
    session under other key ids, which are not asked for, its parent is matched with them, and else recorded.
    """
    found = {
        key: (None, None, *one[2:])
        if one[1] in ("created", "inferred") and not key.startswith("AKIA")
        else one
        for key, one in found.items()
    }
    line = {subject}
    while (above := found.get(subject, (None,))[0]) in found.keys() - line:
        line.add(subject := above)
    while more := {key for key, (parent, *_) in found.items() if parent in line} - line:
        line |= more
    found = {key: one for key, one in found.items() if key in line}
    makers = {
        parent
        for _, (parent, link, *_) in found.items()
        if link == "created"
        and parent
        and not parent.startswith("AKIA")
        and found.get(parent, (1,))[0] is None
    }
    return {
        key: (None if one[0] in makers else one[0], "recorded" if one[1] == "matched" else one[1], *one[2:])
        for key, one in found.items()
        if key not in makers
    }
