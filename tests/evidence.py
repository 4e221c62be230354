"""Short ways from records to answers, for the tests of the case, the store and lineage."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tokentrail import Case, Credential
from tokentrail.lineage.model import Candidate, Kind, Overview, State, Trace
from tokentrail.present.document import document
from tokentrail.store import connection
from tokentrail.testing import World, native
from tokentrail.testing.company import Company
from tokentrail.testing.story import story

Json = dict[str, Any]
HOME, AWAY = "111122223333", "444455556666"
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
REAL = Path(__file__).parents[2] / "shared" / "data"
"""Real evidence, which lies beside the project and not in it."""


def real(*parts: str) -> Path:
    """A part of the real evidence; the test is skipped where it is absent."""
    path = REAL.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the real evidence is not at {path}")
    return path


def pandas_that_tells(folder: Path) -> Path:
    """Lay a module of its name into a folder, to be found first; the file that is there once somebody loaded it."""
    (folder / "pandas.py").write_text("open(__file__ + '.loaded', 'x')")
    return folder / "pandas.py.loaded"


def at(clock: str) -> datetime:
    """A time on the day of the tests, or an ISO 8601 time, in UTC."""
    text = clock if "-" in clock else f"2026-11-23T{clock}"
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@contextmanager
def held(*files: bytes | Iterable[Json] | World) -> Iterator[Case]:
    """A case that holds some files, each given as its bytes, its records, or a world's records."""
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for number, content in enumerate(files):
            path = Path(folder) / f"{number:05}.json"
            records = content.records() if isinstance(content, World) else content
            path.write_bytes(records if isinstance(records, bytes) else native(records))
            names.append(str(path))
        with Case.open(Path(folder) / "case") as case:
            case.ingest(names, workers=1)
            yield case


@contextmanager
def in_segments(records: list[Json], count: int) -> Iterator[Case]:
    """A case that holds some records in so many segments, linked once."""
    with tempfile.TemporaryDirectory() as folder, Case.open(Path(folder) / "case") as case:
        paths = [Path(folder) / f"{number}.json" for number in range(count)]
        for number, path in enumerate(paths):
            path.write_bytes(native(records[number::count]))
        with mock.patch("tokentrail.store.tasks.TASK_OBJECTS", 1):
            case.ingest([str(path) for path in paths], workers=1)
        yield case


def spilling_may_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test keep an engine from its disk, which is no setting that may be changed otherwise."""
    monkeypatch.setattr(connection, "_CHANGING", (*connection._CHANGING, "max_temp_directory_size"))


_ITS_OWN = {
    "eventTime",
    "eventID",
    "requestID",
    "requestParameters",
    "responseElements",
    "resources",
    "additionalEventData",
}
"""What calls of one kind differ in."""


def thinned(records: list[Json], most: int) -> list[Json]:
    """The same records with so many calls of one kind at most: of each credential all that shows it."""
    seen: Counter[str] = Counter()
    found = []
    for one in records:
        alike = json.dumps({name: value for name, value in one.items() if name not in _ITS_OWN})
        seen[alike] += 1
        if seen[alike] <= most:
            found.append(one)
    return found


def everyday() -> list[Json]:
    """The story, and a morning of the company that it befell: each kind of credential, in hundreds of records."""
    told = story(ordinary_day=False)
    Company(told.world, at("06:00:00"), at("10:00:00"), seed=7).works()
    return thinned(told.world.records(), 2)


def kept(case: Path) -> dict[str, bytes]:
    """The evidence objects in a case's folder, by the hash that they bear: files, and members of archives."""
    found: dict[str, bytes] = {}
    for path in (case / "objects").rglob("*"):
        if path.parent.name == "packs":
            with tarfile.open(path) as archive:
                for member in archive:
                    body = archive.extractfile(member)
                    assert body is not None
                    found[member.name] = body.read()
        elif path.is_file():
            found[path.parent.name + path.name] = path.read_bytes()
    return found


def copied(case: Path, into: Path) -> None:
    """Copy a case's folder: a file of two names, as layers have them, becomes one file of two names again."""
    known: dict[int, str] = {}

    def copy(source: str, target: str) -> None:
        first = known.setdefault(os.stat(source).st_ino, target)
        shutil.copy2(source, target) if first == target else os.link(first, target)

    shutil.copytree(case, into, copy_function=copy)


def answers(*files: bytes | Iterable[Json] | World, as_of: datetime | None = None) -> dict[str, Credential]:
    """Every credential that the evidence shows, by id."""
    with held(*files) as case:
        return by_id(case.credentials(as_of=as_of))


def by_id(credentials: Iterable[Credential]) -> dict[str, Credential]:
    """The same by id, which no two may share."""
    listed = list(credentials)
    found = {one.id: one for one in listed}
    assert len(listed) == len(found)
    return found


def counted(credentials: Iterable[Credential]) -> Overview:
    """What an overview tells of an inventory, counted one by one."""
    counts: Counter[tuple[Kind, State]] = Counter()
    minted: Counter[str] = Counter()
    found: list[Credential] = []
    for one in credentials:
        counts[one.kind, one.state] += 1
        if one.parent is not None:
            minted[one.parent] += 1
        if one.kind in ("long_term_key", "session_token"):
            found.append(one)
    found.sort(key=lambda one: (-minted[one.id], -one.events, one.id))
    return Overview(
        credentials=counts.total(),
        counts=tuple((kind, state, count) for (kind, state), count in sorted(counts.items())),
        candidates=tuple(
            Candidate(
                id=one.id, kind=one.kind, account=one.account, principal=one.principal, state=one.state,
                minted=minted[one.id], events=one.events,
            )
            for one in found[:15]
        ),
    )  # fmt: skip


def traced(evidence: World | Sequence[Json], *subjects: str, **options: Any) -> Trace:
    """A trace of some subjects."""
    with held(evidence) as case:
        return case.trace(subjects, **options)


def text(results: Iterable[object]) -> str:
    """Results as the JSON that people pipe into other programs."""
    return "\n".join(json.dumps(document(one)) for one in results)


def born(one: Credential) -> tuple[str, str | None, str | None, str | None]:
    """What a test of births compares: kind, parent, link, origin."""
    return one.kind, one.parent, one.parent_link, one.origin


def states(evidence: World | Sequence[Json], *ids: str, as_of: datetime | None = None) -> list[str]:
    """The states of some credentials at a moment."""
    found = answers(evidence, as_of=as_of)
    return [found[one].state for one in ids]


def assume_role(
    when: str = "2026-11-23T09:00:00Z",
    *,
    key: str = "ASIAIOSFODNN7EXAMPL1",
    caller: Json | None = None,
    role: str = "Deploy",
    name: str = "s",
    **fields: Any,
) -> Json:
    """A raw AssumeRole, for shapes that the builder does not write."""
    arn = f"arn:aws:iam::{HOME}:role/{role}"
    session = {
        "assumedRoleId": f"AROA{role.upper():A<17}:{name}",
        "arn": f"arn:aws:sts::{HOME}:assumed-role/{role}/{name}",
    }
    return call(
        "AssumeRole",
        when,
        caller or user(),
        requestParameters={"roleArn": arn, "roleSessionName": name},
        responseElements={
            "credentials": {"accessKeyId": key, "sessionToken": "t"},
            "assumedRoleUser": session,
        },
        **fields,
    )


def call(name: str, when: str, caller: Json, *, source: str = "sts.amazonaws.com", **fields: Any) -> Json:
    """A raw record with an event id that follows from what it says."""
    import uuid

    written = {
        "eventVersion": "1.11", "userIdentity": caller, "eventTime": when, "eventSource": source,
        "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": "192.0.2.10", "userAgent": "test",
        "requestParameters": None, "responseElements": None, "readOnly": True, "eventType": "AwsApiCall",
        "managementEvent": True, "recipientAccountId": HOME, **fields,
    }  # fmt: skip
    written.setdefault("eventID", str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(written))))
    return written


def user(name: str = "ada", key: str = "AKIAIOSFODNN7EXAMPLE", **fields: Any) -> Json:
    """The identity of an IAM user with a long-term key."""
    return {
        "type": "IAMUser", "principalId": f"AIDA{name.upper():A<17}", "arn": f"arn:aws:iam::{HOME}:user/{name}",
        "accountId": HOME, "accessKeyId": key, "userName": name, **fields,
    }  # fmt: skip


def session(
    key: str = "ASIAIOSFODNN7EXAMPL1",
    created: str = "2026-11-23T09:00:00Z",
    *,
    role: str = "Deploy",
    name: str = "s",
    **fields: Any,
) -> Json:
    """The identity of a role session."""
    issuer = {
        "type": "Role", "principalId": f"AROA{role.upper():A<17}", "arn": f"arn:aws:iam::{HOME}:role/{role}",
        "accountId": HOME, "userName": role,
    }  # fmt: skip
    return {
        "type": "AssumedRole", "principalId": f"AROA{role.upper():A<17}:{name}",
        "arn": f"arn:aws:sts::{HOME}:assumed-role/{role}/{name}", "accountId": HOME, "accessKeyId": key,
        "sessionContext": {"sessionIssuer": issuer, "attributes": {"creationDate": created, "mfaAuthenticated": "false"}},
        **fields,
    }  # fmt: skip
