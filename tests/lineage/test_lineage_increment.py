"""What comes later and changes what nobody would think of: it is added as it would be linked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from evidence import AWAY, HOME
from tokentrail import Case
from tokentrail.case import linking
from tokentrail.lineage import affected_rows, increment
from tokentrail.testing import native
from work import some

Record = dict[str, Any]
T = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ROLE, SSO = (
    f"arn:aws:iam::{HOME}:role/{name}" for name in ("R", "aws-reserved/sso.amazonaws.com/AWSReservedSSO_A_1")
)
IDP = f"arn:aws:iam::{HOME}:saml-provider/Corp"
KEY, OTHER, THIRD = (f"ASIAIOSFODNN7EXAMPL{one}" for one in "123")
SAMPLE = "AKIAIOSFODNN7EXAMPL4"
BEFORE = -T.timestamp() - 1
"""The second before 1970."""
P = "AROAEXAMPLEEXAMPLE001:s"


def at(seconds: float) -> str:
    return (T + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(seconds: float, name: str, who: Record, source: str = "sts", **more: Any) -> Record:
    """A call at so many seconds."""
    return {
        "eventVersion": "1.09", "eventTime": at(seconds), "eventName": name, "eventSource": f"{source}.amazonaws.com",
        "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7", "userAgent": "x", "userIdentity": who,
        "eventID": f"{abs(hash((seconds, name, str(who), str(more)))):032x}"[-32:], "recipientAccountId": HOME, **more,
    }  # fmt: skip


def user(
    key: str = "AKIAIOSFODNN7EXAMPLE",
    name: str = "ann",
    account: str = HOME,
    created: float | None = None,
    signed_in: str | None = None,
) -> Record:
    """A user by a key, long-term or of a session."""
    found: Record = {
        "type": "IAMUser", "principalId": f"AIDA{name.upper()}", "arn": f"arn:aws:iam::{account}:user/{name}",
        "accountId": account, "accessKeyId": key, "userName": name,
    }  # fmt: skip
    if created is None:
        return found
    context: Record = {"attributes": {"creationDate": at(created)}, "signInSessionArn": signed_in}
    return found | {"sessionContext": context}


def session(
    key: str, created: float | None, principal: str = P, account: str | None = HOME, issuer: str | None = ROLE
) -> Record:
    """A role's session, as far as it is told."""
    context: Record = {}
    if issuer is not None:
        context["sessionIssuer"] = {"type": "Role", "principalId": principal.partition(":")[0], "arn": issuer}
    if created is not None:
        context["attributes"] = {"creationDate": at(created)}
    found = {"type": "AssumedRole", "principalId": principal, "accessKeyId": key, "sessionContext": context}
    return found if account is None else found | {"accountId": account}


def uses(seconds: float, who: Record, **more: Any) -> Record:
    """A call that issues nothing."""
    return record(seconds, "ListBuckets", who, "s3", **more)


def issues(
    seconds: float,
    who: Record,
    key: str,
    principal: str | None = P,
    role: str | None = ROLE,
    name: str = "AssumeRole",
    **more: Any,
) -> Record:
    """A call that issues a key."""
    answer: Record = {"credentials": {"accessKeyId": key, "expiration": at(seconds + 3600)}}
    if principal is not None:
        answer["assumedRoleUser"] = {
            "assumedRoleId": principal,
            "arn": f"arn:aws:sts::{HOME}:assumed-role/R/s",
        }
    asked = {} if role is None else {"roleArn": role, "roleSessionName": "s"}
    return record(seconds, name, who, requestParameters=asked, responseElements=answer, **more)


def abroad(principal: str, account: str) -> Record:
    """A caller of another account, as a role's own account tells it."""
    return {"type": "AWSAccount", "principalId": principal, "accountId": account}


SAML = {"type": "SAMLUser", "principalId": "x:y", "userName": "y", "identityProvider": IDP}
FEDERATED = session(KEY, -500) | {
    "sessionContext": session(KEY, -500)["sessionContext"]
    | {"webIdFederationData": {"federatedProvider": IDP}}
}
NOBODY_ELSE = [
    uses(90_000, user("AKIAI44QH8DHBEXAMPLE", "zed")),
    uses(90_001, user("AKIAI44QH8DHBEXAMPLE", "zed")),
]
MAKES = {"source": "iam"}


def made(
    seconds: float, name: str, asked: Mapping[str, Any], answer: Mapping[str, Any] | None = None
) -> Record:
    return record(
        seconds, name, user(), "iam", requestParameters=dict(asked), responseElements=dict(answer or asked)
    )


SIGN_IN = f"arn:aws:signin:us-east-1:{HOME}:session/0f9d5a1c-0000-4000-8000-000000000001"
ANCHOR = f"arn:aws:rolesanywhere:us-east-1:{HOME}:trust-anchor/aaaaaaaa"
ANYWHERE = {"eventSource": "rolesanywhere.amazonaws.com"}
SERVICE = {"type": "AWSService", "invokedBy": "rolesanywhere.amazonaws.com"}
UNKNOWN = {"type": "Unknown", "principalId": "", "accountId": HOME}
TOLD_FIRST = {"eventID": "11111111-0000-0000-0000-000000000000"}
BEARER = {key: told for key, told in user(name="abe").items() if key != "accessKeyId"}
API_KEY, SECOND_API_KEY = ({"serviceSpecificCredentialId": f"ACCAIOSFODNN7EXAMPL{one}"} for one in "12")


def invokes(seconds: float) -> Record:
    """A call with an API key whose record shows no key id."""
    told = {"callWithBearerToken": True}
    return record(seconds, "InvokeModel", BEARER, "bedrock", additionalEventData=told)


def gives(seconds: float, key: Record) -> Record:
    """A call that makes an API key."""
    asked = {"userName": "abe", "serviceName": "bedrock.amazonaws.com"}
    return made(seconds, "CreateServiceSpecificCredential", asked, {"serviceSpecificCredential": key | asked})


LATER: dict[str, Sequence[Sequence[Record]]] = {
    "an API key is told of after its calls": ([invokes(60)], [gives(0, API_KEY)]),
    "an API key is told of before its calls": ([gives(0, API_KEY)], [invokes(60)], [invokes(90)]),
    "another API key is made that may have made the calls": (
        [gives(0, API_KEY), invokes(60)], [gives(30, SECOND_API_KEY)],
    ),
    "an API key turns out to have been inactive": (
        [gives(0, API_KEY), invokes(900)],
        [made(30, "UpdateServiceSpecificCredential", API_KEY | {"status": "Inactive"})],
        [made(500, "UpdateServiceSpecificCredential", API_KEY | {"status": "Active"})],
    ),
    "an API key is reset, and called by its id": (
        [gives(0, API_KEY), invokes(60)],
        [made(30, "ResetServiceSpecificCredential", API_KEY, {"serviceSpecificCredential": API_KEY}),
         uses(50, user("ACCAIOSFODNN7EXAMPL1", "abe"))],
    ),
    "a session is seen only now, and so may have called from its account": (
        [issues(0, user(), KEY), issues(60, abroad(P, HOME), OTHER, "AROAEXAMPLEEXAMPLE002:s", recipientAccountId=AWAY)],
        [uses(90, session(KEY, 0))],
    ),
    "a role's session that bears a key as users have is used only now": (
        [issues(0, user(), SAMPLE)], [uses(60, session(SAMPLE, 0))],
    ),
    "a role's session that bears a key as users have is issued only now": (
        [uses(60, session(SAMPLE, 0))], [issues(0, user(), SAMPLE)],
    ),
    "an instance's identity role calls before its launch is told": (
        [uses(60, session(KEY, 30, principal=f"{HOME}:aws:ec2-instance:i-02854e4bf85aaaaaa", issuer=None) | {
            "sessionContext": {"attributes": {"creationDate": at(30)}, "ec2RoleDelivery": "2.0"}})],
        [record(0, "RunInstances", user(), "ec2", requestParameters={}, responseElements={
            "instancesSet": {"items": [{"instanceId": "i-02854e4bf85aaaaaa"}]}})],
    ),
    "a fuller copy of a record tells the account": (
        [uses(60, session(KEY, 0, account=None), **TOLD_FIRST)],
        [issues(90, abroad(P, AWAY), OTHER, "AROAEXAMPLEEXAMPLE002:s")],
        [uses(60, session(KEY, 0, account=AWAY), **TOLD_FIRST)],
    ),
    "account and principal are told by different records": (
        [issues(0, user(), KEY), uses(60, session(KEY, 0, account=AWAY)), uses(70, session(KEY, 0, principal=""))],
        [issues(90, abroad(P, HOME), OTHER, "AROAEXAMPLEEXAMPLE002:s", recipientAccountId=AWAY)],
    ),
    "a provider is made between the call and the session that it issued": (
        [issues(0, SAML, KEY, name="AssumeRoleWithSAML"), uses(60, session(KEY, 2))],
        [made(1, "CreateSAMLProvider", {"name": "Corp"}, {"sAMLProviderArn": IDP})],
    ),
    "a provider is made between a sign-in URL and its session": (
        [record(0, "GetSigninToken", FEDERATED, "signin", responseElements={"GetSigninToken": "Success"}),
         uses(650, session(OTHER, 600), sessionCredentialFromConsole="true")],
        [made(300, "CreateSAMLProvider", {"name": "Corp"}, {"sAMLProviderArn": IDP})],
    ),
    "a role is made whose session tells no creation date": (
        [issues(0, user(), KEY, role=None), uses(60, session(KEY, None))],
        [made(-100, "CreateRole", {"roleName": "R"})],
    ),
    "a user is made whose name stands beside another account": (
        [issues(0, user("AKIAIOSFODNN7EXAMPL9", "zoe"), KEY, None, None, "GetSessionToken"), uses(50, user(KEY, "zoe", created=0)),
         uses(60, user(KEY, "abe", created=0) | {"accountId": AWAY, "principalId": "AIDAZOE"})],
        [made(-100, "CreateUser", {"userName": "abe"}, {"user": {"userName": "abe"}})],
    ),
    "a ring of issuing calls is broken": (
        [issues(0, session(OTHER, 50, "AROAEXAMPLEEXAMPLE002:s"), KEY),
         issues(50, session(KEY, 0), OTHER, "AROAEXAMPLEEXAMPLE002:s", eventID="ffffffff-0000-0000-0000-000000000000")],
        [issues(50, user(), OTHER, "AROAEXAMPLEEXAMPLE002:s", eventID="00000000-0000-0000-0000-000000000000")],
    ),
    "of two that bear an id one is no more": (
        [uses(60, session(KEY, 0, issuer=SSO)), uses(100, session(f"{P}@{at(0)}", 50, "AROAEXAMPLEEXAMPLE003:q"))],
        [issues(0, user(), OTHER, role=SSO)],
    ),
    "a certificate's call, which shows no key, comes after the call inside, and nobody was seen in the session": (
        [made(0, "CreateTrustAnchor", {"name": "x"}, {"trustAnchor": {"trustAnchorArn": ANCHOR}}) | ANYWHERE,
         issues(60, SERVICE, KEY)],
        [record(60, "CreateSession", UNKNOWN, "rolesanywhere", requestParameters={"roleArn": ROLE, "trustAnchorArn": ANCHOR})],
    ),
    "a trust anchor is told of after whoever came in by it, whose call shows no key": (
        [record(60, "CreateSession", UNKNOWN, "rolesanywhere", requestParameters={"roleArn": ROLE, "trustAnchorArn": ANCHOR})],
        [issues(61, SERVICE, KEY)],
        [made(0, "CreateTrustAnchor", {"name": "x"}, {"trustAnchor": {"trustAnchorArn": ANCHOR}}) | ANYWHERE],
    ),
    "a grant of OAuth is told of after what was got by it, much later": (
        [uses(3000, user(KEY, created=2900, signed_in=SIGN_IN))],
        [record(0, "CreateOAuth2Token", user("", created=-60), "signin", additionalEventData={"signInSessionArn": SIGN_IN})],
    ),
    "what is got by OAuth is seen long after the grant": (
        [record(0, "CreateOAuth2Token", user("", created=-60), "signin", additionalEventData={"signInSessionArn": SIGN_IN})],
        [uses(3000, user(KEY, created=2900, signed_in=SIGN_IN))],
    ),
    "other code and another password are told of that replaced what a session ran, or was opened with": (
        [record(0, "UpdateFunctionCode20150331v2", user(), "lambda", requestParameters={"functionName": "s"}),
         issues(3000, {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}, KEY),
         made(0, "UpdateLoginProfile", {"userName": "abe"}),
         uses(3000, user(OTHER, "abe", created=2990), sessionCredentialFromConsole="true")],
        [record(1000, "UpdateFunctionCode20150331v2", user("AKIAI44QH8DHBEXAMPLE", "zed"), "lambda",
                requestParameters={"functionName": "s"}),
         record(1000, "UpdateLoginProfile", user("AKIAI44QH8DHBEXAMPLE", "zed"), "iam", requestParameters={"userName": "abe"})],
    ),
    "a session is older than AWS": (
        [uses(60, session("", BEFORE)), uses(60, session("", BEFORE, "AROAEXAMPLEEXAMPLE003:q"))],
        [uses(61, session("", BEFORE)), uses(60, session("", BEFORE, "AROAEXAMPLEEXAMPLE004:r"))],
    ),
}  # fmt: skip
"""What was found by thinking it through, each as parts that come one after the other."""


@pytest.mark.parametrize("why", some(LATER, 3))
def test_rare_things_are_added_as_they_are_linked(why: str) -> None:
    """Parents, links and ids are those of linking all at once."""
    first, *rest = LATER[why]
    with (
        mock.patch.object(linking, "_ADDED_FROM", 0),
        mock.patch.object(increment, "SHARE", 1e9),
        mock.patch("tokentrail.store.duck._FEW", 0),  # so that segments are found by the marks of keys
    ):
        found = told(NOBODY_ELSE + list(first), *rest)

    assert told(NOBODY_ELSE + [one for part in LATER[why] for one in part]) == found


def told(*parts: Sequence[Record]) -> list[tuple[Any, ...]]:
    """All credentials of a case that was fed in parts, with what linking says of them, in order."""
    with tempfile.TemporaryDirectory() as folder, Case.open(Path(folder) / "case") as case:
        for number, records in enumerate(parts):
            path = Path(folder) / f"{number}.json"
            path.write_bytes(native(records))
            case.ingest([str(path)], workers=1)
        engine = case._views.open(None).engine
        ids = {row["n"]: row["id"] for row in engine.rows("SELECT n, id FROM credentials")}
        rows = engine.rows("""
            SELECT f.n, f.id, f.parent_n, f.root_n, f.depth, f.parent_link, f.kind, f.events, f.created_thing,
                   list(l.parent ORDER BY l.parent) FILTER (WHERE l.parent IS NOT NULL) AS others
            FROM credentials f LEFT JOIN links l ON l.child = f.n
            GROUP BY ALL ORDER BY f.id""")
        return [
            (row["id"], ids.get(row["parent_n"]), ids[row["root_n"]], *[ids[n] for n in row["others"] or ()],
             *(row[name] for name in ("depth", "parent_link", "kind", "events", "created_thing")))
            for row in rows
        ]  # fmt: skip


def test_sessions_that_follow_each_other_by_the_second_are_not_tied_together() -> None:
    """A function that assumes a role each second under one name: one call more touches its own session alone."""
    every = [issues(n, user(), f"ASIAIOSFODNN7EX{n:05}") for n in range(300)]
    touch, rows = affected_rows.Touched.touch_new, list[int]()

    def counted(self: affected_rows.Touched) -> None:
        touch(self)
        rows.append(self._rows)

    with (
        mock.patch.object(linking, "_ADDED_FROM", 0),
        mock.patch.object(increment, "SHARE", 1e9),
        mock.patch.object(affected_rows.Touched, "touch_new", counted),
    ):
        found = told(every, [issues(300, user(), "ASIAIOSFODNN7EX00300")])

    assert [3] == rows  # the call, and the two identities of the user's, one in each segment
    assert told([*every, issues(300, user(), "ASIAIOSFODNN7EX00300")]) == found


def test_what_is_tied_on_and_on_is_linked_at_once() -> None:
    """Calls that don't tell a key, every two seconds for minutes: following them takes longer than linking all."""
    every = [
        one
        for n in range(0, 200, 2)
        for one in (
            record(n, "AssumeRoleWithSAML", SAML, responseElements={"assumedRoleUser": {"assumedRoleId": P}}),
            uses(n + 5, session("", n + 1)),
        )
    ]
    added, why = linking._add, list[str]()

    def noted(*given: Any) -> Any:
        try:
            return added(*given)
        except affected_rows.TooMuch as error:
            why.append(str(error))
            raise

    with (
        mock.patch.object(linking, "_ADDED_FROM", 0),
        mock.patch.object(increment, "SHARE", 1e9),
        mock.patch.object(linking, "_add", noted),
    ):
        found = told(every, [uses(300, session("", 199))])

    assert ["what is tied to what is new goes on after 40 steps"] == why
    assert told([*every, uses(300, session("", 199))]) == found
