"""
Calls of the attacker's whose effect the log does not show: a plan names them all.

AWS has more calls that take a role or admit somebody than any list has, and more are added each week. Some hand out
credentials of another role, and the log shows neither the role nor the key.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Set
from dataclasses import dataclass, field

from tokentrail.aws.calls.catalogue import Verdict, every_reviewed, facts
from tokentrail.aws.calls.names import service_of
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.formatting import listed
from tokentrail.lineage import activity
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.trace import Narrowing

_MOST = 12
_BY_NAME = {one.operation: (one.service, one.operation) for one in every_reviewed() if one.remedy}
"""By name: the calls after which data is lost later, or no longer kept."""
_NARROWED = """
SELECT source, name, ip, CASE WHEN name IN {} THEN resource END AS resource, count(*) AS count, min(time) AS first
FROM acts WHERE error IS NULL AND time >= {} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""


_GIVEN: tuple[Verdict, ...] = ("role_credentials", "task_credentials", "person_token")
"""What the catalogue says of calls that hand out credentials or tokens which the log does not show."""
_LEAVING_SOMETHING: Mapping[Verdict, str] = {
    "token": "given_token", "deletes_later": "deleted_later", "stops_keeping": "not_kept", "blinds": "blinded",
    "foreign_token": "foreign_token",
}  # fmt: skip
"""By what the catalogue says of calls: the risk that they leave."""


@dataclass(slots=True)
class Use:
    """The attacker's successful calls of one name."""

    first: int
    """The time of the first one, in seconds since 1970."""
    count: int = 0
    things: dict[str, None] = field(default_factory=dict)
    """The resources, as a set in order; only for calls of `_BY_NAME`."""


Calls = Mapping[tuple[str, str], Use]
"""By service and name of the call."""


def calls_of(forest: Forest, ids: Mapping[int, str], subjects: Set[str], narrowing: Narrowing) -> Calls:
    """
    The attacker's successful calls.

    Args:
        forest: The forest of the trace.
        ids: The ids of the tainted credentials, by place.
        subjects: The ids of those that may also be in their owner's hands.
        narrowing: Which calls of these are the attacker's.
    """
    own = {n for n, one in ids.items() if one in subjects} if narrowing != Narrowing() else set[int]()
    others = {n: one for n, one in ids.items() if n not in own}
    found: dict[tuple[str, str], Use] = {}
    for use in activity.apis(forest, others):
        if use.count > use.errors:
            first = int(use.first.timestamp())
            _use(found, use.event_source, use.event_name, first).count += use.count - use.errors
    for touched in activity.resources(forest, others):
        call = _BY_NAME.get(touched.event_name or "")
        if call in found and touched.arn and touched.count > touched.errors:
            found[call].things[touched.arn] = None
    since = int(narrowing.since.timestamp()) if narrowing.since else 0
    for row in forest.done_by(own, _NARROWED.format(tuple(_BY_NAME), since)) if own else ():
        if narrowing.admits(None, row["ip"]):
            one = _use(found, row["source"], row["name"], row["first"])
            one.count += row["count"]
            one.things |= dict.fromkeys(filter(None, (row["resource"] or "").split("\n")))
    return dict(sorted(found.items(), key=lambda one: (one[1].first, one[0])))


def _use(found: dict[tuple[str, str], Use], source: str | None, name: str | None, first: int) -> Use:
    use = found.setdefault((service_of(source), name or ""), Use(first))
    use.first = min(use.first, first)
    return use


def given_calls(calls: Calls) -> Iterator[Assumption]:
    """The proof's assumptions that credentials and tokens which calls handed out no longer work."""
    for kind in _GIVEN:
        if found := _among(calls, kind):
            yield Assumption.of(kind, calls=_named(found))


def unknown_calls(calls: Calls, changes: Container[tuple[str, str]]) -> Iterator[Assumption]:
    """
    The calls that a person must look at.

    Args:
        calls: The attacker's successful calls.
        changes: Those of them, by service and name, of which the case has the request. A call that the catalogue counts
            as a change and that is not among them was read by an earlier version, which did not know it.
    """
    unseen = {call: use for call, use in calls.items() if facts(*call).changes and call not in changes}
    unknown = {**_among(calls, "unreviewed", "opens"), **_among(unseen, "creates", "removes_policy")}
    if found := _in_order(unknown, calls):
        yield Assumption.of("unknown_call", calls=_named(found))
    for verdict, kind in _LEAVING_SOMETHING.items():
        if found := _among(calls, verdict):
            remedied = verdict in ("deletes_later", "stops_keeping")
            yield Assumption.of(kind, calls=(_with_remedies if remedied else _named)(found))


def _among(calls: Calls, *verdicts: Verdict) -> Calls:
    return {call: use for call, use in calls.items() if call[1] and facts(*call).verdict in verdicts}


def _in_order(found: Container[tuple[str, str]], calls: Calls) -> Calls:
    return {call: use for call, use in calls.items() if call in found}


def _named(found: Calls) -> tuple[str, ...]:
    """Each call, and how often it was made."""
    return tuple(
        f"{':'.join(call)}{f' ({use.count} times)' if use.count > 1 else ''}" for call, use in found.items()
    )


def _with_remedies(found: Calls) -> tuple[str, ...]:
    """Each call with its resources, if the log shows them, and how it is undone."""
    return tuple(
        f"{':'.join(call)}{f' on {listed(use.things, _MOST)}' if use.things else ''} ({facts(*call).remedy})"
        for call, use in found.items()
    )
