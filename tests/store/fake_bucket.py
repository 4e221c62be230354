"""A bucket in memory, which can be killed at any put, refuse, and be as old as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tokentrail.errors import CaseError


class Killed(BaseException):
    """The program ended here."""


class Listed(NamedTuple):
    key: str
    changed: float


@dataclass(eq=False)
class FakeBucket:
    """What `S3Bucket` is, but for S3."""

    uri: str = "s3://cases/leak"
    held: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    clock: float = 1_000_000.0
    puts_left: int | None = None
    """Puts after which the program is killed."""
    written: list[str] = field(default_factory=list)
    """What was put or removed, in order."""
    read_: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def listed(self, prefix: str, most: int | None = None) -> list[Listed]:
        with self.lock:
            return [Listed(key, self.times[key]) for key in sorted(self.held) if key.startswith(prefix)][
                :most
            ]

    def read(self, key: str) -> bytes | None:
        self.read_.append(key)
        return self.held.get(key)

    def fetch(self, key: str, target: Path) -> bool:
        data = self.read(key)
        if data is not None:
            target.write_bytes(data)
        return data is not None

    def put(self, key: str, data: bytes | Path) -> None:
        content = data.read_bytes() if isinstance(data, Path) else data
        with self.lock:
            if self.puts_left is not None:
                if not self.puts_left:
                    raise Killed
                self.puts_left -= 1
            self.held[key], self.times[key] = content, self.clock
            self.written.append(key)

    def put_new(self, key: str, data: bytes) -> bool:
        if key in self.held:
            return False
        self.put(key, data)
        return True

    def remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.held.pop(key, None)
            self.written.append(f"-{key}")

    def close(self) -> None:
        pass


class DeniedBucket(FakeBucket):
    """Lets be read, and nothing be put."""

    def put(self, key: str, data: bytes | Path) -> None:
        raise CaseError(f"{self.uri}/{key}: could not be written (AccessDenied).")
