"""What changes say."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from events_cases import ACCOUNT, TOKEN, record, tables_of
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events.change import changes

DOCUMENT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}, indent=1
)


def changed(
    name: str, request: Any = None, answer: Any = None, source: str = "iam.amazonaws.com", **members: Any
) -> Any:
    """Request, document and answer of the changes row that one call makes."""
    one = record(
        eventName=name, eventSource=source, requestParameters=request, responseElements=answer, **members
    )
    rows = tables_of([one])["changes"]
    if not rows:
        return None
    request, answer = (json.loads(rows[0][column] or "null") for column in ("request", "response"))
    return request, rows[0]["document"], answer


IAM_CASES: list[tuple[str, Any, Any, Any]] = [
    ("CreateAccessKey", {"userName": "ada"}, {"accessKey": {"accessKeyId": "AKIANEW", "userName": "ada", "status": "Active", "createDate": "x"}},
     {"accessKey": {"accessKeyId": "AKIANEW", "userName": "ada", "status": "Active"}}),
    ("CreateLoginProfile", {"userName": "ada", "passwordResetRequired": False}, {"loginProfile": {"userName": "ada"}},
     {"loginProfile": {"userName": "ada"}}),
    ("UpdateLoginProfile", {"userName": "ada"}, None, None),
    ("CreateUser", {"userName": "eve"}, {"user": {"userName": "eve", "userId": "AIDANEW", "arn": "arn:eve", "path": "/"}},
     {"user": {"userName": "eve", "userId": "AIDANEW", "arn": "arn:eve"}}),
    ("AttachUserPolicy", {"userName": "eve", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, None, None),
    ("AddUserToGroup", {"userName": "eve", "groupName": "admins"}, None, None),
    ("DeleteRolePolicy", {"roleName": "Deploy", "policyName": "AWSRevokeOlderSessions"}, None, None),
    ("CreateSAMLProvider", {"name": "idp"}, {"sAMLProviderArn": "arn:saml"}, {"sAMLProviderArn": "arn:saml"}),
    ("CreateOpenIDConnectProvider", {"url": "https://x", "clientIDList": ["a"]}, {"openIDConnectProviderArn": "arn:oidc"},
     {"openIDConnectProviderArn": "arn:oidc"}),
    ("CreateGroup", {"groupName": "g"}, {"group": {"groupName": "g", "groupId": "AGPANEW", "arn": "arn:g", "path": "/"}},
     {"group": {"arn": "arn:g", "groupId": "AGPANEW"}}),
    ("DeactivateMFADevice", {"userName": "ada", "serialNumber": "arn:mfa"}, None, None),
    ("UploadSSHPublicKey", {"userName": "ada"}, {"sSHPublicKey": {"sSHPublicKeyId": "APKA"}}, {"sSHPublicKey": {"sSHPublicKeyId": "APKA"}}),
    ("UploadSigningCertificate", {"userName": "ada"}, {"certificate": {"certificateId": "C"}}, {"certificate": {"certificateId": "C"}}),
    ("CreateServiceSpecificCredential", {"serviceName": "bedrock"}, {"serviceSpecificCredential": {"serviceSpecificCredentialId": "ACCA", "serviceUserName": "u"}},
     {"serviceSpecificCredential": {"serviceSpecificCredentialId": "ACCA", "serviceUserName": "u"}}),
    ("UpdateAccessKey", {"userName": "ada", "accessKeyId": "AKIA", "status": "Inactive"}, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "request_", "answer", "made"), IAM_CASES)
def test_iam_changes_keep_their_request_and_ids(name: str, request_: Any, answer: Any, made: Any) -> None:
    """An IAM change keeps its whole request, and of its answer the ids of what was made."""
    assert (request_, None, made) == changed(name, request_, answer)


@pytest.mark.parametrize(
    ("name", "member"),
    [("PutUserPolicy", "policyDocument"), ("CreateRole", "assumeRolePolicyDocument"), ("UpdateAssumeRolePolicy", "policyDocument"),
     ("CreatePolicyVersion", "policyDocument"), ("CreatePolicy", "content")],
)  # fmt: skip
def test_policy_documents_stand_apart(name: str, member: str) -> None:
    """A policy document is kept to the character, apart from the rest of the request."""
    assert ({"roleName": "Deploy"}, DOCUMENT, None) == changed(name, {"roleName": "Deploy", member: DOCUMENT})


@pytest.mark.parametrize("written", [quote(DOCUMENT, safe=""), DOCUMENT, json.loads(DOCUMENT)])
def test_the_trust_policy_of_a_role_that_was_made_of_a_template_is_in_the_answer(written: Any) -> None:
    """The request names the template alone; the answer has the policy percent-encoded, a pipeline's copy perhaps not."""
    asked = {"templateArn": "arn:aws:iam::aws:role-template/t"}
    role = {"roleName": "Deploy", "arn": "arn:r", "roleId": "AROA"}
    found, document, made = changed(
        "AcquireRole", asked, {"role": {**role, "assumeRolePolicyDocument": written}}
    )

    assert (asked, json.loads(DOCUMENT), {"role": role}) == (found, json.loads(document), made)


@pytest.mark.parametrize("answer", [None, {"role": "Deploy"}, {"role": {"assumeRolePolicyDocument": 7}}])
def test_an_answer_without_a_trust_policy_tells_none(answer: Any) -> None:
    """As where the call failed halfway, or the record was cut."""
    assert changed("AcquireRole", {}, answer)[1] is None


def test_a_policy_document_that_a_pipeline_decoded_is_kept() -> None:
    """AWS logs documents as text; a pipeline that decodes texts of JSON makes objects of them, which say the same."""
    decoded = {"roleName": "Deploy", "policyDocument": json.loads(DOCUMENT)}
    asked, document, _ = changed("PutRolePolicy", decoded)

    assert ({"roleName": "Deploy"}, json.loads(DOCUMENT)) == (asked, json.loads(document))


OTHER_CASES: list[tuple[str, str, Any, Any, Any]] = [
    ("rolesanywhere", "CreateTrustAnchor", {"name": "a"}, {"trustAnchor": {"trustAnchorArn": "arn:ta"}}, {"trustAnchor": {"trustAnchorArn": "arn:ta"}}),
    ("rolesanywhere", "CreateProfile", {"name": "p", "roleArns": ["arn:r"]}, {"profile": {"profileArn": "arn:p"}}, {"profile": {"profileArn": "arn:p"}}),
    ("lambda", "CreateFunction20150331", {"functionName": "f", "role": "arn:r"}, {"functionArn": "arn:f", "functionName": "f"}, {"functionArn": "arn:f", "functionName": "f"}),
    ("ec2", "RunInstances", {"iamInstanceProfile": {"name": "p"}, "instanceType": "m5"}, {"instancesSet": {"items": [{"instanceId": "i-1", "x": 1}]}}, {"instancesSet": {"items": [{"instanceId": "i-1"}]}}),
    ("ssm", "SendCommand", {"documentName": "d", "targets": [{"key": "k"}]}, {"command": {"commandId": "c"}}, {"command": {"commandId": "c"}}),
    ("ssm", "StartSession", {"target": "i-1"}, {"sessionId": "s", "tokenValue": TOKEN}, {"sessionId": "s"}),
    ("ssm", "CreateActivation", {"iamRole": "r"}, {"activationId": "a"}, {"activationId": "a"}),
    ("cloudformation", "CreateStack", {"stackName": "s"}, {"stackId": "arn:s"}, {"stackId": "arn:s"}),
    ("codebuild", "CreateProject", {"name": "p"}, {"project": {"arn": "arn:p"}}, {"project": {"arn": "arn:p"}}),
    ("events", "PutTargets", {"rule": "r", "targets": [{"arn": "a", "roleArn": "b"}]}, None, None),
    ("events", "PutRule", {"name": "r"}, {"ruleArn": "arn:r"}, {"ruleArn": "arn:r"}),
    ("sso", "CreatePermissionSet", {"name": "p"}, {"permissionSet": {"permissionSetArn": "arn:p"}}, {"permissionSet": {"permissionSetArn": "arn:p"}}),
    ("kms", "CreateGrant", {"keyId": "k", "granteePrincipal": "arn:g"}, {"grantId": "g"}, {"grantId": "g"}),
    ("organizations", "CreatePolicy", {"name": "n", "type": "TAG_POLICY"},
     {"policy": {"policySummary": {"id": "p-1", "arn": "arn:p", "name": "n", "type": "TAG_POLICY", "awsManaged": False}, "content": "{}"}},
     {"policy": {"policySummary": {"id": "p-1", "arn": "arn:p", "name": "n", "type": "TAG_POLICY"}}}),
    ("organizations", "UpdatePolicy", {"policyId": "p-1"}, {"policy": {"policySummary": {"id": "p-1"}, "content": "{}"}},
     {"policy": {"policySummary": {"id": "p-1"}}}),
    ("glue", "CreateJob", {"name": "j"}, {"name": "j"}, {"name": "j"}),
    ("organizations", "AttachPolicy", {"policyId": "p-1", "targetId": ACCOUNT}, None, None),
    ("cloudtrail", "StopLogging", {"name": "trail"}, None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        ({"actions": [{"ssmAutomation": {"roleArn": "arn:r", "parameters": {"p": ["x"]}}}, {"other": {}}, "odd"]},
         {"actions": [{"ssmAutomation": {"roleArn": "arn:r"}}]}),
        ({"monitoringScheduleConfig": {"monitoringJobDefinition": {"roleArn": "arn:r", "environment": {"A": "b"}}}},
         {"monitoringScheduleConfig": {"monitoringJobDefinition": {"roleArn": "arn:r"}}}),
        ({"defaultRunSetting": {"roleArn": {"odd": 1}}, "managedInstancesProvider": ["odd", []]}, None),
        ({"actions": json.loads("[" * 900 + "]" * 900)}, None),
    ],
)  # fmt: skip
def test_a_role_deep_in_a_request_is_kept_and_nothing_beside_it(request_: Any, kept: Any) -> None:
    """In an object, in each of a list, and not at all where it is none, however deep what is in its place."""
    assert kept == changed("CreateResponsePlan", request_)[0]


@pytest.mark.parametrize(("service", "name", "request_", "answer", "made"), OTHER_CASES)
def test_other_changes_keep_what_is_small(
    service: str, name: str, request_: Any, answer: Any, made: Any
) -> None:
    """A change outside IAM keeps the small members of its request and the ids of what was made."""
    assert (request_, None, made) == changed(name, request_, answer, f"{service}.amazonaws.com")


def test_bulk_is_left_out() -> None:
    """Nested and long members of requests outside IAM are left out."""
    request = {
        "stackName": "s",
        "parameters": [{"parameterKey": "k"}],
        "templateBody": "x" * 5_000,
        "n": 1,
        "flag": True,
    }

    assert ({"stackName": "s", "n": 1, "flag": True}, None, None) == changed(
        "CreateStack", request, None, "cloudformation.amazonaws.com"
    )
    program = {"name": "d", "content": '{"runCommand": ["mysql -pSecret"]}', "attachments": [{"key": "k"}]}
    assert ({"name": "d"}, None, None) == changed("CreateDocument", program, None, "ssm.amazonaws.com")


def test_failed_changes_changed_nothing() -> None:
    """A call that failed is no change."""
    assert changed("CreateUser", {"userName": "eve"}, errorCode="AccessDenied") is None


def test_secrets_in_changes_are_hidden() -> None:
    """Passwords and tokens are hidden in requests, documents and answers."""
    request = {
        "userName": "ada",
        "password": TOKEN,
        "tags": [{"sessionToken": TOKEN}],
        "policyDocument": json.dumps({"sessionToken": TOKEN}),
    }
    found = changed("CreateLoginProfile", request, {"role": f'{{"secretAccessKey":"{TOKEN}"}}'})

    assert TOKEN not in str(found)
    assert "ada" == found[0]["userName"]


def test_odd_answers_keep_their_ids() -> None:
    """An answer with an odd type in it still tells the ids around it."""
    answer = {"accessKey": {"accessKeyId": "AKIANEW", "userName": 7, "status": ["x"]}, "user": "odd"}

    assert {"accessKey": {"accessKeyId": "AKIANEW", "userName": "7"}, "user": "odd"} == changed(
        "CreateAccessKey", {}, answer
    )[2]


@pytest.mark.parametrize(
    ("name", "answer"),
    [("CreatePolicy", {"policy": {"policySummary": {"id": "p-1", "type": "TAG_POLICY"}}}),
     ("RunInstances", {"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}}),
     ("RunTask", {"tasks": [{"taskArn": "arn:t"}]})],
)  # fmt: skip
def test_ids_deep_in_odd_answers_keep_their_paths(name: str, answer: Any) -> None:
    """An odd type elsewhere in an answer leaves nested and listed ids where they are, too."""
    odd = {**answer, "loginProfile": [7]}

    assert answer == changed(name, {}, odd, source="organizations.amazonaws.com")[2]


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2)
                    | st.dictionaries(st.sampled_from(["user", "arn", "content", "policyDocument", "targets", "policy", "policySummary", "tasks", "instancesSet", "items"]), inner, max_size=3), max_leaves=6)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["CreateUser", "RunInstances", None]), JSON, JSON), max_size=4))
def test_many_at_once_are_read_like_each_alone(many: list[tuple[str | None, Any, Any]]) -> None:
    """A batch with odd values in it is read as if each were alone; nothing raises."""
    names = [name for name, _, _ in many]
    asked = [json.dumps(one).encode() for _, one, _ in many]
    answers = [json.dumps(one).encode() for _, _, one in many]
    together = list(zip(*changes(names, asked, answers), strict=True))
    alone = [changes(names[n : n + 1], asked[n : n + 1], answers[n : n + 1]) for n in range(len(many))]

    assert together == [(one[0][0], one[1][0], one[2][0]) for one in alone]
