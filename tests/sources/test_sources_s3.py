"""Evidence in S3, over HTTP that throttles, cuts connections, and loses objects and credentials in the middle."""

from __future__ import annotations

import gzip
import itertools
import pickle
import random
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.httpsession import URLLib3SSLError
from botocore.response import StreamingBody
from cloud_cases import BUCKET, Cloud, Cut, Refusal, Request

from evidence import AWAY, HOME, START, kept, text
from patience import PATIENCE
from tokentrail import Case
from tokentrail.errors import SourceError, UsageError
from tokentrail.sources import aws
from tokentrail.sources.interface import Access, Wanted
from tokentrail.sources.listing import Lister
from tokentrail.sources.s3 import S3Object
from tokentrail.store.folder import CaseFolder
from tokentrail.testing import World, native
from tokentrail.testing.story import story

ORGANISATION = "o-abcdefghij"


def key(
    account: str = HOME, region: str = "us-east-1", when: datetime = START, *, root: str = "AWSLogs/", kind: str = "CloudTrail",
    tail: str = "ABCDEFGHIJKLMNOP",
) -> str:  # fmt: skip
    """The name that CloudTrail gives to a log file."""
    return f"{root}{account}/{kind}/{region}/{when:%Y/%m/%d}/{account}_{kind}_{region}_{when:%Y%m%dT%H%MZ}_{tail}.json.gz"


def log(count: int = 1) -> bytes:
    """A log file with some records that no other has."""
    world = World(START, seed=log.serial)  # type: ignore[attr-defined]
    log.serial += 1  # type: ignore[attr-defined]
    world.user("ada").calls("ec2:DescribeInstances", count=count)
    return gzip.compress(native(world.records()), mtime=0)


log.serial = 1000  # type: ignore[attr-defined]


def fill(cloud: Cloud, count: int, **options: str) -> list[str]:
    """Some log files, ten minutes apart."""
    keys = [key(when=START + timedelta(minutes=10 * number), **options) for number in range(count)]
    for one in keys:
        cloud.put(one, log())
    return keys


def once(faults: dict[str, Refusal | Cut]) -> object:
    """Faults that each object meets the first time that it is read."""
    left, lock = dict(faults), threading.Lock()

    def fault(request: Request) -> Refusal | Cut | None:
        with lock:
            return left.pop(request.key, None) if request.reads else None

    return fault


# ---------------------------------------------------------------- the same as from disk


def test_the_same_bytes_from_s3_and_from_disk_give_the_same_answers(cloud: Cloud) -> None:
    """Credentials and a trace are byte for byte the same, and so are the objects that the case keeps."""
    told = story(ordinary_day=False)
    told.world.write(cloud.folder / "logs")
    cloud.put_folder(cloud.folder / "logs", "trail/")
    cloud.ingest("trail/")
    with Case.open(cloud.case) as far, Case.open(cloud.folder / "near") as near:
        near.ingest([str(cloud.folder / "logs")], workers=1)
        subject = told.a.id
        assert text(near.credentials()) == text(far.credentials())
        assert text([near.trace([subject])]) == text([far.trace([subject])])

    assert kept(cloud.case) == kept(cloud.folder / "near")


def test_workers_read_the_bucket_themselves(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shipped to another process is a name and how to reach it; it reads there, and all is read once."""
    monkeypatch.setattr("tokentrail.store.ingest.IN_PROCESS_BYTES", 0)
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 4)
    keys = fill(cloud, 16)
    summary = cloud.ingest(workers=2)

    assert (16, 16) == (summary.objects.read, summary.records.new)
    assert keys == sorted(cloud.fetched())


def test_an_object_is_small_on_the_way_to_a_worker(cloud: Cloud) -> None:
    """It pickles without client, credentials and bytes."""
    cloud.put("a.json", log())
    one = S3Object(cloud.access, BUCKET, "a.json", 1, "")
    again = pickle.loads(pickle.dumps(one))

    assert one.read() == again.read()
    assert 600 > len(pickle.dumps(one))
    aws.close(cloud.access)


# ---------------------------------------------------------------- layouts


def test_layouts_are_recognised_and_what_holds_no_events_is_named(cloud: Cloud) -> None:
    """Single accounts and organisations, at the top and below a prefix; digests, insights, aggregates, other services."""
    read = [
        key(), key(AWAY, root=f"AWSLogs/{ORGANISATION}/"), key(root=f"tower/{ORGANISATION}/AWSLogs/{ORGANISATION}/"),
        key(kind="CloudTrail-NetworkActivity"), "exports/2026/11/23/09/stream-1", "loose.json",
    ]  # fmt: skip
    for one in read:
        cloud.put(one, log())
    for kind in ("CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-Aggregated"):
        cloud.put(key(kind=kind), b"{}")
    cloud.put(f"AWSLogs/{HOME}/elasticloadbalancing/us-east-1/2026/11/23/x.log.gz", b"http")
    cloud.put(f"AWSLogs/{HOME}/CloudTrail/", b"")
    summary = cloud.ingest()

    assert sorted(read) == sorted(cloud.fetched())
    assert {
        f"s3://{BUCKET}/AWSLogs/{HOME}/{name}/"
        for name in (
            "CloudTrail-Digest",
            "CloudTrail-Insight",
            "CloudTrail-Aggregated",
            "elasticloadbalancing",
        )
    } == {one.object for one in summary.skipped}
    assert not any(one.lost for one in summary.skipped)
    assert (6, 4) == (summary.objects.read, summary.objects.skipped)


@pytest.mark.parametrize(
    "prefix",
    ["", "AWSLogs", "AWSLogs/", f"AWSLogs/{HOME}", f"AWSLogs/{HOME}/", f"AWSLogs/{HOME[:5]}", f"AWSLogs/{HOME}/CloudTrail/",
     f"AWSLogs/{HOME}/CloudTrail/us-east-1/", f"AWSLogs/{HOME}/CloudTrail/us-east-1/2026/", key().rpartition("/")[0],
     key()[:-20], key()],
)  # fmt: skip
def test_a_prefix_may_end_anywhere(cloud: Cloud, prefix: str) -> None:
    """Bucket, account, region, day, part of a name, or one object: the same file is found."""
    cloud.put(key(), log())
    found = Lister(cloud.access, BUCKET, Wanted()).contents(prefix)
    aws.close(cloud.access)

    assert [key()] == [one.key for one in found.objects]


def test_a_folder_is_not_taken_for_one_that_merely_begins_like_it(cloud: Cloud) -> None:
    """`s3://bucket/logs` means the folder where there is one."""
    cloud.put("trail/a.json", log())
    cloud.put("trail-old/b.json", log())
    cloud.ingest("trail")

    assert ["trail/a.json"] == cloud.fetched()


def test_a_case_in_the_bucket_that_it_is_made_from_is_no_logs(cloud: Cloud) -> None:
    """Its copies and columns were taken in as evidence anew with each run; what lies beside it is read."""
    marker = CaseFolder.open(cloud.folder / "new").path / "case.json"
    cloud.put("leak/case.json", marker.read_bytes())
    cloud.put("foreign/case.json", b'{"id": 1}')
    for name in (
        "leak/logs.json", "other/case.json", "leak/objects/ab/c", "leak/segments/1/events.parquet", "foreign/notes/a",
    ):  # fmt: skip
        cloud.put(name, log())
    summary = cloud.ingest()

    assert {"leak/logs.json", "other/case.json", "foreign/case.json", "foreign/notes/a"} == set(
        cloud.fetched()
    ) - {"leak/case.json"}
    assert [(f"s3://{BUCKET}/leak/", False)] == [(one.object, one.lost) for one in summary.skipped]


def test_what_the_user_points_at_is_read(cloud: Cloud) -> None:
    """A folder that would be skipped on the way is read when it is named."""
    cloud.put(f"AWSLogs/{HOME}/exports/2026/a.json", log())

    assert 1 == cloud.ingest(f"AWSLogs/{HOME}/exports/").objects.read


def test_digests_in_a_flat_folder_are_counted_and_not_fetched(cloud: Cloud) -> None:
    """By their names, since they lie beside the logs."""
    cloud.put("flat/" + key().rpartition("/")[2], log())
    digest = f"{HOME}_CloudTrail-Digest_us-east-1_my_trail.x_us-east-1_20261123T100000Z.json.gz"
    cloud.put(f"flat/{digest}", b"{}")
    summary = cloud.ingest("flat/")

    assert 1 == len(cloud.fetched())
    assert [(f"s3://{BUCKET}/flat/ (1 object)", False)] == [(one.object, one.lost) for one in summary.skipped]


def test_an_empty_prefix_says_so(cloud: Cloud) -> None:
    """A misspelled prefix is no empty success."""
    with pytest.raises(SourceError, match="no objects there"):
        cloud.ingest("awslogs/")


def test_a_source_without_bucket_is_wrong_use(cloud: Cloud) -> None:
    """`s3:///prefix` is told what it should be."""
    with Case.open(cloud.case) as case, pytest.raises(UsageError, match="s3://BUCKET/PREFIX"):
        case.ingest(["s3:///x"], access=[cloud.access])


# ---------------------------------------------------------------- choosing folders


def test_accounts_regions_and_days_choose_what_is_listed(cloud: Cloud) -> None:
    """Folders that were not asked for are neither listed nor read; a delivery just after the end is."""
    days = [START + timedelta(days=number) for number in range(-2, 3)]
    for account, region, day in itertools.product((HOME, AWAY), ("us-east-1", "eu-west-1"), days):
        cloud.put(key(account, region, day), log())
    late = key(when=START + timedelta(minutes=50), tail="LATE")
    cloud.put(late, log())
    cloud.ingest(
        accounts=frozenset({HOME}),
        regions=frozenset({"us-east-1"}),
        since=START,
        until=START + timedelta(minutes=5),
    )

    assert sorted([key(), late]) == sorted(cloud.fetched())
    assert not [one for one in cloud.listed() if AWAY in one or "eu-west-1" in one]


def test_days_before_are_not_in_the_listing(cloud: Cloud) -> None:
    """A region's folder is listed from the first day on, and no further than the page that holds the last."""
    for number in range(30):
        cloud.put(key(when=START - timedelta(days=number)), log())
    cloud.ingest(since=START - timedelta(days=1))
    (asked,) = [
        one.asked for one in cloud.wire.requests if one.asked.get("prefix", "").endswith("us-east-1/")
    ]

    assert 2 == len(cloud.fetched())
    assert f"AWSLogs/{HOME}/CloudTrail/us-east-1/2026/11/22/" == asked["start-after"]


def test_names_that_tell_nothing_are_read_and_said(cloud: Cloud) -> None:
    """Asked for a day, a file without one in its name is read whole, and the summary says so."""
    cloud.put("dump/events.json", log())
    summary = cloud.ingest("dump/", since=START)

    assert 1 == summary.objects.read
    assert "1 object whose names tell no account" in summary.asked[0]


def test_a_day_chooses_files_on_disk_too(cloud: Cloud) -> None:
    """What is asked of a bucket is asked of a copy of it."""
    for number in range(3):
        path = cloud.folder / "copy" / key(when=START + timedelta(days=number))
        path.parent.mkdir(parents=True)
        path.write_bytes(log())
    with Case.open(cloud.case) as case:
        assert (
            2
            == case.ingest(
                [str(cloud.folder / "copy")], wanted=Wanted(since=START + timedelta(days=1))
            ).objects.read
        )


def test_what_a_part_leaves_out_is_told(cloud: Cloud) -> None:
    """Where nothing is of the account asked for, the summary says which accounts, regions and times there are."""
    cloud.put(key(), log())
    cloud.put(key(AWAY, "eu-west-1"), log())
    far = cloud.ingest(accounts=frozenset({"9" * 12}))
    copy = cloud.folder / "copy" / Path(key()).name
    copy.parent.mkdir()
    copy.write_bytes(log())
    with Case.open(cloud.case) as case:
        near = case.ingest([str(copy.parent)], wanted=Wanted(until=START - timedelta(days=2)))

    assert 0 == far.objects.read == near.objects.read
    assert f"Names tell account {', '.join(sorted((HOME, AWAY)))}." in far.asked[-1]
    assert "1 object passed over" in near.asked[0]
    assert f"account {HOME}; region us-east-1; {START:%Y-%m-%dT%H:%M}Z." in near.asked[1]


def test_what_a_part_leaves_of_a_bucket_is_not_blamed(cloud: Cloud) -> None:
    """Where something is of the time asked for, only what was passed over is counted."""
    cloud.put(key(), log())
    cloud.put(key(when=START + timedelta(hours=3)), log())
    summary = cloud.ingest(until=START)

    assert 1 == summary.objects.read
    assert ["1 object passed over"] == [one.split(": ")[1].partition(",")[0] for one in summary.asked]


# ---------------------------------------------------------------- again


def test_what_the_case_holds_is_not_fetched_again(cloud: Cloud) -> None:
    """Known by bucket, key, ETag and size; a new object is read, a changed one is read anew."""
    keys = fill(cloud, 3)
    cloud.ingest()
    cloud.wire.requests.clear()
    cloud.put(keys[0], log(2))
    cloud.put(key(when=START + timedelta(hours=5)), log())
    summary = cloud.ingest()

    assert sorted([keys[0], key(when=START + timedelta(hours=5))]) == sorted(cloud.fetched())
    assert (2, 2, 3) == (summary.objects.read, summary.objects.repeated, summary.records.new)


def test_the_same_bytes_under_two_keys_are_one_object(cloud: Cloud) -> None:
    """By hash, whatever they are called."""
    content = log()
    cloud.put("a.json", content)
    cloud.put("b.json", content)
    summary = cloud.ingest()

    assert (1, 1, 1) == (summary.objects.read, summary.objects.repeated, summary.records.new)


# ---------------------------------------------------------------- what goes wrong on the way


def test_a_connection_cut_in_an_object_is_taken_up_where_it_broke(cloud: Cloud) -> None:
    """The rest is asked for by range; before the first byte, the whole."""
    keys = fill(cloud, 4)
    cloud.put(keys[0], gzip.compress(random.Random(1).randbytes(3 << 20)))  # more than one piece
    cloud.wire.fault = once({keys[0]: Cut(2 << 20), keys[1]: Cut(100), keys[2]: Cut(0)})  # type: ignore[assignment]
    summary = cloud.ingest()

    assert 4 == summary.objects.read
    assert [f"bytes={2 << 20}-"] == [
        one.headers["Range"]
        for one in cloud.wire.requests
        if one.reads and one.key == keys[0] and "Range" in one.headers
    ]


def test_a_cut_object_has_the_bytes_that_it_had(cloud: Cloud) -> None:
    """However often the wire breaks, what is read is what was put."""
    content = random.Random(2).randbytes(5 << 20)
    cloud.put("big", content)
    breaks = iter([Cut(1 << 20), Cut(0), Cut(3 << 20), Cut(17)])
    cloud.wire.fault = lambda _: next(breaks, None)

    assert content == S3Object(cloud.access, BUCKET, "big", len(content), "", sleep=lambda _: None).read()
    aws.close(cloud.access)


def test_what_tls_finds_damaged_is_read_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece that was changed on the way comes as an error that the SDK makes none of its own of."""
    cloud.put("damaged", b"x" * 100)
    read, damaged = StreamingBody.read, iter([True])

    def broken(body: StreamingBody, amt: int | None = None) -> bytes:
        if next(damaged, False):
            raise URLLib3SSLError("record layer failure")
        return bytes(read(body, amt))

    monkeypatch.setattr(StreamingBody, "read", broken)
    assert b"x" * 100 == S3Object(cloud.access, BUCKET, "damaged", 100, "", sleep=lambda _: None).read()
    aws.close(cloud.access)


def test_an_object_that_always_breaks_costs_itself_only(cloud: Cloud) -> None:
    """After some attempts it is named, and the others are read."""
    keys = fill(cloud, 3)
    cloud.wire.fault = lambda request: Cut(0) if request.reads and request.key == keys[1] else None
    object_ = S3Object(cloud.access, BUCKET, keys[1], 100, "", sleep=lambda _: None)
    with pytest.raises(OSError, match="ended too soon, several times"):
        object_.read()
    aws.close(cloud.access)


def test_an_object_deleted_between_listing_and_reading_is_named(cloud: Cloud) -> None:
    """It counts as skipped, and as lost; the rest is read."""
    keys = fill(cloud, 3)
    cloud.wire.fault = once({keys[1]: Refusal(404, "NoSuchKey")})  # type: ignore[assignment]
    summary = cloud.ingest()

    assert (2, 1) == (summary.objects.read, summary.objects.skipped)
    assert [(f"s3://{BUCKET}/{keys[1]}", "can't be read: deleted between listing and reading", True)] == [
        (one.object, one.reason, one.lost) for one in summary.skipped
    ]


def test_an_object_changed_between_listing_and_reading_is_named(cloud: Cloud) -> None:
    """What was listed is what is read, or nothing: the next run reads it as it is then."""
    keys = fill(cloud, 2)
    change = iter([log(5)])

    def fault(request: Request) -> None:
        if request.reads and request.key == keys[1] and (content := next(change, None)):
            cloud.put(keys[1], content)

    cloud.wire.fault = fault
    (skipped,) = cloud.ingest().skipped
    assert "changed between listing and reading" in skipped.reason

    assert 5 == cloud.ingest().records.new


def test_throttling_costs_time_only(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """SlowDown is answered with patience, of that one call alone, and nothing is lost."""
    monkeypatch.setattr(
        "botocore.retries.adaptive.register_retry_handler", lambda _: pytest.fail("slows others")
    )
    keys = fill(cloud, 6)
    cloud.wire.fault = once({one: Refusal(503, "SlowDown") for one in keys[:1]})  # type: ignore[assignment]

    assert 6 == cloud.ingest().objects.read


def test_expired_credentials_end_it_in_words_and_the_next_run_goes_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read until then is kept and not fetched again."""
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 3)
    keys = fill(cloud, 9)
    count = itertools.count()
    cloud.wire.fault = lambda request: (
        Refusal(400, "ExpiredToken", "The provided token has expired.")
        if request.reads and next(count) >= 5
        else None
    )
    with pytest.raises(SourceError, match=r"expired.*Sign in again.*goes on where it stopped"):
        cloud.ingest()

    with Case.open(cloud.case) as case:
        assert 3 == case.status().records
    cloud.wire.fault = lambda _: None
    cloud.wire.requests.clear()
    summary = cloud.ingest()
    assert (6, 3, 6) == (summary.objects.read, summary.objects.repeated, summary.records.new)
    assert keys[3:] == sorted(cloud.fetched())


def test_a_network_that_is_gone_ends_it_in_words(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """No list of a thousand objects that could not be read, but one sentence."""
    monkeypatch.setattr(aws, "_ATTEMPTS", 1)
    with pytest.raises(SourceError, match=r"could not be reached.*goes on"):
        cloud.ingest(access=Access(endpoint_url="http://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            Refusal(403, "AccessDenied", "not authorized to perform: kms:Decrypt on resource: arn:aws:kms:…"),
            r"kms:Decrypt",
        ),
        (Refusal(400, "KMS.DisabledException"), "KMS key"),
        (Refusal(403, "AccessDenied", "Access Denied"), r"--request-payer"),
        (Refusal(403, "InvalidAccessKeyId"), "--profile"),
    ],
)
def test_denials_are_explained_once_before_anything_is_read(
    cloud: Cloud, refusal: Refusal, words: str
) -> None:
    """What is denied for the first object is an error with the permission that lacks, and the next step."""
    fill(cloud, 3)
    cloud.wire.fault = lambda request: refusal if request.method == "GET" and request.key else None
    with pytest.raises(SourceError, match=words):
        cloud.ingest()


def test_a_denied_listing_is_explained(cloud: Cloud) -> None:
    """A bucket that may not be listed names the permission; where it is one folder in it, that is named."""
    cloud.wire.fault = lambda _: Refusal(403, "AccessDenied", "Access Denied")
    with pytest.raises(SourceError, match=r"^s3://logs/: .*s3:ListBucket.*--role-arn\.$"):
        cloud.ingest()
    fill(cloud, 1)
    cloud.wire.fault = lambda one: (
        Refusal(403, "AccessDenied") if f"/{HOME}/" in one.asked.get("prefix", "") else None
    )
    with pytest.raises(SourceError, match=rf"^s3://logs/AWSLogs/{HOME}/: .*name the folders beside it"):
        cloud.ingest()


@pytest.mark.parametrize("denied", [0, 1, 2])
def test_one_denied_object_costs_itself_only(denied: int, cloud: Cloud) -> None:
    """A single object under another key is named with the reason, also if it is the first: a key may be disabled."""
    keys = fill(cloud, 3)
    cloud.wire.fault = lambda request: (
        Refusal(403, "AccessDenied", "kms:Decrypt denied") if request.key == keys[denied] else None
    )
    summary = cloud.ingest()

    assert 2 == summary.objects.read
    assert "kms:Decrypt" in summary.skipped[0].reason


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal(301, "PermanentRedirect"), r"PermanentRedirect.*AWS_DEFAULT_REGION"),
        (Refusal(400, "AuthorizationHeaderMalformed"), "AWS_DEFAULT_REGION"),
        (Refusal(500, "InternalError"), "Wait a little"),
        (Refusal(400, "RequestTimeout"), "Look after the network"),
    ],
)
def test_another_region_and_faults_of_aws_are_told_with_the_way_on(
    cloud: Cloud, refusal: Refusal, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first comes from a proxy too, which sends HTTP on to HTTPS and names no region: the SDK asked for ever."""
    monkeypatch.setattr("tokentrail.sources.aws._ATTEMPTS", 1)
    cloud.wire.fault = lambda _: refusal
    with pytest.raises(SourceError, match=words):
        cloud.ingest()


def test_an_archived_object_is_named(cloud: Cloud) -> None:
    """Glacier's refusal says what to do."""
    keys = fill(cloud, 2)
    cloud.wire.fault = once({keys[1]: Refusal(403, "InvalidObjectState")})  # type: ignore[assignment]

    assert "restore-object" in cloud.ingest().skipped[0].reason


def test_the_requester_pays_when_told_to(cloud: Cloud) -> None:
    """Each call of listing and reading says so."""
    fill(cloud, 2)
    cloud.ingest(access=Access(endpoint_url=cloud.wire.url, request_payer=True))

    assert {"requester"} == {one.headers.get("x-amz-request-payer") for one in cloud.wire.requests}


def test_an_unknown_profile_is_named(cloud: Cloud) -> None:
    """Wrong names of the SDK's configuration are an error in words."""
    with pytest.raises(SourceError, match="nobody"):
        cloud.ingest(access=Access(endpoint_url=cloud.wire.url, profile="nobody"))


def test_a_role_is_assumed_for_reading(cloud: Cloud) -> None:
    """With a session name that shows as ours."""
    fill(cloud, 1)
    access = Access(endpoint_url=cloud.wire.url, role_arn=f"arn:aws:iam::{HOME}:role/Reader", run="r1")

    assert 1 == cloud.ingest(access=access).objects.read
    assert {"POST"} == {one.method for one in cloud.wire.requests if one.path == "/"}
    assert all("run/r1" in one.headers["User-Agent"] for one in cloud.wire.requests)


def test_a_profile_assumes_its_role_where_no_home_can_be_written(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that is read-only; a pod's token that is not there is a word about credentials."""
    fill(cloud, 1)
    (tmp_path / "config").write_text(
        "[profile role]\nrole_arn = arn:aws:iam::111122223333:role/Reader\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AKIARESPONDER0000001\naws_secret_access_key = none\n"
        "[profile pod]\nrole_arn = arn:aws:iam::111122223333:role/Reader\nweb_identity_token_file = /none/token\n"
    )
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", cloud.wire.url)

    assert 1 == cloud.ingest(access=Access(endpoint_url=cloud.wire.url, profile="role")).objects.read
    with pytest.raises(SourceError, match=r"/none/token.*no credentials that work"):
        cloud.ingest(access=Access(endpoint_url=cloud.wire.url, profile="pod"))


def test_references_to_s3_are_refused(cloud: Cloud) -> None:
    """`--reference` is for files."""
    with Case.open(cloud.case) as case, pytest.raises(UsageError, match="--reference"):
        case.ingest(["s3://logs/"], reference=True, access=[cloud.access])


def test_hostile_keys_never_become_paths(cloud: Cloud) -> None:
    """Names with `..`, control characters and blanks are read as objects, and nothing is written beside the case."""
    names = [
        "../../etc/passwd",
        "a/../../b",
        "tab\tand\x1b[2J",
        "blank and +%2F",
        "ünïcödé/…",
        "//double//slash",
    ]
    for one in names:
        cloud.put(f"h/{one}", log())
    before = set(cloud.folder.iterdir())
    summary = cloud.ingest("h/")

    assert (6, ()) == (summary.objects.read, summary.skipped)
    assert {cloud.case} == set(cloud.folder.iterdir()) - before


# ---------------------------------------------------------------- many


@pytest.mark.parametrize("count", [80, pytest.param(10_000, marks=pytest.mark.long)])
def test_many_objects_with_all_that_goes_wrong(
    cloud: Cloud, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Throttled, cut, deleted, restarted at random: in the end the case holds what was there, each object once."""
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", max(20, count // 60))
    chance, lock = random.Random(count), threading.Lock()
    contents = {}
    for number in range(count):
        contents[key(when=START + timedelta(minutes=number), tail=f"{number:016}")] = log()
    for name, content in contents.items():
        cloud.put(name, content)
    gone = set(chance.sample(sorted(contents)[1:], count // 50))
    tried: set[str] = set()
    kills = iter([count // 3, count // 4])
    left = [next(kills)]

    def fault(request: Request) -> Refusal | Cut | None:
        with lock:
            if not request.reads:
                return None
            if request.key in gone:
                return Refusal(404, "NoSuchKey")
            left[0] -= 1
            if left[0] < 0:
                return Refusal(400, "ExpiredToken", "expired")
            if request.key in tried:
                return None
            tried.add(request.key)
            drawn = chance.random()
            return (
                Refusal(503, "SlowDown")
                if drawn < 0.005
                else Cut(chance.randrange(200))
                if drawn < 0.1
                else None
            )

    cloud.wire.fault = fault
    runs = 0
    while True:
        runs += 1
        try:
            summary = cloud.ingest()
            break
        except SourceError:
            left[0] = next(kills, 10**9)

    assert 3 == runs
    assert {f"s3://{BUCKET}/{one}" for one in gone} == {one.object for one in summary.skipped}
    with Case.open(cloud.case) as case:
        status = case.status()
    assert (count - len(gone), count - len(gone)) == (status.objects, status.records)


_INGEST = """
import sys
from tokentrail.store.without_pandas import hide_pandas
hide_pandas()  # as our own processes do: it takes most of their start
from tokentrail import Case
from tokentrail.sources.interface import Access
from tokentrail.store import tasks
tasks.TASK_OBJECTS = 5
print("begins", flush=True)
with Case.open(sys.argv[1]) as case:
    case.ingest(["s3://logs/"], access=[Access(endpoint_url=sys.argv[2])], workers=1)
"""


def stuck(cloud: Cloud, after: int) -> tuple[threading.Event, threading.Event]:
    """Let nobody read more than so many objects until the second event; the first one tells that so many were read."""
    so_far, dead = threading.Event(), threading.Event()

    def fault(_: Request) -> None:
        if len(cloud.fetched()) >= after:
            so_far.set()
            dead.wait(PATIENCE)

    cloud.wire.fault = fault
    return so_far, dead


def test_a_killed_run_is_gone_on_with(cloud: Cloud) -> None:
    """SIGKILL in the middle of reading: what was published stays, and no object of it is fetched again."""
    keys = fill(cloud, 40)
    for after in (8, 20):
        cloud.wire.requests.clear()
        so_far, dead = stuck(cloud, after)
        process = subprocess.Popen([sys.executable, "-c", _INGEST, str(cloud.case), cloud.wire.url])
        assert so_far.wait(PATIENCE)
        process.kill()
        process.wait()
        dead.set()
    cloud.wire.fault = lambda _: None
    with Case.open(cloud.case) as case:
        held = case.status().objects if any((cloud.case / "manifests").iterdir()) else 0
    cloud.wire.requests.clear()
    summary = cloud.ingest()

    assert (40, 40 - held, held) == (summary.records.read, summary.objects.read, summary.objects.repeated)
    assert 40 - held == len(cloud.fetched())
    assert set(cloud.fetched()) <= set(keys)


def test_a_file_of_the_case_shows_where_it_came_from(cloud: Cloud) -> None:
    """The manifest names bucket, key, ETag and size."""
    cloud.put("a.json", log())
    cloud.ingest()
    manifest = next(Path(cloud.case, "manifests").glob("*.json")).read_text()

    assert f"s3://{BUCKET}/a.json#" in manifest


def test_time_is_utc() -> None:
    """The builder's start is aware, so that days of folders are UTC's."""
    assert START.tzinfo is UTC
