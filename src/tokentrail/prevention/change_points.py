"""
The moments at which a policy's own dates change what it does: calls between two of them need not be told apart.

Source: IAM User Guide, 'IAM JSON policy elements: Condition operators' (dates and numbers compare by order), and
'AWS global condition context keys' (`aws:CurrentTime`, `aws:EpochTime`, `aws:TokenIssueTime`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from tokentrail.policy.conditions import Condition
from tokentrail.policy.document import Statement
from tokentrail.policy.operators import instant, wanted

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
            dates = _dates(condition)
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


def _dates(condition: Condition) -> set[int] | None:
    """The whole seconds at which a condition's result may change; `None` if it does more than compare by order."""
    asked = wanted(condition.operator)
    if asked is None or asked.operator.name == "Null":
        return set()  # undecided, or the same at every time
    if not (asked.operator.date or asked.operator.name.startswith("Numeric")):
        return None
    if any("${" in value for value in condition.values):
        return None
    moments = [moment for value in condition.values if (moment := instant(value)) is not None]
    if len(moments) < len(condition.values):
        return None
    whole = {math.floor(moment) for moment in moments if abs(moment) < 1 << 53}
    return whole | {one + 1 for one in whole}


def period_start(seconds: str, at: Sequence[int]) -> str:
    """An SQL expression for the change point at or before a second, which stands for all seconds up to the next one."""
    before = at[0] - 1 if at else 0
    steps = "".join(f", CASE WHEN {seconds} >= {one} THEN {one} END" for one in at)
    return f"CASE WHEN {seconds} IS NULL THEN NULL ELSE greatest({before}{steps}) END"
