"""How pySigma is to compile the regular expressions of rules that it reads: as DuckDB's RE2 will."""

from __future__ import annotations

from typing import Any, cast

import re2
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RegexEngine, RegexPattern

_NEWER = "(?<"
"""How a group is named in releases of RE2 that are newer than DuckDB's."""


def compiled(pattern: str) -> Any:
    """
    Compile a regular expression, to see whether it can be run.

    RE2 writes what it has against one to the process's stderr by itself, past all that makes text safe to show:
    whoever wrote the pattern would write to the terminal. It says the same in what it raises.

    Raises:
        ValueError: RE2 can't run it; the message says why.
    """
    options = re2.Options()
    options.log_errors = False
    if _NEWER in pattern:
        raise ValueError(f"invalid perl operator: {_NEWER}")
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        [told] = error.args
        raise ValueError(told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)) from error


class _Quiet(RegexEngine):
    """RE2 as pySigma's own engine has it, but that RE2 writes nothing to stderr by itself."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        """Compile a pattern: only to see whether it can be, so that flags, which all are RE2's, don't matter."""
        return cast(RegexPattern, compiled(pattern))

    @property
    def error(self) -> type[Exception]:
        """What `compile` raises."""
        return ValueError


QUIET = SigmaPolicy(regex_engine=_Quiet())
