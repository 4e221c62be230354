"""
The front door: a case that evidence goes into and answers come out of.

    from tokentrail import Case

    with Case.open("leak-2026-11") as case:
        case.ingest(["AWSLogs/"])
        for credential in case.credentials(state="active"):
            print(credential.id, credential.principal)
        trace = case.trace(["AKIA..."])
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.events.gunzip import DEFAULT_BOUND
from tokentrail.events.split import DIGEST
from tokentrail.lineage import coverage, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.grow import Grown, grow
from tokentrail.lineage.model import Credential, Kind, State, TimelineEvent, Trace
from tokentrail.lineage.trace import Narrowing, networks, timeline, trace
from tokentrail.results import (
    IngestSummary,
    ObjectCounts,
    RecordCounts,
    Rejection,
    SkippedObject,
    Status,
)  # fmt: skip
from tokentrail.sources import files
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder
from tokentrail.store.ingest import Options, Outcome, ingest
from tokentrail.store.interface import Snapshot
from tokentrail.store.records import record

_BY_TIME = (
    "ORDER BY coalesce(issued_at, CASE WHEN created_what = 'access_key' THEN created_time END, first, 0), id"
)
_DERIVED = ("credentials", "who", "links", "losers")


@dataclass(slots=True)
class _View:
    """The case as it could be seen at one moment."""

    fingerprint: str
    until: int | None
    engine: DuckEngine
    grown: Grown
    scratch: Path | None

    def close(self) -> None:
        self.engine.close()
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)


class Case:
    """A case folder and what can be asked of it."""

    def __init__(self, folder: CaseFolder) -> None:
        self._folder = folder
        self._view: _View | None = None

    @classmethod
    def open(cls, path: str | Path, *, create: bool = True) -> Self:
        """
        Open a case folder, or start one.

        Raises:
            CaseError: there is no case at `path` and `create` is false, or something else lies there.
        """
        return cls(CaseFolder.open(Path(path), create=create))

    @property
    def path(self) -> Path:
        """The case folder."""
        return self._folder.path

    @property
    def case_id(self) -> str:
        """What the case is known by in plans and reports."""
        return self._folder.case_id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the engine; the case on disk is whole at any time."""
        if self._view:
            self._view.close()
            self._view = None

    def ingest(
        self,
        sources: Sequence[str],
        *,
        reference: bool = False,
        workers: int | None = None,
        bound: int = DEFAULT_BOUND,
        progress: Callable[[int, int], None] | None = None,
    ) -> IngestSummary:
        """
        Read evidence into the case: files, folders, `-` for standard input.

        Args:
            sources: What to read; what the case holds already is not read twice.
            reference: Leave evidence where it is instead of keeping a copy in the case.
            workers: Processes; as many as there are cores by default.
            bound: Bytes that one object may expand to.
            progress: Told bytes done and bytes in all.

        Raises:
            SourceError: a source can't be listed.
        """
        started = time.monotonic()
        before = self._records()
        given: list[Any] = []
        skipped: list[SkippedObject] = []
        for one in files.objects(sources):
            if isinstance(one, files.Skipped):
                skipped.append(SkippedObject(object=one.name, reason=one.reason, lost=True))
            else:
                given.append(one)
        options = Options(reference=reference, bound=bound)
        outcomes = list(ingest(self._folder, given, options=options, workers=workers, progress=progress))
        self._folder.tidy()
        after = self._records()
        return self._summary(outcomes, skipped, after - before, time.monotonic() - started)

    def _summary(
        self, outcomes: list[Outcome], skipped: list[SkippedObject], new: int, seconds: float
    ) -> IngestSummary:
        rejections = self._rejections({one.sha256 for one in outcomes if one.sha256 and one.rejected})
        digests = {one.object for one in rejections if one.reason == DIGEST}
        skipped += [
            SkippedObject(object=one.name, reason=one.failed, lost=True) for one in outcomes if one.failed
        ]
        skipped += [
            SkippedObject(object=one.object, reason=one.reason) for one in rejections if one.reason == DIGEST
        ]
        kept = [one for one in rejections if one.reason != DIGEST]
        seen: set[str] = set()
        repeated = 0
        for one in outcomes:
            if one.sha256 and (one.repeated or one.sha256 in seen):
                repeated += 1
            seen.add(one.sha256 or "")
        total = sum(one.records for one in outcomes)
        return IngestSummary(
            objects=ObjectCounts(
                read=len(outcomes) - repeated - sum(1 for one in outcomes if one.failed) - len(digests),
                repeated=repeated,
                skipped=len(skipped),
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
        )

    def newest(self) -> datetime | None:
        """The time of the newest event: the default moment of every answer."""
        return rows.moment(self._open_view(None).grown.last)

    def credentials(
        self,
        *,
        as_of: datetime | None = None,
        state: State | None = None,
        kind: Kind | None = None,
        principal: str | None = None,
        account: str | None = None,
    ) -> Iterator[Credential]:
        """Every credential that the evidence shows, issued or used, by time, then id."""
        forest = self._forest(as_of)
        judge = forest.judge()
        where, parameters = ("kind = ?", (kind,)) if kind else ("TRUE", ())
        for row in forest.rows(where, parameters, _BY_TIME):
            found = rows.credential(row, judge)
            if (
                (state is None or found.state == state)
                and (account is None or found.account == account)
                and (principal is None or principal in (found.principal, found.role))
            ):
                yield found

    def credentials_table(self, *, as_of: datetime | None = None) -> pa.Table:
        """The inventory as an Arrow table, one row a credential, names and types as in `Credential`."""
        from tokentrail.lineage.arrow import table

        return table(self.credentials(as_of=as_of))

    def trace(
        self,
        subjects: Sequence[str],
        *,
        as_of: datetime | None = None,
        up: bool = True,
        down: bool = True,
        since: datetime | None = None,
        source_ips: Sequence[str] = (),
        trusted_ips: Sequence[str] = (),
    ) -> Trace:
        """
        Trace subjects: what they descend from, what descends from them, what all of them did and made.

        Args:
            subjects: Key ids, credential ids or unique prefixes, ARNs, principal ids, addresses, instance or event ids.
            since: Only what was minted from the subject at or after this time counts as the attacker's, ...
            source_ips: ... and only from these addresses or networks, ...
            trusted_ips: ... and not from these.

        Raises:
            SubjectNotFound: nothing answers to a subject.
            UsageError: a prefix fits several, or an address can't be read.
        """
        forest = self._forest(as_of)
        narrowing = Narrowing(since, networks(source_ips), networks(trusted_ips))
        found = trace(forest, subjects, up=up, down=down, narrowing=narrowing, gaps=())
        accounts = {one.account for one in found.credentials if one.account}
        lacking = coverage.gaps(coverage.coverage(self._open_view(as_of).engine), accounts)
        return replace(found, gaps=lacking + found.gaps)

    def timeline(self, subjects: Sequence[str], *, as_of: datetime | None = None) -> Iterator[TimelineEvent]:
        """The events of subjects and of all that descends from them, in order of time, then id."""
        names = {
            int(manifest.segment, 16): tuple(one.sha256 for one in manifest.objects)
            for manifest in self._folder.snapshot().manifests
        }
        yield from timeline(self._forest(as_of), subjects, names)

    def status(self, *, as_of: datetime | None = None) -> Status:
        """What is in the case, and what it lacks."""
        view = self._open_view(as_of)
        covered = coverage.coverage(view.engine)
        rejected = self._rejections(None)
        return Status(
            case_id=self.case_id,
            objects=len(self._folder.snapshot().objects()),
            records=view.grown.records,
            credentials=view.grown.credentials,
            first=rows.moment(view.grown.first),
            last=rows.moment(view.grown.last),
            coverage=covered,
            rejected=rejected,
            warnings=coverage.warnings(covered),
        )

    def record(self, sha256: str, ordinal: int) -> Any:
        """One raw record by its evidence object and place in it, secrets blanked."""
        stored = self._folder.snapshot().objects().get(sha256)
        if stored is None:
            raise CaseError(f"no evidence object {sha256[:12]} in this case.")
        return record(self._folder, stored, ordinal)

    def _records(self) -> int:
        return self._open_view(None).grown.records if self._folder.snapshot().manifests else 0

    def _rejections(self, digests: set[str] | None) -> tuple[Rejection, ...]:
        """What could not be read, of some objects or of all, each object once however often it was read."""
        snapshot = self._folder.snapshot()
        engine = DuckEngine()
        engine.segments("rejected", list(snapshot.folders.values()))
        objects = {int(manifest.segment, 16): manifest.objects for manifest in snapshot.manifests}
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

    def _forest(self, as_of: datetime | None) -> Forest:
        view = self._open_view(as_of)
        return Forest(view.engine, as_of or rows.moment(view.grown.last) or datetime.fromtimestamp(0, UTC))

    def _open_view(self, as_of: datetime | None) -> _View:
        """The case as of a moment: the stored forest, or one grown from the evidence up to then alone."""
        snapshot = self._folder.snapshot()
        if self._view and self._view.fingerprint == snapshot.fingerprint:
            until = self._until(as_of, self._view)
            if until == self._view.until:
                return self._view
        self.close()
        view = self._whole(snapshot)
        until = self._until(as_of, view)
        if until is not None:
            view.close()
            view = self._earlier(snapshot, until)
        self._view = view
        return view

    def _until(self, as_of: datetime | None, view: _View) -> int | None:
        if as_of is None:
            return None
        seconds = int(as_of.timestamp())
        newest = view.grown.last if view.until is None else None
        return None if newest is not None and seconds >= newest else seconds

    def _whole(self, snapshot: Snapshot) -> _View:
        """The forest of all evidence: derived once, then stored."""
        folder = self._folder.derived(snapshot.fingerprint)
        if folder is None:
            fresh = self._folder.new_derived()
            engine = self._engine(snapshot, None)
            try:
                grown = grow(engine, fresh)
                (fresh / "grown.json").write_text(json.dumps(asdict(grown)))
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
            finally:
                engine.close()
            folder = self._folder.place_derived(fresh, snapshot.fingerprint)
        engine = self._engine(snapshot, None)
        self._derived(engine, folder)
        found = json.loads((folder / "grown.json").read_text())
        return _View(snapshot.fingerprint, None, engine, Grown(**found), None)

    def _earlier(self, snapshot: Snapshot, until: int) -> _View:
        """A forest that knows only evidence up to a moment, kept for as long as it is asked about."""
        scratch = Path(tempfile.mkdtemp(prefix="tokentrail-"))
        engine = self._engine(snapshot, until)
        try:
            grown = grow(engine, scratch)
        finally:
            engine.close()
        engine = self._engine(snapshot, until)
        self._derived(engine, scratch)
        return _View(snapshot.fingerprint, until, engine, grown, scratch)

    def _engine(self, snapshot: Snapshot, until: int | None) -> DuckEngine:
        engine = DuckEngine(self.path / "derived" / ".spill")
        folders = list(snapshot.folders.values())
        for name in ("events", "issuances", "changes"):
            engine.segments(name, folders, until=until)
        engine.segments("identities", folders)
        return engine

    def _derived(self, engine: DuckEngine, folder: Path) -> None:
        for name in _DERIVED:
            engine.view(name, folder / f"{name}.parquet")
        engine.run("""
            CREATE VIEW facts AS SELECT e.* FROM events e WHERE NOT EXISTS (
              SELECT 1 FROM losers l WHERE l.segment = e.segment AND l.object = e.object AND l.ordinal = e.ordinal)""")
