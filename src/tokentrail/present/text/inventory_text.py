"""
The inventory as text: two lines for a credential, or three, so that every id, name and time stands whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len

from tokentrail.lineage.model import Credential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.safe import safe
from tokentrail.present.text.text_writer import Part, TextWriter, pad

_ID, _KIND, _STATE, _TIME, _NAME = 21, 26, 8, 21, 42
_HEADINGS = (
    f"{'CREDENTIAL':<{_ID}}{'KIND':<{_KIND}}{'STATE':<{_STATE}}{'ISSUED':<{_TIME}}  UNTIL",
    f"    {'PRINCIPAL':<{_NAME}}{'EVENTS':>9}  PARENT",
)


def write_inventory(credentials: Iterable[Credential], writer: TextWriter) -> int:
    """
    Write the table, a credential at a time.

    Returns:
        How many there were.
    """
    count = 0
    for count, one in enumerate(credentials, 1):
        if count == 1:
            for heading in _HEADINGS:
                writer.line((heading, "bold"))
        _entry(one, writer)
    if not count:
        writer.wrapped(
            "No credential in the evidence fits. --principal takes a whole ARN, --account an account's id."
        )
    return count


def _entry(one: Credential, writer: TextWriter) -> None:
    shown_id = safe(one.id)
    if cell_len(shown_id) >= _ID:
        writer.line((shown_id, "bold"))
        shown_id = ""
    issued = timestamp(one.issued_at) if one.issued_at else "-"
    state: Part = (pad(one.state, _STATE), words.STYLES[one.state])
    writer.line(
        (pad(shown_id, _ID), "bold"), pad(one.kind, _KIND), state, pad(issued, _TIME), words.until(one)
    )
    name = safe(f"{one.account or '-'} {words.principal(one.principal or one.principal_id)}")
    if cell_len(name) >= _NAME:
        writer.wrapped(name, first="    ")
        name = ""
    above = one.parent or f"none ({one.origin})"
    writer.line(f"    {pad(name, _NAME)}{one.events:>9,}  {safe(above)}")
