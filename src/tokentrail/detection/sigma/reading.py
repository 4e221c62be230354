"""Read Sigma rules from folders: those that can be run, and those that can't, with the reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import re2
import yaml
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationCondition, SigmaCorrelationRule, SigmaCorrelationType
from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RegexEngine, RegexPattern
from sigma.rule import SigmaRule

from tokentrail.detection.model import Rule, Severity
from tokentrail.detection.sigma.backend import LONGEST, NotSupported, Query, correlation_query, query_of
from tokentrail.errors import UsageError

_LEVELS: dict[str, Severity] = {
    "informational": "info", "low": "low", "medium": "medium", "high": "high", "critical": "critical",
}  # fmt: skip
_WAYS = {
    SigmaCorrelationType.EVENT_COUNT: "event_count", SigmaCorrelationType.VALUE_COUNT: "value_count",
    SigmaCorrelationType.TEMPORAL: "temporal", SigmaCorrelationType.TEMPORAL_ORDERED: "temporal_ordered",
}  # fmt: skip
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""What turns YAML into plain values: the compiled one, where there is one, takes a tenth of the time."""
_LARGEST = 500_000
"""Bytes of a file: the largest that people share have a tenth of it, and YAML is slow to read."""
_BROKEN = (
    yaml.YAMLError,
    SigmaError,
    UnicodeError,
    AttributeError,
    TypeError,
    ValueError,
    KeyError,
    RecursionError,
    ArithmeticError,
)
"""What parsing somebody's file may raise."""
_NEWER = "(?<"
"""How a group is named in releases of RE2 that are newer than DuckDB's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simple:
    """A rule about single records."""

    rule: Rule
    file: str
    query: Query
    shown: bool
    """Whether its matches are findings by themselves, or only what a correlation counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A rule about several records."""

    rule: Rule
    file: str
    way: str
    """`event_count`, `value_count`, `temporal` or `temporal_ordered`."""
    of: tuple[str, ...]
    """Ids of the rules that it correlates, in order."""
    group_by: tuple[dict[str, str], ...]
    """For each field that groups, its name in each of those rules."""
    seconds: int
    least: int
    """How many records, or different values, there must be."""
    value: dict[str, str] | None
    """The field whose values are counted, by its names in the same way."""
    query: str | None
    """Tells which matches reach what is asked for; `None` where they must come in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A rule, or a file, that can't be run."""

    title: str
    file: str
    problem: str


def _compiled(pattern: str) -> Any:
    """
    Compile a regular expression, to see whether it can be run.

    RE2 writes what it has against one to the process's stderr by itself, past all that makes text safe to show:
    whoever wrote the pattern would write to the terminal. It says the same in what it raises.

    Raises:
        ValueError: RE2 can't run it; the message says why.
    """
    options = re2.Options()
    options.log_errors = False
    if _NEWER in pattern:
        raise ValueError(f"invalid perl operator: {_NEWER}")
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        [told] = error.args
        raise ValueError(told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)) from error


class _Quiet(RegexEngine):
    """RE2 as pySigma's own engine has it, but that RE2 writes nothing to stderr by itself."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        """Compile a pattern: only to see whether it can be, so that flags, which all are RE2's, don't matter."""
        return cast(RegexPattern, _compiled(pattern))

    @property
    def error(self) -> type[Exception]:
        """What `compile` raises."""
        return ValueError


_QUIET = SigmaPolicy(regex_engine=_Quiet())


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmaRules:
    """Rules from somebody's folders."""

    simple: tuple[Simple, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    unusable: tuple[Unusable, ...] = ()

    @property
    def usable(self) -> tuple[tuple[Rule, str], ...]:
        """Every rule that can be run, with its file."""
        return tuple((one.rule, one.file) for one in self.simple) + tuple(
            (one.rule, one.file) for one in self.correlations
        )


def read_rules(folders: Sequence[Path]) -> SigmaRules:
    """
    Read every `*.yml` and `*.yaml` below some folders.

    Raises:
        UsageError: there is no such folder, or no rule in it.
    """
    unusable: list[Unusable] = []
    loaded: list[tuple[Any, str]] = []
    for folder in folders:
        files = _files(folder) if folder.is_dir() else [folder] if folder.is_file() else []
        if not files:
            raise UsageError(f"{folder}: no folder with Sigma rules (*.yml).")
        for file in files:
            loaded += _parsed(file, unusable)
    kept = list(_distinct(loaded, unusable))
    try:
        collection = SigmaCollection([one for one, _ in kept], resolve_references=False)
    except _BROKEN as error:
        raise UsageError(f"the Sigma rules don't fit together: {error}.") from error
    correlations = list(_correlations(kept, collection, unusable))
    quiet = {name for one, wants in correlations if not wants for name in one.of}
    simple = list(_simple(kept, quiet, unusable))
    usable = {one.rule.id for one in simple}
    for one, _ in correlations:
        if not set(one.of) <= usable:
            unusable.append(
                Unusable(title=one.rule.title, file=one.file, problem="a rule that it refers to can't be run")
            )
    return SigmaRules(
        simple=tuple(simple),
        correlations=tuple(one for one, _ in correlations if set(one.of) <= usable),
        unusable=tuple(sorted(unusable, key=lambda one: (one.file, one.title))),
    )


def _files(folder: Path) -> list[Path]:
    return sorted(
        one
        for one in {*folder.rglob("*.yml"), *folder.rglob("*.yaml")}
        if not one.is_dir()  # a link that leads nowhere is a file that can't be read, and listed so
        and not one.name.startswith("._")  # what macOS lays beside a file
    )


def _parsed(file: Path, unusable: list[Unusable]) -> list[tuple[Any, str]]:
    try:
        if not file.is_file() and file.exists():
            raise NotSupported("it is no regular file")  # a pipe would be waited for for ever
        if file.stat().st_size > _LARGEST:
            raise NotSupported(f"it is larger than {_LARGEST // 1_000} kB")
        found = SigmaCollection.from_dicts(
            list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=_LOADER)),
            collect_errors=True,
            collect_filters=True,
            resolve_references=False,
            policy=_QUIET,
        )
    except (OSError, NotSupported, *_BROKEN) as error:
        unusable.append(Unusable(title=file.name, file=str(file), problem=f"can't be read: {_said(error)}"))
        return []
    kept: list[tuple[Any, str]] = [(one, str(file)) for one in found.filters]
    for one in found.rules:
        if one.errors:
            problem = "; ".join(_said(error) for error in one.errors)
            unusable.append(Unusable(title=_title(one), file=str(file), problem=problem))
        else:
            kept.append((one, str(file)))
    if not found.rules and not found.filters:
        problem = "; ".join(_said(error) for error in found.errors) or "holds no Sigma rule"
        unusable.append(Unusable(title=file.name, file=str(file), problem=problem))
    return kept


def _distinct(loaded: Iterable[tuple[Any, str]], unusable: list[Unusable]) -> Iterator[tuple[Any, str]]:
    """Each rule once: by its id, else its title."""
    seen: dict[str, str] = {}
    for one, file in loaded:
        if isinstance(one, SigmaRule | SigmaCorrelationRule) and (first := seen.get(_id(one))) is not None:
            unusable.append(
                Unusable(title=_title(one), file=file, problem=f"has the id of a rule in {first}")
            )
        else:
            if isinstance(one, SigmaRule | SigmaCorrelationRule):
                seen[_id(one)] = file
            yield one, file


def _simple(kept: Iterable[tuple[Any, str]], quiet: set[str], unusable: list[Unusable]) -> Iterator[Simple]:
    for one, file in kept:
        if not isinstance(one, SigmaRule):
            continue
        source = one.logsource
        if (
            source.product != "aws"
            or source.service not in ("cloudtrail", None)
            or source.category is not None
        ):
            named = ", ".join(str(part) for part in (source.product, source.service, source.category) if part)
            unusable.append(
                Unusable(
                    title=_title(one), file=file, problem=f"is for {named or 'nothing named'}, not CloudTrail"
                )
            )
            continue
        try:
            found = query_of([each.parsed for each in one.detection.parsed_condition])
        except (NotSupported, *_BROKEN) as error:
            unusable.append(Unusable(title=_title(one), file=file, problem=_said(error)))
            continue
        rule = _rule(one)
        yield Simple(rule=rule, file=file, query=found, shown=rule.id not in quiet)


def _correlations(
    kept: Iterable[tuple[Any, str]], collection: SigmaCollection, unusable: list[Unusable]
) -> Iterator[tuple[Correlation, bool]]:
    """The correlations, each with whether the rules that it refers to are findings all the same."""
    for one, file in kept:
        if isinstance(one, SigmaCorrelationRule):
            try:
                one.resolve_rule_references(collection)
                yield _correlation(one, file), one.generate
            except (NotSupported, *_BROKEN) as error:
                unusable.append(Unusable(title=_title(one), file=file, problem=_said(error)))


def _correlation(one: SigmaCorrelationRule, file: str) -> Correlation:
    if one.type not in _WAYS:
        raise NotSupported(f"correlations of the type {one.type.name.lower()} can't be run")
    way, given = _WAYS[one.type], one.condition
    if not isinstance(given, SigmaCorrelationCondition):
        raise NotSupported("conditions on the rules of a correlation can't be run")
    rules = [reference.rule for reference in one.rules or ()]
    least, value = 1, None
    if way.endswith("count"):
        least = _least(given)
        value = given.fieldref if isinstance(given.fieldref, str) else None
        if way == "value_count" and value is None:
            raise NotSupported(
                "which field's values are to be counted is not said, or they are several fields'"
            )
    elif given.op.name != "GTE" or given.count != len(rules):  # what pySigma puts where no condition is given
        raise NotSupported(
            f"a correlation of the type {way} can be run over all of its rules only: leave out its condition"
        )
    if any(isinstance(rule, SigmaCorrelationRule) for rule in rules):
        raise NotSupported(
            "correlations of correlations can't be run: a span of records has no time and no fields of its own"
        )
    of = tuple(_id(rule) for rule in rules)
    if way == "temporal":  # a rule that is named twice is one
        one.condition = SigmaCorrelationCondition(op=given.op, count=len(set(of)))
    query = None if way == "temporal_ordered" else correlation_query(one)
    return Correlation(
        rule=_rule(one), file=file, way=way, of=of, query=query,
        group_by=tuple(_names(one, name) for name in one.group_by or ()),
        seconds=min(int(one.timespan.seconds), LONGEST),
        least=least, value=_names(one, value) if value else None,
    )  # fmt: skip


def _least(given: SigmaCorrelationCondition) -> int:
    """
    How many a count must reach.

    Raises:
        NotSupported: it is not told by `gte` or `gt`. Of a number that grows as records come in only that it was
            reached stays true, wherever a span of time begins.
    """
    match given.op.name:
        case "GTE":
            return math.ceil(given.count)
        case "GT":
            return math.floor(given.count) + 1
        case "EQ":
            raise NotSupported(
                f"a count of exactly {given.count} (eq) can't be run: any span with more holds a shorter one with as "
                f"many; write gte: {given.count} for at least as many"
            )
        case other:
            raise NotSupported(
                f"a count can't be compared by {other.lower()}: what few records meet, or none, is told by no record; "
                "write gte or gt"
            )


def _names(one: SigmaCorrelationRule, name: str) -> dict[str, str]:
    """What a field that groups is called in each rule, by the names under which the correlation refers to them."""
    alias = one.aliases.aliases.get(name)
    mapped = {reference.reference: field for reference, field in alias.mapping.items()} if alias else {}
    return {"": name} | {
        _id(each.rule): mapped[each.reference] for each in one.rules or () if each.reference in mapped
    }


def _rule(one: SigmaRule | SigmaCorrelationRule) -> Rule:
    level = one.level.name.lower() if one.level is not None else "low"
    tags = [tag.name.upper() for tag in one.tags if tag.namespace == "attack" and tag.name[1:2].isdigit()]
    return Rule(
        id=_id(one),
        title=_title(one),
        severity=_LEVELS.get(level, "low"),
        attack=tuple(sorted(tags)),
        why=" ".join((one.description or "A Sigma rule without a description.").split()),
        false_alarm="; ".join(" ".join(str(each).split()) for each in one.falsepositives)
        or "The rule does not say.",
        references=tuple(str(each) for each in one.references),
        find=lambda context: (),
    )


def _id(one: SigmaRule | SigmaCorrelationRule) -> str:
    return f"sigma:{one.id or one.name or one.title}"


def _title(one: SigmaRule | SigmaCorrelationRule) -> str:
    return " ".join(str(one.title or "without a title").split())


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
