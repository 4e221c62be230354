"""What a driver and its executors hand each other through a case, in a folder or in a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_bucket import DeniedBucket, FakeBucket

from tokentrail.errors import CaseError
from tokentrail.store import keys, mirror
from tokentrail.store.folder import CaseFolder
from tokentrail.store.task_exchange import BucketExchange, TaskExchange, exchange_for, name_of, read_checked


@pytest.fixture(name="place", params=["folder", "bucket"])
def _place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskExchange:
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "mirrors"))
    if request.param == "folder":
        folder = CaseFolder.open(tmp_path / "case")
    else:
        folder = mirror.opened(FakeBucket(), create=True)
    place = exchange_for(folder, "tasks")
    place.begin()
    return place


def test_what_was_left_is_there_for_others_until_the_job_ends(place: TaskExchange) -> None:
    """By its name, and in the list of names; then nothing of it is."""
    place.leave(name_of(b"a task"), b"a task")
    place.leave("b.error", b"why")
    assert b"a task" == read_checked(place, name_of(b"a task"))
    assert {name_of(b"a task"), "b.error"} == set(place.names())
    place.end()
    assert not place.names()
    with pytest.raises(CaseError, match=r"b\.error: is gone\. Run the same command again\."):
        place.take("b.error")


def test_a_task_that_somebody_changed_is_not_done(place: TaskExchange) -> None:
    """It goes by the hash of its bytes, which an executor hears from Spark itself."""
    place.leave(name_of(b"a task"), b"another")
    with pytest.raises(CaseError, match="was changed on its way"):
        read_checked(place, name_of(b"a task"))


def test_what_a_killed_job_left_in_a_bucket_bears_names_that_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks and errors: else they would lie there for ever."""
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path))
    bucket = FakeBucket()
    folder = mirror.opened(bucket, create=True)
    for kind in ("tasks", "listing"):
        place = exchange_for(folder, kind)
        assert isinstance(place, BucketExchange)
        place.leave(name_of(b"x"), b"x")
        place.leave(f"{'0' * 32}.error", b"x")
    left = [one for one in bucket.held if one.startswith("spark/")]
    assert 4 == len(left)
    assert all(map(keys.JOB_FILE.fullmatch, left))


def test_who_cant_clear_up_says_what_went_wrong_before_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a job in a bucket that is out of reach hides no other error."""
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path))

    class Gone(DeniedBucket):
        def listed(self, prefix: str, most: int | None = None) -> list[object]:  # type: ignore[override]
            if prefix.startswith("spark/"):
                raise CaseError("out of reach")
            return list(super().listed(prefix, most))

    bucket = FakeBucket()
    mirror.opened(bucket, create=True)
    exchange_for(mirror.opened(Gone(held=bucket.held, times=bucket.times), create=False), "tasks").end()
