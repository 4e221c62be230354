"""Open the feed and the sinks that a user has named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tokentrail.errors import CaseError, UsageError
from tokentrail.sources.dispatch import follows
from tokentrail.sources.interface import QUEUE, Access, Wanted
from tokentrail.store.folder import CaseFolder
from tokentrail.store.place import on_s3
from tokentrail.watch.interface import Feed, Sink
from tokentrail.watch.local_sinks import FileSink


def folder_to_follow_into(case: Path | str) -> Path:
    """
    The folder of the case that a watch follows into.

    Raises:
        UsageError: the case is in a bucket, into which evidence can't be put by the second.
    """
    if on_s3(case) is None:
        return Path(case)
    raise UsageError(
        f"{case}: a watch follows into a folder. Give one with --case; for a case in a bucket, run "
        f"`tokentrail ingest SOURCE --case {case}` as often as you need it."
    )


def feed_of(source: str, accesses: Sequence[Access], wanted: Wanted, case: Path, *, give_up: int) -> Feed:
    """
    Open the feed of a source.

    Args:
        source: `sqs:URL`, `s3://bucket/prefix`, or a folder.
        accesses: How AWS is reached: exactly one.
        wanted: Which accounts and regions of a bucket.
        case: The folder of the case, which need not exist yet: objects that it holds are not fetched again.
        give_up: Receives after which a message that can't be read is deleted.

    Raises:
        UsageError: there is no such kind of source, or it can't be followed with these arguments.
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
    if source == "-" or follows(source):
        raise UsageError(f"{source}: can't be followed. Give sqs:URL, s3://BUCKET/PREFIX or a folder.")
    return FolderFeed(source)


def _held(case: Path) -> Iterator[str]:
    """The identities of the objects that a case holds; none if there is no case yet."""
    try:
        folder = CaseFolder.open(case, create=False)
    except CaseError:  # whoever opens it to write says so
        return iter(())
    there = folder.snapshot().objects()
    return (one.source for one in there.values() if one.source is not None)


def sink_of(where: str, access: Access, secret: str | None) -> Sink:
    """
    Open a sink.

    Args:
        where: A file, a URL, `sns:ARN`, `events:BUS` or `securityhub:REGION`.
        access: How AWS is reached.
        secret: The key with which requests to a webhook are signed, if they are.

    Raises:
        UsageError: there can be no such sink.
    """
    kind, _, rest = where.partition(":")
    if kind not in ("http", "https", "sns", "events", "securityhub"):
        return FileSink(Path(where))
    from tokentrail.watch.remote_sinks import BusSink, HubSink, TopicSink, WebhookSink

    if kind in ("http", "https"):
        return WebhookSink(where, secret)
    if kind == "sns":
        return TopicSink(rest if rest.startswith("arn:") else where, access)
    return BusSink(rest, access) if kind == "events" else HubSink(rest, access)
