"""
A brute-force adversary against a containment plan, and what it is left with in the end.

A plan's steps are carried out at several paces; before, between and during them the adversary takes every
chance: from the hours that no log shows yet, through IAM's propagation, up to the second of each cutoff.
`play` takes plans as the JSON that others script against, and shares no code with whoever wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from oracle.attacker import AttackerCredentials
from oracle.credentials import LASTING, HeldCredential
from oracle.policy_evaluator import UnknownPolicy, instant, listed
from oracle.request_choices import CLOCK, mfa_ages, named_dates
from oracle.simulated_aws import SimulatedAws, calls_of
from tokentrail.testing.names import Json, iso

_LONG = 7200
_OFTEN = timedelta(minutes=45)
"""How often it mints in a long wait: a chained session lasts an hour."""
_MOST_OFTEN = 48
"""How many times in one wait: what nobody carries on ends in a day and a half."""
_SECOND = timedelta(seconds=1)
_DOCUMENTS = ("PolicyDocument", "Content")
_LIFTS = ("Delete", "Detach", "UpdateAssumeRolePolicy", "CreatePolicyVersion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """What still works after the last step."""

    credential: str
    history: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlistedCollateral:
    """An innocent credential that a step ended without saying so."""

    step: int
    credential: str
    principal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a plan fared."""

    survivors: tuple[Survivor, ...]
    """Empty when contained at every pace."""
    unlisted: tuple[UnlistedCollateral, ...]
    not_ended: tuple[tuple[int, str], ...]
    """Steps, and credentials that they say they end, and don't."""
    alive_after: tuple[tuple[str, ...], ...]
    """What of the tainted credentials of the evidence still works after each step, expiry aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds before each step, counted from the one before it."""

    name: str
    waits: tuple[int, ...]


def paces(plan: Mapping[str, Any]) -> list[Pace]:
    """List the paces to play: hurried, as told to wait, slow, and mixed both ways."""
    count, told = len(plan["steps"]), int(plan["margin"]) + 60
    first = {"hurried": 0, "steady": 30, "slow": _LONG, "mixed": 0, "mixed the other way": _LONG}
    waits = {
        "hurried": [1] * count,
        "steady": [told] * count,
        "slow": [_LONG] * count,
        "mixed": [(_LONG, 1)[n % 2] for n in range(count)],
        "mixed the other way": [(1, _LONG)[n % 2] for n in range(count)],
    }
    wanted = ("hurried", "slow") if count < 2 else tuple(waits)
    return [Pace(name=name, waits=(first[name], *waits[name][1:])[:count]) for name in wanted]


def play(
    aws: SimulatedAws,
    tainted: Iterable[str],
    plan: Mapping[str, Any],
    *,
    same_second_twins: bool = False,
    at_paces: Sequence[Pace] | None = None,
) -> Outcome:
    """
    Play against a plan, and tell what is left.

    Args:
        aws: The world before the plan; it is left as it is.
        tainted: The adversary's credentials, by id.
        plan: The plan's JSON document.
        same_second_twins: Whether it may have minted, unseen, in the very second and under the very user id
            of an innocent session, which nothing can tell apart.
        at_paces: How the steps follow each other; all of `paces` by default.
    """
    theirs = frozenset(tainted)
    if unknown := theirs - set(aws.credentials):
        raise ValueError(f"the evidence does not show {sorted(unknown)}")
    found: dict[tuple[str, str], Survivor] = {}
    for pace in at_paces if at_paces is not None else paces(plan):
        game = _ContainmentGame(aws, theirs, plan, pace, same_second_twins=same_second_twins)
        for group, survivor in game.survivors():
            found.setdefault(group, survivor)
    steady = Pace(name="steady", waits=tuple([int(plan["margin"]) + 60] * len(plan["steps"])))
    return _ContainmentGame(aws, theirs, plan, steady, same_second_twins=False).outcome(tuple(found.values()))


class _ContainmentGame:
    """One game at one pace: the steps in their places in time, then every chance in order."""

    def __init__(
        self,
        aws: SimulatedAws,
        tainted: frozenset[str],
        plan: Mapping[str, Any],
        pace: Pace,
        *,
        same_second_twins: bool,
    ) -> None:
        self.aws, self.tainted, self.plan, self.pace = aws.copy(), tainted, plan, pace
        self.lag = timedelta(seconds=int(plan["lag"]))
        self.margin = timedelta(seconds=int(plan["margin"]))
        self.start = max(aws.at, instant(plan["as_of"]))
        settled = self.start + aws.iam.propagation  # what others did before the plan has settled by then
        self.innocents = [
            one for one in aws.alive(self.start) if one.id not in tainted and aws.works(one, settled)
        ]
        self.blind = {account: newest - self.lag for account, newest in aws.newest.items()}
        self.twins = not same_second_twins
        self.sent: list[datetime] = []
        self.steps: list[Json] = []
        moment = settled = self.start
        for step, wait in zip(plan["steps"], pace.waits, strict=True):
            moment += timedelta(seconds=wait)
            self.sent.append(moment)
            self.steps.append(as_sent(step, max(moment, settled - self.margin), self.margin))
            self.aws.perform(self.steps[-1], moment)
            settled = max(settled, moment + timedelta(seconds=int(step.get("bites_within", 0))))
        self.mentioned = self.aws.mentioned
        self.settled = (self.sent[-1] if self.sent else self.start) + self.aws.iam.propagation
        self.end = max([self.settled, *self._cutoffs()]) + timedelta(seconds=60)
        self.clock = _about(named_dates(self.mentioned, CLOCK))
        self.dates = self.clock | _about(named_dates(self.mentioned, ("aws:tokenissuetime",)))
        self.last = max([self.end, *self.dates])

    def survivors(self) -> list[tuple[tuple[str, str], Survivor]]:
        """Take every chance; then list what works, one of each kind and principal, the shortest story first."""
        twins = (
            {(one.userid, one.issued_at) for one in self.innocents if one.issued_at} if self.twins else set()
        )
        hand = AttackerCredentials(self.aws, self.tainted, unseen=self._unseen, twins=frozenset(twins))
        lifting = [time for time, step in zip(self.sent, self.steps, strict=True) if self._lifts(step)]
        before = None
        for at in self._chances():
            if any((before is None or before < time) and time <= at for time in lifting):
                hand.denies_were_lifted()
            hand.chance(at, self._moment(at))
            before = at
        found: dict[tuple[str, str], Survivor] = {}
        for one in sorted(hand.held(), key=lambda one: len(one.history)):
            if any(self.aws.works(one, moment) for moment in self._looks(one)):
                known = one.id in self.aws.credentials
                group = (one.id, "") if known else (one.identity_arn, one.type)
                found.setdefault(group, self._survivor(one))
        return list(found.items())

    def outcome(self, survivors: tuple[Survivor, ...]) -> Outcome:
        """Tell step by step what it ended, of the adversary's and of everybody else's."""
        unlisted: list[UnlistedCollateral] = []
        unended: list[tuple[int, str]] = []
        alive_after: list[tuple[str, ...]] = []
        living = {one.id: one for one in self.innocents}
        theirs = {id: one for id, one in self.aws.credentials.items() if id in self.tainted}
        for step, time in zip(self.steps, self.sent, strict=True):
            settled = time + self.aws.iam.propagation
            listed_here = {one["credential"] for one in step["collateral"]}
            for one in [one for one in living.values() if not self._goes_on(one, settled)]:
                del living[one.id]
                if one.id not in listed_here:
                    unlisted.append(
                        UnlistedCollateral(step=step["n"], credential=one.id, principal=one.principal)
                    )
            working = tuple(id for id, one in theirs.items() if self._goes_on(one, settled))
            alive_after.append(working)
            unended += [(step["n"], id) for id in step["ends"] if id in working or id not in theirs]
        return Outcome(
            survivors=survivors, unlisted=tuple(unlisted), not_ended=tuple(unended),
            alive_after=tuple(alive_after),
        )  # fmt: skip

    def _goes_on(self, one: HeldCredential, at: datetime) -> bool:
        """Tell whether nothing but its expiry, if that, has ended a credential."""
        if one.kind in LASTING and not self.aws.valid(one, at):
            return False
        return any(self.aws.undenied(one, at, clock) for clock in (at, *self._turns(one, at)))

    def _looks(self, one: HeldCredential) -> list[datetime]:
        """List the moments after the last step at which a credential may work."""
        return [self.settled, self.end, *self._turns(one, self.settled)]

    def _turns(self, one: HeldCredential, since: datetime) -> list[datetime]:
        """List the later moments at which policies that ask for the time of a request may deny less."""
        ages = mfa_ages(self.mentioned) if one.mfa_at else ()
        turns = self.clock | {one.mfa_at + age for age in ages if one.mfa_at}
        return sorted(turn for turn in turns if turn > since)

    def _survivor(self, one: HeldCredential) -> Survivor:
        last = (
            f"{iso(self.settled)}, after the last step, at the {self.pace.name} pace: {one.id} still works."
        )
        return Survivor(credential=one.id, history=(*one.history, last), until=one.expires)

    def _unseen(self, accounts: Iterable[str], at: datetime) -> bool:
        """Tell whether no log would show it: a mint is logged in the caller's account and in the role's."""
        return all(at >= self.blind[account] for account in accounts if account in self.blind)

    def _moment(self, at: datetime) -> str:
        done = sum(time <= at for time in self.sent)
        if done == 0:
            return "unseen" if at <= self.start else "before the first step"
        return f"after step {done}"

    def _cutoffs(self) -> list[datetime]:
        return [instant(step["cutoff"]) for step in self.steps if step.get("cutoff")]

    def _chances(self) -> list[datetime]:
        """List the seconds that matter, and those about them."""
        marks = {self.start, self.settled, self.end, *self.blind.values(), *self._cutoffs(), *self.sent}
        marks |= {time + self.aws.iam.propagation for time in self.sent}
        marks |= {date for step in self.steps for date in _dates(step)} | self.dates
        marks |= {one.issued_at for one in self.innocents if one.issued_at}
        marks |= {mark + step for mark in marks for step in (-_SECOND, _SECOND)}
        for earlier, later in zip([self.start, *self.sent], [*self.sent, self.last], strict=True):
            marks |= {
                earlier + _OFTEN * n for n in range(1, min((later - earlier) // _OFTEN, _MOST_OFTEN) + 1)
            }
        first = min([self.start, *self.blind.values()])
        return sorted(mark for mark in marks if first <= mark <= self.last)

    def _lifts(self, step: Json) -> bool:
        places = [
            (call["operation"], call["parameters"].get("PolicyName"), call["account"])
            for earlier in self.steps
            for call in calls_of(earlier)
        ]
        return any(
            call["operation"].startswith(_LIFTS)
            or call["parameters"].get("Status") == "Active"
            or places.count((call["operation"], call["parameters"].get("PolicyName"), call["account"])) > 1
            for call in calls_of(step)
        )


def as_sent(step: Mapping[str, Any], at: datetime, margin: timedelta) -> Json:
    """
    Give a step as `apply` sends it: its cutoff moved to the margin after a moment, never earlier than the plan's.

    That is its own moment, or as long before the last of the steps before it has taken effect if that is later.
    Every `aws:TokenIssueTime` that equals the plan's cutoff moves along.
    """
    if not step.get("cutoff"):
        return dict(step)
    before = instant(step["cutoff"])
    after = iso(max(before, at + margin))
    calls = []
    for call in calls_of(step):
        parameters = {
            name: _moved(value, before, after) if name in _DOCUMENTS else value
            for name, value in call["parameters"].items()
        }
        calls.append({**call, "parameters": parameters})
    return {**step, "cutoff": after, ("calls" if step["calls"] else "by_hand"): calls}


def _about(dates: Iterable[datetime]) -> set[datetime]:
    """Give the seconds of some dates, and those before and after."""
    return {
        date.replace(microsecond=0) + step for date in dates for step in (-_SECOND, timedelta(0), _SECOND)
    }


def _moved(document: str, before: datetime, after: str) -> str:
    policy = json.loads(document)
    for statement in listed(policy["Statement"]):
        for tests in statement.get("Condition", {}).values():
            for key, values in tests.items():
                if key.lower() == "aws:tokenissuetime":
                    moved = [after if _is(value, before) else value for value in listed(values)]
                    tests[key] = moved if isinstance(values, list) else moved[0]
    return json.dumps(policy)


def _is(text: str, moment: datetime) -> bool:
    try:
        return instant(text) == moment
    except UnknownPolicy:  # the value of a Null test
        return False


def _dates(step: Json) -> list[datetime]:
    found = []
    for call in calls_of(step):
        for name in _DOCUMENTS:
            for statement in listed(json.loads(call["parameters"].get(name, "{}")).get("Statement", [])):
                for operator, tests in statement.get("Condition", {}).items():
                    if "Date" in operator:
                        found += [instant(text) for values in tests.values() for text in listed(values)]
    return found
