"""From what a user names to the feed and the sinks that it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tokentrail.errors import CaseError, UsageError
from tokentrail.sources.interface import QUEUE, Access, Wanted
from tokentrail.store.folder import CaseFolder
from tokentrail.store.place import on_s3
from tokentrail.watch.interface import Feed, Sink
from tokentrail.watch.near_sinks import FileSink


def folder_to_follow_into(case: Path | str) -> Path:
    """
    Where a watch keeps what it follows.

    Raises:
        UsageError: it is no folder, and what comes by the second can't be put into a bucket as it comes.
    """
    if on_s3(case) is None:
        return Path(case)
    raise UsageError(
        f"{case}: a watch follows into a folder. Give one with --case; for a case in a bucket, run "
        f"`tokentrail ingest SOURCE --case {case}` as often as you need it."
    )


def feed_of(source: str, accesses: Sequence[Access], wanted: Wanted, case: Path, *, give_up: int) -> Feed:
    """
    Open what is to be followed.

    Args:
        source: `sqs:URL`, `s3://bucket/prefix`, or a folder.
        accesses: How AWS is reached; one.
        wanted: Which accounts and regions, of a bucket.
        case: Where the case is, or will be: what it holds already is not fetched again.
        give_up: Receives after which a message that can't be read is deleted.

    Raises:
        UsageError: it can't be followed so.
    """
    if len(accesses) > 1:
        raise UsageError(f"{source}: one --profile follows one source. Run a watch, with a case, for each.")
    if source.startswith(QUEUE):
        from tokentrail.watch.queue_feed import QueueFeed  # loads the SDK, which a folder does without

        if wanted != Wanted():
            raise UsageError(f"{source}: a queue is read whole. Leave out --account and --region.")
        return QueueFeed(source, accesses[0], give_up=give_up)
    from tokentrail.watch.polling import BucketFeed, FolderFeed

    if source.startswith("s3://"):
        return BucketFeed(source, accesses[0], _held(case), wanted=wanted)
    if source == "-" or source.startswith("lookup-events:"):
        raise UsageError(f"{source}: can't be followed. Give sqs:URL, s3://BUCKET/PREFIX or a folder.")
    return FolderFeed(source)


def _held(case: Path) -> Iterator[str]:
    """What a case holds by name, if it is one by now."""
    try:
        folder = CaseFolder.open(case, create=False)
    except CaseError:  # whoever opens it to write says so
        return iter(())
    there = folder.snapshot().objects()
    return (one.source for one in there.values() if one.source is not None)


def sink_of(where: str, access: Access, secret: str | None) -> Sink:
    """
    Open where findings go.

    Args:
        where: A file, a URL, `sns:ARN`, `events:BUS` or `securityhub:REGION`.
        access: How AWS is reached.
        secret: Signs what a webhook is sent.

    Raises:
        UsageError: there can be no such place.
    """
    kind, _, rest = where.partition(":")
    if kind not in ("http", "https", "sns", "events", "securityhub"):
        return FileSink(Path(where))
    from tokentrail.watch.far_sinks import BusSink, HubSink, TopicSink, WebhookSink

    if kind in ("http", "https"):
        return WebhookSink(where, secret)
    if kind == "sns":
        return TopicSink(rest if rest.startswith("arn:") else where, access)
    return BusSink(rest, access) if kind == "events" else HubSink(rest, access)
