"""
A logged call as policies see it: the caller, and all condition keys whose values the log shows.

A key that the log does not show is unknown, and conditions on it are undecided.
Sources: IAM User Guide, 'AWS global condition context keys' and 'Available keys for AWS STS'; CloudTrail User
Guide, 'CloudTrail record contents' (`sourceIPAddress`, `userAgent`, `awsRegion`) and 'userIdentity element'
(`invokedBy`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from tokentrail.aws.calls.permissions import actions_of
from tokentrail.aws.principals import principal_of_arn, role_arn
from tokentrail.events.vocabulary import VPC_ENDPOINT
from tokentrail.lineage.addresses import is_public, parse_address
from tokentrail.lineage.rows import Row
from tokentrail.policy.account.trust import Who
from tokentrail.policy.language.context import ABSENT, PRESENT, Caller, CallerKind, Context, Known, context_of
from tokentrail.policy.language.evaluate import Call

ALWAYS = ("kind", "type", "forwarded", "by_service", "linked")
"""Columns that every judgement needs."""
IDENTITY = frozenset(
    {
        *ALWAYS, "principal", "home", "user_name", "mfa", "source_identity", "federated_provider", "ec2_delivery",
        "sign_in_session", "issuer", "origin_subject", "origin_issuer",
    }
)  # fmt: skip
"""Columns of the caller: they have far fewer distinct values than calls do."""
ACTION, EVENT = ("source", "name"), ("event",)
"""The columns of the action; and the one that is enough for a policy about all actions."""
_ADDRESS = ("ip", "endpoint")
_ENDPOINT = re.compile(VPC_ENDPOINT)
_OF_ENDPOINTS = ("aws:sourcevpcarn", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths")
"""Keys of calls through VPC endpoints that some services give (IAM User Guide, 'AWS global condition context keys')."""
COLUMNS_OF_KEYS: dict[str, tuple[str, ...]] = {
    "aws:principalarn": ("principal",), "aws:username": ("principal", "user_name"), "aws:principalaccount": ("home",),
    "aws:principalorgid": ("home",), "aws:sourceip": _ADDRESS, "aws:sourcevpc": _ADDRESS, "aws:sourcevpce": _ADDRESS,
    "aws:vpcsourceip": _ADDRESS, "aws:requestedregion": ("region",), "aws:useragent": ("agent",),
    "aws:currenttime": ("time",), "aws:epochtime": ("time",), "aws:tokenissuetime": ("created",),
    "aws:multifactorauthpresent": ("mfa", "mfa_serial"), "aws:multifactorauthage": ("mfa", "mfa_serial"),
    "aws:userid": ("principal_id", "principal", "home"), "aws:sourceidentity": ("source_identity",),
    "aws:signinsessionarn": ("sign_in_session",), "aws:federatedprovider": ("federated_provider",),
    "aws:originidentity/subject": ("origin_subject",), "aws:originidentity/issuer": ("origin_issuer",),
    "ec2:sourceinstancearn": ("ec2_delivery",), "ec2:roledelivery": ("ec2_delivery",),
    "aws:ec2instancesourcevpc": ("ec2_delivery",), "aws:ec2instancesourceprivateipv4": ("ec2_delivery",),
    "sts:rolesessionname": ("session_name", "issued"), "sts:sourceidentity": ("asked_identity", "issued"),
    "sts:durationseconds": ("duration", "issued"),
    **dict.fromkeys(_OF_ENDPOINTS, _ADDRESS),
    "iam:servicespecificcredentialservicename": ("api_key_service",),
    "iam:servicespecificcredentialagedays": ("api_key_service", "api_key_days"),
}  # fmt: skip
"""By condition key: the columns that its value is taken from."""
_ANYBODY = {
    "IAMUser": "arn:aws:iam::000000000000:user/-", "AssumedRole": "arn:aws:iam::000000000000:role/-",
    "Role": "arn:aws:iam::000000000000:role/-", "Root": "arn:aws:iam::000000000000:root",
    "FederatedUser": "arn:aws:sts::000000000000:federated-user/-",
}  # fmt: skip
"""By identity type: a principal to judge by where a policy does not depend on which one it is."""
RESOURCE = ("resource", "role_arn")
_OTHERS = frozenset(
    {"AWSService", "SAMLUser", "WebIdentityUser", "IdentityCenterUser", "AWSAccount", "Unknown", "Directory"}
)
_OF_PRINCIPALS = (
    "aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:userid", "aws:username",
    "aws:tokenissuetime", "aws:multifactorauthpresent", "aws:multifactorauthage", "aws:sourceidentity",
)  # fmt: skip
"""Condition keys that only the requests of IAM principals have."""
_AGENTS_OF_AWS = ("amazonaws.com", "AWS Internal", "console.amazon")
_ABOUT_PARTS = ("s3:abortmultipartupload", "s3:listmultipartuploadparts")
"""Actions on an object that don't have `object` in their names."""
_LONGEST_AGENT = 1000
"""CloudTrail cuts user agents at 1 KB (CloudTrail User Guide, 'CloudTrail record contents')."""


def filled(row: Row) -> dict[str, Any]:
    """Fill in columns that calls were not grouped by, since the policy does not depend on them."""
    found = dict(row)
    found.setdefault("home", "000000000000")
    found.setdefault("principal", _ANYBODY.get(found["type"] or ""))
    found.setdefault("user_name", None)
    found.setdefault("name", None)
    if "source" not in found:
        found["source"] = "signin.amazonaws.com" if found.get("event") == "signin" else None
    return found


def call_of(row: Row, account_orgs: dict[str, str] | None = None) -> Call:
    """
    The call of a row: its possible actions, its resources, and the condition keys that are known.

    Of API keys only the long-term ones have calls of their own (`events.bearer`); Amazon Bedrock User Guide, 'Control
    permissions for generating and using Amazon Bedrock API keys' (`bedrock:bearerTokenType`).
    """
    context = dict(_context_of_caller(row))
    _add_network(context, row)
    _add_request(context, row)
    _add_minting(context, row)
    _add_made_key(context, row)
    if row["kind"] == "api_key":
        context["bedrock:bearertokentype"] = ("LONG_TERM",)
    organisation = (account_orgs or {}).get(row["home"] or "")
    if organisation:
        context["aws:principalorgid"] = (organisation,)
    undeniable = row.get("event") == "undeniable"
    by_api_key = row["kind"] == "api_key"
    actions = actions_of(row["source"], row["name"], by_api_key=by_api_key)
    actions = ("sts:getcalleridentity",) if undeniable else actions
    return Call.of(actions, _resources(row, actions), context)


def who_of(row: Row) -> Who | None:
    """The IAM principal that called, if it was one."""
    identity = principal_of_arn(row["principal"]) if row["principal"] else None
    return Who(identity=identity) if identity is not None and row["type"] not in _OTHERS else None


def is_principal(row: Row) -> bool:
    """
    Whether an IAM principal made the call, so that policies on principals apply to it.

    To sign-in and console events no policy applies, except to those of `aws login`.
    """
    if row["source"] == "signin.amazonaws.com" and "OAuth2" not in (row["name"] or ""):
        return False
    return row["type"] not in _OTHERS and row["home"] is not None


def service_linked(row: Row) -> bool:
    """Whether a service-linked role called, which no SCP binds."""
    return bool(row["linked"])


@lru_cache(maxsize=65_536)
def private(address: str) -> bool | None:
    """Whether an address is a private one, as in a VPC; `None` for what is no address."""
    return None if parse_address(address) is None else not is_public(address)


def _context_of_caller(row: Row) -> Context:
    if not is_principal(row):
        return _of_no_principal(row)
    kind = "forwarded" if row["forwarded"] else (row["kind"] or _kind(row))
    role = role_arn(row["principal"] or "") if row["type"] in ("AssumedRole", "Role") else None
    created = row.get("created")
    caller = Caller(
        kind=cast(CallerKind, kind),
        account=row["home"],
        principal=None if role else row["principal"],
        principal_id=row.get("principal_id"),
        role=role,
        user_name=row["user_name"],
        issued_at=None if created is None else datetime.fromtimestamp(created, UTC),
        source_identity=row.get("source_identity"),
        mfa=row.get("mfa"),
        sign_in_session_arn=row.get("sign_in_session"),
        federated_provider=row.get("federated_provider"),
        origin_subject=row.get("origin_subject"),
        origin_issuer=row.get("origin_issuer"),
        ec2_instance=row.get("ec2_delivery") is not None,
    )
    context = dict(context_of(caller))
    if row["forwarded"]:
        context.pop("aws:multifactorauthpresent", None)  # whether they carry the caller's is not documented
        context.pop("aws:multifactorauthage", None)
    delivery = row.get("ec2_delivery")
    if delivery is not None:
        context["ec2:roledelivery"] = (str(delivery),)
    return context


def _of_no_principal(row: Row) -> Context:
    context: dict[str, Known] = {
        "aws:principalisawsservice": ("true" if row["type"] == "AWSService" else "false",)
    }
    if row["type"] in ("AWSService", "SAMLUser", "WebIdentityUser"):
        context |= dict.fromkeys(_OF_PRINCIPALS, ABSENT)
    elif row["type"] == "AWSAccount" and row["home"]:
        context["aws:principalaccount"] = (row["home"],)
    return context


def _kind(row: Row) -> str:
    """The kind of a caller for which the forest has no credential."""
    if row["type"] == "FederatedUser":
        return "federation_token"
    return "unknown"


def _add_network(context: dict[str, Known], row: Row) -> None:
    """
    Add the condition keys of the network. Calls that a service forwards come from its own network, which is not logged.

    Traffic through a VPC endpoint shows the private address, and mostly the endpoint; it has aws:SourceVpc and not
    aws:SourceIp, direct traffic the other way round (IAM User Guide, 'aws:SourceIp', 'aws:SourceVpc', 'aws:SourceVpce';
    CloudTrail User Guide, 'CloudTrail record contents', `vpcEndpointId`). If a service has assumed a role, the log does
    not show whether it calls on its own behalf, with aws:ViaAWSService false, or forwards a call of code that runs with
    the role (IAM User Guide, 'aws:ViaAWSService').
    """
    context["aws:viaawsservice"] = ("true" if row["forwarded"] and is_principal(row) else "false",)
    if row["type"] == "AWSService" or row.get("by_service"):
        context.pop("aws:viaawsservice")
    address: str | None = row.get("ip")
    if address is None or row["forwarded"]:
        return
    named = row.get("endpoint")
    endpoint = named if named and _ENDPOINT.fullmatch(named) else None
    inner = private(address) if endpoint is None else True
    if inner is None:
        return
    if inner:
        context["aws:sourceip"] = ABSENT
        context["aws:vpcsourceip"] = (address,) if private(address) else PRESENT
        context["aws:sourcevpc"] = PRESENT
        context["aws:sourcevpce"] = (endpoint,) if endpoint else PRESENT
    else:
        context["aws:sourceip"] = (address,)
        for key in ("aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", *_OF_ENDPOINTS):
            context[key] = ABSENT


def _add_request(context: dict[str, Known], row: Row) -> None:
    if row.get("region"):
        context["aws:requestedregion"] = (row["region"],)
    agent = row.get("agent")
    if agent and not row["forwarded"] and _told(agent):
        context["aws:useragent"] = (agent,)
    if row.get("time") is not None:
        context["aws:currenttime"] = (datetime.fromtimestamp(row["time"], UTC).isoformat(),)
        context["aws:epochtime"] = (str(row["time"]),)


def _told(agent: str) -> bool:
    """Whether the log shows the caller's own user agent, uncut."""
    return len(agent) < _LONGEST_AGENT and not any(part in agent for part in _AGENTS_OF_AWS)


def _add_minting(context: dict[str, Known], row: Row) -> None:
    """Add the condition keys of a call that assumes a role; the external id is not stored, and so unknown."""
    if row.get("issued"):
        for key, column in _ASKED:
            if column in row:
                context[key] = ABSENT if row[column] is None else (str(row[column]),)
    if row.get("mfa_serial"):
        context["aws:multifactorauthpresent"] = ("true",)
        context["aws:multifactorauthage"] = ("0",)
    elif "mfa_serial" not in row and not row.get(
        "mfa"
    ):  # of the caller alone: whoever lacks MFA may give it in a call
        context.pop("aws:multifactorauthpresent", None)
        context.pop("aws:multifactorauthage", None)


def _add_made_key(context: dict[str, Known], row: Row) -> None:
    """
    Add the condition keys of a call that makes an API key.

    AWS does not say whether a request for a key that never expires has `iam:ServiceSpecificCredentialAgeDays`; it is
    taken to lack it, so that no policy is counted on that refuses such keys only if it has (IAM User Guide, 'IAM and
    AWS STS condition context keys'; IAM API Reference, 'CreateServiceSpecificCredential').
    """
    if row.get("api_key_service"):
        context["iam:servicespecificcredentialservicename"] = (row["api_key_service"],)
        if "api_key_days" in row:
            days = row["api_key_days"]
            context["iam:servicespecificcredentialagedays"] = ABSENT if days is None else (days,)


_ASKED = (
    ("sts:rolesessionname", "session_name"), ("sts:sourceidentity", "asked_identity"),
    ("sts:durationseconds", "duration"),
)  # fmt: skip


def _resources(row: Row, actions: Sequence[str]) -> Iterable[str] | None:
    if row.get("role_arn"):
        return (row["role_arn"],)
    named = [one for one in (row.get("resource") or "").split("\n") if one.startswith("arn:")]
    if len(actions) == 1 and actions[0].startswith("s3:") and "*" not in actions[0]:
        named = _in_s3(actions[0], named)
    return named or None


def _in_s3(action: str, named: list[str]) -> list[str]:
    """
    The bucket or the objects, whichever an action's permission is about: data events name both.

    The record of DeleteObjects does not name the objects; then any object of the bucket may be meant.
    Sources: Service Authorization Reference, 'Actions, resources, and condition keys for Amazon S3'; Amazon S3 User
    Guide, 'Examples: CloudTrail log file entries for Amazon S3'.
    """
    buckets = [one for one in named if "/" not in one]
    objects = [one for one in named if "/" in one]
    if any(":s3:::" not in one for one in named):  # an access point
        return named
    if "object" in action or action in _ABOUT_PARTS:
        return objects or [f"{one}/*" for one in buckets]
    return buckets or sorted({one.partition("/")[0] for one in objects})


def columns_for(keys: Iterable[str], *, resources: bool) -> frozenset[str]:
    """The columns that are needed to judge by some condition keys, and by resources if these matter."""
    wanted: set[str] = set(RESOURCE) if resources else set()
    for key in keys:
        wanted.update(COLUMNS_OF_KEYS.get(key, ()))
    return frozenset(wanted)


def spoken(source: str | None, name: str | None) -> str:
    """A call by service and name, such as `sts:AssumeRole`."""
    return f"{actions_of(source, name)[0].partition(':')[0]}:{name}"
