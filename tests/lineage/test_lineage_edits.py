"""The changes of an account: what comes in later counts as if it had come in at its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evidence import START, held
from tokentrail import Case
from tokentrail.lineage.model import Credential
from tokentrail.testing import World, native
from tokentrail.testing.credential import Credential as Session

Json = dict[str, Any]
DENY = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
ALLOW = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
WRITTEN = 60


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


@contextmanager
def grown(case: Case, records: list[Json], folder: Path) -> Iterator[Case]:
    """The same case with more records."""
    path = folder / "more.json"
    path.write_bytes(native(records))
    case.ingest([str(path)], workers=1)
    yield case


def _nowhere(record: Json) -> Json:
    """The same of no account that is known."""
    return {
        name: value for name, value in record.items() if name != "recipientAccountId"
    } | {"userIdentity": {"type": "Unknown"}}  # fmt: skip


@pytest.mark.parametrize("change", [dict, _nowhere], ids=["another layer", "no account"])
def test_a_change_that_comes_later_counts_at_its_own_time(
    tmp_path: Path, change: Callable[[Json], Json]
) -> None:
    """A policy that denied all for a minute, which is learned last: what replaced it counts, so the session is alive."""
    told = Told()
    most, taken = told.taken_apart()
    assert len(taken) == 1
    with held(most) as case:
        before = of(told.session, case)
        with grown(case, list(map(change, taken)), tmp_path):
            after = of(told.session, case)
    with held(most + list(map(change, taken))) as whole:
        assert after == of(told.session, whole)
    assert before.state == after.state


@pytest.mark.parametrize("document", [ALLOW, DENY], ids=["written again", "denied at last"])
def test_what_happens_after_a_run_shows_nothing_about_it(tmp_path: Path, document: Json) -> None:
    """Changes that come in later, and are later, say the same as if all had come in at once, also of a deleted role."""
    told = Told(denied=None)
    before = list(told.world.records())
    told.world.wait(seconds=5)
    told.ada.iam("DeleteRole", roleName="Ops")
    told._writes(document)
    every = list(told.world.records())
    with held(before) as case, grown(case, every[len(before) :], tmp_path):
        after = of(told.session, case)
    with held(every) as whole:
        assert after == of(told.session, whole)
    assert after.state == "ended"
