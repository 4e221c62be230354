"""
Read the query of an address: subjects, the time, what narrows the answer. Its names are those of the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar, get_args

from starlette.datastructures import QueryParams

from tokentrail.containment.model import Strategy
from tokentrail.detection.model import SEVERITIES, Severity
from tokentrail.errors import UsageError
from tokentrail.lineage.model import Kind, State
from tokentrail.present.document import Document, moment
from tokentrail.present.html.branch import Part
from tokentrail.present.html.console import STORY, Query
from tokentrail.report_data import Question

_LIST = ("search", "state", "kind", "sort", "severity", "account", "under", "of", "find")
_PAGES_OWN = ("step", "sift", "marked")
"""Names that a page's script keeps in its address for itself."""
_ASKED = frozenset([*STORY, *_LIST, *_PAGES_OWN, "as_of", "at", "page", "token"])
Word = TypeVar("Word", bound=str)
Sort = Literal["credential", "kind", "state", "of", "issued", "ends", "calls"]
"""The columns by which credentials are sorted, each in the order that is asked for most: the most calls first."""
PAGE = 200
"""How many lines of a list are on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFilter:
    """What is searched for in the list of credentials."""

    search: str | None
    state: State | None
    kind: Kind | None
    sort: Sort | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingWish:
    """Which findings are listed."""

    severity: Severity | None
    account: str | None

    def fits(self, finding: Document) -> bool:
        """Whether a finding is of the severity and account."""
        return (self.severity is None or finding.get("severity") == self.severity) and (
            self.account is None or self.account in (finding.get("accounts") or ())
        )


def understood(query: QueryParams) -> None:
    """
    Refuse unknown names in a query: if `as-of` for `as_of` were ignored, the answer would be about another time.

    Raises:
        UsageError: there is an unknown name.
    """
    for name in query:
        if name not in _ASKED:
            near = name.replace("-", "_")
            meant = f" Ask for {near}=." if near in _ASKED else ""
            raise UsageError(f"{name!r} is nothing that can be asked.{meant}")


def as_of(query: QueryParams) -> datetime | None:
    """
    Read the time as of which to answer; `at` is the slider's, in seconds since 1970.

    Raises:
        UsageError: it is no time.
    """
    text = query.get("as_of") or None
    if text is None and query.get("at"):
        try:
            return datetime.fromtimestamp(int(query["at"]), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise UsageError(f"{query['at']!r} is no time.") from error
    if text == "now":
        return datetime.now(UTC).replace(microsecond=0)
    return moment(text) if text else None


def question(query: QueryParams) -> Question:
    """
    Read a question about a subject.

    Raises:
        UsageError: there is no subject, or a time or strategy can't be read.
    """
    subjects = _many(query, "subject")
    if not subjects:
        raise UsageError("no subject was named: a key id, ARN, address, instance or event.")
    since = query.get("since") or None
    return Question(
        subjects=subjects,
        as_of=as_of(query),
        since=moment(since) if since else None,
        source_ips=_networks(query, "source_ip"),
        trusted_ips=_networks(query, "trusted_ip"),
        strategy=_one_of(query, "strategy", get_args(Strategy)) or "standard",
    )


def wish(query: QueryParams) -> CredentialFilter:
    """
    Read what is searched for in the list of credentials.

    Raises:
        UsageError: there is no such state or kind.
    """
    return CredentialFilter(
        search=query.get("search") or None,
        state=_one_of(query, "state", get_args(State)),
        kind=_one_of(query, "kind", get_args(Kind)),
        sort=_one_of(query, "sort", get_args(Sort)),
    )


def finding_wish(query: QueryParams) -> FindingWish:
    """
    Read which findings are listed.

    Raises:
        UsageError: there is no such severity.
    """
    return FindingWish(
        severity=_one_of(query, "severity", SEVERITIES), account=query.get("account", "").strip() or None
    )


def part(query: QueryParams) -> Part:
    """Read which part of a lineage is asked for."""
    return Part(
        under=query.get("under") or None,
        kind=query.get("kind") or None,
        of=query.get("of") or None,
        find=query.get("find", "").strip(),
    )


def page(query: QueryParams) -> int:
    """Read which page of a list is asked for."""
    text = query.get("page", "1")
    return max(int(text[:9]), 1) if text.isdecimal() else 1


def kept(query: QueryParams, *, story: bool) -> Query:
    """The query without the time, in a fixed order, to be part of the view's address."""
    names = STORY if story else ()
    given = [(name, value) for name in (*names, *_LIST) for value in query.getlist(name) if value]
    return (*given, *((("page", str(page(query))),) if page(query) > 1 else ()))


def _many(query: QueryParams, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.strip() for one in query.getlist(name) if one.strip()))


def _networks(query: QueryParams, name: str) -> tuple[str, ...]:
    """Read addresses and networks, several in one field separated by spaces or commas."""
    return tuple(dict.fromkeys(part for one in _many(query, name) for part in one.replace(",", " ").split()))


def _one_of(query: QueryParams, name: str, known: Sequence[Word]) -> Word | None:
    given = query.get(name) or None
    if given is None:
        return None
    found = next((one for one in known if one == given), None)
    if found is None:
        raise UsageError(f"{name}: {given!r} is none of {', '.join(known)}.")
    return found
