"""Thresholds of one's own: which numbers are taken, and that none of those ends a run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import detection_cases as acts
import pytest
import rule_cases
import single_act_cases as single

from evidence import held
from tokentrail.case import Case
from tokentrail.detection.sigma.reading import SigmaRules, read_rules
from tokentrail.detection.thresholds import Thresholds, _bounds, _defaults
from tokentrail.errors import UsageError
from tokentrail.testing.story import story
from work import some

NAMES = tuple(_defaults())
_AT_ONCE = 8
"""Every so many-th threshold is set in one run: few enough that one hardly hides what another does."""


@pytest.fixture(name="case", scope="module")
def _case() -> Iterator[Case]:
    with held(story().world) as case:
        yield case


@pytest.fixture(name="sigma", scope="module")
def _sigma(tmp_path_factory: pytest.TempPathFactory) -> SigmaRules:
    """A rule that matches, as some thresholds are about such rules alone."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / "read.yml").write_text(
        "title: Read\nlogsource: {product: aws, service: cloudtrail}\n"
        "detection: {s: {eventName: GetObject}, condition: s}\n"
    )
    return read_rules([folder])


def given(folder: Path, text: str) -> Thresholds:
    """Thresholds from a file."""
    (folder / "t.toml").write_text(text)
    return Thresholds.read(folder / "t.toml")


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("deep = 0", "a whole number from 2 to 1,000,000,000,000,000"),
        ("deep = 1", "a whole number from 2 to"),
        ("juggled = 0", "a whole number from 1 to"),
        ("many_secrets = 0", "a whole number from 1 to"),
        ("many_denied = 2.5", "a whole number from 1 to"),
        ("most_events = 0", "a whole number from 1 to 100,000"),
        ("most_credentials = 1000000", "a whole number from 1 to 100,000"),
        ("most_records = nan", "a whole number from 1 to 100,000"),
        ("bulk_bytes = inf", "a number from 0 to 1,000,000,000,000,000"),
        ("before_cut = 1e30", "a number from 0 to 1,000,000,000,000,000"),
        ("propagation = 1e19", "a number from 0 to 1,000,000,000,000,000"),
        ("propagation = 1" + "0" * 400, "a number from 0 to 1,000,000,000,000,000"),
        ("habit_days = 1e300", "a number from 0 to 10,000,000,000"),
        ("dormant = nan", "a number from 0 to 1,000,000,000,000,000"),
        ("dormant = -inf", "a number from 0 to"),
        ("new_for = -1", "a number from 0 to"),
        ("new_for = true", "a number from 0 to"),
        ("new_for = '1'", "a number from 0 to"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(line: str, allowed: str, tmp_path: Path) -> None:
    """The message has the name, the value and what is allowed; it comes when the file is read."""
    [(name, value)] = tomllib.loads(line).items()
    said = re.escape(f"t.toml: {name} = {value!r} makes no sense: it must be {allowed}")
    with pytest.raises(UsageError, match=said):
        given(tmp_path, line)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_is_one_that_is_taken(name: str, tmp_path: Path) -> None:
    """What TokenTrail judges by itself may stand in a file."""
    value = Thresholds()[name]
    assert given(tmp_path, f"{name} = {value!r}")[name] == value


@pytest.mark.parametrize("first", some(range(_AT_ONCE), 3))
def test_no_number_that_is_taken_ends_a_run(
    first: int, case: Case, sigma: SigmaRules, tmp_path: Path
) -> None:
    """The least and the most that each threshold may be are judged by, some of them at a time, whatever is found."""
    some = {name: list(_bounds(name)) for name in NAMES[first::_AT_ONCE]}
    for place in range(max(map(len, some.values()))):
        lines = [f"{name} = {values[min(place, len(values) - 1)]}" for name, values in some.items()]
        case.detect(thresholds=given(tmp_path, "\n".join(lines)), sigma=sigma)


EDGES: list[tuple[rule_cases.Act, str, str, int, int]] = [
    (acts.probes, "role-probing", "many_denied", 6, 7),
    (acts.sweeps, "secrets-swept", "many_secrets", 12, 13),
    (acts.copies_into_another_bucket, "bulk-read", "bulk_objects", 200, 201),
    (acts.returns_once, "role-juggling", "juggled", 1, 2),
    (acts.four_hops, "deep-chain", "deep", 4, 5),
    (acts.without_identity, "source-identity-lost", "habit_sessions", 12, 13),
    (acts.build_of_a_stranger, "strange-repository", "mints_are_habit", 4, 5),
    (acts.back_door, "session-token-back-door", "many_signs", 4, 5),  # it is left unused for long besides
    (acts.comes_through_the_organisations_network, "strange-endpoint", "shared_endpoint", 4, 3),
    (acts.published_key, "two-networks", "many_networks", 10, 11),
    (acts.minted_before, "minted-before-the-cut", "before_cut", 601, 600),
    (acts.revocation_lifted, "containment-undone", "undone_within", 332, 331),
    (acts.device_for_another, "new-mfa-used", "mfa_used_within", 332, 331),
    (single.vault_by_the_batch, "secrets-in-bulk", "many_batches", 5, 6),
    (single.passwords_of_all_hosts, "host-entered", "many_hosts", 6, 7),
    (single.objects_and_versions_gone, "storage-extortion", "many_deleted", 120, 121),
]
"""What happens, the rule that finds it by a threshold's number, and the next number by which it is no finding."""


@pytest.fixture(name="edges", scope="module")
def _edges() -> Iterator[Case]:
    """All of it, each in an account of its own."""
    world = rule_cases.world()
    for number, (act, *_) in enumerate(EDGES):
        world.account_id = f"{number:012}"
        act(world)
    with held(world) as case:
        yield case


@pytest.mark.parametrize("past", [False, True])
def test_a_threshold_counts_from_its_number_on(past: bool, edges: Case) -> None:
    """Six refused roles are enough where six are many, and not where seven are; so it is of each rule's numbers."""
    numbers = Thresholds({name: (first, beyond)[past] for _, _, name, first, beyond in EDGES})
    rules = [rule for _, rule, *_ in EDGES]
    found = {one.rule for one in edges.detect(rules=rules, thresholds=numbers)}

    assert found == (set() if past else set(rules))
