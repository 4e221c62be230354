"""What documents deny."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_cases import allow, at, deny, key, older_than, session, token

from tokentrail.policy.history.managed import QUARANTINE
from tokentrail.policy.language.context import Context, context_of
from tokentrail.policy.language.documents import Document, Malformed, parse
from tokentrail.policy.language.evaluate import Call, Extent, cutoff_of, denied, denies_everything
from tokentrail.policy.language.truth import Truth

SESSION = context_of(session(0))
KEY = context_of(key())


def several(*statements: dict[str, object]) -> str:
    """A document of several statements that deny."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Resource": "*", **item} for item in statements],
        }
    )


def denies(
    document: Document | Malformed, context: Context, action: str, resource: str | None = "*"
) -> Truth:
    """Whether a document denies an action on a resource."""
    return denied(document, Call.of((action.lower(),), None if resource is None else (resource,), context))


def extent(text: str, context: Context = SESSION) -> Extent:
    """How much a document denies to a session."""
    return denies_everything(parse(text), context).extent


@pytest.mark.parametrize(
    "text",
    [
        deny(),
        deny(Action="*:*"),
        deny(Action="**"),
        deny(Action=["s3:GetObject", "*"]),
        deny(Resource=["arn:aws:s3:::x", "*"]),
        several({"NotAction": "sts:GetCallerIdentity"}),
        several({"NotAction": ["iam:*", "s3:Get*"]}, {"Action": ["iam:*", "s3:*"]}),
        several({"NotAction": "iam:*"}, {"NotAction": "s3:*"}),
        several({"Action": "s3:*"}, {"Action": "*"}),
        deny({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
        deny({"StringLike": {"aws:userid": ["AROAOTHER:*", "AROAEXAMPLE:s"]}}),
        deny({"Null": {"aws:TokenIssueTime": "false"}}),
    ],
)
def test_documents_that_deny_everything(text: str) -> None:
    """All actions on all resources are denied, however it is written, where the conditions hold."""
    assert extent(text) is Extent.ALL


@pytest.mark.parametrize(
    "text",
    [
        allow(),
        older_than(0),
        deny({"StringEquals": {"aws:userid": "AROAEXAMPLE:other"}}),
        deny({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        deny({"StringEquals": {"aws:SourceIdentity": "mallory"}}),
        deny({"Null": {"aws:TokenIssueTime": "true"}}),
    ],
)
def test_documents_that_deny_this_session_nothing(text: str) -> None:
    """A deny whose condition does not hold for the credential does not touch it."""
    assert extent(text) is Extent.NO


@pytest.mark.parametrize(
    "text",
    [
        deny(Action="s3:*"),
        deny(Action="*:"),
        deny(Resource="arn:aws:s3:::x"),
        deny(Resource="arn:*"),
        deny(Resource="*:*"),
        several({"NotAction": ["iam:GetUser", "sts:GetSessionToken"]}),
        several({"NotAction": ["iam:*"]}, {"Action": "iam:Get*"}),
        several({"Action": "*", "NotResource": "arn:aws:s3:::x"}).replace('"Resource": "*", ', ""),
        several(
            {"Action": "s3:*"}, {"Action": "ec2:*", "Condition": {"IpAddress": {"aws:SourceIp": "1.2.3.4"}}}
        ),
    ],
)
def test_documents_that_deny_a_part(text: str) -> None:
    """Some actions or some resources are left, even where all that the log leaves open holds."""
    assert extent(text) is Extent.PARTLY


def test_what_stays_allowed_is_listed() -> None:
    """Of a deny by NotAction, the exceptions that nothing else denies are told."""
    document = parse(
        several({"NotAction": ["iam:GetUser", "s3:*", "sts:GetCallerIdentity"]}, {"Action": "s3:*"})
    )

    assert denies_everything(document, SESSION).reason == "denies all but iam:getuser"


@pytest.mark.parametrize(
    "text",
    [
        deny({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        deny({"StringEquals": {"aws:PrincipalTag/team": "red"}}),
        deny(Principal="*"),
        "not a policy",
    ],
)
def test_what_the_log_does_not_tell_is_undecided(text: str) -> None:
    """The address of a future call, tags, and documents that could not be read leave it open."""
    verdict = denies_everything(parse(text), SESSION)

    assert verdict.extent is Extent.UNDECIDED
    assert verdict.reason


def test_an_unknown_key_is_named() -> None:
    """The reason names the keys that it depends on."""
    document = parse(
        deny({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Null": {"aws:userid": "false"}})
    )

    assert denies_everything(document, SESSION).reason.endswith("aws:SourceIp")


def test_a_token_issue_time_cutoff_spares_long_term_keys() -> None:
    """A request with a long-term key carries no issue time, so the deny does not match it."""
    document = older_than(60)

    assert extent(document, SESSION) is Extent.ALL
    assert extent(document, context_of(token(0))) is Extent.ALL
    assert extent(document, KEY) is Extent.NO


def test_mfa_conditions_reach_long_term_keys_only_with_if_exists() -> None:
    """`Bool` false misses a long-term key, `BoolIfExists` false does not."""
    assert extent(deny({"Bool": {"aws:MultiFactorAuthPresent": False}}), KEY) is Extent.NO
    assert extent(deny({"BoolIfExists": {"aws:MultiFactorAuthPresent": False}}), KEY) is Extent.ALL


def test_the_quarantine_policy_leaves_the_way_to_roles_open() -> None:
    """AWSCompromisedKeyQuarantineV3 denies a list of actions, and sts:AssumeRole is not on it."""
    verdict = denies_everything(QUARANTINE, KEY)

    assert verdict.extent is Extent.PARTLY
    assert verdict.reason.endswith("sts:AssumeRole is not denied")
    assert denies(QUARANTINE, KEY, "sts:AssumeRole") is Truth.NO
    assert denies(QUARANTINE, KEY, "sts:GetFederationToken") is Truth.YES
    assert denies(QUARANTINE, KEY, "lightsail:CreateInstances") is Truth.YES


@pytest.mark.parametrize(
    ("text", "action", "resource", "expected"),
    [
        (deny(), "sts:AssumeRole", "*", Truth.YES),
        (deny(), "sts:GetCallerIdentity", "*", Truth.NO),
        (deny(Action=["sts:*", "iam:*"]), "sts:*", "*", Truth.YES),
        (deny(Action=["sts:*", "iam:*"]), "STS:AssumeRole", None, Truth.YES),
        (deny(Action="sts:Assume*"), "sts:*", "*", Truth.UNDECIDED),
        (
            deny(Action="sts:AssumeRole", Resource="arn:aws:iam::1:role/a"),
            "sts:AssumeRole",
            "*",
            Truth.UNDECIDED,
        ),
        (
            deny(Action="sts:*", Resource="arn:aws:iam::1:role/*"),
            "sts:AssumeRole",
            "arn:aws:iam::1:role/a",
            Truth.YES,
        ),
        (deny(Action="sts:*", Resource="arn:aws:iam::1:role/*"), "sts:AssumeRole", None, Truth.UNDECIDED),
        (several({"NotAction": "iam:*"}), "sts:AssumeRole", "*", Truth.YES),
        (several({"NotAction": "sts:GetCallerIdentity"}), "sts:*", "*", Truth.YES),
        (several({"NotAction": "sts:TagSession"}), "sts:*", "*", Truth.UNDECIDED),
        (allow(), "sts:AssumeRole", "*", Truth.NO),
        (
            deny(Resource="arn:aws:s3:::x/${aws:username}"),
            "s3:GetObject",
            "arn:aws:s3:::x/support",
            Truth.YES,
        ),
        (
            deny(Resource="arn:aws:s3:::x/${aws:SourceIp}"),
            "s3:GetObject",
            "arn:aws:s3:::x/1",
            Truth.UNDECIDED,
        ),
        (deny({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), "sts:AssumeRole", "*", Truth.UNDECIDED),
        ("x", "sts:AssumeRole", "*", Truth.UNDECIDED),
    ],
)
def test_single_actions(text: str, action: str, resource: str | None, expected: Truth) -> None:
    """Whether one action, or all that a pattern means, is denied on one resource or on all; undecided if only some are."""
    assert expected is denies(parse(text), KEY, action, resource)


def test_not_resource_denies_all_but_what_it_names() -> None:
    """A deny with NotResource reaches every other resource."""
    text = '{"Statement":[{"Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::x/*"}]}'

    assert denies(parse(text), KEY, "s3:GetObject", "arn:aws:s3:::y/1") is Truth.YES
    assert denies(parse(text), KEY, "s3:GetObject", "arn:aws:s3:::x/1") is Truth.NO
    assert denies(parse(text), KEY, "s3:GetObject", "*") is Truth.UNDECIDED


def test_a_document_that_can_t_be_read_is_undecided() -> None:
    """What a document that is not in the evidence denies is not known."""
    assert denies_everything(Malformed(reason="gone"), KEY).extent is Extent.UNDECIDED


actions = st.sampled_from(["*", "*:*", "s3:*", "iam:*", "sts:GetCallerIdentity"])
conditions = st.sampled_from(
    [
        None,
        {"DateLessThan": {"aws:TokenIssueTime": at(5).isoformat()}},
        {"DateLessThan": {"aws:TokenIssueTime": str(int(at(9).timestamp()))}},
        {"DateLessThan": {"aws:TokenIssueTime": [at(1).isoformat(), at(2).isoformat()]}},
        {"StringEquals": {"aws:userid": "AROAEXAMPLE:s"}},
    ]
)
statements = st.builds(
    lambda element, action, resource, condition: {
        element: action, "Resource": resource, **({"Condition": condition} if condition else {})
    },
    st.sampled_from(["Action", "NotAction"]),
    actions,
    st.sampled_from(["*", "arn:aws:s3:::x"]),
    conditions,
)  # fmt: skip


@given(parts=st.lists(statements, max_size=3), issued=st.integers(-2, 12))
def test_the_shortcut_by_cutoff_agrees_with_the_full_judgement(
    parts: list[dict[str, object]], issued: int
) -> None:
    """Where a document has a cutoff, it denies everything to exactly the tokens issued before it."""
    document = parse(several(*parts))
    assert isinstance(document, Document)
    cutoff = cutoff_of(document)

    if cutoff is not None:
        context = context_of(session(issued))
        covered = denies_everything(document, context).extent is Extent.ALL
        assert (at(issued).timestamp() < cutoff) is covered
        assert (cutoff == math.inf) is (denies_everything(document, KEY).extent is Extent.ALL)


@given(parts=st.lists(statements, max_size=4), issued=st.integers(-2, 12))
def test_denying_everything_implies_denying_each_action(parts: list[dict[str, object]], issued: int) -> None:
    """What is denied everything is denied any action on any resource."""
    document, context = parse(several(*parts)), context_of(session(issued))

    if denies_everything(document, context).extent is Extent.ALL:
        for action in ("s3:GetObject", "iam:CreateUser", "sts:AssumeRole"):
            assert denies(document, context, action) is Truth.YES


@given(parts=st.lists(statements, max_size=3), more=statements, issued=st.integers(-2, 12))
def test_a_further_denial_never_allows_more(
    parts: list[dict[str, object]], more: dict[str, object], issued: int
) -> None:
    """Adding a statement that denies takes nothing back."""
    context = context_of(session(issued))

    if denies_everything(parse(several(*parts)), context).extent is Extent.ALL:
        assert denies_everything(parse(several(*parts, more)), context).extent is Extent.ALL
