"""Our evaluation agrees with that of an independent evaluator, case by case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from second_opinion_cases import (
    REQUESTS,
    TARGET,
    USER,
    VALUES,
    SecondOpinion,
    Value,
    conditions,
    contexts,
    documents,
    ours,
    second_opinion,
    trust_documents,
)

from tokentrail.aws.principals import principal_of_arn
from tokentrail.policy.account.permissions import Permissions, Policy, Rules
from tokentrail.policy.account.trust import Who, denied_by_trust, parse_trust, trusts
from tokentrail.policy.language.documents import parse
from tokentrail.policy.language.evaluate import Call, Request, allowed, denied, refused_by
from tokentrail.policy.language.truth import Truth, every, some

ALL: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@pytest.fixture(name="opinion", scope="module")
def _opinion() -> Iterator[SecondOpinion]:
    found = second_opinion()
    yield found
    found.close()


@given(
    request_=st.sampled_from(REQUESTS), identity=st.lists(documents(), min_size=1, max_size=2),
    control=st.one_of(st.none(), documents(("Deny",))), context=contexts(),
)  # fmt: skip
def test_what_policies_allow_and_deny(
    opinion: SecondOpinion,
    request_: tuple[str, str],
    identity: list[Any],
    control: Any,
    context: dict[str, Value],
) -> None:
    """Over identity policies and SCPs, where all of the request is known, we say what it says, allowed and denied apart."""
    action, resource = request_
    call = Call.of((action.lower(),), (resource,), ours(context))
    parsed = [parse(one) for one in identity]
    controls = [parse(one) for one in [control] if one is not None]

    theirs = opinion.judge(
        action, resource, context, identity=identity, controls=[ALL, *([control] if control else [])]
    )

    deny = some(denied(one, call) for one in [*parsed, *controls])
    let = every((some(allowed(one, call) for one in parsed), deny.opposite))
    assert _agrees(let, theirs == "Allowed")
    assert _agrees(deny, theirs == "ExplicitlyDenied")
    policies = tuple(Policy(label="p", document=one) for one in parsed)
    rules = Rules(
        Permissions(
            identity=policies,
            controls=tuple(Policy(label="c", document=one) for one in [parse(ALL), *controls]),
        ),
        action, Request(ours(context)),
    )  # fmt: skip
    assert _agrees(rules.truth(resource), theirs == "Allowed")


@given(
    request_=st.sampled_from(REQUESTS), identity=documents(), context=contexts(),
    hidden=st.lists(st.sampled_from(range(len(VALUES))), max_size=10),
)  # fmt: skip
def test_what_is_not_known_is_never_told_wrong(
    opinion: SecondOpinion,
    request_: tuple[str, str],
    identity: Any,
    context: dict[str, Value],
    hidden: list[int],
) -> None:
    """Where keys, the resource or the action are not told to us, we say what it says or that it is undecided."""
    action, resource = request_
    keys = sorted(context)
    told = {key: value for place, key in enumerate(keys) for value in [context[key]] if place not in hidden}
    actions = (action.lower(),) if 1 not in hidden else (f"{action.partition(':')[0]}:*",)
    call = Call.of(actions, None if 0 in hidden else (resource,), ours(told))
    document = parse(identity)

    theirs = opinion.judge(action, resource, context, identity=[identity], controls=[ALL])

    deny = denied(document, call)
    let = every((allowed(document, call), deny.opposite))
    assert let is Truth.UNDECIDED or (let is Truth.YES) == (theirs == "Allowed")
    assert deny is Truth.UNDECIDED or (deny is Truth.YES) == (theirs == "ExplicitlyDenied")


@given(request_=st.sampled_from(REQUESTS), control=documents(), context=contexts())
def test_an_scp_of_one_s_own(
    opinion: SecondOpinion, request_: tuple[str, str], control: Any, context: dict[str, Value]
) -> None:
    """An SCP that allows something stands for itself; one that only denies stands beside one that allows all."""
    action, resource = request_
    call = Call.of((action.lower(),), (resource,), ours(context))
    document = parse(control)
    alone = any(one["Effect"] == "Allow" for one in control["Statement"])

    theirs = opinion.judge(
        action, resource, context, identity=[ALL], controls=[control] if alone else [ALL, control]
    )

    assert _agrees(refused_by(document, call), theirs != "Allowed")


@given(trust=trust_documents(), context=contexts())
def test_trust_policies(opinion: SecondOpinion, trust: Any, context: dict[str, Value]) -> None:
    """A trust policy lets in and denies the same principals; where it delegates, identity policies that allow all decide."""
    carried = {**context, "aws:PrincipalArn": USER, "aws:PrincipalAccount": "111122223333"}
    call = Call.of(("sts:assumerole",), (TARGET,), ours(carried))
    identity = principal_of_arn(USER)
    assert identity is not None
    parsed, who = parse_trust(trust), Who(identity=identity)

    theirs = opinion.judge("sts:AssumeRole", TARGET, carried, identity=[ALL], controls=[ALL], trust=trust)

    verdict = trusts(parsed, who, call.request, role=TARGET)
    assert _agrees(denied_by_trust(parsed, who, call), theirs == "ExplicitlyDenied")
    assert _agrees(verdict.truth, theirs == "Allowed")


@given(condition=conditions(), context=contexts())
def test_conditions_alone(opinion: SecondOpinion, condition: Any, context: dict[str, Value]) -> None:
    """One denial of everything under random conditions applies where it says that it does."""
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"} | ({"Condition": condition} if condition else {})],
    }  # fmt: skip
    action, resource = REQUESTS[0]
    call = Call.of((action.lower(),), (resource,), ours(context))

    theirs = opinion.judge(action, resource, context, identity=[ALL, document], controls=[ALL])

    assert _agrees(denied(parse(document), call), theirs == "ExplicitlyDenied")


def _agrees(truth: Truth, theirs: bool) -> bool:
    """Whether we say the same, or, for a variable whose key is absent under a negation, that AWS does not say."""
    return truth is Truth.UNDECIDED or (truth is Truth.YES) == theirs
