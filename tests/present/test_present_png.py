"""The picture as PNG: the style laid flat for a renderer without variables, and what is told where it can't be drawn."""

from __future__ import annotations

import importlib.util
import re
import struct
import zlib

import pytest
from html_cases import poisoned, report_data

from hostile import HOSTILE
from tokentrail.errors import UsageError
from tokentrail.present.html import png as module
from tokentrail.present.html.page import asset, lifelines_file
from tokentrail.present.html.png import flat, png

resvg = pytest.mark.skipif(
    importlib.util.find_spec("resvg_py") is None, reason="resvg-py is not installed (extra png)"
)


def colours(image: bytes) -> tuple[int, int, set[bytes]]:
    """Width, height and colours of a PNG of eight bits a channel."""
    wide, high, depth, kind = struct.unpack(">IIBB", image[16:26])
    assert (depth, kind) == (8, 6)
    data, at = b"", 8
    while at < len(image):
        size, name = struct.unpack(">I4s", image[at : at + 8])
        data += image[at + 8 : at + 8 + size] if name == b"IDAT" else b""
        at += size + 12
    raw, before, found = zlib.decompress(data), bytearray(wide * 4), set()
    for row in range(high):
        line = bytearray(raw[row * (wide * 4 + 1) + 1 : (row + 1) * (wide * 4 + 1)])
        filtered = raw[row * (wide * 4 + 1)]
        for n in range(len(line)):
            left, up, corner = line[n - 4] if n >= 4 else 0, before[n], before[n - 4] if n >= 4 else 0
            line[n] = (line[n] + _guess(filtered, left, up, corner)) & 255
        before = line
        if row % 8 == 0:
            found |= {bytes(line[n : n + 3]) for n in range(0, len(line), 4)}
    return wide, high, found


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind < 4:
        return (0, left, up, (left + up) // 2)[kind]
    near = left + up - corner
    return min((left, up, corner), key=lambda one: abs(near - one))


def test_the_flat_style_has_no_variables_and_no_conditions() -> None:
    """Every variable is a colour, every side has its own rule, and nothing depends on the light."""
    style = flat(asset("lifelines.css"))
    assert "var(" not in style and "@media" not in style and "--" not in style
    assert re.search(r"\.lifelines \.mine \.bar\{[^}]*fill: #f3c7be; stroke: #c4321c", style)
    assert re.search(r"\.lifelines \.theirs \.hatch|\.lifelines \.theirs \.bar\{fill: #ffffff", style)
    assert style.count("{") == style.count("}")


@resvg
def test_the_picture_is_drawn_in_the_colours_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """On white, with the attacker's red and the colleague's blue in it; it is drawn smaller here, to be read fast."""
    monkeypatch.setattr(module, "_ZOOM", 0.5)
    picture = lifelines_file(report_data())
    wide, high, found = colours(png(picture))
    size = re.search(r'viewBox="0 0 (\d+) ([\d.]+)"', picture)
    assert size and abs(wide - int(size[1]) / 2) <= 1 and abs(high - float(size[2]) / 2) <= 1
    assert {bytes.fromhex(one) for one in ("ffffff", "c4321c", "2468a8", "1b1f24")} <= found


@resvg
@pytest.mark.parametrize("poison", [HOSTILE[2], "".join(HOSTILE[:-2])], ids=["close", "all"])
def test_hostile_names_do_not_keep_it_from_being_drawn(poison: str) -> None:
    """Whatever an attacker calls things, the picture is one."""
    assert png(lifelines_file(poisoned(report_data(), poison))).startswith(b"\x89PNG")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what needs nothing more."""
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'tokentrail\[png\]'"):
        png("<svg/>")


@resvg
def test_without_fonts_no_silent_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no letter can be drawn is told of, instead of a picture without words."""
    monkeypatch.setattr(module, "_drawn", lambda svg: b"the same for all")
    with pytest.raises(UsageError, match="no font"):
        png("<svg/>")
