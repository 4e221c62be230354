"""
What calls come to, for each credential by itself: what it called, touched, learned, and from where.

Each is worked out twice: from calls at hand, of which no query need be planned, and by a query over `acts`, of as many
as there may be. Both tell the same, which tests compare.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

_TOLD = ("time", "source", "name", "error", "ip", "secret", "bytes_out", "resource")
_READ = "CASE WHEN e.secret AND e.error IS NULL THEN e.{name} END AS {name}"
DEEDS = (*_TOLD, "event_id", "event_id_text")
DEEDS_OF_FACTS = ", ".join(
    (*(f"e.{name}" for name in _TOLD), *(_READ.format(name=name) for name in DEEDS[-2:]))
)
"""What is told of a call, which facts are known as `e`; its id is only told where it read a secret."""
NOTHING = pa.table({
    "n": pa.array([], pa.int64()), "time": pa.array([], pa.int64()), "source": pa.array([], pa.string()),
    "name": pa.array([], pa.string()), "error": pa.array([], pa.string()), "ip": pa.array([], pa.string()),
    "secret": pa.array([], pa.bool_()), "bytes_out": pa.array([], pa.int64()), "resource": pa.array([], pa.string()),
    "event_id": pa.array([], pa.binary()), "event_id_text": pa.array([], pa.string()),
})  # fmt: skip
"""No calls."""
_OF_SECRETS = ("n", "event_id", "event_id_text", "time", "name", "resource")
_COUNTED: Any = [
    ([], "count_all"),
    ("error", "count"),
    ("bytes_out", "sum"),
    ("time", "min"),
    ("time", "max"),
]
_COUNTS = {
    "count": "count_all", "errors": "error_count", "bytes_out": "bytes_out_sum", "first": "time_min",
    "last": "time_max",
}  # fmt: skip
_ADDED = {"count": "sum", "errors": "sum", "bytes_out": "sum", "first": "min", "last": "max"}


class RollUp(NamedTuple):
    """A way of rolling up calls, for each `n` by itself."""

    name: str
    few: Callable[[pa.Table], pa.Table]
    """Of calls, which have the columns of `DEEDS`, and `n`."""
    many: str
    """The query that does so."""
    together: Callable[[pa.Table], pa.Table]
    """Makes one of what was rolled up apart."""


def _by_name(acts: pa.Table) -> pa.Table:
    return _counted(acts, "source", "name").drop_columns(["bytes_out"])


def _by_resource(acts: pa.Table) -> pa.Table:
    import pyarrow.compute as pc  # slow to load, and few verbs come here

    some = acts.filter(acts["resource"].is_valid()).combine_chunks()
    named: Any = pc.split_pattern(some["resource"].combine_chunks(), "\n")
    some = some.drop_columns(["resource"])  # beside each part of it, one forged record would fill memory
    each = some.take(pc.list_parent_indices(named)).append_column("arn", pc.list_flatten(named))
    return _counted(each, "arn", "name")


def _secrets_of(acts: pa.Table) -> pa.Table:
    answered = acts.filter(acts["error"].is_null())
    return answered.filter(answered["secret"]).select(_OF_SECRETS)


def _by_address(acts: pa.Table) -> pa.Table:
    return _distinct(acts.select(["n", "ip"]))


def _counted(acts: pa.Table, *by: str) -> pa.Table:
    found = acts.group_by(["n", *by], use_threads=False).aggregate(_COUNTED)
    return pa.table({one: found[one] for one in ("n", *by)} | {one: found[of] for one, of in _COUNTS.items()})


def _added(counted: pa.Table) -> pa.Table:
    ways: Any = [(name, way) for name, way in _ADDED.items() if name in counted.column_names]
    found = counted.group_by(
        [name for name in counted.column_names if name not in _ADDED], use_threads=False
    ).aggregate(ways)
    named = {f"{name}_{way}": name for name, way in ways}
    return found.rename_columns([named.get(name, name) for name in found.column_names]).select(
        counted.column_names
    )


def _distinct(rows: pa.Table) -> pa.Table:
    return rows.group_by(rows.column_names, use_threads=False).aggregate([])


def _as_they_are(rows: pa.Table) -> pa.Table:
    return rows


APIS = RollUp(
    "apis",
    _by_name,
    """
SELECT n, source, name, count(*) AS count, count(error) AS errors, min(time) AS first, max(time) AS last
FROM acts GROUP BY n, source, name""",
    _added,
)
"""What each called, and how often."""
RESOURCES = RollUp(
    "resources",
    _by_resource,
    """
SELECT n, arn, name, count(*) AS count, count(error) AS errors, CAST(sum(bytes_out) AS BIGINT) AS bytes_out,
       min(time) AS first, max(time) AS last
FROM (SELECT *, unnest(string_split(resource, chr(10))) AS arn FROM acts WHERE resource IS NOT NULL)
GROUP BY n, arn, name""",
    _added,
)
"""What each touched."""
SECRETS = RollUp(
    "secrets",
    _secrets_of,
    f"SELECT {', '.join(_OF_SECRETS)} FROM acts WHERE secret AND error IS NULL",
    _as_they_are,
)
"""Which secrets each read, one row a call."""
ADDRESSES = RollUp("addresses", _by_address, "SELECT DISTINCT n, ip FROM acts", _distinct)
"""Where each was used from."""
ALL = (APIS, RESOURCES, SECRETS, ADDRESSES)
