"""The credentials that calls issue, API by API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from events_cases import ACCOUNT, TOKEN, issuing, record, tables_of
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events.issuance import ISSUED, issuances, issued_credentials

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Deploy"
KEY = {"accessKeyId": "ASIAEXAMPLE", "sessionToken": TOKEN, "expiration": "Mar 1, 2024, 1:00:00 AM"}
AN_HOUR_LATER = 1_709_254_800
ROLE_USER = {"assumedRoleId": "AROAEXAMPLE:ada", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada"}
ASKED = {"roleArn": ROLE, "roleSessionName": "ada", "durationSeconds": 3600}
SESSION = {
    "role_arn": ROLE,
    "session_name": "ada",
    "duration": 3600,
    "child_id": "AROAEXAMPLE:ada",
    "child_arn": ROLE_USER["arn"],
}


def issued(one: dict[str, Any]) -> dict[str, Any] | None:
    """The issuances row of one record, what is empty left out."""
    rows = tables_of([one])["issuances"]
    return {name: value for name, value in rows[0].items() if value is not None} if rows else None


def sts(name: str, asked: Any, **answer: Any) -> dict[str, Any]:
    """A successful STS call."""
    return record(
        eventSource="sts.amazonaws.com", eventName=name, requestParameters=asked, responseElements=answer
    )


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AssumeRole": (
        sts("AssumeRole", {**ASKED, "serialNumber": "arn:mfa"}, credentials=KEY, assumedRoleUser=ROLE_USER, sourceIdentity="ada@"),
        {**SESSION, "mfa_serial": "arn:mfa", "source_identity": "ada@"},
    ),
    "AssumeRole for EC2, without assumedRoleUser": (
        sts("AssumeRole", {**ASKED, "roleSessionName": "i-1"}, credentials=KEY),
        {"role_arn": ROLE, "session_name": "i-1", "duration": 3600},
    ),
    "AssumeRoleWithSAML": (
        sts("AssumeRoleWithSAML", ASKED, credentials=KEY, assumedRoleUser=ROLE_USER, subject="ada@example.com"),
        {**SESSION, "subject": "ada@example.com"},
    ),
    "AssumeRoleWithWebIdentity": (
        sts("AssumeRoleWithWebIdentity", ASKED, credentials=KEY, assumedRoleUser=ROLE_USER, subjectFromWebIdentityToken="repo:a"),
        {**SESSION, "subject": "repo:a"},
    ),
    "AssumeRoleWithWebIdentity from another partition": (
        sts("AssumeRoleWithWebIdentity", {**ASKED, "webIdentityTokenId": "token-1"}, credentials=KEY, assumedRoleUser=ROLE_USER)
        | {"additionalEventData": {"crossPartitionData": {"sourcePrincipalArn": "arn:aws-cn:source", "sourceRegion": "cn-north-1"}}},
        {**SESSION, "token_id": "token-1"},
    ),
    "AssumeRoot": (
        sts("AssumeRoot", {"targetPrincipal": ACCOUNT, "durationSeconds": 900}, credentials=KEY),
        {"target": ACCOUNT, "duration": 900},
    ),
    "GetSessionToken": (
        sts("GetSessionToken", {"durationSeconds": "43200", "serialNumber": "arn:mfa"}, credentials=KEY),
        {"duration": 43_200, "mfa_serial": "arn:mfa"},
    ),
    "GetSessionToken without a request": (sts("GetSessionToken", None, credentials=KEY), {}),
    "GetFederationToken": (
        sts("GetFederationToken", {"name": "ada", "durationSeconds": 3600.0}, credentials=KEY,
            federatedUser={"federatedUserId": f"{ACCOUNT}:ada", "arn": "arn:federated"}),
        {"session_name": "ada", "duration": 3600, "child_id": f"{ACCOUNT}:ada", "child_arn": "arn:federated"},
    ),
    "GetScopedCredentials": (sts("GetScopedCredentials", {"durationSeconds": 60}, scoped={"x": KEY}), {"duration": 60}),
    "GetDelegatedAccessToken": (sts("GetDelegatedAccessToken", None, credentials=KEY), {}),
    "CreateSession of Roles Anywhere": (
        record(eventSource="rolesanywhere.amazonaws.com", eventName="CreateSession", requestParameters=ASKED,
               responseElements={"credentialSet": [{"credentials": KEY, "assumedRoleUser": ROLE_USER, "sourceIdentity": "CN"}],
                                 "subjectArn": "arn:subject"}),
        {**SESSION, "source_identity": "CN", "subject": "arn:subject"},
    ),
    "AssumeRoleForPodIdentity": (
        record(eventSource="eks-auth.amazonaws.com", eventName="AssumeRoleForPodIdentity",
               responseElements={"credentials": KEY, "assumedRoleUser": {"arn": "arn:pod", "assumeRoleId": "AROA:eks"}}),
        {"child_arn": "arn:pod", "child_id": "AROA:eks"},
    ),
    "CreateSession of S3 Express One Zone": (
        record(eventSource="s3express.amazonaws.com", eventName="CreateSession", responseElements={"credentials": KEY},
               requestParameters={"bucketName": "notes--use1-az4--x-s3"}),
        {"api": "s3express:CreateSession"},
    ),
    "GetSigninToken with a duration": (
        record(eventSource="signin.amazonaws.com", eventName="GetSigninToken",
               responseElements={"credentials": {"accessKeyId": "ASIAEXAMPLE"}, "GetSigninToken": "Success"}),
        {"expires": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_api_that_shows_the_key(name: str) -> None:
    """An API whose answer carries the new key id issues that key, with all that request and answer say of it."""
    one, told = CASES[name]
    expected = {"api": one["eventName"], "key_id": "ASIAEXAMPLE", "expires": AN_HOUR_LATER, **told}

    assert {column: value for column, value in expected.items() if value is not None} == {
        column: value for column, value in (issued(one) or {}).items() if column in {"api", *ISSUED}
    }


KEYLESS = [
    ("signin.amazonaws.com", "ConsoleLogin", {"responseElements": {"ConsoleLogin": "Success"}}),
    ("signin.amazonaws.com", "SwitchRole", {"responseElements": {"SwitchRole": "Success"}}),
    ("signin.amazonaws.com", "GetSigninToken", {}),
    ("signin.amazonaws.com", "CreateOAuth2Token", {"additionalEventData": {"signInSessionArn": "arn:signin", "success": "true"}}),
    ("signin.amazonaws.com", "CreateOAuth2TokenWithIAM", {}),
    ("sso.amazonaws.com", "GetRoleCredentials", {"serviceEventDetails": {"role_name": "Admin", "account_id": ACCOUNT}}),
    ("rolesanywhere.amazonaws.com", "CreateSession", {}),
    ("rolesanywhere.amazonaws.com", "CreateSession", {"responseElements": {"credentialSet": [{
        "credentials": {"accessKeyId": "HIDDEN_DUE_TO_SECURITY_REASONS"}}]}}),
    ("eks-auth.amazonaws.com", "AssumeRoleForPodIdentity", {}),
    ("cognito-identity.amazonaws.com", "GetCredentialsForIdentity", {}),
    ("sts.amazonaws.com", "GetWebIdentityToken", {"responseElements": {"webIdentityTokenId": "token-1"}}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "name", "members"), KEYLESS)
def test_an_api_that_shows_no_key(source: str, name: str, members: dict[str, Any]) -> None:
    """An API that issues without showing the key id has a row without one."""
    found = issued(record(eventSource=source, eventName=name, **members)) or {}

    assert (name, source) == (found["api"], found["source"])
    assert "key_id" not in found
    assert members.get("additionalEventData", {}).get("signInSessionArn") == found.get("sign_in_session")


@pytest.mark.parametrize(
    "name",
    [
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "AssumeRoot",
        "GetSessionToken",
        "GetFederationToken",
    ],
)
def test_an_answer_that_was_left_out(name: str) -> None:
    """CloudTrail leaves out answers that are too long: the credential is issued all the same, its key unknown."""
    found = issued(issuing(name, responseElements=None, requestParameters=ASKED)) or {}

    assert (name, ROLE) == (found["api"], found["role_arn"])
    assert "key_id" not in found


def test_the_destination_names_who_asked_for_the_token() -> None:
    """
    AssumeRoleWithWebIdentity from another partition names the principal that was given the token.

    IAM User Guide, 'Auditing cross-partition identity federation'.
    """
    one, _ = CASES["AssumeRoleWithWebIdentity from another partition"]

    assert "arn:aws-cn:source" == (issued(one) or {})["requester_arn"]


def data_access(additional: Any, **members: Any) -> dict[str, Any]:
    """A call of Lake Formation's that gives a session for a location's data."""
    return record(
        eventSource="lakeformation.amazonaws.com",
        eventName="GetDataAccess",
        additionalEventData=additional,
        **members,
    )


def test_lake_formation_names_the_session_that_it_gives() -> None:
    """
    The session's name, and the principal that it is given to, stand in `additionalEventData` alone.

    AWS Lake Formation Developer Guide, 'Cross-account CloudTrail logging'.
    """
    name, principal = f"AWSLF-00-AT-{ACCOUNT}-x1Y2", f"arn:aws:iam::{ACCOUNT}:role/Analyst"
    told = {
        "requesterService": "ATHENA",
        "lakeFormationPrincipal": principal,
        "lakeFormationRoleSessionName": name,
    }
    found = issued(data_access(told)) or {}

    assert ("lakeformation:GetDataAccess", name, principal) == (
        found["api"],
        found["session_name"],
        found["requester_arn"],
    )
    assert issued(data_access(told, errorCode="AccessDenied")) is None


HOSTILE = [None, "", 5, [], {}, "x" * 10_000, "\x1b[31m", "\u202e", "*", ["a"], {"a": "b"}]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_values_of_any_type_give_text_or_nothing(value: Any) -> None:
    """What forged records have where AWS names a session, a token, its principal or a delegate is a text, or is none."""
    texts = {value} if isinstance(value, str) and value else {"5"} if value == 5 else {None}
    rows = tables_of([
        data_access({"lakeFormationRoleSessionName": value, "lakeFormationPrincipal": value}),
        sts("GetWebIdentityToken", None, webIdentityTokenId=value),
        issuing("AssumeRoleWithWebIdentity", requestParameters={"webIdentityTokenId": value},
                additionalEventData={"crossPartitionData": {"sourcePrincipalArn": value}}),
        issuing("AssumeRoleWithWebIdentity", additionalEventData={"crossPartitionData": value}),
        record(userIdentity={"type": "AssumedRole", "invokedByDelegate": {"accountId": value}}),
        record(userIdentity={"type": "AssumedRole", "invokedByDelegate": value}),
    ])  # fmt: skip
    given, token, assumed, other = rows["issuances"]

    assert texts == {
        given["session_name"],
        given["requester_arn"],
        token["token_id"],
        assumed["token_id"],
        assumed["requester_arn"],
    }
    assert other["requester_arn"] is None
    assert texts | {None} == {one["delegate"] for one in rows["identities"]} | {None}


@pytest.mark.parametrize("name", ["GetRoleCredentials", "Federate"])
def test_the_portal_names_account_and_role(name: str) -> None:
    """It tells account and permission set only in `serviceEventDetails`."""
    details = {"role_name": "Admin", "account_id": ACCOUNT}
    found = issued(record(eventSource="sso.amazonaws.com", eventName=name, serviceEventDetails=details))

    assert f"{ACCOUNT}/Admin" == (found or {})["target"]


@pytest.mark.parametrize(
    "one",
    [
        issuing(errorCode="AccessDenied"),
        issuing(errorCode=403),
        issuing(name="GetCallerIdentity", responseElements=None),
        issuing(name="GetCallerIdentity", responseElements={"accountId": ACCOUNT}),
        record(
            eventSource="signin.amazonaws.com",
            eventName="ConsoleLogin",
            responseElements={"ConsoleLogin": "Failure"},
        ),
        record(
            eventSource="signin.amazonaws.com",
            eventName="CreateOAuth2Token",
            additionalEventData={"success": "false"},
        ),
        record(
            eventSource="signin.amazonaws.com",
            eventName="CreateOAuth2Token",
            additionalEventData={"success": False},
        ),
        record(eventSource="bedrock.amazonaws.com", eventName="CreateSession"),
        record(eventSource="s3express.amazonaws.com", eventName="CreateSession"),
        record(eventSource="s3.amazonaws.com", eventName="GetDataAccess"),
        record(
            eventSource="iam.amazonaws.com",
            eventName="CreateAccessKey",
            responseElements={"accessKey": {"accessKeyId": "AKIA"}},
        ),
    ],
)
def test_what_issues_nothing(one: dict[str, Any]) -> None:
    """Failed calls, answers without a key and calls that only share a name with an issuer issue nothing."""
    assert issued(one) is None


def test_where_and_when_a_credential_was_issued() -> None:
    """A row of issuances repeats its event: place, time, id, caller, account, address, agent."""
    one = issuing(sharedEventID="01234567-89ab-cdef-0123-456789abcdef")
    rows = tables_of([record(), one])
    event, found = rows["events"][1], rows["issuances"][0]
    shared = (
        "segment",
        "object",
        "ordinal",
        "time",
        "event_id",
        "event_id_text",
        "identity",
        "account",
        "source",
        "ip",
        "agent",
    )

    assert {name: event[name] for name in shared} == {name: found[name] for name in shared}
    assert (event["name"], 1) == (found["api"], found["ordinal"])
    assert bytes.fromhex("0123456789abcdef0123456789abcdef") == found["shared_id"]


def test_shared_ids_in_other_spellings_meet() -> None:
    """Two sides with the same odd `sharedEventID` have the same sixteen bytes, others have others."""
    ids = [
        one["shared_id"]
        for one in tables_of([issuing(sharedEventID=text) for text in ("X", "X", "Y")])["issuances"]
    ]

    assert ids[0] == ids[1] != ids[2]
    assert {16} == {len(one) for one in ids}


def test_other_spellings_of_expiration() -> None:
    """`expiration` may be ISO 8601, epoch seconds as a number, or hold a narrow no-break space."""
    spellings = ["2024-03-01T01:00:00Z", AN_HOUR_LATER, str(AN_HOUR_LATER), "Mar 1, 2024, 1:00:00\u202fAM"]
    rows = tables_of(
        [issuing(responseElements={"credentials": {**KEY, "expiration": one}}) for one in spellings]
    )

    assert {AN_HOUR_LATER} == {one["expires"] for one in rows["issuances"]}


def test_odd_answers_keep_what_can_be_read() -> None:
    """Odd types in one answer cost neither its own key nor its neighbours."""
    odd = issuing(
        responseElements={"credentials": KEY, "assumedRoleUser": "odd", "subject": [1]}, requestParameters=[1]
    )
    rows = tables_of([issuing(), odd, issuing(requestParameters={"roleArn": 7, "durationSeconds": True})])[
        "issuances"
    ]

    assert ["ASIAEXAMPLE"] * 3 == [one["key_id"] for one in rows]
    assert [None, None, "7"] == [one["role_arn"] for one in rows]
    assert {None} == {one["duration"] for one in rows}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["accessKeyId", "arn", "x"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip
ANSWERS = JSON | st.fixed_dictionaries({}, optional={
    "credentials": JSON | st.just(KEY), "assumedRoleUser": JSON | st.just(ROLE_USER), "federatedUser": JSON,
    "sourceIdentity": JSON, "subject": JSON, "ConsoleLogin": JSON | st.just("Success"),
})  # fmt: skip
REQUESTS = JSON | st.fixed_dictionaries(
    {}, optional={"roleArn": JSON, "roleSessionName": JSON, "durationSeconds": JSON, "name": JSON}
)


@given(st.lists(st.tuples(REQUESTS, ANSWERS), max_size=4))
def test_many_at_once_are_read_like_each_alone(many: list[tuple[Any, Any]]) -> None:
    """A batch with an odd answer in it is read as if each were alone; nothing raises."""
    asked = [json.dumps(one).encode() for one, _ in many]
    answers = [json.dumps(one).encode() for _, one in many]
    details = [b"null"] * len(many)

    together = issuances(asked, answers, details)
    alone = [
        issuances(asked[n : n + 1], answers[n : n + 1], details[:1], compiled=False) for n in range(len(many))
    ]

    assert [list(column) for column in together[0]] == [
        [one[n][0] for one, _ in alone] for n in range(len(ISSUED))
    ]
    assert together[1] == [success for _, [success] in alone]


def test_of_a_credential_set_the_key_counts_that_is_in_it() -> None:
    """What wraps credentials in a set says so row by row: the next answer's own credentials are its own."""
    wrapped = {"credentialSet": [{"credentials": {"accessKeyId": "ASIAINNER"}, "sourceIdentity": "cert"}]}
    plain = {"credentials": {"accessKeyId": "ASIAOUTER"}, "sourceIdentity": "ada"}
    several = {"credentialSet": [*wrapped["credentialSet"], {"credentials": {"accessKeyId": "ASIALATER"}}]}
    nothing: dict[str, Any] = {"credentialSet": []}
    answers = [json.dumps(one).encode() for one in (wrapped, plain, several, nothing)]

    for compiled in (True, False):
        found, _ = issuances([b"null"] * 4, answers, [b"null"] * 4, compiled=compiled)
        told = dict(zip(ISSUED, found, strict=True))
        assert list(told["key_id"]) == ["ASIAINNER", "ASIAOUTER", "ASIAINNER", None]
        assert list(told["source_identity"]) == ["cert", "ada", "cert", None]


@pytest.mark.parametrize("compiled", [True, False])
def test_a_set_of_empty_texts_is_none(compiled: bool) -> None:
    """Nor does the answer beside it change what an answer with one says."""
    own = {"credentials": KEY, "assumedRoleUser": ROLE_USER, "sourceIdentity": "ada"}
    answers = [
        json.dumps(
            own | {"credentialSet": [{"sourceIdentity": "", "credentials": {"accessKeyId": ""}}]}
        ).encode(),
        json.dumps({"credentialSet": [{"credentials": {"accessKeyId": "ASIAINNER"}}]}).encode(),
    ]

    for many in (answers[:1], answers):
        nothing = [b"null"] * len(many)
        found, _ = issuances(nothing, many, nothing, compiled=compiled)
        told = {name: column[0] for name, column in zip(ISSUED, found, strict=True)}
        assert (told["key_id"], told["child_id"], told["source_identity"]) == (
            "ASIAEXAMPLE", "AROAEXAMPLE:ada", "ada",
        )  # fmt: skip


def test_an_empty_text_is_none() -> None:
    """Of what a session is called, for whom it stands and where it came from."""
    asked = {"roleSessionName": "", "name": "", "sourceIdentity": ""}
    answer = {"credentials": KEY, "sourceIdentity": "", "subject": "", "subjectArn": ""}
    found, _ = issuances([json.dumps(asked).encode()], [json.dumps(answer).encode()], [b"null"])
    told = dict(zip(ISSUED, found, strict=True))

    assert [[None]] * 3 == [list(told[name]) for name in ("session_name", "source_identity", "subject")]


@given(JSON)
def test_a_key_is_found_anywhere_or_not_at_all(value: Any) -> None:
    """Looking for a key in any JSON ends, with an object that carries one or with nothing."""
    found = issued_credentials(value)

    assert found is None or isinstance(found["accessKeyId"], str)
