"""
Leave out idle changes: inline policies that are written again and again and deny nothing.

Automation writes the same policies by the thousand. A policy that denies nothing, in a place where none ever did, only
shows that its user, role or group exists, and who wrote it. So of a run of such writes only the first is entered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.lineage.rows import object_of
from tokentrail.policy.ledger import takes_away
from tokentrail.policy.managed import Reader

_FEW = 200
"""Changes up to which entering all of them is quicker than looking for idle ones."""
_REPEATED = 2
"""How often each document must be written on average for it to pay to read them all first."""
_PUT = {"PutUserPolicy": "userName", "PutGroupPolicy": "groupName", "PutRolePolicy": "roleName"}
"""The calls that write an inline policy, and the parameter that names its owner (IAM API Reference)."""
IAM = "iam.amazonaws.com"
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int64]]


def without_idle(edits: pa.Table) -> pa.Table:
    """Leave out idle changes that follow another one of the same owner, with no other change between; in any order."""
    if edits.num_rows < _FEW:
        return edits
    idle, whose = _idle(edits)
    if not idle.any():
        return edits
    return edits.filter(pa.array(~idle | _first_of_runs(edits, idle, whose)))


def _idle(edits: pa.Table) -> tuple[Flags, Codes]:
    """Which changes put an inline policy that denies nothing where none does, and a number for each one's owner."""
    import pyarrow.compute as pc  # takes its time to load, and few cases need it

    idle, whose = np.zeros(edits.num_rows, np.bool_), np.zeros(edits.num_rows, np.int64)
    put: Any = pc.and_(
        pc.is_in(_texts(edits, "name"), pa.array(_PUT)), pc.equal(_texts(edits, "source"), pa.scalar(IAM))
    )
    puts = pc.fill_null(put, False).to_numpy()
    # Of few changes the ids are labels, as files hold them, which are not counted as they are.
    ids: Any = edits["event_id"].filter(edits["event_id"].is_valid()).cast(pa.binary())
    if not puts.any() or pc.count_distinct(ids).as_py() < len(
        ids
    ):  # two that claim one id are told apart by all
        return idle, whose
    documents, document = _coded(edits, "document", puts)
    if _REPEATED * len(documents) > int(puts.sum()):
        return idle, whose
    read = Reader()
    taking = np.array([takes_away(read(text)) for text in documents], np.bool_)[document]
    names, name = _coded(edits, "name", puts)
    requests, request = _coded(edits, "request", puts)
    asked = [object_of(text) for text in requests]
    policies = [_text(one, "policyName") for one in asked]
    takers = {policies[one] for one in request[taking].tolist()}
    harmless = np.array([one is not None and one not in takers for one in policies], np.bool_)[request]
    told: Any = pc.and_(edits["time"].is_valid(), edits["event_id"].is_valid())
    idle[puts] = harmless & ~taking & told.to_numpy()[puts]
    owners: dict[tuple[int, str | None], int] = {}
    members = [_PUT[one] for one in names]
    told_apart, which = np.unique(name * len(asked) + request, return_inverse=True)
    calls = (divmod(one, len(asked)) for one in told_apart.tolist())
    numbers = [
        owners.setdefault((called, _text(asked[one], members[called])), len(owners)) for called, one in calls
    ]
    whose[puts] = np.array(numbers, np.int64)[which]
    return idle, whose


def _first_of_runs(edits: pa.Table, idle: Flags, whose: Codes) -> Flags:
    """Which of them are the first of their owner since any other change, or of one second with another."""
    time: Codes = edits["time"].fill_null(pa.scalar(0)).to_numpy()
    others = np.unique(time[~idle])
    kind = np.searchsorted(others, time[idle]).astype(np.int64)
    kind = kind * (int(whose.max()) + 1) + whose[idle]
    for name in ("in_account", "caller_user"):
        known, codes = _coded(edits, name, idle)
        kind = np.unique(kind, return_inverse=True)[1] * len(known) + codes
    ids: Any = edits["event_id"].filter(pa.array(idle)).cast(pa.binary())
    order = np.lexsort((np.array(ids.to_pylist(), "S16"), time[idle]))  # as the changes are entered
    first = np.zeros(len(kind), np.bool_)
    first[order[np.unique(kind[order], return_index=True)[1]]] = True
    found = idle & np.isin(time, others)
    found[idle] |= first
    return found


def _text(asked: Mapping[str, Any], member: str) -> str | None:
    """What a request names, without case as IAM compares it; nothing where that is no text."""
    told = asked.get(member)
    return told.casefold() if isinstance(told, str) and told else None


def _coded(edits: pa.Table, name: str, among: Flags) -> tuple[list[Any], Codes]:
    """The values of a column in some rows, each once, and which of them each row has."""
    column: Any = edits[name].filter(pa.array(among))
    if not pa.types.is_dictionary(column.type):
        column = column.combine_chunks().dictionary_encode("encode")
        return column.dictionary.to_pylist(), column.indices.to_numpy().astype(np.int64)
    # Spelled out, one long text that is written again and again would fill memory.
    chunks = column.unify_dictionaries().chunks
    values = [*(chunks[0].dictionary.to_pylist() if chunks else ()), None]
    told = [one.indices.fill_null(len(values) - 1).to_numpy() for one in chunks]
    used, codes = np.unique(np.concatenate(told or [np.zeros(0, np.int64)]), return_inverse=True)
    return [values[one] for one in used.tolist()], codes.astype(np.int64)


def _texts(edits: pa.Table, name: str) -> Any:
    return edits[name].cast(pa.string())
