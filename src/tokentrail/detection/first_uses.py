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
from tokentrail.detection.cited_events import FIRST_EVENT_READS, event_of, first_events
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import calls, named
from tokentrail.detection.model import Hit, Severity
from tokentrail.detection.views import CREDENTIAL_DETAILS, NOTABLE_CALLS, PRINCIPAL_IPS
from tokentrail.formatting import counted, joined
from tokentrail.lineage.rows import Row

FIRST_USE_READS = (NOTABLE_CALLS, CREDENTIAL_DETAILS, PRINCIPAL_IPS, *FIRST_EVENT_READS)
"""The views that `first_uses` and `hits_of` read."""
HABITS = ("habit_after", "habit_days", "habit_calls", "new_for", "most_networks")
"""The thresholds that a first use is judged by."""
_USES = """
    SELECT c.*, c.head.time AS time, k.person, k.kind AS credential_kind, k.id,
           min(c.head.time) OVER (PARTITION BY coalesce(k.person, k.id){apart}) AS since
    FROM notable_calls c JOIN credential_details k ON k.n = c.n WHERE c.kind = '{kind}'
    ORDER BY c.n, time, c.head.event_id, c.name, c.ip"""
_MET = """
    SELECT person, min(first) AS first FROM credential_details
    WHERE person IN (SELECT unnest(CAST(? AS VARCHAR[]))) GROUP BY person"""
_PRINCIPAL_IPS = """
    SELECT person, ip, first, elsewhere,
           count(*) OVER (PARTITION BY person ORDER BY first, ip
                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
    FROM principal_ips WHERE person IN (SELECT unnest(CAST(? AS VARCHAR[])))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstUse:
    """The calls of some kinds that one credential made until they were a habit of its principal."""

    n: int
    id: str
    person: str | None
    kind: str
    """The kind of the credential."""
    rows: Sequence[Row]
    """Rows of `notable_calls`, by time."""
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


def first_uses(
    context: DetectionContext, kind: CallKind, *, what: str, each_region: bool = False
) -> list[FirstUse]:
    """
    The first uses of a kind of calls, by credential.

    Args:
        context: The case.
        kind: The kind, of those in `NOTABLE_KINDS`.
        what: What the principal did not do before, for the sign's sentence: `had entered no host`.
        each_region: Whether what is a habit in one region is none in another.
    """
    rows = list(context.rows(_USES.format(kind=kind, apart=", c.region" if each_region else "")))
    if not rows:
        return []
    people = sorted({row["person"] for row in rows if row["person"]})
    met = {row["person"]: row["first"] for row in context.rows(_MET, (people,))}
    homes = {(row["person"], row["ip"]): row for row in context.rows(_PRINCIPAL_IPS, (people,))}
    habit_after = context.thresholds.whole("habit_after")
    found = []
    for n, group in groupby(rows, itemgetter("n")):
        made = list(group)
        suspicious = context.suspicious(n)
        early = made if suspicious else [row for row in made if row["time"] <= row["since"] + habit_after]
        if early:
            first = early[0]
            signs = (*_new_to_it(context, first, met, what), *_from_elsewhere(context, early, homes))
            found.append(FirstUse(
                n=n, id=first["id"], person=first["person"], kind=first["credential_kind"], rows=early, signs=signs,
                suspicious=suspicious,
            ))  # fmt: skip
    return found


def _new_to_it(context: DetectionContext, row: Row, met: dict[str, int | None], what: str) -> Iterator[str]:
    days = context.thresholds["habit_days"]
    first = met.get(row["person"])
    if first is not None and row["since"] >= first + 86_400 * days:
        yield f"its principal {what} in the {counted(int((row['since'] - first) // 86_400), 'day')} before"


def _from_elsewhere(
    context: DetectionContext, rows: Iterable[Row], homes: dict[tuple[str, str], Row]
) -> Iterator[str]:
    """An address that is new to the principal, unless it roams."""
    bars = context.thresholds
    for row in rows:
        home = homes.get((row["person"], row["ip"]))
        if (
            home is not None
            and row["time"] <= home["first"] + bars["new_for"]
            and home["elsewhere"] >= bars["habit_calls"]
            and home["earlier"] < bars["most_networks"]
            and not context.familiar(row["person"], row["ip"], home["first"])
        ):
            yield f"it came from {context.addresses.in_words(row['ip'])}, which is new to its principal"
            return


def hits_of(
    context: DetectionContext,
    uses: Sequence[FirstUse],
    severity: Callable[[FirstUse], Severity],
    said: Callable[[FirstUse], str],
    *bars: str,
) -> Iterator[Hit]:
    """
    A finding for each of some first uses: who it was, what it did, and the signs.

    Args:
        context: The case.
        uses: The first uses.
        severity: How bad one is.
        said: What was done, to follow a name in a sentence.
        bars: The thresholds of the rule beside `HABITS`.
    """
    events, known = _events_of(context, uses), context.credentials(use.n for use in uses)
    for use in uses:
        head = use.rows[0]["head"]
        first = event_of(head)
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


def _events_of(context: DetectionContext, uses: Sequence[FirstUse]) -> dict[int, tuple[str, ...]]:
    """The ids of the first events of some first uses, by credential."""
    if not uses:
        return {}
    made = sorted({(row["source"], row["name"]) for use in uses for row in use.rows})
    calls = " OR ".join(f"d.source = '{source}' AND d.name = '{name}'" for source, name in made)
    events = first_events(
        context, (use.n for use in uses), where=f"({calls}) AND d.error IS NULL AND NOT d.forwarded",
        most=context.thresholds.whole("most_events"),
    )  # fmt: skip
    return {n: tuple(ids) for (n, _), ids in events.items()}
