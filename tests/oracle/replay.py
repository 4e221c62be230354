"""
A plan's counterexample, carried out: the steps are sent, the attacker makes its moves, and what is left is told.

`replay` takes a plan as the JSON that others script against, and shares no code with whoever wrote it. A move that the
simulated AWS would not allow is a fault of the counterexample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from oracle.adversary import as_sent
from oracle.attacker import (
    HOUR,
    ROOT_LIFE,
    TOKEN_LIFE,
    Source,
    new_root,
    new_session,
    signed_in,
    sources,
)
from oracle.credentials import LONGEST_SESSION, HeldCredential
from oracle.policy_evaluator import instant
from oracle.simulated_aws import NEW_NAME, SimulatedAws, names_told
from oracle.taint import external_principals
from tokentrail.testing.names import Json

_KINDS = {"sign_in": "sign-in"}
"""What a plan calls a source, where that differs from here."""
_RENEWALS = ("signin:GetSigninToken", "sts:GetScopedCredentials")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """How a counterexample fared."""

    faults: tuple[str, ...]
    """Moves that can't be made, and credentials that don't work in the end though they should."""
    living: tuple[str, ...]
    """What the moves speak of and works after the last step: credential ids, and `new-N`."""


class _ImpossibleMove(Exception):
    """A move that AWS would refuse, or that the log would show."""


def replay(aws: SimulatedAws, tainted: Iterable[str], plan: Mapping[str, Any]) -> ReplayResult:
    """
    Carry out the counterexample of a plan that is not complete.

    Args:
        aws: The world before the plan; it is left as it is.
        tainted: The attacker's credentials, by id.
        plan: The plan's JSON document.
    """
    return _Stage(aws, frozenset(tainted), plan).play()


class _Stage:
    def __init__(self, aws: SimulatedAws, tainted: frozenset[str], plan: Mapping[str, Any]) -> None:
        self._aws, self._tainted = aws.copy(), tainted
        told = plan["proof"]["replay"]
        self._moves: Sequence[Json] = sorted(told["moves"], key=lambda move: (move["time"], move["n"]))
        margin, lag = timedelta(seconds=int(plan["margin"])), timedelta(seconds=int(plan["lag"]))
        sent = [instant(text) for text in told["steps_sent"]]
        for step, moment in zip(plan["steps"], sent, strict=True):
            self._aws.perform(as_sent(step, moment, margin), moment)
        self._start = instant(plan["as_of"])
        self._end = (sent[-1] if sent else self._start) + self._aws.iam.propagation
        self._blind = {account: newest - lag for account, newest in aws.newest.items()}
        innocents = [one for one in aws.credentials.values() if one.id not in tainted]
        self._twins = {(one.userid, one.issued_at) for one in innocents if one.issued_at}
        theirs = [one for one in aws.credentials.values() if one.id in tainted]
        self._sources = list(sources(aws, theirs))
        self._outside = list(external_principals(aws, tainted))
        self._made: dict[str, HeldCredential] = {}

    def play(self) -> ReplayResult:
        faults: list[str] = []
        living: list[str] = []
        for move in self._moves:
            try:
                found = self._goes_on(move) if move["does"] == "goes-on" else self._mints(move)
            except _ImpossibleMove as why:
                faults.append(f"move {move['n']}: {why}")
                continue
            if isinstance(found, HeldCredential) and self._works(found):
                living.append(move["makes"] or found.id)
            elif found is None:
                living.append(move["by"])
            elif move["survives"]:
                faults.append(f"move {move['n']}: {move['makes'] or move['by']} does not work in the end")
        return ReplayResult(faults=tuple(faults), living=tuple(living))

    def _works(self, one: HeldCredential) -> bool:
        return self._aws.works(one, self._end) or self._aws.works(one, self._end + timedelta(seconds=60))

    def _goes_on(self, move: Json) -> HeldCredential | None:
        """A credential, to be looked at in the end; nothing for a source that still gives."""
        if move["by"] in self._tainted:
            return self._aws.credentials[move["by"]]
        if not self._gives(move, instant(move["time"])):
            raise _ImpossibleMove(f"the {move['by_kind']} {move['by']} gives nothing any more")
        return None

    def _mints(self, move: Json) -> HeldCredential:
        at, into = instant(move["time"]), move["principal"]
        giver = self._made.get(move["by"]) or self._aws.credentials.get(move["by"])
        if giver is not None and move["by"] not in (*self._tainted, *self._made):
            raise _ImpossibleMove(f"{move['by']} is not the attacker's")
        made = self._by_source(move, at) if giver is None else self._by_credential(giver, move, at)
        accounts = {made.account, giver.account} if giver else {made.account}
        if any(at < self._blind[account] for account in accounts if account in self._blind):
            raise _ImpossibleMove(f"the log would show it: {move['time']} lies before what nobody has seen")
        if (made.userid, at) in self._twins:
            raise _ImpossibleMove(f"{made.userid} of {move['time']} is a colleague's session")
        self._made[move["makes"]] = made = replace(made, id=move["makes"], begins=at, issued_at=at)
        if made.identity_arn != into:
            raise _ImpossibleMove(f"what is minted acts as {made.identity_arn}, and not as {into}")
        return made

    def _by_credential(self, giver: HeldCredential, move: Json, at: datetime) -> HeldCredential:
        way = {
            "AssumeRole": self._assumes, "AssumeRoot": self._becomes_root, "GetSessionToken": self._gets_token,
            "GetFederationToken": self._gets_token, "GetSigninToken": self._renews,
        }[move["call"]]  # fmt: skip
        return way(giver, move, at)

    def _assumes(self, giver: HeldCredential, move: Json, at: datetime) -> HeldCredential:
        if giver.type == "FederatedUser" or not self._aws.may_assume(giver, move["principal"], at):
            raise _ImpossibleMove(f"{move['by']} can't assume {move['principal']} at {move['time']}")
        lasting = HOUR if giver.type == "AssumedRole" else LONGEST_SESSION
        made = new_session(self._aws, move["principal"], move["session_name"] or NEW_NAME, giver)
        return replace(made, expires=at + lasting)

    def _becomes_root(self, giver: HeldCredential, move: Json, at: datetime) -> HeldCredential:
        seen = move["principal"] in self._aws.edges.get(giver.principal_arn, ())
        if not seen or not self._aws.may(giver, "sts:AssumeRoot", at):
            raise _ImpossibleMove(f"{move['by']} can't become {move['principal']} at {move['time']}")
        return replace(new_root(move["principal"]), expires=at + ROOT_LIFE)

    def _gets_token(self, giver: HeldCredential, move: Json, at: datetime) -> HeldCredential:
        free = (
            move["call"] == "GetSessionToken"
        )  # which no policy forbids (AWS STS API Reference, 'GetSessionToken')
        may = self._aws.valid(giver, at) if free else self._aws.may(giver, "sts:GetFederationToken", at)
        if giver.kind != "long_term_key" or not may:
            raise _ImpossibleMove(f"{move['by']} can't call {move['call']} at {move['time']}")
        token = replace(giver, kind="session_token", expires=at + TOKEN_LIFE)
        if move["call"] == "GetSessionToken":
            return token
        name = move["session_name"] or NEW_NAME
        arn = f"arn:aws:sts::{giver.account}:federated-user/{name}"
        return replace(
            token, kind="federation_token", principal_arn=arn, principal=arn, userid=f"{giver.account}:{name}",
            type="FederatedUser", username=None,
        )  # fmt: skip

    def _renews(self, giver: HeldCredential, move: Json, at: datetime) -> HeldCredential:
        if giver.issued_at is None or not any(self._aws.may(giver, way, at) for way in _RENEWALS):
            raise _ImpossibleMove(f"{move['by']} can't carry itself on at {move['time']}")
        longest = at + LONGEST_SESSION if giver.type == "AssumedRole" else at
        return replace(giver, expires=max(giver.expires or at, longest))

    def _by_source(self, move: Json, at: datetime) -> HeldCredential:
        source = self._gives(move, at)
        if source is None:
            raise _ImpossibleMove(f"the {move['by_kind']} {move['by']} gives nothing at {move['time']}")
        like = source.like if isinstance(source, Source) else source
        if like.identity_arn != move["principal"]:
            like = new_session(self._aws, move["principal"], move["session_name"] or NEW_NAME, like)
        return replace(like, expires=at + LONGEST_SESSION)

    def _gives(self, move: Json, at: datetime) -> Source | HeldCredential | None:
        """The source that a move names, if it still hands out credentials."""
        kind = _KINDS.get(move["by_kind"], move["by_kind"])
        if kind in ("trust", "role"):
            role = self._aws.iam.arn(move["principal"].split(":")[4], "role", move["by"])
            return next((one for one in self._outside if role and self._aws.may_assume(one, role, at)), None)
        if kind == "user":  # whoever made it may have, or make, a key of it that nobody has seen
            arn = self._aws.iam.arn(move["principal"].split(":")[4], "user", move["by"])
            standing = arn and self._aws.iam.seen(("gone", arn), at) != {True}
            return signed_in(self._aws, str(arn)) if standing else None
        for source in self._sources:
            names = {source.like.identity_arn.rpartition("/")[2]} if kind == "password" else source.names
            named = not names.isdisjoint(names_told(move["by"]))
            if source.kind == kind and named and source.open(self._aws, at):
                return source
        return None
