"""
What an ingest does besides reading: it downloads and uploads a case in a bucket.

For a case in a folder, all of it does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tokentrail.case.views import Views
from tokentrail.errors import CaseError, SourceError, UsageError
from tokentrail.store.folder import CaseFolder

if TYPE_CHECKING:
    from tokentrail.spark import Cluster


class Sharing:
    """Downloads what others put into the bucket before an ingest, and uploads what the ingest read and derived."""

    def __init__(self, folder: CaseFolder, views: Views, engine: Cluster | None) -> None:
        self._mirror = folder.mirror
        self._folder, self._views, self._engine = folder, views, engine

    @contextmanager
    def around(self, *, reference: bool) -> Iterator[None]:
        """
        Download what is in the bucket now; if a source fails, upload what was read until then.

        Raises:
            UsageError: evidence is to stay where it is, where other machines that open the case would not find it.
            CaseError: the bucket can't be reached.
        """
        if self._mirror is None:
            yield
            return
        if reference:
            raise UsageError(
                f"{self._mirror.bucket.uri}: --reference leaves files where they are, and other machines that open "
                "this case would not find them. Leave --reference out."
            )
        self._mirror.download()
        try:
            yield
        except (SourceError, UsageError) as error:
            self._upload_after(error)
            raise

    def _upload_after(self, error: SourceError | UsageError) -> None:
        assert self._mirror is not None
        try:
            self._mirror.upload()
        except CaseError as failed:
            raise type(error)(
                f"{error} What was read until then is on this machine, and could not be put into the bucket either: "
                f"{failed} The next ingest from here puts it there."
            ) from error

    def before_reading(self) -> None:
        """Download the layers that linking will build on."""
        if self._mirror is not None and self._folder.snapshot().manifests:
            self._mirror.fetch_layers(self._views.open(None).derived)

    def after_batch(self) -> None:
        """
        Upload the segments that a batch made: after this, a queue may delete its messages.

        Segments that a cluster wrote to the bucket are downloaded, since this process links them.
        """
        if self._mirror is not None:
            self._mirror.upload_new()
            if self._engine is not None:
                self._mirror.download()

    def after_reading(self) -> None:
        """Upload the derived tables."""
        if self._mirror is None:
            return
        if not self._folder.snapshot().manifests:
            self._mirror.upload()
            return
        self._mirror.upload(self._views.open(None).derived.name)
