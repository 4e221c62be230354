"""Results made by hand, for the tests of what people and programs read."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tokentrail.lineage.model import Credential, IssuedBy, Link, TimelineEvent, Trace, TracedCredential
from tokentrail.present.text.text_writer import TextWriter

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
KEY, TOKEN, SESSION = "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7TOKENBB", "ASIAIOSFODNN7SESSION"


def credential(**changes: Any) -> TracedCredential:
    """A session of MyBucketRole, changed as told."""
    values: dict[str, Any] = {
        "id": SESSION,
        "access_key_ids": (SESSION,),
        "kind": "assumed_role",
        "account": "111122223333",
        "principal": "arn:aws:sts::111122223333:assumed-role/MyBucketRole/support",
        "principal_id": "AROAIOSFODNN7EXAMPLE1:support",
        "role": "arn:aws:iam::111122223333:role/MyBucketRole",
        "session_name": "support",
        "source_identity": None,
        "identity": None,
        "mfa": False,
        "issued_at": NINE,
        "expires_at": NINE + timedelta(hours=1),
        "expires_bound": None,
        "issued_by": IssuedBy(api="AssumeRole", event_id="e-1", source_ip="203.0.113.77", user_agent="Boto3"),
        "parent": None,
        "parent_link": None,
        "origin": "not_in_evidence",
        "origin_detail": "no issuing event",
        "root": SESSION,
        "depth": 0,
        "state": "active",
        "state_reason": "valid until 2026-11-23T10:00:00Z",
        "ended_at": None,
        "ended_by": None,
        "first_used": NINE,
        "last_used": NINE,
        "events": 3,
        "errors": 1,
        "source_ips": ("203.0.113.77",),
        "used": True,
        "tainted": True,
    }
    return TracedCredential(**(values | changes))


def child(number: int, parent: str, **changes: Any) -> TracedCredential:
    """One of many sessions minted by a parent."""
    found = {
        "id": f"ASIA{number:016}",
        "issued_at": NINE + timedelta(seconds=number),
        "parent": parent,
        "parent_link": "recorded",
        "origin": None,
        "origin_detail": None,
    }
    return credential(**(found | changes))


def plain(one: TracedCredential) -> Credential:
    """The same credential as the inventory has it."""
    names = list(Credential.__dataclass_fields__)
    return Credential(**{name: getattr(one, name) for name in names})


def trace(*credentials: TracedCredential, **changes: Any) -> Trace:
    """A trace of credentials, with the links that their parents make."""
    links = tuple(
        Link(
            parent=one.parent,
            child=one.id,
            api="AssumeRole",
            event_id="e-1",
            time=one.issued_at,
            link=one.parent_link or "recorded",
        )
        for one in credentials
        if one.parent is not None
    )
    values: dict[str, Any] = {
        "as_of": NINE,
        "subject": (credentials[0].id,),
        "credentials": credentials,
        "links": links,
        "created": (),
        "principals": (),
        "apis": (),
        "resources": (),
        "secrets_read": (),
        "gaps": (),
    }
    return Trace(**(values | changes))


def event(**changes: Any) -> TimelineEvent:
    """A read of an object, changed as told."""
    values: dict[str, Any] = {
        "time": NINE,
        "event_id": "e-1",
        "credential": SESSION,
        "account": "111122223333",
        "region": "us-east-1",
        "event_source": "s3.amazonaws.com",
        "event_name": "GetObject",
        "error_code": None,
        "source_ip": "203.0.113.77",
        "user_agent": "Boto3",
        "resources": ("arn:aws:s3:::loot/a.txt",),
        "object": "ab",
        "ordinal": 1,
    }
    return TimelineEvent(**(values | changes))


def written(write: Callable[[TextWriter], object]) -> str:
    """What a text writer writes into a pipe."""
    stream = io.StringIO()
    write(TextWriter(stream))
    return stream.getvalue()
