"""
Hypothesis strategies: random worlds of credentials, small enough to draw by the hundred.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st

from tokentrail.testing import ConsoleSession, Credential, LongTermKey, Role, User, WorkloadSession, World
from tokentrail.testing.sts import Sides

HOME, AWAY = "111122223333", "444455556666"
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DEEPEST = 6
"""How long a chain of sessions may become."""

ROLES = ("Deploy", "Audit", "MyBucketRole", "Admin")
NAMES = ("ada", "grace", "support")
ACTIONS = ("s3:ListBuckets", "ec2:DescribeInstances", "dynamodb:GetItem", "sts:GetCallerIdentity")


class Play:
    """Applies drawn steps to a world; a step that makes no sense where it stands does nothing."""

    def __init__(self, world: World, number: int = 0) -> None:
        """
        Begin with nobody.

        Args:
            world: Where it is played.
            number: Which of several plays in this world it is: each has two accounts of its own.
        """
        self.world = world
        self.home, self.away = (f"{int(one) + number}" for one in (HOME, AWAY))
        self.cast: list[tuple[Credential, int]] = []
        world.account_id = self.home

    def other(self, account: str) -> str:
        """The other of its two accounts."""
        return self.home if account == self.away else self.away

    def joins(self, credential: Credential, depth: int = 0) -> None:
        """Put a credential among those that may act."""
        self.cast.append((credential, depth))

    def actors(self, kind: type[Credential] = Credential) -> list[tuple[Credential, int]]:
        """List those that are of a class and still valid."""
        now = self.world.now
        return [
            (one, depth)
            for one, depth in self.cast
            if isinstance(one, kind) and (one.entry.expires_at is None or one.entry.expires_at > now)
        ]

    def pick(self, number: int, kind: type[Credential] = Credential) -> tuple[Credential, int] | None:
        """Choose somebody; every other time whoever came last, so that chains grow long."""
        actors = self.actors(kind)
        if not actors:
            return None
        return actors[-1] if number % 2 else actors[number // 2 % len(actors)]


Step = Callable[[Play, int, int], None]


def user(play: Play, a: int, b: int) -> None:
    """Let an IAM user act through a long-term key, the first or a further one."""
    known = play.world.user(NAMES[a % 3], account=play.away if b % 5 == 0 else play.home)
    play.joins(known.key() if b % 7 == 0 else known)


def assume(play: Play, a: int, b: int) -> None:
    """Chain into a role of the same account."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        play.joins(chosen[0].assumes(ROLES[b % 4], f"session-{b % 3}"), chosen[1] + 1)


def assume_across(play: Play, a: int, b: int) -> None:
    """Chain into a role of the other account, with both trails in the evidence or one."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        other = play.other(chosen[0].account)
        sides: tuple[Sides, ...] = ("both", "caller", "role")
        session = chosen[0].assumes(
            ROLES[b % 4], f"from-{chosen[0].account}", account=other, sides=sides[b % 3]
        )
        play.joins(session, chosen[1] + 1)


def assume_unseen(play: Play, a: int, b: int) -> None:
    """Chain into a role while nobody writes it down; the session is used afterwards."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        with play.world.unlogged():
            session = chosen[0].assumes(ROLES[b % 4], "unseen")
        session.calls(ACTIONS[b % 4])
        play.joins(session, chosen[1] + 1)


def session_token(play: Play, a: int, b: int) -> None:
    """Get a session of the same user."""
    if (chosen := play.pick(a, LongTermKey)) and isinstance(chosen[0], LongTermKey):
        play.joins(chosen[0].gets_session_token(duration=129600 if b % 2 else None), chosen[1] + 1)


def federation_token(play: Play, a: int, b: int) -> None:
    """Make a federated user."""
    if (chosen := play.pick(a, LongTermKey)) and isinstance(chosen[0], LongTermKey):
        token = chosen[0].gets_federation_token(f"guest-{b % 3}")
        token.calls("s3:ListBuckets")


def created_key(play: Play, a: int, b: int) -> None:
    """Create a long-term key, which outlives its maker."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        owner = play.world.user(NAMES[b % 3], account=chosen[0].account)
        play.joins(chosen[0].creates_access_key(owner), chosen[1] + 1)


def created_api_key(play: Play, a: int, b: int) -> None:
    """Create an API key of a user of its own, whose records show no id, or of another one, whose records do."""
    if chosen := play.pick(a):
        one = chosen[0]
        own = bool(b % 2)
        owner = (
            one.creates_user(f"bot-{len(play.world.truth)}")
            if own
            else play.world.user(NAMES[b % 3], account=one.account)
        )
        key = one.creates_api_key(owner, days=30 if b % 3 else None, shows_id=not own)
        if b % 4:
            key.calls("bedrock:InvokeModel", {"modelId": "m"}, count=b % 4)


def console(play: Play, a: int, b: int) -> None:
    """Sign in to the console and look around, or leave at once."""
    session = play.world.console_sign_in(play.world.user(NAMES[a % 3]), mfa=b % 2 == 0)
    if b % 4:
        session.calls(ACTIONS[b % 4], count=b % 4)
    play.joins(session)


def switch_role(play: Play, a: int, b: int) -> None:
    """Switch roles in the console, and look around."""
    if (chosen := play.pick(a, ConsoleSession)) and isinstance(chosen[0], ConsoleSession):
        session = chosen[0].switches_role(ROLES[b % 4])
        session.calls(ACTIONS[b % 4], count=1 + b % 2)
        play.joins(session, chosen[1] + 1)


def identity_center(play: Play, a: int, b: int) -> None:
    """Come in through Identity Center, by command line or browser, as somebody who may have been made known just before."""
    name = f"{NAMES[a % 3]}@example.com"
    if b % 4 == 1 and (chosen := play.pick(a)):
        chosen[0].creates_directory_user(play.world.person(name, play.away))
    session = play.world.identity_center(
        name,
        ("Developer", "Support")[b % 2],
        directory_account=play.away,
        console=b % 3 == 0,
    )
    session.calls(ACTIONS[b % 4], count=1 + b % 2)
    play.joins(session)


def instance(play: Play, a: int, b: int) -> None:
    """Start an instance, or deliver the next credentials to one."""
    known = play.pick(a, WorkloadSession)
    if known and b % 2 and isinstance(known[0], WorkloadSession):
        play.joins(known[0].rotates())
    else:
        play.joins(play.world.instance(ROLES[a % 4], delivery=("1.0", "2.0")[b % 2]))


def started(play: Play, a: int, b: int) -> None:
    """Have somebody start an instance, a task, a build or a function, which acts through whoever did."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        one = chosen[0]
        starts = (
            one.runs_instance, one.runs_task, partial(one.starts_build, "site"), partial(one.creates_function, f"f-{a}"),
        )  # fmt: skip
        play.joins(starts[b % 4](ROLES[a % 4]), chosen[1] + 1)


def function(play: Play, a: int, b: int) -> None:
    """Let a function run."""
    play.joins(play.world.function(ROLES[a % 4], f"function-{b % 2}"))


def service(play: Play, a: int, b: int) -> None:
    """Let an AWS service work under its service-linked role."""
    session = play.world.service("backup.amazonaws.com", "AWSServiceRoleForBackup")
    session.calls("ec2:DescribeVolumes", count=b % 3)


def oidc(play: Play, a: int, b: int) -> None:
    """Come in from a build pipeline."""
    play.joins(play.world.oidc(ROLES[a % 4], f"repo:example/shop-{b % 2}:ref:refs/heads/main"))


def saml(play: Play, a: int, b: int) -> None:
    """Come in from a SAML provider."""
    play.joins(play.world.saml(ROLES[b % 4], f"{NAMES[a % 3]}@example.com"))


def forwarded(play: Play, a: int, b: int) -> None:
    """Have a service call others in somebody's name."""
    if chosen := play.pick(a):
        service = ("cloudformation.amazonaws.com", "athena.amazonaws.com")[b % 2]
        chosen[0].via(service, fresh_key=b % 3 != 0).calls("ec2:DescribeVpcs", count=1 + b % 2)


def call(play: Play, a: int, b: int) -> None:
    """Call something."""
    if chosen := play.pick(a):
        chosen[0].calls(ACTIONS[b % 4], count=1 + b % 2)


def call_outside(play: Play, a: int, b: int) -> None:
    """Call something of another account's, whose log alone has it."""
    if chosen := play.pick(a):
        owner = play.other(chosen[0].account)
        chosen[0].calls("s3:GetObject", {"bucketName": "far", "key": "{n}"}, owner=owner, count=1 + b % 2)


def denied(play: Play, a: int, b: int) -> None:
    """Be refused a role; this mints nothing."""
    if chosen := play.pick(a):
        chosen[0].denied("sts:AssumeRole", play.world.role(ROLES[b % 4]), explicit=b % 2 == 0)


def repeat(play: Play, a: int, b: int) -> None:
    """Deliver a record twice."""
    if records := play.world.records():
        play.world.repeat(records[a % len(records)])


def wait(play: Play, a: int, b: int) -> None:
    """Let up to half an hour pass."""
    play.world.wait(minutes=1 + a % 30)


def login(play: Play, a: int, b: int) -> None:
    """Run `aws login` on the strength of a browser session."""
    if (chosen := play.pick(a, ConsoleSession)) and isinstance(chosen[0], ConsoleSession):
        session = chosen[0].logs_in()
        session.calls(ACTIONS[b % 4])
        play.joins(session, chosen[1] + 1)


def signin_token(play: Play, a: int, b: int) -> None:
    """Carry a session into a browser."""
    chosen = play.pick(a)
    if chosen and chosen[0].identity.type == "AssumedRole" and chosen[0].entry.key and chosen[1] < DEEPEST:
        session = chosen[0].gets_signin_token(session_duration=3600 if b % 2 else None)
        session.calls(ACTIONS[b % 4], count=1 + b % 2)
        play.joins(session, chosen[1] + 1)


def scoped(play: Play, a: int, b: int) -> None:
    """Make a child with less power."""
    chosen = play.pick(a)
    if chosen and chosen[0].identity.created and chosen[0].entry.key and chosen[1] < DEEPEST:
        play.joins(chosen[0].gets_scoped_credentials(duration=900 + b), chosen[1] + 1)


def root(play: Play, a: int, b: int) -> None:
    """Become a member account's root for a task."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        session = chosen[0].assumes_root(play.away)
        session.calls("s3:DeleteBucketPolicy", {"bucketName": "locked"})


def certificate(play: Play, a: int, b: int) -> None:
    """Come in with a certificate, of an authority that somebody may have had trusted just before."""
    anchor = f"arn:aws:rolesanywhere:us-east-1:{play.home}:trust-anchor/{b % 2}" if b % 3 else None
    if anchor and (chosen := play.pick(a)):
        answer = {"trustAnchor": {"trustAnchorArn": anchor}}
        chosen[0].calls("rolesanywhere:CreateTrustAnchor", {"name": "ours"}, response=answer, read_only=False)
    chosen = play.pick(b)
    serial = chosen[0].issues_certificate() if chosen and b % 4 == 1 else None
    play.joins(play.world.roles_anywhere(ROLES[a % 4], f"host-{b % 3}", anchor=anchor, serial=serial))


def data_access(play: Play, a: int, b: int) -> None:
    """Read a table's data with a session of Lake Formation's, within an account or across."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        other = play.other(chosen[0].account)
        session = chosen[0].gets_data_access(
            ROLES[b % 4], account=other if b % 5 == 0 else None, names_principal=b % 2 == 0
        )
        session.calls("s3:GetObject", {"bucketName": "lake", "key": "{n}"}, count=1 + b % 2)
        play.joins(session, chosen[1] + 1)


def across_partitions(play: Play, a: int, b: int) -> None:
    """Assume a role of another partition by a token, which may be asked for unseen."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        role = play.world.role(f"arn:aws-cn:iam::555566667777:role/{ROLES[b % 4]}")
        if b % 5 == 0:
            chosen[0].gets_web_identity_token()
        elif b % 5 == 1:
            with play.world.unlogged():
                session = chosen[0].assumes_across_partitions(role)
            session.calls(ACTIONS[b % 4])
        else:
            play.joins(chosen[0].assumes_across_partitions(role, f"far-{b % 2}"), chosen[1] + 1)


def delegate(play: Play, a: int, b: int) -> None:
    """Approve a partner's request, whether its account's trail is in the evidence or not; the partner acts."""
    partner = play.pick(b)
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        trader = partner[0] if partner and b % 3 == 0 else None
        session = chosen[0].delegates(play.away, traded_by=trader)
        session.calls(ACTIONS[b % 4], count=1 + b % 2)


def trust(play: Play, a: int, b: int) -> None:
    """Change whom a role trusts."""
    if chosen := play.pick(a):
        account = chosen[0].account
        principals: tuple[dict[str, str], ...] = (
            {"AWS": f"arn:aws:iam::{play.other(account)}:root"},
            {"AWS": f"arn:aws:iam::{account}:root"},
            {"Federated": f"arn:aws:iam::{account}:saml-provider/corporate"},
            {"AWS": "*"},
        )
        chosen[0].iam(
            "UpdateAssumeRolePolicy",
            roleName=ROLES[b % 4],
            policyDocument=json.dumps({
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principals[b // 4 % 4]}],
            }),
        )  # fmt: skip


def key_status(play: Play, a: int, b: int) -> None:
    """Make a long-term key inactive, or active again, or delete it."""
    chosen, key = play.pick(a), play.pick(b, LongTermKey)
    if chosen and key and isinstance(key[0], LongTermKey):
        told = {"userName": key[0].user.name, "accessKeyId": key[0].key_id}
        if b % 3:
            chosen[0].iam("UpdateAccessKey", **told, status=("Active", "Inactive")[b % 3 - 1])
        else:
            chosen[0].iam("DeleteAccessKey", **told)


COMMON: Sequence[Step] = (
    user,
    assume,
    assume_across,
    assume_unseen,
    session_token,
    federation_token,
    created_key,
    created_api_key,
    console,
    switch_role,
    identity_center,
    instance,
    started,
    function,
    service,
    oidc,
    saml,
    forwarded,
    call,
    call,
    call_outside,
    denied,
    wait,
)
RARE: Sequence[Step] = (
    login, signin_token, scoped, root, certificate, data_access, across_partitions, delegate,
)  # fmt: skip
"""Ways whose records AWS documents in part only, so that their shapes here are partly assumed."""
EDITS: Sequence[Step] = (trust, trust, key_status, key_status, assume_across)
"""Changes that tell of what others did afterwards who made it possible, or who can't have."""


def worlds(
    *,
    rare: bool = False,
    duplicates: bool = True,
    edits: bool = False,
    largest: int = 24,
    seeds: st.SearchStrategy[int] | None = None,
    together: int = 1,
) -> st.SearchStrategy[World]:
    """
    Draw worlds in which credentials are born, chained, used and refused.

    Args:
        rare: Whether the rarer ways in are drawn too.
        duplicates: Whether records may be delivered twice.
        edits: Whether roles' trust and keys' status are changed, which what a world knows of parents leaves out.
        largest: The most steps that a world takes.
        seeds: What identifiers are drawn from.
        together: How many worlds are played one after the other in one, each in accounts of its own. A case of them
            takes hardly longer than a case of one, so that many are tried in the time of few.
    """
    steps = [*COMMON, *(RARE if rare else ()), *((repeat,) if duplicates else ()), *(EDITS if edits else ())]
    numbers = st.integers(0, 59)
    drawn = st.lists(
        st.tuples(st.sampled_from(steps), numbers, numbers), min_size=min(6, largest), max_size=largest
    )
    plays = st.lists(drawn, min_size=together, max_size=together)
    return st.builds(_played, plays, seeds if seeds is not None else st.integers(0, 9))


def _played(plays: list[list[tuple[Step, int, int]]], seed: int) -> World:
    world = World(START, seed)
    for number, steps in enumerate(plays):
        play = Play(world, number)
        user(play, 0, 1)
        for step, a, b in steps:
            step(play, a, b)
    return world


TOGETHER = 5
"""Worlds in a case of a law of lineage."""
FIFTY_WORLDS = settings(max_examples=max(50 // TOGETHER, settings().max_examples))
"""How many cases such a law is tried on: fifty worlds, and more where more is asked for."""


# ------------------------------------------------------------------------------------------------ containment


@dataclass(frozen=True)
class Incident:
    """A theft in the midst of other people's work."""

    world: World
    subject: str
    """The leaked key's id."""
    tainted: frozenset[str]
    """All that came of it, by id, expired and ended ones too."""
    innocents: frozenset[str]
    """Everything else that the evidence shows."""
    at: datetime
    """The moment, which is that of the newest event."""
    exact: bool = True
    """Whether a proof can be expected to see every escape that there is not, besides every one that there is."""
    possible: frozenset[str] = frozenset()
    """Sessions of the thief's whose records name its principal and not which of the principal's credentials asked."""
    guarded: tuple[str, ...] = ()
    """The roles on which somebody put a deny that holds for some credentials, or at some times, by ARN."""


ASSUMED_BY = ("ria", "eve")
"""Source identities: the one that guards ask for, and another."""
MFA = f"arn:aws:iam::{HOME}:mfa/phone"


@dataclass(frozen=True)
class Guard:
    """A deny of everything that holds for some credentials, or some requests of theirs."""

    condition: Callable[[datetime], dict[str, object]]
    """By the time at which it is written."""
    passes: dict[str, str]
    """How a session is minted that gets past it, beyond what every session of the builder's has."""
    exact: bool = True
    """Whether an attacker gets past it with whatever is left to him."""


GUARDS = (
    Guard(lambda _: {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, {"mfa": MFA}),
    Guard(lambda _: {"NumericGreaterThanIfExists": {"aws:MultiFactorAuthAge": "3600"}}, {"mfa": MFA}, exact=False),
    Guard(lambda _: {"StringNotEquals": {"aws:SourceIdentity": "ria"}}, {"source_identity": "ria"}),
    Guard(lambda _: {"StringNotEquals": {"aws:PrincipalTag/team": "ops"}}, {}),
    Guard(lambda _: {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}}, {}),
    Guard(lambda _: {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}, {}),
    Guard(lambda now: {"NumericLessThan": {"aws:EpochTime": _epoch(now, -1)}}, {}),
    Guard(lambda now: {"DateGreaterThan": {"aws:CurrentTime": f"{now + timedelta(days=2):%Y-%m-%d}"}}, {}, exact=False),
)  # fmt: skip
"""
Denies as careful people write them, of the role or user that they stand on.

An attacker gets past any two of them at once, so that it does not matter to a proof that it takes denies one by one.
"""
ENTRIES = (
    Guard(lambda _: {"Bool": {"aws:MultiFactorAuthPresent": "true"}}, {"mfa": MFA}),
    Guard(lambda _: {"StringEquals": {"sts:ExternalId": "shared"}}, {"external_id": "shared"}),
    Guard(lambda _: {"StringEquals": {"sts:SourceIdentity": "ria"}}, {"source_identity": "ria"}),
    Guard(lambda _: {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, {}),
    Guard(lambda _: {}, {}),
)  # fmt: skip
"""Conditions of a role's trust policy."""


USER_GUARDS = (
    Guard(lambda _: {"Bool": {"aws:MultiFactorAuthPresent": "false"}}, {"mfa": MFA}),
    *(guard for guard in GUARDS if not guard.passes),
)
"""Denies that a long-term key gets past by itself."""
MANAGEMENT = "999988887777"
"""The organisation's management account."""
FAR_ROLES = ("arn:aws-cn:iam::555566667777:role/Deploy", "arn:aws-cn:iam::555566667777:role/Audit")
ACCOMPLICE = "777788889999"
"""The account of whom somebody lets act as themselves."""


def _epoch(moment: datetime, hours: int = 0) -> str:
    return str(int((moment + timedelta(hours=hours)).timestamp()))


def _denying(condition: Mapping[str, object]) -> dict[str, object]:
    """A policy of one deny."""
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _support(world: World) -> Credential:
    """The key of a support engineer."""
    return world.user("support")


class Theft:
    """Applies drawn deeds to a world: the thief's, the colleagues', the responder's."""

    def __init__(self, seed: int, leaks: Callable[[World], Credential] = _support) -> None:
        self.world = World(START, seed)
        self.leaked = leaks(self.world)
        self.theirs: list[Credential] = []
        self.possible: set[str] = set()
        self.delegated: set[str] = set()
        """As whom the thief let the partner act, by ARN."""
        self.colleagues: list[Credential] = []
        self.dead: set[str] = set()
        self.cutoffs: dict[str, datetime] = {}
        self.passwords: set[str] = set()
        self.closed: set[str] = set()
        """Roles of which nobody is seen any more."""
        self.passes: dict[str, dict[str, str]] = {}
        """How sessions of guarded roles are minted, and tokens of guarded users, by ARN."""
        self.exact = True
        self.guarded: list[str] = []
        self.steals(self.leaked)

    def steals(self, credential: Credential) -> None:
        """Count a credential among the thief's, and let it be seen."""
        credential.calls("s3:ListBuckets")
        self.theirs.append(credential)

    def comes(self, credential: Credential) -> None:
        """Count a credential among the colleagues', and let it be seen."""
        credential.calls("ec2:DescribeInstances")
        self.colleagues.append(credential)

    def thief(self, number: int, kind: type[Credential] = Credential) -> Credential | None:
        """Choose one of the thief's that still works; every other time the newest."""
        able = [one for one in self.theirs if isinstance(one, kind) and self._works(one)]
        return (able[-1] if number % 2 else able[number // 2 % len(able)]) if able else None

    def guards(self, arn: str, guard: Guard) -> None:
        """Note a guard on a role or user; what is not minted for it is seen no more."""
        self.exact &= guard.exact
        self.guarded += [arn] if ":role/" in arn else []
        if guard.passes:
            self.passes[arn] = {**self.passes.get(arn, {}), **guard.passes}
            for credential in (*self.theirs, *self.colleagues):
                identity = credential.identity
                of_it = arn in (identity.arn, (identity.issuer or {}).get("arn"))
                if of_it and identity.created and identity.type != "FederatedUser":
                    self.dead.add(credential.id)

    def assumes(
        self,
        giver: Credential,
        role: str,
        name: str,
        account: str | None = None,
        *,
        source_identity: str | None = None,
    ) -> Credential | None:
        """Assume a role so that its guards let the session act, if that can be."""
        arn = self.world.role(role, account=account or giver.account).arn
        wanted = self.passes.get(arn, {})
        held = giver.identity.source_identity
        chosen = wanted.get("source_identity") or held or source_identity
        if arn in self.closed or (held and chosen != held):
            return None
        self.exact &= chosen in (None, "ria")
        options = {**wanted, **({"source_identity": chosen} if chosen and not held else {})}
        if held:
            options.pop("source_identity", None)
        return giver.assumes(role, name, account=account, **options)  # type: ignore[arg-type]  # each a text

    def role_of_interest(self, number: int) -> Role:
        """Choose a role at home: mostly one that the thief has been in, if there is one."""
        arns = [(one.identity.issuer or {}).get("arn", "") for one in self.theirs]
        names = [arn.rpartition("/")[2] for arn in arns if arn.startswith(f"arn:aws:iam::{HOME}:role/")]
        names = [name for name in dict.fromkeys(names) if name in ROLES]
        return self.world.role(names[number // 4 % len(names)] if names and number % 4 else ROLES[number % 4])

    def spared(self, role: str, account: str = HOME) -> bool:
        """Tell whether a role has no guard that needs sessions minted for it."""
        arn = self.world.role(role, account=account).arn
        return arn not in self.closed and arn not in self.passes

    def signs_in(self, name: str) -> ConsoleSession:
        """Sign a user in to the console, with MFA where a guard asks for it."""
        user = self.world.user(name)
        return self.world.console_sign_in(user, mfa=user.arn in self.passes)

    def device(self, key: LongTermKey) -> str | None:
        """Give the MFA device with which a user gets tokens that its guards let act."""
        return self.passes.get(key.arn, {}).get("mfa")

    def _works(self, one: Credential) -> bool:
        created, issuer = one.identity.created, (one.identity.issuer or {}).get("arn", "")
        if (
            one.id in self.dead
            or issuer in self.closed
            or (one.entry.expires_at and one.entry.expires_at <= self.world.now)
        ):
            return False
        return issuer not in self.cutoffs or (created is not None and created >= self.cutoffs[issuer])


Deed = Callable[[Theft, int, int], None]
SESSION_NAMES = ("support", "grace", "deploy")


def _may_assume(one: Credential) -> bool:
    """Whether a credential can assume roles of the partition that the story is set in."""
    return one.identity.type in ("IAMUser", "AssumedRole") and one.arn.startswith("arn:aws:")


def thief_assumes(theft: Theft, a: int, b: int) -> None:
    """Assume a role here or in the other account, under whatever name; twice, and roles juggle."""
    if (one := theft.thief(a)) and _may_assume(one):
        account = AWAY if b % 3 == 0 else HOME
        chosen = (None, None, None, *ASSUMED_BY)[(a + b) % 5]
        if session := theft.assumes(one, ROLES[b % 4], SESSION_NAMES[a % 3], account, source_identity=chosen):
            theft.steals(session)


def thief_juggles(theft: Theft, a: int, b: int) -> None:
    """Assume one role from another, and back."""
    back = theft.thief(a)
    for number, name in ((b, "ping"), (b + 1, "pong"), (b, "ping")):
        if back is None or not _may_assume(back):
            return
        back = theft.assumes(back, ROLES[number % 4], name)
    if back is not None:
        theft.steals(back)


def thief_gets_session_token(theft: Theft, a: int, b: int) -> None:
    """Get a session that outlives the key."""
    if isinstance(one := theft.thief(a, LongTermKey), LongTermKey):
        duration = (129600, 900, None)[b % 3]
        theft.steals(one.gets_session_token(duration=duration, mfa_serial=theft.device(one)))


def thief_gets_federation_token(theft: Theft, a: int, b: int) -> None:
    """Get a federated user, and carry it into a browser."""
    if isinstance(one := theft.thief(a, LongTermKey), LongTermKey):
        token = one.gets_federation_token(f"guest-{b % 2}")
        theft.steals(token)
        if b % 3 == 0:
            theft.steals(token.gets_signin_token(session_duration=None))


def thief_creates_key(theft: Theft, a: int, b: int) -> None:
    """Make a key for somebody else, or for a user of one's own."""
    if (one := theft.thief(a)) and _may_assume(one):
        if b % 2 or one.account != HOME:
            owner: User = one.creates_user(f"helper-{theft.world.now:%H%M%S}")
        else:
            owner = theft.world.user("grace").user
        theft.steals(one.creates_access_key(owner))


def thief_creates_api_key(theft: Theft, a: int, b: int) -> None:
    """Make an API key for a colleague, whose records show its id, or for a user of one's own, whose records do not."""
    if (one := theft.thief(a)) and _may_assume(one):
        own = bool(b % 2) or one.account != HOME
        owner = one.creates_user(f"bot-{theft.world.now:%H%M%S}") if own else theft.world.user("grace").user
        key = one.creates_api_key(owner, days=(None, 1)[b % 3 == 0], shows_id=not own)
        if b % 4:  # else it is not seen in use
            key.seen_from(one.ip).calls("bedrock:InvokeModel", {"modelId": "m"})


def thief_sets_password(theft: Theft, a: int, b: int) -> None:
    """Give a colleague a password, and sign in with it, or not yet."""
    one = theft.thief(a)
    if one and _may_assume(one) and one.account == HOME:
        one.iam("CreateLoginProfile", userName=NAMES[b % 2])
        theft.passwords.add(NAMES[b % 2])
        theft.world.user(NAMES[b % 2])
        if b % 3:
            theft.steals(theft.signs_in(NAMES[b % 2]))


def thief_starts_instance(theft: Theft, a: int, b: int) -> None:
    """Start a machine, a task or a build, whose role gives credentials for as long as it runs."""
    if (one := theft.thief(a)) and _may_assume(one) and theft.spared(ROLES[b % 4], one.account):
        starts = one.runs_instance, one.runs_task, partial(one.starts_build, "site")
        theft.steals(starts[b // 4 % 3](ROLES[b % 4]))


def thief_reads_lake(theft: Theft, a: int, b: int) -> None:
    """Have Lake Formation vend a session of the role that a table's location is registered with, here or across."""
    if (one := theft.thief(a)) and _may_assume(one):
        across = b % 5 == 0
        account = (AWAY if one.account == HOME else HOME) if across else one.account
        if theft.spared(ROLES[b % 4], account):
            session = one.gets_data_access(ROLES[b % 4], account=account)
            if across:
                session.calls("s3:GetObject", {"bucketName": "lake", "key": "{n}"})
                theft.possible.add(session.id)
            else:
                theft.steals(session)


def thief_crosses_partitions(theft: Theft, a: int, b: int) -> None:
    """Open a role of another partition by a token."""
    if (one := theft.thief(a)) and _may_assume(one):
        session = one.assumes_across_partitions(theft.world.role(FAR_ROLES[b % 2]), SESSION_NAMES[a % 3])
        session.calls("s3:ListBuckets", region="cn-north-1")
        theft.theirs.append(session)


def thief_delegates(theft: Theft, a: int, b: int) -> None:
    """Let an accomplice, whose account nobody has a log of, act as oneself for a while."""
    if (one := theft.thief(a)) and _may_assume(one) and one.arn not in theft.passes:
        theft.steals(one.delegates(ACCOMPLICE))
        theft.delegated.add(one.arn)


def colleague_reads_lake(theft: Theft, a: int, b: int) -> None:
    """Have Lake Formation vend a session to somebody who works with its tables."""
    if theft.spared(ROLES[b % 4]):
        theft.comes(theft.world.user(NAMES[a % 2]).gets_data_access(ROLES[b % 4]))


def colleague_crosses_partitions(theft: Theft, a: int, b: int) -> None:
    """Work in another partition, in a role that the thief may be in too."""
    session = theft.world.user(NAMES[a % 2]).assumes_across_partitions(theft.world.role(FAR_ROLES[b % 2]))
    session.calls("s3:ListBuckets", region="cn-north-1")
    theft.colleagues.append(session)


def colleague_delegates(theft: Theft, a: int, b: int) -> None:
    """Let a partner act as oneself."""
    one = theft.world.user(NAMES[a % 2])
    if one.arn not in theft.passes:
        session = one.delegates(ACCOMPLICE)
        theft.comes(session)
        if (
            one.arn in theft.delegated
        ):  # its records name both approvers' identity, and not which request it is of
            theft.possible.add(session.id)


def colleague_assumes(theft: Theft, a: int, b: int) -> None:
    """Work in a role that the thief may be in too, under a name that the thief may use too."""
    who = theft.world.user(NAMES[a % 2])
    account = AWAY if b % 3 == 0 else HOME
    if session := theft.assumes(who, ROLES[b % 4], SESSION_NAMES[a % 3], account):
        theft.comes(session)


def colleague_chains(theft: Theft, a: int, b: int) -> None:
    """Come from Identity Center into a role."""
    person = theft.world.identity_center(f"{NAMES[a % 2]}@example.com", "Support", directory_account=AWAY)
    theft.comes(person)
    if session := theft.assumes(person, ROLES[b % 4], SESSION_NAMES[a % 3]):
        theft.comes(session)


def colleague_of_the_user(theft: Theft, a: int, b: int) -> None:
    """Use another key of the very user whose key was stolen, and a session of it."""
    key = theft.world.user("support").key()
    theft.comes(key)
    if a % 2:
        theft.comes(key.gets_session_token(mfa_serial=theft.device(key)))


def colleague_calls(theft: Theft, a: int, b: int) -> None:
    """Use one's own key or token."""
    key = theft.world.user(NAMES[a % 2])
    theft.comes(key.gets_session_token(mfa_serial=theft.device(key)) if b % 2 else key)


def colleague_console(theft: Theft, a: int, b: int) -> None:
    """Sign in to the console; by a password that the thief has set, nobody can say who it is."""
    session = theft.signs_in(NAMES[a % 2])
    (theft.steals if NAMES[a % 2] in theft.passwords else theft.comes)(session)


def machine(theft: Theft, a: int, b: int) -> None:
    """Run an instance, in a role that people assume too."""
    if theft.spared(ROLES[b % 4]):
        theft.comes(theft.world.instance(ROLES[b % 4]))


def responder_deactivates(theft: Theft, a: int, b: int) -> None:
    """Do the first thing that comes to mind."""
    if theft.leaked.id not in theft.dead:
        responder = theft.world.user("responder")
        responder.deactivates(theft.leaked)
        theft.comes(responder)
        theft.dead.add(theft.leaked.id)
        theft.world.wait(10)


def responder_revokes(theft: Theft, a: int, b: int) -> None:
    """Do the second thing."""
    role, responder = theft.world.role(ROLES[b % 4]), theft.world.user("responder")
    theft.cutoffs[role.arn] = theft.world.now + timedelta(seconds=30)
    responder.revokes_sessions(role)
    theft.comes(responder)
    theft.world.wait(40)


def admin_guards_role(theft: Theft, a: int, b: int) -> None:
    """Deny a role everything but for some sessions: in its own policy, its permissions boundary, or the organisation."""
    role, guard, admin = theft.role_of_interest(b), GUARDS[a % len(GUARDS)], theft.world.user("admin")
    condition = guard.condition(theft.world.now)
    theft.guards(role.arn, guard)
    if a // len(GUARDS) % 3 == 0:
        admin.iam(
            "PutRolePolicy", roleName=role.name, policyName=f"Guard{a}", policyDocument=_denying(condition)
        )
    elif a // len(GUARDS) % 3 == 1:
        name = f"Guard{theft.world.now:%H%M%S}"
        admin.iam("CreatePolicy", policyName=name, policyDocument=_denying(condition))
        arn = f"arn:aws:iam::{HOME}:policy/{name}"
        admin.iam("PutRolePermissionsBoundary", roleName=role.name, permissionsBoundary=arn)
    else:
        _governs(theft, _denying({**condition, "ArnLike": {"aws:PrincipalArn": role.arn}}))
    theft.comes(admin)
    theft.world.wait(20)


def _governs(theft: Theft, document: dict[str, object]) -> None:
    """Attach a service control policy to the account at home."""
    governor = theft.world.user("governor", account=MANAGEMENT)
    policy = f"p-{theft.world.now:%H%M%S}"
    wanted = {"content": json.dumps(document), "name": policy, "type": "SERVICE_CONTROL_POLICY"}
    answer = {"policy": {"policySummary": {"id": policy}}}
    governor.calls("organizations:CreatePolicy", wanted, response=answer, read_only=False)
    governor.calls("organizations:AttachPolicy", {"policyId": policy, "targetId": HOME}, read_only=False)
    theft.comes(governor)


def admin_guards_user(theft: Theft, a: int, b: int) -> None:
    """Deny a user everything but for some tokens; the long-term key itself has no MFA and is spared."""
    guard = USER_GUARDS[a % len(USER_GUARDS)]
    user, admin = theft.world.user(("support", *NAMES)[b % 4]), theft.world.user("admin")
    theft.guards(user.arn, guard)
    document = _denying(guard.condition(theft.world.now))
    admin.iam("PutUserPolicy", userName=user.user.name, policyName=f"Guard{a}", policyDocument=document)
    theft.comes(admin)
    theft.world.wait(20)


def admin_guards_entry(theft: Theft, a: int, b: int) -> None:
    """Let only some callers of the account into a role, by its trust policy."""
    role, entry, admin = theft.role_of_interest(b), ENTRIES[a % len(ENTRIES)], theft.world.user("admin")
    condition = entry.condition(theft.world.now)
    statement = {
        "Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in (HOME, AWAY)]},
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"], **({"Condition": condition} if condition else {}),
    }  # fmt: skip
    document = {"Version": "2012-10-17", "Statement": [statement]}
    admin.iam("UpdateAssumeRolePolicy", roleName=role.name, policyDocument=document)
    theft.comes(admin)
    theft.passes[role.arn] = {**theft.passes.get(role.arn, {}), **entry.passes}
    theft.exact = False
    theft.world.wait(20)


def responder_closes(theft: Theft, a: int, b: int) -> None:
    """Deny a role everything for some hours, or until another day."""
    role, responder, now = theft.role_of_interest(b), theft.world.user("responder"), theft.world.now
    conditions: tuple[Mapping[str, object], ...] = (
        {"DateLessThan": {"aws:CurrentTime": f"{now + timedelta(hours=3):%Y-%m-%dT%H:%M:%S}+00:00"}},
        {
            "DateGreaterThan": {"aws:EpochTime": _epoch(now, -1)},
            "DateLessThan": {"aws:EpochTime": _epoch(now, 2)},
        },
        {"DateLessThan": {"aws:CurrentTime": f"{now + timedelta(days=1):%Y-%m-%d}"}},
    )
    responder.iam(
        "PutRolePolicy", roleName=role.name, policyName="Closed", policyDocument=_denying(conditions[a % 3])
    )
    theft.comes(responder)
    theft.closed.add(role.arn)
    theft.guarded.append(role.arn)
    theft.exact = False
    theft.world.wait(20)


def responder_cuts_by_epoch(theft: Theft, a: int, b: int) -> None:
    """Revoke sessions by a window of issue in epoch seconds, or by a time with an offset."""
    role, responder = theft.role_of_interest(b), theft.world.user("responder")
    cutoff = theft.world.now + timedelta(seconds=30)
    theft.cutoffs[role.arn] = max(cutoff, theft.cutoffs.get(role.arn, cutoff))
    east = f"{cutoff + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02:00"
    window = {"DateGreaterThan": {"aws:TokenIssueTime": _epoch(cutoff, -24)}} if a % 2 else {}
    condition = {**window, "DateLessThan": {"aws:TokenIssueTime": _epoch(cutoff) if a % 3 else east}}
    responder.iam(
        "PutRolePolicy", roleName=role.name, policyName=f"Epoch{a}", policyDocument=_denying(condition)
    )
    theft.comes(responder)
    theft.world.wait(40)


def time_passes(theft: Theft, a: int, b: int) -> None:
    """Let a second or an hour go by."""
    theft.world.wait((1, 20, 300, 1500, 4000)[a % 5])


DEEDS: Sequence[Deed] = (
    thief_assumes, thief_assumes, thief_assumes, thief_juggles, thief_gets_session_token,
    thief_gets_session_token, thief_gets_federation_token, thief_creates_key, thief_creates_api_key,
    thief_sets_password,
    thief_starts_instance, colleague_assumes, colleague_assumes, colleague_chains, colleague_of_the_user,
    colleague_calls, colleague_console, machine, responder_deactivates, responder_revokes, time_passes,
    time_passes, admin_guards_role, admin_guards_role, admin_guards_user, admin_guards_entry, responder_closes,
    responder_cuts_by_epoch, thief_reads_lake, thief_delegates, colleague_reads_lake, colleague_delegates,
    thief_crosses_partitions, colleague_crosses_partitions,
)  # fmt: skip
"""What happens in incidents; whatever is added here is drawn by all property tests of containment."""


def incidents(*, largest: int = 10, deeds: Sequence[Deed] = DEEDS) -> st.SearchStrategy[Incident]:
    """
    Draw thefts of a support engineer's key, as of their newest event.

    Args:
        largest: The most deeds that an incident takes.
        deeds: What may be done.
    """
    numbers = st.integers(0, 59)
    drawn = st.lists(st.tuples(st.sampled_from(list(deeds)), numbers, numbers), max_size=largest)
    return st.builds(played_incident, drawn, st.integers(0, 9))


PERSONS, ISSUERS = ("alice@corp", "bob@corp"), ("https://idp.corp.example", "https://idp.partner.example")
ORIGINS: tuple[dict[str, object], ...] = (
    {"StringEquals": {"aws:OriginIdentity/Subject": PERSONS[0]}},
    {"StringLike": {"aws:OriginIdentity/Subject": "alice@*"}},
    {"StringEquals": {"aws:OriginIdentity/Subject": PERSONS[0], "aws:OriginIdentity/Issuer": ISSUERS[0]}},
    {"StringEquals": {"aws:OriginIdentity/Subject": PERSONS[0], "aws:OriginIdentity/Issuer": ISSUERS[1]}},
    {"StringEquals": {"aws:OriginIdentity/Subject": PERSONS[1]}},
    {"StringNotEquals": {"aws:OriginIdentity/Subject": PERSONS[1]}},
    {"StringNotEqualsIfExists": {"aws:OriginIdentity/Issuer": ISSUERS[0]}},
    {"Null": {"aws:OriginIdentity/Subject": "true"}},
    {"Null": {"aws:OriginIdentity/Subject": "false"}},
)
"""Denies by the person whom an identity provider propagates: of Alice, of her colleague, of all but one, of none."""


def _by_provider(world: World, a: int, b: int) -> Credential:
    """A session that a person opens by an identity provider that propagates identities."""
    return world.saml(
        ROLES[a % 2], PERSONS[b % 2], session_name=f"at-{b % 3}", issuer=ISSUERS[a // 2 % 5 // 4]
    )


def alices(world: World) -> Credential:
    """Alice's session, which the provider propagates."""
    return _by_provider(world, 0, 0)


def colleague_by_provider(theft: Theft, a: int, b: int) -> None:
    """Work in a role through the identity provider, as Alice's colleague, or as an Alice of another provider."""
    name = (2 * b + 1, 2 * b)[a // 2 % 5 == 4]
    if theft.spared(ROLES[a % 2]):
        theft.comes(_by_provider(theft.world, a, name))


def admin_denies_person(theft: Theft, a: int, b: int) -> None:
    """Deny a role everything by whom its sessions act for, in its own policy or in the organisation's."""
    role, admin = theft.role_of_interest(b), theft.world.user("admin")
    condition = ORIGINS[a % len(ORIGINS)]
    theft.exact &= not theft.guarded  # two of them may leave no person that escapes both
    theft.guards(role.arn, Guard(lambda _: condition, {}))
    theft.closed.add(role.arn)
    if a // len(ORIGINS) % 2:
        _governs(theft, _denying({**condition, "ArnLike": {"aws:PrincipalArn": role.arn}}))
    else:
        admin.iam(
            "PutRolePolicy", roleName=role.name, policyName=f"Origin{a}", policyDocument=_denying(condition)
        )
    theft.comes(admin)
    theft.world.wait(20)


PERSONAL_DEEDS: Sequence[Deed] = (
    thief_assumes, thief_assumes, thief_juggles, thief_creates_key, thief_starts_instance, colleague_by_provider,
    colleague_by_provider, colleague_assumes, colleague_calls, admin_denies_person, admin_denies_person,
    admin_denies_person, responder_revokes, time_passes,
)  # fmt: skip
"""What happens where people come by an identity provider that propagates who they are."""


def personal_incidents(*, largest: int = 8) -> st.SearchStrategy[Incident]:
    """Draw thefts of a session of Alice's, whom her identity provider propagates, as of their newest event."""
    numbers = st.integers(0, 59)
    drawn = st.lists(st.tuples(st.sampled_from(list(PERSONAL_DEEDS)), numbers, numbers), max_size=largest)
    return st.builds(partial(played_incident, leaks=alices), drawn, st.integers(0, 9))


def played_incident(
    deeds: list[tuple[Deed, int, int]], seed: int, leaks: Callable[[World], Credential] = _support
) -> Incident:
    theft = Theft(seed, leaks)
    for result, a, b in deeds:
        result(theft, a, b)
    world = theft.world
    shown = {one.id for one in world.truth}
    tainted = {one.id for one in theft.theirs}
    while more := {one.id for one in world.truth if one.parent in tainted} - tainted:
        tainted |= more
    return Incident(
        world=world,
        subject=theft.leaked.id,
        tainted=frozenset(tainted & shown),
        innocents=frozenset(shown - tainted),
        possible=frozenset(theft.possible & shown),
        at=datetime.fromisoformat(world.records()[-1]["eventTime"]),
        exact=theft.exact,
        guarded=tuple(dict.fromkeys(theft.guarded)),
    )
