"""What an ingest did, and what of the evidence could not be read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import TYPE_CHECKING

from tokentrail.events.carriers.lost import LEFT_OUT, sentences
from tokentrail.results import IngestSummary, ObjectCounts, RecordCounts, Rejection, SkippedObject
from tokentrail.spelling import counted
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder

if TYPE_CHECKING:
    from tokentrail.store.tasks import Outcome


def summary(
    folder: CaseFolder,
    outcomes: Sequence[Outcome],
    skipped: Sequence[SkippedObject],
    new: int,
    seconds: float,
) -> IngestSummary:
    """
    Sum up one ingest.

    Args:
        folder: The case.
        outcomes: What became of each object that was given.
        skipped: Names that were no objects.
        new: Records that the case did not hold before.
        seconds: How long it took.
    """
    skipped = list(skipped)
    known = {one.sha256 for one in outcomes if one.sha256 and one.rejected}
    found = rejections(folder, known)
    apart = {one.object for one in found if holds_nothing(one)}
    apart -= {one.object for one in found if not holds_nothing(one)} | {
        one.name for one in outcomes if one.records
    }
    skipped += [
        SkippedObject(object=one.name, reason=one.failed, lost=True) for one in outcomes if one.failed
    ]
    parts = dict.fromkeys(
        SkippedObject(
            object=one.object, reason=one.reason if one.object in apart else f"in part: {one.reason}"
        )
        for one in found
        if holds_nothing(one)
    )
    skipped += parts
    kept = [one for one in found if not holds_nothing(one)]
    seen: set[str] = set()
    repeated = 0
    for one in outcomes:
        if one.sha256 and (one.repeated or one.sha256 in seen):
            repeated += 1
        seen.add(one.sha256 or "")
    total = sum(one.records for one in outcomes)
    new = min(max(new, 0), total)  # others may ingest at the same time
    return IngestSummary(
        objects=ObjectCounts(
            read=len(outcomes) - repeated - sum(1 for one in outcomes if one.failed) - len(apart),
            repeated=repeated,
            skipped=len(skipped) - sum(one.object not in apart for one in parts),
        ),
        records=RecordCounts(
            read=total,
            new=new,
            repeated=total - new,
            rejected=sum(one.count for one in kept if one.field is None),
        ),
        rejected=tuple(kept),
        skipped=tuple(skipped),
        seconds=round(seconds, 3),
        lacking=lacking(folder, {one.sha256 for one in outcomes if one.sha256}),
    )


def holds_nothing(one: Rejection) -> bool:
    """Whether something is known to hold no record: a digest, an Insights event, a control message."""
    return one.reason.endswith(LEFT_OUT)


def lacking(folder: CaseFolder, digests: Set[str] | None = None) -> tuple[str, ...]:
    """What the carriers of some objects, or of all, leave out: a sentence each."""
    objects = [
        one for one in folder.snapshot().objects().values() if digests is None or one.sha256 in digests
    ]
    return sentences(Counter(carrier for one in objects for carrier in one.carriers), len(objects))


def unlike(folder: CaseFolder) -> Iterator[str]:
    """What a case's bucket holds that is none of it, and what of the case it does not hold: sentences."""
    if folder.mirror is None:
        return
    uri = folder.mirror.bucket.uri
    if many := folder.mirror.foreign:
        names = counted(many, "name")
        yield f"{uri}/manifests/: {names} that TokenTrail did not give, and does not look at."
    if many := len(folder.mirror.lost()):
        objects = counted(many, "evidence object")
        yield (
            f"{uri}: holds {objects} no more that this machine had from there, as its manifest was removed. They count "
            "no more. If nobody meant that, look after lifecycle rules and who may write there, and put the manifests "
            "back from earlier versions, or read the logs in again."
        )
    if many := len(folder.mirror.unshared()):
        objects = counted(many, "evidence object")
        yield (
            f"{uri}: lacks {objects} that this machine read in, as it could not put them there. They count here alone: "
            "others who open the case get other answers. The next `tokentrail ingest` from here puts them there."
        )


def rejections(folder: CaseFolder, digests: Set[str] | None) -> tuple[Rejection, ...]:
    """What could not be read, of some objects or of all, each object once however often it was read."""
    snapshot = folder.snapshot()
    manifests = [
        one
        for one in snapshot.manifests
        if digests is None or any(each.sha256 in digests for each in one.objects)
    ]
    if not manifests:
        return ()
    records = sum(each.records for one in manifests for each in one.objects)
    engine = DuckEngine(threads=1, records=records)
    engine.segments("rejected", [snapshot.folders[one.segment] for one in manifests])
    objects = {int(one.segment, 16): one.objects for one in manifests}
    found: dict[str, tuple[int, Counter[tuple[int | None, str | None, str]]]] = {}
    names: dict[str, str] = {}
    for row in engine.table(
        "SELECT * FROM rejected ORDER BY segment, object, ordinal, field, reason"
    ).to_pylist():
        stored = objects[row["segment"]][row["object"]]
        if digests is not None and stored.sha256 not in digests:
            continue
        segment, counts = found.setdefault(stored.sha256, (row["segment"], Counter()))
        names[stored.sha256] = min(names.get(stored.sha256, stored.name), stored.name)
        if segment == row["segment"]:
            counts[row["ordinal"], row["field"], row["reason"]] += 1
    engine.close()
    return tuple(
        Rejection(object=names[digest], ordinal=ordinal, field=field, reason=reason, count=count)
        for digest, (_, counts) in sorted(found.items(), key=lambda item: names[item[0]])
        for (ordinal, field, reason), count in counts.items()
    )


def digest_of(objects: Iterable[str]) -> str:
    """Name all evidence by one SHA-256: of its objects' own, sorted, one a line, as `sort | sha256sum` has it."""
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(objects)).encode()).hexdigest()
