"""
The moments at which a policy's own dates change what it does: calls between two of them need not be told apart.

Source: IAM User Guide, 'IAM JSON policy elements: Condition operators' (dates and numbers compare by order), and
'AWS global condition context keys' (`aws:CurrentTime`, `aws:EpochTime`, `aws:TokenIssueTime`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tokentrail.policy.language.conditions import compared_seconds
from tokentrail.policy.language.documents import Statement

ChangePoints = Mapping[str, Sequence[int]]
"""By column of seconds: the seconds from which on a policy may do something else, in order."""

_COLUMNS = {"aws:currenttime": "time", "aws:epochtime": "time", "aws:tokenissuetime": "created"}
_MOST = 64
"""Change points of a column, at most: with more, the query would cost more than it saves."""


def change_points_of(statements: Iterable[Statement]) -> ChangePoints:
    """The change points of a policy: only of columns whose seconds it compares with dates alone, and with few."""
    found: dict[str, set[int]] = {}
    otherwise: set[str] = set()
    for one in statements:
        texts = list(one.resources.patterns)
        for condition in one.conditions:
            texts += condition.values
            column = _COLUMNS.get(condition.key)
            if column is None:
                continue
            dates = compared_seconds(condition)
            if dates is None:
                otherwise.add(column)
            else:
                found.setdefault(column, set()).update(dates)
        otherwise |= {
            column
            for key, column in _COLUMNS.items()
            for text in texts
            if "${" in text and key in text.casefold()
        }
    return {
        column: sorted(at) for column, at in found.items() if column not in otherwise and len(at) <= _MOST
    }


def period_start(seconds: str, at: Sequence[int]) -> str:
    """An SQL expression for the change point at or before a second, which stands for all seconds up to the next one."""
    before = at[0] - 1 if at else 0
    steps = "".join(f", CASE WHEN {seconds} >= {one} THEN {one} END" for one in at)
    return f"CASE WHEN {seconds} IS NULL THEN NULL ELSE greatest({before}{steps}) END"
