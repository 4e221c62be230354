"""Plan files: written whole, read with suspicion."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from carry_cases import AS_OF, CUTOFF, call, denial, plan_of, step
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.containment import planfile
from tokentrail.containment.cutoff import moved, names_moment, whole_second
from tokentrail.containment.execution.journal import Journal, journal_path
from tokentrail.containment.model import Collateral, Plan, Survivor
from tokentrail.errors import UsageError
from tokentrail.present.document import document


def whole_plan() -> Plan:
    """A plan in which every field holds something."""
    plan = plan_of(
        step(
            1, "revoke-role-sessions",
            call("PutRolePolicy", RoleName="R", PolicyName="TokenTrail-revoke-sessions", PolicyDocument=denial()),
            cutoff=CUTOFF, ends=("ASIA1",), alive_after=("ASIA2",), collateral=(Collateral(credential="ASIA3", principal=None),),
            undo=(call("DeleteRolePolicy", RoleName="R", PolicyName="TokenTrail-revoke-sessions"),), needs=("iam:PutRolePolicy",),
        ),
        step(2, "disable-identity-center-user", safe_to_undo_after=None, account=None),
        tainted=("ASIA1", "ASIA2"),
        narrowing={"since": AS_OF, "source_ips": ("203.0.113.77",), "trusted_ips": ()},
    )  # fmt: skip
    survivor = Survivor(credential="ASIA2", until=None, why="nothing ends it")
    return replace(plan, proof=replace(plan.proof, complete=False, survivors=(survivor,)))


def test_a_plan_comes_back_as_it_was(tmp_path: Path) -> None:
    """What is saved is the plan's document, for its owner alone, and loads as the same plan."""
    plan, path = whole_plan(), tmp_path / "plan.json"

    planfile.save(plan, path)

    assert planfile.load(path) == plan
    assert json.loads(path.read_text()) == document(plan)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_that_was_applied_is_not_overwritten(tmp_path: Path) -> None:
    """Undo needs it; the same plan may be written again."""
    plan, path = whole_plan(), tmp_path / "plan.json"
    planfile.save(plan, path)
    with Journal(journal_path(path), plan=planfile.digest(plan), run="r") as journal:
        journal.write({"kind": "note"}, AS_OF)

    planfile.save(plan, path)
    with pytest.raises(UsageError, match="another file with -o"):
        planfile.save(replace(plan, margin=61), path)
    assert planfile.load(path) == plan


def test_the_digest_depends_on_what_a_plan_says_and_not_on_layout(tmp_path: Path) -> None:
    """Another layout of the file is the same plan; another margin is not."""
    plan, path = whole_plan(), tmp_path / "plan.json"
    path.write_text(json.dumps(document(plan), indent=None))

    assert planfile.digest(planfile.load(path)) == planfile.digest(plan)
    assert planfile.digest(replace(plan, margin=61)) != planfile.digest(plan)


def test_a_plan_that_names_no_stolen_key_keeps_its_digest() -> None:
    """The journal of a plan that was applied before plans named such keys is found by its digest, as it was."""
    plan = whole_plan()
    named = replace(plan, proof=replace(plan.proof, may_be_stolen=("AKIAIOSFODNN7EXAMPLE",)))

    assert planfile.digest(plan) == "19e3cf8861ca91dda077d8b7f8cbe88de97d63bce1294d65a816e83a2f0c1478"
    assert planfile.digest(named) != planfile.digest(plan)


def test_more_fields_do_no_harm(tmp_path: Path) -> None:
    """A later TokenTrail of the same version may say more."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**document(whole_plan()), "more": 1}))

    assert planfile.load(path) == whole_plan()


def broken(**changes: Any) -> Any:
    return {**document(whole_plan()), **changes}


def broken_step(**changes: Any) -> Any:
    plan = document(whole_plan())
    plan["steps"][0] |= changes
    return plan


def broken_call(**changes: Any) -> Any:
    plan = document(whole_plan())
    plan["steps"][0]["calls"][0] |= changes
    return plan


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (broken(version=2), "version 2"),
        (broken(margin=-1), "margin"),
        (broken(lag=10**9), "lag"),
        (broken(as_of="2026-11-23T10:00:00"), "time zone"),
        (broken(as_of="yesterday"), "as_of"),
        (broken(tainted="AKIA"), "tainted"),
        (broken(narrowing={"since": 3}), "narrowing"),
        (broken(steps={}), "steps"),
        (broken_step(n=2), "numbered"),
        (broken_step(action="burn-it-down"), "action"),
        (broken_step(account="12"), "12 digits"),
        (broken_step(cutoff="2026-11-23T11:00:00Z"), "no policy document of the step names that time"),
        (broken_step(cutoff="9999-11-23T11:00:00Z"), "no time of AWS"),
        (broken_step(bites_within=-1), "bites_within"),
        (broken_call(account="*"), "account"),
        (broken_call(service="../iam"), "service"),
        (broken_call(operation="__class__"), "operation"),
        (broken_call(parameters={"PolicyDocument": "not json"}), "JSON text"),
        (broken_call(parameters=[]), "parameters"),
        ([], "no plan file"),
        ("plan", "no plan file"),
    ],
)  # fmt: skip
def test_a_plan_at_odds_with_itself_is_refused(tmp_path: Path, content: Any, match: str) -> None:
    """Each fault is named, with the file, and what to do."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))

    with pytest.raises(UsageError, match=match) as told:
        planfile.load(path)
    assert str(told.value).startswith(str(path))
    assert "tokentrail contain" in str(told.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"version": 1}', b"null"])
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    """Anything else than a plan is a UsageError, never a traceback."""
    path = tmp_path / "plan.json"
    path.write_bytes(content)

    with pytest.raises(UsageError):
        planfile.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """So is a folder."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UsageError, match="can't be read"):
            planfile.load(path)


def test_a_folder_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    """A plan that can't be saved says so."""
    with pytest.raises(UsageError, match="-o"):
        planfile.save(whole_plan(), tmp_path / "none" / "plan.json")


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_only_the_cutoff_moves(old: int, other: int) -> None:
    """Issue times that equal the cutoff move, as text or in a list; other dates and keys stay."""
    cutoff, date = AS_OF + timedelta(seconds=old), AS_OF + timedelta(seconds=other)
    spelled = [one.strftime("%Y-%m-%dT%H:%M:%SZ") for one in (cutoff, date)]
    condition = {
        "DateLessThan": {"AWS:tokenissuetime": [spelled[0], spelled[1]]},
        "DateGreaterThan": {"aws:TokenIssueTime": spelled[1], "aws:CurrentTime": spelled[0]},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Condition": condition}})
    meant = call("PutUserPolicy", PolicyDocument=document)
    new = datetime(2027, 1, 1, tzinfo=UTC)

    found = json.loads(moved(meant, cutoff, new).parameters["PolicyDocument"])["Statement"]["Condition"]

    expected = lambda text: "2027-01-01T00:00:00Z" if text == spelled[0] else text  # noqa: E731
    assert found["DateLessThan"]["AWS:tokenissuetime"] == [expected(spelled[0]), expected(spelled[1])]
    assert found["DateGreaterThan"]["aws:TokenIssueTime"] == expected(spelled[1])
    assert found["DateGreaterThan"]["aws:CurrentTime"] == spelled[0]


def test_a_document_without_the_cutoff_stays_as_it_is_written() -> None:
    """Not even its layout changes."""
    meant = call("PutUserPolicy", PolicyDocument=denial())

    assert not names_moment(meant, AS_OF)
    assert moved(meant, AS_OF, CUTOFF) is meant


def test_cutoffs_are_whole_seconds_and_never_early() -> None:
    """A fraction of a second is rounded up."""
    assert whole_second(AS_OF + timedelta(microseconds=1)) == AS_OF + timedelta(seconds=1)
    assert whole_second(AS_OF) == AS_OF
