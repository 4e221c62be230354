"""Log files verified by CloudTrail's digests: what is complete, altered, missing, and how well that is proven."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cloud_cases import BUCKET, Answer, Cloud, Refusal, Request
from notary_cases import HOUR, Notary, fingerprint, listed_keys, private_key, public_key, with_keys

from evidence import HOME, START, real
from tokentrail import Case
from tokentrail.errors import SourceError, UsageError
from tokentrail.results import LogVerification
from tokentrail.sources import digests
from tokentrail.sources.interface import Wanted
from tokentrail.sources.signatures import fits, from_files

LATER = START + timedelta(days=40)
"""When backfills are made, here: CloudTrail has another key by then."""


def put(cloud: Cloud, notary: Notary) -> None:
    """The trail in its bucket, signatures in the metadata."""
    for key, content in notary.objects.items():
        signed = (
            {"signature": notary.signatures[key], "signature-algorithm": "SHA256withRSA"}
            if key in notary.signatures
            else {}
        )
        if key.endswith("_backfill.json.gz"):
            signed["backfill-generation-timestamp"] = f"{LATER:%Y-%m-%dT%H:%M:%SZ}"
        cloud.put(key, content, Metadata=signed)


def write(folder: Path, notary: Notary) -> Path:
    """The trail as a copy on disk, which loses the metadata."""
    for key, content in notary.objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def on_disk(tmp_path: Path, notary: Notary) -> LogVerification:
    """Verify a copy, with an empty case."""
    with Case.open(tmp_path / "case") as case:
        return case.verify_logs([str(write(tmp_path / "copy", notary))])


def shown(found: LogVerification) -> list[tuple[str, int, int]]:
    """Verdict and hours from the start, period by period."""
    return [(one.verdict, (one.start - START) // HOUR, (one.end - START) // HOUR) for one in found.periods]


def verify(cloud: Cloud, *sources: str, **wanted: object) -> LogVerification:
    with Case.open(cloud.case) as case:
        return case.verify_logs(
            sources or [f"s3://{BUCKET}/"],
            access=cloud.access,
            wanted=Wanted(**wanted),  # type: ignore[arg-type]
        )


# ---------------------------------------------------------------- in S3, signed


def test_an_unharmed_trail_is_complete_by_its_signatures(cloud: Cloud) -> None:
    """One period from the first hour to the last; the keys come from ListPublicKeys."""
    put(cloud, Notary())
    cloud.wire.fault = with_keys
    found = verify(cloud)

    assert [("complete", 0, 4)] == shown(found)
    assert ["signature"] == [one.proof for one in found.periods]
    assert (4, 8, (), ()) == (found.digests, found.files, found.unlisted, found.said)


def test_an_altered_log_is_named_where_it_lies(cloud: Cloud) -> None:
    """Its hour alone is altered."""
    notary = Notary()
    notary.rewrite(notary.logs[2], b"DescribeInstances", b"DescribeNothingAtA")
    put(cloud, notary)
    cloud.wire.fault = with_keys
    found = verify(cloud)

    assert [("complete", 0, 1), ("altered", 1, 2), ("complete", 2, 4)] == shown(found)
    assert (f"log file {BUCKET}/{notary.logs[2]} was altered, at its source",) == found.periods[1].why


def test_a_deleted_log_is_missing(cloud: Cloud) -> None:
    """The digest still knows it."""
    notary = Notary()
    notary.without(notary.logs[5])
    put(cloud, notary)
    cloud.wire.fault = with_keys

    assert [("complete", 0, 2), ("missing", 2, 3), ("complete", 3, 4)] == shown(verify(cloud))


def test_a_forger_who_rewrites_log_and_digest_can_t_sign(cloud: Cloud) -> None:
    """The newest digest has no successor whose hash would tell, but its signature does."""
    notary = Notary()
    notary.without(notary.logs[7])
    told = json.loads(gzip_text(notary, notary.digests[-1]))
    del told["logFiles"][1]
    notary.objects[notary.digests[-1]] = json.dumps(told).encode()
    put(cloud, notary)
    cloud.wire.fault = with_keys
    found = verify(cloud)

    assert [("complete", 0, 3), ("altered", 3, 4)] == shown(found)
    assert "signature" in found.periods[1].why[0]


def gzip_text(notary: Notary, key: str) -> bytes:
    import gzip

    return gzip.decompress(notary.objects[key])


def test_keys_that_can_t_be_listed_leave_the_hash_chain(cloud: Cloud) -> None:
    """It is said why, and that it proves less."""
    put(cloud, Notary())
    cloud.wire.fault = lambda request: (
        Refusal(400, "AccessDeniedException") if request.operation == "ListPublicKeys" else None
    )
    found = verify(cloud)

    assert ["hash chain"] == [one.proof for one in found.periods]
    assert any("could not be listed" in one for one in found.said)
    assert any("only the chain of hashes" in one for one in found.said)


def test_days_and_regions_choose_digests(cloud: Cloud) -> None:
    """Digests of other regions and hours are not read."""
    for region in ("us-east-1", "eu-west-1"):
        put(cloud, Notary(region=region))
    cloud.wire.fault = with_keys
    found = verify(cloud, regions=frozenset({"eu-west-1"}), since=START + 3 * HOUR)

    assert [("complete", 2, 4)] == shown(found)
    assert not [one for one in cloud.fetched() if "us-east-1/" in one]


@pytest.mark.parametrize("head", ["", "cases/7/"])
def test_a_replica_in_another_bucket_is_looked_for_there(cloud: Cloud, head: str) -> None:
    """Digests name the place that they were written to; in a copy logs lie beside them as they did there."""
    notary = Notary(hours=2)
    cloud.client.create_bucket(Bucket="replica")
    for key, content in notary.objects.items():
        cloud.client.put_object(Bucket="replica", Key=f"{head}{key}", Body=content)
    cloud.wire.fault = with_keys

    assert [("complete", 0, 2)] == shown(verify(cloud, f"s3://replica/{head}AWSLogs/"))


def test_backfill_digests_are_checked_with_the_key_of_when_they_were_made(cloud: Cloud) -> None:
    """There are some for few hours only, so that nothing is missing between two; they have one key, hours another."""
    notary = Notary()
    for hour in (0, 3):
        notary.backfill(hour, "new")
    put(cloud, notary)

    def keys_of_then(request: Request) -> Answer | None:
        if request.operation != "ListPublicKeys":
            return None
        asked = json.loads(request.content)
        then = asked["StartTime"] <= LATER.timestamp() <= asked["EndTime"]
        return Answer(listed_keys("new" if then else "aws"))

    cloud.wire.fault = keys_of_then
    found = verify(cloud)

    assert [("complete", 0, 4)] == shown(found)
    assert (6, 10, (), ()) == (found.digests, found.files, found.unlisted, found.said)
    notary.without(notary.logs[-1])
    cloud.client.delete_object(Bucket=BUCKET, Key=notary.logs[-1])
    assert ("missing", 3, 4) in shown(verify(cloud))


# ---------------------------------------------------------------- on disk, hashes alone


def test_a_copy_on_disk_is_proven_by_the_chain_of_hashes(tmp_path: Path) -> None:
    """And it says that this proves less."""
    found = on_disk(tmp_path, Notary())

    assert [("complete", 0, 4)] == shown(found)
    assert ["hash chain"] == [one.proof for one in found.periods]
    assert "signature could not be checked" in found.said[0]


def test_unpacked_copies_are_the_same(tmp_path: Path) -> None:
    """Hashes are of unpacked content."""
    import gzip

    folder = write(tmp_path / "copy", Notary())
    for path in sorted(folder.rglob("*.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    with Case.open(tmp_path / "case") as case:
        assert [("complete", 0, 4)] == shown(case.verify_logs([str(folder)]))


def test_an_altered_hash_in_a_digest_is_found_by_the_next_one(tmp_path: Path) -> None:
    """A forger who puts in the hash of an altered log has to alter every later digest."""
    import hashlib

    notary = Notary()
    log, digest = notary.logs[2], notary.digests[1]
    old = hashlib.sha256(gzip_text(notary, log)).hexdigest()
    notary.rewrite(log, b"DescribeInstances", b"DescribeNothingAtA")
    notary.rewrite(digest, old.encode(), hashlib.sha256(gzip_text(notary, log)).hexdigest().encode())
    found = on_disk(tmp_path, notary)

    assert [("complete", 0, 1), ("altered", 1, 2), ("complete", 2, 4)] == shown(found)
    assert "not the one whose hash the next one holds" in found.periods[1].why[0]


def test_a_missing_digest_makes_its_hours_missing(tmp_path: Path) -> None:
    """The one after it tells its name."""
    notary = Notary()
    notary.without(notary.digests[1])
    found = on_disk(tmp_path, notary)

    assert [("complete", 0, 1), ("missing", 1, 2), ("complete", 2, 4)] == shown(found)
    assert f"digest file {notary.digests[1]} is missing" in found.periods[1].why[0]


def test_a_chain_that_starts_anew_is_missing_what_lies_between(tmp_path: Path) -> None:
    """Validation was off, or somebody removed digests and logs."""
    first, second = Notary(hours=2), Notary(hours=2, start=START + 5 * HOUR)
    first.objects |= second.objects
    found = on_disk(tmp_path, first)

    assert [("complete", 0, 2), ("missing", 2, 5), ("complete", 5, 7)] == shown(found)
    assert "starts anew" in found.periods[1].why[0]


def test_trails_of_one_region_are_chains_of_their_own(tmp_path: Path) -> None:
    """Two trails in one bucket do not break each other's chain."""
    one, other = Notary(), Notary(trail="other")
    one.objects |= other.objects

    assert [("complete", 0, 4)] == shown(on_disk(tmp_path, one))


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"\x1f\x8bbroken", b'{"awsAccountId": 1}', b"\xff\xfe", b"[" * 9000]
)
def test_what_is_no_digest_proves_nothing_and_is_named(tmp_path: Path, content: bytes) -> None:
    """Its hours are missing, and it is said why."""
    notary = Notary()
    notary.objects[notary.digests[1]] = content
    found = on_disk(tmp_path, notary)

    assert [("complete", 0, 1), ("missing", 1, 2), ("complete", 2, 4)] == shown(found)
    assert any(notary.digests[1] in one for one in found.said)


def test_a_digest_can_t_point_out_of_what_was_listed(tmp_path: Path) -> None:
    """A name with `..` is looked up, and never opened."""
    notary = Notary()
    (tmp_path / "secret").write_text("secret")
    notary.rewrite(notary.digests[3], notary.logs[7].encode(), b"../../secret")
    found = on_disk(tmp_path, notary)

    assert ("missing", 3, 4) in shown(found)


def test_a_folder_without_digests_says_where_they_lie(tmp_path: Path) -> None:
    """Not an empty success."""
    (tmp_path / "logs").mkdir()
    with Case.open(tmp_path / "case") as case, pytest.raises(SourceError, match="CloudTrail-Digest"):
        case.verify_logs([str(tmp_path / "logs")])


def test_the_real_digest_is_read() -> None:
    """One that CloudTrail wrote: its account, hours, chain and files."""
    path = real("stevezieglerva", "trail")
    (name,) = path.glob("*Digest*.json.gz")
    found = digests.digest(name.read_bytes(), "us-east-1")

    assert isinstance(found, digests.Digest)
    assert ("112280397275", datetime(2019, 11, 8, 15, 49, 11, tzinfo=UTC), HOUR) == (
        found.account, found.start, found.end - found.start,
    )  # fmt: skip
    assert found.files
    assert "20191108T154911Z" in str(found.previous)
    assert found.signed_text.startswith(
        b"2019-11-08T16:49:11Z\ncloudtrail-log-analytics-s3bucket-1wq1mer0z4wte/AWSLogs/"
    )


# ---------------------------------------------------------------- signatures


def test_a_signature_fits_its_key_and_text_only() -> None:
    """Another key, text or number does not."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signature = private_key().sign(b"text", padding.PKCS1v15(), hashes.SHA256()).hex()

    assert fits(public_key(), signature, b"text")
    assert not fits(public_key(), signature, b"test")
    assert not fits(public_key("other"), signature, b"text")
    assert not fits(public_key(), f"{int(signature, 16) ^ 1:0{len(signature)}x}", b"text")
    assert not fits(public_key(), "not hexadecimal", b"text")
    assert not fits(b"no key", signature, b"text")


def test_public_keys_come_from_files(tmp_path: Path) -> None:
    """As the AWS CLI prints them; anything else is wrong use."""
    (tmp_path / "keys.json").write_text(json.dumps(listed_keys()))
    (tmp_path / "other.json").write_text("[]")

    assert {fingerprint(): public_key()} == from_files([tmp_path / "keys.json"])
    with pytest.raises(UsageError, match="list-public-keys"):
        from_files([tmp_path / "other.json"])
    with pytest.raises(SourceError, match=r"gone\.json"):
        from_files([tmp_path / "gone.json"])


def test_keys_at_hand_ask_nobody(cloud: Cloud, tmp_path: Path) -> None:
    """With --public-keys, no call of CloudTrail is made."""
    put(cloud, Notary())
    (tmp_path / "keys.json").write_text(json.dumps(listed_keys()))
    with Case.open(cloud.case) as case:
        found = case.verify_logs(
            [f"s3://{BUCKET}/"], access=cloud.access, public_keys=[tmp_path / "keys.json"]
        )

    assert ["signature"] == [one.proof for one in found.periods]
    assert not [one for one in cloud.wire.requests if one.operation]


# ---------------------------------------------------------------- what the case makes of it


def test_status_says_what_is_proven_of_the_evidence(cloud: Cloud) -> None:
    """Nothing before it was verified; then complete, by signature."""
    put(cloud, Notary())
    cloud.ingest()
    with Case.open(cloud.case) as case:
        assert [None] == [one.digest for one in case.status().coverage]
    cloud.wire.fault = with_keys
    verify(cloud)

    with Case.open(cloud.case) as case:
        assert ["complete, by signature"] == [one.digest for one in case.status().coverage]


def test_logs_are_verified_as_the_case_holds_them(cloud: Cloud) -> None:
    """What the case holds is not fetched again; what was altered before it was taken in shows, and in a trace's gaps."""
    notary = Notary()
    good = dict(notary.objects)
    notary.rewrite(notary.logs[2], b"DescribeInstances", b"DescribeNothingAtA")
    put(cloud, notary)
    cloud.ingest()
    notary.objects = good
    put(cloud, notary)
    cloud.wire.fault = with_keys
    cloud.wire.requests.clear()
    found = verify(cloud)

    assert not [one for one in cloud.fetched() if one in notary.logs]
    assert [("complete", 0, 1), ("altered", 1, 2), ("complete", 2, 4)] == shown(found)
    assert found.periods[1].why[0].endswith("as the case holds it")
    with Case.open(cloud.case) as case:
        assert ["altered: 1 hour"] == [one.digest for one in case.status().coverage]
        gap = case.trace([next(case.credentials()).id]).gaps[0]
    assert (HOME, "us-east-1", START + HOUR, START + 2 * HOUR) == (
        gap.account,
        gap.region,
        gap.start,
        gap.end,
    )
    assert "altered" in gap.why


def test_what_the_case_lacks_is_counted(cloud: Cloud) -> None:
    """Intact at the source, but not among the evidence: the hours are not wholly in the case."""
    notary = Notary()
    late = notary.logs[3]
    put(cloud, notary)
    cloud.client.delete_object(Bucket=BUCKET, Key=late)
    cloud.ingest()
    cloud.put(late, notary.objects[late])
    cloud.wire.fault = with_keys

    assert 1 == sum(one.not_in_case for one in verify(cloud).periods)
    with Case.open(cloud.case) as case:
        assert ["partial: the case lacks 1 log file of these hours"] == [
            one.digest for one in case.status().coverage
        ]


def test_a_forged_log_in_the_case_is_named(cloud: Cloud) -> None:
    """A file in a verified hour that no digest knows; status and traces say so, too, however often it is verified."""
    notary = Notary()
    put(cloud, notary)
    forged = notary.logs[2].replace("0000000000000000", "FORGEDFORGEDFORG")
    cloud.put(forged, notary.objects[notary.logs[0]][:-8] + b"\0" * 8)
    cloud.ingest()
    cloud.wire.fault = with_keys

    for _ in range(2):
        assert (f"s3://{BUCKET}/{forged}",) == verify(cloud).unlisted
        with Case.open(cloud.case) as case:
            (covered,) = case.status().coverage
            (key, *_) = case.credentials()
            assert "complete, by signature; no digest knows 1 log file of the case" == covered.digest
            assert 1 == sum("no digest of these hours knows 1 log file" in why for why in gaps(case, key.id))


@pytest.mark.parametrize(
    ("quiet", "lost", "silent"),
    [((1, 2), (), 0), ((1, 2), (2,), 1), ((1, 2), (3,), 1), ((1, 2), (4,), 0), ((), (), 0)],
)
def test_hours_of_which_digests_prove_that_nothing_was_logged_are_no_gap(
    quiet: tuple[int, ...], lost: tuple[int, ...], silent: int, cloud: Cloud
) -> None:
    """Silence is a gap of a trace until digests say that nothing was delivered; one that is missing leaves it."""
    notary = Notary(hours=6, quiet=quiet)
    put(cloud, notary)
    for hour in lost:
        cloud.client.delete_object(Bucket=BUCKET, Key=notary.digests[hour])
    cloud.ingest()
    cloud.wire.fault = with_keys
    with Case.open(cloud.case) as case:
        (key, *_) = case.credentials()
        assert bool(quiet) == gaps(case, key.id).count("no events in these hours")
    verify(cloud)

    with Case.open(cloud.case) as case:
        assert silent == gaps(case, key.id).count("no events in these hours")


def gaps(case: Case, subject: str) -> list[str]:
    """What a trace says that it lacks."""
    return [one.why for one in case.trace([subject]).gaps]


def test_logs_of_which_no_digest_says_anything_are_counted(tmp_path: Path) -> None:
    """Whoever deletes a region's digests, or the newest ones, leaves nothing that is missing: what is left is said."""
    here, there = Notary(hours=6), Notary(region="eu-west-1")
    for key in (*here.digests[4:], *there.digests):
        (here if key in here.objects else there).without(key)
    for notary in (here, there):
        write(tmp_path / "copy", notary)
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "copy")])
        found = case.verify_logs([str(tmp_path / "copy")])
        early = Wanted(regions=frozenset({"us-east-1"}), until=START + 2 * HOUR)
        narrowed = case.verify_logs([str(tmp_path / "copy")], wanted=early)

    assert [("complete", 0, 4)] == shown(found)
    assert [
        f"{HOME} eu-west-1: 8 log files of the case, written 2026-11-23T09:15Z to 2026-11-23T12:35Z",
        f"{HOME} us-east-1: 4 log files of the case, written 2026-11-23T13:15Z to 2026-11-23T14:35Z",
    ] == [said.partition(", of which")[0] for said in found.said if "Nothing is proven" in said]
    assert not [said for said in narrowed.said if "Nothing is proven" in said]


def test_a_digest_that_is_found_twice_counts_once(tmp_path: Path) -> None:
    """Sources that overlap make no hour missing."""
    copy = write(tmp_path / "copy", Notary())
    with Case.open(tmp_path / "case") as case:
        found = case.verify_logs([str(copy), str(copy / "AWSLogs")])

    assert (4, [("complete", 0, 4)]) == (found.digests, shown(found))


def test_evidence_beyond_the_digests_is_proven_in_part(cloud: Cloud) -> None:
    """Hours that no digest vouches for yet."""
    notary = Notary()
    put(cloud, notary)
    cloud.ingest()
    cloud.wire.fault = with_keys
    verify(cloud, until=START + HOUR - timedelta(minutes=1))

    with Case.open(cloud.case) as case:
        assert ["partial, by signature"] == [one.digest for one in case.status().coverage]


def test_what_was_proven_before_is_kept(cloud: Cloud) -> None:
    """Verifying one region does not forget another's."""
    for region in ("us-east-1", "eu-west-1"):
        put(cloud, Notary(region=region))
    cloud.ingest()
    cloud.wire.fault = with_keys
    for region in ("us-east-1", "eu-west-1"):
        verify(cloud, regions=frozenset({region}))

    with Case.open(cloud.case) as case:
        assert ["complete, by signature"] * 2 == [one.digest for one in case.status().coverage]
