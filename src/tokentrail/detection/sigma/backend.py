"""
What a Sigma rule asks, as DuckDB's SQL: all that the words of Sigma mean here stands in this module.

Source: Sigma specification, 'Sigma Rules' and 'Sigma Modifiers': strings are compared without regard to case, `*` and
`?` are wildcards, of a list in the record one item must meet a value, and null means absent. CloudTrail writes an empty
text for what is absent, too, so that `null`, `exists` and `fieldref` take it for nothing.

The same condition is spelled twice. Over the columns of the case it has three values: NULL is for what they can't
tell, so that only the records for which it is NULL need be read. Over records, each field is a list of texts.
Whatever a rule says reaches SQL as a literal; patterns are RE2's, which takes linear time whatever an attacker wrote.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.conversion.base import TextQueryBackend
from sigma.conversion.state import ConversionState
from sigma.correlations import SigmaCorrelationRule, SigmaCorrelationTimespan
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaExists,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from tokentrail.detection.sigma.fields import WHOLE, Field
from tokentrail.store.literals import quoted

_ISSUER = "userIdentity.sessionContext.sessionIssuer"
COLUMNS = {
    "eventSource": "e.source", "eventName": "e.name", "errorCode": "e.error", "sourceIPAddress": "e.ip",
    "userAgent": "e.agent", "awsRegion": "e.region", "recipientAccountId": "e.account",
    "userIdentity.type": "i.type", "userIdentity.arn": "i.arn", "userIdentity.principalId": "i.principal_id",
    "userIdentity.accountId": "i.account", "userIdentity.accessKeyId": "i.key_id",
    "userIdentity.userName": "i.user_name", "userIdentity.invokedBy": "i.invoked_by",
    f"{_ISSUER}.type": "i.issuer_type", f"{_ISSUER}.principalId": "i.issuer_id", f"{_ISSUER}.arn": "i.issuer_arn",
    "userIdentity.sessionContext.sourceIdentity": "i.source_identity",
}  # fmt: skip
"""Fields whose columns hold what the record says, to the letter: of calls `e`, and of their callers `i`."""
FLAGS = {
    "readOnly": "e.read_only", "managementEvent": "e.management",
    "userIdentity.sessionContext.attributes.mfaAuthenticated": "i.mfa",
}  # fmt: skip
"""Fields whose columns are true or false; they tell no other value from none."""
_DEEPEST = 50
"""Levels of a condition: engines and Python have an end, and no rule of sense comes near it."""
_MOST_VALUES = 5_000
"""Values of a rule: there is a bound to what one rule may cost."""
_MOST_PATTERN = 5_000
"""Characters of a pattern: RE2 takes memory as patterns grow."""
_MOST_PATTERNS = 500
"""Values with wildcards that one field may be compared with."""
_FEW = 8
"""Values with wildcards from which on one pattern for all of them is quicker."""
_SHAPES = {"s*": "starts_with", "*s": "ends_with", "*s*": "contains"}
_WILD = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
_COMPARED = {
    CompareOperators.LT: "<", CompareOperators.LTE: "<=", CompareOperators.GT: ">", CompareOperators.GTE: ">=",
}  # fmt: skip
_MOMENT = """coalesce(
    try_cast({0} AS TIMESTAMP),
    try_strptime(replace({0}, chr(8239), ' '), ['%b %d, %Y, %I:%M:%S %p', '%b %d, %Y %I:%M:%S %p', '%Y%m%dT%H%M%SZ']),
    make_timestamp(CAST(CASE WHEN regexp_full_match({0}, '[0-9]{{9,11}}') THEN try_cast({0} AS BIGINT) * 1000000
                             WHEN regexp_full_match({0}, '[0-9]{{12,14}}') THEN try_cast({0} AS BIGINT) * 1000 END
                        AS BIGINT)))"""
"""A time as AWS spells it in records: ISO 8601, the US form of STS's answers, or seconds or milliseconds since 1970."""
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_VERSION_4 = rf"^{_OCTET}(\.{_OCTET}){{3}}$"
_DIGITS_4 = "array_to_string(list_transform(string_split({0}, '.'), lambda p: lpad(p, 3, '0')), '')"
_PART = "[0-9a-f]{1,4}"
_SOME_PARTS = f"(({_PART}:){{0,6}}{_PART})?"
_VERSION_6 = f"^(({_PART}:){{7}}{_PART}|{_SOME_PARTS}::{_SOME_PARTS})$"
_GROUPS = "list_filter(string_split(split_part({0}, '::', {1}), ':'), lambda p: p <> '')"
_DIGITS_6 = (
    f"array_to_string(list_transform({_GROUPS}, lambda p: lpad(p, 4, '0')), '')"
    f" || repeat('0000', 8 - len({_GROUPS}) - len({_GROUPS.replace('{1}', '{2}')}))"
    f" || array_to_string(list_transform({_GROUPS.replace('{1}', '{2}')}, lambda p: lpad(p, 4, '0')), '')"
)
"""All digits of an address, so that those of a network lie between its first and last."""
LONGEST = 10_000_000_000
"""Seconds of a span that is longer than any evidence, and shorter than what a number holds."""
SEEN = "sigma_seen"
"""The table of what the rules of a correlation matched: `grouped`, `time`, `event`, `rule`, `value`."""


class NotSupported(Exception):
    """A rule asks for something that can't be run here; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A rule's condition as SQL."""

    prefilter: str
    """Over columns: NULL where these can't tell, if it is not exact."""
    exact: bool
    """Whether the columns alone decide."""
    condition: str = "TRUE"
    """What is left to ask of a record for which the prefilter is NULL; `r0` and so on are its fields."""
    fields: tuple[Field, ...] = ()


def query_of(nodes: Sequence[Any]) -> Query:
    """
    Convert pySigma's conditions, of which one must be met.

    Raises:
        NotSupported: a part can't be run.
    """
    for node in nodes:
        _bounded(node)
    whole = nodes[0] if len(nodes) == 1 else ConditionOR(list(nodes))
    columns = DuckBackend(over_columns=True)
    prefilter = columns.convert_whole(whole)
    if not columns.open:
        return Query(prefilter=prefilter, exact=True)
    records = DuckBackend(over_columns=False)
    return Query(
        prefilter=prefilter,
        exact=False,
        condition=records.convert_whole(_undecided(whole)),
        fields=tuple(records.asked),
    )


def correlation_query(rule: SigmaCorrelationRule) -> str:
    """Convert a correlation that is no sequence: what its rules matched, each with whether that suffices by then."""
    backend: Any = DuckBackend(over_columns=False)
    [query] = backend.convert_correlation_rule_from_template(rule, rule.type.name.lower(), "default")
    return str(query)


def _bounded(node: Any) -> None:
    """Refuse what is too deep or too long to run, without going to its end."""
    values, level = 0, [node]
    for _ in range(_DEEPEST):
        below = [one for each in level for one in getattr(each, "args", ())]
        values += len(below)
        if values > _MOST_VALUES:
            raise NotSupported(f"the condition has more than {_MOST_VALUES:,} parts")
        if not below:
            return
        level = below
    raise NotSupported(f"the condition is nested more than {_DEEPEST} levels deep")


def _undecided(node: Any) -> Any:
    """What the columns leave open of a condition all of whose parts must be met: they have decided the other parts."""
    if not isinstance(node, ConditionAND):
        return node
    return ConditionAND([one for one in node.args if _is_open(one)])


def _is_open(node: Any) -> bool:
    backend = DuckBackend(over_columns=True)
    backend.convert_whole(node)
    return backend.open


class DuckBackend(TextQueryBackend):
    """Converts conditions to SQL over the columns of the case, or over the fields of records."""

    name: ClassVar[str] = "DuckDB"
    precedence = (ConditionNOT, ConditionAND, ConditionOR)
    parenthesize = True
    group_expression: ClassVar[str | None] = "({expr})"
    or_token = "OR"
    and_token = "AND"
    not_token = "NOT"
    convert_or_as_in: ClassVar[bool] = True
    in_expressions_allow_wildcards: ClassVar[bool] = True
    correlation_methods: ClassVar[dict[str, str] | None] = {"default": "within a span of time"}
    default_correlation_query: ClassVar[dict[str, str] | None] = {
        "default": "SELECT *, {aggregate} OVER (PARTITION BY grouped ORDER BY time RANGE BETWEEN {timespan} PRECEDING"
        " AND CURRENT ROW) {condition} AS reached FROM ({search})"
    }
    """Adds to each match whether enough of its group came before it within the span."""
    event_count_aggregation_expression: ClassVar[dict[str, str] | None] = {"default": "count(DISTINCT event)"}
    value_count_aggregation_expression: ClassVar[dict[str, str] | None] = {"default": "count(DISTINCT value)"}
    temporal_aggregation_expression: ClassVar[dict[str, str] | None] = {"default": "count(DISTINCT rule)"}
    event_count_condition_expression: ClassVar[dict[str, str] | None] = {"default": "{op} {count}"}
    value_count_condition_expression: ClassVar[dict[str, str] | None] = {"default": "{op} {count}"}
    temporal_condition_expression: ClassVar[dict[str, str] | None] = {"default": "{op} {count}"}

    def __init__(self, *, over_columns: bool) -> None:
        super().__init__()
        self._over_columns = over_columns
        self.open = False
        """Whether the columns can't tell all that was converted."""
        self.asked: dict[Field, str] = {}
        """The fields of a record that were asked for, and what they are called."""

    def convert_whole(self, node: Any) -> str:
        """Convert a condition by itself."""
        if node is None:
            raise NotSupported("the condition is empty")
        return f"({self.convert_condition(node, ConversionState())})"

    def convert_timespan(
        self, timespan: SigmaCorrelationTimespan, output_format: str | None = None, method: str | None = None
    ) -> str:
        """A span in seconds."""
        return str(min(int(timespan.seconds), LONGEST))

    def convert_correlation_search(self, rule: SigmaCorrelationRule, **kwargs: Any) -> str:
        """What the rules of a correlation matched, of which the caller makes a table."""
        return f"SELECT * FROM {SEEN}"

    def convert_correlation_aggregation_groupby_from_template(
        self, group_by: list[str] | None, method: str
    ) -> str:
        """Nothing: what the fields that group hold is one column of that table."""
        return ""

    def decide_convert_condition_as_in_expression(
        self, cond: ConditionOR | ConditionAND, state: ConversionState
    ) -> bool:
        """Whether a condition asks one field for one of some texts or numbers; parts of times are no such numbers."""
        parts: Any = cond.args
        return super().decide_convert_condition_as_in_expression(cond, state) and not any(
            isinstance(one.value, SigmaTimestampPart) for one in parts
        )

    def convert_condition_as_in_expression(
        self, cond: ConditionOR | ConditionAND, state: ConversionState
    ) -> str:
        """One field's values: plain ones are looked up in a list."""
        parts: Any = cond.args
        return self._one_meets(parts[0].field, _any_of([one.value for one in parts]))

    def convert_condition_field_eq_expansion(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """What a modifier made of one value, any of which will do."""
        values: Any = cond.value
        each: list[Any] = [ConditionFieldEqualsValueExpression(cond.field, one) for one in values.values]
        return self.convert_whole(ConditionOR(each))

    def convert_condition_field_eq_val(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """One field and one value."""
        value: Any = cond.value
        if isinstance(value, SigmaBool) or _is_flag(value):
            return self._true_or_false(cond.field, str(value).lower())
        if isinstance(value, SigmaString | SigmaRegularExpression) or type(value) is SigmaNumber:
            return self._one_meets(cond.field, _any_of([value]))
        return str(super().convert_condition_field_eq_val(cond, state))

    def convert_condition_field_eq_val_timestamp_part(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """A part of a time, in UTC."""
        value: Any = cond.value
        part, number = value.timestamp_part.name.lower(), int(value.number)
        return self._one_meets(cond.field, lambda x: f"{part}({_MOMENT.format(x)}) = {number}")

    def convert_condition_field_eq_val_cidr(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """An address in a network."""
        value: Any = cond.value
        network = ipaddress.ip_network(value.cidr, strict=False)
        ends = (network.network_address, network.broadcast_address)
        if network.version == 4:
            shape, digits, length = _VERSION_4, _DIGITS_4, 12
            first, last = ("".join(f"{one:03}" for one in end.packed) for end in ends)
        else:
            shape, digits, length = _VERSION_6, _DIGITS_6, 32
            first, last = (end.packed.hex() for end in ends)

        def within(x: str) -> str:
            told = digits.format(f"lower({x})", 1, 2)
            whole = f"regexp_matches(lower({x}), '{shape}')"
            return (
                f"CASE WHEN {whole} THEN length({told}) = {length} AND {told} BETWEEN '{first}' AND '{last}'"
                " ELSE FALSE END"
            )

        return self._one_meets(cond.field, within)

    def convert_condition_field_compare_op_val(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """A number that is less or greater than another; what is no number is neither."""
        value: Any = cond.value
        if type(value.number) is not SigmaNumber:
            raise NotSupported(f"values of the kind {type(value).__name__} can't be run")
        if value.op not in _COMPARED:
            raise NotSupported(f"the comparison {value.op.name} can't be run")
        way, number = _COMPARED[value.op], float(value.number.number)

        def compared(x: str) -> str:
            told = f"try_cast({x} AS DOUBLE)"
            return f"({told} {way} CAST('{number!r}' AS DOUBLE) AND NOT isnan({told}))"

        return self._one_meets(cond.field, compared)

    def convert_condition_field_eq_field(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """A field of which a text equals one of another field's, or begins or ends with it, or contains it."""
        value: Any = cond.value
        begins, ends = value.starts_with, value.ends_with
        way = "contains" if begins and ends else "starts_with" if begins else "ends_with" if ends else ""

        def agree(x: str, y: str) -> str:
            told = f"{way}(lower({x}), lower({y}))" if way else f"lower({x}) = lower({y})"
            return f"({told} AND {x} <> '' AND {y} <> '')"

        columns = [self._column(name) for name in (cond.field, value.field)]
        if not self._over_columns:
            mine, theirs = self._listed(cond.field), self._listed(value.field)
            return _one_of(mine, "x", _one_of(theirs, "y", agree("x", "y")))
        if all(columns):
            return f"coalesce({agree(*map(str, columns))}, FALSE)"
        self.open = True
        there = [f"nullif({_there(one)}, TRUE)" for one in columns if one]
        return f"({' AND '.join([*there, 'CAST(NULL AS BOOLEAN)'])})"

    def convert_condition_field_eq_val_null(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """No value, or an empty text."""
        return f"(NOT {self._exists(cond.field)})"

    def convert_condition_field_eq_val_exists(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """A value other than an empty text, or none."""
        value: Any = cond.value
        wanted: SigmaExists = value
        return self._exists(cond.field) if wanted else f"(NOT {self._exists(cond.field)})"

    def convert_condition_field_eq_query_expr(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        """Queries of other engines."""
        raise NotSupported("values of the kind SigmaQueryExpression can't be run")

    def convert_condition_val(self, cond: ConditionValueExpression, state: ConversionState) -> str:
        """A value without a field, anywhere in the record."""
        value: Any = cond.value
        if not isinstance(value, SigmaString | SigmaNumber | SigmaRegularExpression):
            raise NotSupported(f"a value of the kind {type(value).__name__} needs a field")
        if type(value) is SigmaNumber:
            value = SigmaString(str(value))
        if isinstance(value, SigmaString):
            many = SpecialChars.WILDCARD_MULTI
            wide: Any = SigmaCasedString() if isinstance(value, SigmaCasedString) else SigmaString()
            wide.s = (many, *(one for one in value.s if one is not many or len(value.s) > 1), many)
            value = wide
        return self._one_meets(None, _any_of([value]))

    def _column(self, name: str | None) -> str | None:
        column = COLUMNS.get(name or "") if self._over_columns else None
        return f'"{column}"' if column else None

    def _listed(self, name: str | None) -> str:
        """The texts of a record's field."""
        field_ = Field.of(name) if name is not None else WHOLE
        return self.asked.setdefault(field_, f"r{len(self.asked)}")

    def _one_meets(self, name: str | None, condition: Callable[[str], str]) -> str:
        """That one of a field's values meets a condition."""
        column = self._column(name)
        if column is not None:
            return f"coalesce({condition(column)}, FALSE)"
        return self._unknown() if self._over_columns else _one_of(self._listed(name), "x", condition("x"))

    def _exists(self, name: str) -> str:
        column = self._column(name)
        if column is not None:
            return _there(column)
        return self._unknown() if self._over_columns else _one_of(self._listed(name), "x", "x <> ''")

    def _true_or_false(self, name: str, told: str) -> str:
        if self._over_columns and name in FLAGS:
            return f'coalesce("{FLAGS[name]}" = {told}, FALSE)'
        return self._one_meets(name, lambda x: f"lower({x}) = '{told}'")

    def _unknown(self) -> str:
        self.open = True
        return "CAST(NULL AS BOOLEAN)"


def _one_of(values: str, name: str, condition: str) -> str:
    """That one of some values meets a condition, in which it has a name."""
    return f"(len(list_filter({values}, lambda {name}: {condition})) > 0)"


def _there(column: str) -> str:
    return f"(coalesce({column}, '') <> '')"


def _is_flag(value: Any) -> bool:
    """Whether a text may be meant for a flag: rules spell these with or without quotes."""
    return type(value) is SigmaString and str(value).lower() in ("true", "false")


@dataclass(slots=True)
class _Values:
    """What one value may be compared with, by how."""

    lower: dict[str, None] = field(default_factory=dict)
    """Texts to equal, whatever the case."""
    exactly: dict[str, None] = field(default_factory=dict)
    """Texts to equal to the letter."""
    wild: list[SigmaString] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    """Regular expressions."""


def _any_of(values: Sequence[Any]) -> Callable[[str], str]:
    """
    The condition that a text equals one of some values, or fits one with wildcards.

    Raises:
        NotSupported: a placeholder was left open, or the values are without measure.
    """
    found = _Values()
    for one in values:
        if isinstance(one, SigmaRegularExpression):
            found.patterns.append(_measured(_pattern(one)))
        elif not isinstance(one, SigmaString):
            found.exactly[str(one)] = None
        elif any(part in _WILD for part in _parts(one)):
            found.wild.append(one)
        else:
            (found.exactly if isinstance(one, SigmaCasedString) else found.lower)[
                "".join(map(str, one.s))
            ] = None
    if len(found.wild) > _MOST_PATTERNS:
        raise NotSupported(
            f"a field has more than {_MOST_PATTERNS:,} values with wildcards, each to be tried"
        )
    caseless = [one for one in found.wild if not isinstance(one, SigmaCasedString)]
    either = "|".join(map(_spelled, caseless))
    together = len(caseless) > _FEW and len(either) <= _MOST_PATTERN
    apart = [one for one in found.wild if not together or isinstance(one, SigmaCasedString)]
    shapes = [_shape(one) for one in apart]

    def condition(x: str) -> str:
        ways = [shape.format(x) for shape in shapes]
        if together:
            ways.append(f"regexp_matches(lower({x}), {_lowered(f'(?s)^(?:{either})$')})")
        for listed, one, spelled in ((found.lower, f"lower({x})", _lowered), (found.exactly, x, literal)):
            if listed:
                ways.append(f"{one} IN ({', '.join(map(spelled, listed))})")
        ways += [f"regexp_matches({x}, {literal(one)})" for one in found.patterns]
        return f"({' OR '.join(ways)})"

    return condition


def _parts(value: SigmaString) -> Sequence[str | SpecialChars]:
    """The pieces of a string: texts and wildcards."""
    found: list[str | SpecialChars] = []
    for one in value.s:
        if not isinstance(one, str | SpecialChars):
            raise NotSupported("a placeholder (%name%) has no value")
        found.append(one)
    return found


def _shape(value: SigmaString) -> str:
    """The condition for a string with wildcards, with `{0}` for the text."""
    cased = isinstance(value, SigmaCasedString)
    shape = "".join(
        "s" if isinstance(one, str) else "*" if one is SpecialChars.WILDCARD_MULTI else "?" for one in value.s
    )
    text, told = ("{0}", literal) if cased else ("lower({0})", _lowered)
    if shape in _SHAPES:
        plain = "".join(one for one in value.s if isinstance(one, str))
        return f"{_SHAPES[shape]}({text}, {_braced(told(plain))})"
    return f"regexp_matches({text}, {_braced(told(_measured(f'(?s)^{_spelled(value)}$')))})"


def _braced(text: str) -> str:
    """The same after `format`."""
    return text.replace("{", "{{").replace("}", "}}")


def _spelled(value: SigmaString) -> str:
    """A string with wildcards as a regular expression."""
    return "".join(_escaped(one) if isinstance(one, str) else _WILD[one] for one in _parts(value))


def _escaped(one: str) -> str:
    return "".join(c if c.isalnum() or c == "_" or not c.isascii() else f"\\{c}" for c in one)


def _pattern(value: SigmaRegularExpression) -> str:
    """A regular expression with its flags."""
    letters = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    return (f"(?{letters})" if letters else "") + str(value.regexp)


def _measured(pattern: str) -> str:
    if len(pattern) > _MOST_PATTERN:
        raise NotSupported(f"a regular expression or pattern is longer than {_MOST_PATTERN:,} characters")
    return pattern


def literal(text: str) -> str:
    """
    A text as SQL.

    Raises:
        NotSupported: it is none: half of a character, which no record that can be read holds.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise NotSupported("a value holds half a character (a lone surrogate)") from error
    return quoted(text)


def _lowered(text: str) -> str:
    """The same in small letters, as the engine makes them of what it is compared with."""
    return literal(text.lower()) if text.isascii() else f"lower({literal(text)})"
