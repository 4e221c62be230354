"""
Which records of a native file are worth decoding, and of those no more than what somebody looks at.

`native/sift.h` is the hot loop, where it was compiled; without it the same is told of each record's spelled members.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import msgspec

Bar: TypeAlias = tuple[str, float]
"""`<`, `<=`, `>` or `>=`, and a number."""


class Need(NamedTuple):
    """What a record must hold to meet a question."""

    question: int
    """Its number."""
    member: str
    """Of the record."""
    words: tuple[bytes, ...]
    """In small letters; one of them must stand in the member."""
    bar: Bar | None = None
    """Where given, the word must be the name of a number on that side of it."""
    other: str | None = None
    """Where given, the word is the name of texts in this member, of which one must stand in the first."""


Needs: TypeAlias = Sequence[Need]
"""Of several needs of one question, every one counts."""
WAYS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
"""How numbers are compared with a bar."""
_decode = msgspec.json.Decoder().decode
_ECHOES = 64
"""Texts of one name that are looked for elsewhere: past that, the question stays open."""
_CALLER = "userIdentity"
"""The member that is the same in many records."""


@lru_cache(maxsize=1 << 10)
def _decode_caller(raw: bytes) -> Any:
    return _decode(raw)


class Sifted:
    """The records of a file that were asked for."""

    def __init__(self, data: bytes, found: tuple[int, bytes, bytes], members: tuple[str, ...]) -> None:
        self.count, self.masks, spans = found
        self._data = data
        self._spans = memoryview(spans).cast("q")
        self._places = {name: 2 * place for place, name in enumerate(members)}

    def record(self, place: int) -> SiftedRecord:
        """The members of one of them that are looked at."""
        return SiftedRecord(self, place * 2 * len(self._places))

    def value(self, start: int, name: str) -> Any:
        """Decode a member."""
        at = start + self._places[name]
        raw = self._data[self._spans[at] : self._spans[at + 1]]
        if not raw:
            return None
        return _decode_caller(raw) if name == _CALLER else _decode(raw)


class SiftedRecord:
    """Some members of a record, each decoded when it is first looked at."""

    def __init__(self, of: Sifted, start: int) -> None:
        self._of, self._start = of, start

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = self._of.value(self._start, name)
        return value


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Needs as the compiled way wants them."""

    words: tuple[bytes, ...]
    needs: tuple[tuple[int, int, int, int, str, float, int], ...]


class Sieve:
    """Sifts the records of native files by what questions need."""

    def __init__(self, members: Iterable[str], needs: Needs) -> None:
        self.members = tuple(members)
        self._needs = tuple(needs)
        self._names = tuple(name.encode() for name in self.members)
        self._compiled: dict[int, _Compiled] = {}

    def sift(self, data: bytes, ordinals: bytes, masks: bytes, columns: int, bits: int) -> Sifted | None:
        """
        Look at some records of a file in one go; `None` where nothing was compiled or the file needs more care.

        Args:
            data: The expanded file.
            ordinals: The records, climbing, 32 bits each.
            masks: The questions that each is asked, as bits of `columns` numbers of 64 bits.
            columns: How many.
            bits: How many bits of each number count.
        """
        if _sift is None:
            return None
        made = self._compiled.get(bits) or self._compile(bits)
        found = _sift(data, ordinals, masks, columns, self._names, made.words, made.needs)
        return None if found is None else Sifted(data, found, self.members)

    def _compile(self, bits: int) -> _Compiled:
        words: list[bytes] = []
        needs = []
        for question, member, some, bar, other in self._needs:
            words += some
            place = -1 if other is None else self.members.index(other)
            needs.append(
                (*divmod(question, bits), self.members.index(member), len(words), *(bar or ("", 0.0)), place)
            )
        made = self._compiled[bits] = _Compiled(tuple(words), tuple(needs))
        return made

    def left(self, mask: int, spelled: Callable[[str], bytes]) -> int:
        """The questions that a record may meet, by the text of its members."""
        told: dict[str, bytes | None] = {}

        def text_of(member: str) -> bytes | None:
            if member not in told:
                told[member] = _plain(spelled(member))
            return told[member]

        for question, member, words, bar, other in self._needs:
            text = text_of(member) if mask >> question & 1 else None
            if text is None:
                continue
            if other is not None:
                open_ = (source := text_of(other)) is None or any(
                    _echoes(word, source, text) for word in words
                )
            else:
                open_ = any(_stands(word, text, bar) for word in words)
            if not open_:
                mask &= ~(1 << question)
        return mask


def _stands(word: bytes, text: bytes, bar: Bar | None) -> bool:
    """Whether a word stands in a text; with a bar, as the name of what may be a number on that side of it."""
    if bar is None:
        return word in text
    way, number = bar
    return any(
        found[2] is None or WAYS[way](float(found[2]), number) for found in _numbers(word).finditer(text)
    )


def _echoes(name: bytes, source: bytes, text: bytes) -> bool:
    """Whether a text that bears a name may stand in another: what is no text may, or what can be spelled otherwise."""
    texts = [found[1] for found in _named(name).finditer(source) if found[2] is None and found[1] != b""]
    if b"\\" in text or None in texts or len(texts) > _ECHOES:
        return True
    return any(one in text for one in texts)


@lru_cache(maxsize=1 << 8)
def _named(name: bytes) -> re.Pattern[bytes]:
    """Finds a name, with the text behind it where that is a plain and not a very long one, or null."""
    spelled = rb'"%b"[ \n\r\t]*:[ \n\r\t]*(?:"([^"\\]{0,2048})"|(n)|)'
    return re.compile(spelled % re.escape(name))


@lru_cache(maxsize=1 << 8)
def _numbers(name: bytes) -> re.Pattern[bytes]:
    """Finds a name, with the number behind it where that is a plain one."""
    spelled = rb'"%b"(?:[ \n\r\t]*:[ \n\r\t]*("?)([0-9]{1,15})\1[ \n\r\t]*[,}])?'
    return re.compile(spelled % re.escape(name))


def _plain(raw: bytes) -> bytes | None:
    """A text in small letters; `None` where letters may be spelled in more than one way."""
    return raw.lower() if raw.isascii() and b"\\u" not in raw else None


def _compiled_sift() -> Callable[..., tuple[int, bytes, bytes] | None] | None:
    try:
        from tokentrail.events._scan import sift
    except ImportError:  # no compiler was there when it was installed
        return None
    return sift


_sift = _compiled_sift()
