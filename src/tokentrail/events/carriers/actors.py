"""
Rebuild `userIdentity` of OCSF actors by templates.

Most actors differ only in the access key id and the second at which the session began. So the identity is built once
with stand-ins for these, and the template is filled in for each actor.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tokentrail.events.carriers import ocsf
from tokentrail.events.carriers.known import Known
from tokentrail.events.loose import FAILURES

KEY = f"KEY{secrets.token_hex(8)}"
"""The stand-in for an access key id: random, so that no evidence can contain it."""
BEGAN = (secrets.randbelow(1 << 30) + (1 << 30)) * 1000
"""The stand-in for the time at which a session began, in milliseconds since 1970."""
_BEGAN_AT = ocsf.moment(BEGAN, None) or ""
_KEY_AT = re.compile(rb'"credential_uid":"([0-9A-Za-z]+)"')
_TIME_AT = re.compile(rb'"created_time":([0-9]{12,13})(?=[,}])')
_TEXT_AT = re.compile(rb'"created_time_dt":"([0-9TZ:.+-]*)"')
_decode_told = msgspec.json.Decoder(tuple[tuple[str, Any], ...]).decode

Told = Sequence[tuple[str, Any]]


class Filled(NamedTuple):
    """The values for a template: an access key id, and when the session began in milliseconds; `None` for neither."""

    key: str | None
    milliseconds: int | None


def template(actor: Any, told: Told, filled: Filled) -> str | None:
    """
    The identity of an actor with stand-ins; `None` unless each of these occurs in it exactly once.

    Args:
        actor: The actor, with stand-ins.
        told: What the event says of it elsewhere: names and values.
        filled: What will be filled in; only whether each value is there matters.
    """
    text = bytes(ocsf.who(actor, tuple(told))).decode()
    if text.count(KEY) != (filled.key is not None):
        return None
    return text if text.count(_BEGAN_AT) == (filled.milliseconds is not None) else None


def fill(text: str, filled: Filled) -> str | None:
    """Fill in a template; `None` if the values are unusual, so that the identity must be built without one."""
    if filled.key is not None:
        if not (filled.key.isascii() and filled.key.isalnum()):
            return None
        text = text.replace(KEY, filled.key)
    if filled.milliseconds is not None:
        began = ocsf.moment(filled.milliseconds, None)
        if began is None:
            return None
        text = text.replace(_BEGAN_AT, began)
    return text


def _identity(pair: tuple[bytes, bytes]) -> msgspec.Raw:
    """The identity of an actor and of what the event says of it elsewhere, both as JSON."""
    actor, told = pair
    key, began = _KEY_AT.search(actor), _TIME_AT.search(actor)
    filled = Filled(key[1].decode() if key else None, int(began[1]) if began else None)
    general = actor
    if began:
        general = _TIME_AT.sub(
            b'"created_time":%d' % (BEGAN), _TEXT_AT.sub(b'"created_time_dt":""', general), 1
        )
    if key:
        general = _KEY_AT.sub(b'"credential_uid":"%b"' % KEY.encode(), general, 1)
    text = _templates[general, told, filled.key is not None, filled.milliseconds is not None]
    made = fill(text, filled) if text is not None else None
    return ocsf.who(actor, _decode_told(told)) if made is None else msgspec.Raw(made.encode())


def _template(key: tuple[bytes, bytes, bool, bool]) -> str | None:
    actor, told, has_key, has_time = key
    return template(actor, _decode_told(told), Filled("" if has_key else None, 0 if has_time else None))


def _size(key: tuple[Any, ...]) -> int:
    return len(key[0]) + len(key[1])


_HOLES = re.compile(f"({KEY}|{_BEGAN_AT})".encode())
STAND_INS = f'"{KEY}"'.encode(), str(BEGAN).encode()
"""The stand-ins as they are spelled in the JSON of an actor."""


def pieces(actor: bytes, told: bytes, has_key: int, has_time: int) -> tuple[tuple[bytes, ...], bytes] | None:
    """
    The template of an actor with `STAND_INS`, cut into pieces for the compiled way.

    Returns:
        The pieces, and for each place between two of them what is filled in: `k` for the key, `t` for the time.
    """
    try:
        text = _template((actor, told, bool(has_key), bool(has_time)))
    except FAILURES:
        return None
    if text is None:
        return None
    cut = _HOLES.split(text.encode())
    return tuple(cut[::2]), b"".join(b"k" if hole == KEY.encode() else b"t" for hole in cut[1::2])


_templates: Known[str | None] = Known(_template, _size)
IDENTITIES: Known[msgspec.Raw] = Known(_identity, _size)
"""The identities, by an actor and by what the event says of it elsewhere, both as JSON."""
