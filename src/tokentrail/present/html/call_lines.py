"""
The calls of a trace for a page: the lines to show, and how dense the calls of each bar are.

A page has room for about a thousand lines. Calls that mint, make, change or fail come first; of the others, similar
calls in a row become one line, and what does not fit is counted. A report has room for more lines than a page of a
console, where all calls are a click away.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokentrail.lineage.model import CallLines
from tokentrail.present.html.rows import Row
from tokentrail.present.html.window import Window
from tokentrail.present.text.timeline_text import RUN
from tokentrail.present.views.report import Calls

ROOM, LIVE_ROOM = 1500, 300
"""Lines of either sort that a report has room for, and a page of a console."""
TELLING = (
    "Assume|Create|Put|Attach|Detach|Delete|Update|Add|Remove|Set|Modify|Authorize|Enable|Disable|Stop|Run|Invoke|"
    "Get(SessionToken|FederationToken|SecretValue|PasswordData|SigninToken|CallerIdentity|RoleCredentials)|"
    "ConsoleLogin|SwitchRole|StartSession|GetParameter"
)
BIN = 3.0
"""Width of a tick's place, in the picture's units."""


def read(calls: Calls, room: int = ROOM) -> CallLines:
    """Choose the calls that a page tells."""
    return calls.lines(telling=TELLING, room=room, run=RUN)


def tick(calls: Calls, rows: Sequence[Row], window: Window) -> None:
    """Give the picture's lines their ticks."""
    of = {one.id: row for row in rows for one in row.members}
    places = (window.right - window.left) / BIN
    for one in calls.ticks(start=window.start, end=window.end, places=places):
        row = of.get(one.credential)
        if row is not None:
            ticks = row.bad if one.failed else row.good
            ticks[one.place] = ticks.get(one.place, 0) + one.count
