"""Records as an attacker who may write into a log would have them: what one says, another one says as well."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from tokentrail.testing.names import Json

_LEFT = frozenset({"eventVersion", "userAgent", "awsRegion"})
"""What no credential depends on."""
_ODD: Sequence[Any] = ("", None, 1, [], ["x"], {}, "@", "AKIA", "ASIA", "ASIAX", "'; --")


def forged(records: Sequence[Json], seed: int, share: float) -> list[Json]:
    """The records, of which some have members of others' or what is no value of theirs, or come again with less."""
    chance = random.Random(seed)
    found = copy.deepcopy(list(records))
    said: dict[tuple[str, ...], list[Any]] = {}
    for one in found:
        for path, value in _members(one):
            said.setdefault(path, []).append(value)
    paths = [path for path in said if path[-1] not in _LEFT]
    words = [value for path in paths for value in said[path] if isinstance(value, str)]
    for one in found:
        if chance.random() < share:
            for _ in range(chance.randint(1, 3)):
                path = chance.choice(paths)
                _put(one, path, _false(chance, said[path], words))
            if chance.random() < 0.3:
                _shift(one, chance.choice((-2, -1, 1, 2)))
    return [*found, *_less(found, chance, share)]


def _false(chance: random.Random, said: Sequence[Any], words: Sequence[str]) -> Any:
    """What another record says there, or elsewhere, or two run together, or one in the other case, or what is no value."""
    kind = chance.random()
    if kind < 0.7:
        return chance.choice(said)
    if kind < 0.8:
        return chance.choice(words)
    if kind < 0.85:
        return f"{chance.choice(words)}@{chance.choice(words)}"
    return chance.choice(words).swapcase() if kind < 0.9 else chance.choice(_ODD)


def _less(records: Sequence[Json], chance: random.Random, share: float) -> Iterator[Json]:
    """Some of the records once more, as a source that leaves a member out has them."""
    for one in records:
        if chance.random() < share / 3:
            again = copy.deepcopy(one)
            path, _ = chance.choice([*_members(again)])
            if path[-1] not in ("eventID", *_LEFT):
                _drop(again, path)
                yield again


def _shift(one: Json, seconds: int) -> None:
    """Move the time of a session, or else of the event, a little."""
    dated = dict(_members(one)).get(("userIdentity", "sessionContext", "attributes", "creationDate"))
    holder, name = (
        (one, "eventTime")
        if dated is None
        else (one["userIdentity"]["sessionContext"]["attributes"], "creationDate")
    )
    with suppress(ValueError, TypeError):
        moved = datetime.fromisoformat(holder[name]) + timedelta(seconds=seconds)
        holder[name] = moved.strftime("%Y-%m-%dT%H:%M:%SZ")


def _drop(one: Any, path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        one = one[name]
    del one[path[-1]]


def _members(one: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in one.items():
        if isinstance(value, dict):
            yield from _members(value, (*path, name))
        else:
            yield (*path, name), value


def _put(one: Any, path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        one = one.setdefault(name, {})
        if not isinstance(one, dict):
            return
    one[path[-1]] = value
