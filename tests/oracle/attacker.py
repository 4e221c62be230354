"""
The adversary's hand: all that stolen credentials can get, at each chance that it is given.

Rules after the STS API Reference and "Comparing the AWS STS API operations" (IAM User Guide): a long-term key
gets session tokens (which no policy forbids), federation tokens and roles; a session gets roles, an hour's worth
when it is a role's itself; a federation token none. What principals may assume goes by principal, whichever
credential asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from oracle.credentials import LASTING, LONGEST_SESSION, HeldCredential
from oracle.request_choices import Apart, MintChoice, mint_choices, session_names
from oracle.simulated_aws import NEW_NAME, VENDED, SimulatedAws
from oracle.taint import external_principals
from tokentrail.testing.names import iso

HOUR, TOKEN_LIFE, ROOT_LIFE = timedelta(hours=1), timedelta(hours=36), timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What hands the adversary credentials without being one: a host, a portal, a password, a sign-in."""

    kind: str
    names: frozenset[str]
    """By what a step names it."""
    like: HeldCredential
    """What it hands out, but for the time."""

    def open(self, aws: SimulatedAws, at: datetime) -> bool:
        """Tell whether it still gives; that a provider lets the attacker in no more is a condition of any plan."""
        if self.kind == "provider":
            return at <= aws.at
        if self.kind == "password":
            return aws.iam.seen(("password", self.like.identity_arn), at) != {None}
        return not aws.stopped(self.kind, set(self.names), at)


@dataclass(slots=True)
class _Tried:
    """What was tried in one second."""

    givers: set[tuple[object, ...]] = field(default_factory=set)
    """Those that have assumed all that they can, by what policies tell apart of them."""
    done: set[tuple[object, ...]] = field(default_factory=set)
    """The sessions that were got."""


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
        self.mentioned = aws.mentioned
        self._mfa = (False, True) if self._tells_apart("aws:multifactorauth") else (False,)
        self._apart = Apart(self.mentioned)
        self._names: dict[str, list[str]] = {}
        self._choices: dict[tuple[object, ...], list[MintChoice]] = {}
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
                for mfa in self._mfa if source.kind == "password" else (source.like.mfa,):
                    self._take(replace(source.like, mfa=mfa), at, at + LONGEST_SESSION, words)
        valid = [one for one in self.held() if id(one) not in self._buried and self.aws.valid(one, at)]
        fresh, tried = [*valid, *self._outside], _Tried()
        while fresh:
            before = len(self.minted)
            self._tokens(fresh, at)
            self._roles(fresh, at, tried)
            self._again(fresh, at)
            fresh = list(islice(reversed(self.minted.values()), len(self.minted) - before))
            valid += fresh
        dead: dict[tuple[object, ...], bool] = {}
        for one in valid:
            alike = self._alike(one)
            if alike not in dead:
                dead[alike] = not self.aws.undenied(one, at) and not self._renews(one, at)
            if dead[alike]:
                self._buried[id(one)] = one

    def denies_were_lifted(self) -> None:
        """Look again at what was denied everything, and was passed over since."""
        self._buried.clear()

    def _tells_apart(self, beginning: str) -> bool:
        """Tell whether some policy compares a key that begins like this."""
        return any(key.startswith(beginning) for key in self.mentioned)

    def _tokens(self, valid: list[HeldCredential], at: datetime) -> None:
        """Get session and federation tokens with long-term keys."""
        for key in valid:
            if key.kind != "long_term_key":
                continue
            for mfa in self._mfa:  # no policy keeps anybody from it
                token = replace(key, kind="session_token", issued_at=at, mfa=mfa)
                self._take(token, at, at + TOKEN_LIFE, f"{key.id} gets a session token{_with(mfa)}", key)
            if self.aws.may(key, "sts:GetFederationToken", at):
                for name in self._federated_names(key):
                    arn = f"arn:aws:sts::{key.account}:federated-user/{name}"
                    token = replace(
                        key, kind="federation_token", issued_at=at, principal_arn=arn, principal=arn,
                        userid=f"{key.account}:{name}", type="FederatedUser", username=None,
                    )  # fmt: skip
                    self._take(token, at, at + TOKEN_LIFE, f"{key.id} gets a federation token", key)

    def _federated_names(self, key: HeldCredential) -> list[str]:
        """List the names that federated users of a key may be given to some effect."""
        if key.identity_arn not in self._names:
            seen = {
                credential.session_name
                for credential in self.aws.credentials.values()
                if credential.kind == "federation_token" and credential.identity_arn == key.identity_arn
            }
            self._names[key.identity_arn] = sorted(
                {NEW_NAME, *seen, *session_names(self.mentioned, key.account)}
            )
        return self._names[key.identity_arn]

    def _roles(self, valid: list[HeldCredential], at: datetime, tried: _Tried) -> None:
        """Assume every role that some credential of a principal can, under every name and with every choice."""
        trusting = [place[1] for place in self.aws.iam.places("trust")]
        for giver in valid:
            if giver.kind == "api_key" or (alike := self._alike(giver)) in tried.givers:
                continue  # with an API key nobody calls STS
            tried.givers.add(alike)
            for target in {*self.aws.edges.get(giver.principal_arn, ()), *trusting}:
                if target.endswith(":root"):
                    told: tuple[object, ...] = (target, giver.principal_arn)
                    if told not in tried.done and self.aws.may(giver, "sts:AssumeRoot", at):
                        self._take(
                            new_root(target), at, at + ROOT_LIFE, f"{_label(giver)} becomes root", giver
                        )
                        tried.done.add(told)
                else:
                    self._sessions(giver, target, at, tried.done)
            for target in self.aws.vends.get(giver.principal_arn, ()):
                told = ("vended", target, giver.account)
                if told not in tried.done and self.aws.may_be_vended(giver, target, at):
                    tried.done.add(told)
                    words = f"Lake Formation vends {target.rpartition('/')[2]} to {_label(giver)}"
                    self._take(
                        vended_session(self.aws, target, giver), at, at + LONGEST_SESSION, words, giver
                    )
            for target in self.aws.crosses.get(giver.principal_arn, ()):
                told = ("crossed", target, giver.account)
                if told not in tried.done and self.aws.may_cross(giver, target, at):
                    tried.done.add(told)
                    words = f"{_label(giver)} gets a token that opens {target}"
                    self._take(far_session(self.aws, target, giver), at, at + LONGEST_SESSION, words, giver)

    def _alike(self, one: HeldCredential) -> tuple[object, ...]:
        """All of a credential by which it may fare otherwise than another one in the same second."""
        named = (one.id, one.principal) if self.aws.iam.bans or one.kind in LASTING else None
        return (one.identity_arn, one.transitive, named, *self._apart.of(one))

    def _sessions(
        self, giver: HeldCredential, target: str, at: datetime, done: set[tuple[object, ...]]
    ) -> None:
        """Assume one role with one credential in every way that makes another session."""
        chained = giver.type == "AssumedRole" and giver.kind != "outsider"
        inherited = tuple(tag for tag in giver.tags if tag[0] in giver.transitive)
        names = self._session_names(target)
        for choice in self._mint_choices(giver):
            for name in names:
                told = (target, chained, giver.principal_arn, name, choice, inherited)
                if told in done or not self.aws.may_assume(giver, target, at, name, choice):
                    continue
                done.add(told)
                self._take(
                    new_session(self.aws, target, name, giver, choice), at, at + (HOUR if chained else LONGEST_SESSION),
                    f"{_label(giver)} assumes {target.rpartition('/')[2]} as {name}{_with(choice.mfa)}", giver,
                )  # fmt: skip

    def _session_names(self, role: str) -> list[str]:
        """List the names that sessions of a role may be given to some effect."""
        if role not in self._names:
            chosen = session_names(self.mentioned, unique_id(self.aws, role))
            self._names[role] = sorted({NEW_NAME, *self.aws.names[role], *chosen})
        return self._names[role]

    def _mint_choices(self, giver: HeldCredential) -> list[MintChoice]:
        key = (giver.source_identity, giver.username, giver.transitive)
        if key not in self._choices:
            self._choices[key] = mint_choices(giver, self.mentioned)
        return self._choices[key]

    def _again(self, valid: list[HeldCredential], at: datetime) -> None:
        """
        Get another session of the same identity: GetSigninToken, GetScopedCredentials, `aws login`.

        Whether `aws:TokenIssueTime` is then that of the call is not documented for the first two; it is taken to be,
        which is the worse case.
        """
        sign_ins = self._tells_apart("aws:signinsessionarn")
        for credential in valid:
            if credential.issued_at is None or credential.kind == "root_session":
                continue
            if self._key(credential, at) in self.minted and not sign_ins:
                continue
            if self._renews(credential, at):
                longest = at + LONGEST_SESSION if credential.type == "AssumedRole" else at
                expires = max(credential.expires or at, longest)
                words = f"{_label(credential)} carries itself into another session"
                self._take(credential, at, expires, words, credential)
                if sign_ins and credential.sign_in_session is None:
                    arn = f"arn:aws:signin:us-east-1:{credential.account}:session/new"
                    self._take(
                        replace(credential, sign_in_session=arn),
                        at,
                        expires,
                        f"{words} of aws login",
                        credential,
                    )

    def _renews(self, credential: HeldCredential, at: datetime) -> bool:
        ways = ("signin:GetSigninToken", "sts:GetScopedCredentials")
        return credential.issued_at is not None and any(self.aws.may(credential, way, at) for way in ways)

    @staticmethod
    def _key(like: HeldCredential, at: datetime) -> tuple[object, ...]:
        return (
            like.identity_arn, like.userid, at, like.source_identity, like.sign_in_session, like.mfa, like.tags,
            like.transitive,
        )  # fmt: skip

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
            mfa_at=at if like.mfa else None,
            expires=expires,
            history=how,
        )


def _label(one: HeldCredential) -> str:
    return f"{one.principal.partition('/')[2] or one.principal} ({one.kind.replace('_', ' ')})"


def _with(mfa: bool) -> str:
    return " with MFA" if mfa else ""


def new_root(arn: str) -> HeldCredential:
    """Make up a session of AssumeRoot."""
    account = arn.split(":")[4]
    return HeldCredential(
        id="", kind="root_session", account=account, identity_arn=arn, principal_arn=arn, principal=arn, userid=account,
        type="Account", assumed_root=True,
    )  # fmt: skip


def unique_id(aws: SimulatedAws, role: str) -> str:
    """Give a role's unique id, or one made up where no session shows it."""
    known = (one.userid for one in aws.credentials.values() if one.identity_arn == role)
    return next(known, f"AROA{role.rpartition('/')[2].upper()}:").partition(":")[0]


def new_session(
    aws: SimulatedAws, role: str, name: str, giver: HeldCredential, choice: MintChoice | None = None
) -> HeldCredential:
    """Make up a session of a role; a source identity, once set, goes with it, and so do transitive tags."""
    chosen = choice or MintChoice(source_identity=giver.source_identity)
    account, label = role.split(":")[4], role.rpartition("/")[2]
    inherited = {name: value for name, value in giver.tags if name in giver.transitive}
    return HeldCredential(
        id="", kind="assumed_role", account=account, identity_arn=role, principal_arn=role,
        principal=f"arn:aws:sts::{account}:assumed-role/{label}/{name}", userid=f"{unique_id(aws, role)}:{name}",
        type="AssumedRole", source_identity=chosen.source_identity, mfa=chosen.mfa,
        tags=tuple(sorted({**dict(chosen.tags), **inherited}.items())),
        transitive=frozenset(inherited) | (frozenset(dict(chosen.tags)) if chosen.transitive else frozenset()),
    )  # fmt: skip


def vended_session(aws: SimulatedAws, role: str, giver: HeldCredential) -> HeldCredential:
    """Make up a session of a role that Lake Formation vends: it names the session, and takes nothing over."""
    vendor = replace(giver, tags=(), transitive=frozenset())
    return new_session(aws, role, f"{VENDED}00-NA-{giver.account}-0000000000", vendor, MintChoice())


def far_session(aws: SimulatedAws, role: str, giver: HeldCredential) -> HeldCredential:
    """Make up a session of a role of another partition, which a token opens: nothing of the caller's goes with it."""
    partition, account = role.split(":")[1], role.split(":")[4]
    issuer = f"{giver.account}.tokens.sts.global.api.aws"
    caller = replace(giver, tags=(), transitive=frozenset(), source_identity=None)
    session = new_session(aws, role, NEW_NAME, caller, MintChoice())
    return replace(
        session,
        kind="assumed_role_web_identity",
        principal=session.principal.replace("arn:aws:", f"arn:{partition}:", 1),
        provider=f"arn:{partition}:iam::{account}:oidc-provider/{issuer}",
    )


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
        elif one.kind in ("assumed_role_saml", "assumed_role_web_identity") and aws.parents[one.id] is None:
            yield Source(kind="provider", names=frozenset({*common, one.provider or ""}), like=one)
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
