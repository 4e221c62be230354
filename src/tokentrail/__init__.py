"""TokenTrail: which AWS credential came from which, which still work, and what ends all of the attacker's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokentrail.case import Case
    from tokentrail.containment.model import Plan
    from tokentrail.detection.leads.model import Lead
    from tokentrail.detection.model import Finding
    from tokentrail.errors import TokenTrailError
    from tokentrail.lineage.model import Credential, TimelineEvent, Trace
    from tokentrail.prevention.model import Guard
    from tokentrail.results import IngestSummary, Status

__version__ = "0.2.0.dev0"
__all__ = [
    "Case", "Credential", "Finding", "Guard", "IngestSummary", "Lead", "Plan", "Status", "TimelineEvent",
    "TokenTrailError", "Trace", "__version__",
]  # fmt: skip

_HOMES = {
    "Case": "tokentrail.case",
    "Credential": "tokentrail.lineage.model",
    "Finding": "tokentrail.detection.model",
    "Guard": "tokentrail.prevention.model",
    "IngestSummary": "tokentrail.results",
    "Lead": "tokentrail.detection.leads.model",
    "Plan": "tokentrail.containment.model",
    "Status": "tokentrail.results",
    "TimelineEvent": "tokentrail.lineage.model",
    "TokenTrailError": "tokentrail.errors",
    "Trace": "tokentrail.lineage.model",
}


def __getattr__(name: str) -> Any:
    """Load public names when first used, so that `import tokentrail` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tokentrail' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names, those too that were not used yet."""
    return sorted({*_HOMES, *(name for name in globals() if name.startswith("__"))})
