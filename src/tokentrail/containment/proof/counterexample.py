"""
Why a sequence of moves does not contain an attacker: the attacker's moves around it, and the same as sentences.

The sentences are made from the attacker's moves alone, so that the two can't differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from tokentrail.aws.principals import Principal, arn_of
from tokentrail.containment.incident.incident_model import (
    LONGEST,
    EntryPoint,
    HeldCredential,
    IncidentModel,
    label_of,
)
from tokentrail.containment.model import AttackerMove, Replay, Survivor
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.proof.game import NEVER, ContainmentGame, Minter, Outcome
from tokentrail.containment.proof.ways_around import RENEWAL, SOON, AttackerAsset, ways
from tokentrail.formatting import instant, short

_MOST, _MOST_ALIKE, _MOST_DOUBTS = 12, 4, 2
_KINDS = {
    "long_term_key": "long-term key", "session_token": "session token", "federation_token": "federation token",
    "console_session": "console session", "identity_center": "Identity Center session", "service_role": "session",
    "root_session": "root session", "oauth_login": "login", "scoped": "scoped credential",
    "delegated": "delegated session", "api_key": "API key",
}  # fmt: skip
_MINTED = "minted"


def survivors(
    incident: IncidentModel, moves: Sequence[PlannedStep], outcome: Outcome
) -> tuple[Survivor, ...]:
    """What works, or can be minted, after the last move; where a deny may end it, by which condition it is escaped."""
    if outcome.contained:
        return ()
    game = ContainmentGame(incident, moves)
    found = [
        Survivor(credential=one.id, until=one.expires if one.kind != "long_term_key" else None,
                 why=f"{_held(one.id, one.kind, short(incident.arn(one.principal)))}: nothing ends it"
                 + _escaped(game.undecided(one.caller, one.key_id)))
        for one in incident.held if outcome.lives[one.id].ends is NEVER
    ]  # fmt: skip
    found += [
        Survivor(credential=name_of_source(source), until=None, why=source.why)
        for source, life in outcome.sources.items()
        if life.ends is NEVER
    ]
    held = {one.id: one for one in reversed(incident.held)}
    for principal, pool in sorted(outcome.pools.items()):
        if pool.life.ends is NEVER:
            issued = pool.sample.issued_at if pool.sample else None
            until = (
                issued + LONGEST.get(principal.kind, LONGEST["role"])
                if issued and pool.last is not NEVER
                else None
            )
            minter = _minter(incident, held, pool.first)
            doubts = game.undecided(pool.sample, None) if pool.sample else ()
            why = f"can be minted by {minter} and outlives every step{_escaped(doubts)}"
            found.append(
                Survivor(
                    credential=name_of_mintable(incident.arn(principal)),
                    until=until,
                    why=why,
                )
            )
    return tuple(found)


def _escaped(doubts: Sequence[str]) -> str:
    """What a sentence adds where denies may apply, which count only if they do whatever the attacker chooses."""
    return f"; no deny counts that may be escaped: {'; '.join(doubts[:_MOST_DOUBTS])}" if doubts else ""


def name_of_source(source: EntryPoint) -> str:
    """What `survivors` calls a source."""
    return f"{source.kind} {source.id}"


def name_of_mintable(arn: str) -> str:
    """What `survivors` calls the credentials that can be minted for a principal."""
    return f"new {_what(arn)} of {arn}"


def replay(incident: IncidentModel, moves: Sequence[PlannedStep], outcome: Outcome) -> Replay | None:
    """
    A way around the moves; `None` if there is none.

    Mints that depend on IAM being slow are included only if there is no other way.
    """
    if outcome.contained:
        return None
    found = _Played(incident, moves, outcome)
    found.what_goes_on()
    game = ContainmentGame(incident, moves)
    hands = ways(incident, game, outcome).values()
    sure = [hand for hand in hands if not hand.hurried]
    for hand in hands if not (sure or found.moves) else sure:
        found.mints(hand.chain())
    return Replay(steps_sent=tuple(time.sent for time in outcome.times), moves=tuple(found.moves))


def sentences(told: Replay | None) -> tuple[str, ...]:
    """The moves of a replay, each as a sentence."""
    if told is None:
        return ()
    made = {move.makes: move for move in told.moves if move.makes}
    called = _called(arn for move in told.moves for arn in (move.by_principal, move.principal) if arn)
    return tuple(_sentence(move, made, len(told.steps_sent), called) for move in told.moves)


def _called(arns: Iterable[str]) -> Mapping[str, str]:
    """By ARN: the short name of a principal, with its account if two have the same."""
    found = sorted(set(arns))
    alike = Counter(short(arn) for arn in found)
    return {
        arn: f"{short(arn)} of account {arn.split(':')[4]}" if alike[short(arn)] > 1 else short(arn)
        for arn in found
    }


class _Played:
    """Collects the attacker's moves, up to a number that can still be read."""

    def __init__(self, incident: IncidentModel, moves: Sequence[PlannedStep], outcome: Outcome) -> None:
        self._incident, self._steps, self._outcome = incident, moves, outcome
        self.moves: list[AttackerMove] = []
        self._made: dict[int, str] = {}
        times = outcome.times
        self._last = times[-1].effective_at + SOON if times else incident.as_of

    def what_goes_on(self) -> None:
        """Add what nothing ends: credentials first, then sources."""
        left = [one for one in self._incident.held if self._outcome.lives[one.id].ends is NEVER]
        for one in left[:_MOST_ALIKE]:
            self._goes_on(one.id, one.kind, one.principal, one.expires, None)
        sources = [one for one, life in self._outcome.sources.items() if life.ends is NEVER]
        for source in sources[:_MOST_ALIKE]:
            self._goes_on(source.id, source.kind, source.mints, None, source.why)

    def mints(self, chain: Sequence[AttackerAsset]) -> None:
        """Add the mints that lead to a surviving credential; all of them, or none if they are too many."""
        fresh = [hand for hand in chain if id(hand) not in self._made]
        if self.moves and len(self.moves) + len(fresh) > _MOST:
            return
        for hand in fresh:
            self._mint(hand)

    def _goes_on(
        self, name: str, kind: str, principal: Principal, expires: datetime | None, why: str | None
    ) -> None:
        arn = self._arn(principal)
        self.moves.append(
            AttackerMove(
                n=len(self.moves) + 1, time=self._last, after_step=len(self._steps), does="goes-on", by=name,
                by_kind=kind, by_principal=arn, call=None, principal=arn, session_name=None, makes=None,
                expires_at=None if kind == "long_term_key" else expires, survives=True, step=None, cutoff=None, why=why,
            )
        )  # fmt: skip

    def _mint(self, hand: AttackerAsset) -> None:
        number = len(self.moves) + 1
        by, kind = self._by(hand.parent)
        step, cutoff = self._cut_by(hand.principal)
        self._made[id(hand)] = f"new-{number}"
        self.moves.append(
            AttackerMove(
                n=number, time=hand.begins, after_step=sum(t.effective_at <= hand.begins for t in self._outcome.times),
                does="mints", by=by, by_kind=kind,
                by_principal=self._arn(hand.parent.principal) if hand.parent else None, call=hand.call,
                principal=self._arn(hand.principal), session_name=hand.name, makes=f"new-{number}",
                expires_at=hand.expires, survives=hand.survives, step=step, cutoff=cutoff,
                why=hand.parent.what.why if hand.parent and isinstance(hand.parent.what, EntryPoint) else None,
            )
        )  # fmt: skip

    def _by(self, giver: AttackerAsset | None) -> tuple[str, str]:
        match giver.what if giver else None:
            case HeldCredential() as one:
                return one.id, one.kind
            case EntryPoint() as source:
                return source.id, source.kind
            case _:
                return self._made[id(giver)], _MINTED

    def _arn(self, principal: Principal) -> str | None:
        return self._incident.arn(principal) if principal.kind != "unknown" else None

    def _cut_by(self, principal: Principal) -> tuple[int | None, datetime | None]:
        """The number of the last move on a principal, from 1, and its cutoff as sent."""
        for number in range(len(self._steps), 0, -1):
            move = self._steps[number - 1]
            acts = (move.calls or move.by_hand) and not move.shuts and not move.closes
            if principal in move.principals and acts:
                return number, self._outcome.times[number - 1].effective_at if move.cutoff else None
        return None, None


def _sentence(
    move: AttackerMove, made: Mapping[str, AttackerMove], count: int, called: Mapping[str, str]
) -> str:
    when = _when(move.after_step, count)
    if move.does == "goes-on":
        if move.why is not None:
            return f"{when}, {move.why}: no step stops that"
        until = f" until {instant(move.expires_at)}" if move.expires_at else ""
        held = _held(move.by, move.by_kind, called.get(move.by_principal or ""))
        return f"{when}, {held} still works{until}: no step ends it"
    minter = _giver(move, made, called)
    name = f" under the name {move.session_name}" if move.session_name else ""
    if move.call == RENEWAL:
        said = f"{when}, {minter} carries itself into a new {_what(move.principal)} at {instant(move.time)}"
    else:
        named = _new(move.principal, called)
        said = f"{when}, {minter} mints a new {named}{name} at {instant(move.time)}"
    return said + _missed(move)


def _missed(move: AttackerMove) -> str:
    """Why the minted credential is not ended, in words."""
    if not move.survives:
        return ""
    if move.step is None:
        return ", which no step ends"
    if move.cutoff is None or move.time < move.cutoff:
        return f", which step {move.step} does not reach"
    return f", which the cutoff {instant(move.cutoff)} of step {move.step} does not cover"


def _new(arn: str | None, called: Mapping[str, str]) -> str:
    """What is minted, such as `role/MyBucketRole session`, with its account if two principals have the same name."""
    name, _, account = called.get(arn or "", "").partition(" of account ")
    return f"{name} {_what(arn)}{f' of account {account}' if account else ''}".lstrip()


def _giver(move: AttackerMove, made: Mapping[str, AttackerMove], called: Mapping[str, str]) -> str:
    if move.by_kind == _MINTED:
        before = made[move.by]
        return f"the {_new(before.principal, called)} of {instant(before.time)}"
    if move.by_kind in _KINDS or move.why is None:
        return _held(move.by, move.by_kind, called.get(move.by_principal or ""))
    return label_of(move.by_kind, move.by)


def _when(after_step: int, count: int) -> str:
    if after_step:
        return f"after step {after_step}"
    return "before step 1 takes effect" if count else "without any step"


def _held(name: str, kind: str, called: str | None) -> str:
    return f"{name} ({_KINDS.get(kind, 'session')}{f' of {called}' if called else ''})"


def _minter(incident: IncidentModel, held: Mapping[str, HeldCredential], minter: Minter) -> str:
    """What mints, in words: a credential of the evidence, a session of a role, or a source."""
    if isinstance(minter, Principal):
        return f"a {short(arn_of(minter))} session"
    one = held.get(minter)
    return _held(one.id, one.kind, short(incident.arn(one.principal))) if one is not None else minter


def _what(arn: str | None) -> str:
    return "session" if ":role/" in (arn or "") else "token"
