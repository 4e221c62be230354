"""Neither hostile rules nor hostile evidence end a run, cost other rules or records, or reach SQL as more than texts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rule_cases import ada, world
from sigma_cases import DETECTIONS, correlation, judged, read, rule, sigma

from evidence import held
from tokentrail.case import Case
from tokentrail.detection.sigma import matching
from tokentrail.detection.sigma.reading import read_rules
from tokentrail.testing import native
from tokentrail.testing.story import Story, story

Json = dict[str, Any]


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story()


@pytest.fixture(name="case", scope="module")
def _case(told: Story) -> Iterator[Case]:
    with held(told.world) as case:
        yield case


def _nested(depth: int) -> str:
    return "(" * depth + "s" + ")" * depth


HOSTILE = {
    "nothing but not": rule(f"s: {{eventName: x}}\ncondition: {'not ' * 60}s"),
    "very many values": rule("s:\n  eventName:\n" + "".join(f"    - x{n}\n" for n in range(6000)) + "condition: s"),
    "very many patterns": rule("s:\n  userAgent|contains:\n" + "".join(f"    - x{n}\n" for n in range(600)) + "condition: s"),
    "a bomb of aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    ),
    "deep YAML": "a: " + "[" * 1500 + "]" * 1500,
    "a tag that runs something": "!!python/object/apply:os.system ['true']\n",
    "a large file": rule(f"s: {{eventName: {'x' * 600_000}}}\ncondition: s"),
    "an expression that explodes": rule("s: {eventName|re: '(x{1000}){1000}'}\ncondition: s"),
    "a long pattern": rule(f"s: {{eventName|contains: '{'*a' * 3000}'}}\ncondition: s"),
    "no network": rule("s: {sourceIPAddress|cidr: 300.1.1.1/99}\ncondition: s"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_rule_without_measure_is_listed_and_costs_no_other(name: str, tmp_path: Path) -> None:
    """What is too deep, too long or no rule at all is told with a reason; the rule beside it is run."""
    rules = read(tmp_path, HOSTILE[name], rule(DETECTIONS["columns"], title="Good"))

    assert [one.rule.title for one in rules.simple] == ["Good"]
    assert len(rules.unusable) == 1
    assert len(rules.unusable[0].problem) > 5


INJECTIONS = {
    "a quote": "x' OR TRUE --",
    "a quote that a backslash escapes": "x\\' OR TRUE --",
    "the end of a function": "x')) OR (TRUE",
    "the end of a lambda": "x') > 0) OR ((1",
    "another statement": "x'; DROP TABLE facts; --",
    "a table's name": "some_facts sought known changed some_identities i.arn e.name",
    "a template": "{0} {x} {{}} {search} %s $1 ? :name",
    "a dollar quote": "$$ x $a$ OR TRUE $a$",
    "nothing's character": "x\0' OR TRUE --",
    "other spaces and signs": "\u2028 \u00e9\u0130\u1e9e \ufe0f\U0001f600'",
}
WAYS = [
    "{field}", "{field}|contains", "{field}|startswith", "{field}|endswith", "{field}|cased", "{field}|cased|contains",
    "{field}|base64offset|contains", "{field}|re", "{field}|fieldref", "{field}|fieldref|contains",
]  # fmt: skip


@pytest.fixture(name="fooled", scope="module")
def _fooled() -> Iterator[tuple[Case, list[Json]]]:
    """Evidence in which each hostile text is a user agent, and a part of a request, once."""
    place = world()
    for _ in INJECTIONS:
        ada(place).assumes("Deploy", "a")
    records = [one for one in place.records() if one["eventName"] == "AssumeRole"]
    for one, value in zip(records, INJECTIONS.values(), strict=True):
        one["userAgent"] = one["requestParameters"]["roleSessionName"] = value
    with held(records) as case:
        yield case, records


@pytest.mark.parametrize("name", INJECTIONS)
@pytest.mark.parametrize("field", ["userAgent", "requestParameters.roleSessionName"])
def test_what_a_rule_says_is_never_sql(
    name: str, field: str, fooled: tuple[Case, list[Json]], tmp_path: Path
) -> None:
    """Whatever a value holds, by whichever modifier, over columns or records, is a text: no rule matches any other."""
    case, _ = fooled
    value = INJECTIONS[name]
    for number, way in enumerate(WAYS):
        spelled = re.escape(value) if way.endswith("|re") else value.replace("\\", "\\\\").replace("?", "\\?")
        detection = {"s": {way.format(field=field): spelled}, "condition": "s"}
        source = {"product": "aws", "service": "cloudtrail"}
        document = {"title": f"W{number}", "logsource": source, "detection": detection}
        (tmp_path / f"{number}.yml").write_text(yaml.safe_dump(document))
    rules = read_rules([tmp_path])
    assert rules.unusable == ()
    found = {one.title: one.count for one in judged(case, rules)}

    texts = [f"W{number}" for number, way in enumerate(WAYS) if "base64" not in way and "fieldref" not in way]
    assert found == dict.fromkeys(texts, 1)


@pytest.mark.parametrize(
    "path",
    [
        "requestParameters.x'y",
        'requestParameters.a"b',
        "a) OR (TRUE",
        "e.name",
        "r0",
        "x",
        "a.[*].$",
        "é.\u0130",
    ],
)
def test_a_field_may_be_called_anything(path: str, case: Case, tmp_path: Path) -> None:
    """A field's name reaches no SQL: a field that no record has matches nothing, and is null in all."""
    source = {"product": "aws", "service": "cloudtrail"}
    for number, detection in enumerate([{path: "a"}, {path: None}, {f"{path}|exists": True}]):
        document = {
            "title": f"W{number}",
            "logsource": source,
            "detection": {"s": detection, "condition": "s"},
        }
        (tmp_path / f"{number}.yml").write_text(yaml.safe_dump(document))

    assert {one.title for one in judged(case, read_rules([tmp_path]))} == {"W1"}


def test_a_rule_that_the_engine_refuses_costs_itself(case: Case, tmp_path: Path) -> None:
    """Where a pattern is none to the engine after all, the rule is named, and the others are judged."""
    rules = read(
        tmp_path,
        rule(DETECTIONS["columns"], title="A"),
        rule(DETECTIONS["columns"], title="B"),
        rule(DETECTIONS["request"], title="C"),
    )
    good, by_columns, by_records = rules.simple
    prefilter = replace(by_columns.query, prefilter="regexp_matches(\"e.name\", '(')")
    condition = replace(
        by_records.query, condition="len(list_filter(r0, lambda x: regexp_matches(x, '('))) > 0"
    )
    worse = replace(
        rules, simple=(good, replace(by_columns, query=prefilter), replace(by_records, query=condition))
    )
    found = case.detect(rules=[], sigma=worse)

    assert {one.title for one in sigma(found)} == {"A"}
    assert [one.split()[2] for one in found.failed] == ["sigma:B", "sigma:C"]


@pytest.mark.parametrize("depth", [900, 976, 980, 984, 988, 3_000, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [('{"d":', "}"), ("[", "]")])
def test_a_record_without_a_bottom_hides_no_other(
    depth: int, opens: str, closes: str, tmp_path: Path
) -> None:
    """What is nested as deep as can be read, or deeper, is judged by its words, or as one text, beside the others."""
    place = world()
    ada(place).assumes("Deploy", "support-eu")
    ada(place).assumes("Deploy", "support-eu")
    data = native(place.records())
    rules = read(
        tmp_path,
        rule("k: [support-eu]\ncondition: k", title="Anywhere"),
        rule("s: {requestParameters.roleSessionName: support-eu}\ncondition: s", title="There"),
        rule("s: {requestParameters.d.d.nothing: x}\ncondition: s", title="Below"),
    )
    deep = f'"support-eu","d":{opens * depth}1{closes * depth}'.encode()
    with held(data.replace(b'"support-eu"', deep, 1)) as case:
        found = {one.title: one.count for one in judged(case, rules)}

    assert found["Anywhere"] == 2
    assert found["There"] in (1, 2) and "Below" not in found


@pytest.mark.parametrize(("limit", "value"), [("_TOGETHER", 60), ("_MOST_TEXT", 60_000)])
def test_rules_are_asked_of_some_records_at_a_time(
    limit: str, value: int, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few records are in memory at a time, the same is found."""
    names = ["request", "whole part", "keyword", "not at all", "number"]
    rules = read(tmp_path, *(rule(DETECTIONS[name], title=name) for name in names))
    expected = judged(case, rules)
    monkeypatch.setattr(matching, limit, value)

    assert expected == judged(case, rules) != []


def test_more_rules_than_a_number_has_bits(case: Case, tmp_path: Path) -> None:
    """Each of a hundred rules finds what it finds by itself."""
    texts = [rule(DETECTIONS[("columns", "request")[n % 2]], title=f"R{n}") for n in range(100)]
    counts = {one.title: one.count for one in judged(case, read(tmp_path, *texts))}
    (tmp_path / "alone").mkdir()
    alone = {one.title: one.count for one in judged(case, read(tmp_path / "alone", texts[0], texts[1]))}

    assert len(counts) == 100
    assert counts == {f"R{n}": alone[f"R{n % 2}"] for n in range(100)}


def test_a_number_without_a_field_is_looked_for_anywhere(tmp_path: Path) -> None:
    """A keyword that is a number is a text of digits."""
    place = world()
    ada(place).assumes("Deploy", "run-48151623")
    ada(place).assumes("Deploy", "run-1")
    rules = read(tmp_path, rule("k: [48151623]\ncondition: k"))
    with held(place) as case:
        (found,) = judged(case, rules)

    assert found.count == 1


@pytest.mark.parametrize(
    "text",
    [
        "title: 5\n", "title: [a]\n", "title: a\nlevel: 5\n", "title: a\ntags: 5\n", "title: a\nname: [1]\n",
        "title: a\ndescription: [1]\n",
    ],
)  # fmt: skip
def test_a_rule_whose_head_is_no_text_is_listed(text: str, tmp_path: Path) -> None:
    """A title, a level or tags of another kind cost the rule alone."""
    body = "logsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName: x}, condition: s}\n"
    rules = read(tmp_path, text + body, rule(DETECTIONS["columns"], title="Good"))

    assert [one.rule.title for one in rules.simple] == ["Good"]
    assert len(rules.unusable) == 1


@pytest.mark.parametrize("way", ["event_count", "temporal", "temporal_ordered"])
def test_a_span_may_be_longer_than_time(way: str, case: Case, tmp_path: Path) -> None:
    """A span of more seconds than a number holds is one of all evidence."""
    text = correlation(way, "{gte: 2}" if way == "event_count" else "", "mint", "cut")
    rules = read(
        tmp_path,
        rule("s: {eventName: GetSessionToken}\ncondition: s", title="Mint", name="mint"),
        rule("s: {eventName: UpdateAccessKey}\ncondition: s", title="Revocation", name="cut"),
        text.replace("10m", "99999999999999999999d"),
    )
    assert rules.unusable == ()

    assert [one.title for one in judged(case, rules)] == ["Several"]


def test_odd_rules_that_can_be_run_are(case: Case, tmp_path: Path) -> None:
    """Deep brackets, long lists and expressions that take for ever elsewhere take no longer than others."""
    rules = read(
        tmp_path,
        rule(f"s: {{eventName: GetObject}}\ncondition: {_nested(200)}", title="Brackets"),
        rule(
            "s: {userAgent|re: '(a+)+$', eventName: GetObject}\nt: {eventName: GetObject}\ncondition: s or t",
            title="Greed",
        ),
        rule(
            "s:\n  eventName:\n    - GetObject\n"
            + "".join(f"    - x{n}\n" for n in range(4000))
            + "condition: s",
            title="List",
        ),
        rule(
            "s:\n  userAgent|contains:\n    - b\n"
            + "".join(f"    - x{n}\n" for n in range(400))
            + "condition: s",
            title="Wild",
        ),
    )
    assert rules.unusable == ()
    found = {one.title: one.count for one in judged(case, rules)}

    assert set(found) == {"Brackets", "Greed", "List", "Wild"}


def test_folders_hold_more_than_rules(tmp_path: Path) -> None:
    """A folder named like a rule is no rule; a link that leads nowhere, and a pipe, are rules that can't be read.

    What macOS lays beside a rule is none.
    """
    (tmp_path / "._of_a_mac.yml").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    (tmp_path / "folder.yml").mkdir()
    os.mkfifo(tmp_path / "pipe.yml")
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere.yml")
    (tmp_path / "loop.yml").symlink_to(tmp_path / "loop.yml")
    rules = read(tmp_path, rule(DETECTIONS["columns"]))

    assert len(rules.simple) == 1
    assert [Path(one.file).name for one in rules.unusable] == ["gone.yml", "loop.yml", "pipe.yml"]


ODD = {
    "no UTF-8": b'"support-eu\xff"',
    "half a surrogate": b'"support-eu\\ud800"',
    "a number past all bounds": b'"support-eu","n":1e999',
    "an escaped letter": b'"supp\\u006frt-eu"',
    "the same member twice": b'"x","roleSessionName":"support-eu"',
}


@pytest.mark.parametrize("name", ODD)
def test_a_damaged_record_hides_no_other(name: str, tmp_path: Path) -> None:
    """A member that can't be decoded, or not by itself, costs no finding of its own record or of those beside it."""
    place = world()
    ada(place).assumes("Deploy", "support-eu")
    ada(place).assumes("Deploy", "SUPPORT-EU")
    data = native(place.records())
    assert data.count(b'"support-eu"') == 1
    rules = read(
        tmp_path,
        rule(
            "s: {eventName: AssumeRole, requestParameters.roleSessionName|startswith: support-eu}\ncondition: s"
        ),
    )
    with held(data.replace(b'"support-eu"', ODD[name], 1)) as case:
        (found,) = judged(case, rules)

    assert found.count == 2
