"""Expanding evidence."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import Any
from unittest import mock

import pytest
from events_cases import gzipped
from hypothesis import given, settings
from hypothesis import strategies as st

from tokentrail.events import gunzip
from tokentrail.events.gunzip import Expanded, expand

TEXT = random.Random(1).randbytes(150_000).hex().encode()


def test_plain_bytes_are_handed_back() -> None:
    """What is no gzip is handed back as it came."""
    assert Expanded(b"{}", None) == expand(b"{}")


@pytest.mark.parametrize("size", [0, 1, 100, 300_000])
def test_one_member(size: int) -> None:
    """A single member of any size is expanded."""
    assert Expanded(TEXT[:size], None) == expand(gzipped(TEXT[:size]))


def test_several_members_are_joined() -> None:
    """All members of a file are read, not just the first."""
    data = b"".join(gzipped(TEXT[at : at + 100_000]) for at in range(0, 300_000, 100_000))

    assert Expanded(TEXT, None) == expand(data)


def test_zero_padding_is_forgiven() -> None:
    """Zeros after and between members are padding."""
    assert Expanded(TEXT, None) == expand(gzipped(TEXT) + b"\0" * 512)


def test_zeroes_between_members_are_padding() -> None:
    """What follows padding is read, a member whose checksum is wrong before it or not."""
    packed = bytearray(gzipped(TEXT))
    packed[-8] ^= 1

    assert Expanded(TEXT + b"next", None) == expand(gzipped(TEXT) + bytes(9) + gzipped(b"next"))
    assert TEXT + b"next" == expand(bytes(packed) + bytes(9) + gzipped(b"next")).data


@pytest.mark.parametrize("window", [1, 7, 1 << 14])
def test_what_follows_a_member_is_not_copied_with_each(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later member is found and read whole by looking at little more than itself, however little that is at once."""
    looked_at = []
    monkeypatch.setattr(gunzip, "_WINDOW", window)
    start = gunzip.isal_zlib.decompressobj

    class Counted:
        """A stream that notes how many bytes it is given."""

        def __init__(self, bits: int) -> None:
            self._stream = start(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            """Expand some."""
            looked_at.append(len(data))
            return self._stream.decompress(data, most)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

    monkeypatch.setattr(gunzip.isal_zlib, "decompressobj", Counted)
    data = gzipped(TEXT[:9_999]) * 300
    damaged = bytearray(data)
    damaged[len(data) // 300 - 8] ^= 1

    assert TEXT[:9_999] * 300 == expand(data).data == expand(bytes(damaged)).data
    assert sum(looked_at) < 10 * len(data)


def test_trailing_bytes_are_named() -> None:
    """Bytes after the last member that are no gzip are named, and what stands before them is kept."""
    found = expand(gzipped(TEXT) + b"garbage")

    assert found.data == TEXT
    assert "follow the last one" in (found.broken or "")


@pytest.mark.parametrize("cut", [9, 40, 5_000, 100_000])
def test_a_truncated_member_keeps_what_came_before(cut: int) -> None:
    """A member cut off anywhere yields a prefix of its text and says so."""
    found = expand(gzipped(TEXT)[:-cut])

    assert "truncated gzip" == found.broken
    assert TEXT.startswith(found.data)
    assert len(found.data) > len(TEXT) - 4 * cut - 1000


def test_a_wrong_checksum_keeps_everything() -> None:
    """A wrong checksum is named; the text, and the members after it, are kept."""
    packed = bytearray(gzipped(TEXT))
    packed[-8] ^= 1
    found = expand(bytes(packed) + gzipped(b"next"))

    assert TEXT + b"next" == found.data
    assert "corrupt gzip" in (found.broken or "")


def test_a_wrong_checksum_after_a_long_header() -> None:
    """A header with a file name, a comment, extra data and a checksum of its own is skipped whole."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(TEXT) + deflate.flush()
    header = b"\x1f\x8b\x08\x1f" + bytes(6) + b"\x02\0ab" + b"name\0" + b"comment\0" + b"\0\0"
    found = expand(header + body + bytes(8))

    assert TEXT == found.data
    assert "corrupt gzip" in (found.broken or "")


def test_corruption_in_the_middle_keeps_a_prefix() -> None:
    """Damage inside the stream costs what follows it, not what stands before it."""
    packed = bytearray(
        gzip.compress(TEXT, 0, mtime=0)
    )  # stored blocks: damage to a block's header is found at once
    packed[100_000:100_400] = b"\xff" * 400
    found = expand(bytes(packed))

    assert found.broken is not None
    assert len(found.data) >= 60_000
    assert TEXT[:60_000] == found.data[:60_000]


def test_a_bomb_stops_at_the_bound() -> None:
    """A file that expands beyond the bound is cut there and the bound is named."""
    found = expand(gzipped(bytes(10_000_000)), bound=1_000_000)

    assert 1_000_000 == len(found.data)
    assert "bound of 1000000" in (found.broken or "")


def test_many_small_members_share_the_bound() -> None:
    """The bound is for the whole object, however many members it has."""
    found = expand(gzipped(bytes(1_000)) * 2_000, bound=100_000)

    assert 100_000 == len(found.data)
    assert "bound" in (found.broken or "")


def test_text_of_exactly_the_bound_is_whole() -> None:
    """The bound itself is still within bounds."""
    assert Expanded(TEXT, None) == expand(gzipped(TEXT), bound=len(TEXT))


@given(
    st.lists(st.binary(max_size=400), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=6)), max_size=2),
    st.binary(max_size=9),
    st.integers(0, 900),
)
@settings(max_examples=60)
def test_what_is_tried_as_a_single_member_is_told_as_all_else_is(
    texts: list[bytes], changes: list[tuple[int, bytes]], behind: bytes, bound: int
) -> None:
    """Of sound and damaged bytes, one member or several, whatever follows and whatever their last bytes claim."""
    data = b"".join(map(gzipped, texts)) + behind
    for at, put in changes:
        data = data[:at] + put + data[at + len(put) :]
    told = expand(data, bound=bound)
    with mock.patch.object(gunzip, "_SMALL", -1):
        assert told == expand(data, bound=bound)


@pytest.mark.parametrize("claimed", [0, 1, len(TEXT) - 1, len(TEXT) + 1, 0xFFFFFFFF])
def test_a_member_that_claims_another_size_keeps_everything(claimed: int) -> None:
    """The claim is checked, not believed."""
    found = expand(gzipped(TEXT)[:-4] + claimed.to_bytes(4, "little"))

    assert found.data == TEXT
    assert "corrupt gzip" in (found.broken or "")
