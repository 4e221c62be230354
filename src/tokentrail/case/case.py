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

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from tokentrail.case.arguments import check_word, names, narrowing_of, utc
from tokentrail.case.bookkeeping import (
    Begun,
    bucket_gaps,
    digest_of,
    holds_nothing,
    lacking,
    rejections,
    summary,
    unfinished,
)
from tokentrail.case.bucket_sync import Sharing
from tokentrail.case.contradicting_copies import contradicting
from tokentrail.case.lookups import Lookups
from tokentrail.case.opening import check_and_update, opened
from tokentrail.case.prevention_answers import Guarding
from tokentrail.case.proofs import noted, verify_logs
from tokentrail.case.tracing import Tracing
from tokentrail.case.views import Views
from tokentrail.containment.margin import LAG, MARGIN, check_margin
from tokentrail.errors import CaseError, RecordNotFound
from tokentrail.events.gunzip import DEFAULT_BOUND
from tokentrail.lineage import coverage, proofs, rows
from tokentrail.lineage.model import Credential, Kind, State
from tokentrail.results import IngestSummary, LogVerification, NotebookLine, Rebuilt, SkippedObject, Status
from tokentrail.store.folder import CaseFolder
from tokentrail.store.freed_memory import without_collection

if TYPE_CHECKING:
    from tokentrail.case.result_set import Rows
    from tokentrail.containment.model import Plan, Strategy
    from tokentrail.detection.addresses import Addresses
    from tokentrail.detection.allow_list import Allowed
    from tokentrail.detection.leads.model import Lead
    from tokentrail.detection.model import Finding, Severity
    from tokentrail.detection.sigma.reading import SigmaRules
    from tokentrail.detection.thresholds import Thresholds
    from tokentrail.policy.account.snapshot import Snapshot
    from tokentrail.sources.interface import Access, Wanted
    from tokentrail.spark import Cluster
    from tokentrail.store.tasks import Outcome

_MANY = 100_000
"""Records from which on judging them takes queries that more than one processor should work at."""
UNREAD = (
    "{:,} records could not be read again (their files are gone, or not what they were): Sigma rules say nothing "
    "about what they hold beyond the columns."
)


class Case(NotebookLine, Lookups, Tracing, Guarding):
    """A case folder and what can be asked of it."""

    def __init__(self, folder: CaseFolder) -> None:
        self._folder = folder
        self._views = Views(folder)

    @classmethod
    def open(
        cls, path: str | Path, *, create: bool = True, progress: Callable[[int, int], None] | None = None
    ) -> Self:
        """
        Open a case, or start one; a case of an older format is brought to this version's, from its own evidence.

        Args:
            path: A folder, or `s3://bucket/prefix`: then a folder of this machine mirrors what is there.
            create: Start one where there is none.
            progress: Called with bytes and bytes in all while evidence is read again for a case of an older format.

        Raises:
            CaseError: there is no case at `path` and `create` is false, something else lies there, a bucket can't be
                reached, or a case of an older format can't be updated.
        """
        return cls(opened(path, create=create, progress=progress))

    @property
    def path(self) -> Path:
        """The case folder; of a case in a bucket, its mirror."""
        return self._folder.path

    @property
    def folder(self) -> CaseFolder:
        """The case as it lies on disk."""
        return self._folder

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
        self._views.close()
        if self._folder.mirror is not None:
            self._folder.mirror.bucket.close()

    def refresh(self, older_than: float = 0.0) -> None:
        """Check that the case still exists; download what others added to one in a bucket."""
        check_and_update(self._folder, older_than)

    def ingest(
        self,
        sources: Sequence[str | Path],
        *,
        reference: bool = False,
        workers: int | None = None,
        bound: int = DEFAULT_BOUND,
        progress: Callable[[int, int], None] | None = None,
        access: Sequence[Access] = (),
        wanted: Wanted | None = None,
        engine: Cluster | None = None,
    ) -> IngestSummary:
        """
        Read evidence into the case: files, folders, `-` for standard input, `s3://bucket/prefix`, `sqs:URL`,
        `lookup-events:`, `athena:DATABASE.TABLE`, `lake:EVENT-DATA-STORE`, `logs:LOG-GROUP`.

        Args:
            sources: What to read; what the case holds already is not read twice.
            reference: Leave evidence where it is instead of keeping a copy in the case.
            workers: Processes; as many as there are cores by default.
            bound: Bytes that one object may expand to.
            progress: Told bytes done and bytes in all.
            access: How AWS is reached; several ways are for `lookup-events:` over several accounts.
            wanted: Which accounts, regions and days; of a source that is asked, which keys to follow.
            engine: What reads logs instead of this machine's processes.

        Raises:
            SourceError: a source can't be listed or read; what was read until then is kept.
            CaseError: the case lies in a bucket, and it can't be put there; or it is another user's.
        """
        from tokentrail.sources import dispatch
        from tokentrail.sources.interface import Access, Wanted
        from tokentrail.store.ingest import ingest  # what reads evidence takes its time to load
        from tokentrail.store.tasks import Options

        self._folder.check_writable()
        started = time.monotonic()
        sharing = Sharing(self._folder, self._views, engine)
        read = engine.ingest if engine else partial(ingest, workers=workers)
        spread = partial(engine.elsewhere, self._folder) if engine else None
        outcomes: list[Outcome] = []
        skipped: list[SkippedObject] = []
        asked: list[str] = []
        options = Options(reference=reference, bound=bound)
        ways, part = access or (Access(),), wanted or Wanted()
        found = dispatch.batches(names(sources), ways, part, self._folder, reference=reference, spread=spread)
        begun = Begun(self._folder, names(sources))
        with sharing.around(reference=reference), closing(found), begun:
            before = self._records()
            sharing.before_reading()
            for batch in found:
                begun.note()
                outcomes += read(self._folder, batch.objects, options=options, progress=progress)
                sharing.after_batch()
                batch.kept()
                skipped += (
                    SkippedObject(object=one.name, reason=one.reason, lost=one.lost) for one in batch.skipped
                )
                asked += batch.said
        self._folder.tidy()
        after = self._records()
        sharing.after_reading()
        done = summary(self._folder, outcomes, skipped, after - before, time.monotonic() - started)
        return replace(done, asked=tuple(asked))

    def rebuild(self) -> Rebuilt:
        """
        Make all that is derived from the segments anew, and remove what was derived before.

        Raises:
            CaseError: the case lies in a bucket, nothing can be written here, or a segment can't be read.
        """
        if self._folder.mirror is not None:
            uri = self._folder.mirror.bucket.uri
            raise CaseError(
                f"{uri}: a case in a bucket is not rebuilt from here. Remove what was derived "
                f"(`aws s3 rm --recursive` of {uri}/tables/) and this machine's mirror ({self.path}) "
                "while no ingest runs; the next ingest derives all of it anew and puts it there."
            )
        started = time.monotonic()
        size = self._views.rebuild().size
        return Rebuilt(
            segments=len(self._folder.snapshot().manifests),
            records=size.records,
            credentials=size.credentials,
            seconds=round(time.monotonic() - started, 3),
        )

    def verify_logs(
        self,
        sources: Sequence[str | Path],
        *,
        access: Access | None = None,
        wanted: Wanted | None = None,
        public_keys: Sequence[Path] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> LogVerification:
        """
        Verify log files by CloudTrail's digests: those that the case holds, and at the source those that it does not.

        Args:
            sources: Folders or `s3://bucket/prefix` with digests.
            access: How AWS is reached.
            wanted: Which accounts, regions and days.
            public_keys: Files with what `aws cloudtrail list-public-keys` prints; else it is asked.
            progress: Told digests done and digests in all.

        Raises:
            SourceError: a source can't be listed, or has no digests.
        """
        from tokentrail.sources.interface import Access, Wanted

        return verify_logs(
            self._folder, names(sources), access or Access(), wanted or Wanted(), public_keys, progress
        )

    def newest(self) -> datetime | None:
        """The time of the newest event: the default moment of every answer."""
        return rows.moment(self._views.open(None).size.last)

    def credentials(
        self,
        *,
        as_of: datetime | None = None,
        state: State | None = None,
        kind: Kind | None = None,
        principal: str | None = None,
        account: str | None = None,
        search: str | None = None,
    ) -> Iterator[Credential]:
        """Every credential that the evidence shows, by time, then id; with `search`, those with that text in a name."""
        check_word(state, State, "state")
        check_word(kind, Kind, "kind")
        forest = self._views.forest(as_of)
        judge = forest.judge()
        for row in forest.inventory(kind, search, running=state not in (None, "expired")):
            found = rows.credential(row, judge)
            if (
                (state is None or found.state == state)
                and (account is None or found.account == account)
                and (principal is None or principal in (found.principal, found.role))
            ):
                yield found

    def credentials_table(self, *, as_of: datetime | None = None) -> pa.Table:
        """The inventory as an Arrow table, one row a credential, names and types as in `Credential`."""
        from tokentrail.case.result_set import credentials_table

        return credentials_table(self.credentials(as_of=as_of))

    def contain(
        self,
        subjects: Sequence[str],
        *,
        strategy: Strategy = "standard",
        what_if: Sequence[str] = (),
        as_of: datetime | None = None,
        since: datetime | None = None,
        source_ips: Sequence[str] = (),
        trusted_ips: Sequence[str] = (),
        margin: int = MARGIN,
        lag: int = LAG,
        spare: Sequence[str] = (),
        snapshots: Sequence[Snapshot] = (),
        without_access: Sequence[str] = (),
        management_account: str | None = None,
        delete_created: bool = False,
    ) -> Plan:
        """
        Plan what ends all tainted credentials of a trace, and prove it; nothing is changed anywhere.

        Args:
            subjects: As in `trace`, and so are `since`, `source_ips` and `trusted_ips`.
            strategy: `standard`, `surgical` or `scorched`.
            what_if: Steps to prove instead of planning: `ACTION:TARGET`, in order.
            margin: Seconds between sending a cutoff and the moment that it names.
            lag: Seconds by which the log may be late.
            spare: Credentials that are to be left alone.
            snapshots: IAM as `aws iam get-account-authorization-details` shows it, one an account.
            without_access: Accounts in which nothing can be changed.
            management_account: The organisation's, if its service control policies can be used.
            delete_created: Whether to delete keys and users that the attacker made, which else stay as evidence.

        Raises:
            SubjectNotFound: nothing answers to a subject.
            UsageError: a strategy, step, margin, address or prefix can't be used.
        """
        check_margin(margin, lag)
        as_of = utc(as_of.replace(microsecond=0)) if as_of else None  # policies hold whole seconds
        found = self.family(
            subjects, as_of=as_of, since=since, source_ips=source_ips, trusted_ips=trusted_ips
        )
        from tokentrail.case.planning import plan  # takes its time to load, and few verbs plan

        return plan(
            self._views,
            found,
            case_id=self.case_id,
            strategy=strategy,
            what_if=what_if,
            as_of=as_of,
            margin=margin,
            lag=lag,
            narrowing=narrowing_of(since, source_ips, trusted_ips),
            spare=spare,
            snapshots=snapshots,
            without_access=without_access,
            management_account=management_account,
            delete_created=delete_created,
        )

    def detect(
        self,
        *,
        as_of: datetime | None = None,
        rules: Sequence[str] | None = None,
        sigma: SigmaRules | None = None,
        min_severity: Severity | None = None,
        allowed: Allowed | None = None,
        thresholds: Thresholds | None = None,
        addresses: Addresses | None = None,
        said: Callable[[str], None] | None = None,
        together: bool = True,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Rows[Finding]:
        """
        Judge the evidence by the catalogue: findings, by time, then id.

        A rule that ends in an error costs no other; `failed` of what is returned names it, in a sentence.

        Args:
            as_of: The moment.
            rules: Ids of the rules of the catalogue to judge by; all by default.
            sigma: Anybody's Sigma rules, as `detection.sigma.reading.read_rules` reads them.
            min_severity: Leave out what is less.
            allowed: Findings to leave out, as known to be harmless.
            thresholds: Other numbers than the default ones.
            addresses: What is known of addresses, from the user's databases.
            said: Told what the answer lacks, in sentences.
            together: Whether what a rule found again in a lineage within a day is one finding; a watch tells it hit by
                hit, as it comes.
            since: Return only what became true from this time on; all of the evidence is judged.
            until: Return only what became true before this time.

        Raises:
            UsageError: a rule or severity does not exist.
        """
        from tokentrail.case.raw_records import reader, scanner
        from tokentrail.case.result_set import Rows
        from tokentrail.detection import run as detection
        from tokentrail.detection.context import DetectionContext
        from tokentrail.detection.model import Finding, Severity
        from tokentrail.detection.rule_failures import Failures

        check_word(min_severity, Severity, "min_severity")
        chosen = detection.chosen(rules if rules is None else names(rules))
        forest = self._views.forest(as_of)
        lost: list[int] = []
        failures = Failures()
        view = self._views.open(as_of)
        engine = view.engine
        alone = sigma is None and view.size.records >= _MANY
        threads = (os.cpu_count() or 1) if alone else 1  # else what Sigma rules ask for keeps the others busy
        scan = scanner(self._folder, lost.append)
        read = reader(self._folder)
        with (
            without_collection(),
            engine.shared_by(threads),
            self._folder.scratch() as scratch,
            closing(DetectionContext(engine, forest, thresholds, read, scan, addresses, scratch)) as context,
        ):
            found = detection.detect(
                context, chosen, failures=failures, sigma=sigma, min_severity=min_severity or "info",
                allowed=allowed, said=said, together=together,
            )  # fmt: skip
        if said and sum(lost):
            said(UNREAD.format(sum(lost)))
        start, end = since and utc(since), until and utc(until)
        within = (
            one for one in found if (start is None or one.time >= start) and (end is None or one.time < end)
        )
        return Rows(within, Finding, failures.sentences)

    def leads(
        self,
        *,
        as_of: datetime | None = None,
        limit: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Rows[Lead]:
        """
        Rank credentials by how much speaks for theft, the one to look at first at the head.

        A signal that ends in an error costs no other; `failed` of what is returned names it, in a sentence.

        Args:
            as_of: The moment.
            limit: The most leads to return; by default all.
            since: Look only at calls from this time on.
            until: Look only at calls before this time.
        """
        from tokentrail.case.result_set import Rows
        from tokentrail.detection.context import DetectionContext
        from tokentrail.detection.leads.lead_ranking import rank_leads  # for this verb alone
        from tokentrail.detection.leads.model import Lead
        from tokentrail.detection.rule_failures import Failures

        forest = self._views.forest(as_of)
        view = self._views.open(as_of)
        with (
            without_collection(),
            view.engine.shared_by(1),
            self._folder.scratch() as scratch,
            closing(DetectionContext(view.engine, forest, scratch=scratch)) as context,
        ):
            failures = Failures()
            found = rank_leads(
                context, limit, failures=failures, since=since and utc(since), until=until and utc(until)
            )
            return Rows(found, Lead, failures.sentences)

    def status(self, *, as_of: datetime | None = None) -> Status:
        """What is in the case, and what it lacks."""
        view = self._views.open(as_of)
        covered = proofs.proven(view.covered(), *noted(self._folder))
        rejected = rejections(self._folder, None)
        objects = self._folder.snapshot().objects()
        return Status(
            case_id=self.case_id,
            objects=len(objects),
            records=view.size.records,
            credentials=view.size.credentials,
            first=rows.moment(view.size.first),
            last=rows.moment(view.size.last),
            coverage=covered,
            rejected=tuple(one for one in rejected if not holds_nothing(one)),
            warnings=(
                *contradicting(view.engine), *coverage.warnings(covered), *lacking(self._folder),
                *bucket_gaps(self._folder),
            ),
            evidence_digest=digest_of(objects),
            unfinished=unfinished(self._folder),
        )  # fmt: skip

    def record(self, sha256: str, ordinal: int, *, as_carried: bool = False) -> Any:
        """
        One raw record by its evidence object and place in it, secrets blanked.

        Args:
            sha256: The evidence object.
            ordinal: The place, as a timeline's events name it.
            as_carried: Show what the carrier holds (a table's row, an OCSF document) instead of what was read of it.
        """
        from tokentrail.store.records import record

        stored = self._folder.snapshot().objects().get(sha256)
        if stored is None:
            raise RecordNotFound(f"no evidence object {sha256[:12]} in this case.")
        return record(self._folder, stored, ordinal, as_carried=as_carried)

    def _records(self) -> int:
        return self._views.open(None).size.records if self._folder.snapshot().manifests else 0
