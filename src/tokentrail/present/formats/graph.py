"""
A trace as a graph for other programs: Graphviz's dot, and Mermaid.

A label may hold what an attacker chose. In dot it stands in a quoted string, with quotes and backslashes escaped; in
Mermaid every character but letters, digits and a few harmless signs is spelled by its number.

Sources: Graphviz, 'DOT Language' (quoted strings); Mermaid, 'Flowcharts' (entity codes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TextIO

from tokentrail.lineage.model import Link, Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.safe import safe

_LONGEST = 120
_HARMLESS = re.compile(r"[^A-Za-z0-9 .,/_@()-]")


def write_dot(trace: Trace, stream: TextIO) -> None:
    """Write a trace for Graphviz: `dot -Tsvg`."""
    for line in _dot(trace):
        stream.write(line + "\n")


def write_mermaid(trace: Trace, stream: TextIO) -> None:
    """Write a trace for Mermaid, which many wikis draw."""
    for line in _mermaid(trace):
        stream.write(line + "\n")


def _dot(trace: Trace) -> Iterator[str]:
    yield "digraph tokentrail {"
    yield '  rankdir=LR; node [fontname="sans-serif", shape=box]; edge [fontname="sans-serif", fontsize=10];'
    names = _names(trace)
    for one in trace.credentials:
        label = "\\n".join(map(_quoted, _label(one)))
        look = 'color="#c4321c", penwidth=2' if one.tainted else 'color="#2468a8", style="rounded"'
        if one.tainted:
            look += (
                ', style="filled", fillcolor="#f3c7be"' if one.state in words.ALIVE else ', style="dashed"'
            )
        yield f'  {names[one.id]} [label="{label}", {look}];'
    for link in _links(trace, names):
        style = "" if link.link == "recorded" else ', style="dashed"'
        yield f'  {names[link.parent]} -> {names[link.child]} [label="{_quoted(_edge(link))}"{style}];'
    yield "}"


def _mermaid(trace: Trace) -> Iterator[str]:
    yield "flowchart LR"
    names = _names(trace)
    for one in trace.credentials:
        label = "<br/>".join(map(_coded, _label(one)))
        begin, end = ("[", "]") if one.tainted else ("([", "])")
        side = "mine" if one.tainted else "theirs"
        yield f'  {names[one.id]}{begin}"{label}"{end}:::{side}{"Live" if one.state in words.ALIVE else "Dead"}'
    for link in _links(trace, names):
        arrow = "-->" if link.link == "recorded" else "-.->"
        yield f'  {names[link.parent]} {arrow}|"{_coded(_edge(link))}"| {names[link.child]}'
    yield "  classDef mineLive stroke:#c4321c,stroke-width:3px,fill:#f3c7be,color:#000"
    yield "  classDef mineDead stroke:#c4321c,stroke-dasharray:4 3,fill:#fff,color:#000"
    yield "  classDef theirsLive stroke:#2468a8,fill:#fff,color:#000"
    yield "  classDef theirsDead stroke:#2468a8,stroke-dasharray:4 3,fill:#fff,color:#000"


def _names(trace: Trace) -> dict[str, str]:
    return {one.id: f"n{place}" for place, one in enumerate(trace.credentials, 1)}


def _links(trace: Trace, names: dict[str, str]) -> Iterator[Link]:
    return (link for link in trace.links if link.parent in names and link.child in names)


def _label(one: TracedCredential) -> tuple[str, ...]:
    whose = "attacker's, " if one.tainted else ""
    return one.id, f"{words.kind(one)} of {words.principal(one.principal)}", f"{whose}{one.state}"


def _edge(link: Link) -> str:
    return " ".join(
        part for part in (link.api or link.link, timestamp(link.time) if link.time else "") if part
    )


def _quoted(text: str) -> str:
    return _brief(text).replace("\\", "\\\\").replace('"', '\\"')


def _coded(text: str) -> str:
    return _HARMLESS.sub(lambda found: f"#{ord(found[0])};", _brief(text))


def _brief(text: str) -> str:
    """Make text visible and short; an id is never as long as to be cut."""
    shown = safe(text)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"
