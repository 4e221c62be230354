"""
Hypothesis strategies: random worlds of credentials, small enough to draw by the hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from hypothesis import strategies as st

from tokentrail.testing import ConsoleSession, Credential, LongTermKey, WorkloadSession, World
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

    def __init__(self, seed: int) -> None:
        self.world = World(START, seed)
        self.cast: list[tuple[Credential, int]] = []

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
    known = play.world.user(NAMES[a % 3], account=AWAY if b % 5 == 0 else HOME)
    play.joins(known.key() if b % 7 == 0 else known)


def assume(play: Play, a: int, b: int) -> None:
    """Chain into a role of the same account."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        play.joins(chosen[0].assumes(ROLES[b % 4], f"session-{b % 3}"), chosen[1] + 1)


def assume_across(play: Play, a: int, b: int) -> None:
    """Chain into a role of the other account, with both trails in the evidence or one."""
    if (chosen := play.pick(a)) and chosen[1] < DEEPEST:
        other = HOME if chosen[0].account == AWAY else AWAY
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
    """Come in through Identity Center, by command line or browser."""
    session = play.world.identity_center(
        f"{NAMES[a % 3]}@example.com",
        ("Developer", "Support")[b % 2],
        directory_account=AWAY,
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
        session = chosen[0].assumes_root(AWAY)
        session.calls("s3:DeleteBucketPolicy", {"bucketName": "locked"})


def certificate(play: Play, a: int, b: int) -> None:
    """Come in with a certificate."""
    play.joins(play.world.roles_anywhere(ROLES[a % 4], f"host-{b % 3}"))


COMMON: Sequence[Step] = (
    user,
    assume,
    assume_across,
    assume_unseen,
    session_token,
    federation_token,
    created_key,
    console,
    switch_role,
    identity_center,
    instance,
    function,
    service,
    oidc,
    saml,
    forwarded,
    call,
    call,
    denied,
    wait,
)
RARE: Sequence[Step] = (login, signin_token, scoped, root, certificate)
"""Ways whose records AWS documents in part only, so that their shapes here are partly assumed."""


def worlds(
    *,
    rare: bool = False,
    duplicates: bool = True,
    largest: int = 24,
    seeds: st.SearchStrategy[int] | None = None,
) -> st.SearchStrategy[World]:
    """
    Draw worlds in which credentials are born, chained, used and refused.

    Args:
        rare: Whether the rarer ways in are drawn too.
        duplicates: Whether records may be delivered twice.
        largest: The most steps that a world takes.
        seeds: What identifiers are drawn from.
    """
    steps = [*COMMON, *(RARE if rare else ()), *((repeat,) if duplicates else ())]
    numbers = st.integers(0, 59)
    drawn = st.lists(
        st.tuples(st.sampled_from(steps), numbers, numbers), min_size=min(6, largest), max_size=largest
    )
    return st.builds(_played, drawn, seeds if seeds is not None else st.integers(0, 9))


def _played(steps: list[tuple[Step, int, int]], seed: int) -> World:
    play = Play(seed)
    user(play, 0, 1)
    for step, a, b in steps:
        step(play, a, b)
    return play.world
