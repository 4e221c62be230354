"""The registry of the rules' cases: what each must find, what each must leave alone, and the people in them."""

from __future__ import annotations

from collections.abc import Callable

from evidence import HOME, START
from tokentrail.testing import World
from tokentrail.testing.credential import LongTermKey

Act = Callable[[World], None]
HOUSE, ELSEWHERE, FARTHER = "192.0.2.10", "203.0.113.77", "198.51.100.23"
GATEWAY = "52.45.102.28"
"""Of AWS, from which workloads call; the others are of nobody's."""
EKS = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE"
TOOL = "Boto3/1.34.162 md/Botocore#1.34.162"

FIRES: dict[str, list[Act]] = {}
SPARES: dict[str, list[Act]] = {}
HABITS: dict[str, list[Act]] = {}
"""What is found on its first day alone."""
SEVERITIES: dict[Act, str] = {}
"""How bad is what a rule must find."""


def world() -> World:
    """A fresh world."""
    return World(START, account=HOME)


def fires(rule: str, severity: str) -> Callable[[Act], Act]:
    """Mark evidence that a rule must find, and how bad that is by itself."""

    def mark(act: Act) -> Act:
        FIRES.setdefault(rule, []).append(act)
        SEVERITIES[act] = severity
        return act

    return mark


def spares(rule: str) -> Callable[[Act], Act]:
    """Mark evidence that a rule must leave alone."""

    def mark(act: Act) -> Act:
        SPARES.setdefault(rule, []).append(act)
        return act

    return mark


def becomes_habit(rule: str) -> Callable[[Act], Act]:
    """Mark evidence that a rule must find once, and not again on later days."""

    def mark(act: Act) -> Act:
        HABITS.setdefault(rule, []).append(act)
        return act

    return mark


def ada(world: World, calls: int = 12) -> LongTermKey:
    """A user with a habit."""
    key = world.user("ada", ip=HOUSE)
    key.calls("ec2:DescribeInstances", count=calls, every=30)
    return key
