"""A function's code or layers are changed by a session that never did so."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.aws.calls.names import operation_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.first_uses import (
    FIRST_USE_READS,
    HABITS,
    FirstUse,
    first_uses,
    high_if_suspicious,
    hits_of,
)
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.record_access import Place, place_of
from tokentrail.detection.views import ATTRIBUTED_CHANGES, event_names
from tokentrail.formatting import at, counted
from tokentrail.lineage.rows import Row

_SETTINGS = "UpdateFunctionConfiguration"
_SETTING = f"""
    SELECT n, segment, object, ordinal FROM attributed_changes
    WHERE source = 'lambda.amazonaws.com' AND name LIKE '{_SETTINGS}%' ORDER BY time, event_id"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for changes with two signs of a stranger, or of a lineage that is suspicious already."""
    uses = first_uses(context, "code", what="had changed no function")
    uses = [use for use in uses if use.suspicious or use.signs]
    layered = _layered(context, uses)
    uses = [use for use in uses if use.n in layered or any(map(_is_code, use.rows))]
    told = [use for use in uses if len(use.signs) > 1 or use.suspicious]
    yield from hits_of(context, told, high_if_suspicious, _said, "most_records")


def _said(use: FirstUse) -> str:
    return f"changed the code or layers of functions ({counted(use.count, 'call')}), first at {at(use.time)}"


def _is_code(row: Row) -> bool:
    return operation_of(row["name"]) != _SETTINGS


def _layered(context: DetectionContext, uses: list[FirstUse]) -> set[int]:
    """The credentials that gave functions other layers, as the records of their changed settings tell."""
    asked = {use.n for use in uses if not any(map(_is_code, use.rows))}
    if not asked:
        return set()
    places: dict[Place, int] = {
        place_of(row): row["n"] for row in context.rows(_SETTING) if row["n"] in asked
    }
    read = sorted(places)[: context.thresholds.whole("most_records")]
    return {places[place] for place, record in context.read(read) if _layers(record.get("requestParameters"))}


def _layers(asked: object) -> bool:
    return isinstance(asked, dict) and bool(asked.get("layers"))


RULE = Rule(
    id="code-changed",
    title="A function's code or layers were changed by a session that never did so",
    severity="high",
    attack=("T1525", "T1648"),
    why="Whoever changes a function's code acts with its role from then on, whenever it runs, and sees what it is "
    "given; a revocation does not end that.",
    false_alarm="Deployments look the same, and so one sign is no finding: who never changed a function must come "
    "from a new address, too. What the same principal did on an earlier day is left out. Compare the function's code "
    "with the repository's.",
    references=(
        "AWS Lambda API Reference, 'UpdateFunctionCode' and 'UpdateFunctionConfiguration' (layers)",
        "Stratus Red Team, aws.persistence.lambda-overwrite-code and lambda-layer-extension",
    ),
    find=find,
    reads=(*FIRST_USE_READS, ATTRIBUTED_CHANGES),
    late=True,
    thresholds=(*HABITS, "most_records"),
    prefilter=event_names("code"),
)
