"""No column of any table holds a secret, in whichever text of a record it stood and whatever carried the record."""

from __future__ import annotations

import base64
import copy
import json
import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from events_cases import ACCOUNT, issuing, native, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokentrail.events.kernel import Segment
from tokentrail.events.values import HIDDEN, hide_secrets
from tokentrail.testing import carriers

Json = dict[str, Any]
LETTERS = string.ascii_letters + string.digits
FIXED = {"eventTime", "creationDate", "expiration", "eventVersion"}
"""What is no text of its own: with something else in it the record is refused whole."""
SESSION = {
    "type": "AssumedRole", "principalId": "AROAEXAMPLEEXAMPLEROL:ada", "accountId": ACCOUNT, "accessKeyId": "ASIAEXAMPLE",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role", "principalId": "AROAEXAMPLEEXAMPLEROL", "arn": f"arn:aws:iam::{ACCOUNT}:role/Deploy",
            "accountId": ACCOUNT, "userName": "Deploy",
        },
        "webIdFederationData": {"federatedProvider": "arn:aws:iam::111122223333:oidc-provider/idp.example"},
        "attributes": {"creationDate": "2024-03-01T00:00:00Z", "mfaAuthenticated": "false"}, "sourceIdentity": "ada",
    },
    "invokedBy": "athena.amazonaws.com", "onBehalfOf": {"subject": "ada@corp", "issuer": "https://idp.example"},
}  # fmt: skip
TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
)
RECORDS: list[Json] = [
    record(
        userIdentity=SESSION, errorCode="AccessDenied", errorMessage="no", vpcEndpointId="vpce-1", vpcEndpointAccountId=ACCOUNT,
        resources=[{"ARN": "arn:aws:s3:::b/x", "accountId": ACCOUNT, "type": "AWS::S3::Object"}],
        requestParameters={"bucketName": "b", "key": "x"}, eventName="GetObject",
    ),
    issuing(
        requestParameters={"roleArn": f"arn:aws:iam::{ACCOUNT}:role/Deploy", "roleSessionName": "ada", "sourceIdentity": "ada",
                           "serialNumber": "arn:aws:iam::111122223333:mfa/ada", "tags": [{"key": "team", "value": "red"}]},
        sharedEventID="6f0e0d0c-0b0a-0908-0706-050403020100",
        additionalEventData={"signInSessionArn": "arn:aws:signin:x", "lakeFormationPrincipal": "arn:aws:iam::1:role/x",
                             "lakeFormationRoleSessionName": "AWSLF-00-GL-1-x"},
    ),
    record(
        eventName="CreateRole", eventSource="iam.amazonaws.com", readOnly=False, userIdentity=SESSION,
        requestParameters={"roleName": "eve", "path": "/team/", "description": "x", "assumeRolePolicyDocument": TRUST,
                           "tags": [{"key": "team", "value": "red"}]},
        responseElements={"role": {"roleName": "eve", "arn": f"arn:aws:iam::{ACCOUNT}:role/eve", "roleId": "AROAEVE"}},
    ),
    record(
        eventName="SendCommand", eventSource="ssm.amazonaws.com", readOnly=False, userIdentity=SESSION,
        requestParameters={"documentName": "d", "comment": "x", "parameters": {"commands": ["x"]}},
    ),
    record(
        eventName="RegisterTaskDefinition", eventSource="ecs.amazonaws.com", readOnly=False,
        requestParameters={"family": "f", "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/x",
                           "containerDefinitions": [{"name": "c", "image": "i", "environment": [{"name": "A", "value": "b"}]}]},
        responseElements={"taskDefinition": {"taskDefinitionArn": "arn:aws:ecs:us-east-1:111122223333:task-definition/f:1"}},
    ),
]  # fmt: skip


def texts_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all texts of a record that may hold anything."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in FIXED:
                yield from texts_in(item, (*path, key))


def planted(told: Json, path: tuple[Any, ...], text: str) -> None:
    """Put a text in a record."""
    for key in path[:-1]:
        told = told[key]
    told[path[-1]] = text


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@st.composite
def secrets(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text that holds a secret, and the parts of it of which none may show."""
    kind = draw(
        st.sampled_from(
            ["ABSK", "bedrock-api-key-", "aws-external-anthropic-api-key-", "url", "header", "token"]
        )
    )
    signature = draw(st.text("0123456789abcdef", min_size=64, max_size=64))
    token = "IQoJb3JpZ2luX2Vj" + draw(st.text(LETTERS + "+/", min_size=160, max_size=200))
    encoded = quote(token, safe="")
    url = f"https://b/k?X-Amz-Credential=ASIA&X-Amz-Security-Token={encoded}&X-Amz-Signature={signature}"
    if kind == "url":
        return url, [encoded[20:50], signature]
    if kind == "header":
        return f"AWS4-HMAC-SHA256 Credential=ASIA, SignedHeaders=host, Signature={signature}", [signature]
    if kind == "token":
        return token, [token[20:50], token[-30:]]
    body = b64(f"BedrockAPIKey-abcd-at-{ACCOUNT}:" + draw(st.text(LETTERS, min_size=40, max_size=60)))
    key = kind + (body if kind == "ABSK" else b64(url))
    return key, [key[len(kind) : len(kind) + 20], key[-20:], key[60:90]]


AROUND = st.sampled_from(
    [("", ""), ("x ", " y"), ("arn:aws:iam::1:role/", "/x"), ("AROAX:", ""), ('{"a":"', '"}')]
)


@pytest.mark.parametrize("carrier", ["cloudtrail", *sorted(set(carriers.WRITERS) - {"cloudtrail"})])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_text_of_a_record_brings_a_secret_into_a_column(carrier: str, data: st.DataObject) -> None:
    """Neither a user agent nor a name, a tag, an ARN, an id or an error; and both ways of reading agree."""
    secret, parts = data.draw(secrets())
    before, behind = data.draw(AROUND)
    # Of what a carrier can't express at all, its writer of these tests knows nothing: one text at a time.
    number = data.draw(st.integers(0, len(RECORDS) - 1))
    path = data.draw(st.sampled_from(sorted(texts_in(RECORDS[number]), key=str)))
    told = copy.deepcopy(RECORDS[number])
    planted(told, path, f"{before}{secret}{behind}")
    whole = [{"managementEvent": True, "eventType": "AwsApiCall", **one} for one in (RECORDS[0], told)]
    try:
        written = carriers.WRITERS[carrier](whole)
    except (KeyError, ValueError, TypeError, AttributeError):
        return  # some texts decide where the carrier puts a record
    rows = []
    for compiled in (True, False):
        segment = Segment(7, compiled=compiled)
        segment.add(written)
        tables = segment.tables()
        rows.append({name: table.to_pylist() for name, table in tables.items()})
        shown = json.dumps(rows[-1], default=repr)
        assert [] == [part for part in parts if part in shown or json.dumps(part)[1:-1] in shown], path
    assert rows[0] == rows[1]


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_many_texts_with_secrets_at_once(data: st.DataObject) -> None:
    """Labels that differ in their secrets alone become one label, and rows keep to theirs."""
    drawn = data.draw(st.lists(secrets(), min_size=2, max_size=4))
    agents = [f"tool/{n % 2} {secret}" for n, (secret, _) in enumerate(drawn)] + ["tool/9"]
    segment = Segment(7)
    lines = [
        json.dumps(record(userAgent=one, eventID=f"e{n}"), separators=(",", ":")).encode()
        for n, one in enumerate(agents)
    ]
    segment.add(native(*lines))
    shown = {row["event_id_text"]: row["agent"] for row in segment.tables()["events"].to_pylist()}

    assert {f"e{n}": hide_secrets(one) for n, one in enumerate(agents)} == shown
    assert all(HIDDEN in one for key, one in shown.items() if one != "tool/9") and "tool/9" in shown.values()


NAME = st.text(LETTERS + "+=,.@-_", min_size=2, max_size=64)


@given(name=st.sampled_from(["", "ABSK", "IQoJ", "securitytoken=", "Signature=", "secretaccesskey="]).flatmap(
    lambda start: NAME.map(lambda rest: f"{start}{rest}"[:64])
))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_name_that_a_role_or_session_can_have_is_hidden(name: str) -> None:
    """Whoever chooses it, a policy must be able to name the session (STS API Reference, 'AssumeRole')."""
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{name}"
    for text in (name, arn, f"AROAEXAMPLE:{name}", json.dumps({"roleName": name, "roleSessionName": name})):
        assert hide_secrets(text) == text
