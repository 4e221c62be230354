"""From a row of the forest to a `Credential`: names, origin, and the sentences that explain them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import numpy as np
import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.events.bearer import BEARER_KEY
from tokentrail.events.masked_ids import is_stand_in
from tokentrail.events.values import provider_of, session_of
from tokentrail.formatting import listed as enumerated
from tokentrail.lineage.model import Credential, IssuedBy, Kind, Origin, ParentLink
from tokentrail.policy.language.context import LASTING, Caller

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from tokentrail.lineage.state import Judge, Judgement

Row = Mapping[str, Any]
_T = TypeVar("_T", bound="DataclassInstance")
_decoded = msgspec.json.Decoder().decode
_RAW, _SPELLED = 16, 36
"""Bytes of an event id, and letters of it as it is spelled."""
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_AT_DIGITS = [place for place in range(_SPELLED) if place not in (8, 13, 18, 23)]

_MADE_KEYS = frozenset({"access_key", "api_key"})
_FEDERATED = frozenset({
    "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "CreateSession", "GetCredentialsForIdentity",
})  # fmt: skip


@lru_cache(maxsize=1 << 15)
def moment(seconds: int | None) -> datetime | None:
    """A time from seconds since 1970; `None` where there is none, or none that a calendar has."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def damaged(what: str) -> CaseError:
    """The error of who finds in a derived table what nothing that links writes there."""
    return CaseError(
        f"what was derived of the evidence is damaged ({what}). Work it out anew: `tokentrail rebuild --case CASE`."
    )


def values(column: pa.Array[Any]) -> list[Any]:
    """What a column holds; of labels each once, as PyArrow would make every one anew, in thirty times the time."""
    if not isinstance(column, pa.DictionaryArray):
        return column.to_pylist()
    places = column.indices.to_pylist()
    used = sorted({place for place in places if place is not None})  # the others' labels may be most
    labels = dict(zip(used, column.dictionary.take(pa.array(used, pa.int64())).to_pylist(), strict=True))
    return [labels.get(place) for place in places]


def listed(column: pa.ChunkedArray[Any]) -> list[Any]:
    """The same of a column in pieces."""
    return [value for chunk in column.chunks for value in values(chunk)]


def object_of(text: str | None) -> dict[str, Any]:
    """What a column of JSON holds; an empty object where that is none, or is nested too deeply to be read."""
    if not text:
        return {}
    try:
        try:
            found = _decoded(text)  # in a quarter of the time
        except msgspec.DecodeError:  # which it says of half a surrogate pair too
            found = json.loads(text)
    except RecursionError:
        return {}
    return found if isinstance(found, dict) else {}


def event_id(raw: bytes | None, text: str | None) -> str | None:
    """An event id as CloudTrail spells it."""
    if text is not None:
        return text
    if raw is None:
        return None
    spelled = raw.hex()
    return f"{spelled[:8]}-{spelled[8:12]}-{spelled[12:16]}-{spelled[16:20]}-{spelled[20:]}"


def event_ids(raws: pa.ChunkedArray[Any], texts: pa.ChunkedArray[Any]) -> list[str]:
    """The same of two columns, empty where neither tells one: spelled together, in a quarter of the time."""
    if raws.null_count or texts.null_count < len(texts):
        return [event_id(*one) or "" for one in zip(raws.to_pylist(), texts.to_pylist(), strict=True)]
    joined: Any = raws.cast(pa.binary()).to_pylist()
    told = np.frombuffer(b"".join(joined), np.uint8)
    if len(told) != _RAW * len(raws):
        return [event_id(one, None) or "" for one in joined]
    digits = np.empty((len(raws), 2 * _RAW), np.uint8)
    digits[:, 0::2], digits[:, 1::2] = (
        _HEX[half.reshape(len(raws), _RAW)] for half in (told >> 4, told & 15)
    )
    spelled = np.full((len(raws), _SPELLED), ord("-"), np.uint8)
    spelled[:, _AT_DIGITS] = digits
    whole = spelled.tobytes().decode("ascii")
    return [whole[start : start + _SPELLED] for start in range(0, len(whole), _SPELLED)]


def made_of(kind: type[_T], order: Sequence[int], members: Mapping[str, Sequence[Any]]) -> tuple[_T, ...]:
    """
    Many records of one kind, member by member: in a third of the time of one by one.

    Args:
        kind: A data class with slots, and nothing that its members must come to first.
        order: The places of the values, as the records are to follow each other.
        members: By its name, the values of each of its members.
    """
    if members.keys() != kind.__dataclass_fields__.keys():
        raise TypeError(f"{kind.__name__} is not made of {', '.join(members)}")
    found = [object.__new__(kind) for _ in order]
    for name, values in members.items():
        write = getattr(kind, name).__set__  # as a frozen class lets nobody else
        deque(map(write, found, map(values.__getitem__, order)), maxlen=0)
    return tuple(found)


def keys_of(row: Row) -> tuple[str, ...]:
    """The access key ids of a credential that the evidence does not mask; what has one alone is called by it."""
    if row["id"] is None:
        raise damaged("a credential has no id")
    keys = row["keys"] or ((row["id"],) if "@" not in row["id"] else ())
    return tuple(key for key in keys if not is_stand_in(key))


def lasting_key(row: Row) -> str | None:
    """The id of a long-term key or an API key."""
    return next(iter(keys_of(row)), None) if row["kind"] in LASTING else None


def expired(row: Row, as_of: datetime) -> bool:
    """Whether the end that a session was given lies before a moment: what changes did to it makes no difference."""
    end = moment(row["expires_at"]) or moment(row["expires_bound"])
    return end is not None and end <= as_of and row["kind"] != "long_term_key"


def credential(row: Row, judge: Judge) -> Credential:
    """Read one row, and judge its state."""
    who = caller(row)
    keys = keys_of(row)
    issued = _issued_by(row)
    expires, bound = moment(row["expires_at"]), moment(row["expires_bound"])
    judgement: Judgement = judge.judge(
        who,
        key_id=lasting_key(row),
        expires=expires,
        bound=bound,
    )
    parent = row["parent_id"]
    return Credential(
        id=row["id"],
        access_key_ids=keys,
        kind=cast(Kind, row["kind"]),
        account=who.account,
        principal=who.principal,
        principal_id=who.principal_id,
        role=who.role,
        session_name=who.session_name,
        source_identity=row["source_identity"],
        identity=_identity(row),
        mfa=who.mfa,
        issued_at=moment(row["issued_at"]) or _key_made(row),
        expires_at=expires,
        expires_bound=bound,
        issued_by=issued,
        parent=parent,
        parent_link=cast("ParentLink | None", row["parent_link"]) if parent else None,
        origin=None if parent else origin(row),
        origin_detail=detail(row),
        root=row["root_id"],
        depth=row["depth"],
        state=judgement.state,
        state_reason=judgement.reason,
        ended_at=judgement.ended_at,
        ended_by=judgement.ended_by,
        first_used=moment(row["first"]),
        last_used=moment(row["last"]),
        events=int(row["events"] or 0),
        errors=int(row["errors"] or 0),
        source_ips=tuple(row["ips"] or ()),
        used=bool(row["events"]),
        unusable=judgement.unusable,
    )


def _provider(row: Row) -> str | None:
    """The provider of web identities by which a session came in, as the call that issued it tells."""
    if row.get("api") == "GetCredentialsForIdentity":
        return "cognito-identity.amazonaws.com"  # whoever asks Amazon Cognito comes in by that
    if row.get("api") == "AssumeRoleWithWebIdentity":
        return provider_of(row.get("caller_principal"))  # of which rules of detection have no need
    return None


def caller(row: Row) -> Caller:
    """The credential as policies see it."""
    kind = row["kind"]
    principal_id = row["principal_id"] or row["child"]
    if is_stand_in(principal_id):
        principal_id = None
    account, principal, role, session = _who(row)
    user = principal.rpartition("/")[2] if principal and ":user/" in principal else None
    asked = None
    if kind == "federation_token" or (principal and ":federated-user/" in principal):
        asked = row["issuer_arn"] or (row["caller_arn"] if kind == "federation_token" else None)
        behind = (row["issuer_arn"] or "").partition(":user/")[2].rpartition("/")[2]
        user = behind or (row["caller_name"] if kind == "federation_token" else None)
        session = session_of(principal_id) or row["session_name"]
    first = moment(row["first"])
    return Caller(
        kind=kind,
        account=account,
        principal=principal,
        principal_id=principal_id,
        role=role,
        session_name=session or None,
        user_name=user,
        behind=asked,
        issued_at=moment(row["issued_at"]),
        issued_no_later_than=first,
        source_identity=row["source_identity"],
        mfa=True if row["mfa"] is None and row["mfa_serial"] else row["mfa"],
        sign_in_session_arn=row["sign_in_session"],
        federated_provider=row["federated_provider"] or _provider(row),
        person=row["on_behalf_of"],
        origin_subject=row["origin_subject"],
        origin_issuer=row["origin_issuer"],
        ec2_instance=row["ec2_delivery"] is not None,
    )


OWNER = (
    "kind", "seen_account", "key_account", "caller_account", "issue_account", "target", "arn", "child_arn",
    "caller_arn", "role_arn", "issuer_arn", "issuer_type", "principal_id", "child", "session_name", "created_what",
    "created_owner",
)  # fmt: skip
"""The columns that tell the `owner` of a credential."""


def owner(row: Row) -> tuple[str | None, str | None]:
    """The account of a credential, and the ARN that it acts as."""
    return _who(row)[:2]


def _who(row: Row) -> tuple[str | None, str | None, str | None, str | None]:
    """Account and ARN of a credential, and of a role's session the role and the name."""
    role = _role(row)
    session = role and (session_of(row["principal_id"] or row["child"]) or row["session_name"])
    account = row["seen_account"] or _account(row, role)
    return account, row["arn"] or _principal(row, role, session, account), role, session


def _role(row: Row) -> str | None:
    if row["issuer_type"] == "Role" or (row["issuer_arn"] and ":role/" in row["issuer_arn"]):
        return cast("str | None", row["issuer_arn"])
    if row["kind"] in ("federation_token", "session_token", "root_session"):
        return None
    return cast("str | None", row["role_arn"])


def _account(row: Row, role: str | None) -> str | None:
    if row["kind"] == "root_session":
        return cast("str | None", row["target"])
    if role and role.count(":") >= 5:
        return role.split(":")[4]
    if row["kind"] in LASTING:
        return cast("str | None", row["key_account"])
    # Whoever asks Cognito comes from no account.
    return cast("str | None", row["caller_account"] or row["issue_account"])


def _principal(row: Row, role: str | None, session: str | None, account: str | None) -> str | None:
    """The ARN of a credential that nobody was seen using."""
    if row["child_arn"]:
        return cast(str, row["child_arn"])
    if row["created_what"] in _MADE_KEYS and row["created_owner"]:
        return f"arn:aws:iam::{account}:user/{row['created_owner']}"
    if row["kind"] == "root_session":
        return f"arn:aws:iam::{account}:root"
    if role and session and role.count(":") >= 5:
        partition = role.split(":")[1]
        return f"arn:{partition}:sts::{account}:assumed-role/{role.rpartition('/')[2]}/{session}"
    if row["kind"] in ("session_token", "console_session", "scoped"):
        return cast("str | None", row["caller_arn"])
    return None


def _identity(row: Row) -> str | None:
    if row["delegate"]:
        return f"account {row['delegate']}"
    named = row["origin_subject"] or row["subject"] or row["on_behalf_of"]
    return named or (row["caller_name"] if row["api"] in _FEDERATED else None)


def _is_made_key(row: Row) -> bool:
    """Whether the key itself was made in the evidence; who resets an API key makes none."""
    return row["created_what"] in _MADE_KEYS and str(row["created_api"]).startswith("Create")


def _key_made(row: Row) -> datetime | None:
    return moment(row["created_time"]) if _is_made_key(row) else None


def _issued_by(row: Row) -> IssuedBy | None:
    if row["api"] is not None:
        found = event_id(row["issue_event"], row["issue_text"])
        return IssuedBy(
            api=row["api"], event_id=found or "", source_ip=row["issue_ip"], user_agent=row["issue_agent"]
        )
    if _is_made_key(row):
        found = event_id(row["created_event"], row["created_text"])
        return IssuedBy(
            api=row["created_api"],
            event_id=found or "",
            source_ip=row["created_ip"],
            user_agent=row["created_agent"],
        )
    return None


def origin(row: Row) -> Origin:
    """Why a credential has no parent."""
    if row["kind"] in LASTING:
        return "long_term"
    if row["kind"] == "forwarded":
        return "forwarded_call"
    if row["api"] in _FEDERATED:
        by_service = row["api"] == "CreateSession" and row["caller_type"] == "AWSService"
        return "service" if by_service else "identity_provider"
    if row["api"] == "ConsoleLogin":
        return "console_sign_in"
    if row["api"] is not None and row["caller_service"]:
        return "service"
    return "not_in_evidence"


def detail(row: Row) -> str | None:
    """The sentence behind an origin, or behind an inferred or created link."""
    if row["parent_id"]:
        return _link_detail(row)
    found = origin(row)
    if found == "long_term":
        return _borne(row)
    if found == "service":
        return f"delivered by {row['caller_service']}"
    if found == "identity_provider":
        return f"signed in through {row['caller_principal'] or row['api']}"
    if found == "console_sign_in":
        return "signed in with a password"
    if found == "forwarded_call":
        return "calls that a service made on behalf of a session which is not in the evidence"
    if row["caller_type"] == "AWSAccount":
        return (
            f"minted from account {row['caller_account']} by {row['caller_principal']}; "
            "that account's trail, or exactly one possible caller in it, is not in the case"
        )
    if row["api"] is not None:
        return f"{row['api']} is in the evidence, its caller is not"
    return "no event that issued it is in the evidence before its first use"


def _borne(row: Row) -> str | None:
    """Whose the calls with an API key are whose records show no key id, if there are any (`4_credentials.sql`)."""
    if row["id"].startswith(BEARER_KEY):
        known = enumerated(row.get("candidates") or ())
        whose = (
            f"{known} may have made them, or a key that"
            if known
            else "They may be of any key of the user's that"
        )
        return (
            "calls with an API key whose records show no key id: of this user and service the evidence shows no key, "
            f"or several, or none that worked all the time. {whose} was made before the evidence begins"
        )
    if any(key.startswith(BEARER_KEY) for key in row["keys"] or ()):
        return (
            "calls with an API key whose records show no key id are taken for its own: it is the only one of its user "
            "and service in the evidence, where one that was made before would not show"
        )
    return None


def _link_detail(row: Row) -> str | None:
    link = row["parent_link"]
    if link == "created" and row["created_what"] == "delegation":
        by = f"account {row['delegate']}" if row["delegate"] else "a partner"
        return (
            f"{by} acts as its parent's principal, by the delegation {row['created_thing']} that it approved"
        )
    if link == "created":
        what = "API key" if row["created_what"] == "api_key" else str(row["created_what"]).replace("_", " ")
        through = f"acts through the {what} {row['created_thing']} that its parent made or set"
        return "; ".join(filter(None, (through, _borne(row))))
    if link == "inferred" and row["api"] == "GetSigninToken":
        return "the only sign-in URL for this principal in the fifteen minutes before the session began"
    if link == "inferred":
        return f"the only credential of {row['caller_principal']} that was alive when it was minted"
    if link == "matched" and row["api"] == "AssumeRoleWithWebIdentity":
        return "opened by the token, of one partition of AWS for another, that its parent asked for"
    if link == "matched" and (row["session_name"] or "").startswith("AWSLF-"):
        return "bears the name that Lake Formation gave the session for which its parent asked"
    if link == "matched":
        return "principal id and creation date equal the issuing event's"
    return None
