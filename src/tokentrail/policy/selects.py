"""
Whether a statement names an action, and a resource or all resources that match a pattern.

Sources: IAM User Guide, 'IAM JSON policy elements: Action', 'IAM JSON policy elements: Resource' and
'IAM JSON policy elements: NotResource'.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokentrail.policy.document import EVERYTHING, Selection
from tokentrail.policy.truth import Truth, some
from tokentrail.policy.variables import Context, Unresolved, resolved
from tokentrail.policy.wildcard import Glob, covers, glob, may_overlap


def stars(pattern: str) -> bool:
    """Whether a pattern consists of `*` alone."""
    return bool(pattern) and not pattern.strip("*")


def selects_action(selection: Selection, action: str) -> bool:
    """Whether a statement names one action, given in lower case and without wildcards."""
    return any(covers(pattern, action) for pattern in selection.patterns) != selection.inverted


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The resources that a statement names for one caller, with policy variables replaced."""

    inverted: bool = False
    everything: bool = False
    exact: frozenset[str] = frozenset()
    globs: tuple[Glob, ...] = ()
    patterns: tuple[str, ...] = ()
    """Those of its patterns that have no variables, as written."""
    replaced: bool = False
    """Whether any had variables."""
    doubtful: bool = False
    """Whether some pattern has a variable whose value is not known."""

    def takes(self, resource: str | None) -> Truth:
        """
        Whether a resource is among them.

        For a resource with wildcards: `YES` if all that match are, `UNDECIDED` if some may be. `None` stands for a
        resource of which nothing is known.
        """
        if self.everything:
            return Truth.of(not self.inverted)
        if resource is None:
            return Truth.UNDECIDED
        if "*" in resource or "?" in resource:
            found = self._takes_some(resource)
        elif resource in self.exact or any(item.matches(resource) for item in self.globs):
            found = Truth.YES
        else:
            found = Truth.UNDECIDED if self.doubtful else Truth.NO
        return found.opposite if self.inverted else found

    def _takes_some(self, resource: str) -> Truth:
        open_ones = Truth.UNDECIDED if self.replaced or self.doubtful else Truth.NO
        return some((*(_meets(pattern, resource) for pattern in self.patterns), open_ones))


_ALL = Resources(everything=True)


def resources_of(selection: Selection, context: Context, *, variables: bool) -> Resources:
    """Prepare a statement's resources for judging."""
    if selection is EVERYTHING or any(stars(pattern) for pattern in selection.patterns):
        return Resources(everything=True, inverted=True) if selection.inverted else _ALL
    plain = [text for text in selection.patterns if not (variables and "${" in text)]
    values = [
        resolved(text, context, wildcards=True, variables=True)
        for text in selection.patterns
        if variables and "${" in text
    ]
    return Resources(
        inverted=selection.inverted,
        exact=frozenset(text for text in plain if not _wild(text)),
        globs=(
            *(glob(text) for text in plain if _wild(text)),
            *(value for value in values if isinstance(value, Glob)),
        ),
        patterns=tuple(plain),
        replaced=any(isinstance(value, Glob) for value in values),
        doubtful=any(_open(value, inverted=selection.inverted) for value in values),
    )


def _open(value: Glob | Unresolved, *, inverted: bool) -> bool:
    """
    Whether it is open what a variable matches.

    One whose key is absent matches nothing; AWS does not say what NotResource means then.
    """
    return value is Unresolved.UNKNOWN or (inverted and value is Unresolved.ABSENT)


def _wild(text: str) -> bool:
    return "*" in text or "?" in text


def _meets(pattern: str, resource: str) -> Truth:
    if covers(pattern, resource):
        return Truth.YES
    return Truth.UNDECIDED if may_overlap(pattern, resource) else Truth.NO
