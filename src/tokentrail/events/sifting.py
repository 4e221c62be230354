"""
Find the records of a native log file that may meet some questions, and decode only those members that are looked at.

Sigma rules are such questions. `native/sift.c` is the hot loop, if it was compiled; `Sieve.left` decides the same from
the text of a single record's members.
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
"""A comparison: `<`, `<=`, `>` or `>=`, and a number."""


class Need(NamedTuple):
    """What a record must have to meet a question; if a question has several needs, all of them count."""

    question: int
    """The number of the question."""
    member: str
    """The name of a member of the record."""
    words: tuple[bytes, ...]
    """Words in lower case, one of which the member's text must contain."""
    bar: Bar | None = None
    """If given, the word must be the name of a member whose number fulfils this comparison."""
    other: str | None = None
    """If given, the word is the name of a member within this one; its text must be contained in `member`."""


Needs: TypeAlias = Sequence[Need]
"""The needs of all questions."""
WAYS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
"""The comparisons of a `Bar`."""
_decode = msgspec.json.Decoder().decode
_ECHOES = 64
"""Texts of one name that are looked for in another member, at most: with more, the record may meet the question."""
_CALLER = "userIdentity"
"""A member that is the same in many records, so that decoded values are cached."""


@lru_cache(maxsize=1 << 10)
def _decode_caller(raw: bytes) -> Any:
    return _decode(raw)


class Sifted:
    """
    The records of a file that may meet a question.

    Args:
        data: The expanded file.
        found: How many records these are; for each the questions that it may meet; and the spans of their members.
        members: The names of the members that have spans.
    """

    def __init__(self, data: bytes, found: tuple[int, bytes, bytes], members: tuple[str, ...]) -> None:
        self.count, self.masks, spans = found
        self._data = data
        self._spans = memoryview(spans).cast("q")
        self._places = {name: 2 * place for place, name in enumerate(members)}

    def record(self, place: int) -> SiftedRecord:
        """One of the records, by its position among them."""
        return SiftedRecord(self, place * 2 * len(self._places))

    def value(self, start: int, name: str) -> Any:
        """Decode a member of the record whose spans begin at a position; `None` if it has none."""
        at = start + self._places[name]
        raw = self._data[self._spans[at] : self._spans[at + 1]]
        if not raw:
            return None
        return _decode_caller(raw) if name == _CALLER else _decode(raw)


class SiftedRecord:
    """A record: its members are attributes, each of which is decoded when it is first used."""

    def __init__(self, of: Sifted, start: int) -> None:
        self._of, self._start = of, start

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = self._of.value(self._start, name)
        return value


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Needs in the form that the compiled way takes."""

    words: tuple[bytes, ...]
    needs: tuple[tuple[int, int, int, int, str, float, int], ...]


class Sieve:
    """
    Sifts the records of native log files by the needs of questions.

    Args:
        members: The names of the members that will be looked at.
        needs: The needs of all questions.
    """

    def __init__(self, members: Iterable[str], needs: Needs) -> None:
        self.members = tuple(members)
        self._needs = tuple(needs)
        self._names = tuple(name.encode() for name in self.members)
        self._compiled: dict[int, _Compiled] = {}

    def sift(self, data: bytes, ordinals: bytes, masks: bytes, columns: int, bits: int) -> Sifted | None:
        """
        Sift some records of a file; `None` if there is no compiled way, or the file needs more care.

        Args:
            data: The expanded file.
            ordinals: The ordinals of the records, ascending, 32 bits each.
            masks: For each record, the questions to ask of it: `columns` numbers of 64 bits, with a bit for each.
            columns: How many numbers each record has.
            bits: How many bits of each number are used.
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
        """
        The questions, of those in `mask`, that a record may meet.

        Args:
            mask: A bit for each question.
            spelled: Returns the text of a member of the record.
        """
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
    """Whether a text contains a word; with a bar, as a name of what is no plain number or fulfils the comparison."""
    if bar is None:
        return word in text
    way, number = bar
    return any(
        found[2] is None or WAYS[way](float(found[2]), number) for found in _numbers(word).finditer(text)
    )


def _echoes(name: bytes, source: bytes, text: bytes) -> bool:
    """Whether `text` may contain a text that has a name in `source`; that is also so if one can't be compared."""
    texts = [found[1] for found in _named(name).finditer(source) if found[2] is None and found[1] != b""]
    if b"\\" in text or None in texts or len(texts) > _ECHOES:
        return True
    return any(one in text for one in texts)


@lru_cache(maxsize=1 << 8)
def _named(name: bytes) -> re.Pattern[bytes]:
    """Finds a member's name, with its text if that is plain and not very long, or with a mark if it is null."""
    spelled = rb'"%b"[ \n\r\t]*:[ \n\r\t]*(?:"([^"\\]{0,2048})"|(n)|)'
    return re.compile(spelled % re.escape(name))


@lru_cache(maxsize=1 << 8)
def _numbers(name: bytes) -> re.Pattern[bytes]:
    """Finds a member's name, with its number if that is a plain one."""
    spelled = rb'"%b"(?:[ \n\r\t]*:[ \n\r\t]*("?)([0-9]{1,15})\1[ \n\r\t]*[,}])?'
    return re.compile(spelled % re.escape(name))


def _plain(raw: bytes) -> bytes | None:
    """A text in lower case; `None` if its letters may be spelled in other ways too."""
    return raw.lower() if raw.isascii() and b"\\u" not in raw else None


def _compiled_sift() -> Callable[..., tuple[int, bytes, bytes] | None] | None:
    try:
        from tokentrail.events._scan import sift
    except ImportError:  # no compiler was there when it was installed
        return None
    return sift


_sift = _compiled_sift()
