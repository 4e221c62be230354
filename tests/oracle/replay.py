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
    far_session,
    new_root,
    new_session,
    signed_in,
    sources,
    unique_id,
    vended_session,
)
from oracle.credentials import LONGEST_SESSION, HeldCredential
from oracle.policy_evaluator import instant
from oracle.request_choices import mint_choices, session_names
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
        self._mentioned = self._aws.mentioned
        self._made: dict[str, list[HeldCredential]] = {}
        """What each minting may have made: the story leaves open what the attacker chose besides."""

    def play(self) -> ReplayResult:
        faults: list[str] = []
        living: list[str] = []
        for move in self._moves:
            try:
                found = self._goes_on(move) if move["does"] == "goes-on" else self._mints(move)
            except _ImpossibleMove as why:
                faults.append(f"move {move['n']}: {why}")
                continue
            working = next((credential for credential in found if self._works(credential)), None)
            if not found:
                living.append(move["by"])
            elif working is not None:
                living.append(move["makes"] or working.id)
            elif move["survives"]:
                faults.append(f"move {move['n']}: {move['makes'] or move['by']} does not work in the end")
        return ReplayResult(faults=tuple(faults), living=tuple(living))

    def _works(self, credential: HeldCredential) -> bool:
        moments = (self._end, self._end + timedelta(seconds=60))
        return any(self._aws.works(credential, moment) for moment in moments)

    def _goes_on(self, move: Json) -> list[HeldCredential]:
        """A credential, to be looked at in the end; nothing for a source that still gives."""
        if move["by"] in self._tainted:
            return [self._aws.credentials[move["by"]]]
        if not self._gives(move, instant(move["time"])):
            raise _ImpossibleMove(f"the {move['by_kind']} {move['by']} gives nothing any more")
        return []

    def _mints(self, move: Json) -> list[HeldCredential]:
        at, into = instant(move["time"]), move["principal"]
        held = self._aws.credentials.get(move["by"])
        if held is not None and move["by"] not in self._tainted:
            raise _ImpossibleMove(f"{move['by']} is not the attacker's")
        givers = self._made.get(move["by"]) or ([held] if held else [])
        made = self._by_credentials(givers, move, at) if givers else [self._by_source(move, at)]
        accounts = {credential.account for credential in (*made, *givers)}
        if any(at < self._blind[account] for account in accounts if account in self._blind):
            raise _ImpossibleMove(f"the log would show it: {move['time']} lies before what nobody has seen")
        if all((credential.userid, at) in self._twins for credential in made):
            raise _ImpossibleMove(f"{made[0].userid} of {move['time']} is a colleague's session")
        self._made[move["makes"]] = made = [
            replace(
                credential, id=move["makes"], begins=at, issued_at=at, mfa_at=at if credential.mfa else None
            )
            for credential in made
        ]
        if any(credential.identity_arn != into for credential in made):
            raise _ImpossibleMove(f"what is minted acts as {made[0].identity_arn}, and not as {into}")
        return made

    def _by_credentials(self, givers: list[HeldCredential], move: Json, at: datetime) -> list[HeldCredential]:
        """What a call may make, with whatever the attacker may have chosen in the moves before it."""
        way = {
            "AssumeRole": self._assumes, "AssumeRoot": self._becomes_root, "GetSessionToken": self._gets_token,
            "GetFederationToken": self._gets_token, "GetSigninToken": self._renews,
            "lakeformation:GetDataAccess": self._is_vended, "AssumeRoleWithWebIdentity": self._crosses,
        }[move["call"]]  # fmt: skip
        made = [credential for giver in givers for credential in way(giver, move, at)]
        if not made:
            raise _ImpossibleMove(
                f"{move['by']} can't call {move['call']} for {move['principal']} at {move['time']}"
            )
        return made

    def _assumes(self, giver: HeldCredential, move: Json, at: datetime) -> list[HeldCredential]:
        if giver.type == "FederatedUser":
            return []
        role = move["principal"]
        lasting = HOUR if giver.type == "AssumedRole" else LONGEST_SESSION
        chosen = session_names(self._mentioned, unique_id(self._aws, role))
        names = [move["session_name"]] if move["session_name"] else [NEW_NAME, *chosen]
        return [
            replace(new_session(self._aws, role, name, giver, choice), expires=at + lasting)
            for choice in mint_choices(giver, self._mentioned)
            for name in names
            if self._aws.may_assume(giver, role, at, name, choice)
        ]

    def _is_vended(self, giver: HeldCredential, move: Json, at: datetime) -> list[HeldCredential]:
        if not self._aws.may_be_vended(giver, move["principal"], at):
            return []
        return [replace(vended_session(self._aws, move["principal"], giver), expires=at + LONGEST_SESSION)]

    def _crosses(self, giver: HeldCredential, move: Json, at: datetime) -> list[HeldCredential]:
        if not self._aws.may_cross(giver, move["principal"], at):
            return []
        return [replace(far_session(self._aws, move["principal"], giver), expires=at + LONGEST_SESSION)]

    def _becomes_root(self, giver: HeldCredential, move: Json, at: datetime) -> list[HeldCredential]:
        seen = move["principal"] in self._aws.edges.get(giver.principal_arn, ())
        if not seen or not self._aws.may(giver, "sts:AssumeRoot", at):
            return []
        return [replace(new_root(move["principal"]), expires=at + ROOT_LIFE)]

    def _gets_token(self, giver: HeldCredential, move: Json, at: datetime) -> list[HeldCredential]:
        if giver.kind != "long_term_key" or not self._aws.valid(giver, at):
            return []
        token = replace(giver, kind="session_token", expires=at + TOKEN_LIFE)
        if move["call"] == "GetSessionToken":  # which no policy forbids (AWS STS API Reference)
            return [replace(token, mfa=mfa) for mfa in (False, True)]
        if not self._aws.may(giver, "sts:GetFederationToken", at):
            return []
        name = move["session_name"] or NEW_NAME
        arn = f"arn:aws:sts::{giver.account}:federated-user/{name}"
        return [
            replace(
                token, kind="federation_token", principal_arn=arn, principal=arn, userid=f"{giver.account}:{name}",
                type="FederatedUser", username=None,
            )
        ]  # fmt: skip

    def _renews(self, giver: HeldCredential, move: Json, at: datetime) -> list[HeldCredential]:
        if giver.issued_at is None or not any(self._aws.may(giver, way, at) for way in _RENEWALS):
            return []
        longest = at + LONGEST_SESSION if giver.type == "AssumedRole" else at
        return [replace(giver, expires=max(giver.expires or at, longest))]

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
