"""One story is told once: what a rule finds again and again in one lineage is one finding, with a count."""

from __future__ import annotations

from pathlib import Path

import pytest
from rule_cases import ELSEWHERE, TOOL, ada, world

from evidence import held
from tokentrail.detection.allow_list import Allowed
from tokentrail.detection.model import Finding
from tokentrail.detection.sigma.reading import read_rules
from tokentrail.errors import UsageError
from tokentrail.testing import World

DAY = 86_400
MATCHING = """
title: Reads
logsource: {product: aws, service: cloudtrail}
detection:
  some: {eventName: ListBuckets}
  condition: some
level: high
"""


def judged(place: World, rule: str, **options: object) -> tuple[Finding, ...]:
    """What a rule finds in a world."""
    with held(place) as case:
        return case.detect(rules=[rule], **options)  # type: ignore[arg-type]


def roams(place: World, count: int, *, every: int = 60) -> list[str]:
    """Sessions of one key, each used from two networks in turn; their ids."""
    key, made = ada(place), []
    for number in range(count):
        session = key.assumes("Dev", f"s{number}")
        session.calls("s3:ListBuckets", count=8)
        session.seen_from(ELSEWHERE, TOOL).calls("s3:ListBuckets")
        session.calls("s3:ListBuckets")
        made.append(session.id)
        place.wait(every)
    return made


def test_what_is_found_of_many_sessions_of_a_key_is_one_finding() -> None:
    """It starts from the key, which all descend from, names each, counts all events, and says how much more there is."""
    place = world()
    sessions = roams(place, 5)
    (found,) = judged(place, "two-networks")

    assert found.subject == found.root == ada(place).id
    assert found.next == f"tokentrail contain {found.subject}"
    assert set(found.credentials) == {found.subject, *sessions}
    assert (found.count, len(found.events)) == (3 * 5, 2 * 5)
    assert sessions[0] in found.why and sessions[4] not in found.why
    assert "The same was found 3 more times in this lineage, last at" in found.why


def test_a_story_stays_the_same_when_more_of_it_comes() -> None:
    """Its id is that of what was found first, however much comes later."""
    place = world()
    roams(place, 1)
    (alone,) = judged(place, "two-networks")
    roams(place, 3)
    (more,) = judged(place, "two-networks")

    assert alone.id == more.id and alone.time == more.time
    assert len(more.credentials) > len(alone.credentials)


@pytest.mark.parametrize(("every", "stories"), [(DAY // 2, 1), (2 * DAY, 3)])
def test_what_comes_days_later_is_another_story(every: int, stories: int) -> None:
    """Within a day of the one before it is the same story; after two it is not."""
    place = world()
    for _ in range(3):
        ada(place).gets_session_token().calls("iam:ListUsers")
        place.wait(every)

    assert len(judged(place, "beyond-its-power")) == stories


@pytest.mark.parametrize(("every", "stories"), [(3 * DAY, 1), (40 * DAY, 3)])
def test_what_is_stolen_of_one_role_again_and_again_is_one_story(every: int, stories: int) -> None:
    """A host hands out session after session, each without an ancestor; strangers came for years to some."""
    place = world()
    host = place.instance("Web", ip="198.51.100.7")
    for number in range(3):
        host.calls("s3:ListBuckets", count=3)
        host.seen_from(f"203.0.{number}.7", f"curl/{number}").calls("s3:ListBuckets")
        place.wait(every)
        host = host.rotates()
    found = judged(place, "stolen-workload")

    assert len(found) == stories
    assert 3 == len({one for told in found for one in told.credentials})
    assert all(told.subject == told.credentials[0] for told in found)


def test_lineages_are_told_apart() -> None:
    """The same of another user's sessions is another finding."""
    place = world()
    roams(place, 2)
    other = place.user("bea").assumes("Dev", "b")
    other.calls("s3:ListBuckets", count=8)
    other.seen_from(ELSEWHERE, TOOL).calls("s3:ListBuckets")
    other.calls("s3:ListBuckets")

    assert {one.root for one in judged(place, "two-networks")} == {ada(place).id, place.user("bea").id}


def test_a_finding_of_a_session_names_what_it_descends_from() -> None:
    """What leaked may stand above the session: the finding names the topmost ancestor, without counting it in."""
    place = world()
    [session] = roams(place, 1)
    (found,) = judged(place, "two-networks")

    assert found.subject == session
    assert found.root == ada(place).id
    assert found.root not in found.credentials


def test_what_is_allowed_is_left_out_before_a_story_is_told(tmp_path: Path) -> None:
    """Of a lineage's sessions the known one is left out, the other one is told, and it is said how many are not."""
    place = world()
    key = ada(place)
    for role in ("Known", "Dev"):
        session = key.assumes(role, "x")
        session.calls("s3:ListBuckets", count=8)
        session.seen_from(ELSEWHERE, TOOL).calls("s3:ListBuckets")
        session.calls("s3:ListBuckets")
    entries = tmp_path / "known.toml"
    entries.write_text(
        '[[suppress]]\nprincipal = "*assumed-role/Known/*"\n[[suppress]]\nprincipal = "*"\nuntil = 2020-01-01\n'
    )
    said: list[str] = []
    (found,) = judged(place, "two-networks", allowed=Allowed.read(entries), said=said.append)

    assert found.subject == session.id
    assert said[:2] == [
        "1 of what was found is left out, as the allow-list says.",
        "1 of the allow-list's entries no longer count: their day has come.",
    ]


@pytest.mark.parametrize("nights", [1, 2])
def test_what_known_sessions_descend_from_need_not_be_allowed(nights: int, tmp_path: Path) -> None:
    """An entry for a role's sessions covers one session of a key as well as several, which start from the key."""
    place = world()
    place.user("bea").assumes("NightlyExport", "bea").calls("s3:GetObject", count=3, bytes_out=5_000)
    key = place.user("exporter")
    for number in range(nights):
        session = key.assumes("NightlyExport", f"night{number}")
        session.calls("s3:GetObject", count=200, bytes_out=5_000_000)
        place.wait(3600)
    entries = tmp_path / "known.toml"
    entries.write_text('[[suppress]]\nprincipal = "arn:aws:sts::*:assumed-role/NightlyExport/*"\n')

    assert len(judged(place, "bulk-read")) == 1
    assert judged(place, "bulk-read", allowed=Allowed.read(entries)) == ()


def test_an_allow_list_names_rules_that_there_are(tmp_path: Path) -> None:
    """A name that no rule has would leave out nothing, unseen."""
    entries = tmp_path / "known.toml"
    entries.write_text('[[suppress]]\nrule = "bulk-reads"\n')
    with pytest.raises(UsageError, match="no rule is named 'bulk-reads'"):
        Allowed.read(entries)
    for name in ("bulk-*", "*", "sigma:anything"):
        entries.write_text(f'[[suppress]]\nrule = "{name}"\n')
        assert len(Allowed.read(entries).entries) == 1


def test_an_entry_that_names_nothing_is_refused(tmp_path: Path) -> None:
    """It would leave out everything."""
    entries = tmp_path / "known.toml"
    entries.write_text('[[suppress]]\nwhy = "exercise"\nuntil = 2027-01-01\n')
    with pytest.raises(UsageError, match="entry 1: give rule, principal or address"):
        Allowed.read(entries)


def test_a_sigma_finding_starts_from_what_all_descend_from(tmp_path: Path) -> None:
    """Not from whichever of the sessions that it matched comes first."""
    place = world()
    first = ada(place).assumes("Middle", "m")
    sessions = [first.assumes("Dev", f"s{number}") for number in range(3)]
    for session in sessions:
        session.calls("s3:ListBuckets")
    (tmp_path / "a.yml").write_text(MATCHING)
    with held(place) as case:
        (found,) = case.detect(rules=[], sigma=read_rules([tmp_path]))

    assert found.subject == first.id
    assert found.next == f"tokentrail contain {first.id}"
    assert set(found.credentials) == {first.id, *(one.id for one in sessions)}


@pytest.mark.parametrize(("days", "told"), [(1, True), (4, False)])
def test_too_few_days_for_a_habit_are_said(days: int, told: bool) -> None:
    """Rules that go by habits say nothing of a short log, which is not the same as nothing to find."""
    place = world()
    ada(place).calls("s3:ListBuckets")
    place.wait(days * DAY)
    ada(place).calls("s3:ListBuckets")
    said: list[str] = []
    judged(place, "secrets-swept", said=said.append)

    assert said == (
        [
            "The evidence spans less than 3 days: baseline rules need 3 days of logs (habit_days) and may miss things: "
            "secrets-swept."
        ]
        if told
        else []
    )
