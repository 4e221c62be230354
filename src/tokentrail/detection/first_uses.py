"""
Calls of some kind that a credential makes before they are a habit of its principal, with the signs of a stranger.

That an administrator does for the first time what administrators do is no finding, and one sign is a lead. So rules
ask for several signs together: the kind is new to a principal that the evidence knows for days, the address is new to
it, and whatever a rule adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from tokentrail.detection.call_kinds import CallKind
from tokentrail.detection.homes import familiar
from tokentrail.detection.model import Hit, Severity
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import calls, counted, joined, named
from tokentrail.lineage.rows import Row, event_id

HABITS = ("habit_after", "habit_days", "habit_calls", "new_for", "most_networks")
"""The thresholds that a first use is judged by."""
_USES = """
    SELECT c.*, c.head.time AS time, k.person, k.kind AS credential_kind, k.id,
           min(c.head.time) OVER (PARTITION BY coalesce(k.person, k.id){apart}) AS since
    FROM noted_calls c JOIN known k ON k.n = c.n WHERE c.kind = '{kind}'
    ORDER BY c.n, time, c.head.event_id, c.name, c.ip"""
_MET = """
    SELECT person, min(first) AS first FROM known
    WHERE person IN (SELECT unnest(CAST(? AS VARCHAR[]))) GROUP BY person"""
_HOMES = """
    SELECT person, ip, first, elsewhere,
           count(*) OVER (PARTITION BY person ORDER BY first, ip
                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
    FROM homes WHERE person IN (SELECT unnest(CAST(? AS VARCHAR[])))"""
_EVENTS = """
    SELECT d.n, d.event_id, d.event_id_text FROM deeds d JOIN sought s ON s.n = d.n
    WHERE ({calls}) AND d.error IS NULL AND NOT d.forwarded
    QUALIFY row_number() OVER (PARTITION BY d.n ORDER BY d.time, d.event_id) <= ?
    ORDER BY d.n, d.time, d.event_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstUse:
    """The calls of some kinds that one credential made until they were a habit of its principal."""

    n: int
    id: str
    person: str | None
    kind: str
    """The kind of the credential."""
    rows: Sequence[Row]
    """Rows of `noted_calls`, by time."""
    signs: tuple[str, ...]
    """What speaks for a stranger, in words."""
    suspicious: bool
    """Whether another rule found its lineage suspicious."""

    @property
    def time(self) -> int:
        """When the first of these calls was made."""
        return int(self.rows[0]["time"])

    @property
    def count(self) -> int:
        """How many calls there are."""
        return sum(row["calls"] for row in self.rows)

    @property
    def calls(self) -> str:
        """The names of the calls in words."""
        return calls(self.rows)


def first_uses(scene: Scene, kind: CallKind, *, what: str, each_region: bool = False) -> list[FirstUse]:
    """
    The first uses of a kind of calls, by credential.

    Args:
        scene: The case.
        kind: The kind, of those in `NOTED`.
        what: What the principal did not do before, for the sign's sentence: `had entered no host`.
        each_region: Whether what is a habit in one region is none in another.
    """
    rows = list(scene.rows(_USES.format(kind=kind, apart=", c.region" if each_region else "")))
    if not rows:
        return []
    people = sorted({row["person"] for row in rows if row["person"]})
    met = {row["person"]: row["first"] for row in scene.rows(_MET, (people,))}
    homes = {(row["person"], row["ip"]): row for row in scene.rows(_HOMES, (people,))}
    habit_after = scene.thresholds.whole("habit_after")
    found = []
    for n, group in groupby(rows, itemgetter("n")):
        made = list(group)
        suspicious = scene.suspicious(n)
        early = made if suspicious else [row for row in made if row["time"] <= row["since"] + habit_after]
        if early:
            first = early[0]
            signs = (*_new_to_it(scene, first, met, what), *_from_elsewhere(scene, early, homes))
            found.append(FirstUse(
                n=n, id=first["id"], person=first["person"], kind=first["credential_kind"], rows=early, signs=signs,
                suspicious=suspicious,
            ))  # fmt: skip
    return found


def _new_to_it(scene: Scene, row: Row, met: dict[str, int | None], what: str) -> Iterator[str]:
    days = scene.thresholds["habit_days"]
    first = met.get(row["person"])
    if first is not None and row["since"] >= first + 86_400 * days:
        yield f"its principal {what} in the {counted(int((row['since'] - first) // 86_400), 'day')} before"


def _from_elsewhere(scene: Scene, rows: Iterable[Row], homes: dict[tuple[str, str], Row]) -> Iterator[str]:
    """An address that is new to the principal, unless it roams."""
    bars = scene.thresholds
    for row in rows:
        home = homes.get((row["person"], row["ip"]))
        if (
            home is not None
            and row["time"] <= home["first"] + bars["new_for"]
            and home["elsewhere"] >= bars["habit_calls"]
            and home["earlier"] < bars["most_networks"]
            and not familiar(scene, row["person"], row["ip"], home["first"])
        ):
            yield f"it came from {scene.addresses.in_words(row['ip'])}, which is new to its principal"
            return


def hits_of(
    scene: Scene,
    uses: Sequence[FirstUse],
    severity: Callable[[FirstUse], Severity],
    said: Callable[[FirstUse], str],
    *bars: str,
) -> Iterator[Hit]:
    """
    A finding for each of some first uses: who it was, what it did, and the signs.

    Args:
        scene: The case.
        uses: The first uses.
        severity: How bad one is.
        said: What was done, to follow a name in a sentence.
        bars: The thresholds of the rule beside `HABITS`.
    """
    events, known = _events_of(scene, uses), scene.known(use.n for use in uses)
    for use in uses:
        head = use.rows[0]["head"]
        first = event_id(head["event_id"], head["event_id_text"]) or ""
        yield Hit(
            about=(use.id, first), time=use.time, severity=severity(use),
            why=f"{named(known[use.n])} {said(use)}.{_because(use.signs)}", subject=use.n, places=(use.n,),
            events=tuple(dict.fromkeys((first, *events.get(use.n, ())))), count=max(use.count, 1),
            thresholds=(*HABITS, *bars),
        )  # fmt: skip


def high_if_suspicious(use: FirstUse) -> Severity:
    """How bad what an administrator might do for the first time is: it depends on whose lineage it is."""
    return "high" if use.suspicious else "medium"


def _because(signs: Sequence[str]) -> str:
    """Signs as a sentence that follows another; nothing where there are none."""
    told = joined(list(signs))
    return f" {told[:1].upper()}{told[1:]}." if signs else ""


def _events_of(scene: Scene, uses: Sequence[FirstUse]) -> dict[int, tuple[str, ...]]:
    """The ids of the first events of some first uses, by credential."""
    if not uses:
        return {}
    scene.seek(use.n for use in uses)
    made = sorted({(row["source"], row["name"]) for use in uses for row in use.rows})
    calls = " OR ".join(f"d.source = '{source}' AND d.name = '{name}'" for source, name in made)
    found: dict[int, list[str]] = {}
    for row in scene.rows(_EVENTS.format(calls=calls), (scene.thresholds.whole("most_events"),)):
        found.setdefault(row["n"], []).append(event_id(row["event_id"], row["event_id_text"]) or "")
    return {n: tuple(events) for n, events in found.items()}
