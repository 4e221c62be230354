"""
Why a sequence of moves does not contain an attacker, told as a short story with times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tokentrail.containment.model import Survivor
from tokentrail.containment.move import Move
from tokentrail.containment.principal import Principal, arn_of, short
from tokentrail.containment.prover import NEVER, Outcome, Pool
from tokentrail.containment.scene import LONGEST, Held, Scene

_LATER = timedelta(seconds=5)
_MOST = 12
_KINDS = {
    "long_term_key": "long-term key", "session_token": "session token", "federation_token": "federation token",
    "console_session": "console session", "identity_center": "Identity Center session", "service_role": "session",
    "root_session": "root session", "oauth_login": "login", "scoped": "scoped credential",
}  # fmt: skip


def survivors(scene: Scene, outcome: Outcome) -> tuple[Survivor, ...]:
    """What is left after the last move."""
    found = [
        Survivor(credential=one.id, until=one.expires if one.kind != "long_term_key" else None,
                 why=f"{_called(scene, one)}: nothing ends it")
        for one in scene.held if outcome.lives[one.id].ends is NEVER
    ]  # fmt: skip
    found += [
        Survivor(credential=f"{source.kind} {source.id}", until=None, why=source.why)
        for source, life in outcome.sources.items()
        if life.ends is NEVER
    ]
    for principal, pool in sorted(outcome.pools.items()):
        if pool.life.ends is NEVER:
            issued = pool.sample.issued_at if pool.sample else None
            until = (
                issued + LONGEST.get(principal.kind, LONGEST["role"])
                if issued and pool.last is not NEVER
                else None
            )
            what = "session" if principal.kind == "role" else "token"
            found.append(
                Survivor(
                    credential=f"new {what} of {scene.arn(principal)}", until=until, why=_why(scene, pool)
                )
            )
    return tuple(found)


def counterexample(scene: Scene, moves: Sequence[Move], outcome: Outcome) -> tuple[str, ...]:
    """How an attacker gets past the moves; empty if it does not."""
    if outcome.contained:
        return ()
    return tuple(_sentences(scene, moves, outcome))[:_MOST]


def _sentences(scene: Scene, moves: Sequence[Move], outcome: Outcome) -> Iterator[str]:
    left = [one for one in scene.held if outcome.lives[one.id].ends is NEVER]
    last = f"after step {len(moves)}" if moves else "without any step"
    for one in left[:4]:
        until = f" until {_time(one.expires)}" if one.expires and one.kind != "long_term_key" else ""
        yield f"{last}, {_called(scene, one)} still works{until}: no step ends it"
    if len(left) > 4:
        yield f"{last}, {len(left) - 4} more tainted credentials still work"
    for source, life in outcome.sources.items():
        if life.ends is NEVER:
            yield f"{last}, {source.why}: no step stops that"
    told: set[Principal] = set()
    open_pools = [pool for _, pool in sorted(outcome.pools.items()) if pool.life.ends is NEVER]
    for pool in open_pools:
        yield from _minting(scene, moves, outcome, pool, told)


def _minting(
    scene: Scene, moves: Sequence[Move], outcome: Outcome, pool: Pool, told: set[Principal]
) -> Iterator[str]:
    """One sentence a mint, what comes before first; each principal once."""
    if pool.principal in told:
        return
    told.add(pool.principal)
    before = next(
        (one for one in outcome.pools.values() if pool.minter == f"pool:{arn_of(one.principal)}"), None
    )
    if before is not None and before.life.ends is NEVER:
        yield from _minting(scene, moves, outcome, before, told)
    minter = _minter(scene, pool, before)
    number, cutoff = _cut_by(moves, outcome, pool.principal)
    what = "session" if pool.principal.kind == "role" else "token"
    mints = f"{minter} mints a new {short(scene.arn(pool.principal))} {what}"
    if number is None:
        lasting = bool(outcome.times) and pool.last is NEVER
        moment = _moment(outcome, pool, outcome.times[-1].bites if lasting else scene.as_of)
        yield f"{_when(outcome, moves, moment)}, {mints} at {_time(moment)}, which no step ends"
    elif cutoff is None:
        moment = _moment(outcome, pool, outcome.times[number].bites)
        yield f"{_when(outcome, moves, moment)}, {mints} at {_time(moment)}, which step {number + 1} does not reach"
    else:
        moment = _moment(outcome, pool, cutoff)
        yield (
            f"{_when(outcome, moves, moment)}, {mints} at {_time(moment)}, which the cutoff {_time(cutoff)} of step "
            f"{number + 1} does not cover"
        )


def _minter(scene: Scene, pool: Pool, before: Pool | None) -> str:
    if before is not None and before.principal == pool.principal:
        return (
            f"a {short(scene.arn(before.principal))} session that {_named(scene, pool.first)} minted before"
        )
    return (
        f"a {short(scene.arn(before.principal))} session"
        if before is not None
        else _named(scene, pool.minter)
    )


def _named(scene: Scene, minter: str) -> str:
    """What mints, in words: a credential of the evidence, a session of a role, or what a source is called."""
    one = next((one for one in scene.held if one.id == minter), None)
    if one is not None:
        return _called(scene, one)
    return f"a {short(minter.removeprefix('pool:'))} session" if minter.startswith("pool:") else minter


def _cut_by(
    moves: Sequence[Move], outcome: Outcome, principal: Principal
) -> tuple[int | None, datetime | None]:
    """The last move on a principal, and what its cutoff is as sent."""
    for number in range(len(moves) - 1, -1, -1):
        move = moves[number]
        if (
            principal in move.principals
            and (move.calls or move.by_hand)
            and not move.shuts
            and not move.closes
        ):
            return number, outcome.times[number].bites if move.cutoff else None
    return None, None


def _moment(outcome: Outcome, pool: Pool, after: datetime) -> datetime:
    """When it is minted: soon after the cutoff, while the minter lives; the sample itself if that lies elsewhere."""
    issued = pool.sample.issued_at if pool.sample else None
    soon = after + _LATER
    if pool.last is NEVER or soon < pool.last:
        return soon
    return issued or soon


def _when(outcome: Outcome, moves: Sequence[Move], moment: datetime) -> str:
    done = [number for number, time in enumerate(outcome.times, 1) if time.bites <= moment]
    if done:
        return f"after step {done[-1]}"
    return "before step 1 takes effect" if moves else "at any time"


def _called(scene: Scene, one: Held) -> str:
    what = _KINDS.get(one.kind, "session")
    return f"{one.id} ({what} of {short(scene.arn(one.principal))})"


def _why(scene: Scene, pool: Pool) -> str:
    """Why a pool is left."""
    return f"can be minted by {_named(scene, pool.first)} and outlives every step"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
