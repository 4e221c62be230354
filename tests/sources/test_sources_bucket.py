"""A bucket in S3 as a place for a case: what it promises, over a wire that can fail, and the words where it can't."""

from __future__ import annotations

import errno
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from cloud_cases import BUCKET, Cloud, Cut, Refusal, Request

from tokentrail.errors import CaseError
from tokentrail.sources import aws
from tokentrail.sources.bucket import S3Bucket
from tokentrail.sources.interface import Access
from tokentrail.sources.s3 import S3Object

KEY = "case.json"


@pytest.fixture(name="bucket")
def _bucket(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    """A prefix in the bucket, reached by what the environment says."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.wire.url)
    return S3Bucket.at(BUCKET, "a/leak")


def test_what_was_put_is_read_listed_and_fetched(bucket: S3Bucket, cloud: Cloud, tmp_path: Path) -> None:
    """Bytes or files, below the prefix alone; of what is not there, nothing is made."""
    (tmp_path / "file").write_bytes(b"of a file")
    bucket.put(KEY, b"{}")
    bucket.put("objects/ab/c", tmp_path / "file")
    cloud.put("a/leakage/x", b"another's")

    assert b"{}" == bucket.read(KEY)
    assert [KEY, "objects/ab/c"] == [one.key for one in bucket.listed("")]
    assert ["objects/ab/c"] == [one.key for one in bucket.listed("objects/")]
    assert bucket.fetch("objects/ab/c", tmp_path / "here")
    assert b"of a file" == (tmp_path / "here").read_bytes()
    assert 0o600 == (tmp_path / "here").stat().st_mode & 0o777
    assert bucket.read("gone") is None
    assert not bucket.fetch("gone", tmp_path / "gone")
    assert {"file", "here"} == {one.name for one in tmp_path.iterdir()}
    assert "s3://logs/a/leak" == bucket.uri


def test_a_case_may_be_all_that_a_bucket_holds(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a prefix, names begin where the bucket does."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.wire.url)
    bucket = S3Bucket.at(BUCKET, "")
    bucket.put(KEY, b"{}")
    assert ["case.json"] == [one.key for one in bucket.listed("")]
    assert "s3://logs" == bucket.uri


def test_only_the_first_of_those_who_start_at_once_puts(bucket: S3Bucket) -> None:
    """A conditional write: whoever comes second is told so, and overwrites nothing."""
    assert bucket.put_new(KEY, b"first")
    assert not bucket.put_new(KEY, b"second")
    assert b"first" == bucket.read(KEY)


def test_a_write_that_meets_another_one_is_tried_again(bucket: S3Bucket, cloud: Cloud) -> None:
    """S3 answers 409 where two put under one name at the same moment: then one of them is there, or none."""
    asked: list[Request] = []

    def fault(request: Request) -> Refusal | None:
        asked.extend([request] if request.method == "PUT" else [])
        return Refusal(409, "ConditionalRequestConflict") if len(asked) == 1 else None

    cloud.wire.fault = fault
    assert bucket.put_new(KEY, b"x")
    assert ["*", "*"] == [one.headers["If-None-Match"] for one in asked]


def test_long_listings_are_read_to_their_end(
    bucket: S3Bucket, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page; of a listing that only a part is wanted of, no more is asked for."""
    monkeypatch.setattr("tokentrail.sources.bucket._PAGE", 3)
    cloud.stock({f"a/leak/objects/{number}": b"" for number in range(8)})
    assert 8 == len(bucket.listed("objects/"))
    before = len(cloud.wire.requests)
    assert 2 == len(bucket.listed("objects/", most=2))
    assert before + 1 == len(cloud.wire.requests)


def test_a_file_whose_connection_broke_is_read_on(bucket: S3Bucket, cloud: Cloud, tmp_path: Path) -> None:
    """From where it broke, so that what is fetched is whole; nothing stays of one that can't be."""
    content = bytes(range(256)) * 20_000
    bucket.put("layers/x", content)
    reads: list[str | None] = []

    def fault(request: Request) -> Cut | None:
        if request.reads:
            reads.append(request.headers.get("Range"))
        return Cut(3_000_000) if len(reads) == 1 else None

    cloud.wire.fault = fault
    assert bucket.fetch("layers/x", tmp_path / "x")
    assert content == (tmp_path / "x").read_bytes()
    assert reads[0] is None
    assert reads[1]

    cloud.wire.fault = lambda _: Cut(0)
    with pytest.raises(CaseError, match="ended too soon"):
        S3Bucket(bucket.access, bucket.bucket, bucket.prefix, lambda _: None).fetch(
            "layers/x", tmp_path / "y"
        )
    assert {"x"} == {one.name for one in tmp_path.iterdir()}


def test_what_is_put_in_an_objects_place_is_not_joined_to_what_was_read_of_it(
    bucket: S3Bucket, cloud: Cloud
) -> None:
    """A note is read anew, whole, and evidence that nobody named an ETag of is another object's by now."""

    def replaced(request: Request) -> Cut | None:
        if "Range" in request.headers:
            cloud.put("a/leak/notes/x.json", b"B" * 1000)
        return None if "Range" in request.headers or len(reads) else reads.append(1) or Cut(500)

    reads: list[int] = []
    found: list[object] = []
    for read in (
        lambda: bucket.read("notes/x.json"),
        lambda: S3Object(bucket.access, BUCKET, "a/leak/notes/x.json", 0, "", lambda _: None).read(),
    ):
        bucket.put("notes/x.json", b"A" * 1000)
        reads.clear()
        cloud.wire.fault = replaced
        try:
            found.append(read())
        except OSError as error:
            found.append(error.errno)
    assert [b"B" * 1000, errno.ESTALE] == found


def test_a_large_file_is_put_in_parts(
    bucket: S3Bucket, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call takes five gigabytes at most; in parts it is there whole or not at all, too."""
    monkeypatch.setattr(aws, "_PART", 5 << 20)
    (tmp_path / "x").write_bytes(b"0123456789" * 1_100_000)
    bucket.put("layers/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == bucket.read("layers/x")
    assert [one for one in cloud.wire.requests if "uploadId" in one.asked]


def test_more_names_than_one_call_removes_are_removed(
    bucket: S3Bucket, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several calls; of none, none is made."""
    monkeypatch.setattr("tokentrail.sources.bucket._BATCH", 3)
    keys = [f"segments/{number}" for number in range(7)]
    cloud.stock({f"a/leak/{one}": b"" for one in [*keys, "kept"]})
    bucket.remove([])
    assert not cloud.wire.requests
    bucket.remove(keys)
    assert 3 == len(cloud.wire.requests)
    assert ["kept"] == [one.key for one in bucket.listed("")]


def test_what_may_not_be_removed_stays_without_a_word(bucket: S3Bucket, cloud: Cloud) -> None:
    """A bucket may be one from which nothing is ever removed: to remove is tidiness alone."""
    bucket.put("segments/x", b"")
    cloud.wire.fault = lambda one: Refusal(403, "AccessDenied") if one.method == "POST" else None
    bucket.remove(["segments/x"])
    assert 1 == len(bucket.listed(""))


@pytest.mark.parametrize(
    ("status", "code", "message", "told"),
    [
        (404, "NoSuchBucket", "no", "no such bucket. Check its name, or make it first, private"),
        (403, "AccessDenied", "no", "s3:ListBucket and s3:GetObject, to add to it s3:PutObject.*AWS_PROFILE names, not with"),
        (403, "AccessDenied", "the KMS key", "kms:Decrypt on it, writing kms:GenerateDataKey"),
        (400, "ExpiredToken", "old", "credentials have expired. Sign in again"),
        (403, "InvalidAccessKeyId", "no", "set AWS_PROFILE"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("done", ["read", "listed", "written"])
def test_each_refusal_says_what_where_and_what_next(
    done: str, status: int, code: str, message: str, told: str, bucket: S3Bucket, cloud: Cloud
) -> None:
    """The object or prefix, S3's own code, and a next step for each kind."""
    cloud.wire.fault = lambda _: Refusal(status, code, message)
    asks = {"read": bucket.read, "listed": bucket.listed, "written": lambda key: bucket.put(key, b"x")}
    with pytest.raises(
        CaseError, match=rf"^s3://logs/a/leak/case\.json: could not be {done} \({code}.*{told}"
    ) as found:
        asks[done](KEY)
    assert "none" not in str(found.value), "the secret key of the environment"


def test_executors_reach_the_same(bucket: S3Bucket) -> None:
    """It pickles, and what came out reaches the same, under the same hash."""
    again = pickle.loads(pickle.dumps(bucket))
    assert (bucket, hash(bucket)) == (again, hash(again))
    again.put(KEY, b"x")
    assert b"x" == bucket.read(KEY)
    bucket.close()


def test_another_address_than_awss_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of S3 alone before that of all services; otherwise AWS's own."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    assert Access(run="x").endpoint_url == S3Bucket.at("b", "").access.endpoint_url
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all")
    assert "http://all" == S3Bucket.at("b", "").access.endpoint_url
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3")
    assert "http://s3" == S3Bucket.at("b", "").access.endpoint_url


def test_what_is_far_too_large_fills_no_memory(
    bucket: S3Bucket, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is small in any case, no more is read than that comes to."""
    monkeypatch.setattr("tokentrail.sources.bucket._SMALL", 10)
    bucket.put(KEY, b"x" * 10)
    assert 10 == len(bucket.read(KEY) or b"")
    bucket.put(KEY, b"x" * 11)
    with pytest.raises(CaseError, match=r"^s3://logs/a/leak/case\.json: is larger than.*remove it"):
        bucket.read(KEY)


def test_an_address_that_is_none_is_said_so(bucket: S3Bucket) -> None:
    """With the variable to look at."""
    wrong = replace(bucket, access=Access(endpoint_url="nonsense"))
    with pytest.raises(CaseError, match=r"Invalid endpoint: nonsense.*AWS_ENDPOINT_URL"):
        wrong.read(KEY)
