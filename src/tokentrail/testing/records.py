"""
The shape of one CloudTrail record, and what AWS puts into it for a given call.

Shapes follow "CloudTrail record contents" (AWS CloudTrail User Guide) and records of the public Invictus and
Stratus Red Team data sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tokentrail.testing.names import Json, Role, iso

EVENT_VERSION = "1.11"
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36"
CLI = "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.7"
SDK = "Boto3/1.40.44 md/Botocore#1.40.44 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.12.3"

_GLOBAL_SERVICES = frozenset({"iam", "organizations", "cloudfront", "route53"})
_SOURCE_NAMES = {"cloudwatch": "monitoring", "elb": "elasticloadbalancing", "eventbridge": "events"}
_READS = (
    "Get",
    "List",
    "Describe",
    "Head",
    "Lookup",
    "Batch",
    "Select",
    "Query",
    "Scan",
    "Decrypt",
    "Simulate",
)
_READS_BY_NAME = frozenset(
    {"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AuthorizeOAuth2Access"}
    | {"CreateOAuth2Token", "Encrypt", "GenerateDataKey"}
)
_WRITES_BY_NAME = frozenset({"GetSessionToken", "GetFederationToken", "GetSigninToken"})
_DATA_CALLS = frozenset(
    {
        f"s3:{name}"
        for name in ("GetObject", "PutObject", "DeleteObject", "ListObjects", "CopyObject", "HeadObject")
    }
    | {f"dynamodb:{name}" for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")}
    | {"lambda:Invoke", "cognito-identity:GetCredentialsForIdentity"}
)
_TELLING_SERVICES = frozenset({"bedrock-mantle", "aws-external-anthropic"})
"""Those whose requests tell of API keys; of others, `additionalEventData` does."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(slots=True, kw_only=True)
class Call:
    """One API call, before it becomes a record."""

    action: str
    """Service and operation as in IAM policies: `s3:GetObject`."""
    params: Json | None = None
    response: Json | None = None
    resources: list[Json] | None = None
    additional: Json | None = None
    error: str | None = None
    message: str | None = None
    read_only: bool | None = None
    data: bool | None = None
    ip: str = ""
    user_agent: str = ""
    region: str = "us-east-1"
    event_type: str = "AwsApiCall"
    host: str | None = None
    """The `clientProvidedHostHeader`; an empty text leaves `tlsDetails` out."""
    service_details: Json | None = None
    from_console: bool = False
    shared_event_id: str | None = None
    vpc_endpoint: str | None = None
    """Through which VPC endpoint it came."""
    endpoint_account: str | None = None
    """Whose endpoint that is."""

    @property
    def service(self) -> str:
        """The service's short name."""
        return self.action.partition(":")[0]

    @property
    def event_name(self) -> str:
        """The operation's name."""
        return self.action.partition(":")[2]

    @property
    def event_region(self) -> str:
        """The region that records it; global services record in us-east-1."""
        return "us-east-1" if self.service in _GLOBAL_SERVICES else self.region

    @property
    def reads(self) -> bool:
        """
        Whether CloudTrail marks it `readOnly`.

        "Logging IAM and AWS STS API calls with AWS CloudTrail": the AssumeRole calls are read-only,
        GetSessionToken, GetFederationToken and AssumeRoot are not.
        """
        if self.read_only is not None:
            return self.read_only
        name = self.event_name
        return name in _READS_BY_NAME or (name.startswith(_READS) and name not in _WRITES_BY_NAME)

    @property
    def is_data(self) -> bool:
        """Whether it is a data event, which a trail holds only where it was asked to."""
        return self.action in _DATA_CALLS if self.data is None else self.data


def record(
    call: Call, identity: Json, moment: datetime, *, account: str, event_id: str, request_id: str
) -> Json:
    """Write one record as the account's trail holds it."""
    written: Json = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": identity,
        "eventTime": iso(moment),
        "eventSource": f"{_SOURCE_NAMES.get(call.service, call.service)}.amazonaws.com",
        "eventName": call.event_name,
        "awsRegion": call.event_region,
        "sourceIPAddress": call.ip,
        "userAgent": call.user_agent,
    }
    if call.error is not None:
        written["errorCode"] = call.error
        written["errorMessage"] = call.message or call.error
    written["requestParameters"] = call.params
    written["responseElements"] = None if call.error is not None else call.response
    if call.additional is not None:
        written["additionalEventData"] = call.additional
    if call.event_type != "AwsConsoleSignIn":
        written["requestID"] = request_id
    written |= {"eventID": event_id, "readOnly": call.reads}
    if call.resources:
        written["resources"] = call.resources
    written |= {"eventType": call.event_type, "managementEvent": not call.is_data}
    written["recipientAccountId"] = account
    written |= {name: value for name, value in _only_where_given(call) if value is not None}
    written["eventCategory"] = "Data" if call.is_data else "Management"
    if host := _host(call):
        written["tlsDetails"] = _tls(host)
    if call.from_console:
        written["sessionCredentialFromConsole"] = "true"
    return written


def _only_where_given(call: Call) -> Iterator[tuple[str, Json | str | None]]:
    yield "sharedEventID", call.shared_event_id
    yield "serviceEventDetails", call.service_details
    yield "vpcEndpointId", call.vpc_endpoint
    yield "vpcEndpointAccountId", call.endpoint_account


def role_resource(role: Role) -> list[Json]:
    """Write the `resources` of a call upon a role; `ARN` in capitals, as CloudTrail has it."""
    return [{"accountId": role.account, "type": "AWS::IAM::Role", "ARN": role.arn}]


def expiration(moment: datetime) -> str:
    """Write a time as STS does in `credentials.expiration`: `Nov 30, 2024, 8:43:17 PM`."""
    return _american(moment, ", ")


def create_date(moment: datetime) -> str:
    """Write a time as IAM does in `createDate`: `Jul 30, 2024 9:53:13 PM`, with no second comma."""
    return _american(moment, " ")


def denial(
    arn: str, action: str, resource: str | None, *, explicit: bool, by: str = "an identity-based policy"
) -> str:
    """Word an AccessDenied message. "Troubleshoot access denied error messages", IAM User Guide."""
    upon = f" on resource: {resource}" if resource else ""
    why = (
        f"with an explicit deny in {by}"
        if explicit
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {arn} is not authorized to perform: {action}{upon} {why}"


def _american(moment: datetime, before_time: str) -> str:
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    day = f"{_MONTHS[moment.month - 1]} {moment.day}, {moment.year}"
    return f"{day}{before_time}{hour}:{moment:%M:%S} {half}"


def _host(call: Call) -> str:
    if call.host is not None:
        return call.host
    if (
        call.event_type != "AwsApiCall"
        or call.ip.endswith(".amazonaws.com")
        or call.ip.startswith("AWS Internal")
    ):
        return ""
    if call.service in _GLOBAL_SERVICES:
        return f"{call.service}.amazonaws.com"
    return f"{call.service}.{call.region}.amazonaws.com"


def _tls(host: str) -> Json:
    return {
        "tlsVersion": "TLSv1.3",
        "cipherSuite": "TLS_AES_128_GCM_SHA256",
        "clientProvidedHostHeader": host,
    }


def bear(call: Call, kind: str) -> None:
    """Write into a call that it was made with an API key, where the service's records tell it."""
    if call.service in _TELLING_SERVICES:
        call.params = {**(call.params or {}), "callWithBearerToken": True, "bearerTokenType": kind}
    else:
        call.additional = {**(call.additional or {}), "callWithBearerToken": True}
