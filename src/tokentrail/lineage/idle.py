"""
Leave out idle changes: inline policies that are written again and again and deny nothing.

Automation writes the same policies by the thousand. A policy that denies nothing, in a place where none ever did, only
shows that its user, role or group exists, and who wrote it. So of a run of such writes, of one owner by one caller with
no other change between, the first and the last are enough: the first tells all, and from the first to the last no other
change may be found that was not looked at with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.lineage.rows import object_of
from tokentrail.policy.history.ledger import takes_away
from tokentrail.policy.history.managed import Reader

_FEW = 200
"""Changes up to which entering all of them is quicker than looking for idle ones."""
_REPEATED = 2
"""How often each document must be written on average for it to pay to read them all first."""
_COMPARED = 500
"""Documents up to which it pays to read them to see whether what is left of some layers will do."""
_PUT = {"PutUserPolicy": "userName", "PutGroupPolicy": "groupName", "PutRolePolicy": "roleName"}
"""The calls that write an inline policy, and the parameter that names its owner (IAM API Reference)."""
IAM = "iam.amazonaws.com"
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int64]]


def without_idle(edits: pa.Table) -> pa.Table:
    """Leave out idle changes between the first and the last of their run; in any order."""
    if edits.num_rows < _FEW:
        return edits
    puts = _puts(edits, lambda documents, writes: _REPEATED * documents <= writes)
    if puts is None or not (idle := puts.idle()).any():
        return edits
    others = puts.others(idle)
    run = puts.runs(idle, others)
    ids: Any = edits["event_id"].take(puts.at[idle]).cast(pa.binary())
    order = np.lexsort((np.array(ids.to_pylist(), "S16"), puts.time[idle]))  # as the changes are entered
    ends = np.zeros(len(run), np.bool_)
    for one in (order, order[::-1]):
        ends[one[np.unique(run[one], return_index=True)[1]]] = True
    left = np.ones(edits.num_rows, np.bool_)
    ends |= np.isin(puts.time[idle], others)  # of one second with others, ids tell which is first
    left[puts.at[idle]] = ends
    return edits.filter(pa.array(left))


def tells_all(left: pa.Table, layer: Codes) -> bool:
    """
    Whether what `without_idle` left of the changes of some layers, each by itself, tells what all of these tell.

    It does where none left anything out, or all have seen the same policies deny something, and where none has another
    change from the first to the last of another one's run. Then each that was left out follows one that tells the same,
    with no other change between, among all as in its layer. Of records that claim one event id but one is among them.

    Args:
        left: What is left.
        layer: The layer of each.
    """
    layers = np.unique(layer)
    if len(layers) < 2:
        return True
    puts = _puts(left, lambda documents, writes: documents <= _COMPARED)
    if puts is None:  # not looked at, but in their layers they may have been
        return False
    among_all = puts.idle()
    for number in layers:
        here = layer == number
        own = here[puts.at]
        idle = puts.idle(own)
        first, last = puts.spans(idle, puts.others(idle, here))
        elsewhere = puts.others(among_all, ~here)
        if len(first) and (
            not puts.all_taking(own)
            or (np.searchsorted(elsewhere, first) < np.searchsorted(elsewhere, last, "right")).any()
        ):
            return False
    return True


@dataclass(frozen=True, slots=True)
class _Puts:
    """Changes that put an inline policy: of each one number."""

    at: Codes
    """Where each is among all changes."""
    time: Codes
    who: Codes
    """A number for its owner, account and caller."""
    policy: Codes
    """A number for the policy's name."""
    taking: Flags
    """Whether the policy denies anything."""
    told: Flags
    """Whether its time, id and policy are known."""
    times: Codes
    """The time of each change, also of the others."""

    def idle(self, among: Flags | None = None) -> Flags:
        """Which of some are idle among these: put a policy that denies nothing, under a name of none that ever did."""
        some = np.ones(len(self.at), np.bool_) if among is None else among
        return some & self.told & ~self.taking & ~np.isin(self.policy, self.policy[some & self.taking])

    def others(self, idle: Flags, among: Flags | None = None) -> Codes:
        """The seconds of changes, of all or of some, that are not idle, each once."""
        some = np.ones(len(self.times), np.bool_) if among is None else among.copy()
        some[self.at[idle]] = False
        return np.unique(self.times[some])

    def runs(self, idle: Flags, others: Codes) -> Codes:
        """A number for the run of each idle one, where other changes happened in some seconds."""
        return np.searchsorted(others, self.time[idle]) * (int(self.who.max(initial=0)) + 1) + self.who[idle]

    def spans(self, idle: Flags, others: Codes) -> tuple[Codes, Codes]:
        """The first and the last second of each run of more than one."""
        run, time = self.runs(idle, others), self.time[idle]
        order = np.lexsort((time, run))
        begins = np.flatnonzero(np.diff(run[order], prepend=-1))
        ends = np.append(begins[1:], len(order))
        many = ends - begins > 1
        return time[order[begins[many]]], time[order[ends[many] - 1]]

    def all_taking(self, among: Flags) -> bool:
        """Whether every policy that denies anything does so among some."""
        return bool(np.isin(self.policy[self.taking], self.policy[among & self.taking]).all())


def _puts(edits: pa.Table, worth: Callable[[int, int], bool]) -> _Puts | None:
    """Look at the changes that put an inline policy, if it is worth to read so many documents, put so many times."""
    import pyarrow.compute as pc  # takes its time to load, and few cases need it

    put: Any = pc.and_(
        pc.is_in(_texts(edits, "name"), pa.array(_PUT)), pc.equal(_texts(edits, "source"), pa.scalar(IAM))
    )
    puts: Flags = pc.fill_null(put, False).to_numpy()
    # Two that claim one id are told apart by all. Of few changes the ids are labels, which are not counted as they are.
    ids: Any = edits["event_id"].filter(edits["event_id"].is_valid()).cast(pa.binary())
    if puts.any() and pc.count_distinct(ids).as_py() < len(ids):
        return None
    documents, document = _coded(edits, "document", puts)
    if not worth(len(documents), len(document)):
        return None
    read = Reader()
    names, name = _coded(edits, "name", puts)
    requests, request = _coded(edits, "request", puts)
    asked = [object_of(text) for text in requests]
    policies: dict[str | None, int] = {}
    policy = [policies.setdefault(_text(one, "policyName"), len(policies)) for one in asked]
    owners: dict[tuple[str, str | None], int] = {}
    told_apart, call = np.unique(name * len(asked) + request, return_inverse=True)
    calls = [(names[one // len(asked)], one % len(asked)) for one in told_apart.tolist()]
    owned = [(called, _text(asked[one], _PUT[called])) for called, one in calls]
    who = _numbers([owners.setdefault(one, len(owners)) for one in owned])[call]
    for column in ("in_account", "caller_user"):
        known, codes = _coded(edits, column, puts)
        who = np.unique(who * len(known) + codes, return_inverse=True)[1].astype(np.int64)
    times: Codes = edits["time"].fill_null(pa.scalar(0)).to_numpy()
    told: Any = pc.and_(edits["time"].is_valid(), edits["event_id"].is_valid())
    named = _numbers(policy)[request]
    return _Puts(
        at=puts.nonzero()[0],
        time=times[puts],
        who=who,
        policy=named,
        taking=np.array([takes_away(read(text)) for text in documents], np.bool_)[document],
        told=told.to_numpy()[puts] & (named != policies.get(None, -1)),
        times=times,
    )


def _numbers(told: Sequence[int]) -> Codes:
    return np.array(told, np.int64)


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
