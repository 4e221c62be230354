"""What a change was about, in the words of its request: records of most list no resources."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokentrail.lineage.creations import made
from tokentrail.lineage.rows import Row, object_of

_NAMES = re.compile(r"(?:[a-z](?:Name|Arn|ARN|Id|Identifier|Number)|^(?:name|arn|id))$")
"""How members are called that name something (as `roleName`, `policyArn`, `accessKeyId`, `serialNumber`)."""
_MOST, _LONGEST = 4, 200


def about(change: Row) -> tuple[str, ...]:
    """What a change names, each with the member that does, and the id of what it made."""
    found = list(_named(change))[:_MOST]
    things = made(change["name"], change["request"], change["response"], change["source"])
    known = {one.partition("=")[2] for one in found}
    found += [
        f"{what}={thing[:_LONGEST]}"
        for what, thing in things[:_MOST]
        if thing and thing[:_LONGEST] not in known
    ]
    return tuple(found)


def _named(change: Row) -> Iterator[str]:
    for member, value in object_of(change["request"]).items():
        if isinstance(value, str) and value and _NAMES.search(member):
            yield f"{member}={value[:_LONGEST]}"
