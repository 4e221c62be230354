"""
The picture as a PNG, for tickets and slides that take no SVG: drawn by resvg, which the extra `png` brings.

resvg knows neither variables nor media queries, so the style sheet is laid flat for it: each variable by its value in
light colours, and a rule that depends on whose a line is, once for the attacker's and once for a colleague's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from tokentrail.errors import UsageError

_ZOOM = 2.0
_SIDES = ("mine", "theirs")
_SIDED = re.compile(r"var\(--(own|deep|pale)\b")
_VARIABLE = re.compile(r"var\((--[\w-]+)(?:,\s*((?:[^()]|\([^()]*\))*))?\)")
_MEDIA = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_LETTER = '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="30">{}</svg>'


def png(picture: str) -> bytes:
    """
    Draw a picture of lifelines, given as an SVG file, at twice its size.

    Raises:
        UsageError: resvg is not there, or the machine has no font to write with.
    """
    if find_spec("resvg_py") is None:
        raise UsageError(
            "a PNG needs resvg-py: pip install 'tokentrail[png]', or '.[png]' in a clone. The page of "
            "`tokentrail report` saves its picture as PNG without it, and FILE.svg needs nothing more."
        )
    style = re.search(r"<style>(.*?)</style>", picture, re.DOTALL)
    drawn = picture.replace(style[1], flat(style[1])) if style else picture
    if _drawn(_LETTER.format('<text x="5" y="20" font-family="sans-serif">A</text>')) == _drawn(
        _LETTER.format("")
    ):
        raise UsageError(
            "this machine has no font to write with: install one (Debian: fonts-dejavu-core), or save the picture from "
            "the page of `tokentrail report` in a browser."
        )
    return _drawn(drawn)


def _drawn(svg: str) -> bytes:
    import resvg_py

    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg, zoom=_ZOOM, background="#ffffff", sans_serif_family="DejaVu Sans",
            monospace_family="DejaVu Sans Mono",
        )
    )  # fmt: skip


def flat(style: str) -> str:
    """Lay the style sheet flat."""
    plain = _MEDIA.sub("", re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL))
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", plain)
    known = dict(re.findall(r"(--[\w-]+):\s*([^;]+);", rules[0][1]))
    return "".join(rule for selectors, body in rules for rule in _rules(selectors, _own(body), known))


def _own(body: str) -> str:
    """What a rule says, without the variables that it sets."""
    return re.sub(r"--[\w-]+:[^;]*;?", "", body).strip()


def _rules(selectors: str, body: str, known: Mapping[str, str]) -> Iterator[str]:
    for selector in (one.strip() for one in selectors.split(",")) if body else ():
        if not _SIDED.search(body):
            yield f"{selector}{{{_filled(body, known)}}}"
            continue
        told = [side for side in _SIDES if f".{side}" in selector]
        for side in told or _SIDES:
            place = selector if told else selector.replace(".lifelines", f".lifelines .{side}", 1)
            sided = {
                "--own": known[f"--{side}"],
                "--deep": known[f"--{side}-deep"],
                "--pale": known[f"--{side}-pale"],
            }
            yield f"{place}{{{_filled(body, {**known, **sided})}}}"


def _filled(body: str, known: Mapping[str, str]) -> str:
    """Put each variable's value in its place, a value that is one itself too."""
    while _VARIABLE.search(body):
        body = _VARIABLE.sub(lambda found: known.get(found[1], found[2] or ""), body)
    return body
