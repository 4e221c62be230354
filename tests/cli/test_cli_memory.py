"""Verbs keep little of what is free again, and most search seldom for some."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

_POOL = "import pyarrow as pa; print(pa.default_memory_pool().backend_name, 'ARROW_DEFAULT_MEMORY_POOL' in os.environ)"
_ARENAS = """
import ctypes, threading
held, together = [], threading.Barrier(8)
def hold():
    together.wait()
    held.append(bytearray(100_000))
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
library = ctypes.CDLL(None)
library.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(library.fdopen(1, b"w"))
library.malloc_info(0, out)
library.fflush(out)
"""
_SEARCHES = """
import gc
searched = []
gc.callbacks.append(lambda phase, found: searched.append(found["generation"]))
held = [[] for _ in range(400_000)]
print(searched.count(2) > 0, searched.count(0) > 0)
"""


def loaded(verb: str, script: str, told: dict[str, str]) -> str:
    """What a script prints, once a verb was loaded, with some variables of the environment."""
    begin = f"import os; from tokentrail.cli.root import root; root.get_command(None, {verb!r})\n"
    ours = {"ARROW_DEFAULT_MEMORY_POOL", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"}
    environment = {name: value for name, value in os.environ.items() if name not in ours} | told
    command = [sys.executable, "-c", begin + script]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


@pytest.mark.parametrize(("verb", "told", "expected"), [
    ("detect", {}, "system False"),
    ("investigate", {}, "system False"),
    ("watch", {}, "system False"),
    ("trace", {}, "system False"),
    ("detect", {"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, "mimalloc True"),
])  # fmt: skip
def test_arrow_has_no_stores_of_its_own(verb: str, told: dict[str, str], expected: str) -> None:
    """Unless the user says so; and what it is told while it is loaded no process is told that is started later."""
    assert loaded(verb, _POOL, told) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not list the threads of a process")
def test_a_verb_is_loaded_without_threads_of_linear_algebra() -> None:
    """NumPy's linear algebra starts some, which wait busily at first; nothing here has need of it."""
    threads = "print(len(os.listdir('/proc/self/task')), 'OPENBLAS_NUM_THREADS' in os.environ)"

    assert (
        loaded("trace", threads, {}).split()[0]
        == loaded("trace", threads, {"OPENBLAS_NUM_THREADS": "1"}).split()[0]
    )
    assert loaded("trace", threads, {}).endswith("False")


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"),
    reason="the C library is not glibc, which alone has arenas",
)
@pytest.mark.parametrize(("verb", "told", "few"), [
    ("detect", {}, True),
    ("investigate", {}, True),
    ("watch", {}, False),
    ("detect", {"MALLOC_ARENA_MAX": "8"}, False),
    ("detect", {"GLIBC_TUNABLES": "glibc.malloc.arena_max=8"}, False),
])  # fmt: skip
def test_threads_share_two_arenas(verb: str, told: dict[str, str], few: bool) -> None:
    """Unless the user says otherwise; a watch has as many as ever, and as it was measured with."""
    arenas = loaded(verb, _ARENAS, told).count("<heap nr=")
    assert (arenas <= 2) == few
    assert arenas


@pytest.mark.parametrize(
    ("verb", "expected"), [("contain", "False True"), ("serve", "False True"), ("detect", "True True")]
)
def test_what_an_answer_is_made_of_is_seldom_searched_for_cycles(verb: str, expected: str) -> None:
    """Hundreds of thousands of things that stay are looked through as young ones alone; verbs that must be small go on."""
    assert loaded(verb, _SEARCHES, {}) == expected
