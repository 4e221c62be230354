"""
The users, roles and policies of one account at one time, as `aws iam get-account-authorization-details` prints them.

The output of the AWS CLI or boto3 is read, whole or in pages; documents are objects or URL-encoded text.
Two members that IAM does not give may be added at the top: `ServiceControlPolicies`, a list of the SCPs that bind the
account, and `ManagementAccount`, whether it is the organisation's management account, which no SCP binds.
Source: IAM API Reference, 'GetAccountAuthorizationDetails'.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from tokentrail.aws.principals import Principal, principal_of_arn
from tokentrail.errors import UsageError
from tokentrail.formatting import quoted
from tokentrail.policy.account.holders import Group, Holder, Inline, Managed, Role, User
from tokentrail.policy.account.permissions import Policy
from tokentrail.policy.account.trust import Trust, parse_trust
from tokentrail.policy.history.managed import UNSEEN, aws_document
from tokentrail.policy.language.conditions import instant
from tokentrail.policy.language.documents import Document, Malformed, parse

LONGEST = 1 << 30
"""The most bytes of a snapshot; the largest accounts (5,000 users, 5,000 roles, 5,000 policies) need far fewer."""
_COMMAND: Final = "aws iam get-account-authorization-details > FILE"
_LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
_CONTROLS, _MANAGEMENT = "ServiceControlPolicies", "ManagementAccount"
_LONGEST_NUMBER = 300
_BLANK = re.compile(r"\s*")
_Held = TypeVar("_Held", bound=Holder)
_Json = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An account's IAM at one time."""

    account: str
    name: str
    """Where it was read from."""
    users: Mapping[str, User]
    """By ARN."""
    roles: Mapping[str, Role]
    """By ARN."""
    controls: tuple[Policy, ...] | None = None
    """The SCPs that bind it; `None` if the snapshot has none."""
    management: bool | None = None
    """Whether it is the organisation's management account; `None` if the snapshot does not say."""
    _index: Mapping[Principal, Holder] = field(repr=False)

    @classmethod
    def read(cls, text: str | bytes, name: str) -> Snapshot:
        """
        Read a snapshot.

        Raises:
            UsageError: it is no snapshot, or one of several accounts.
        """
        return _Reading(name).snapshot(_pages(text, name))

    def user(self, arn: str) -> User | None:
        """Find a user by its ARN, with its path or without."""
        found = self.holder(arn)
        return found if isinstance(found, User) else None

    def role(self, arn: str) -> Role | None:
        """Find a role by its ARN, with its path or without, or by the ARN of one of its sessions."""
        found = self.holder(arn)
        return found if isinstance(found, Role) else None

    def holder(self, arn: str) -> Holder | None:
        """Find a user or role by its ARN, with its path or without."""
        identity = principal_of_arn(arn)
        return None if identity is None else self._index.get(identity)

    def denials(self, arn: str) -> tuple[Policy, ...]:
        """The policies of a user or role that deny anything or could not be read; empty if it is not known."""
        found = self.holder(arn)
        return found.denials if found else ()


def _pages(text: str | bytes, name: str) -> list[_Json]:
    """Split what was read into pages: one object, a list of them, or several one after the other."""
    plain = _decoded(text, name)
    decoder = json.JSONDecoder(parse_int=_number, parse_float=_number, object_pairs_hook=_object)
    values: list[object] = []
    place = 0
    try:
        while place < len(plain):
            value, place = decoder.raw_decode(plain, place)
            values += value if isinstance(value, list) else [value]
            blank = _BLANK.match(plain, place)
            place = blank.end() if blank else place
    except ValueError as error:
        raise _not_one(name, "it is not JSON; use --output json") from error
    except RecursionError as error:
        raise _not_one(name, "it is nested too deeply") from error
    pages: list[_Json] = [value for value in values if isinstance(value, dict)]
    if not pages or len(pages) != len(values):
        raise _not_one(name, "it holds no JSON object")
    if not any(key in page for page in pages for key in _LISTS):
        raise _not_one(name, f"it has none of {', '.join(_LISTS)}")
    return pages


def _decoded(text: str | bytes, name: str) -> str:
    if len(text) > LONGEST:
        raise _not_one(name, f"it is longer than {LONGEST} bytes")
    if isinstance(text, bytes):
        try:
            text = text.decode(json.detect_encoding(text))
        except UnicodeDecodeError as error:
            raise _not_one(name, "it is not text") from error
    return text.removeprefix("\ufeff").strip()


def _number(text: str) -> object:
    """Read a number; one too long to be meant as such stays text, since documents may have any."""
    if len(text) > _LONGEST_NUMBER:
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object] | None:
    """An object; `None` if it has a key twice, so that a document with such an object is `Malformed`."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


def _not_one(name: str, reason: str) -> UsageError:
    return UsageError(
        f"Could not read {quoted(name)} as a snapshot of an account's IAM: {reason}. "
        f"Make one for each account with `{_COMMAND}`."
    )


class _Reading:
    """Reads the pages of one snapshot."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._documents: dict[str, Document | Malformed] = {}
        self._groups: dict[str, Group] = {}
        self._trusts: dict[str, Trust | Malformed] = {}

    def snapshot(self, pages: list[_Json]) -> Snapshot:
        for item in self._listed(pages, "Policies"):
            self._documents[self._text(item, "Arn")] = _default_version(item)
        for item in self._listed(pages, "GroupDetailList"):
            group = self._group(item)
            self._groups[group.name.casefold()] = group
        users = self._once(self._user(item) for item in self._listed(pages, "UserDetailList"))
        roles = self._once(self._role(item) for item in self._listed(pages, "RoleDetailList"))
        controls = self._controls(pages)
        flags = [page[_MANAGEMENT] for page in pages if _MANAGEMENT in page]
        if not all(isinstance(flag, bool) for flag in flags):
            raise _not_one(self._name, f"{_MANAGEMENT} is neither true nor false")
        return Snapshot(
            account=self._account(pages, (*users.values(), *roles.values())),
            name=self._name,
            users=users,
            roles=roles,
            controls=controls,
            management=any(flags) if flags else None,
            _index={holder.identity: holder for holder in (*users.values(), *roles.values())},
        )

    def _account(self, pages: list[_Json], holders: Iterable[Holder]) -> str:
        accounts = {holder.identity.account for holder in holders}
        for key in ("GroupDetailList", "Policies"):
            arns = [self._text(item, "Arn").split(":") for item in self._listed(pages, key)]
            accounts |= {parts[4] for parts in arns if len(parts) > 5 and parts[4].isdigit()}
        if len(accounts) > 1:
            raise _not_one(self._name, f"it holds several accounts ({', '.join(sorted(accounts)[:3])})")
        if not accounts:
            raise _not_one(self._name, "it holds no user, role, group or policy that tells the account")
        return accounts.pop()

    def _controls(self, pages: list[_Json]) -> tuple[Policy, ...] | None:
        """Read the SCPs: a list of documents, or of objects with a `Name` and a `Document` or `Content`."""
        given = [page for page in pages if page.get(_CONTROLS) is not None]
        if not given:
            return None
        policies: list[Policy] = []
        for page in given:
            values = page[_CONTROLS]
            for value in values if isinstance(values, list) else [values]:
                name, document = _control(value)
                label = f"SCP {quoted(name)}" if name else f"SCP number {len(policies) + 1}"
                policies.append(Policy(label=label, document=_document(document)[1]))
        return tuple(policies)

    def _listed(self, pages: list[_Json], key: str) -> Iterator[_Json]:
        for page in pages:
            values = page.get(key)
            yield from self._objects([] if values is None else values, key)

    def _objects(self, values: object, where: str) -> Iterator[_Json]:
        if not isinstance(values, list):
            raise _not_one(self._name, f"{where} is not a list")
        for value in values:
            if not isinstance(value, dict):
                raise _not_one(self._name, f"{where} holds something that is not an object")
            yield value

    def _parts(self, item: _Json, key: str) -> Iterator[_Json]:
        values = item.get(key)
        yield from self._objects([] if values is None else values, key)

    def _text(self, item: _Json, key: str) -> str:
        value = item.get(key)
        if not isinstance(value, str) or not value:
            raise _not_one(self._name, f"an entry has no {key}")
        return value

    def _once(self, holders: Iterable[_Held]) -> dict[str, _Held]:
        """Users or roles by ARN; pages may repeat one, but only if it is the same."""
        found: dict[Principal, _Held] = {}
        for holder in holders:
            if found.setdefault(holder.identity, holder) != holder:
                raise _not_one(self._name, f"it tells two things of {quoted(holder.arn)}")
        return {holder.arn: holder for holder in found.values()}

    def _user(self, item: _Json) -> User:
        arn, identity = self._principal(item, "user")
        groups = item.get("GroupList")
        names = [] if groups is None else groups
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _not_one(self._name, f"GroupList of {quoted(arn)} is not a list of names")
        missing = "the snapshot does not hold the group"
        return User(
            arn=arn,
            identity=identity,
            name=_short(item.get("UserName"), arn),
            path=_path(arn),
            unique_id=_word(item.get("UserId")),
            inline=self._inline(item, "UserPolicyList"),
            managed=self._attached(item),
            groups=tuple(
                self._groups.get(name.casefold()) or Group(name=quoted(name), missing=missing)
                for name in names
            ),
            boundary=self._boundary(item),
        )

    def _role(self, item: _Json) -> Role:
        arn, identity = self._principal(item, "role")
        text, _ = _document(item.get("AssumeRolePolicyDocument"))
        return Role(
            arn=arn,
            identity=identity,
            name=_short(item.get("RoleName"), arn),
            path=_path(arn),
            unique_id=_word(item.get("RoleId")),
            inline=self._inline(item, "RolePolicyList"),
            managed=self._attached(item),
            boundary=self._boundary(item),
            trust=self._trust(text),
            **_use_of(item),
        )

    def _trust(self, text: str) -> Trust | Malformed:
        """Read a trust policy; many roles have the same one."""
        if text not in self._trusts:
            self._trusts[text] = parse_trust(text or None)
        return self._trusts[text]

    def _group(self, item: _Json) -> Group:
        return Group(
            name=quoted(self._text(item, "GroupName")),
            inline=self._inline(item, "GroupPolicyList"),
            managed=self._attached(item),
        )

    def _principal(self, item: _Json, kind: str) -> tuple[str, Principal]:
        arn = self._text(item, "Arn")
        identity = principal_of_arn(arn)
        if identity is None or identity.kind != kind or ":assumed-role/" in arn:
            raise _not_one(self._name, f"{quoted(arn)} is not the ARN of a {kind}")
        return arn, identity

    def _inline(self, item: _Json, key: str) -> tuple[Inline, ...]:
        found = []
        for part in self._parts(item, key):
            text, document = _document(part.get("PolicyDocument"))
            found.append(Inline(name=self._text(part, "PolicyName"), text=text, document=document))
        return tuple(found)

    def _attached(self, item: _Json) -> tuple[Managed, ...]:
        arns = [self._text(part, "PolicyArn") for part in self._parts(item, "AttachedManagedPolicies")]
        return tuple(self._managed(arn) for arn in arns)

    def _boundary(self, item: _Json) -> Managed | None:
        value = item.get("PermissionsBoundary")
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _not_one(self._name, "a PermissionsBoundary is not an object")
        return self._managed(self._text(value, "PermissionsBoundaryArn"))

    def _managed(self, arn: str) -> Managed:
        document = self._documents.get(arn)
        if document is None or document is UNSEEN:
            document = aws_document(arn)
        return Managed(arn=arn, name=quoted(arn.rpartition("/")[2]), document=document)


def _use_of(item: _Json) -> dict[str, Any]:
    """What an entry says about the use of a role: the longest session, and the last use."""
    longest, used = item.get("MaxSessionDuration"), item.get("RoleLastUsed")
    last = used.get("LastUsedDate") if isinstance(used, dict) else None
    return {
        "longest": longest if isinstance(longest, int) and not isinstance(longest, bool) else None,
        "last_used": _moment(last) if isinstance(last, str) else None,
        "use_tracked": isinstance(used, dict),
    }


def _moment(text: str) -> datetime | None:
    seconds = instant(text)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _default_version(item: _Json) -> Document | Malformed:
    versions = item.get("PolicyVersionList")
    for version in versions if isinstance(versions, list) else []:
        if isinstance(version, dict) and (
            version.get("IsDefaultVersion") is True
            or ("VersionId" in version and version["VersionId"] == item.get("DefaultVersionId"))
        ):
            return _document(version.get("Document"))[1]
    return UNSEEN


def _control(value: object) -> tuple[str | None, object]:
    """The name, if any, and the document of an SCP, which may be given as the document alone."""
    if isinstance(value, dict) and "Statement" not in value:
        document = value.get("Document", value.get("Content"))
        name = value.get("Name", value.get("Id"))
        return (name if isinstance(name, str) else None), document
    return None, value


def _document(value: object) -> tuple[str, Document | Malformed]:
    """A document's text as JSON, empty if there is none, and the parsed document."""
    if isinstance(value, dict):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, str):
        plain = value.strip()
        text = plain if plain.startswith("{") else unquote(plain)
    else:
        return "", parse(None)
    return text, parse(text)


def _path(arn: str) -> str:
    middle = arn.split(":", 5)[5].split("/")[1:-1]
    return "/" + "".join(f"{part}/" for part in middle)


def _short(name: object, arn: str) -> str:
    return quoted(name if isinstance(name, str) and name else arn.rpartition("/")[2])


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
