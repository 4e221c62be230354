"""
Records as other schemas tell them: Elastic Common Schema, and OCSF as Amazon Security Lake writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from tokentrail.testing.names import Json
from tokentrail.testing.tabled import java
from tokentrail.testing.wrapped import text

Kept = Literal["original", "flattened", "text"]
Version = Literal["1.0.0-rc.2", "1.1.0", "1.5.0"]
_OPEN = {
    "requestParameters": "request_parameters",
    "responseElements": "response_elements",
    "additionalEventData": "additional_eventdata",
    "serviceEventDetails": "service_event_details",
}
_ELSEWHERE = (
    "sharedEventID",
    "managementEvent",
    "readOnly",
    "sessionCredentialFromConsole",
    "vpcEndpointAccountId",
)
"""Members of a record that no field of OCSF holds."""
_SIGN_INS = frozenset(
    {"ConsoleLogin", "CheckMfa", "CredentialChallenge", "CredentialVerification", "UserAuthentication"}
    | {"ExternalIdPDirectoryLogin", "AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}
)


def elastic(records: Iterable[Json], *, kept: Kept = "original") -> bytes:
    """
    Give documents of Elastic's AWS integration, as an export of an index writes them.

    Args:
        records: The records.
        kept: What of a record's own words the index kept: all, requests and answers as objects, or as text.
    """
    return b"".join(
        text(
            {"_index": "logs-aws.cloudtrail", "_id": one["eventID"], "_source": _document(one, kept)}
        ).encode()
        + b"\n"
        for one in records
    )


def _document(record: Json, kept: Kept) -> Json:
    """Do what the integration's ingest pipeline does. Elastic, 'AWS CloudTrail', exported fields."""
    identity: Json = record["userIdentity"]
    context: Json = identity.get("sessionContext") or {}
    issuer: Json = context.get("sessionIssuer") or {}
    attributes: Json = context.get("attributes") or {}
    created = attributes.get("creationDate")
    trail: Json = {
        "event_version": record["eventVersion"],
        "event_type": record.get("eventType"),
        "event_category": record.get("eventCategory"),
        "request_id": record.get("requestID"),
        "error_code": record.get("errorCode"),
        "error_message": record.get("errorMessage"),
        "read_only": record.get("readOnly"),
        "management_event": record.get("managementEvent"),
        "recipient_account_id": record.get("recipientAccountId"),
        "vpc_endpoint_id": record.get("vpcEndpointId"),
        "vpc_endpoint_account_id": record.get("vpcEndpointAccountId"),
        "session_credential_from_console": record.get("sessionCredentialFromConsole"),
        "resources": [
            {"arn": one.get("ARN"), "account_id": one.get("accountId"), "type": one.get("type")}
            for one in record.get("resources") or []
        ],
        "user_identity": {
            "type": identity.get("type"),
            "arn": identity.get("arn"),
            "access_key_id": identity.get("accessKeyId"),
            "invoked_by": identity.get("invokedBy"),
            "session_context": {
                "creation_date": created and created[:-1] + ".000Z",
                "mfa_authenticated": attributes.get("mfaAuthenticated"),
                "session_issuer": {
                    "type": issuer.get("type"),
                    "principal_id": issuer.get("principalId"),
                    "arn": issuer.get("arn"),
                    "account_id": issuer.get("accountId"),
                },
            },
        },
        "flattened": {},
    }
    for member, name in _OPEN.items():
        if record.get(member) is not None:
            trail[name] = java(record[member])
            if kept != "text":
                trail["flattened"][name] = record[member]
    address = record["sourceIPAddress"]
    found: Json = {
        "@timestamp": record["eventTime"][:-1] + ".000Z",
        "aws": {"cloudtrail": trail},
        "cloud": {"account": {"id": identity.get("accountId")}, "region": record["awsRegion"]},
        "event": {
            "action": record["eventName"],
            "id": record["eventID"],
            "kind": "event",
            "original": text(record) if kept == "original" else None,
            "outcome": "failure" if record.get("errorCode") else "success",
            "provider": record["eventSource"],
        },
        "source": {"address": address, "ip": address if address[:1].isdigit() else None},
        "user": {
            "id": identity.get("principalId"),
            "name": issuer.get("userName") or identity.get("userName"),
        },
        "user_agent": {"original": record.get("userAgent"), "name": "other"},
    }
    slim: Json = _without_nothing(found)
    return slim


def ocsf_documents(records: Iterable[Json], *, version: Version = "1.5.0") -> list[Json]:
    """
    Tell records as Amazon Security Lake does. OCSF, 'examples', mappings of AWS CloudTrail.

    Args:
        records: The records.
        version: 1.0.0-rc.2 is Security Lake's first source version, the others its second.
    """
    return [_without_nothing(_old(one) if version == "1.0.0-rc.2" else _new(one, version)) for one in records]


def ocsf(records: Iterable[Json], *, version: Version = "1.5.0") -> bytes:
    """Give such documents, one a line."""
    return b"".join(text(one).encode() + b"\n" for one in ocsf_documents(records, version=version))


def ocsf_parquet(records: Iterable[Json], *, version: Version = "1.5.0") -> bytes:
    """Give such documents as Security Lake's Parquet: `unmapped` is a map of texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = ocsf_documents(records, version=version)
    unmapped = [list(one.pop("unmapped", {}).items()) for one in rows]
    names = sorted({name for one in rows for name in one})
    table = pa.table({name: pa.array([one.get(name) for one in rows]) for name in names})
    table = table.append_column("unmapped", pa.array(unmapped, pa.map_(pa.string(), pa.string())))
    out = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue().to_pybytes()


def _frame(record: Json, version: str, class_uid: int) -> Json:
    address = record["sourceIPAddress"]
    return {
        "activity_id": 99,
        "class_uid": class_uid,
        "category_uid": class_uid // 1000,
        "type_uid": class_uid * 100 + 99,
        "cloud": {"provider": "AWS", "region": record["awsRegion"]},
        "http_request": {"user_agent": record.get("userAgent")},
        "metadata": {
            "uid": record["eventID"],
            "version": version,
            "profiles": ["cloud"],
            "product": {
                "name": "CloudTrail",
                "vendor_name": "AWS",
                "version": record["eventVersion"],
                "feature": {"name": record.get("eventCategory")},
            },
        },
        "severity_id": 1,
        "src_endpoint": {
            "ip" if address[:1].isdigit() else "domain": address,
            "uid": record.get("vpcEndpointId"),
        },
        "status": "Failure" if record.get("errorCode") else "Success",
        "time": _milliseconds(record["eventTime"]),
        "api": {
            "operation": record["eventName"],
            "service": {"name": record["eventSource"]},
            "request": {"uid": record.get("requestID")},
            "response": {"error": record.get("errorCode"), "message": record.get("errorMessage")},
        },
    }


def _old(record: Json) -> Json:
    name = record["eventName"]
    found = _frame(record, "1.0.0-rc.2", _class(record, 3005))
    identity, rest = _actor(
        record, {"account": "account_uid", "principal": "uid", "arn": "uuid", "mfa": "mfa"}
    )
    found["actor"] = identity
    found["resources"] = [
        {"uid": one.get("ARN"), "account_uid": one.get("accountId"), "type": one.get("type")}
        for one in record.get("resources") or []
    ]
    unmapped = rest | _scalars(record, ("eventType", "recipientAccountId"))
    for member in ("requestParameters", "responseElements"):
        unmapped |= _flat(record.get(member), member)
    if name.startswith("AssumeRole"):
        found["user"] = {
            "uuid": unmapped.pop("requestParameters.roleArn", None),
            "name": unmapped.pop("requestParameters.roleSessionName", None),
        }
    if name == "ConsoleLogin":
        found["status"] = unmapped.pop("responseElements.ConsoleLogin", found["status"])
    if found["class_uid"] == 3001 and name in ("CreateUser", "CreateRole"):
        what = name.removeprefix("Create").lower()
        found["user"] = {
            "name": unmapped.pop(f"responseElements.{what}.{what}Name", None),
            "uid": unmapped.pop(f"responseElements.{what}.{what}Id", None),
        }
    found["unmapped"] = unmapped
    return found


def _new(record: Json, version: str) -> Json:
    found = _frame(record, version, _class(record, 6003))
    identity, rest = _actor(record, {"account": "", "principal": "uid_alt", "arn": "uid", "mfa": "is_mfa"})
    found["actor"] = identity
    found["time_dt"] = record["eventTime"]
    found["metadata"]["event_code"] = record.get("eventType")
    found["api"]["request"]["data"] = record.get("requestParameters") and text(record["requestParameters"])
    found["api"]["response"]["data"] = record.get("responseElements") and text(record["responseElements"])
    found["resources"] = [
        {"uid": one.get("ARN"), "owner": {"account": {"uid": one.get("accountId")}}, "type": one.get("type")}
        for one in record.get("resources") or []
    ]
    unmapped = rest
    if version == "1.5.0":
        found["cloud"]["account"] = {"uid": record["recipientAccountId"]}
    else:
        unmapped |= _scalars(record, ("recipientAccountId",))
    found["unmapped"] = unmapped
    return found


def _class(record: Json, ordinary: int) -> int:
    if record["eventName"] in _SIGN_INS:
        return 3002
    changes = record["eventSource"] == "iam.amazonaws.com" and not record.get("readOnly")
    return 3001 if changes else ordinary


def _actor(record: Json, names: dict[str, str]) -> tuple[Json, Json]:
    """Tell who called, and what of it has no field."""
    identity: Json = record["userIdentity"]
    context: Json = identity.get("sessionContext") or {}
    attributes: Json = context.get("attributes") or {}
    issuer: Json = context.get("sessionIssuer") or {}
    federation: Json = context.get("webIdFederationData") or {}
    person: Json = identity.get("onBehalfOf") or {}
    user: Json = {
        "credential_uid": identity.get("accessKeyId"),
        "type": identity.get("type"),
        "name": identity.get("userName"),
        names["principal"]: identity.get("principalId"),
        names["arn"]: identity.get("arn"),
    }
    if names["account"]:
        user[names["account"]] = identity.get("accountId")
    else:
        user["account"] = {"uid": identity.get("accountId")}
    directory = {"userId", "identityStoreArn"} if names["principal"] == "uid_alt" else set[str]()
    if "userId" in person and directory:
        user["uid_alt"] = person["userId"]
    created, factor = attributes.get("creationDate"), attributes.get("mfaAuthenticated")
    actor = {
        "user": user,
        "invoked_by": identity.get("invokedBy"),
        "idp": {
            "name": identity.get("identityProvider") or federation.get("federatedProvider"),
            "uid": person.get("identityStoreArn"),
        },
        "session": {
            "created_time": created and _milliseconds(created),
            "issuer": issuer.get("arn"),
            names["mfa"]: None if factor is None else factor == "true",
        },
    }
    rest = _flat(issuer, "userIdentity.sessionContext.sessionIssuer")
    rest.pop("userIdentity.sessionContext.sessionIssuer.arn", None)
    for member in ("sourceIdentity", "ec2RoleDelivery", "assumedRoot", "signInSessionArn"):
        rest |= _flat(context.get(member), f"userIdentity.sessionContext.{member}")
    rest |= _flat(identity.get("inScopeOf"), "userIdentity.inScopeOf")
    rest |= _flat(
        {name: value for name, value in person.items() if name not in directory}, "userIdentity.onBehalfOf"
    )
    rest |= _scalars(record, _ELSEWHERE)
    for member in ("additionalEventData", "serviceEventDetails"):
        rest |= _flat(record.get(member), member)
    return actor, rest


def _scalars(record: Json, names: Iterable[str]) -> Json:
    found = {name: record[name] for name in names if record.get(name) is not None}
    return {name: str(one).lower() if isinstance(one, bool) else one for name, one in found.items()}


def _flat(value: Any, path: str) -> Json:
    """Flatten a value to texts by dotted name; lists by index."""
    if isinstance(value, dict):
        return {
            key: one for name, inner in value.items() for key, one in _flat(inner, f"{path}.{name}").items()
        }
    if isinstance(value, list):
        return {
            key: one for n, inner in enumerate(value) for key, one in _flat(inner, f"{path}[{n}]").items()
        }
    if value is None:
        return {}
    return {path: str(value).lower() if isinstance(value, bool) else str(value)}


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def _without_nothing(value: Any) -> Any:
    """Drop what is null or empty, as both schemas' writers do."""
    if isinstance(value, dict):
        inner = {name: _without_nothing(one) for name, one in value.items()}
        return {name: one for name, one in inner.items() if one not in (None, "", {}, [])}
    if isinstance(value, list):
        return [_without_nothing(one) for one in value]
    return value
