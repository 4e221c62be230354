"""
The evidence builder: a small AWS of one's own, whose calls are written down as CloudTrail would.

It may import nothing else of the package. It never reads evidence, so that it can't share a mistake with what
does.
"""

from tokentrail.testing.api_key import ApiKey
from tokentrail.testing.credential import (
    ConsoleSession,
    Credential,
    LongTermKey,
    ServiceSession,
    WorkloadSession,
)
from tokentrail.testing.ids import FAKE_SESSION_TOKEN
from tokentrail.testing.names import Role, User
from tokentrail.testing.trails import json_array, json_lines, lookup_events, native
from tokentrail.testing.truth import TrueCredential
from tokentrail.testing.world import Account, World

__all__ = [
    "FAKE_SESSION_TOKEN",
    "Account",
    "ApiKey",
    "ConsoleSession",
    "Credential",
    "LongTermKey",
    "Role",
    "ServiceSession",
    "TrueCredential",
    "User",
    "WorkloadSession",
    "World",
    "json_array",
    "json_lines",
    "lookup_events",
    "native",
]
