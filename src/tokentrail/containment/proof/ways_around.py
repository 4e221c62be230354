"""
Find how an attacker gets around the moves, by playing forward in time: who mints what, with what, at which second.

The prover says for which principals a credential survives; this module says how an attacker obtains one. It prefers
ways that do not depend on how fast IAM is, in which nothing is minted while the call that ends its minter is taking
effect; among these, the shortest.
Source: AWS STS API Reference, 'AssumeRole' (a role's sessions get an hour in another role), 'AssumeRoot',
'GetSessionToken', 'GetFederationToken', 'GetScopedCredentials'; what a step ends is judged by `game.ContainmentGame`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tokentrail.aws.principals import Principal
from tokentrail.containment.incident.incident_model import (
    ALWAYS,
    LONGEST,
    Edge,
    EntryPoint,
    EntryPointKind,
    HeldCredential,
    IncidentModel,
    assumes,
)
from tokentrail.containment.proof.game import NEVER, ContainmentGame, Lifetime, Outcome
from tokentrail.containment.proof.hypothetical_credentials import ANY_NAME, hypothetical_credentials
from tokentrail.policy.language.context import Caller

RENEWAL = "GetSigninToken"
"""The call by which a session obtains another one of the same identity; `GetScopedCredentials` is another."""
SOON = timedelta(seconds=5)
"""How long after a cutoff a counterexample mints, if it may choose; one second would do, but look like an error."""
_SECOND = timedelta(seconds=1)
_CHAINED, _AS_ROOT, _SIGNED_IN = timedelta(hours=1), timedelta(minutes=15), timedelta(hours=12)
_OFTEN = timedelta(minutes=45)
"""How often a chained session, which lives for an hour, is renewed."""
_ASKS = "asks by "
"""How ways begin by which a service, or another partition, assumes a role for whoever asks."""
_HURRIED = 1_000
"""The cost of a mint that only succeeds while a call against its minter is taking effect: more than any detour."""
_NAMES_AT_MOST = 20
"""How many session names are tried for each mint."""
_BY_SOURCE: Mapping[EntryPointKind, str | None] = {
    "password": "ConsoleLogin", "portal": "GetRoleCredentials", "sign_in": "CreateOAuth2Token", "trust": "AssumeRole",
    "role": "AssumeRole", "key": "GetSessionToken",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttackerAsset:
    """Something that the attacker can mint with: a credential of the evidence, one minted on the way, or a source."""

    what: HeldCredential | EntryPoint | None
    """`None` for a credential that is minted on the way."""
    principal: Principal
    begins: datetime
    life: Lifetime
    expires: datetime = NEVER
    caller: Caller | None = None
    cost: int = 0
    """How many mints it took, each hurried one counted as `_HURRIED` more."""
    parent: AttackerAsset | None = None
    """What it was minted with."""
    call: str | None = None
    """The call that minted it, if known."""
    name: str | None = None
    """The session name that it must have; `None` if any will do."""
    signs_until: datetime = NEVER
    """Until when it is given session tokens, if it is a long-term key: which no policy denies it."""

    @property
    def survives(self) -> bool:
        """Whether it works after the last move."""
        return self.life.ends is NEVER

    @property
    def hurried(self) -> bool:
        """Whether it depends on IAM being slow: a mint on the way came while a call against its minter took effect."""
        return self.cost >= _HURRIED

    @property
    def assumes(self) -> bool:
        """Whether it may assume roles."""
        return self.caller is not None and assumes(self.caller)

    @property
    def is_key(self) -> bool:
        """Whether it is a long-term key, or stands for one."""
        if isinstance(self.what, EntryPoint):
            return False
        return self.caller is not None and self.caller.kind == "long_term_key"

    def chain(self) -> list[AttackerAsset]:
        """The mints that lead to it, and itself if it is one, the first mint first."""
        return [*(self.parent.chain() if self.parent else ()), *([self] if self.what is None else ())]


def ways(incident: IncidentModel, game: ContainmentGame, outcome: Outcome) -> dict[Principal, AttackerAsset]:
    """For each principal for which credentials can be minted that survive: one of them, and how it is minted."""
    return _Search(incident, game, outcome).found()


class _Search:
    """A search over what the attacker can hold, by principal and in the order of time."""

    def __init__(self, incident: IncidentModel, game: ContainmentGame, outcome: Outcome) -> None:
        self._incident, self._game, self._outcome = incident, game, outcome
        self._sent = {time.effective_at: time.sent for time in outcome.times}
        self._into: dict[Principal, list[Principal]] = {}
        self._from: dict[Principal, list[Edge]] = {}
        for edge in incident.edges:
            self._into.setdefault(edge.by, []).append(edge.into)
            self._from.setdefault(edge.into, []).append(edge)
        self._hands: dict[Principal, list[AttackerAsset]] = {}
        self._sources: dict[Principal, list[AttackerAsset]] = {}
        self._minted: dict[Principal, list[AttackerAsset]] = {}
        self._tried: dict[tuple[Principal, datetime, str], int] = {}
        self._deal()

    def found(self) -> dict[Principal, AttackerAsset]:
        concerned = self._concerned()
        waiting = [(moment, one) for one in concerned for moment in self._marks(one)]
        heapq.heapify(waiting)
        while waiting:
            moment, principal = heapq.heappop(waiting)
            if self._mint(principal, moment):
                for into in self._into.get(principal, ()):
                    if into in concerned:
                        heapq.heappush(waiting, (moment, into))
        best = {
            one: hand
            for one in concerned
            if (hand := self._best([hand for hand in self._minted.get(one, ()) if hand.survives]))
        }
        told: dict[Principal, AttackerAsset] = {}
        for one, hand in sorted(best.items(), key=lambda pair: (pair[1].cost, pair[0])):
            told[one] = _through(told, hand)
        return told

    def _deal(self) -> None:
        """Start with the tainted credentials and the sources."""
        for one in self._incident.held:
            if one.kind not in ("forwarded", "api_key"):
                begins = (one.since if one.kind == "long_term_key" else one.issued_at) or ALWAYS
                self._hands.setdefault(one.principal, []).append(
                    AttackerAsset(
                        what=one, principal=one.principal, begins=begins, life=self._outcome.lives[one.id],
                        expires=one.expires or NEVER, caller=one.caller,
                        signs_until=self._game.signs_until(one, self._outcome.lives[one.id]),
                    )
                )  # fmt: skip
        for source in self._incident.sources:
            self._sources.setdefault(source.mints, []).append(
                AttackerAsset(
                    what=source, principal=source.mints, begins=source.since or ALWAYS,
                    life=self._outcome.sources[source],
                )
            )  # fmt: skip

    def _concerned(self) -> set[Principal]:
        """The principals that keep a living credential, and all that mint into them."""
        pools = self._outcome.pools
        fresh = [one for one, pool in pools.items() if pool.life.ends is NEVER]
        reached = set(fresh)
        while fresh:
            further = {edge.by for edge in self._from.get(fresh.pop(), ()) if edge.by in pools} - reached
            reached |= further
            fresh += further
        return reached

    def _marks(self, principal: Principal) -> list[datetime]:
        """The seconds from which a principal's new credentials may fare differently: those are worth minting at."""
        incident, start = self._incident, self._incident.unseen(principal)
        marks = {start, incident.as_of, incident.as_of + SOON}
        near = (principal, *(edge.by for edge in self._from.get(principal, ())))
        for time in self._game.touching(near):
            marks |= {time.sent - _SECOND, time.sent, time.effective_at, time.effective_at + SOON}
        for date in self._game.differences(principal).dates:
            marks |= {date - _SECOND, date, date + _SECOND, date + SOON}
        for by in near:
            marks |= {hand.begins for hand in (*self._hands.get(by, ()), *self._sources.get(by, ()))}
        marks |= {
            incident.as_of - _OFTEN * number
            for number in range(1, int((incident.as_of - start) / _OFTEN) + 1)
        }
        end = min(self._outcome.pools[principal].last, max(self._end, self._game.horizon(principal) + SOON))
        return [mark for mark in marks if start <= mark < end]

    @property
    def _end(self) -> datetime:
        times = self._outcome.times
        return (times[-1].effective_at if times else self._incident.as_of) + 2 * SOON

    def _mint(self, principal: Principal, moment: datetime) -> bool:
        """Mint for a principal all that can be minted in a second. Returns whether anything new was found."""
        if moment < self._incident.unseen(principal) or moment >= self._game.gone(principal):
            return False  # the log would show it, or nobody is there
        known = self._minted.setdefault(principal, [])
        before = len(known)
        for way, givers in self._givers(principal, moment):
            priced = [(giver.cost + self._price(giver, principal, way, moment), giver) for giver in givers]
            cost, giver = min(priced, key=lambda one: one[0], default=(0, None))
            if giver is None or self._tried.get((principal, moment, way), cost + 1) <= cost:
                continue
            self._tried[principal, moment, way] = cost
            for hand in self._products(giver, principal, moment, way, cost):
                if not any(_as_good(one, hand) for one in known):
                    known.append(hand)
        return len(known) > before

    def _givers(self, principal: Principal, moment: datetime) -> Iterator[tuple[str, list[AttackerAsset]]]:
        """What can mint for a principal in a second, grouped by the way in which it does."""
        own = [*self._hands.get(principal, ()), *self._minted.get(principal, ())]
        yield (
            "renew",
            [one for one in own if not one.is_key and one.begins < moment < min(one.life.ends, one.expires)],
        )
        yield "token", [one for one in own if one.is_key and one.begins <= moment < one.signs_until]
        if moment < self._game.shut(principal):
            yield (
                "assume",
                [
                    one for edge in self._from.get(principal, ()) if edge.direct
                    for one in (*self._hands.get(edge.by, ()), *self._minted.get(edge.by, ()))
                    if one.begins <= moment < min(one.life.mints_until, one.expires)
                    and one.assumes and self._unseen(one, moment)
                ],
            )  # fmt: skip
        for edge in self._from.get(principal, ()):
            if not edge.direct:
                yield (
                    f"{_ASKS}{edge.call}",
                    [
                        one for one in (*self._hands.get(edge.by, ()), *self._minted.get(edge.by, ()))
                        if one.begins <= moment < min(one.life.ends, one.expires)
                        and one.assumes and self._unseen(one, moment)
                    ],
                )  # fmt: skip
        for number, source in enumerate(self._sources.get(principal, ())):
            if source.begins <= moment < source.life.ends:
                yield f"source {number}", [source]

    def _unseen(self, giver: AttackerAsset, moment: datetime) -> bool:
        """Whether the log of the giver's account would not show what it does."""
        return moment >= self._incident.unseen_since.get(giver.principal.account, ALWAYS)

    def _price(self, giver: AttackerAsset, principal: Principal, way: str, moment: datetime) -> int:
        """The cost of a mint: one, and more if the call that ends the giver or shuts the role is taking effect."""
        assuming = way == "assume"
        ends = giver.signs_until if way == "token" else giver.life.ends
        sure = self._sure(giver.life.mints_until if assuming else ends, giver)
        if assuming:
            sure = min(sure, self._sure(self._game.shut(principal), giver))
        return 1 + (_HURRIED if moment > sure else 0)

    def _sure(self, ends: datetime, giver: AttackerAsset) -> datetime:
        """Until when something surely still works, however fast the call that ends it takes effect."""
        if (sent := self._sent.get(ends)) is not None:
            return sent
        if ends in (NEVER, giver.expires):
            return ends
        return ends - timedelta(seconds=self._incident.margin) - _SECOND

    def _products(
        self, giver: AttackerAsset, principal: Principal, moment: datetime, way: str, cost: int
    ) -> Iterator[AttackerAsset]:
        """What a giver can mint in a second; under a user id that policies leave out only if no other survives."""
        for number, (caller, name, call) in enumerate(self._callers(giver, principal, moment, way)):
            if number > _NAMES_AT_MOST or self._game.spares(principal, moment, caller.principal_id):
                continue
            expires = moment + _lasting(giver, principal, way)
            if way == "renew":
                expires = max(giver.expires, expires if principal.kind == "role" else moment)
            life = self._game.life(caller, None, expires)
            if life.ends <= moment:
                continue
            yield AttackerAsset(
                what=None, principal=principal, begins=moment, life=life, expires=expires, caller=caller, cost=cost,
                parent=giver, call=call, name=name,
            )  # fmt: skip
            if life.ends is NEVER:
                return

    def _callers(
        self, giver: AttackerAsset, principal: Principal, moment: datetime, way: str
    ) -> Iterator[tuple[Caller, str | None, str | None]]:
        if way == "renew" and giver.caller is not None:
            caller = replace(giver.caller, issued_at=moment)
            yield caller, caller.session_name or giver.name, RENEWAL
            return
        host = giver.what.id if isinstance(giver.what, EntryPoint) and giver.what.kind == "host" else None
        unique = known.unique_id if (known := self._incident.known.get(principal)) else None
        docs = self._game.differences(principal)
        names = [f"{unique or ANY_NAME}:{host}"] if host else [None, *docs.names(moment)]
        for user_id in names:
            for caller in hypothetical_credentials(
                self._incident, principal, moment, user_id, docs.literal_names
            ):
                if caller.kind == "federation_token" and (way != "token" or moment >= giver.life.ends):
                    continue
                name = (user_id or "").partition(":")[2] or None
                yield caller, name, _call_of(giver, caller, way)

    def _best(self, hands: Iterable[AttackerAsset]) -> AttackerAsset | None:
        """The cheapest way; among equal ones, soon after a cutoff that misses it, else as late as possible."""
        cutoffs = {time.effective_at for time in self._outcome.times}
        as_of = self._incident.as_of

        def rank(hand: AttackerAsset) -> tuple[int, bool, bool, float]:
            after = hand.begins - as_of
            missed = hand.begins - SOON in cutoffs
            late = after if missed else -after
            return (hand.cost, hand.begins < as_of, not missed, late.total_seconds())

        return min(hands, key=rank, default=None)


def _through(told: Mapping[Principal, AttackerAsset], hand: AttackerAsset) -> AttackerAsset:
    """The same, minted with a credential that the story names anyway, if that works."""
    giver = hand.parent
    other = told.get(giver.principal) if giver and giver.what is None and hand.call != RENEWAL else None
    if giver is None or other is None or other.cost > giver.cost:
        return hand
    serves = other.assumes and other.begins <= hand.begins < min(other.life.mints_until, other.expires)
    return replace(hand, parent=other) if serves else hand


def _as_good(one: AttackerAsset, other: AttackerAsset) -> bool:
    """Whether a credential can be used wherever another can."""
    return (
        one.cost <= other.cost
        and one.life.ends >= other.life.ends
        and one.life.mints_until >= other.life.mints_until
        and one.expires >= other.expires
        and one.assumes >= other.assumes
        and (other.name is None or one.name == other.name)
    )


def _lasting(giver: AttackerAsset, principal: Principal, way: str) -> timedelta:
    """The longest life of what is minted."""
    if principal.is_root:
        return _AS_ROOT if way == "assume" else _SIGNED_IN
    if way == "assume" and giver.principal.kind == "role":
        return _CHAINED
    return _SIGNED_IN if way.startswith("source") else LONGEST.get(principal.kind, LONGEST["role"])


def _call_of(giver: AttackerAsset, caller: Caller, way: str) -> str | None:
    if isinstance(giver.what, EntryPoint):
        return _BY_SOURCE.get(giver.what.kind)
    if way.startswith(_ASKS):
        return way.removeprefix(_ASKS)
    if way == "token":
        return "GetFederationToken" if caller.kind == "federation_token" else "GetSessionToken"
    return "AssumeRoot" if (caller.principal or "").endswith(":root") else "AssumeRole"
