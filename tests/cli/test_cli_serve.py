"""`tokentrail serve` as a process: it prints its address, answers there, and ends on Ctrl+C."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from patience import PATIENCE
from shell import Run

PROGRAM = [sys.executable, "-m", "tokentrail"]


def test_it_serves_until_ctrl_c(case: Path) -> None:
    """The one line on stdout is the address; it answers on loopback alone, as of the moment given; its end is clean."""
    sockets = Path("/proc/net/tcp")
    with subprocess.Popen(
        [*PROGRAM, "serve", "--case", str(case), "--as-of", "2026-11-23T10:01:00Z"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout and process.stderr
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=\S{32}&as_of=2026-11-23T10%3A01%3A00Z", address)
        base, token = re.match(r"(http://[^/]+)/\?token=([^&]+)", address).groups()  # type: ignore[union-attr]
        request = urllib.request.Request(f"{base}/start.json", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert json.load(answer)["case_id"]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{base}/start.json", timeout=PATIENCE)
        port = int(base.rpartition(":")[2])
        if sockets.exists():  # Linux tells
            held = [
                line.split()[1] for line in sockets.read_text().splitlines()[1:] if line.split()[3] == "0A"
            ]
            assert {one.split(":")[0] for one in held if int(one.split(":")[1], 16) == port} == {"0100007F"}
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and rest == ""
    assert "Ctrl+C ends it" in told and "Traceback" not in told and token not in told


def test_without_the_extra_it_says_what_to_install(
    run: Run, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words, with the exit code of wrong use."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "uvicorn" else find(name, *rest)
    )
    ran = run("serve", "--case", case)
    assert ran.code == 2 and ran.out == ""
    assert "needs uvicorn: pip install 'tokentrail[web]'" in ran.err


def test_a_case_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    """Before anything listens."""
    ran = run("serve", "--case", tmp_path / "none")
    assert ran.code == 2 and ran.out == "" and "no case" in ran.err


def test_a_taken_port_is_said(run: Run, case: Path) -> None:
    """The port asked for, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run("serve", "--case", case, "--port", taken.getsockname()[1])
    assert ran.code == 2 and ran.out == "" and "Give another" in ran.err


def test_nothing_else_loads_the_web(case: Path) -> None:
    """Other verbs import neither starlette nor uvicorn."""
    told = (
        "import sys; from tokentrail.cli.root import root;"
        "root(['status', '--case', sys.argv[1]], standalone_mode=False);"
        "print(sorted({'starlette', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", told, str(case)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.rstrip().endswith("[]")
