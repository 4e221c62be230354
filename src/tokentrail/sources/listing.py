"""
List the objects of an S3 bucket under a prefix: folder by folder down to regions, and flat below.

Folders of accounts, regions and days that are not wanted are not listed, as far as CloudTrail's layout shows which they
are. Several folders are listed in parallel; the result is in order of name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tokentrail.errors import SourceError, UsageError
from tokentrail.formatting import counted
from tokentrail.sources import aws, cases, trail
from tokentrail.sources.interface import SHARDS, Access, Failed, Skipped, Spread, Wanted
from tokentrail.sources.selection import Part
from tokentrail.sources.words import refused

AT_ONCE = 16
_DEPTH = 4
"""How many levels below the prefix CloudTrail's layout is searched for; folders below that are listed flat."""
_LAST = "\U0010ffff"
"""Appended to a folder's name, it sorts after all keys in the folder."""
_BROAD = 100
"""A folder outside the layout with more folders than this is listed flat."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing."""

    key: str
    size: int
    etag: str


@dataclass(slots=True)
class Contents:
    """The wanted objects of a bucket, and what was passed over."""

    objects: list[Listed] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    part: Part = field(default_factory=Part)
    """Has chosen the objects by their names."""

    def add(self, other: Contents) -> None:
        """Add the contents of another part of the bucket."""
        self.objects += other.objects
        self.skipped += other.skipped
        self.part.add(other.part)


@dataclass(slots=True)
class _Level:
    """What is directly in one folder."""

    objects: list[Listed]
    folders: list[str]
    """Folders in it to be listed likewise."""
    skipped: list[Skipped] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)
    """Folders in it to be listed flat."""
    part: Part = field(default_factory=Part)
    """Has noted the folders that are passed over."""


def bucket_and_prefix(source: str) -> tuple[str, str]:
    """
    Take `s3://bucket/prefix` apart.

    Raises:
        UsageError: it names no bucket.
    """
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError(f"{source}: names no bucket. Give s3://BUCKET/PREFIX.")
    return bucket, prefix


class Lister:
    """Lists one bucket."""

    def __init__(
        self, access: Access, bucket: str, wanted: Wanted, kinds: Iterable[str] = trail.LOGS
    ) -> None:
        self._access, self._bucket, self._wanted = access, bucket, wanted
        self._kinds = frozenset(kinds)
        """The wanted folders of an account, which are also the kinds of files in them."""

    def contents(self, prefix: str, spread: Spread | None = None) -> Contents:
        """
        List what is wanted under a prefix.

        Args:
            prefix: The prefix of the keys.
            spread: Lists what is in the folders of regions, or of their days; by default, threads of this process do.

        Raises:
            SourceError: the bucket can't be listed.
        """
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                return self._contents(pool, prefix, spread)
        except Failed as failed:
            told = refused(failed, "listed", f"s3://{self._bucket}/{failed.folder or prefix}")
            if failed.kind == "denied" and failed.folder and failed.folder.rstrip("/") != prefix.rstrip("/"):
                told += " Or name the folders beside it, several if need be: they may be listed."
            raise SourceError(told) from failed

    def _contents(self, pool: ThreadPoolExecutor, prefix: str, spread: Spread | None) -> Contents:
        first = self._given(prefix)
        found, flat = Contents(skipped=first.skipped), list(first.flat)
        self._take(found, first.objects)
        folders = first.folders
        for depth in range(_DEPTH * 3):
            deeper: list[str] = []
            for level in pool.map(lambda folder, depth=depth: self._level(folder, depth), folders):
                self._take(found, level.objects)
                found.skipped += level.skipped
                found.part.add(level.part)
                deeper += level.folders
                flat += level.flat
            folders = deeper
        flat += folders
        if spread is not None:
            flat = self._finer(pool, found, flat)
        given = self._access, self._bucket, self._wanted, self._kinds
        for part in (spread or pool.map)(partial(_contents_below, *given), sorted(flat)):
            if isinstance(part, Failed):
                raise part
            found.add(part)
        found.objects.sort(key=lambda one: one.key)
        self._leave_out_cases(found)
        found.skipped.sort(key=lambda one: one.name)
        return found

    def _leave_out_cases(self, found: Contents) -> None:
        """Leave out objects of cases, as where a case is in the bucket that it is made from."""
        within = {
            one.key.removesuffix(cases.MARKER)
            for one in found.objects
            if cases.marks(one.key.rpartition("/")[2], one.size, partial(self._read, one.key))
        }
        if within:
            found.objects = [one for one in found.objects if not _is_part(one.key, within)]
            named = (f"s3://{self._bucket}/{one}" for one in within)
            found.skipped += (Skipped(one, cases.why(one), lost=False) for one in named)

    def _read(self, key: str) -> bytes:
        try:
            found = aws.body(self._access, start=0, same={}, Bucket=self._bucket, Key=key)
            return b"".join(piece for _, piece in found)
        except Failed:
            return b""

    def _finer(self, pool: ThreadPoolExecutor, found: Contents, folders: list[str]) -> list[str]:
        """Replace folders of regions by those of years, months or days in them, until there are enough to spread."""
        for depth in range(trail.DAY):
            if len(folders) >= SHARDS:
                break
            opened = [one for one in folders if trail.date_depth(one) == depth]
            folders = [one for one in folders if trail.date_depth(one) != depth]
            for folder, (objects, deeper) in zip(opened, pool.map(self._listed, opened), strict=True):
                after, last = self._days(folder)
                self._take(
                    found, (one for one in objects if after < one.key and (not last or one.key <= last))
                )
                folders += [one for one in deeper if after < one + _LAST and (not last or one <= last)]
        return folders

    def _given(self, prefix: str) -> _Level:
        """What the prefix itself names: an object, a folder, or the objects and folders that begin with it."""
        if not prefix or prefix.endswith("/"):
            return self._start([prefix])
        objects, folders = self._listed(prefix)
        exact = [one for one in objects if one.key == prefix]
        if exact:
            return _Level(exact, [])
        if f"{prefix}/" in folders:
            return self._start([f"{prefix}/"])
        start = self._start(folders)
        return _Level(objects, start.folders, flat=start.flat)

    def _start(self, folders: list[str]) -> _Level:
        flat = [one for one in folders if self._is_flat(one)]
        return _Level([], [one for one in folders if one not in flat], flat=flat)

    def _is_flat(self, folder: str) -> bool:
        step = trail.step(folder)
        return step is None or step == "region"

    def _level(self, folder: str, depth: int) -> _Level:
        step = trail.step(folder)
        objects, folders = self._listed(folder)
        level = _Level(objects, [])
        if step == "outside" and (depth >= _DEPTH or len(folders) > _BROAD):
            return _Level([], [], flat=[folder])
        for child in folders:
            name = child.removeprefix(folder).removesuffix("/")
            why = None if step in (None, "outside") else trail.unwanted(step, name, self._wanted, self._kinds)
            if why:
                level.skipped.append(Skipped(f"s3://{self._bucket}/{child}", why, lost=False))
            elif why is None:
                (level.flat if self._is_flat(child) else level.folders).append(child)
            elif step is not None:
                level.part.skip_folder(step, name)
        return level

    def _listed(self, folder: str) -> tuple[list[Listed], list[str]]:
        """The objects and folders directly in a folder."""
        objects: list[Listed] = []
        folders: list[str] = []
        for page in self._pages(Prefix=folder, Delimiter="/"):
            objects += _objects(page)
            folders += [str(one["Prefix"]) for one in page.get("CommonPrefixes", ())]
        return objects, folders

    def _below(self, folder: str) -> Iterator[Listed]:
        """All objects in a folder and below; in a region's folder, only those of the wanted days."""
        after, last = self._days(folder)
        for page in self._pages(Prefix=folder, **({"StartAfter": after} if after else {})):
            for one in _objects(page):
                if last and one.key > last:
                    return
                yield one

    def _days(self, folder: str) -> tuple[str, str]:
        """The keys between which the wanted days of a region are, for its folder or one below; empty for no limit."""
        region = trail.region_folder(folder)
        since, until = self._wanted.since, self._wanted.until
        return (
            trail.day(region, since) if region and since else "",
            trail.day(region, until + trail.LATE) + _LAST if region and until else "",
        )

    def _pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            called = {"Bucket": self._bucket, **asked, **more, **aws.payer(self._access)}
            try:
                page = aws.ask(self._access, "s3", "list_objects_v2", **called)
            except Failed as failed:
                failed.folder = asked["Prefix"]
                raise
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _take(self, found: Contents, listed: Iterable[Listed]) -> None:
        """Add the wanted objects of a listing, and count the others."""
        others: Counter[tuple[str, str]] = Counter()
        for one in listed:
            known = trail.name(one.key)
            if known is not None and known.kind not in self._kinds:
                others[one.key.rpartition("/")[0], known.other or "of another kind"] += 1
            elif found.part.takes(known, self._wanted):
                found.objects.append(one)
        for (folder, why), count in others.items():
            shown = f"s3://{self._bucket}/{folder}/ ({counted(count, 'object')})"
            found.skipped.append(Skipped(shown, why, lost=False))


def _is_part(key: str, within: Set[str]) -> bool:
    """Whether a key is that of a part of a case in one of some folders."""
    names = key.split("/")
    return any(
        name in cases.PARTS and "/".join([*names[:depth], ""]) in within for depth, name in enumerate(names)
    )


def _contents_below(
    access: Access, bucket: str, wanted: Wanted, kinds: frozenset[str], folder: str
) -> Contents | Failed:
    """The wanted objects in a folder and below, or why it can't be listed; may run in another process."""
    lister, found = Lister(access, bucket, wanted, kinds), Contents()
    try:
        lister._take(found, lister._below(folder))
    except Failed as failed:
        return failed
    return found


def _objects(page: dict[str, Any]) -> Iterator[Listed]:
    """A page's objects, but for the empty ones that merely stand for a folder."""
    for one in page.get("Contents", ()):
        if one["Size"] or not one["Key"].endswith("/"):
            yield Listed(str(one["Key"]), int(one["Size"]), str(one.get("ETag", "")))
