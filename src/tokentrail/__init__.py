"""TokenTrail: which AWS credential came from which, which still work, and what ends all of the attacker's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokentrail.case import Case
    from tokentrail.errors import TokenTrailError
    from tokentrail.lineage.model import Credential, Trace

__version__ = "0.2.0.dev0"
__all__ = ["Case", "Credential", "TokenTrailError", "Trace", "__version__"]

_HOMES = {
    "Case": "tokentrail.case",
    "Credential": "tokentrail.lineage.model",
    "Trace": "tokentrail.lineage.model",
    "TokenTrailError": "tokentrail.errors",
}


def __getattr__(name: str) -> Any:
    """Load public names when first used, so that `import tokentrail` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tokentrail' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
