"""
Requests, answers and the like that Security Lake's Parquet tells member by member, by dotted names.

What they become is worked out once for all that have the same names: a template, into which their values are put.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from tokentrail.events.carriers.known import Known
from tokentrail.events.carriers.ocsf_plain import parts
from tokentrail.events.carriers.slim import encode
from tokentrail.events.carriers.table import NUMBERS, number

Names = tuple[str, ...]
_TEXT = f"VALUE{secrets.token_hex(8)}"
_NUMBER = (secrets.randbelow(1 << 30) + (1 << 30)) * 1_000_000
"""Stand for values, with their places behind them; nobody outside knows them, so that no name can hold one."""
_COUNTS = frozenset(f"additionalEventData.{name}" for name in NUMBERS)
_MOST = 100
_LONGEST = 1 << 12


class Told(NamedTuple):
    """Members of a record, as JSON."""

    text: str
    """Each with a comma before it."""
    heads: frozenset[str]
    """Their names."""


class _Template(NamedTuple):
    text: str
    """With `%s` for each value."""
    order: tuple[int, ...]
    """The place of each of these values among all."""
    counts: tuple[int, ...]
    """The places of those that become numbers."""
    heads: frozenset[str]


def told(names: Names, values: Sequence[Any]) -> Told:
    """What members say, by their dotted names, none of which stands there twice."""
    template = _templates[names]
    if template is None:
        return _said(names, values)
    spelled = [encode(value).decode() for value in values]
    for at in template.counts:
        spelled[at] = _counted(values[at])
    return Told(template.text % tuple([spelled[at] for at in template.order]), template.heads)


def _said(names: Names, values: Sequence[Any]) -> Told:
    made = parts(zip(names, values, strict=True))
    text = "".join([f',"{name}":{bytes(value).decode()}' for name, value in made.items()])
    return Told(text, frozenset(made))


def _counted(value: Any) -> str:
    return encode(number(value) if isinstance(value, str) else value).decode()


def _template(names: Names) -> _Template | None:
    """The template of some names; `None` where one says the same as another, or they take more thought."""
    if len(names) > _MOST or _size(names) > _LONGEST or any("[" in name for name in names):
        return None
    counts = tuple(at for at, name in enumerate(names) if name in _COUNTS)
    stand_ins = [str(_NUMBER + at) if at in counts else f"{_TEXT}{at:03}" for at in range(len(names))]
    text, heads = _said(names, stand_ins)
    places = {_counted(one) if at in counts else encode(one).decode(): at for at, one in enumerate(stand_ins)}
    if any(text.count(one) != 1 for one in places):
        return None
    cut = re.split(f"({'|'.join(map(re.escape, places))})", text) if places else [text]
    order = tuple(places[one] for one in cut[1::2])
    return _Template("%s".join(one.replace("%", "%%") for one in cut[::2]), order, counts, heads)


def _size(names: Names) -> int:
    return sum(map(len, names))


_templates = Known(_template, _size)
