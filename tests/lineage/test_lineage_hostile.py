"""Odd, damaged and hostile evidence: kept apart, kept together, or cut, but never wrong in silence."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from evidence import AWAY, HOME, START, answers, assume_role, born, call, held, session, user
from tokentrail.testing import World

KEY, OTHER_KEY, LONG = "ASIAIOSFODNN7EXAMPL1", "ASIAIOSFODNN7EXAMPL2", "AKIAIOSFODNN7EXAMPLE"


def use(when: str, who: dict[str, Any], name: str = "ListBuckets") -> dict[str, Any]:
    return call(name, when, who, source="s3.amazonaws.com")


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


def test_a_key_id_of_two_accounts_is_two_credentials() -> None:
    """An access key id is no global primary key: the account splits it, and both ids say so."""
    there = session()
    there["accountId"] = AWAY
    there["arn"] = there["arn"].replace(HOME, AWAY)
    there["principalId"] = "AROAELSEWHERE:s"
    found = answers([use("2026-11-23T09:01:00Z", session()), use("2026-11-23T09:02:00Z", there)])

    assert 2 == len(found)
    assert {KEY} == {one.split("@")[0] for one in found}
    assert all("@" in one for one in found)
    assert {HOME, AWAY} == {one.account for one in found.values()}


def test_a_key_id_with_two_creation_dates_is_two_credentials() -> None:
    """The same id born twice bears its dates."""
    again = session(created="2026-11-23T11:00:00Z")
    found = answers([use("2026-11-23T09:01:00Z", session()), use("2026-11-23T11:02:00Z", again)])

    assert {f"{KEY}@2026-11-23T09:00:00Z", f"{KEY}@2026-11-23T11:00:00Z"} == set(found)


def test_a_key_id_issued_twice_is_two_credentials_each_with_its_uses() -> None:
    """Two issuing events of one key id split it, and each use goes to the issuance of its creation date."""
    records = [
        assume_role("2026-11-23T09:00:00Z"),
        assume_role("2026-11-23T11:00:00Z"),
        use("2026-11-23T09:01:00Z", session()),
        use("2026-11-23T11:01:00Z", session(created="2026-11-23T11:00:00Z")),
        use("2026-11-23T11:02:00Z", session(created="2026-11-23T11:00:00Z")),
    ]
    found = answers(records)

    assert {f"{KEY}@2026-11-23T09:00:00Z": 1, f"{KEY}@2026-11-23T11:00:00Z": 2} == {
        one.id: one.events for one in found.values() if one.id != LONG
    }


def test_a_long_term_key_with_two_holders_is_two_credentials() -> None:
    """The same AKIA id under two principals is split and named after them."""
    found = answers([use("2026-11-23T09:01:00Z", user("ada")), use("2026-11-23T09:02:00Z", user("grace"))])

    assert {f"{LONG}@{user('ada')['principalId']}", f"{LONG}@{user('grace')['principalId']}"} == set(found)
    assert all((LONG,) == one.access_key_ids for one in found.values())


def test_a_key_used_under_another_role_is_not_the_one_issued() -> None:
    """A use that shows the issued key id with another principal is another credential."""
    found = answers([assume_role(), use("2026-11-23T09:01:00Z", session(role="Audit"))])
    kinds = sorted((one.origin or "", one.events) for one in found.values())

    assert [("", 0), ("long_term", 1), ("not_in_evidence", 1)] == kinds


def test_issue_and_use_in_one_second_are_one_credential() -> None:
    """A session may act in the very second of its issue."""
    found = answers([use("2026-11-23T09:00:00Z", session()), assume_role()])

    assert {LONG, KEY} == set(found)
    assert 1 == found[KEY].events


def test_creation_dates_a_second_off_still_match() -> None:
    """eventTime is completion: the creation date may lie a second or two before it."""
    found = answers([assume_role("2026-11-23T09:00:02Z"), use("2026-11-23T09:01:00Z", session())])

    assert {LONG, KEY} == set(found)


def test_two_sessions_of_one_principal_in_one_second_keep_apart() -> None:
    """The same role, name and second, two keys: each use belongs to the session whose key it shows."""
    records = [
        assume_role(key=KEY),
        assume_role(key=OTHER_KEY),
        use("2026-11-23T09:01:00Z", session(KEY)),
        use("2026-11-23T09:02:00Z", session(OTHER_KEY)),
        use("2026-11-23T09:03:00Z", session(OTHER_KEY)),
    ]
    found = answers(records)

    assert {KEY: 1, OTHER_KEY: 2, LONG: 2} == {one.id: one.events for one in found.values()}


def test_use_may_arrive_before_issue(world: World) -> None:
    """Files in reverse order of time give the same."""
    world.user("ada").assumes("Deploy").assumes("Audit").calls("s3:ListBuckets")
    records = world.records()

    assert answers(records) == answers(*[[one] for one in reversed(records)])


def test_chains_of_forty_hops_keep_their_order(world: World) -> None:
    """Depth is the number of hops, and every root is the key at the top."""
    link = world.user("ada")
    top, chain = link.id, []
    for number in range(40):
        link = link.assumes(("Deploy", "Audit")[number % 2], f"hop-{number}")  # type: ignore[assignment]
        chain.append(link.id)
    found = answers(world)

    assert list(range(1, 41)) == [found[one].depth for one in chain]
    assert {top} == {one.root for one in found.values()}
    assert [top, *chain[:-1]] == [found[one].parent for one in chain]


def test_two_roles_that_assume_each_other_are_a_chain(world: World) -> None:
    """Role juggling is a path through sessions, no cycle."""
    first = world.user("ada").assumes("Deploy", "a")
    second = first.assumes("Audit", "a")
    third = second.assumes("Deploy", "a")
    found = answers(world)

    assert [1, 2, 3] == [found[one.id].depth for one in (first, second, third)]


def test_a_record_that_issues_its_own_key_has_no_parent() -> None:
    """A forged record whose caller is the key that it issues: no parent, no endless loop."""
    found = answers([assume_role(caller=session())])

    assert (None, KEY, 0) == (found[KEY].parent, found[KEY].root, found[KEY].depth)


@pytest.mark.parametrize("size", [2, 3, 7])
def test_a_ring_of_forged_issuances_is_cut_once(size: int) -> None:
    """Keys that issue each other in a ring end in one tree of all of them, whatever the order of records."""
    keys = [f"ASIAIOSFODNN7RING{number:03}" for number in range(size)]
    records = [
        assume_role("2026-11-23T09:00:00Z", key=key, role=f"R{number}", caller=session(keys[number - 1], role=f"R{(number - 1) % size}"))
        for number, key in enumerate(keys)
    ]  # fmt: skip
    found = answers(records)

    assert set(keys) == set(found)
    assert 1 == len({one.root for one in found.values()})
    assert list(range(size)) == sorted(one.depth for one in found.values())
    assert found == answers(*[[one] for one in reversed(records)])


@pytest.mark.parametrize("key", ["", None])
def test_a_missing_key_id_is_named_by_principal_and_date(key: str | None) -> None:
    """accessKeyId may be empty or absent: principal and creation date name the session."""
    who = session(key or "")
    if key is None:
        del who["accessKeyId"]
    found = answers([use("2026-11-23T09:01:00Z", who), use("2026-11-23T09:02:00Z", who)])

    assert {f"{who['principalId']}@2026-11-23T09:00:00Z": 2} == {one.id: one.events for one in found.values()}


def test_a_missing_session_context_leaves_an_orphan_of_its_key() -> None:
    """Without sessionContext the key id and the principal still make one credential, with no time of issue."""
    who = session()
    del who["sessionContext"]
    (one,) = answers([use("2026-11-23T09:01:00Z", who)]).values()

    assert (KEY, "assumed_role", None) == (one.id, one.kind, one.issued_at)


def test_a_use_without_session_context_finds_its_issuance() -> None:
    """Key id and principal suffice to tie a use to its issuing event."""
    who = session()
    del who["sessionContext"]
    found = answers([assume_role(), use("2026-11-23T09:01:00Z", who)])

    assert {LONG, KEY} == set(found)
    assert ("assumed_role", LONG, "recorded", None) == born(found[KEY])


@pytest.mark.parametrize(
    "context", [None, "", 7, [], {"attributes": None}, {"attributes": {"creationDate": "soon"}}]
)
def test_an_odd_session_context_costs_itself_only(context: Any) -> None:
    """A sessionContext of any type loses the creation date, not the credential."""
    found = answers([use("2026-11-23T09:01:00Z", {**session(), "sessionContext": context})])

    assert [KEY] == list(found)


@pytest.mark.parametrize(
    "date",
    ["20261123T090000Z", "2026-11-23T09:00:00Z", "2026-11-23T09:00:00.000Z", "Nov 23, 2026 9:00:00 AM"],
)
def test_creation_dates_are_read_in_every_spelling(date: str) -> None:
    """Basic and extended ISO, with fractions, or as STS spells times."""
    (one,) = answers([use("2026-11-23T09:01:00Z", session(created=date))]).values()

    assert START == one.issued_at


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_repeated_records_the_richer_counts(order: tuple[int, ...]) -> None:
    """One event id in a full form, without its answer, and without identity: the full one counts, in any order."""
    full = assume_role()
    poor = {**full, "responseElements": None}
    poorest = {**full, "responseElements": None, "userIdentity": {"type": "Unknown"}}
    forms = [full, poor, poorest]
    found = answers(*[[forms[number]] for number in order])

    assert {LONG, KEY} == set(found)
    assert ("assumed_role", LONG, "recorded", None) == born(found[KEY])
    assert 1 == found[LONG].events


def test_repeats_in_one_file_and_in_others_count_once(world: World) -> None:
    """Delivered three times, in one file and in two: one event."""
    world.user("ada").calls("s3:ListBuckets")
    (record,) = world.records()
    (one,) = answers([record, record], [record]).values()

    assert 1 == one.events


def test_records_without_an_event_id_are_all_kept() -> None:
    """Nothing says that two records without event id are one: both count, and arriving again changes nothing."""
    first, second = use("2026-11-23T09:01:00Z", user()), use("2026-11-23T09:02:00Z", user())
    for record in (first, second):
        del record["eventID"]
    (one,) = answers([first, second], [second, first]).values()

    assert 2 == one.events


def test_identities_without_anything_are_no_credentials() -> None:
    """AWS services, accounts and the unknown act without a credential of ours."""
    nobody: list[Any] = [
        {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, {"type": "AWSAccount", "accountId": AWAY, "principalId": ""},
        {"type": "Unknown"}, {}, None, "root", 7,
    ]  # fmt: skip

    assert {} == answers([use(f"2026-11-23T09:00:{number:02}Z", who) for number, who in enumerate(nobody)])


def test_quotes_and_control_characters_in_names_stay_text() -> None:
    """What evidence names is never SQL."""
    odd = "x'); DROP TABLE events; --\u0000\n%_"
    found = answers([assume_role(name=odd), use("2026-11-23T09:01:00Z", session(name=odd))])

    assert {LONG, KEY} == set(found)
    assert (1, odd.replace("\u0000", "")) == (
        found[KEY].events,
        (found[KEY].session_name or "").replace("\u0000", ""),
    )


def test_times_before_1970_and_far_ahead_do_not_break_the_answer() -> None:
    """Any time that a calendar has is a time."""
    found = answers([use("1902-01-01T00:00:00Z", user("ada")), use("9998-12-31T23:59:59Z", session())])

    assert {LONG, KEY} == set(found)


def test_separators_in_forged_ids_join_no_two_credentials() -> None:
    """Key id and principal are told apart however they are spelled: no spelling of one reaches into the other."""
    one, other = session(), session()
    one["accessKeyId"], one["principalId"] = "ASIAFORGED|AROAFORGED", "AROAOTHER:s"
    other["accessKeyId"], other["principalId"] = "ASIAFORGED", "AROAFORGED|AROAOTHER:s"
    found = answers([use("2026-11-23T09:01:00Z", one), use("2026-11-23T09:02:00Z", other)])

    assert {"ASIAFORGED|AROAFORGED", "ASIAFORGED"} == set(found)


def test_what_is_empty_and_what_is_not_there_are_told_in_one_order() -> None:
    """Of calls in one second, one with an empty source or name and one with none: however the records come."""
    when, told = "2026-11-23T09:01:00Z", []
    for source, name in (("", "Get"), (None, "Get"), ("s3.amazonaws.com", ""), ("s3.amazonaws.com", None)):
        told.append({
            **use(when, user()), "eventID": f"00000000-0000-4000-8000-{len(told):012}", "eventSource": source,
            "eventName": name, "resources": [{"ARN": "arn:aws:s3:::a"}],
        })  # fmt: skip
    found, orders = set(), [*permutations(told)]
    for order in (*orders[::5], orders[-1]):  # any two of them in either order
        with held(order) as case:
            traced = case.trace([LONG])
            found.add((traced.apis, traced.resources))

    [(apis, resources)] = found
    assert {None, ""} <= {one.event_source for one in apis}
    assert len(resources) > 1
