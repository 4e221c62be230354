"""What is told anew the compiled way is, byte by byte, what Python would have told."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_events_quick import mutated

from tokentrail.events.carriers import actors, elastic_plain, ocsf_plain, telling
from tokentrail.events.loose import FAILURES
from tokentrail.testing import carriers
from tokentrail.testing.story import story

pytestmark = pytest.mark.skipif(
    telling.teller() is None, reason="no C compiler was there when this was installed"
)

Tell = Callable[[bytes], bytes | None]
KINDS = ("elastic-flattened", "ocsf-1.0", "ocsf-1.1", "ocsf-1.5")


@cache
def records() -> list[dict[str, Any]]:
    """The story's."""
    return story().world.records()


@cache
def events_of(kind: str) -> list[bytes]:
    """The same as a carrier brings them."""
    return carriers.WRITERS[kind](records()).splitlines()


def ways(kind: str) -> tuple[Tell, Callable[[bytes], bytes]]:
    """A compiled way that remembers nothing, and Python's."""
    teller = telling.teller()
    assert teller is not None
    if kind == "elastic-flattened":
        return teller.elastic, elastic_plain.record
    if kind == "ocsf-1.0":
        return teller.old_ocsf, ocsf_plain.old_record
    return teller.ocsf, ocsf_plain.new_record


def assert_same(kind: str, event: bytes, tell: Tell | None = None) -> bool:
    """What the compiled way tells must be what Python tells; whether it told anything."""
    compiled, python = ways(kind)
    told = (tell or compiled)(event)
    if told is not None:
        assert python(event) == told, event
    return told is not None


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_all_is_told_the_compiled_way(kind: str) -> None:
    """Whole days of an account, and an attack on it, are told alike, and no more than a few in a thousand are left."""
    tell, _ = ways(kind)
    left = [event for event in events_of(kind) if not assert_same(kind, event, tell)]

    assert len(left) < len(events_of(kind)) / 200
    assert len(events_of(kind)) > 500


@pytest.mark.parametrize("kind", KINDS)
def test_another_shape_is_declined(kind: str) -> None:
    """Each way takes events of its own shape alone."""
    tell, _ = ways(kind)
    native = carriers.WRITERS["json-lines"](records()[:50]).splitlines()
    later = {"ocsf-1.1", "ocsf-1.5"}

    assert not any(map(tell, native))
    for other in KINDS:
        if other != kind and not {other, kind} <= later:
            assert not any(map(tell, events_of(other)[:50]))


VALUES = [
    "null", "true", "false", '""', '"x"', '"true"', '"True"', "0", "-0", "-1", "7", "1.0", "1e3", "1E400", "123456789012345",
    "1234567890123456789012345", "01", "{}", "[]", '{"a":1}', '[{"uid":null}]', '[{"arn":"a"},{}]', '[{"uid":"a"},{"uid":""}]',
    '"a\\"b"', '"a\\/b"', '"\\u0041"', '"\\ud800"', '"\\ud83d\\ude00"', '"é日"', '"\\n\\t\\b\\f\\r\\\\"', '"\\u001f"',
    '"2026-11-01T00:00:00Z"', '"2026-11-01T00:00:00.123Z"', '"2026-11-01 00:00:00"', '"2026-13-01T00:00:00Z"',
    '"2026-11-01T00:00:00.Z"', '"2026-11-01T00:00:00+00:00"', "1793491202000", "1793491202999", "35184372088832", "1.5",
    '"{}"', '"{\\"a\\":1}"', '"{\\"a\\":1} "', '" {}"', '"{\\"a\\":\\"\\\\u0041\\"}"', '"[1]"', '"{a=b}"', '"{\\"a\\":}"', '"1.0"', '"12"',
    '"12.0"', '"012"', '"-5"', '"1.5"', '"nan"', "[" * 70 + "]" * 70, '"AssumeRole"', '"ConsoleLogin"', '"1.0.0"', "3001",
    '"IdentityCenterUser"', '"AssumedRole"', '"CloudTrail"', '{"credential_uid":"A","credential_uid":"B"}', '"DeleteUser"',
]  # fmt: skip
"""JSON values, some of them none."""
MORE = [
    ("eventTime", '"x"'), ("detail", "null"), ("unmapped", '{"readOnly":"true","readOnly":"false"}'), ("message", "null"),
    ("unmapped", '{"requestParameters.a.b":"1","requestParameters.a.c.d":"2","requestParameters.b":"3"}'),
    ("unmapped", '{"requestParameters.a":"1","requestParameters.a.b":"2"}'), ("unmapped", '{"requestParameters.a[0].b":"1"}'),
    ("unmapped", '{"requestParameters.a..b":"1"}'), ("unmapped", '{"requestParameters.":"1"}'), ("unmapped", '{"requestParameters":"{}"}'),
    ("unmapped", '{"requestParameters.a":"1","requestParameters.a":""}'), ("unmapped", '{"requestParameters.a":"","requestParameters.a":"1"}'),
    ("unmapped", '{"requestParameters.ab":"1","requestParameters.a.b":"2","requestParameters.a.c":true,"requestParameters.abc":5}'),
    ("unmapped", '{"requestParameters.' + "a." * 14 + 'b":"1"}'), ("unmapped", '{"additionalEventData.bytesTransferredOut":"12.0"}'),
    ("unmapped", '{"additionalEventData.bytesTransferredOut":"012"}'), ("unmapped", '{"additionalEventData.bytesTransferredOut":12}'),
    ("unmapped", '{"additionalEventData.bytesTransferredOut":"999999999999999"}'), ("unmapped", '{"additionalEventData.success":true}'),
    ("unmapped", '{"responseElements.role.roleId":"A","additionalEventData.MFAUsed":"No","serviceEventDetails.a":"b"}'),
    ("unmapped", '{"userIdentity.type":"Role","userIdentity.type":"","userIdentity.sessionContext.sourceIdentity":"ada"}'),
    ("unmapped", '{"vpcEndpointId":"vpce-1","vpcEndpointAccountId":"444455556666","sharedEventID":"x","recipientAccountId":"1"}'),
    ("unmapped", '{"sessionCredentialFromConsole":"true"}'), ("unmapped", '{"sessionCredentialFromConsole":true}'), ("x\\u0041", "1"),
    ("unmapped", '{"readOnly":true,"managementEvent":"TRUE"}'), ("unmapped", '{"recipientAccountId":5}'), ("unmapped", '{"a":{"b":1}}'),
    ("status", "1e400"), ("mfa", "[1E400]"), ("is_mfa", '{"a":-1' + "0" * 400 + "}"), ("user", '{"uuid":"arn:r","a":{"b":1e400}}'),
    ("user", '{"uuid":"arn:r","name":"s"}'), ("user", '{"uuid":"","name":null}'), ("user", '{"uuid":5}'), ("user", '"x"'),
]  # fmt: skip


def spelled(value: Any, chance: random.Random) -> str:
    """A value as JSON, in one of the ways to space it."""
    return json.dumps(
        value, separators=chance.choice(((",", ":"), (", ", ": "))), ensure_ascii=chance.random() < 0.2
    )


class Altered:
    """Alters members of an object: others, none, twice, in another order, under another name."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._marks: dict[str, str] = {}

    def _instead(self) -> str:
        mark = f"MARK{len(self._marks)}X"
        self._marks[f'"{mark}"'] = self._chance.choice(VALUES)
        return mark

    def alter(self, of: dict[str, Any]) -> None:
        """Alter one member, mostly deep within."""
        name = self._chance.choice(list(of))
        inner, what = of[name], self._chance.random()
        if isinstance(inner, dict) and inner and self._chance.random() < 0.75:
            self.alter(inner)
        elif what < 0.2:
            del of[name]
        elif what < 0.36:
            of[f"{name}TWICE"] = self._instead()
        elif what < 0.42:
            of[self._chance.choice((name + "x", "", name.upper(), "MARKé"))] = of.pop(name)
        else:
            of[name] = self._instead()

    def spelled(self, of: dict[str, Any]) -> str:
        """The object as JSON."""
        text = spelled(of, self._chance).replace('TWICE"', '"')
        for mark, value in self._marks.items():
            text = text.replace(mark, value)
        return text


def altered(event: bytes, chance: random.Random) -> bytes:
    """An event of which one to three members were altered, and perhaps one was added."""
    how, found = Altered(chance), json.loads(event)
    for _ in range(chance.randint(1, 3)):
        if found:
            how.alter(found)
    text = how.spelled(found)
    if chance.random() < 0.3:
        name, value = chance.choice(MORE)
        text = (
            text[:-1] + f',"{name}":{value}}}' if chance.random() < 0.5 else f'{{"{name}":{value},' + text[1:]
        )
    return text.encode("utf-8", "surrogatepass")


def _altered(seed: int, count: int) -> None:
    chance = random.Random(seed)
    for kind in KINDS:
        tell, _ = ways(kind)  # one that remembers, as in life
        for event in chance.sample(events_of(kind), min(count, len(events_of(kind)))):
            other = (altered if chance.random() < 0.7 else mutated)(event, chance)
            assert_same(kind, other, tell)
            assert_same(kind, other)


@settings(max_examples=5)
@given(st.integers(0, 2**32))
@example(422)  # a user's type that is a list
def test_altered_events_are_told_alike(seed: int) -> None:
    """Members of other types, texts spelled otherwise, names twice and damaged bytes never make the two differ."""
    _altered(seed, 60)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40))
def test_many_altered_events_are_told_alike(seed: int) -> None:
    """Nor do they in a hundred thousand tries."""
    _altered(seed, 1_000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(len(MORE)))
def test_members_added_are_told_alike(kind: str, at: int) -> None:
    """Each odd member that may be added, in events of every tenth call, is told alike or left."""
    name, value = MORE[at]
    for event in events_of(kind)[::10]:
        bare = json.dumps({k: v for k, v in json.loads(event).items() if k != name}, separators=(",", ":"))
        assert_same(kind, f'{bare[:-1]},"{name}":{value}}}'.encode())


def test_a_request_put_together_from_dotted_names_is_compiled() -> None:
    """Members of dotted names lie together where the first of them stands, and counts become numbers."""
    names = {
        "requestParameters.roleArn": "r", "requestParameters.a.b": "1", "requestParameters.c": "2", "requestParameters.a.d.e": "3",
        "additionalEventData.bytesTransferredOut": "12.0", "readOnly": "false", "userIdentity.type": "X",
    }  # fmt: skip
    event = json.loads(events_of("ocsf-1.0")[0]) | {"unmapped": names}
    event["api"] |= {"operation": "AssumeRole", "service": {"name": "sts.amazonaws.com"}}
    told = ways("ocsf-1.0")[0](json.dumps(event).encode())

    assert told is not None
    assert b'"requestParameters":{"roleArn":"r","a":{"b":"1","d":{"e":"3"}},"c":"2"}' in told
    assert b'"additionalEventData":{"bytesTransferredOut":12.0}' in told
    assert_same("ocsf-1.0", json.dumps(event).encode())


def test_what_is_remembered_is_bounded() -> None:
    """Thousands of distinct names, sources and actors are forgotten again, and told as before."""
    tell, python = ways("ocsf-1.5")
    event = json.loads(events_of("ocsf-1.5")[-1])
    for n in range(10_000):
        event["api"]["operation"], event["api"]["service"]["name"] = f"Call{n}", f"s{n}.amazonaws.com"
        event["unmapped"] = {f"tlsDetails.x{n}": "1", "readOnly": "true"}
        event["actor"] = {"user": {"type": "AssumedRole", "uid": f"arn:aws:sts::1:assumed-role/r/{n}"}}
        raw = json.dumps(event).encode()
        assert tell(raw) == python(raw)


def test_one_event_cannot_fill_the_memory() -> None:
    """Of an event with very many names no more are remembered than of many events: Python tells it."""
    tell, python = ways("ocsf-1.5")
    event = json.loads(events_of("ocsf-1.5")[-1])
    event["unmapped"] |= {f"tlsDetails.x{n}": "1" for n in range(20_000)}
    raw = json.dumps(event).encode()

    assert tell(raw) is None
    assert python(raw) == python(events_of("ocsf-1.5")[-1])
    assert assert_same("ocsf-1.5", events_of("ocsf-1.5")[-1], tell)


def test_an_error_in_python_costs_one_event_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption while an identity is put together goes through, and what follows is told right."""
    events = events_of("ocsf-1.5")[-3:]
    monkeypatch.setattr(actors, "pieces", lambda *_: 1 / 0)
    tell, _ = ways("ocsf-1.5")
    for event in events:
        with pytest.raises(ZeroDivisionError):
            tell(event)
    monkeypatch.undo()

    assert all(assert_same("ocsf-1.5", event) for event in events)


def test_it_is_not_entered_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python is asked for on the way may come from another thread into the same place: it is sent away."""
    inner: list[Any] = []
    monkeypatch.setattr(actors, "pieces", lambda *_: inner.append(tell(events_of("ocsf-1.5")[0])))
    tell, _ = ways("ocsf-1.5")

    assert tell(events_of("ocsf-1.5")[-1]) is None
    assert [None] == inner


@pytest.mark.parametrize("kind", KINDS)
def test_no_cut_is_read_beyond(kind: str) -> None:
    """An event cut off anywhere is declined, by Python as well."""
    tell, python = ways(kind)
    event = events_of(kind)[0]
    for end in range(len(event)):
        assert tell(event[:end]) is None
    with pytest.raises(FAILURES):
        python(event[:-1])
