"""List the evidence of the sources that a user names, each with the module that reads its kind, in batches."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tokentrail.errors import UsageError
from tokentrail.formatting import listed
from tokentrail.sources import files, trail
from tokentrail.sources.interface import QUEUE, Access, Batch, Notes, Skipped, Spread, Wanted
from tokentrail.sources.selection import Part

if TYPE_CHECKING:
    from tokentrail.sources.query_service import Asker

LOOKUP = "lookup-events:"
ATHENA = "athena:"
ASKED = (ATHENA, "lake:", "logs:")
"""Sources that take queries."""


def is_remote(source: str) -> bool:
    """Whether a source lies in AWS."""
    return source.startswith(("s3://", LOOKUP, *ASKED, QUEUE))


def check_exist(sources: Iterable[str]) -> None:
    """
    Check that local files and folders exist, before a case is made for them. AWS is called only when it is read.

    Raises:
        SourceError: a file or folder does not exist.
    """
    files.check_exist(one for one in sources if not is_remote(one))


def follows(source: str) -> bool:
    """Whether a source is asked for the lineage of subjects, and not read."""
    return source.startswith((LOOKUP, *ASKED))


def queries(sources: Iterable[str], access: Access, wanted: Wanted) -> list[str]:
    """
    The queries that sources would be sent first, without sending them.

    Raises:
        SourceError: a table can't be looked at.
        UsageError: a source takes no queries, or names nothing.
    """
    from tokentrail.sources import aws, query_service

    try:
        shown: list[str] = []
        for source in sources:
            if not source.startswith(ASKED):
                raise UsageError(
                    f"{source}: --dry-run shows queries. Give athena:DATABASE.TABLE, lake:EVENT-DATA-STORE or "
                    "logs:LOG-GROUP, or leave it out."
                )
            shown += query_service.shown(_asker(source, access, wanted))
        return shown
    finally:
        aws.close(access)


def batches(
    sources: Sequence[str],
    accesses: Sequence[Access],
    wanted: Wanted,
    notes: Notes,
    *,
    reference: bool = False,
    spread: Spread | None = None,
) -> Generator[Batch, None, None]:
    """
    List the evidence of some sources, in batches that go into the case one after the other.

    Args:
        sources: Files, folders, `-`, `s3://bucket/prefix`, `lookup-events:`, `athena:DATABASE.TABLE`,
            `lake:EVENT-DATA-STORE`, `logs:LOG-GROUP`, `sqs:URL`.
        accesses: How AWS is reached: one, or several for `lookup-events:`.
        wanted: Which part is wanted.
        notes: The notes of the case, where LookupEvents keeps how far it got.
        reference: Whether the evidence is to stay where it is, and not to be copied into the case.
        spread: Lists what is in the folders of regions; by default, this process does.

    Raises:
        SourceError: a source can't be listed.
        UsageError: a source can't be read with these arguments.
    """
    if reference and (remote := [one for one in sources if is_remote(one)]):
        raise UsageError(f"{remote[0]}: --reference leaves files where they are; what lies in AWS is copied.")
    near: list[str] = []
    for source in sources:
        if not is_remote(source):
            near.append(source)
            continue
        if near:
            yield _near(near, wanted, spread)
            near = []
        yield from _far(source, accesses, wanted, notes, spread)
    if near:
        yield _near(near, wanted, spread)


def _far(
    source: str, accesses: Sequence[Access], wanted: Wanted, notes: Notes, spread: Spread | None
) -> Iterator[Batch]:
    """The batches of a source in AWS. The SDK is loaded only here, as most commands don't need it."""
    from tokentrail.sources import aws, s3

    try:
        if source.startswith(LOOKUP):
            from tokentrail.sources import lookup

            yield from lookup.batches(accesses, wanted, notes)
            return
        if len(accesses) > 1:
            raise UsageError(
                f"{source}: one --profile reads a bucket or queue, or asks a source. Run it once for each of them and "
                "profile."
            )
        if source.startswith(ASKED):
            from tokentrail.sources import query_service

            yield from query_service.batches(_asker(source, accesses[0], wanted), notes)
            return
        if source.startswith(QUEUE):
            from tokentrail.sources import drain

            yield from drain.batches(source, accesses[0], wanted)
            return
        yield s3.objects(source, accesses[0], wanted, spread)
    finally:
        for access in accesses:
            aws.close(access)


def _asker(source: str, access: Access, wanted: Wanted) -> Asker:
    """What asks a source that takes queries."""
    from tokentrail.sources.athena import Athena
    from tokentrail.sources.cloudtrail_lake import Lake
    from tokentrail.sources.logs_insights import Insights

    kinds: dict[str, type[Asker]] = dict(zip(ASKED, (Athena, Lake, Insights), strict=True))
    return kinds[source[: source.index(":") + 1]](source, access, wanted)


def _near(sources: Sequence[str], wanted: Wanted, spread: Spread | None) -> Batch:
    """The batch of local files, folders and standard input."""
    batch, part = Batch([]), Part()
    for one in files.objects(sources, spread):
        if isinstance(one, Skipped):
            batch.skipped.append(one)
            continue
        if part.takes(trail.name(one.name.replace(os.sep, "/")), wanted):
            batch.objects.append(one)
    batch.said = part.said(listed(sources, 2), wanted)
    return batch
