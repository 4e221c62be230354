"""Worker processes: what they are started with."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evidence import pandas_that_tells
from tokentrail.store.workers import Worker, environment


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (None, "glibc.malloc.tcache_count=1000"),
        ("", "glibc.malloc.tcache_count=1000"),
        ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.tcache_count=1000"),
        ("glibc.malloc.tcache_count=0:glibc.malloc.check=1", "glibc.malloc.tcache_count=0:glibc.malloc.check=1"),
    ],
)  # fmt: skip
def test_what_somebody_tuned_stays_so(theirs: str | None, ours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker keeps more free memory at hand, unless whoever started the program said how much."""
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.41")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if theirs is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", theirs)

    assert environment() == os.environ | {"OPENBLAS_NUM_THREADS": "1", "GLIBC_TUNABLES": ours}


@pytest.mark.parametrize("library", ["glibc 2.29", "musl", "", None])
def test_a_library_that_cant_count_so_far_is_left_alone(
    library: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before 2.30 glibc counts to 127, and others know no such thing: nothing is said to them."""
    monkeypatch.setattr(os, "confstr", lambda name: library)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)

    assert "GLIBC_TUNABLES" not in environment()


def test_a_library_that_knows_the_name_alone_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl names what tells glibc's version and refuses to tell it, and so no ingest on Alpine had workers."""

    def refused(name: str) -> str:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "confstr", refused)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)

    assert "GLIBC_TUNABLES" not in environment()


def test_a_worker_has_it() -> None:
    """It is in the worker's environment from its start, as the C library reads it once."""
    worker: Worker[str, str | None] = Worker(os.getenv, str)
    try:
        assert worker.run("GLIBC_TUNABLES") == environment().get("GLIBC_TUNABLES")
    finally:
        worker.end()


def test_a_worker_runs_nothing_that_lies_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence may lie there, and an attacker's `org.py` in it: `pickle` asks for a module of that name."""
    for name in ("org", "pickle", "signal", "tokentrail"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    worker: Worker[str, int] = Worker(len, str)
    try:
        assert worker.run("four") == 4
    finally:
        worker.end()
    assert not (tmp_path / "ran").exists()


def test_a_worker_loads_no_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though Arrow looks for it: where it is installed, it would take most of a worker's start."""
    loaded = pandas_that_tells(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    worker: Worker[str, int] = Worker(eval, str)
    try:
        assert worker.run("len(__import__('pyarrow').array([1]))") == 1
        assert not loaded.exists()
    finally:
        worker.end()


def test_a_worker_whose_caller_was_killed_ends_without_a_word() -> None:
    """Whoever is killed needs no traceback in the log of how nobody took the outcome."""
    caller = (
        "import os, signal, threading, time\n"
        "from tokentrail.store.workers import Worker\n"
        "worker = Worker(time.sleep, str)\n"
        "threading.Thread(target=worker.run, args=(1.5,)).start()\n"
        "time.sleep(1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", caller], capture_output=True, text=True, check=False)

    assert (-9, "") == (ended.returncode, ended.stderr)
