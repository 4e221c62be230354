"""What an ingest did, and what of the evidence could not be read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.errors import CaseError, UsageError
from tokentrail.events.carriers.lost import LEFT_OUT, sentences
from tokentrail.events.masked_ids import MASK_IDS, MASKED
from tokentrail.formatting import counted, listed, quoted
from tokentrail.results import IngestSummary, ObjectCounts, RecordCounts, Rejection, SkippedObject
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
    # Of new objects without a rejected record, too: what is lost of identities comes out when their segment is made.
    told = {one.sha256 for one in outcomes if one.sha256 and (one.rejected or not one.repeated)}
    found = rejections(folder, told)
    rejected = [one for one in found if not holds_nothing(one)]
    without_records = [one for one in found if holds_nothing(one)]
    recordless = {one.object for one in without_records}
    recordless -= {one.object for one in rejected} | {one.name for one in outcomes if one.records}
    failed = [SkippedObject(object=one.name, reason=one.failed, lost=True) for one in outcomes if one.failed]
    parts = list(dict.fromkeys(_skipped(one, whole=one.object in recordless) for one in without_records))
    repeated = _repeated(outcomes)
    total = sum(one.records for one in outcomes)
    new = min(max(new, 0), total)  # others may ingest at the same time
    skipped = (*skipped, *failed, *parts)
    return IngestSummary(
        objects=ObjectCounts(
            read=len(outcomes) - repeated - len(failed) - len(recordless),
            repeated=repeated,
            skipped=len(skipped) - sum(one.object not in recordless for one in parts),
        ),
        records=RecordCounts(
            read=total,
            new=new,
            repeated=total - new,
            rejected=sum(one.count for one in rejected if one.field is None),
        ),
        rejected=tuple(rejected),
        skipped=skipped,
        seconds=round(seconds, 3),
        lacking=lacking(folder, {one.sha256 for one in outcomes if one.sha256}),
    )


def _skipped(one: Rejection, *, whole: bool) -> SkippedObject:
    """An object, or with `whole` false a part of one, that is known to hold no records."""
    return SkippedObject(object=one.object, reason=one.reason if whole else f"in part: {one.reason}")


def _repeated(outcomes: Sequence[Outcome]) -> int:
    """How many objects had bytes that the case held already, or that came before in the same ingest."""
    seen: set[str] = set()
    repeated = 0
    for one in outcomes:
        if one.sha256 and (one.repeated or one.sha256 in seen):
            repeated += 1
        seen.add(one.sha256 or "")
    return repeated


def holds_nothing(one: Rejection) -> bool:
    """Whether something is known to hold no record: a digest, an Insights event, a control message."""
    return one.reason.endswith(LEFT_OUT)


def lacking(folder: CaseFolder, digests: Set[str] | None = None) -> tuple[str, ...]:
    """A sentence for each thing that the carriers of some objects, or of all, leave out, and for masked ids."""
    return (*left_out_by_carriers(folder, digests), *masked_ids(folder, digests))


def left_out_by_carriers(folder: CaseFolder, digests: Set[str] | None = None) -> tuple[str, ...]:
    """A sentence for each thing that the carriers of some objects, or of all, leave out."""
    objects = [
        one for one in folder.snapshot().objects().values() if digests is None or one.sha256 in digests
    ]
    carriers = Counter(carrier for one in objects for carrier in one.carriers)
    return tuple(sentences(carriers, len(objects)))


def masked_ids(folder: CaseFolder, digests: Set[str] | None = None) -> Iterator[str]:
    """Say in how many records of some objects, or of all, ids are masked."""
    snapshot = folder.snapshot()
    many, seen = 0, set[str]()
    for manifest in snapshot.manifests:
        wanted = [
            number
            for number, one in enumerate(manifest.objects)
            if one.sha256 not in seen and (digests is None or one.sha256 in digests)
        ]
        seen |= {manifest.objects[number].sha256 for number in wanted}
        lost = _rejected(snapshot.folders[manifest.segment]) if wanted else None
        if lost is not None and lost.num_rows:
            import pyarrow.compute as pc  # takes its time to load, and mostly nothing was rejected

            chosen = pc.and_(
                pc.equal(lost["reason"], pa.scalar(MASKED)),
                pc.is_in(lost["object"], pa.array(wanted, pa.int32())),
            )
            many += lost.filter(chosen).group_by(["object", "ordinal"]).aggregate([]).num_rows
    if many:
        yield (
            f"{counted(many, 'record')} {MASK_IDS}, which are no ids, since many credentials may share one: "
            "sessions are told apart by principal and time of issue, long-term keys by their user alone, and what "
            "issues a credential is linked to it by these where it can be."
        )


_UNFINISHED = "ingest-"
"""What the names of notes begin with of ingests that have begun; a note goes when its ingest ends well."""


class Begun:
    """The note of an ingest that has begun: what it leaves, if it is ended too soon, is said until it is run again."""

    def __init__(self, folder: CaseFolder, sources: Sequence[str]) -> None:
        digest = hashlib.sha256("\0".join(sources).encode(errors="replace")).hexdigest()[:16]
        self._folder, self._sources, self._name = folder, list(sources), f"{_UNFINISHED}{digest}"
        self._noted = False

    def note(self) -> None:
        """Note that it has begun, once; a bucket's case keeps none, as others read in there too."""
        if not self._noted and self._folder.mirror is None:
            began = datetime.now(UTC).replace(microsecond=0).isoformat()
            self._folder.place_note(self._name, {"sources": self._sources, "began": began})
            self._noted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Forget it where all that there was has been read, or where it could not begin at all."""
        if error is None or isinstance(error, UsageError):
            (self._folder.path / "notes" / f"{self._name}.json").unlink(missing_ok=True)


def unfinished(folder: CaseFolder) -> tuple[str, ...]:
    """A sentence on each ingest that has begun and not ended."""
    notes = [folder.note(one.stem) for one in sorted((folder.path / "notes").glob(f"{_UNFINISHED}*.json"))]
    return tuple(map(_has_not_ended, notes))


def _has_not_ended(note: Any) -> str:
    """The sentence of a note, whatever somebody else has written into it."""
    told = note if isinstance(note, dict) else {}
    sources = told.get("sources")
    named = (
        listed(quoted(str(one)) for one in sources) if isinstance(sources, list) and sources else "something"
    )
    return (
        f"An ingest of {named} that began at {quoted(str(told.get('began')))} has not ended: it is still running, or "
        "was interrupted. Run it again: it resumes where it stopped."
    )


def bucket_gaps(folder: CaseFolder) -> Iterator[str]:
    """Sentences on how a case's bucket and this machine's mirror differ: foreign names, lost and unshared evidence."""
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
    """What could not be read of some objects, or of all; an object that was read several times counts once."""
    snapshot = folder.snapshot()
    manifests = [
        one
        for one in snapshot.manifests
        if digests is None or any(each.sha256 in digests for each in one.objects)
    ]
    objects = {int(one.segment, 16): one.objects for one in manifests}
    found: dict[str, tuple[int, Counter[tuple[int | None, str | None, str]]]] = {}
    names: dict[str, str] = {}
    for row in chain.from_iterable(_in_order(_rejected(snapshot.folders[one.segment])) for one in manifests):
        stored = objects[row["segment"]][row["object"]]
        if digests is not None and stored.sha256 not in digests:
            continue
        segment, counts = found.setdefault(stored.sha256, (row["segment"], Counter()))
        names[stored.sha256] = min(names.get(stored.sha256, stored.name), stored.name)
        if segment == row["segment"]:
            counts[row["ordinal"], row["field"], row["reason"]] += 1
    return tuple(
        Rejection(object=names[digest], ordinal=ordinal, field=field, reason=reason, count=count)
        for digest, (_, counts) in sorted(found.items(), key=lambda item: names[item[0]])
        for (ordinal, field, reason), count in counts.items()
    )


def _rejected(segment: Path) -> pa.Table:
    """What could not be read of a segment's objects: mostly nothing, which no engine need be asked."""
    path = segment / "rejected.parquet"
    try:
        file = pq.ParquetFile(path)
        return file.read(use_threads=False) if file.metadata.num_rows else file.schema_arrow.empty_table()
    except (OSError, ValueError) as error:  # pyarrow's own are of these kinds
        raise CaseError(
            f"{path}: damaged ({' '.join(str(error).split())}). Remove {segment.name}.json in the case's manifests and "
            "ingest its logs again."
        ) from error


def _in_order(lost: pa.Table) -> list[dict[str, Any]]:
    """The rows of what could not be read, in the order of objects and of the records in them."""
    told = ("object", "ordinal", "field", "reason")
    return sorted(lost.to_pylist(), key=lambda row: [(row[name] is None, row[name]) for name in told])


def digest_of(objects: Iterable[str]) -> str:
    """Name all evidence by one SHA-256: of its objects' own, sorted, one a line, as `sort | sha256sum` has it."""
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(objects)).encode()).hexdigest()
