"""Whom a trust or resource policy lets in, as far as a finding needs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

_ACCOUNT = re.compile(r"^(?:arn:[\w-]+:(?:iam|sts)::)?(\d{12})(?::|$)")
ANYBODY = "*"


def let_in(document: str | None) -> set[str]:
    """The accounts that a policy allows in, and `*` for anybody; services and identity providers are none."""
    try:
        read = json.loads(unquote(document) if document and document.startswith("%") else document or "{}")
    except ValueError:
        return set()
    found: set[str] = set()
    for statement in _listed(read.get("Statement") if isinstance(read, dict) else None):
        if isinstance(statement, dict) and statement.get("Effect") == "Allow":
            found |= set(_accounts(statement))
    return found


def _accounts(statement: dict[str, Any]) -> Iterator[str]:
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    for one in _listed(named):
        if one == ANYBODY and not statement.get("Condition"):
            yield ANYBODY
        elif isinstance(one, str) and (account := _ACCOUNT.match(one)):
            yield account[1]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
