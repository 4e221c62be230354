"""
Recognise ids that the evidence masks, and tell apart whom they hide by what else a record says.

Published and shared evidence often hides access key ids and principal ids: `AKIA****************`, `XXXXXXXX`,
`[REDACTED:AWS_ACCESS_KEY]`, `REDACTED_TEMPORARY_ACCESS_KEY`. Such a text is no id: many credentials share one. AWS's
own ids are capital letters and digits (IAM User Guide, 'IAM identifiers', 'Understanding unique ID prefixes'), and an
access key id has 16 to 128 word characters (IAM API Reference, 'AccessKey').
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from tokentrail.events.bearer import BEARER_KEY
from tokentrail.events.values import HIDDEN

MASKED_KEY, MASKED_SESSION, _MASKED_PRINCIPAL = "masked-key:", "masked-session:", "masked-id/"
"""How stand-ins begin; AWS writes neither a colon nor a stroke nor small letters in ids of its own."""
MASKED = "masked in the evidence: many credentials may share it, so that it is no id"
"""Why a masked id is left out, as `status --rejected` lists it."""
MASK_IDS = "mask access key ids or principal ids"
"""What a sentence about records that do so says of them."""
_MASK = re.compile(
    # A mask's characters.
    r"[*•●█■▪#<>\[\](){}$…]|\.{3}|_{3}|-{3}"
    # Chance puts six X in a row into one real id of a hundred million.
    r"|X{6}|^(?:A[A-Z]{3})?X{2,}$"
    # All have at least six letters, or one that no id has.
    r"|redact|masked|hidden|censor|saniti[sz]|anonym|obfuscat|placeholder|scrubbed|key_?id|access_?key|secret",
    re.IGNORECASE | re.MULTILINE,
)
_LONG_TERM, _TEMPORARY = "AKIA", "ASIA"
_SESSIONS = frozenset({"AssumedRole", "Role", "FederatedUser"})
_NAMED = _SESSIONS | {"IAMUser", "Root"}
"""Types of identities whose principal ids AWS makes; a federated person's is what the provider says."""
_KEY_IN_JSON = re.compile(r'"accessKeyId":"((?:[^"\\]|\\.)*)"')
_ARN = re.compile(
    r"arn:[^:]*:(?:iam|sts):[^:]*:([^:]*):(user|assumed-role|role|federated-user)/(.+)", re.DOTALL
)
Column: TypeAlias = "Sequence[str | None]"


def is_masked(text: str | None) -> bool:
    """Whether a text stands where an id was hidden."""
    return bool(text) and _MASK.search(text or "") is not None


def is_stand_in(text: str | None) -> bool:
    """
    Whether a text was put in place of an id that the evidence masks or does not show, so that AWS knows no such id.

    By `key_ids`, `principal_ids` or `bearer.stand_ins`, or since a secret in it was hidden.
    """
    stands_in = (MASKED_KEY, MASKED_SESSION, _MASKED_PRINCIPAL, BEARER_KEY)
    return text is not None and (text.startswith(stands_in) or HIDDEN in text)


def any_masked(texts: Column) -> bool:
    """Whether any of many ids may be masked: they are searched at once, in a tenth of the time."""
    return _MASK.search("\n".join(filter(None, texts))) is not None


def key_ids(keys: Column, principals: Column, kinds: Column, created: Column) -> tuple[Column, list[int]]:
    """
    The access key ids of callers, with stand-ins for masked ones, and the places of these.

    A session is told by its principal and its creation date, and needs no key id: it has none. A long-term key, and a
    session whose date is not told, are told by their principal alone: one for each principal.
    """
    if not any_masked(keys):
        return keys, []
    masked = [place for place, key in enumerate(keys) if is_masked(key)]
    found = list(keys)
    for place in masked:
        found[place] = _key_stand_in(
            keys[place] or "", principals[place], kinds[place] in _SESSIONS, created[place] is not None
        )
    return found, masked


def _key_stand_in(key: str, principal: str | None, session: bool, dated: bool) -> str | None:
    prefix = key[: len(_LONG_TERM)].upper()
    if principal is None or (dated and (session or prefix != _LONG_TERM)):
        return None
    return f"{MASKED_SESSION if session or prefix == _TEMPORARY else MASKED_KEY}{principal}"


def principal_ids(ids: Column, arns: Column, kinds: Column | None = None) -> tuple[Column, list[int]]:
    """
    Principal ids with stand-ins made of ARNs for masked ones, and the places of these.

    Args:
        ids: The ids.
        arns: The ARNs of users and sessions that have them.
        kinds: The types of the identities; `None` for ids in answers of STS, all of which AWS makes.
    """
    if not any_masked(ids):
        return ids, []
    masked = [
        place
        for place, one in enumerate(ids)
        if is_masked((one or "").partition(":")[0]) and (kinds is None or kinds[place] in _NAMED)
    ]
    found = list(ids)
    for place in masked:
        found[place] = _principal_stand_in(ids[place] or "", arns[place])
    return found, masked


def _principal_stand_in(masked: str, arn: str | None) -> str | None:
    """What tells a principal apart whose id is masked: account and name, and a session's name behind a colon."""
    found = _ARN.fullmatch(arn or "")
    if found is None:
        return None
    account, kind, name = found.groups()
    if kind != "assumed-role":
        return f"{_MASKED_PRINCIPAL}{account}/{kind}/{name}"
    role, _, session = name.partition("/")
    session = session or masked.partition(":")[2]
    return f"{_MASKED_PRINCIPAL}{account}/role/{role}" + (f":{session}" if session else "")


def issued_key_ids(keys: Column) -> tuple[Column, list[int]]:
    """The key ids of issued credentials, with `None` for masked ones, and the places of these."""
    if not any_masked(keys):
        return keys, []
    masked = [place for place, one in enumerate(keys) if is_masked(one)]
    hidden = frozenset(masked)
    return [None if place in hidden else one for place, one in enumerate(keys)], masked


def named_key_ids(texts: Column) -> tuple[Column, list[int]]:
    """
    JSON texts of requests or answers without masked key ids, and the places of those that had one.

    What happened to a key whose id is masked happened to none that is known.
    """
    masked = [
        place
        for place, text in enumerate(texts)
        if text and '"accessKeyId":"' in text and any(map(is_masked, _KEY_IN_JSON.findall(text)))
    ]
    found = list(texts)
    for place in masked:
        try:
            left = msgspec.json.decode(texts[place] or "")
            _remove_masked(left)
            found[place] = msgspec.json.encode(left).decode() if left else None
        except RecursionError:  # IAM takes no request that nests so deeply
            found[place] = None
    return found, masked


def _remove_masked(value: Any) -> None:
    """Remove masked key ids wherever they stand in decoded JSON, however deep."""
    inside = [value]
    while inside:
        one = inside.pop()
        if isinstance(one, dict):
            key = one.get("accessKeyId")
            if isinstance(key, str) and is_masked(key):
                del one["accessKeyId"]
        inside += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
