"""Compressed streams and archives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from events_cases import ingest, native, raw
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events.kernel import Segment
from tokentrail.events.split import trim
from tokentrail.testing.wrapped import tarred, zipped

ONE, TWO, THREE = raw(eventName="One"), raw(eventName="Two"), raw(eventName="Three")


def zstd(data: bytes, codec: str = "zstd") -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, codec) as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


def names(data: bytes) -> tuple[list[str], list[str]]:
    """The names of the calls read, in order of ordinals, and the reasons of what was not."""
    (summary,), rows = ingest(data)
    assert summary.records == len(rows["events"])
    assert (
        list(range(len(rows["events"]))) == sorted(one["ordinal"] for one in rows["events"])
        or rows["rejected"]
    )
    ordered = sorted(rows["events"], key=lambda one: one["ordinal"])
    return [one["name"] for one in ordered], [one["reason"] for one in rows["rejected"]]


@pytest.mark.parametrize(
    "packed",
    [
        zstd(native(ONE, TWO, THREE)),
        zstd(ONE + b"\n") + zstd(TWO + b"\n" + THREE),
        zstd(ONE + b"\n", "lz4") + zstd(TWO + b"\n" + THREE, "lz4"),
        zipped([("a.json", native(ONE)), ("b/c.json", native(TWO, THREE))]),
        zipped([("a.json.gz", gzip.compress(native(ONE))), ("b", zstd(native(TWO))), ("c", native(THREE))]),
        tarred([("a.json", native(ONE)), ("b.json", native(TWO, THREE))]),
        gzip.compress(
            tarred([("a.json", native(ONE)), ("z.zip", zipped([("b", native(TWO)), ("c", native(THREE))]))])
        ),
        zstd(tarred([("a.json", native(ONE, TWO)), ("b.json", THREE)])),
        gzip.compress(gzip.compress(native(ONE, TWO, THREE))),
        bz2.compress(ONE + b"\n") + bz2.compress(TWO + b"\n" + THREE),
        lzma.compress(ONE + b"\n") + bytes(8) + lzma.compress(TWO + b"\n" + THREE) + bytes(4),
        bz2.compress(tarred([("a.json", native(ONE, TWO)), ("b.json.xz", lzma.compress(THREE))])),
    ],
)
def test_members_are_read_in_their_order(packed: bytes) -> None:
    """Ordinals count through an archive's members in its own order, whatever each is packed in."""
    assert (["One", "Two", "Three"], []) == names(packed)


def test_hostile_names_are_words() -> None:
    """A member's name is never a path, and the reasons that name it are cut to a line."""
    evil = [
        "../../../etc/passwd",
        "/absolute",
        "C:\\x",
        "a\x1b[31mb",
        "\u202egnp",
        "n" * 5_000,
        "con",
        "a\nb",
        "=1+1",
    ]
    read, reasons = names(zipped([(name, b"no record") for name in evil] + [("good", native(ONE))]))

    assert ["One"] == read
    assert len(evil) == len(reasons)
    assert all(len(one) < 250 for one in reasons)
    assert (
        "member ../../../etc/passwd: no JSON object in it, and no table with eventName and eventTime"
        in reasons
    )


def tar_of(kind: bytes, name: str = "x", **members: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo(name)
        link.type = kind
        for key, value in members.items():
            setattr(link, key, value)
        archive.addfile(link)
        good = tarfile.TarInfo("good")
        good.size = len(native(ONE))
        archive.addfile(good, io.BytesIO(native(ONE)))
    return out.getvalue()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_hold_nothing(kind: bytes) -> None:
    """What isn't a file in a tar archive is named and not followed."""
    read, reasons = names(tar_of(kind, linkname="../../etc/shadow"))

    assert (["One"], ["member x: a link or device of a tar archive: holds nothing"]) == (read, reasons)


def test_directories_hold_nothing_to_speak_of() -> None:
    """Folders of an archive are no members."""
    assert (["One"], []) == names(tar_of(tarfile.DIRTYPE, "folder/"))
    assert (["One"], []) == names(zipped([("folder/", b""), ("folder/a", native(ONE))]))


def test_long_names_of_a_tar_archive() -> None:
    """A name longer than a header holds is read, and shown cut."""
    long = "d/" * 200 + "x"
    for form, sign in ((tarfile.GNU_FORMAT, "…"), (tarfile.PAX_FORMAT, "d/d/")):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name, data in ((long, b"nothing"), ("good", native(ONE))):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        read, reasons = names(out.getvalue())

        assert ["One"] == read
        assert sign in reasons[0]


def encrypted(data: bytes) -> bytes:
    """The same archive with its members marked as encrypted."""
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        parts = data.split(magic)
        data = magic.join(
            [parts[0], *(part[: at - 4] + bytes([part[at - 4] | 1]) + part[at - 3 :] for part in parts[1:])]
        )
    return data


def test_an_encrypted_member_is_named() -> None:
    """What needs a password is named; its neighbours are read."""
    assert ([], ["member a: encrypted: unpack it first"]) == names(encrypted(zipped([("a", native(ONE))])))


@pytest.mark.parametrize(
    "magic", [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a", b"\x1f\x9d\x90", b"\xff\x06\x00\x00sNaPpY"]
)
def test_other_packings_are_named(magic: bytes) -> None:
    """What isn't unpacked says what it is, and what to do."""
    read, reasons = names(magic + b"rest")

    assert [] == read
    assert "unpack it first" in reasons[0]


@pytest.mark.parametrize("cut", range(20, 900, 110))
def test_a_cut_zip_keeps_its_whole_members(cut: int) -> None:
    """Without its directory an archive is read by its members' own headers; the cut is named."""
    noise = bytes(range(256)) * 4
    whole = zipped([("a", native(ONE)), ("b", native(TWO)), ("c", b"{" + noise.hex().encode() + b"}")])
    read, reasons = names(whole[:-cut])

    assert ["One", "Two"][: len(read)] == read
    assert read[:1] == ["One"]
    assert reasons


def test_a_damaged_member_costs_itself() -> None:
    """A member whose checksum is wrong is named, and what it holds is read all the same."""
    data = bytearray(zipped([("a", native(ONE)), ("b", native(TWO))]))
    for at in (14, data.find(b"PK\x01\x02") + 16):  # the checksum, in both headers
        data[at] ^= 1
    read, reasons = names(bytes(data))

    assert "Two" in read
    assert 1 == len(reasons)


@pytest.mark.parametrize("cut", [1, 100, 600, 1_000])
def test_a_cut_tar_keeps_its_whole_members(cut: int) -> None:
    """A truncated tar archive gives the members before the cut."""
    end = tarred([("a", native(ONE)), ("b", native(TWO, THREE))]).rstrip(b"\0")
    read, reasons = names(end[:-cut])

    assert ["One"] == read[:1]
    assert reasons


@pytest.mark.parametrize(("compress", "word"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_a_cut_or_damaged_stream_keeps_what_came_before(
    compress: Callable[[bytes], bytes], word: str
) -> None:
    """It is named, and the streams before it are read."""
    whole = compress(ONE + b"\n") + compress(TWO + b"\n")
    last = bytearray(compress(THREE))
    last[len(last) // 2] ^= 0xFF

    assert (["One", "Two"], [f"truncated {word}"]) == names(whole + compress(THREE)[:20])
    for damaged in (bytes(last), b"junk"):
        read, reasons = names(whole + damaged)
        assert ["One", "Two"] == read
        assert word in str(reasons)


@pytest.mark.parametrize("cut", [5, 30, 100])
def test_a_cut_zstd_keeps_what_came_before(cut: int) -> None:
    """A truncated zstd stream is named; whole records before the break are kept where the codec gives them."""
    frames = zstd(ONE + b"\n") + zstd(TWO + b"\n") + zstd(THREE)
    read, reasons = names(frames[:-cut])

    assert ["One", "Two"] == read[:2]
    assert any("zstd" in one for one in reasons)


BIG = native(*[raw(eventName=f"N{n}") for n in range(3_000)])


@pytest.mark.parametrize(
    "bomb",
    [
        lambda: gzip.compress(bytes(50_000_000)),
        lambda: zstd(bytes(50_000_000)),
        lambda: zstd(bytes(50_000_000), "lz4"),
        lambda: bz2.compress(bytes(1_100_000)),
        lambda: lzma.compress(bytes(1_100_000), preset=0),
        lambda: zipped([("a", bytes(50_000_000))]),
        lambda: gzip.compress(gzip.compress(bytes(50_000_000))),
        lambda: zipped([(f"{n}", bytes(1_000_000)) for n in range(60)]),
        lambda: zipped([("a", zstd(bytes(50_000_000)))]),
        lambda: gzip.compress(tarred([("a", bytes(50_000_000))])),
    ],
    ids=range(10),
)
def test_bombs_stop_at_the_bound(bomb: Callable[[], bytes]) -> None:
    """Whatever expands beyond the bound is cut there, and the option that raises it is named."""
    segment = Segment(7, bound=1_000_000)
    segment.add(bomb())

    assert any("--max-expansion" in one for one in segment.tables()["rejected"]["reason"].to_pylist())


def test_the_bound_is_shared_and_can_be_raised() -> None:
    """Records before the bound are kept; with a higher bound all are."""
    packed = zipped([("a", BIG), ("b", BIG)])
    low, high = Segment(7, bound=len(BIG) + 1_000), Segment(7, bound=3 * len(BIG))

    assert 3_000 <= low.add(packed).records < 6_000
    assert 6_000 == high.add(packed).records


def test_packing_has_a_depth() -> None:
    """What is packed more often than anybody packs is not unpacked further."""
    data = native(ONE)
    for _ in range(12):
        data = gzip.compress(data)

    assert ([], ["packed more than 5 times"]) == names(data)


def test_a_log_that_says_ustar_is_a_log() -> None:
    """The word that marks a tar archive, put where the mark stands, makes no archive of a log."""
    plain = native(raw(eventSource="agent", eventTime=5, userIdentity=None))
    text = plain.replace(b"agent", b"x" * (257 - plain.index(b"agent")) + b"ustar")

    assert b"ustar" == text[257:262]
    assert 1 == ingest(text)[0][0].rejected


@given(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"",
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"\x1f\x8b\x08",
            b"\x28\xb5\x2f\xfd",
            b"PAR1",
            b"BZh9",
            b"\xfd7zXZ\0",
        ]
    ),
)
def test_any_bytes(data: bytes, magic: bytes) -> None:
    """Any bytes behind any magic number are read without an error, and something is said of all but an empty list."""
    summary, rows = ingest(magic + data)

    empty = re.fullmatch(rb"\[[ \t\r\n]*\]", trim(magic + data)) is not None
    assert bool(summary[0].records or rows["rejected"]) is not empty


@given(st.data())
def test_damaged_archives(data: st.DataObject) -> None:
    """An archive damaged anywhere never raises."""
    whole = bytearray(data.draw(st.sampled_from([
        zipped([("a", native(ONE)), ("b", gzip.compress(native(TWO)))]),
        tarred([("a", native(ONE)), ("b", native(TWO))]),
        zstd(native(ONE, TWO)),
        bz2.compress(native(ONE, TWO)),
        lzma.compress(native(ONE, TWO)),
    ])))  # fmt: skip
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    ingest(bytes(whole))


def test_zip_with_unknown_method() -> None:
    """A member packed by a method that isn't known is named."""
    data = bytearray(zipped([("a", native(ONE))]))
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.find(magic) + at] = 97
    read, reasons = names(bytes(data))

    assert [] == read
    assert "damaged member" in reasons[0]
    assert isinstance(zipfile.ZIP_DEFLATED, int)


@pytest.mark.parametrize("data", [b"]", b"}", b"]]", b"],", b" ]} ", b"] x"])
def test_brackets_that_close_nothing_are_named(data: bytes) -> None:
    """A file of nothing but the end of another is rejected, and does not disappear."""
    assert 1 == ingest(data)[0][0].rejected
