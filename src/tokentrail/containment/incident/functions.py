"""
Functions whose code the attacker changed: with which role they run, and which sessions they held at that time.

The call that changes the code names no role (AWS Lambda API Reference, 'UpdateFunctionCode'). The new code can steal
sessions that the function was handed before, since they are in its environment (AWS Lambda Developer Guide, 'Working
with Lambda environment variables').
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from tokentrail.aws.principals import Principal
from tokentrail.containment.incident.incident_model import Source
from tokentrail.containment.incident.source_issued import SESSION_NAMED
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest


def taken_over(
    forest: Forest, sources: Sequence[Source], tainted: Set[str]
) -> tuple[list[Source], list[tuple[str, str]]]:
    """
    Replace function sources whose role is not known by one for each role that the function was seen with.

    Returns:
        The sources; and the ids of living sessions that are not tainted, each with the function that holds it.
    """
    wanted = {
        (one.account, one.id) for one in sources if one.what == "function" and one.mints.kind == "unknown"
    }
    if not wanted:
        return list(sources), []
    names = sorted({name for _, name in wanted})
    found = forest.chosen_rows(forest.called(names, SESSION_NAMED, (names, names), "f.kind = 'service_role'"))
    roles: dict[tuple[str, str], set[Principal]] = {}
    held = []
    for row, one in zip(found, forest.credentials(found), strict=True):
        caller = rows.caller(row)
        host, role = (caller.account or "", caller.session_name or ""), caller.acts_as
        if host in wanted and role.kind == "role":
            roles.setdefault(host, set()).add(role)
            if one.state in ("active", "unknown") and one.id not in tainted:
                held.append((one.id, host[1]))
    known: list[Source] = []
    for source in sources:
        of = (source.account, source.id)
        seen = roles.get(of) if source.what == "function" and source.mints.kind == "unknown" else None
        known += [replace(source, mints=role) for role in sorted(seen)] if seen else [source]
    return known, held
