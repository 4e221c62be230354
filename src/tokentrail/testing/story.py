"""
The leak of a support engineer's key, from the first stolen call to the middle of the incident.

After "Securing AWS Temporary Tokens": key A leaks; the attacker mints B with GetSessionToken and C by
AssumeRole, and copies a bucket with C. A is deactivated and C goes on; the role's sessions are revoked and C
stops; a minute later D appears, then E: B mints them, after the cutoff. A colleague works in the same role
all the while.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tokentrail.testing.company import PRODUCTION, TOOLS, Company, bucket
from tokentrail.testing.credential import ConsoleSession, Credential, LongTermKey
from tokentrail.testing.names import Json, Role, User
from tokentrail.testing.world import World

ATTACKER = "203.0.113.77"
ATTACKER_LATER = "198.51.100.23"
SUPPORT_OFFICE = "192.0.2.21"
_TOOLKIT = (
    "Boto3/1.34.162 md/Botocore#1.34.162 ua/2.0 os/linux#6.6.15-amd64 md/arch#x86_64 lang/python#3.11.8"
)
_LOOT = bucket("customer-records")


def _on_the_day(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-23T{clock}+00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """When the story turns."""

    leaked: datetime = _on_the_day("09:41:12")
    """The attacker's first call with A."""
    b_minted: datetime = _on_the_day("09:44:05")
    c_minted: datetime = _on_the_day("09:46:30")
    key_deactivated: datetime = _on_the_day("10:02:00")
    sessions_revoked: datetime = _on_the_day("10:12:00")
    cutoff: datetime = _on_the_day("10:12:30")
    """What the revocation's policy says: half a minute ahead, as the IAM console writes it."""
    d_minted: datetime = _on_the_day("10:13:20")
    e_minted: datetime = _on_the_day("10:41:45")
    end: datetime = _on_the_day("11:10:00")
    """The evidence ends here, in the middle of the incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The evidence, its people, and what each letter stands for."""

    world: World
    user: User
    """The IAM user `support`."""
    role: Role
    """MyBucketRole."""
    a: LongTermKey
    """The leaked key."""
    b: Credential
    """GetSessionToken by A, good for 36 hours."""
    c: Credential
    """MyBucketRole, assumed by A."""
    d: Credential
    """MyBucketRole, assumed by B after the revocation."""
    e: Credential
    """MyBucketRole, assumed by B again."""
    ria: ConsoleSession
    """The colleague's Identity Center session."""
    ria_before: Credential
    """The colleague's session of MyBucketRole that the revocation cuts off too."""
    ria_after: Credential
    """Her next one."""
    responder: ConsoleSession
    """The responder's Identity Center session, of the permission set IncidentResponder."""
    moments: Moments

    @property
    def key_ids(self) -> dict[str, str]:
        """The access key ids of A to E, by letter."""
        return {letter: getattr(self, letter.lower()).key_id for letter in "ABCDE"}


def story(seed: int = 2026, *, ordinary_day: bool = True) -> Story:
    """
    Tell the story, in the midst of an ordinary day.

    Args:
        seed: What all identifiers are drawn from.
        ordinary_day: Whether the company's other work is in the evidence too.
    """
    start = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    world, moments = World(start, seed, account=PRODUCTION), Moments()
    if ordinary_day:
        Company(world, start, moments.end, seed).works()
    a = world.user("support", ip=SUPPORT_OFFICE)
    role = world.role("MyBucketRole")
    _support_works(world, a)
    ria, ria_before, ria_after = _ria_works(world, role)
    b, c = _attack_begins(world, a, role, moments)
    responder = _response(world, a, role, moments)
    d, e = _attack_goes_on(world, b, role, moments)
    world.at(moments.end)
    return Story(
        world=world, user=a.user, role=role, a=a, b=b, c=c, d=d, e=e, ria=ria, ria_before=ria_before,
        ria_after=ria_after, responder=responder, moments=moments,
    )  # fmt: skip


def _support_works(world: World, a: LongTermKey) -> None:
    """Let the engineer whose key it is use it, as on any day."""
    for clock in ("2026-11-23T08:31:00", "2026-11-23T09:05:30", "2026-11-23T09:52:10"):
        world.at(clock)
        a.calls("ec2:DescribeInstances", count=2, every=4)
        a.calls("logs:FilterLogEvents", {"logGroupName": "/aws/lambda/send-invoices"}, count=3, every=7)
        a.calls("ssm:DescribeInstanceInformation")


def _ria_works(world: World, role: Role) -> tuple[ConsoleSession, Credential, Credential]:
    """Let the colleague work in the role, be cut off by the revocation, and come back."""
    world.at("2026-11-23T08:58:00")
    ria = world.identity_center(
        "ria@example.com", "Support", account=PRODUCTION, directory_account=TOOLS, ip="192.0.2.22"
    )
    ria.calls("s3:ListBuckets")
    world.at("2026-11-23T09:20:40")
    before = ria.assumes(role, "ria")
    _looks_up_customers(world, before, ["09:21:10", "09:33:00", "09:50:20", "10:04:45"])
    world.at("2026-11-23T10:12:41")
    before.denied(
        "s3:GetObject", f"arn:aws:s3:::{_LOOT}/2026/ticket-5211.json", explicit=True, params=_ticket(5211)
    )
    world.at("2026-11-23T10:14:02")
    after = ria.assumes(role, "ria")
    _looks_up_customers(world, after, ["10:14:30", "10:27:00", "10:44:10", "10:58:30"])
    return ria, before, after


def _looks_up_customers(world: World, session: Credential, clocks: list[str]) -> None:
    for number, clock in enumerate(clocks):
        world.at(f"2026-11-23T{clock}")
        session.calls("s3:ListObjects", {"bucketName": _LOOT, "prefix": "2026/"})
        session.calls("s3:GetObject", _ticket(5200 + number), count=2, every=30, bytes_out=4180)


def _ticket(number: int) -> Json:
    return {"bucketName": _LOOT, "key": f"2026/ticket-{number}.json"}


def _attack_begins(
    world: World, a: LongTermKey, role: Role, moments: Moments
) -> tuple[Credential, Credential]:
    """Look around with A, keep B for later, and copy with C until the revocation bites."""
    thief = a.seen_from(ATTACKER, _TOOLKIT)
    world.at(moments.leaked)
    thief.calls("sts:GetCallerIdentity")
    thief.denied("iam:ListAttachedUserPolicies", a.arn)
    thief.denied("iam:ListRoles", f"arn:aws:iam::{PRODUCTION}:role/")
    thief.calls("s3:ListBuckets")
    thief.denied("sts:AssumeRole", world.role("Deploy"))
    world.at(moments.b_minted)
    b = thief.gets_session_token(duration=129600)
    world.at(moments.c_minted)
    c = thief.assumes(role, "support")
    c.calls("s3:ListObjects", {"bucketName": _LOOT, "prefix": ""}, count=6, every=2)
    for name in ("prod/database", "prod/payments"):
        c.calls("secretsmanager:GetSecretValue", {"secretId": name})
        c.via("secretsmanager.amazonaws.com").calls(
            "kms:Decrypt", {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        )
    _copies(world, c, "2025", until=moments.sessions_revoked, count=280, every=5)
    world.at("2026-11-23T10:12:05")
    for number in range(9):
        key = f"2025/export-{9000 + number}.parquet"
        c.denied(
            "s3:GetObject",
            f"arn:aws:s3:::{_LOOT}/{key}",
            explicit=True,
            params={"bucketName": _LOOT, "key": key},
        )
        world.wait(4)
    return b, c


def _attack_goes_on(
    world: World, b: Credential, role: Role, moments: Moments
) -> tuple[Credential, Credential]:
    """Mint D and E with B, after the cutoff, and go on copying."""
    later = b.seen_from(ATTACKER_LATER)
    world.at(moments.d_minted)
    d = later.assumes(role, "support")
    d.calls("sts:GetCallerIdentity")
    _copies(world, d, "2026", until=moments.e_minted, count=230, every=7)
    world.at(moments.e_minted)
    e = later.assumes(role, "support-eu")
    e.calls("s3:ListObjects", {"bucketName": _LOOT, "prefix": "2024"}, count=3, every=2)
    _copies(world, e, "2024", until=moments.end, count=260, every=6)
    return d, e


def _copies(
    world: World, session: Credential, folder: str, *, until: datetime, count: int, every: float
) -> None:
    room = int((until - world.now).total_seconds() / every)
    wanted = {"bucketName": _LOOT, "key": f"{folder}/export-{{n}}.parquet"}
    session.calls("s3:GetObject", wanted, count=min(count, room), every=every, bytes_out=8_388_608)


def _response(world: World, a: LongTermKey, role: Role, moments: Moments) -> ConsoleSession:
    """Do what the obvious runbook says: deactivate the key, then revoke the role's sessions."""
    world.at("2026-11-23T09:57:20")
    responder = world.identity_center(
        "iris@example.com", "IncidentResponder", account=PRODUCTION, directory_account=TOOLS, ip="192.0.2.15"
    )
    responder.calls("cloudtrail:LookupEvents", count=5, every=11)
    responder.calls("iam:ListAccessKeys", {"userName": a.user.name})
    world.at(moments.key_deactivated)
    responder.deactivates(a)
    responder.calls("cloudtrail:LookupEvents", count=6, every=40)
    world.at(moments.sessions_revoked)
    responder.revokes_sessions(role, moments.cutoff)
    world.at("2026-11-23T10:20:00")
    responder.calls("cloudtrail:LookupEvents", count=8, every=120)
    return responder
