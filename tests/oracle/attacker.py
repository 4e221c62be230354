"""
The adversary's hand: all that stolen credentials can get, at each chance that it is given.

Rules after the STS API Reference and "Comparing the AWS STS API operations" (IAM User Guide): a long-term key
gets session tokens (which no policy forbids), federation tokens and roles; a session gets roles, an hour's worth
when it is a role's itself; a federation token none. What principals may assume goes by principal, whichever
credential asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from oracle.credentials import LONGEST_SESSION, HeldCredential
from oracle.simulated_aws import SimulatedAws
from oracle.taint import external_principals
from tokentrail.testing.names import iso

HOUR, TOKEN_LIFE, ROOT_LIFE = timedelta(hours=1), timedelta(hours=36), timedelta(minutes=15)
NEW_NAME = "nobody-has-this-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What hands the adversary credentials without being one: a host, a portal, a password, a sign-in."""

    kind: str
    names: frozenset[str]
    """By what a step names it."""
    like: HeldCredential
    """What it hands out, but for the time."""

    def open(self, aws: SimulatedAws, at: datetime) -> bool:
        """Tell whether it still gives."""
        if self.kind == "password":
            return aws.iam.seen(("password", self.like.identity_arn), at) != {None}
        return not aws.stopped(self.kind, set(self.names), at)


class AttackerCredentials:
    """
    What the adversary holds, and gets.

    Args:
        aws: Where.
        tainted: What it has to begin with.
        unseen: Whether a mint in some accounts at some time would be missing from the log.
        twins: User ids with the seconds in which innocent sessions of theirs began; it mints none of these.
    """

    def __init__(
        self,
        aws: SimulatedAws,
        tainted: frozenset[str],
        *,
        unseen: Callable[[Iterable[str], datetime], bool],
        twins: frozenset[tuple[str, datetime]],
    ) -> None:
        self.aws, self.unseen, self.twins = aws, unseen, twins
        self.first = [
            replace(one, history=(f"{one.id}, {one.kind} of {one.principal}, is the attacker's.",))
            for one in aws.credentials.values()
            if one.id in tainted
        ]
        self.minted: dict[tuple[object, ...], HeldCredential] = {}
        self._outside = list(external_principals(aws, tainted))
        self._sources = list(sources(aws, self.first))
        self._moment = ""
        self._buried: dict[int, HeldCredential] = {}

    def held(self) -> list[HeldCredential]:
        """List everything, the newest first."""
        return [*reversed(self.minted.values()), *self.first]

    def chance(self, at: datetime, moment: str) -> None:
        """Get everything that can be got in this second, and what can be got with that."""
        self._moment = moment
        for source in self._sources:
            if source.open(self.aws, at):
                words = f"the {source.kind} gives {_label(source.like)}"
                self._take(source.like, at, at + LONGEST_SESSION, words)
        while True:
            before = len(self.minted)
            valid = [one for one in self.held() if id(one) not in self._buried and self.aws.valid(one, at)]
            self._tokens(valid, at)
            self._roles([*valid, *self._outside], at)
            self._again(valid, at)
            if len(self.minted) == before:
                break
        for one in valid:
            if not self.aws.undenied(one, at) and not self._renews(one, at):
                self._buried[id(one)] = one

    def denies_were_lifted(self) -> None:
        """Look again at what was denied everything, and was passed over since."""
        self._buried.clear()

    def _tokens(self, valid: list[HeldCredential], at: datetime) -> None:
        """Get session and federation tokens with long-term keys."""
        for key in valid:
            if key.kind != "long_term_key":
                continue
            token = replace(key, kind="session_token", issued_at=at)  # no policy keeps anybody from it
            self._take(token, at, at + TOKEN_LIFE, f"{key.id} gets a session token", key)
            if self.aws.may(key, "sts:GetFederationToken", at):
                for name in {NEW_NAME, *self._federated_names(key)}:
                    arn = f"arn:aws:sts::{key.account}:federated-user/{name}"
                    token = replace(
                        key, kind="federation_token", issued_at=at, principal_arn=arn, principal=arn,
                        userid=f"{key.account}:{name}", type="FederatedUser", username=None,
                    )  # fmt: skip
                    self._take(token, at, at + TOKEN_LIFE, f"{key.id} gets a federation token", key)

    def _federated_names(self, key: HeldCredential) -> Iterator[str]:
        for one in self.aws.credentials.values():
            if one.kind == "federation_token" and one.identity_arn == key.identity_arn:
                yield one.session_name

    def _roles(self, valid: list[HeldCredential], at: datetime) -> None:
        """Assume every role that some credential of a principal can, under every name."""
        done: set[tuple[object, ...]] = set()
        trusting = [place[1] for place in self.aws.iam.places("trust")]
        for one in valid:
            chained = one.type == "AssumedRole" and one.kind != "outsider"
            for target in {*self.aws.edges.get(one.principal_arn, ()), *trusting}:
                told = (target, chained, one.principal_arn, one.source_identity)
                if told in done:
                    continue
                if target.endswith(":root"):
                    if self.aws.may(one, "sts:AssumeRoot", at):
                        self._take(new_root(target), at, at + ROOT_LIFE, f"{_label(one)} becomes root", one)
                        done.add(told)
                elif self.aws.may_assume(one, target, at):
                    done.add(told)
                    for name in {NEW_NAME, *self.aws.names[target]}:
                        session = new_session(self.aws, target, name, one)
                        self._take(
                            session, at, at + (HOUR if chained else LONGEST_SESSION),
                            f"{_label(one)} assumes {target.rpartition('/')[2]} as {name}", one,
                        )  # fmt: skip

    def _again(self, valid: list[HeldCredential], at: datetime) -> None:
        """
        Get another session of the same identity: GetSigninToken, GetScopedCredentials.

        Whether `aws:TokenIssueTime` is then that of the call is not documented for either; it is taken to be,
        which is the worse case.
        """
        for one in valid:
            if one.issued_at is None or one.kind == "root_session" or self._key(one, at) in self.minted:
                continue
            if self._renews(one, at):
                expires = max(one.expires or at, at + LONGEST_SESSION if one.type == "AssumedRole" else at)
                self._take(one, at, expires, f"{_label(one)} carries itself into another session", one)

    def _renews(self, one: HeldCredential, at: datetime) -> bool:
        ways = ("signin:GetSigninToken", "sts:GetScopedCredentials")
        return one.issued_at is not None and any(self.aws.may(one, way, at) for way in ways)

    @staticmethod
    def _key(like: HeldCredential, at: datetime) -> tuple[object, ...]:
        return (like.identity_arn, like.userid, at, like.source_identity, like.sign_in_session)

    def _take(
        self,
        like: HeldCredential,
        at: datetime,
        expires: datetime | None,
        words: str,
        parent: HeldCredential | None = None,
    ) -> None:
        accounts = {like.account, parent.account} if parent else {like.account}
        key = self._key(like, at)
        known = self.minted.get(key)
        longer = known is None or (known.expires and expires and expires > known.expires)
        if not longer or (like.userid, at) in self.twins or not self.unseen(accounts, at):
            return
        how = (*(parent.history if parent else ()), f"{iso(at)}, {self._moment}: {words}.")
        kind = "console_session" if like.kind == "long_term_key" else like.kind
        self.minted[key] = replace(
            like,
            id=f"{like.userid}@{iso(at)}",
            kind=kind,
            begins=at,
            issued_at=at,
            expires=expires,
            history=how,
        )


def _label(one: HeldCredential) -> str:
    return f"{one.principal.partition('/')[2] or one.principal} ({one.kind.replace('_', ' ')})"


def new_root(arn: str) -> HeldCredential:
    """Make up a session of AssumeRoot."""
    account = arn.split(":")[4]
    return HeldCredential(
        id="", kind="root_session", account=account, identity_arn=arn, principal_arn=arn, principal=arn, userid=account,
        type="Account", assumed_root=True,
    )  # fmt: skip


def new_session(aws: SimulatedAws, role: str, name: str, parent: HeldCredential) -> HeldCredential:
    """Make up a session of a role; a source identity, once set, goes with it."""
    account, label = role.split(":")[4], role.rpartition("/")[2]
    known = (one.userid for one in aws.credentials.values() if one.identity_arn == role)
    unique = next(known, f"AROA{label.upper()}:").partition(":")[0]
    return HeldCredential(
        id="", kind="assumed_role", account=account, identity_arn=role, principal_arn=role,
        principal=f"arn:aws:sts::{account}:assumed-role/{label}/{name}", userid=f"{unique}:{name}",
        type="AssumedRole", source_identity=parent.source_identity,
    )  # fmt: skip


def sources(aws: SimulatedAws, first: list[HeldCredential]) -> Iterator[Source]:
    """Find what goes on giving: hosts, portals, sign-ins of what is stolen, and passwords that are known."""
    passwords = {
        entry_point.what
        for entry_point in aws.entry_points
        if entry_point.kind == "password" and entry_point.by in _ids(first)
    }
    for one in first:
        common = {one.id, one.principal, one.userid, one.session_name}
        if aws.origins[one.id] == "console_sign_in":
            passwords.add(one.identity_arn)
        if one.kind == "service_role":
            yield Source(kind="host", names=frozenset(common), like=one)
        elif one.kind == "identity_center":
            yield Source(kind="portal", names=frozenset({*common, one.person or ""}), like=one)
        elif one.kind == "oauth_login":
            names = frozenset({*common, one.sign_in_session or "", one.identity_arn})
            yield Source(kind="sign-in", names=names, like=one)
    for user in sorted(passwords):
        yield Source(kind="password", names=frozenset(), like=signed_in(aws, user))


def signed_in(aws: SimulatedAws, user: str) -> HeldCredential:
    """Make up a console session of a user, or of root."""
    root, name = user.endswith(":root"), user.rpartition("/")[2]
    account = user.split(":")[4]
    known = (one.userid for one in aws.credentials.values() if one.principal_arn == user)
    return HeldCredential(
        id="", kind="console_session", account=account, identity_arn=user, principal_arn=user, principal=user,
        userid=next(known, account if root else f"AIDA{name.upper()}"), type="Account" if root else "User",
        username=None if root else name,
    )  # fmt: skip


def _ids(some: list[HeldCredential]) -> set[str]:
    return {one.id for one in some}
