"""The changes of an account without idle ones, which are left out when the case is linked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from evidence import HOME, START, held
from tokentrail import Case
from tokentrail.errors import CaseError
from tokentrail.lineage.model import Credential
from tokentrail.testing import World, native
from tokentrail.testing.credential import Credential as Session

Json = dict[str, Any]
DENY = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
ALLOW = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
WRITTEN = 240


class Told:
    """A session, and the automation that writes its role's policy again and again; one record of it denies all."""

    def __init__(self, denied: int | None = 40) -> None:
        self.world = World(START)
        self.ada = self.world.user("ada")
        self.session = self.ada.assumes("Ops")
        for number in range(WRITTEN):
            self._writes(DENY if number == denied else ALLOW)
        self.session.calls("s3:ListBuckets")

    def _writes(self, document: Json) -> None:
        self.world.wait(seconds=5)
        self.ada.iam("PutRolePolicy", roleName="Ops", policyName="P", policyDocument=document)

    def taken_apart(self) -> tuple[list[Json], list[Json]]:
        """All records but one that denies, and that one."""
        every = list(self.world.records())
        taken = [
            one for one in every if '"Deny"' in str((one["requestParameters"] or {}).get("policyDocument"))
        ]
        return [one for one in every if one not in taken], taken


def of(session: Session, case: Case) -> Credential:
    """What is told of a session."""
    [found] = (one for one in case.trace([session.id]).credentials if one.id == session.id)
    return found


def numbers_of(case: Case) -> tuple[int, int]:
    """How many changes there are, and how many of them are read for a session."""
    edits = case._views.forest(None)._edits
    return edits.of({HOME}).num_rows, edits.telling({HOME}).num_rows


@contextmanager
def grown(case: Case, records: list[Json], folder: Path) -> Iterator[Case]:
    """The same case with more records."""
    path = folder / "more.json"
    path.write_bytes(native(records))
    case.ingest([str(path)], workers=1)
    yield case


def test_idle_changes_are_not_read_again() -> None:
    """Of those that write the same policy the first and the last are read; what is told of the session is the same."""
    told = Told(denied=None)
    with held(told.world) as case:
        assert (WRITTEN, 2) == numbers_of(case)
        assert [path.name.split(".")[1] for path in case.path.glob("derived/*/layers/*.runs.parquet")] == [
            "runs"
        ]
        found = of(told.session, case)
        case._views.forest(None)._edits._layers = {}
        assert found == of(told.session, case)


def _nowhere(record: Json) -> Json:
    """The same of no account that is known."""
    return {
        name: value for name, value in record.items() if name != "recipientAccountId"
    } | {"userIdentity": {"type": "Unknown"}}  # fmt: skip


@pytest.mark.parametrize("change", [dict, _nowhere], ids=["another layer", "no account"])
def test_a_change_that_comes_later_shows_that_others_were_not_idle(
    tmp_path: Path, change: Callable[[Json], Json]
) -> None:
    """A policy that denied all for a minute, which is learned last: what replaced it counts, so the session is alive."""
    told = Told()
    most, taken = told.taken_apart()
    assert len(taken) == 1
    with held(most) as case:
        before = of(told.session, case)
        assert (WRITTEN - 1, 2) == numbers_of(case)
        with grown(case, list(map(change, taken)), tmp_path):
            after, numbers = of(told.session, case), numbers_of(case)
    with held(most + list(map(change, taken))) as whole:
        assert after == of(told.session, whole)
    assert (WRITTEN, WRITTEN) == numbers
    assert before.state == after.state


@pytest.mark.parametrize(
    ("document", "believed"), [(ALLOW, True), (DENY, False)], ids=["written again", "denied at last"]
)
def test_what_happens_after_a_run_shows_nothing_about_it(
    tmp_path: Path, document: Json, believed: bool
) -> None:
    """
    Changes that come in later, and are later, leave idle ones idle, also where a role is deleted.

    Not where a policy denies for the first time: it may be one that was left out.
    """
    told = Told(denied=None)
    before = list(told.world.records())
    told.world.wait(seconds=5)
    told.ada.iam("DeleteRole", roleName="Ops")
    told._writes(document)
    every = list(told.world.records())
    with held(before) as case, grown(case, every[len(before) :], tmp_path):
        after, numbers = of(told.session, case), numbers_of(case)
    with held(every) as whole:
        assert after == of(told.session, whole)
    assert after.state == "ended"
    assert numbers == (WRITTEN + 2, 4 if believed else WRITTEN + 2)


def test_changes_elsewhere_are_read_as_before(tmp_path: Path) -> None:
    """What another account did later shows nothing about this one: its idle changes are still left out."""
    told = Told(denied=None)
    other = World(START, seed=7)
    other.account("444455556666").user("eve").iam("CreateGroup", groupName="g")
    with held(told.world) as case, grown(case, list(other.records()), tmp_path):
        assert (WRITTEN, 2) == numbers_of(case)


def test_what_is_left_of_the_changes_may_be_damaged(tmp_path: Path) -> None:
    """The file of what is left is worked out from that of all, which tells the same: one is as good as the other."""
    told = Told(denied=None)
    with held(told.world) as case:
        found = of(told.session, case)
        [path] = case.path.glob("derived/*/layers/*.runs.parquet")
        whole = path.read_bytes()
        for damaged in (b"", b"damaged", whole[:4] + bytes(400) + whole[404:]):
            path.unlink()
            path.write_bytes(damaged)
            with Case.open(case.path) as again:
                assert found == of(told.session, again)


def test_what_was_left_out_because_of_records_that_are_read_anew_counts(tmp_path: Path) -> None:
    """
    A record that comes again, and tells more, has its segment looked at anew, together with what is new.

    The layer of before has then left out writes whose first is in it no more, and knows nothing of the one that denies.
    """
    told = Told()
    most, taken = told.taken_apart()
    places = [place for place, one in enumerate(most) if one["eventName"] == "PutRolePolicy"]
    first, rest = most[: places[0] + 1], most[places[0] + 1 :]
    less = {name: value for name, value in first[0].items() if name != "userAgent"}
    (tmp_path / "first.json").write_bytes(native([less, *first[1:]]))
    (tmp_path / "rest.json").write_bytes(native(rest))
    with Case.open(tmp_path / "case") as case:
        with mock.patch("tokentrail.store.tasks.TASK_OBJECTS", 1):
            case.ingest([str(tmp_path / "first.json"), str(tmp_path / "rest.json")], workers=1)
        assert (WRITTEN - 1, 2) == numbers_of(case)
        with grown(case, [*taken, first[0]], tmp_path):
            after, numbers = of(told.session, case), numbers_of(case)
    with held(told.world) as whole:
        assert after == of(told.session, whole)
    assert (WRITTEN, WRITTEN) == numbers


def test_where_all_changes_are_damaged_the_error_says_where(tmp_path: Path) -> None:
    """What is left of them is worked out from them: where they can't be read, that is said as ever."""
    told = Told(denied=None)
    with held(told.world) as case:
        assert numbers_of(case)
        [path] = case.path.glob("derived/*/layers/*.edits.parquet")
        whole = path.read_bytes()
        for file in (path, *case.path.glob("derived/*/layers/*.runs.parquet")):
            file.unlink()
        path.write_bytes(whole[:4] + bytes(len(whole) - 4000) + whole[-3996:])
        with Case.open(case.path) as again, pytest.raises(CaseError, match="damaged"):
            of(told.session, again)
