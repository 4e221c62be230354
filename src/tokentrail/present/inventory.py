"""
The inventory as text: two lines for a credential, so that every id, name and time stands whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len

from tokentrail.lineage.model import Credential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.paper import COLUMNS, Paper, Part, pad
from tokentrail.present.safe import safe

_ID, _KIND, _STATE = 22, 28, 9
_HEADINGS = (
    pad("CREDENTIAL", _ID) + pad("KIND", _KIND) + pad("STATE", _STATE) + "PRINCIPAL",
    "    " + pad("ISSUED", 22) + pad("  UNTIL (<= AT THE LATEST)", 26) + pad("EVENTS", 10, right=True) + "  PARENT",
)


def write_inventory(credentials: Iterable[Credential], paper: Paper) -> int:
    """
    Write the table, a credential at a time.

    Returns:
        How many there were.
    """
    count = 0
    for count, one in enumerate(credentials, 1):
        if count == 1:
            for heading in _HEADINGS:
                paper.line((heading, "bold"))
        _entry(one, paper)
    return count


def _entry(one: Credential, paper: Paper) -> None:
    shown_id = safe(one.id)
    gap = max(_ID - cell_len(shown_id), 1) * " "
    named = words.principal(one.principal or one.principal_id)
    account: list[Part] = [(f"{one.account} ", "dim")] if one.account else []
    state: Part = (pad(one.state, _STATE), words.STYLES[one.state])
    paper.line((shown_id, "bold"), gap, pad(one.kind, _KIND), state, *account, named)
    issued = timestamp(one.issued_at) if one.issued_at else "-"
    events = pad(f"{one.events:,}", 10, right=True)
    above = one.parent if one.parent else f"none ({one.origin})"
    paper.line(f"    {pad(issued, 22)}{pad(words.until(one), 26)}{events}  {safe(above)}")


assert len(_HEADINGS[1]) <= COLUMNS  # noqa: S101
