"""Whoever hands an instance a role is behind the sessions that it then gets."""

from __future__ import annotations

from typing import Any

import pytest

from evidence import HOME, born, by_id, call, traced, user

INSTANCE = "i-0aaa1111bbbb22222"
KEY = "ASIAIOSFODNN7EXAMPL8"
_PROFILE = {"arn": f"arn:aws:iam::{HOME}:instance-profile/web", "id": "AIPAIOSFODNN7EXAMPLE"}
_ASSOCIATION = {"associationId": "iip-assoc-1", "instanceId": INSTANCE, "iamInstanceProfile": _PROFILE}
_ASSOCIATE, _REPLACE = "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"


def wrapped(name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Request and answer as EC2 logs them within members called after the call."""
    return {
        "requestParameters": {f"{name}Request": asked},
        "responseElements": {f"{name}Response": {"iamInstanceProfileAssociation": _ASSOCIATION}},
    }


WAYS = {
    "associated": (_ASSOCIATE, wrapped(_ASSOCIATE, {"InstanceId": INSTANCE, "IamInstanceProfile": {"Name": "web"}})),
    "associated, flat": (_ASSOCIATE, {
        "requestParameters": {"instanceId": INSTANCE, "iamInstanceProfile": {"name": "web"}}, "responseElements": None,
    }),
    "replaced": (_REPLACE, wrapped(_REPLACE, {"AssociationId": "iip-assoc-1", "IamInstanceProfile": {"Name": "web"}})),
    "replaced, flat": (_REPLACE, {
        "requestParameters": {"associationId": "iip-assoc-1"},
        "responseElements": {"iamInstanceProfileAssociation": _ASSOCIATION},
    }),
    "of an odd type": (_REPLACE, {
        "requestParameters": {"associationId": 7},
        "responseElements": {f"{_REPLACE}Response": {"requestId": 7, "iamInstanceProfileAssociation": {
            **_ASSOCIATION, "associationId": 7}}},
    }),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_who_hands_an_instance_a_role_is_behind_its_next_session(way: str) -> None:
    """That is a link and no parent, as the instance is somebody's; and the change is told with the instance."""
    name, fields = WAYS[way]
    service = {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}
    records = [
        call(name, "2026-11-23T09:00:00Z", user(), source="ec2.amazonaws.com", readOnly=False, **fields),
        *(
            call("AssumeRole", f"2026-11-23T{hour}:00:00Z", service,
                 requestParameters={"roleArn": f"arn:aws:iam::{HOME}:role/Web", "roleSessionName": INSTANCE},
                 responseElements={"credentials": {"accessKeyId": key, "expiration": "Nov 23, 2026, 3:00:00 PM"}})
            for hour, key in (("08", KEY.replace("8", "7")), ("10", KEY))
        ),
    ]  # fmt: skip
    found = traced(records, user()["accessKeyId"], up=False)

    assert {user()["accessKeyId"], KEY} == {one.id for one in found.credentials}
    assert ("service_role", None, None, "service") == born(by_id(found.credentials)[KEY])
    assert [("created", name)] == [(one.link, one.api) for one in found.links]
    assert [("instance_profile", INSTANCE)] == [(one.what, one.id) for one in found.created]


def test_a_request_that_is_nested_very_deeply_stops_nothing() -> None:
    """What EC2 wraps is spelled as elsewhere, however deep whoever made the record has it nested."""
    deep: dict[str, Any] = {}
    for _ in range(600):
        deep = {"a": deep}
    fields = wrapped(
        _ASSOCIATE, {"InstanceId": INSTANCE, "IamInstanceProfile": {"Name": "web"}, "Deep": deep}
    )
    changed = call(_ASSOCIATE, "2026-11-23T09:00:00Z", user(), source="ec2.amazonaws.com", **fields)
    found = traced([changed], user()["accessKeyId"])

    assert [("instance_profile", INSTANCE)] == [(one.what, one.id) for one in found.created]
