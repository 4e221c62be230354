"""
Alerts as subjects: what a finding of GuardDuty, Security Hub, Security Lake or Access Analyzer names.

Each is read in the forms in which it is handed on: the API's answer, an EventBridge event (also within an SNS
message), a file of GuardDuty's export to S3, or a list of any of these. Only names are taken out of it; an alert is
a claim, and what it says happened is looked up in the evidence.
Sources: Amazon GuardDuty API Reference, 'Finding' and 'Sequence'; GuardDuty User Guide, 'Processing findings with
EventBridge' and 'Exporting findings to Amazon S3' (their members begin in lower case); AWS Security Hub User Guide,
'AWS Security Finding Format'; OCSF schema, class 2004 'Detection Finding', as Security Hub and Security Lake write
it; IAM Access Analyzer API Reference, 'FindingSummary', and User Guide, 'Monitoring with EventBridge'.
"""

from __future__ import annotations

import gzip
import ipaddress
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from tokentrail.aws.principals import principal_of_arn
from tokentrail.errors import UsageError
from tokentrail.events.loose import FAILURES
from tokentrail.events.masked_ids import is_masked
from tokentrail.events.values import hide_secrets
from tokentrail.formatting import quoted

AlertSource = Literal["GuardDuty", "Security Hub", "OCSF", "IAM Access Analyzer"]
LARGEST = 64 << 20
"""Bytes of a file of alerts, also unpacked: an export of GuardDuty has some kilobytes a finding."""
MOST = 1_000
"""Alerts that are read at most: each names subjects."""
_ENDS = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".ndjson")
_KEY_ID = re.compile(r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{12,124}")
_PRINCIPAL_ID = re.compile(r"A(?:IDA|ROA)[A-Z0-9]{12,124}(?::[\w+=,.@-]{1,64})?", re.ASCII)
_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
_LONGEST_ARN = 2_048
"""Characters of the longest ARN (IAM API Reference)."""
_WITHIN = 8
"""How deep an envelope may lie within others: SNS around EventBridge around a list of findings is three."""
_EARLIEST = datetime(2006, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSession:
    """A session that an alert names by its principal and the time of its issue."""

    principal_id: str
    """`AROA...:session`, or `AIDA...` for a user's."""
    issued_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What an alert names, as far as it can be looked up in CloudTrail."""

    source: AlertSource
    id: str
    title: str
    account: str | None
    access_key_ids: tuple[str, ...] = ()
    sessions: tuple[AlertSession, ...] = ()
    principals: tuple[str, ...] = ()
    """ARNs of users and roles."""
    instances: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """From where it was acted, by the alert."""
    first_seen: datetime | None = None
    last_seen: datetime | None = None

    @property
    def names_something(self) -> bool:
        """Whether it names anything that evidence can be asked for."""
        return bool(
            self.access_key_ids or self.sessions or self.principals or self.instances or self.addresses
        )


def is_alert(subject: str) -> bool:
    """Whether a subject is no name but a place of alerts: `-` for standard input, a file or a folder."""
    if subject in ("", "-"):
        return bool(subject)
    try:
        path = Path(subject)
        return path.is_dir() or (path.is_file() and path.name.lower().endswith(_ENDS))
    except (OSError, ValueError):  # longer than any path, or with what no path has
        return False


def read_alerts(place: str, read_input: Callable[[], bytes]) -> tuple[Alert, ...]:
    """
    Read the alerts of a file, of all JSON files in a folder, or (`-`) of standard input.

    Args:
        place: Where they are.
        read_input: Reads standard input.

    Raises:
        UsageError: there is none that names a credential, a principal, an instance or an address.
    """
    if place == "-":
        return parse_alerts(read_input(), "standard input")
    path = Path(place)
    files = (
        sorted(one for one in path.iterdir() if is_alert(str(one)) and one.is_file())
        if path.is_dir()
        else [path]
    )
    if not files:
        raise UsageError(
            f"{place}: no alerts in this folder, which are files that end in {', '.join(_ENDS)}."
        )
    found: dict[Alert, None] = {}
    for file in files:
        found |= dict.fromkeys(parse_alerts(_content(file), str(file)))
    return tuple(found)


def parse_alerts(content: bytes, name: str) -> tuple[Alert, ...]:
    """
    Read alerts in any of their forms; each is told once.

    Args:
        content: JSON, or a JSON document a line.
        name: What an error calls it.

    Raises:
        UsageError: it holds none, or none that names anything that could be looked up.
    """
    documents = [*_documents(content)]
    found = dict.fromkeys(_without_secrets(alert) for one in documents for alert in _alerts(one, _WITHIN))
    if not found:
        told = (
            "no JSON"
            if not documents
            else "no finding of GuardDuty, Security Hub (ASFF or OCSF) or Access Analyzer"
        )
        raise UsageError(f"{name}: {told}.")
    if len(found) > MOST:
        raise UsageError(f"{name}: more than {MOST:,} alerts. Give those of the incident.")
    telling = tuple(one for one in found if one.names_something)
    if not telling:
        raise UsageError(
            f"{name}: names no access key, principal, instance or address of its actor, as made samples do not. Give "
            "the subject by its id."
        )
    return telling


def _without_secrets(value: Any) -> Any:
    """An alert, or a member of one, with the secrets blanked that its texts hold: an actor chooses many of them."""
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, tuple):
        return tuple(_without_secrets(one) for one in value)
    if isinstance(value, Alert | AlertSession):
        return replace(
            value, **{one.name: _without_secrets(getattr(value, one.name)) for one in fields(value)}
        )
    return value


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if content.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                content = unpacked.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: can't be read ({error}).") from error
    if len(content) > LARGEST:
        raise UsageError(
            f"{path}: larger than {LARGEST >> 20} MB, which no alert is. Is it a log? Then ingest it."
        )
    return content


def _documents(content: bytes) -> Iterator[Any]:
    """The JSON document, or one a line."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        yield msgspec.json.decode(content)
    except FAILURES:
        for line in content.splitlines():
            if line.strip():
                try:
                    yield msgspec.json.decode(line)
                except FAILURES:
                    continue


def _alerts(value: Any, within: int) -> Iterator[Alert]:
    """The alerts in a document: itself, or what it is an envelope around."""
    if within and isinstance(value, list):
        for one in value:
            yield from _alerts(one, within - 1)
    elif isinstance(value, dict):
        for recognised, read in _FORMS:
            if recognised(value):
                yield read(value)
                return
        if within:
            yield from _alerts(_inner(value), within - 1)


def _inner(envelope: Mapping[str, Any]) -> Any:
    """What an EventBridge event, an SNS message or an API's answer is around."""
    message = envelope.get("Message")
    if isinstance(message, str):  # of SNS
        try:
            return msgspec.json.decode(message)
        except FAILURES:
            return None
    for name in ("detail", "findings", "Findings", "finding", "Finding"):
        if isinstance(envelope.get(name), (dict, list)):
            return envelope[name]
    return None


# ---------------------------------------------------------------- members, whatever the case of their first letter


def _at(value: Any, *path: str) -> Any:
    """The member at a path; the API's answers begin names in upper case, what EventBridge and S3 are given in lower."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name, value.get(name[:1].lower() + name[1:]))
    return value


def _text(value: Any, *path: str) -> str | None:
    found = _at(value, *path)
    return found if isinstance(found, str) and found else None


def _each(value: Any, *path: str) -> list[Any]:
    found = _at(value, *path)
    return found if isinstance(found, list) else []


def _moment(value: Any) -> datetime | None:
    """A time as text in ISO 8601, or in seconds or milliseconds since 1970."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    found = (found if found.tzinfo else found.replace(tzinfo=UTC)).replace(microsecond=0)
    return found.astimezone(UTC) if _EARLIEST < found < _LATEST else None


def _keys(values: Iterable[Any]) -> tuple[str, ...]:
    found = (one for one in values if isinstance(one, str) and _KEY_ID.fullmatch(one) and not is_masked(one))
    return tuple(dict.fromkeys(found))


def _addresses(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in values if isinstance(one, str) and _is_address(one)))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _instances(values: Iterable[Any]) -> tuple[str, ...]:
    """Instance ids, by themselves or at the end of an ARN."""
    ends = (one.rpartition("/")[2] for one in values if isinstance(one, str))
    return tuple(dict.fromkeys(one for one in ends if _INSTANCE.fullmatch(one)))


def _principals(values: Iterable[Any]) -> tuple[str, ...]:
    found = (
        one for one in values
        if isinstance(one, str) and len(one) <= _LONGEST_ARN and one.isprintable() and principal_of_arn(one) is not None
    )  # fmt: skip
    return tuple(dict.fromkeys(found))


def _session(principal_id: Any, issued: Any = None) -> tuple[AlertSession, ...]:
    if not isinstance(principal_id, str) or not _PRINCIPAL_ID.fullmatch(principal_id):
        return ()
    return (AlertSession(principal_id=principal_id, issued_at=_moment(issued)),)


def _of_user(account: str | None, partition: str, name: Any, sort: Any) -> tuple[str, ...]:
    """The ARN of a user or role that an alert names by type; a path that it does not tell is left out."""
    if not (account and isinstance(name, str) and name and isinstance(sort, str)):
        return ()
    kind = {"iamuser": "user", "role": "role", "assumedrole": "role"}.get(sort.replace("_", "").casefold())
    if kind is None:
        return (f"arn:{partition}:iam::{account}:root",) if sort.casefold() == "root" else ()
    return _principals([f"arn:{partition}:iam::{account}:{kind}/{name}"])


def _actors(actors: Iterable[Any], account: str | None, partition: str) -> dict[str, Any]:
    """What the actors of an attack sequence are: their keys, sessions and principals."""
    keys: list[Any] = []
    sessions: list[AlertSession] = []
    principals: list[Any] = []
    for one in actors:
        user, session = _at(one, "User"), _at(one, "Session")
        keys.append(_at(user, "CredentialUid"))
        sessions += _session(_at(user, "Uid"), _at(session, "CreatedTime"))
        theirs = _text(user, "Account", "Uid") or account
        principals += [
            _at(session, "Issuer"),
            *_of_user(theirs, partition, _at(user, "Name"), _at(user, "Type")),
        ]
    return {
        "access_key_ids": _keys(keys),
        "sessions": tuple(dict.fromkeys(sessions)),
        "principals": _principals(principals),
    }


# ---------------------------------------------------------------- GuardDuty


def _is_guardduty(value: Mapping[str, Any]) -> bool:
    return isinstance(_at(value, "Service"), dict) and isinstance(_at(value, "Resource"), dict)


def _guardduty(value: Mapping[str, Any]) -> Alert:
    service, resource = _at(value, "Service"), _at(value, "Resource")
    account, partition = _text(value, "AccountId"), _text(value, "Partition") or "aws"
    key, action = _at(resource, "AccessKeyDetails"), _at(service, "Action")
    sequence = _at(service, "Detection", "Sequence")
    actors = _actors(_each(sequence, "Actors"), account, partition)
    resources = _each(sequence, "Resources")
    remote = [
        _at(action, kind, "RemoteIpDetails", version)
        for kind in ("AwsApiCallAction", "KubernetesApiCallAction", "RdsLoginAttemptAction")
        for version in ("IpAddressV4", "IpAddressV6")
    ]
    return Alert(
        source="GuardDuty",
        id=quoted(_text(value, "Id") or ""),
        title=quoted(_text(value, "Title") or _text(value, "Type") or ""),
        account=account,
        access_key_ids=_keys(
            [_at(key, "AccessKeyId"), *actors["access_key_ids"], *(_at(one, "Uid") for one in resources)]
        ),
        sessions=(*_session(_at(key, "PrincipalId")), *actors["sessions"]),
        principals=tuple(
            dict.fromkeys(
                (
                    *_of_user(account, partition, _at(key, "UserName"), _at(key, "UserType")),
                    *actors["principals"],
                )
            )
        ),
        instances=_instances(
            [_at(resource, "InstanceDetails", "InstanceId"), *(_at(one, "Uid") for one in resources)]
        ),
        addresses=_addresses([*remote, *(_at(one, "Ip") for one in _each(sequence, "Endpoints"))]),
        first_seen=_moment(_at(service, "EventFirstSeen")),
        last_seen=_moment(_at(service, "EventLastSeen")),
    )


# ---------------------------------------------------------------- Security Hub's AWS Security Finding Format


def _is_asff(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("ProductArn"), str) and isinstance(value.get("Resources"), list)


def _asff(value: Mapping[str, Any]) -> Alert:
    account = _text(value, "AwsAccountId")
    resources = _each(value, "Resources")
    keys = [_at(one, "Details", "AwsIamAccessKey") for one in resources]
    partition = next((one for one in (_text(each, "Partition") for each in resources) if one), "aws")
    actors = _actors(_each(value, "Detection", "Sequence", "Actors"), account, partition)
    ids = [_at(one, "Id") for one in resources]
    sessions = [
        session
        for one in keys
        for session in _session(
            _at(one, "PrincipalId"), _at(one, "SessionContext", "Attributes", "CreationDate")
        )
    ]
    issuers = [_at(one, "SessionContext", "SessionIssuer", "Arn") for one in keys]
    named = [
        arn
        for one in keys
        for arn in _of_user(
            _text(one, "AccountId") or account, partition,
            _at(one, "PrincipalName") or _at(one, "UserName"), _at(one, "PrincipalType"),
        )
    ]  # fmt: skip
    return Alert(
        source="Security Hub",
        id=quoted(_text(value, "Id") or ""),
        title=quoted(_text(value, "Title") or ""),
        account=account,
        access_key_ids=_keys(
            [
                *(_at(one, "AccessKeyId") for one in keys),
                *(
                    one.rpartition(":")[2] for one in ids if isinstance(one, str)
                ),  # AWS::IAM::AccessKey:AKIA...
                *actors["access_key_ids"],
            ]
        ),
        sessions=(*dict.fromkeys(sessions), *actors["sessions"]),
        principals=tuple(dict.fromkeys((*_principals([*issuers, *named, *ids]), *actors["principals"]))),
        instances=_instances(ids),
        addresses=_addresses(
            [
                _at(value, "Action", "AwsApiCallAction", "RemoteIpDetails", "IpAddressV4"),
                _at(value, "Network", "SourceIpV4"),
                _at(value, "Network", "SourceIpV6"),
                *(_at(one, "Ip") for one in _each(value, "Detection", "Sequence", "Endpoints")),
            ]
        ),
        first_seen=_moment(_at(value, "FirstObservedAt")),
        last_seen=_moment(_at(value, "LastObservedAt")),
    )


# ---------------------------------------------------------------- OCSF


def _is_ocsf(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("finding_info"), dict) and "class_uid" in value


def _ocsf(value: Mapping[str, Any]) -> Alert:
    info, evidences = value["finding_info"], _each(value, "evidences")
    account = _text(value, "cloud", "account", "uid")
    partition = _text(value, "cloud", "cloud_partition") or "aws"
    actors = [one for one in (_at(each, "actor") for each in (*evidences, value)) if isinstance(one, dict)]
    users = [_at(one, "user") for one in actors]
    ids = [_at(one, "uid") for one in (*_each(value, "resources"), *users)]
    endpoints = [_at(each, name) for each in evidences for name in ("src_endpoint", "device")]
    sessions = [
        session
        for one in actors
        for session in _session(
            _at(one, "user", "uid"),
            _at(one, "session", "created_time_dt") or _at(one, "session", "created_time"),
        )
    ]
    named = [
        arn
        for one in users
        for arn in _of_user(
            _text(one, "account", "uid") or account, partition, _at(one, "name"), _at(one, "type")
        )
    ]
    return Alert(
        source="OCSF",
        id=quoted(_text(info, "uid") or ""),
        title=quoted(_text(info, "title") or ""),
        account=account,
        access_key_ids=_keys([*(_at(one, "credential_uid") for one in users), *ids]),
        sessions=tuple(dict.fromkeys(sessions)),
        principals=_principals([*(_at(one, "session", "issuer") for one in actors), *named, *ids]),
        instances=_instances(ids),
        addresses=_addresses(_at(one, "ip") for one in endpoints),
        first_seen=_moment(_at(info, "first_seen_time_dt") or _at(info, "first_seen_time")),
        last_seen=_moment(_at(info, "last_seen_time_dt") or _at(info, "last_seen_time")),
    )


# ---------------------------------------------------------------- IAM Access Analyzer


def _is_analyzer(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("resource"), str) and ("analyzedAt" in value or "findingType" in value)


def _for(named: Iterable[Any]) -> str:
    """Whom a finding lets in: an account, which is no subject by itself, or a principal."""
    told = [one for one in dict.fromkeys(named) if isinstance(one, str)]
    return f" for {', '.join(told[:3])}" if told else ""


def _analyzer(value: Mapping[str, Any]) -> Alert:
    details = _each(value, "findingDetails")
    principals = [
        _at(value, "principal"),
        *(_at(one, "externalAccessDetails", "principal") for one in details),
    ]
    named = [one for each in principals if isinstance(each, dict) for one in each.values()]
    return Alert(
        source="IAM Access Analyzer",
        id=quoted(_text(value, "id") or ""),
        title=quoted(f"access to {value['resource']}{_for(named)}"),
        account=_text(value, "resourceOwnerAccount") or _text(value, "accountId"),
        principals=_principals([*named, value["resource"]]),
        first_seen=_moment(_at(value, "createdAt")),
        last_seen=_moment(_at(value, "updatedAt")),
    )


_FORMS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any]], Alert]], ...] = (
    (_is_asff, _asff), (_is_ocsf, _ocsf), (_is_guardduty, _guardduty), (_is_analyzer, _analyzer),
)  # fmt: skip
