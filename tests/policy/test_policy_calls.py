"""A logged call under a policy: decided where the log tells enough, undecided where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tokentrail.aws.calls.permissions import actions_of
from tokentrail.aws.principals import principal_of_arn
from tokentrail.policy.account.trust import Who, denied_by_trust, parse_trust
from tokentrail.policy.language.documents import parse
from tokentrail.policy.language.evaluate import Call, allowed, denied, refused_by
from tokentrail.policy.language.truth import Truth

NO, OPEN, YES = Truth.NO, Truth.UNDECIDED, Truth.YES


def doc(*statements: dict[str, Any]) -> Any:
    return parse({"Version": "2012-10-17", "Statement": list(statements)})


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("pattern", "actions", "expected"),
    [
        ("s3:*", ("s3:*",), YES), ("*", ("s3:*",), YES), ("s3:Get*", ("s3:*",), OPEN), ("ec2:*", ("s3:*",), NO),
        ("s3:GetObject", ("s3:getobject", "s3:putobject"), YES), ("s3:ListBucket", ("s3:getobject", "s3:putobject"), NO),
        ("*", ("sts:getcalleridentity",), NO), ("sts:GetSessionToken", ("sts:getsessiontoken",), NO),
    ],
)  # fmt: skip
def test_which_permission_it_was(pattern: str, actions: tuple[str, ...], expected: Truth) -> None:
    """A pattern of permissions is denied whole, not at all, or perhaps; of several, one denied is enough; some can't be."""
    assert expected is denied(doc(deny(pattern)), Call.of(actions, None, {}))


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("bedrock-runtime", "Converse", ("bedrock:invokemodel", "bedrock:callwithbearertoken")),
        ("bedrock-mantle", "CreateInference", ("bedrock-mantle:createinference", "bedrock-mantle:callwithbearertoken")),
        ("monitoring", "PutMetricData", ("cloudwatch:putmetricdata", "cloudwatch:callwithbearertoken")),
        ("codecommit", "GitPull", ("codecommit:gitpull",)), ("cassandra", "Select", ("cassandra:select",)),
    ],
)  # fmt: skip
def test_a_call_with_an_api_key_needs_leave_to_use_one(
    source: str, name: str, expected: tuple[str, ...]
) -> None:
    """Services of API keys ask for `CallWithBearerToken` under their own prefix; Git and Keyspaces have none of it."""
    of = f"{source}.amazonaws.com"

    assert expected == actions_of(of, name, by_api_key=True)
    assert expected[:1] == actions_of(of, name)


def test_all_but_some_actions() -> None:
    """NotAction spares what it names, for sure only where the log tells which it was."""
    document = doc({"Effect": "Deny", "NotAction": "s3:Get*", "Resource": "*"})

    assert (NO, YES, OPEN) == tuple(
        denied(document, Call.of((one,), None, {})) for one in ("s3:getobject", "s3:putobject", "s3:*")
    )


def test_which_resource_it_was() -> None:
    """One ARN in the log decides; several only if all agree; none does not."""
    document = doc(deny("s3:*", "arn:aws:s3:::a/*"))

    def of(*resources: str) -> Truth:
        return denied(document, Call.of(("s3:getobject",), resources or None, {}))

    assert (YES, NO, OPEN, YES, OPEN) == (
        of("arn:aws:s3:::a/1"), of("arn:aws:s3:::b/1"), of("arn:aws:s3:::a/1", "arn:aws:s3:::a"),
        of("arn:aws:s3:::a/1", "arn:aws:s3:::a/2"), of(),
    )  # fmt: skip


def test_an_allow_list_refuses_the_rest_and_a_deny_list_does_not() -> None:
    """What allows nothing stands beside what allows all."""
    only = doc({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    s3, ec2 = (Call.of((one,), None, {}) for one in ("s3:getobject", "ec2:runinstances"))

    assert (NO, YES) == (refused_by(only, s3), refused_by(only, ec2))
    assert (NO, YES) == (refused_by(doc(deny("ec2:*")), s3), refused_by(doc(deny("ec2:*")), ec2))
    assert (YES, NO) == (allowed(only, s3), allowed(only, ec2))
    assert OPEN is refused_by(parse("nonsense"), s3)


def test_trust_denials_and_whom_they_speak_of() -> None:
    """A denial for all hits services too; for an account, its principals and nobody else; NotPrincipal is undecided."""
    call = Call.of(("sts:assumerole",), ("arn:aws:iam::111122223333:role/R",), {})
    identity = principal_of_arn("arn:aws:iam::111122223333:user/ada")
    assert identity is not None
    ada = Who(identity=identity)

    def of(principal: Any, who: Who | None, **more: Any) -> Truth:
        statement = {"Effect": "Deny", "Action": "sts:AssumeRole", **({"Principal": principal} | more)}
        return denied_by_trust(parse_trust({"Version": "2012-10-17", "Statement": statement}), who, call)

    assert (YES, YES) == (of("*", ada), of("*", None))
    assert (YES, NO) == (of({"AWS": "111122223333"}, ada), of({"AWS": "111122223333"}, None))
    assert NO is of({"AWS": "444455556666"}, ada)
    trust = parse_trust({"Statement": {"Effect": "Deny", "NotPrincipal": {"AWS": "*"}, "Action": "sts:*"}})
    assert OPEN is denied_by_trust(trust, ada, call)
    assert OPEN is denied_by_trust(parse_trust("{"), ada, call)


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("s3.amazonaws.com", "ListObjects", ("s3:listbucket",)),
        ("s3.amazonaws.com", "CopyObject", ("s3:getobject", "s3:putobject")),
        ("s3.amazonaws.com", "SomethingNew", ("s3:*",)),
        ("lambda.amazonaws.com", "Invoke", ("lambda:invokefunction",)),
        ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", ("lambda:updatefunctioncode",)),
        ("monitoring.amazonaws.com", "PutMetricData", ("cloudwatch:putmetricdata",)),
        ("apigateway.amazonaws.com", "GetRestApis", ("apigateway:*",)),
        ("ec2.amazonaws.com", "RunInstances", ("ec2:runinstances",)),
        ("sqs.amazonaws.com", "SendMessageBatch", ("sqs:sendmessage",)),
        ("dynamodb.amazonaws.com", "TransactWriteItems", ("dynamodb:*item",)),
        ("dynamodb.amazonaws.com", "ExecuteStatement", ("dynamodb:partiql*",)),
        ("kms.amazonaws.com", "ReEncrypt", ("kms:reencryptfrom", "kms:reencryptto")),
        ("cloudcontrolapi.amazonaws.com", "CreateResource", ("cloudformation:createresource",)),
        ("iotdata.amazonaws.com", "GetThingShadow", ("iot:*",)),
        ("cloudfront.amazonaws.com", "GetDistribution2020_05_31", ("cloudfront:getdistribution",)),
        ("bedrock-runtime.amazonaws.com", "InvokeModel", ("bedrock:invokemodel",)),
        (None, "x", ("*",)), ("x.y.amazonaws.com", "Do", ("*",)),
    ],
)  # fmt: skip
def test_which_permissions_an_event_needs(source: str | None, name: str, expected: tuple[str, ...]) -> None:
    """Named as policies name them; a pattern where that is not known."""
    assert expected == actions_of(source, name)
