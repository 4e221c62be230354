"""What AWS says of the attacker's refused calls: whose statement it was, asked over HTTP at a stand-in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from carry_cases import HOME, Stand
from hypothesis import given
from hypothesis import strategies as st
from test_verify import DENIED, ROLE_SESSION, looked, result

from tokentrail.containment.execution.outcome import Refusal, Verification
from tokentrail.containment.verification import authorization_details
from tokentrail.containment.verification.authorization_details import authorization_id
from tokentrail.present.document import document

ID = "1a2b3c4d5e6f7g8h9i0j"
INLINE = "inline/opaque-1"
TELLING = (
    f"{DENIED}. Go to https://us-east-1.console.aws.amazon.com/iam/home?region=us-east-1#/authorization-details/{ID} for "
    f"complete details, or call the GetRequestAuthorizationDetails API with the following authorization id: {ID}"
)
"""As in IAM User Guide, 'Troubleshoot access denied error messages with authorization ID (Preview)'."""


def details(uri: str, kind: str = "IDENTITY_BASED_POLICY", effect: str = "DENY") -> dict[str, Any]:
    """What GetRequestAuthorizationDetails answers of a refusal by one policy."""
    matched = [{"uri": uri, "matchedStatements": [{"sid": "generated", "evaluatedEffect": effect}]}]
    return {
        "requestContext": {"aws:SourceIp": "203.0.113.77", "aws:TokenIssueTime": {"nested": 1}},
        "evaluations": [{
            "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k", "evaluatedEffect": "EXPLICIT_DENY",
            "checks": [{"checkType": "PRINCIPAL", "evaluatedEffect": "EXPLICIT_DENY", "matchedPolicies": matched}],
        }],
        "policies": [{
            "type": kind, "inline": ":policy/" not in uri, "uri": uri,
            "attachedTo": [{"arn": f"arn:aws:iam::{HOME}:role/MyBucketRole"}],
        }],
    }  # fmt: skip


def answers(stand: Stand, uri: str, policy: Any, told: dict[str, Any] | None = None) -> None:
    """Have the stand-in answer about one id."""
    stand.wire.pages[f"/authorization-details/{ID}"] = (200, told or details(uri))
    path = f"/authorization-details/{ID}/policy?policyUri={quote(uri, safe='')}"
    stand.wire.pages[path] = (200, {"policyDocument": policy})


def written(stand: Stand) -> Any:
    """The document that the plan's third step wrote, as the role has it now, told in another order."""
    policies = stand.iam.list_role_policies(RoleName="MyBucketRole")["PolicyNames"]
    [name] = [one for one in policies if one.startswith("TokenTrail") or "Revoke" in one]
    found = stand.iam.get_role_policy(RoleName="MyBucketRole", PolicyName=name)["PolicyDocument"]
    found = json.loads(found) if isinstance(found, str) else found
    statements = [{**dict(reversed(one.items())), "Sid": "generated"} for one in found["Statement"]]
    return {"Statement": statements, "Version": found["Version"]}


def asked(stand: Stand, plan: Any, *records: Any, ask: bool = True) -> Verification:
    """What verify says of a plan that was carried out."""
    return looked(stand, plan, *records, ask_aws=ask)


def verdict(found: Verification) -> str:
    """What is said of the role's session."""
    [one] = [one for one in found.credentials if one.credential == ROLE_SESSION]
    return one.verdict


@pytest.fixture(name="applied")
def _applied(stand: Stand) -> Any:
    plan = stand.story()
    stand.apply(plan)
    return plan


def test_a_refusal_by_a_statement_of_the_plan_s_proves(stand: Stand, applied: Any) -> None:
    """An inline policy has no ARN: its document is fetched, and says what step 3 wrote; its context keys are told."""
    answers(stand, INLINE, written(stand))
    found = asked(stand, applied, result(ROLE_SESSION, "11:31:00", "MyBucketRole", TELLING))

    [told] = found.refusals
    assert (True, True, (3,), (INLINE,)) == (told.answered, told.ours, told.steps, told.policies)
    assert told.context == {"aws:SourceIp": "203.0.113.77", "aws:TokenIssueTime": '{"nested": 1}'}
    assert (told.region, told.authorization_id) == ("us-east-1", ID)
    assert "a statement of step 3 refused it" in told.why
    assert verdict(found) == "proven"
    assert any("tokentrail" in agent for agent in stand.wire.agents)


def test_steps_that_wrote_the_same_are_told_where_aws_names_no_bearer(stand: Stand, applied: Any) -> None:
    """Two steps may write the same statement for a user and a role: whose it was is known by what bears it."""
    told = details(INLINE)
    del told["policies"][0]["attachedTo"]
    answers(stand, INLINE, written(stand), told)
    [refusal] = asked(stand, applied, result(ROLE_SESSION, "11:31:00", "MyBucketRole", TELLING)).refusals

    assert (2, 3) == refusal.steps


def test_a_refusal_by_another_s_statement_proves_nothing(stand: Stand, applied: Any) -> None:
    """The message alone names a policy of the type that the step wrote; AWS says that it was another of that type."""
    other = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}
    answers(stand, INLINE, other)
    refused = result(ROLE_SESSION, "11:31:00", "MyBucketRole", TELLING)
    found, without = asked(stand, applied, refused), asked(stand, applied, refused, ask=False)

    assert found.refusals[0].ours is False
    assert (verdict(found), verdict(without)) == ("not-yet-proven", "proven")


def test_ids_are_told_where_aws_is_not_asked(stand: Stand, applied: Any) -> None:
    """Without --ask-aws nothing is asked, and the id is told, so that somebody else can ask."""
    found = asked(stand, applied, result(ROLE_SESSION, "11:31:00", "MyBucketRole", TELLING), ask=False)

    [told] = found.refusals
    assert (told.authorization_id, told.answered, told.ours) == (ID, False, None)
    assert "--ask-aws" in told.why
    assert document(found)["refusals"][0]["authorization_id"] == ID


@pytest.mark.parametrize("status", [403, 404])
def test_where_aws_does_not_say_the_message_counts(stand: Stand, applied: Any, status: int) -> None:
    """A profile that may not ask, or an id that AWS keeps no more, leaves the verdict to the message."""
    stand.wire.pages[f"/authorization-details/{ID}"] = (status, {"message": "by the test"})
    found = asked(stand, applied, result(ROLE_SESSION, "11:31:00", "MyBucketRole", TELLING))

    [told] = found.refusals
    assert (told.answered, told.ours) == (False, None)
    assert "did not say" in told.why
    assert verdict(found) == "proven"


def test_a_managed_policy_is_ours_by_its_arn(stand: Stand, applied: Any) -> None:
    """A managed policy's URI is its ARN, in which TokenTrail's name stands."""
    arn = f"arn:aws:iam::{HOME}:policy/TokenTrail-RevokeSessions-1"
    answers(stand, arn, None)
    [told] = asked(stand, applied, result(ROLE_SESSION, "11:31:00", "MyBucketRole", TELLING)).refusals

    assert (told.ours, told.steps, told.by) == (True, (), "identity-based policy")


def test_of_each_credential_a_few_refusals_are_asked_about(stand: Stand, applied: Any) -> None:
    """An attacker who is refused a thousand times has nobody ask AWS a thousand times."""
    answers(stand, INLINE, written(stand))
    many = [result(ROLE_SESSION, f"11:{minute}:00", "MyBucketRole", TELLING) for minute in range(10, 30)]

    assert len(asked(stand, applied, *many).refusals) == 3


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (TELLING, ID), (f"{TELLING}.", ID), (DENIED, None), (f"authorization id: {ID}, and more", None),
        (f"x on resource: authorization id: {ID} with an explicit deny", None), (7, None), (None, None), ("", None),
        ("authorization id: ABC", None), ("authorization id: " + "a" * 300, None), ([TELLING], None),
    ],
)  # fmt: skip
def test_only_the_end_of_a_message_tells_an_id(message: Any, expected: str | None) -> None:
    """What stands before the end may be a name that the attacker chose."""
    assert expected == authorization_id({"errorMessage": message})


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "policies",
                    "attachedTo",
                    "arn",
                    "evaluations",
                    "checks",
                    "matchedPolicies",
                    "matchedStatements",
                    "uri",
                    "Statement",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["requestContext", "evaluations", "policies"]), ODD), ODD)
def test_whatever_is_answered_nothing_raises(told: dict[str, Any], policy: Any) -> None:
    """An answer of another shape than AWS's model has tells nothing, and breaks nothing."""
    list(authorization_details._denying([told]))
    authorization_details._context([told])
    authorization_details._bearers([told])
    list(authorization_details._denials(policy))


def test_what_was_not_asked_is_not_known() -> None:
    """A refusal as the log shows it says nothing of whose statement it was."""
    one = Refusal(
        credential="C", event_id="e", time=datetime(2026, 11, 23, tzinfo=UTC), call="s3:GetObject", account=HOME,
        region=None, authorization_id=ID,
    )  # fmt: skip

    assert (one.answered, one.ours, one.by) == (False, None, None)
