"""A page as a tree of elements, for tests that read what stands where on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_EMPTY = frozenset({"meta", "input", "br", "hr", "link"})


@dataclass
class Element:
    """An element of a page, with what stands in it."""

    tag: str
    attributes: dict[str, str]
    inside: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, with runs of white space as one space."""
        return " ".join("".join(self._pieces()).split())

    def _pieces(self) -> Iterator[str]:
        for one in self.inside:
            yield from [one] if isinstance(one, str) else one._pieces()

    def all(self, tag: str, class_: str = "") -> list[Element]:
        """The elements below it of a tag, in order; those with a class, if one is named."""
        found = []
        for one in self.inside:
            if isinstance(one, Element):
                if one.tag == tag and (not class_ or class_ in one.attributes.get("class", "").split()):
                    found.append(one)
                found += one.all(tag, class_)
        return found

    def children(self, tag: str) -> list[Element]:
        """The elements of a tag that stand directly in it."""
        return [one for one in self.inside if isinstance(one, Element) and one.tag == tag]

    def place(self, anchor: str) -> Element:
        """The element with an id."""
        found = [one for one in self._every() if one.attributes.get("id") == anchor]
        assert len(found) == 1, (anchor, found)
        return found[0]

    def _every(self) -> Iterator[Element]:
        for one in self.inside:
            if isinstance(one, Element):
                yield one
                yield from one._every()

    def terms(self) -> dict[str, str]:
        """Of a list of terms, what is said of each."""
        return {
            name.text: told.text for name, told in zip(self.children("dt"), self.children("dd"), strict=True)
        }


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        new = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(new)
        if tag not in _EMPTY:
            self.open.append(new)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def elements(page: str) -> Element:
    """Parse a page, which must be well nested."""
    tree = _Tree()
    tree.feed(page)
    tree.close()
    assert len(tree.open) == 1
    return tree.open[0]
