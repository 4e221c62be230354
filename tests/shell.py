"""Run `tokentrail` as the shell would: for the tests of several rooms."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from tokentrail.cli.root import main


@dataclass(frozen=True)
class Ran:
    """How a run ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def ran(monkeypatch: pytest.MonkeyPatch, arguments: Iterable[object]) -> Ran:
    """Run it with some arguments."""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "argv", ["tokentrail", *map(str, arguments)])
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())
