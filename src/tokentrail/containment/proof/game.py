"""
The game: which of an attacker's credentials outlive a sequence of steps, whatever the attacker does between them.

It is a game of the moves against the attacker. Between two moves the attacker may wait as long as it likes, and mint
with every living credential in every role within reach, under any session name. So each principal has, besides the
credentials that the log shows, a *pool*: all credentials that could have been minted unseen, from the time when the log
stops being complete until the last minter is dead. A pool outlives a move if a credential of any second and name in it
does. How long minters live depends on pools, and pools depend on minters. The least solution is found by iteration:
pools grow until none grows any more.

Times: each move is sent `PAUSE` after the one before has taken effect. A longer wait gives the attacker nothing more,
since with time credentials only expire, and a second more or less makes no difference once it is past the cutoff. A
move takes effect before its cutoff, as `apply` makes sure; what is minted until then is issued before the cutoff.
Source: IAM User Guide, 'Revoking IAM role temporary security credentials'; what a policy ends is judged by `policy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from tokentrail.aws.principals import Principal, caseless
from tokentrail.containment.incident.incident_model import (
    LONGEST,
    Edge,
    EntryPoint,
    HeldCredential,
    IncidentModel,
    assumes,
)
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.proof.hypothetical_credentials import (
    Differences,
    differences,
    hypothetical_credentials,
)
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects
from tokentrail.policy.history.ledger import principals_named
from tokentrail.policy.language.context import Caller

NEVER = datetime.max.replace(tzinfo=UTC)
PAUSE = timedelta(seconds=60)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTiming:
    """When a move is sent, and when it takes effect ("bites") at the latest."""

    sent: datetime
    effective_at: datetime
    cutoff: datetime | None = None
    """The cutoff that was sent, if it was sent already; else `bites` is the cutoff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """Until when a credential, pool or source works and mints under the moves; `NEVER` if no move ends that."""

    ends: datetime
    mints_until: datetime
    by: int | None = None
    """The number of the move that ends it, from 0; `None` if none does."""


Minter = str | Principal
"""What mints: a credential, by its id; a source, by its label; or the unseen sessions of a principal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenSessions:
    """All credentials that may have been minted unseen for one principal."""

    principal: Principal
    start: datetime
    """From when on they may have been issued: when the log stops being complete."""
    last: datetime
    """Before when they were issued: when the last minter ends."""
    life: Lifetime
    """The life of the longest-lived of them."""
    sample: Caller | None
    """One of the longest-lived."""
    minter: Minter
    """The last minter."""
    first: Minter
    """The minter that started it, if `minter` is the pool itself, which renews itself; else the same as `minter`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the moves leave."""

    times: tuple[StepTiming, ...]
    lives: Mapping[str, Lifetime]
    """By credential id."""
    sources: Mapping[EntryPoint, Lifetime]
    pools: Mapping[Principal, UnseenSessions]
    innocents: Mapping[str, Lifetime]
    """By credential id, as if none expired: a step may be sent long before the time that the proof assumes."""
    twins: frozenset[tuple[Principal, datetime]]
    """Seconds that moves spare for an innocent credential, in which an attacker might have minted unseen."""

    @property
    def contained(self) -> bool:
        """Whether the moves end all credentials, sources and pools of the attacker."""
        lives = [*self.lives.values(), *self.sources.values(), *(pool.life for pool in self.pools.values())]
        return all(life.ends is not NEVER for life in lives)


def prove(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Outcome:
    """Find what the moves leave in a incident."""
    return ContainmentGame(incident, moves).outcome()


class ContainmentGame:
    """A incident and the moves, with which the life of any credential can be judged."""

    def __init__(
        self, incident: IncidentModel, moves: Sequence[PlannedStep], times: Sequence[StepTiming] = ()
    ) -> None:
        """Begin with all moves ahead, each sent after the one before took effect, or with given `times`, in order."""
        self._incident, self._moves = incident, moves
        self.times = tuple(times or moments_of(moves, incident.as_of, incident.margin))
        changes = list(_taken(incident, moves, self.times))
        self.effects = Effects(
            (*incident.changes, *changes), lasting=True, management_account=incident.management_account
        )
        self._differences = differences((*incident.changes, *changes))
        self._merged: dict[Principal, Differences] = {}
        self._spared: dict[tuple[Principal, datetime], set[str | None]] = {}
        for where, when, who in (spared for move in moves for spared in move.spares):
            self._spared.setdefault((where, when), set()).add(who)
        self._twins: set[tuple[Principal, datetime]] = set()
        self._gone = self.effects.deleted()
        self._federates_until: dict[Principal, datetime] = {}
        """Of users with such keys as `denied_in_vain`: until when federated users may be had."""
        self.denied_in_vain: set[str] = set()
        """Ids of long-term keys that are denied everything and mint tokens that are not; known after `outcome`."""
        self.edges: dict[Principal, list[Edge]] = {}
        for edge in incident.edges:
            self.edges.setdefault(edge.by, []).append(edge)

    def outcome(self) -> Outcome:
        """What the moves leave."""
        lives = {one.id: self.life(one.caller, one.key_id, one.expires) for one in self._incident.held}
        sources = {one: self._life_of_source(one) for one in self._incident.sources}
        pools = self._grow(lives, sources)
        innocents = {one.id: self.life(one.caller, one.key_id, None) for one in self._incident.innocents}
        return Outcome(
            times=self.times, lives=lives, sources=sources, pools=pools, innocents=innocents,
            twins=frozenset(self._twins),
        )  # fmt: skip

    def _grow(
        self, lives: Mapping[str, Lifetime], sources: Mapping[EntryPoint, Lifetime]
    ) -> dict[Principal, UnseenSessions]:
        """Let pools grow from the credentials and sources, and from each other, until none grows any more."""
        pools: dict[Principal, UnseenSessions] = {}
        fresh: list[tuple[Principal, datetime, Minter]] = []
        for one in self._incident.held:
            fresh += self._minted(one, lives[one.id])
        fresh += self._tokens_of_denied_keys(lives, sources)
        fresh += [
            (one.mints, life.ends, one.label) for one, life in sources.items() if one.mints.kind != "unknown"
        ]
        fresh.sort(
            key=lambda seed: seed[1]
        )  # the longest-lived minter is taken first, so that sentences name it
        while fresh:
            principal, last, minter = fresh.pop()
            start = self._incident.unseen(principal)
            last = min(last, self.gone(principal))
            known = pools.get(principal)
            if last <= start or (known is not None and known.last >= last):
                continue
            own = minter == principal
            pool = self._pool(principal, start, last, minter, known.first if own and known else minter)
            pools[principal] = pool
            fresh.append((principal, pool.life.ends, principal))
            if known is None or _outlives(pool.life, known.life):
                fresh += self._passed_on(principal, pool.life, principal)
        return pools

    def _minted(self, one: HeldCredential, life: Lifetime) -> Iterator[tuple[Principal, datetime, Minter]]:
        if one.kind in ("forwarded", "api_key"):  # with an API key nobody calls STS
            return
        if one.kind == "long_term_key" and one.principal.kind in ("user", "root"):
            yield one.principal, life.ends, one.id
        elif one.kind != "long_term_key":
            yield one.principal, life.ends, one.id  # renewed: GetSigninToken, GetScopedCredentials
        if assumes(one.caller):
            yield from self._passed_on(one.principal, life, one.id)

    def _tokens_of_denied_keys(
        self, lives: Mapping[str, Lifetime], sources: Mapping[EntryPoint, Lifetime]
    ) -> Iterator[tuple[Principal, datetime, Minter]]:
        """
        The users for which a key that is denied everything still mints tokens that are not, and until when.

        No policy keeps a key from GetSessionToken (AWS STS API Reference, 'GetSessionToken': "No permissions are
        required"; IAM User Guide, 'Permissions for GetSessionToken': policies can't control it). What a deny spares,
        such as tokens with MFA, or those issued after its cutoff, is therefore to be had until the key is inactive.
        Federated users are not: a deny keeps a key from GetFederationToken (ibid., 'Permissions for
        GetFederationToken').
        """
        for one in self._incident.held:
            ends = lives[one.id].ends
            signs_until = self.signs_until(one, lives[one.id])
            if signs_until <= ends:
                continue
            samples = [
                (caller, issued, self.life(caller, None, None).ends)
                for caller in self._samples(one.principal, self._incident.unseen(one.principal), signs_until)
                if (issued := caller.issued_at)
            ]
            if any(
                caller.kind == "session_token" and until > max(issued, ends) + self._margin
                for caller, issued, until in samples
            ):
                self.denied_in_vain.add(one.id)
                self._federates_until[one.principal] = max(
                    *(
                        lives[other.id].ends
                        for other in self._incident.held
                        if other.principal == one.principal
                    ),
                    *(life.ends for source, life in sources.items() if source.mints == one.principal),
                    *(until for caller, issued, until in samples if issued < ends),
                    ends,
                )
                yield one.principal, signs_until, one.id

    def signs_until(self, one: HeldCredential, life: Lifetime) -> datetime:
        """Until when a credential with a given life signs requests; for a long-term key, policies do not matter."""
        if (
            one.kind != "long_term_key"
            or life.ends is NEVER
            or not (one.principal.is_named or one.principal.is_root)
        ):
            return life.ends
        for number in range(len(self.times), -1, -1):
            at = self.times[number - 1].effective_at if number else self._start
            ending = self.effects.retired(one.caller, one.key_id, at)
            if ending is None:
                return self.times[number].effective_at if number < len(self.times) else NEVER
        return max(life.ends, ending.done_at + self._margin) if ending else life.ends

    def _passed_on(
        self, by: Principal, life: Lifetime, minter: Minter
    ) -> Iterator[tuple[Principal, datetime, Minter]]:
        """The roles into which a credential or pool mints, and until when; a service does so as long as it works."""
        for edge in self.edges.get(by, ()):
            until = min(life.mints_until, self.shut(edge.into)) if edge.direct else life.ends
            yield edge.into, until, minter

    def shut(self, role: Principal) -> datetime:
        """From when on nobody can assume a role."""
        return self._shut.get(role, NEVER)

    def touching(self, principals: Iterable[Principal]) -> set[StepTiming]:
        """The times of moves that may affect some principals, and those of the first and the last move."""
        renamed = self._incident.renamed
        named = {
            (one.account, caseless(name))
            for one in principals
            for name in (one.name, renamed.get(one, one.name))
        }
        found = {time for one in (None, *named) for time in self._touched.get(one, ())}
        return found.union(self.times[:1], self.times[-1:])

    def life(self, caller: Caller, key_id: str | None, expires: datetime | None) -> Lifetime:
        """
        Until when a credential works, and until when it mints.

        A credential that is already denied when it is issued never worked: its life ends then.
        """
        issued = caller.issued_at or self._start
        expiry = expires if expires is not None and caller.kind != "long_term_key" else NEVER
        for number in range(len(self.times) - 1, -1, -1):
            effective_at = self.times[number].effective_at
            if (
                expiry > effective_at
                and self.effects.ended(caller, key_id, max(effective_at, issued)) is None
            ):
                return self._ends_after(number + 1, expiry, caller, key_id)
            if issued > effective_at:
                return Lifetime(ends=issued, mints_until=issued)
        ending = self.effects.ended(caller, key_id, max(self._start, issued))
        if ending is None and expiry > self._start:
            return self._ends_after(0, expiry, caller, key_id)
        margin = timedelta() if caller.acts_as in self._gone else self._margin
        ends = expiry if ending is None else min(max(ending.at, ending.done_at + margin), expiry)
        return Lifetime(ends=ends, mints_until=ends)

    def _ends_after(self, number: int, expiry: datetime, caller: Caller, key_id: str | None) -> Lifetime:
        """The life of a credential that survives all moves before one, from 0, and not that one; or survives all."""
        mints_until = self._mints(caller, key_id, number)
        if number == len(self.times):
            return Lifetime(ends=NEVER, mints_until=mints_until)
        effective_at = self.times[number].effective_at
        if expiry <= effective_at:
            return Lifetime(ends=expiry, mints_until=min(expiry, mints_until))
        return Lifetime(ends=effective_at, mints_until=mints_until, by=number)

    def _mints(self, caller: Caller, key_id: str | None, number: int) -> datetime:
        """Until when a credential mints that lives until a move takes effect: until then, or until that is denied."""
        while number > 0 and self.effects.denies(
            caller, key_id, "sts:AssumeRole", self.times[number - 1].effective_at
        ):
            number -= 1
        return self.times[number].effective_at if number < len(self.times) else NEVER

    def gone(self, principal: Principal) -> datetime:
        """When a user or role was, or will be, deleted; `NEVER` if it is not."""
        return self._gone.get(principal, NEVER)

    def differences(self, principal: Principal) -> Differences:
        """What the policies on a principal tell its credentials apart by."""
        found = self._merged.get(principal)
        if found is None:
            found = self._merged[principal] = Differences()
            named = {
                "",
                *map(caseless, (principal.name, self._incident.renamed.get(principal, principal.name))),
            }
            for one in (("", ""), *((principal.account, name) for name in sorted(named))):
                found.merge(self._differences.get(one, Differences()))
        return found

    def undecided(self, caller: Caller, key_id: str | None) -> tuple[str, ...]:
        """Sentences about policies in force after the last move that may end a credential, and on what it depends."""
        last = self.times[-1].effective_at if self.times else self._incident.as_of
        return tuple(
            note.sentence
            for note in self.effects.partly(caller, key_id, last)
            if note.certainty == "undecided"
        )

    def _life_of_source(self, source: EntryPoint) -> Lifetime:
        if source.until is not None:
            return Lifetime(ends=source.until, mints_until=source.until)
        for number, (move, time) in enumerate(zip(self._moves, self.times, strict=True)):
            if source.name in move.closes:
                return Lifetime(ends=time.effective_at, mints_until=time.effective_at, by=number)
        return Lifetime(ends=NEVER, mints_until=NEVER)

    def _pool(
        self, principal: Principal, start: datetime, last: datetime, minter: Minter, first: Minter
    ) -> UnseenSessions:
        """The pool of what is issued at or after `start` and before `last`."""
        longest, until = Lifetime(ends=start, mints_until=start), start
        sample: Caller | None = None
        for caller in self._samples(principal, start, last):
            expires = (caller.issued_at or start) + LONGEST.get(principal.kind, LONGEST["role"])
            life = self.life(caller, None, expires)
            until = max(until, life.mints_until)
            if sample is None or life.ends > longest.ends:
                longest, sample = life, caller
            if longest.ends is NEVER and until is NEVER:
                break
        life = replace(longest, mints_until=until)
        return UnseenSessions(
            principal=principal, start=start, last=last, life=life, sample=sample, minter=minter, first=first
        )

    def _samples(self, principal: Principal, start: datetime, last: datetime) -> Iterator[Caller]:
        """
        Some credentials of a pool, among which is one that lives as long as any in it.

        A deny counts only if it holds whatever the minter chose, so that tokens differ by time of issue and user id
        only. Between two dates that occur in policies all tokens are treated alike, and so are all user ids that no
        policy excepts literally.
        """
        docs = self.differences(principal)
        end = self.horizon(principal) if last is NEVER else last - _SECOND
        moments = {start, end}
        for date in (*docs.dates, *(time.effective_at for time in self.touching((principal,)))):
            moments |= {date - _SECOND, date, date + _SECOND}
        unlike, federates_until = docs.literal_names, self._federates_until.get(principal, NEVER)
        for moment in sorted((one for one in moments if start <= one <= end), reverse=True):
            for name in (*docs.names(moment), None):
                for caller in hypothetical_credentials(self._incident, principal, moment, name, unlike):
                    if caller.kind == "federation_token" and moment >= federates_until:
                        continue
                    if not self.spares(principal, moment, caller.principal_id):
                        yield caller

    def spares(self, principal: Principal, moment: datetime, user_id: str | None) -> bool:
        """Whether a move spares that second and user id for a credential known to be innocent; noted in `twins`."""
        alike = self._spared.get((principal, moment), ())
        if user_id in alike or None in alike:
            self._twins.add((principal, moment))
            return True
        return False

    @cached_property
    def _shut(self) -> dict[Principal, datetime]:
        """By role: from when on nobody can assume it."""
        found: dict[Principal, datetime] = {}
        for move, time in zip(self._moves, self.times, strict=True):
            for role in move.shuts:
                found[role] = min(time.effective_at, found.get(role, NEVER))
        return found

    @cached_property
    def _touched(self) -> dict[tuple[str, str] | None, set[StepTiming]]:
        """The times of moves by the account and name of their principals; `None` for moves without principals."""
        found: dict[tuple[str, str] | None, set[StepTiming]] = {}
        for move, time in zip(self._moves, self.times, strict=True):
            for one in move.principals or (None,):
                found.setdefault((one.account, caseless(one.name)) if one else None, set()).add(time)
        return found

    @cached_property
    def _margin(self) -> timedelta:
        return timedelta(seconds=self._incident.margin)

    @cached_property
    def _start(self) -> datetime:
        """When nothing has been sent yet."""
        return min([self._incident.as_of, *(time.sent for time in self.times[:1])])

    def horizon(self, principal: Principal) -> datetime:
        """A time after the last move and after all times of issue that policies on a principal name."""
        last = [self._incident.as_of, *(time.effective_at for time in self.times[-1:])]
        return max([*last, *self.differences(principal).dates]) + PAUSE


def _outlives(one: Lifetime, other: Lifetime) -> bool:
    return one.mints_until > other.mints_until or one.ends > other.ends


def moments_of(moves: Sequence[PlannedStep], sent: datetime, margin: int) -> Iterator[StepTiming]:
    """When moves are sent and take effect, the first sent at a given time, each later one after that before it."""
    for move in moves:
        effective_at = sent + max(timedelta(seconds=margin), move.lingers)
        yield StepTiming(sent=sent, effective_at=effective_at)
        sent = effective_at + PAUSE


def _taken(
    incident: IncidentModel, moves: Sequence[PlannedStep], times: Sequence[StepTiming]
) -> Iterator[Change]:
    """The changes that the moves make; none to a principal that an earlier move deleted."""
    gone_by_now: set[Principal] = set()
    for number, (move, time) in enumerate(zip(moves, times, strict=True)):
        for change in move.changes(number, time.effective_at, time.cutoff or time.effective_at):
            whom = _whom(change)
            if whom not in gone_by_now and (move.by_portal or _takes_effect(incident, change, whom)):
                yield change
            if whom is not None and change.event_name in ("DeleteUser", "DeleteRole"):
                gone_by_now.add(whom)


def _whom(change: Change) -> Principal | None:
    """The role or user that a change names."""
    return next(iter(principals_named(change.account, change.asked)), None)


def _takes_effect(incident: IncidentModel, change: Change, whom: Principal | None) -> bool:
    """Whether a change is allowed and binds: not on AWS's own roles, nor by SCP in the management account."""
    if change.event_source.startswith("organizations."):
        return change.asked("targetId") is None or change.asked("targetId") != incident.management_account
    return whom is None or incident.within_reach(whom)
