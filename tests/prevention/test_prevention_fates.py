"""What becomes of the attacker's calls, told of groups of them as numbers: the same as call by call."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from guard_cases import deny, robbed, scp
from hypothesis import given
from hypothesis import strategies as st

from evidence import HOME, held
from strategies import worlds
from tokentrail import Case
from tokentrail.aws.calls.permissions import actions_of
from tokentrail.events.ids import digests
from tokentrail.lineage.rows import Row, moment
from tokentrail.lineage.segment_batches import ALL
from tokentrail.lineage.taint import tainted
from tokentrail.lineage.trace import Narrowing, trace
from tokentrail.policy.language.documents import UNDENIABLE
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention import attacker_history, backtest, evidence, guard, history
from tokentrail.prevention.attacker import Attacker
from tokentrail.prevention.history import OUTSIDERS
from tokentrail.prevention.proposal import GuardrailProposal
from tokentrail.prevention.request_context import filled, spoken
from tokentrail.testing import World

POLICIES = (
    scp(deny("sts:*", {"DateLessThan": {"aws:TokenIssueTime": "2026-11-24T00:00:00Z"}})),
    scp(deny(["s3:*", "iam:*"])),
    scp(deny("sts:AssumeRole", {"StringNotEquals": {"sts:ExternalId": "x"}})),
    scp(deny("*", {"DateGreaterThan": {"aws:CurrentTime": "2026-11-23T08:10:00Z"}})),
    scp(deny("*", {"StringLike": {"aws:userid": "*:a*"}})),
    {"kind": "trust-policy", "target": f"arn:aws:iam::{HOME}:role/Deploy",
     "policy": scp(deny("sts:AssumeRole") | {"Principal": "*"})},
)  # fmt: skip


class Plain:
    """The attacker's calls as objects, each with its own verdict, and its family as a trace tells it."""

    def __init__(self, case: Case, subjects: tuple[str, ...], calls: list[Row]) -> None:
        forest, engine = case._views.forest(None), case._views.open(None).engine
        traced = trace(forest, subjects, up=False, down=True, narrowing=Narrowing(), gaps=())
        place = {row["id"]: row["n"] for row in engine.rows("SELECT n, id FROM credentials")}
        parent = {one.id: one.parent for one in traced.credentials}
        self.calls = calls
        self.names = {place[one]: one for one in parent}
        self.children: dict[int, list[int]] = defaultdict(list)
        for one, above in parent.items():
            if above in parent:
                self.children[place[above]].append(place[one])
        self.births: dict[int, list[Row]] = defaultdict(list)
        twins = _twins(case)
        for link in traced.links:
            if link.event_id and parent[link.child] == link.parent:
                [raw] = digests([link.event_id]).to_pylist()
                for call in calls:
                    if (
                        call["event_id"] in twins.get(raw, {raw})
                        and call not in self.births[place[link.child]]
                    ):
                        self.births[place[link.child]].append(call)
        for call in calls:  # who comes in from outside brings its credential about itself
            if _from_outside(call) and parent[self.names[call["n"]]] is None:
                self.births[call["n"]].append(call)

    def outcomes(self, one: GuardrailProposal, concerned: set[bytes]) -> list[str]:
        """What becomes of each call, if a proposal concerns some of them."""
        refused = {Truth.YES: "refused", Truth.UNDECIDED: "undecided", Truth.NO: "made"}
        found = [
            refused[one.judge(filled(call))[0]] if call["event_id"] in concerned else "made"
            for call in self.calls
        ]
        of = {id(call): outcome for call, outcome in zip(self.calls, found, strict=True)}
        fresh = [
            n
            for n, calls in self.births.items()
            if calls and all(of[id(call)] == "refused" for call in calls)
        ]
        gone = set[int]()
        while fresh:
            n = fresh.pop()
            if n not in gone:
                gone.add(n)
                fresh += self.children[n]
        return [
            "never made"
            if call["n"] in gone and not (_from_outside(call) and outcome == "refused")
            else outcome
            for call, outcome in zip(self.calls, found, strict=True)
        ]

    def end(self, outcomes: list[str]) -> datetime | None:
        """From when on nothing that can be denied gets through."""
        both = [*zip(self.calls, outcomes, strict=True)]
        last = max((call["moment"] for call, outcome in both if outcome in ("made", "undecided") and _deniable(call)),
                   default=-1)  # fmt: skip
        after = [
            call["moment"]
            for call, outcome in both
            if outcome in ("refused", "never made") and call["moment"] > last
        ]
        return moment(min(after)) if after else None

    def told(
        self, outcomes: list[str]
    ) -> dict[tuple[str, str, str], tuple[int, datetime | None, datetime | None]]:
        """Alike calls together."""
        found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for call, outcome in zip(self.calls, outcomes, strict=True):
            found[self.names[call["n"]], spoken(call["source"], call["name"]), outcome].append(call["moment"])
        return {key: (len(times), moment(min(times)), moment(max(times))) for key, times in found.items()}


def _deniable(call: Row) -> bool:
    return not _from_outside(call) and not UNDENIABLE.issuperset(actions_of(call["source"], call["name"]))


def _from_outside(call: Row) -> bool:
    return call["type"] in OUTSIDERS


def _twins(case: Case) -> dict[bytes, set[bytes]]:
    """Of an issuing event, the events that tell the same."""
    rows = case._views.open(None).engine.rows(
        "SELECT s.event_id, o.event_id AS other FROM issuances s JOIN issuances o ON o.shared_id = s.shared_id"
    )
    found: dict[bytes, set[bytes]] = defaultdict(set)
    for row in rows:
        found[row["event_id"]] |= {row["event_id"], row["other"]}
    return found


def alike(case: Case, subjects: tuple[str, ...], *policies: Any) -> int:
    """Compare how every proposal fares, and say how many were compared."""
    view = case._views.open(None)
    places = tainted(view.engine, case._views.forest(None), subjects, Narrowing())
    ids = {row["n"]: row["id"] for row in view.engine.rows("SELECT n, id FROM credentials")}
    attacker = Attacker(subjects=subjects, places=places, names=tuple(ids[n] for n in places.tolist()))
    asked = history.History(view.engine, places, ())
    written = [(f"{n}.json", json.dumps(one).encode()) for n, one in enumerate(policies)]
    proposals, _ = guard._proposals(evidence.gather(asked, (), ()), written)
    columns = frozenset().union(*(one.needs for one in proposals))
    selected = history._selected(columns, *sorted({one.extra for one in proposals if one.extra}))
    each = f"SELECT {selected}, coalesce(w.n, r.n) AS n, e.time AS moment, e.event_id {history._from(columns)} AND {history._THEIRS}"
    each = ALL.of(each, frozenset())
    plain = Plain(case, subjects, list(asked.query(each)))
    concerned = [
        {row["event_id"] for row in asked.query(f"SELECT * FROM ({each}) WHERE {where}", parameters)}
        for where, parameters in (
            (one.where, one.parameters)
            if one.whom is None
            else (f"list_contains({one.whom}, ?)", (one.name,))
            for one in proposals
        )
    ]
    tested = backtest.run(asked, attacker, proposals, whole=True)
    for one, some, found in zip(proposals, concerned, tested, strict=True):
        outcomes, fared = plain.outcomes(one, some), found.backtest
        refused, never, undecided = map(outcomes.count, ("refused", "never made", "undecided"))

        assert (len(plain.calls), refused + never, refused, undecided, plain.end(outcomes)) == (
            fared.attacker_events, fared.attacker_blocked, fared.attacker_refused, fared.attacker_undecided,
            fared.story_ends_at,
        )  # fmt: skip
        assert plain.told(outcomes) == {
            (told.credential, told.action, told.outcome): (told.calls, told.first, told.last)
            for told in fared.attacker_calls
        }
    return len(proposals)


@pytest.fixture(autouse=True)
def _few_at_once() -> Iterator[None]:
    """Let even a small world be looked through in parts."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(attacker_history, "_AT_ONCE", 3)
        patched.setattr(history, "_AT_ONCE", 2)
        yield


@given(worlds(rare=True, largest=16), st.integers(0, 30), st.sampled_from(POLICIES))
def test_groups_of_calls_fare_as_each_call_would(world: World, subject: int, policy: Any) -> None:
    """By every guardrail of the catalogue and one of the user's, in numbers, in time, and in the list of all calls."""
    with held(world) as case:
        ids = sorted(one.id for one in case.credentials())
        if ids:
            alike(case, (ids[subject % len(ids)],), policy)


@given(worlds(rare=True, largest=16), st.sampled_from(POLICIES))
def test_groups_of_ordinary_calls_fare_as_each_call_would(world: World, policy: Any) -> None:
    """Refused, never made for want of the credential, or undecided: the sums are those of single calls."""
    with held(world) as case:
        view = case._views.open(None)
        asked = history.History(view.engine, np.zeros(0, dtype=np.int64), ())
        [own] = guard._only(
            guard._proposals(evidence.gather(asked, (), ()), [("own.json", json.dumps(policy).encode())])[0],
            ["own"],
        )
        selected = history._selected(own.needs)
        each = f"SELECT {selected}, w.n, e.event_id {history._from(own.needs)} AND NOT {history._THEIRS}"
        calls = list(
            asked.query(f"SELECT * FROM ({ALL.of(each, frozenset())}) WHERE {own.where}", own.parameters)
        )
        every = list(asked.query(ALL.of(each, frozenset())))
        judged = {row["event_id"]: own.judge(filled(row))[0] for row in calls}
        gone = _never_born(case, {one for one, truth in judged.items() if truth is Truth.YES})
        fates = Counter(
            "never made" if row["n"] in gone else judged.get(row["event_id"], Truth.NO).name for row in every
        )
        [found] = backtest.run(asked, Attacker(), [own], whole=True)

        assert (len(every), fates[Truth.YES.name], fates["never made"], fates[Truth.UNDECIDED.name]) == (
            found.backtest.ordinary_events, found.backtest.ordinary_refused,
            found.backtest.ordinary_blocked - found.backtest.ordinary_refused, found.backtest.ordinary_undecided,
        )  # fmt: skip


def _never_born(case: Case, refused: set[bytes]) -> set[int]:
    """The places of the credentials that would not have come to be if some events had been refused."""
    rows = case._views.open(None).engine.rows("SELECT n, id FROM credentials")
    place = {row["id"]: row["n"] for row in rows}
    twins = _twins(case)
    births: dict[str, set[bytes]] = defaultdict(set)
    credentials = list(case.credentials())
    for one in credentials:
        if one.issued_by is not None and one.parent_link != "created":
            births[one.id] |= set(digests([one.issued_by.event_id]).to_pylist())
    for link in case.trace([one.id for one in credentials]).links if credentials else ():
        if link.event_id:
            births[link.child] |= set(digests([link.event_id]).to_pylist())
    refused = {other for one in refused for other in twins.get(one, {one})}
    gone = {one for one, events in births.items() if events <= refused}
    while more := {one.id for one in credentials if one.parent in gone} - gone:
        gone |= more
    return {place[one] for one in gone}


def test_the_thief_s_calls_fare_as_each_would() -> None:
    """Under the whole catalogue and all of those policies, one after the other."""
    world, key = robbed()
    with held(world) as case:
        assert alike(case, (key.id,), *POLICIES) > len(POLICIES) + 5
