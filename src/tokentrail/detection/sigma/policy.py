"""How pySigma is to compile the regular expressions of rules that it reads."""

from __future__ import annotations

from typing import cast

from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RegexEngine, RegexPattern

from tokentrail.detection.sigma.probes import expression


class _Quiet(RegexEngine):
    """RE2 as pySigma's own engine has it, but that RE2 writes nothing to stderr by itself."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        """Compile a pattern: only to see whether it can be, so that flags, which all are RE2's, don't matter."""
        return cast(RegexPattern, expression(pattern))

    @property
    def error(self) -> type[Exception]:
        """What `compile` raises."""
        return ValueError


QUIET = SigmaPolicy(regex_engine=_Quiet())
