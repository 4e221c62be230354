"""
The policy documents that containment writes, and IAM's limits of their size.

Sources: IAM User Guide, 'Revoking IAM role temporary security credentials' (a deny by `aws:TokenIssueTime`), 'Disabling
permissions for temporary security credentials' (a deny by `aws:userid`), 'IAM and AWS STS quotas' (sizes), AWS
Organizations User Guide, 'Service control policies (SCPs)'.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tokentrail.formatting import instant

Statement = dict[str, Any]
_SECOND = timedelta(seconds=1)
_ISSUED = "aws:TokenIssueTime"
_WHO = "aws:userid"
_PERSON_KEYS = ("identitystore:userId", "aws:OriginIdentity/Subject", "aws:OriginIdentity/Issuer")
"""The condition keys of a `Person`, in the order of its members."""

USER_INLINE, ROLE_INLINE, MANAGED = 2_048, 10_240, 6_144
"""Most characters, without white space, of all inline policies of a user, of a role, and of one managed policy."""
_CONTROL, _CONTROL_ELSEWHERE = 10_240, 5_120
_CONTROL_LONGER = frozenset({"aws", "aws-us-gov", "aws-cn"})
_CONTROLS_MOST, _CONTROLS_MOST_ELSEWHERE = 10, 5
FULL_ACCESS = "p-FullAWSAccess"
"""The id of the SCP that AWS attaches to each account (AWS Organizations User Guide, 'SCP evaluation')."""
MANAGED_MOST = 10
"""How many managed policies can be attached to one role or user, by default."""
_NAMED_MOST = 50
"""User ids in one statement, so that it fits in a managed policy: a user id has 86 characters at most."""
MINTING = ("sts:*", "iam:*")
"""What `freeze-role` denies: all calls that mint a credential, or make something that can."""


class Person(NamedTuple):
    """A person, by what a policy can tell the sessions that act for one from others; empty where it can't."""

    user_id: str = ""
    """The user id in IAM Identity Center's directory."""
    subject: str = ""
    """Whom an identity provider that propagates identities says that the session acts for."""
    issuer: str = ""
    """Who vouches for the subject."""


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """A temporary credential by what a policy can tell it from others."""

    issued_at: datetime
    user_id: str | None
    """Its `aws:userid`; `None` if that is not known, so that only the time of issue tells it apart."""


def control_room(arn: str) -> int:
    """
    The most characters, with white space, of an SCP in the partition of an ARN.

    Source: AWS Organizations User Guide, 'Quotas and service limits for AWS Organizations'; that it was 5,120 until May
    2026, and has been more since then in these partitions: AWS, What's New, on increased quotas of SCPs.
    """
    return _CONTROL if not _CONTROL_LONGER.isdisjoint(arn.split(":")[1:2]) else _CONTROL_ELSEWHERE


def controls_most(partition: str) -> int:
    """
    How many SCPs can be attached to one account, AWS's own among them, by default.

    Source: AWS Organizations User Guide, 'Quotas and service limits for AWS Organizations'; that it was 5 until May
    2026, and has been more since then in these partitions: AWS, What's New, on increased quotas of SCPs.
    """
    return _CONTROLS_MOST if partition in _CONTROL_LONGER else _CONTROLS_MOST_ELSEWHERE


def text(statements: Sequence[Statement]) -> str:
    """A document as the JSON text that IAM is given."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


def deny(conditions: dict[str, dict[str, Any]] | None = None, actions: Sequence[str] = ("*",)) -> Statement:
    """A statement that denies actions, by default all, on all resources."""
    listed = actions[0] if len(actions) == 1 else list(actions)
    statement: Statement = {"Effect": "Deny", "Action": listed, "Resource": "*"}
    return statement | ({"Condition": conditions} if conditions else {})


def deny_all() -> str:
    """A document that denies everything to everybody to whom the policy applies."""
    return text([deny()])


def freeze() -> str:
    """A document that denies all calls that mint."""
    return text([deny(actions=MINTING)])


def older(cutoff: datetime, spared: Iterable[Token] = ()) -> list[Statement]:
    """Deny everything to tokens issued before a cutoff, except spared ones."""
    return list(_window(None, cutoff, spared))


def window(start: datetime, cutoff: datetime, spared: Iterable[Token] = ()) -> list[Statement]:
    """Deny everything to tokens issued at or after `start` and before the cutoff, except spared ones."""
    return list(_window(start, cutoff, spared))


def of_user_ids(user_ids: Iterable[str], cutoff: datetime | None) -> list[Statement]:
    """Deny everything to tokens with some `aws:userid`s, if issued before a cutoff when one is given."""
    listed = sorted(set(user_ids))
    until = {} if cutoff is None else _between(None, cutoff)
    return [
        deny({"StringEquals": {_WHO: listed[at : at + _NAMED_MOST]}} | until)
        for at in range(0, len(listed), _NAMED_MOST)
    ]


def brackets(tokens: Iterable[Token]) -> list[Statement]:
    """Deny everything to single tokens: each in the very second of its issue, and under its `aws:userid` if given."""
    return [
        deny(({"StringEquals": {_WHO: one.user_id}} if one.user_id else {}) | _second(one.issued_at))
        for one in sorted(set(tokens), key=lambda one: (one.issued_at, one.user_id or ""))
    ]


def of_principals(
    arns: Sequence[str],
    cutoff: datetime | None,
    persons: Sequence[Person] = (),
    actions: Sequence[str] = ("*",),
) -> Statement:
    """Deny actions, by default all, to principals with some ARNs, for an SCP; if persons are given, only to these."""
    conditions: dict[str, dict[str, Any]] = {"ArnLike": {"aws:PrincipalArn": list(arns)}}
    if persons:
        conditions["StringEquals"] = _of_persons(persons)
    if cutoff is not None:
        conditions["DateLessThan"] = {_ISSUED: instant(cutoff)}
    return deny(conditions, actions)


def _of_persons(persons: Sequence[Person]) -> dict[str, list[str]]:
    """
    The values of the keys by which sessions of some persons are told from others.

    Sources: IAM Identity Center User Guide, 'Identity store context keys'; IAM User Guide, 'Trusted identity
    propagation with IAM' (`aws:OriginIdentity/Subject` and `/Issuer`, which no holder of the session can change).
    """
    by_key = dict(zip(_PERSON_KEYS, zip(*persons, strict=True), strict=True))
    return {key: sorted(set(values)) for key, values in by_key.items() if all(values)}


def _window(start: datetime | None, end: datetime, spared: Iterable[Token]) -> Iterator[Statement]:
    """Split a window around the seconds in which spared tokens were issued; within each, deny all other user ids."""
    seconds: dict[datetime, set[str | None]] = {}
    for one in spared:
        if (start is None or one.issued_at >= start) and one.issued_at < end:
            seconds.setdefault(one.issued_at, set()).add(one.user_id)
    for moment, user_ids in sorted(seconds.items()):
        if start is None or start < moment:
            yield deny(_between(start, moment))
        if None not in user_ids:
            others = {"StringNotEquals": {_WHO: sorted(str(one) for one in user_ids)}}
            yield deny(others | _second(moment))
        start = moment + _SECOND
    if start is None or start < end:
        yield deny(_between(start, end))


def _second(moment: datetime) -> dict[str, dict[str, Any]]:
    return _between(moment, moment + _SECOND)


def _between(start: datetime | None, end: datetime) -> dict[str, dict[str, Any]]:
    conditions: dict[str, dict[str, Any]] = {"DateLessThan": {_ISSUED: instant(end)}}
    if start is not None:
        conditions["DateGreaterThanEquals"] = {_ISSUED: instant(start)}
    return conditions
