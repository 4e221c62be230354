"""The laws of adding to a forest: what an ingest adds makes it what linking all at once would, where it is large too."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_laws_forest import everything, shuffled
from test_laws_increments import SEEDS, days, fed

from evidence import AWAY, START, real
from forged import forged
from strategies import FIFTY_WORLDS, TOGETHER, worlds
from tokentrail import Case
from tokentrail.case import linking
from tokentrail.errors import CaseError
from tokentrail.lineage import increment
from tokentrail.lineage.affected_rows import TooMuch
from tokentrail.store import duck
from tokentrail.store.merge import merge_small
from tokentrail.store.tidying import DATABASE
from tokentrail.testing import World, native
from tokentrail.testing.names import Json
from work import some

_N = {
    "credentials": ("n", "parent_n", "root_n"),
    "credential_identities": ("n",),
    "names": ("n",),
    "links": ("child", "parent"),
}
"""The columns that hold places."""


@contextmanager
def shared(share: float) -> Iterator[None]:
    """All is linked at once if more than that part is touched, or came later."""
    with mock.patch.object(increment, "SHARE", share):
        yield


@contextmanager
def adding_always(*, marked: bool = False) -> Iterator[None]:
    """
    However small a case is, and however much of it is touched, what is new is added to it.

    Args:
        marked: Names are marked, as in a larger case, by which segments with keys are found.
    """
    few = mock.patch.object(duck, "_FEW", 0) if marked else nullcontext()
    with mock.patch.object(linking, "_ADDED_FROM", 0), shared(1e9), few:
        yield


@contextmanager
def failing_openly() -> Iterator[None]:
    """What fails but for `TooMuch` is raised: a fault would be hidden by linking all at once."""
    with mock.patch.object(linking, "_FALL_BACK_ON", TooMuch):
        yield


def linked(case: Case) -> dict[str, Any]:
    """All that linking says, each credential by its id instead of its number."""
    case.close()
    view = case._views.open(None)
    ids = {row["n"]: row["id"] for row in view.engine.rows("SELECT n, id FROM credentials")}
    grown = view.size
    found: dict[str, Any] = {"grown": (grown.records, grown.credentials, grown.first, grown.last)}
    for name, columns in _N.items():
        rows = view.engine.rows(f"SELECT * FROM {name}")
        if name == "credentials":
            check_nesting(rows)
        told = [{**row, **{one: ids.get(row[one], row[one]) for one in columns}} for row in rows]
        found[name] = sorted(told, key=str)
    found["duplicates"] = view.engine.rows("SELECT * FROM duplicates ORDER BY ALL")
    return found


def check_nesting(rows: Sequence[dict[str, Any]]) -> None:
    """Roots and depths are what parents say, and no two credentials have one number."""
    known = {row["n"]: row for row in rows}
    assert len(known) == len(rows)
    for row in rows:
        above = known.get(row["parent_n"])
        assert row["root_n"] == (row["n"] if above is None else above["root_n"])
        assert row["depth"] == (0 if above is None else above["depth"] + 1)


def linked_at_once(case: Case) -> dict[str, Any]:
    """The same of a forest that was linked without anything that was derived before."""
    case.close()
    shutil.rmtree(case.path / "derived")
    (case.path / "derived").mkdir()
    return linked(case)


def was_added_to(case: Case) -> bool:
    """Whether the newest forest is an earlier one that was added to."""
    return case._views.open(None).size.added > 0


def cut(records: Sequence[Json], seed: int) -> list[list[Json]]:
    """The records in order of time, or in any, in a few parts; the last may repeat some."""
    chance = random.Random(seed)
    given = sorted(records, key=lambda one: str(one.get("eventTime")))
    if chance.random() < 0.4:
        chance.shuffle(given)
    ends = sorted(chance.randrange(len(given) + 1) for _ in range(chance.randint(1, 4)))
    parts = [given[start:end] for start, end in zip([0, *ends], [*ends, len(given)], strict=True)]
    if chance.random() < 0.3:
        parts.append(chance.sample(given, min(5, len(given))))
    return [part for part in parts if part]


@FIFTY_WORLDS
@given(worlds(rare=True, edits=True, together=TOGETHER), SEEDS, st.booleans())
def test_what_is_added_makes_a_forest_what_linking_at_once_does(world: World, seed: int, false: bool) -> None:
    """
    However records are cut and repeated: credentials, parents, places, names, identities and links, and all answers.

    So they are where records are forged: keys, principals, times and ids that are somebody else's tie credentials
    together in any way there is.
    """
    records = forged(world.records(), seed, 0.05 + seed % 8 / 20) if false else world.records()
    parts = cut(records, seed) if seed % 2 else shuffled(records, seed)
    with adding_always(marked=seed % 3 > 0), failing_openly(), fed(*parts) as case:
        found = linked(case)
        told = everything(case) if found["credentials"] else ""

        assert linked_at_once(case) == found
        assert told == (everything(case) if found["credentials"] else "")


@given(worlds(rare=True, edits=True, largest=12), SEEDS)
def test_segments_that_were_merged_are_added_in_place_of_theirs(world: World, seed: int) -> None:
    """What stood in several segments stands in one: identities and issuing calls are found there, and no more before."""
    parts = cut(world.records(), seed)
    merging = mock.patch("tokentrail.store.merge.AT_ONCE", 2)
    with adding_always(), failing_openly(), fed(*parts, *parts[:1]) as case, merging:
        case.newest()
        merge_small(case.folder)

        assert linked(case) == linked_at_once(case)


@pytest.mark.parametrize("place", ["invictus-aws-dataset", "stratus-detonation-logs"])
def test_real_evidence_is_added_as_it_is_linked(place: str, tmp_path: Path) -> None:
    """An attack in four parts, as its log files follow each other: each goes on from what was linked before."""
    names = sorted(str(path) for path in real(place).rglob("*.json*") if path.is_file())
    with adding_always(), Case.open(tmp_path / "case") as case:
        for start in range(4):
            case.ingest(names[start * len(names) // 4 : (start + 1) * len(names) // 4], workers=1)

        assert was_added_to(case)
        assert linked(case) == linked_at_once(case)


@pytest.mark.parametrize(("share", "expected"), [(0.1, False), (10.0, True)])
def test_all_is_linked_where_much_is_touched(share: float, expected: bool) -> None:
    """A user who acts every day, and two sessions of three days: the third day touches more than a fifth."""
    with mock.patch.object(linking, "_ADDED_FROM", 0), shared(share), fed(*days(3)) as case:
        assert expected == was_added_to(case)


def test_a_small_case_is_linked_as_a_whole() -> None:
    """That takes less than to find out what is touched."""
    with fed(*days(3)) as case:
        assert not was_added_to(case)


@pytest.fixture(name="added_to", scope="module")
def _added_to(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A case to whose forest one day was added, for tests that take a copy of it; what its linking says, and with one more."""
    folder = tmp_path_factory.mktemp("added") / "case"
    with adding_always(), fed(*days(3)[:-1]) as case:
        expected = linked(case)
        assert was_added_to(case)
        case.close()
        shutil.copytree(case.path, folder)
        _add_last(case)
        return folder, expected, linked_at_once(case)


def _add_last(case: Case) -> None:
    """Ingest a third day, always into a segment of the same name."""
    path = case.path.with_name("last.json")
    path.write_bytes(native(days(3)[-1]))
    with mock.patch("tokentrail.store.tasks.new_segment_number", return_value=(1 << 63) - 1):
        case.ingest([str(path)], workers=1)


@pytest.mark.parametrize("damage", ["missing", "damaged", "another's"])
def test_a_database_that_was_added_to_may_be_damaged_or_missing(
    damage: str, added_to: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    """It is worked out anew: when the case is opened, and when more comes."""
    folder, before, after = added_to
    shutil.copytree(folder, tmp_path / "case")
    with adding_always(), Case.open(tmp_path / "case") as case:
        _spoil(case, damage)
        assert before == linked(case)
        _spoil(case, damage)
        _add_last(case)

        assert after == linked(case)


def test_a_database_of_which_a_part_is_lost_says_how_it_is_made_anew(
    added_to: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    """What is read of it tells that it is damaged and names the command, after which all is as it was."""
    folder, before, _ = added_to
    shutil.copytree(folder, tmp_path / "case")
    with Case.open(tmp_path / "case") as case:
        _spoil(case, "half")
        with pytest.raises(CaseError, match="tokentrail rebuild"):
            linked(case)

        case.rebuild()

        assert before == linked(case)


def _spoil(case: Case, damage: str) -> None:
    case.close()
    for path in case.path.glob(f"derived/*/{DATABASE}"):
        whole = path.read_bytes()
        path.unlink()
        if damage == "another's":
            with duckdb.connect(str(path)) as other:
                other.execute("CREATE VIEW credentials AS SELECT * FROM read_text('/etc/passwd')")
        elif damage != "missing":
            path.write_bytes(b"damaged" if damage == "damaged" else whole[: len(whole) // 2])


def _late_key(world: World) -> str:
    """The call that made a key in use comes after all else."""
    ada = world.user("ada")
    ada.calls("s3:ListBuckets")
    ada.assumes("Deploy", account=AWAY, sides="role")
    world.wait(minutes=5)
    ada.creates_access_key().calls("s3:ListBuckets")
    return "CreateAccessKey"


def _late_use(world: World) -> str:
    """Of two keys that were made, another user's is seen in use later: a caller may be the first one's."""
    admin = world.user("root-of-all")
    key, other = (admin.creates_access_key(world.user(name)) for name in ("ada", "bob"))
    key.assumes("Deploy", account=AWAY, sides="role")
    world.wait(minutes=5)
    other.calls("dynamodb:GetItem")
    return "GetItem"


def _late_name(world: World) -> str:
    """What a caller is called is told by a record without a key."""
    admin = world.user("root-of-all")
    key = admin.creates_access_key(world.user("ada"))
    admin.creates_access_key(world.user("bob"))
    key.assumes("Deploy", account=AWAY, sides="role")
    world.failed_console_sign_in(world.user("ada"))
    return "ConsoleLogin"


def _late_status(world: World) -> str:
    """That one of two keys was inactive by then."""
    ada, admin = world.user("ada"), world.user("root-of-all")
    other = ada.key()
    for key in (ada, other):
        key.calls("s3:ListBuckets")
    admin.deactivates(other)
    world.wait(minutes=5)
    ada.assumes("Deploy", account=AWAY, sides="role")
    return "UpdateAccessKey"


def _late_token(world: World) -> str:
    """A token that was never seen in use may have called as well."""
    ada = world.user("ada")
    ada.calls("s3:ListBuckets")
    ada.gets_session_token()
    ada.assumes("Deploy", account=AWAY, sides="role")
    return "GetSessionToken"


@pytest.mark.parametrize("tell", some([_late_key, _late_use, _late_name, _late_status, _late_token], 2))
def test_what_comes_late_tells_who_else_can_have_called(tell: Callable[[World], str]) -> None:
    """Of a call that names its caller's principal alone: who made it, or that it is open."""
    world = World(START)
    late = tell(world)
    records = world.records()
    parts = [[one for one in records if (one["eventName"] == late) == last] for last in (False, True)]
    assert all(parts)
    with adding_always(), failing_openly(), fed(*parts) as case:
        assert was_added_to(case)
        found = linked(case)
        assert linked_at_once(case) == found


def _issued_later() -> dict[str, list[Json]]:
    """Sessions of one user, by name: what each did, what issued it (`+`), and M, which N minted."""
    world, found, before = World(START), {}, 0

    def told(name: str) -> None:
        nonlocal before
        found[name] = world.records()[before:]
        before += len(found[name])

    ada = world.user("ada")
    ada.calls("s3:ListBuckets")
    told("ada")
    for name in "EABCNPOQLZ":
        session = ada.assumes("Deploy", f"s-{name}")
        told(f"+{name}")
        session.calls("s3:ListBuckets")
        told(name)
        if name == "N":
            session.assumes("Audit", "s-M").calls("s3:ListBuckets")
            told("M")
        world.wait(minutes=1)
    return found


@pytest.mark.parametrize("last", [["EN", "M", "+N"], ["ENPQ", "O"]])
def test_what_turns_out_to_be_minted_gets_its_root_and_depth(last: list[str]) -> None:
    """Roots turn out to be somebody's sessions, with what they minted; others come before and after them."""
    did = _issued_later()
    steps = ["ada A B C Z", "L", "+B +C", *(one if one in did else " ".join(one) for one in last)]
    with (
        adding_always(),
        failing_openly(),
        fed(*([one for name in step.split() for one in did[name]] for step in steps)) as case,
    ):
        assert was_added_to(case)
        assert linked(case) == linked_at_once(case)
