"""
Say which credentials and calls are the attacker's: those of subjects, or of what findings name, and their descendants.

Credentials that hosts, portals and sign-ins behind them handed out afterwards are the attacker's too, as in a plan. If
they counted as ordinary, guardrails would be made from the thief's addresses and calls.

A stolen credential is used by its owner and by the thief. If `since` or addresses are given, they tell the calls of the
two apart. If a finding says so, calls before it, and from the addresses used until then, count as the owner's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.detection.model import Finding, at_least
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.trace import Narrowing
from tokentrail.lineage.trees import Integers
from tokentrail.prevention.calls import add_table
from tokentrail.prevention.history import Start
from tokentrail.store.interface import Engine

_TWO_HANDS = frozenset({"two-networks", "stolen-workload"})
"""Rules that find a credential used by its owner and somebody else."""
_IDS = "SELECT f.id FROM credentials f JOIN tainted a ON a.n = f.n ORDER BY f.n"
_MINTED = """
    SELECT f.id FROM credentials f JOIN tainted a ON a.n = f.n
    WHERE f.parent_n IS NOT NULL AND f.id IN (SELECT unnest(?))"""
_ADDRESSES = """
    SELECT DISTINCT a.n, e.ip FROM facts e
    JOIN credential_identities w ON w.segment = e.segment AND w.identity = e.identity
    JOIN asked_starts a ON a.n = w.n WHERE e.ip IS NOT NULL AND (NOT a.early OR e.time < a.since)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacker:
    """The attacker's credentials, which may be most of a case: no object is made of each."""

    subjects: tuple[str, ...] = ()
    places: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """In the forest, in order."""
    names: tuple[str, ...] = ()
    """Their ids, in the same order."""
    starts: tuple[Start, ...] = ()
    assumed: str = "There is no attacker in sight: no subject was given, and no finding names a credential."


@dataclass(frozen=True, slots=True)
class HandedOut:
    """What sources behind the attacker's credentials have handed out since, judged as for a containment plan."""

    handed: tuple[str, ...] = ()
    """The ids of those that count as the attacker's, without their descendants."""
    doubts: int = 0
    """How many live ones may be the attacker's or the owner's; they count as ordinary."""
    followed: bool = True
    """Whether they were looked for."""

    @property
    def said(self) -> str:
        """The same in words."""
        if not self.followed:
            return (
                " What a host, a sign-in or an identity provider behind them handed out since is not counted, as they "
                "are too many to look for it."
            )
        told = ""
        if self.handed:
            told = (
                f" The calls of {_few(self.handed)} count likewise, as a host, a sign-in or an identity provider "
                "behind the attacker's handed that out since; `tokentrail contain` counts so, too."
            )
        if self.doubts:
            many = "1 more, handed out since, counts" if self.doubts == 1 else (
                f"{self.doubts:,} more, handed out since, count"
            )  # fmt: skip
            told += f" {many} as the owner's, which no log tells for sure: `tokentrail contain` names it."
        return told


def worst_subjects(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The subjects of all findings of at least medium severity."""
    named = [one for one in findings if at_least(one.severity, "medium")]
    return tuple(dict.fromkeys(one.subject for one in named if one.subject is not None))


def of_subjects(
    engine: Engine,
    forest: Forest,
    subjects: tuple[str, ...],
    places: Integers,
    narrowing: Narrowing,
    since: HandedOut,
) -> Attacker:
    """The attacker by given subjects, and by what narrows which of their calls count."""
    narrow = narrowing != Narrowing()
    starts: tuple[Start, ...] = ()
    if narrow:
        own = set().union(*(forest.resolve(one) for one in (*subjects, *since.handed)))
        begins = int(narrowing.since.timestamp()) if narrowing.since else 0
        found = _addresses(engine, dict.fromkeys(own, 0), early=False)
        starts = tuple(
            Start(
                n=n,
                since=begins,
                owners=frozenset(ip for ip in found.get(n, ()) if not narrowing.admits(None, ip)),
            )
            for n in sorted(own)
        )
        said = (
            "The subject's own calls count as the attacker's where --attacker-since and the addresses say so; all "
            "calls of its tainted descendants do."
        )
    else:
        said = (
            "All calls of the subject and its descendants count as the attacker's. Where the subject's owner uses it "
            "too, --attacker-since, --source-ip or --trusted-ip tell the two apart."
        )
    return _attacker(engine, subjects, places, starts, said + since.said)


def of_findings(
    engine: Engine,
    forest: Forest,
    subjects: tuple[str, ...],
    places: Integers,
    findings: Sequence[Finding],
    since: HandedOut,
) -> Attacker:
    """The attacker by findings."""
    shared = [one for one in findings if one.rule in _TWO_HANDS and one.subject in subjects]
    add_table(engine, "tainted", {"n": pa.array(places)})
    named = sorted({one.subject for one in shared if one.subject})
    minted = {row["id"] for row in engine.rows(_MINTED, (named,))}
    first: dict[int, int] = {}
    for one in shared:
        if one.subject is not None and one.subject not in minted:
            for n in forest.resolve(one.subject):
                when = int(one.time.timestamp())
                first[n] = min(when, first.get(n, when))
    owners = _addresses(engine, first, early=True)
    starts = tuple(
        Start(n=n, since=when, owners=frozenset(owners.get(n, ()))) for n, when in sorted(first.items())
    )
    if starts:
        before = frozenset[str]().union(*(one.owners for one in starts))
        own = set[int]().union(*(forest.resolve(one) for one in since.handed)) - first.keys()
        starts += tuple(Start(n=n, since=0, owners=before) for n in sorted(own))
    said = (
        f"No --subject was given: the attacker's calls are those of {_few(subjects)}, which findings name, and of all "
        "that descends from it."
    ) + since.said
    if starts:
        said += (
            " Where a finding says that a credential is in two hands, what it did before that, or from the addresses "
            "where it was used until then, counts as its owner's."
        )
    return _attacker(engine, subjects, places, starts, said)


def _attacker(
    engine: Engine, subjects: tuple[str, ...], places: Integers, starts: tuple[Start, ...], said: str
) -> Attacker:
    add_table(engine, "tainted", {"n": pa.array(places)})
    named: list[Any] = engine.table(_IDS)["id"].to_pylist()
    return Attacker(subjects=subjects, places=places, names=tuple(named), starts=starts, assumed=said)


def _addresses(engine: Engine, since: dict[int, int], *, early: bool) -> dict[int, set[str]]:
    """
    The addresses from which some credentials were used.

    Args:
        engine: Knows the calls.
        since: By credential, a time.
        early: Whether only calls before that time count.
    """
    listed = sorted(since)
    add_table(
        engine,
        "asked_starts",
        {
            "n": pa.array(listed, pa.int64()),
            "since": pa.array([since[n] for n in listed], pa.int64()),
            "early": pa.array([early] * len(listed), pa.bool_()),
        },
    )
    found: dict[int, set[str]] = {}
    for row in engine.table(_ADDRESSES).to_pylist():
        found.setdefault(row["n"], set()).add(row["ip"])
    return found


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (" and others" if len(names) > 4 else "")
