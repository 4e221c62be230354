"""What an attacker may write into a log, and how a page is read back to see what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</title></style></script></svg></pre><script src=//evil.example/x.js></script>",
    "]]>--><!--<iframe src=javascript:alert(1)>",
    "{{7*7}}${7*7}`<%= 1 %>&lt;script&gt;&#x3c;b&#x3e;",
    "\u202efdp.exe\u2066\u200f",
    "\x1b[2J\x00\x07\x9b31m\r\n",
    "\ud800\ufffe\U000e0041",
    "a" * 10_240,
    "<b " * 500,
)


@dataclass
class Read(HTMLParser):
    """A page as a parser sees it."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    raw: dict[str, list[str]] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "input", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, (tag, self.open[-3:])

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.raw.setdefault(self.open[-1], []).append(data)
        else:
            self.text.append(data)

    @property
    def said(self) -> str:
        """All that stands as text."""
        return "".join(self.text)


def read(page: str) -> Read:
    """Parse a page; it must be well nested."""
    found = Read()
    found.feed(page)
    found.close()
    assert not found.open, found.open
    return found
