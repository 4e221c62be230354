"""Calls that are looked into: resources named and secrets read."""

from __future__ import annotations

from typing import Any

import pytest
from events_cases import record, tables_of

from tokentrail.aws.calls.catalogue import every_reviewed
from tokentrail.events.vocabulary import NAMED_BY_CALL, NAMED_BY_REQUEST


def event(**members: Any) -> dict[str, Any]:
    """The events row of one record."""
    [found] = tables_of([record(**members)])["events"]
    return found


def test_listed_resources_are_joined() -> None:
    """The ARNs that a record lists stand one a line."""
    listed = [{"type": "AWS::S3::Object", "ARN": "arn:o"}, {"ARN": "arn:b", "accountId": "1"}, {"type": "x"}]

    assert "arn:o\narn:b" == event(resources=listed)["resource"]


@pytest.mark.parametrize("source", NAMED_BY_REQUEST)
def test_a_request_names_what_a_record_does_not_list(source: str) -> None:
    """Where a record lists no resources, the request's own name for it stands in."""
    member = NAMED_BY_REQUEST[source]

    assert "it" == event(eventSource=source, requestParameters={member: "it", "noise": 1})["resource"]
    assert (
        "arn:x"
        == event(eventSource=source, requestParameters={member: "it"}, resources=[{"ARN": "arn:x"}])[
            "resource"
        ]
    )
    assert event(eventSource=source, requestParameters={member: ["odd"]})["resource"] is None
    assert event(eventSource=source)["resource"] is None


@pytest.mark.parametrize("name", NAMED_BY_CALL)
def test_a_call_names_whose_secret_it_read(name: str) -> None:
    """An instance's password and user data are that instance's; other requests to EC2 are not looked into."""
    asked = {"instanceId": "i-0123456789abcdef0"}
    source = "ec2.amazonaws.com"

    assert (
        "i-0123456789abcdef0"
        == event(eventSource=source, eventName=name, requestParameters=asked)["resource"]
    )
    assert event(eventSource=source, eventName=name)["resource"] is None
    assert event(eventSource=source, eventName="RebootInstance", requestParameters=asked)["resource"] is None


def test_several_parameters() -> None:
    """`GetParameters` names several; `GetParametersByPath` a path."""
    assert (
        "a\nb" == event(eventSource="ssm.amazonaws.com", requestParameters={"names": ["b", "a"]})["resource"]
    )
    assert "/p" == event(eventSource="ssm.amazonaws.com", requestParameters={"path": "/p"})["resource"]
    assert "a" == event(eventSource="ssm.amazonaws.com", requestParameters={"names": ["a", 7]})["resource"]


@pytest.mark.parametrize(
    ("name", "request_", "held"),
    [
        ("GetSecretValue", {"secretId": "s"}, True),
        ("GetParameterHistory", {"name": "p", "withDecryption": True}, True),
        ("GetParameterHistory", {"name": "p"}, False),
        ("GetClusterCredentials", {"dbUser": "u", "clusterIdentifier": "c"}, True),
        ("GetClusterCredentialsWithIAM", {"clusterIdentifier": "c"}, True),
        ("GetRelationalDatabaseMasterUserPassword", {"relationalDatabaseName": "d"}, True),
        ("GetParameter", {"name": "p", "withDecryption": True}, True),
        ("GetParameters", {"names": ["p"], "withDecryption": "true"}, True),
        ("GetParameter", {"name": "p"}, False),
        ("GetParameter", None, False),
        ("GetParameter", {"withDecryption": False, "name": ["odd"]}, False),
        ("DescribeInstanceAttribute", {"attribute": "userData"}, True),
        ("DescribeInstanceAttribute", {"attribute": "instanceType"}, False),
        ("GetPasswordData", {}, True),
        ("GetCredentials", {"workgroupName": "w"}, True),
        ("GetResourceOauth2Token", {"resourceCredentialProviderName": "github"}, True),
        ("GetResourceApiKey", {"resourceCredentialProviderName": "github"}, True),
        ("ExportCertificate", {"certificateArn": "c"}, True),
        ("ListSecrets", {}, False),
    ],
)
def test_secrets_read(name: str, request_: Any, held: bool) -> None:
    """A successful call whose answer held a secret is marked; a failed one is not."""
    services = [
        one.service
        for one in every_reviewed()
        if one.operation == name and one.verdict in ("secret", "token")
    ]
    call = {
        "eventName": name,
        "requestParameters": request_,
        "eventSource": f"{(services or ['sts'])[0]}.amazonaws.com",
    }

    assert held is event(**call)["secret"]
    assert event(**call, errorCode="AccessDenied")["secret"] is False
