"""
Proposals: guardrails before their back-test. Each has a policy or setting, whom it binds, and a judge of calls.

Sources: AWS Organizations User Guide, 'Service control policies (SCPs)' and 'Resource control policies (RCPs)';
IAM User Guide, 'Policy evaluation logic' and 'IAM roles trust policies'.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokentrail.aws.principals import account_of, caseless, principal_of_arn, reserved, role_arn
from tokentrail.lineage.rows import Row
from tokentrail.policy.account.trust import Trust, denied_by_trust, parse_trust, trusts
from tokentrail.policy.language.documents import EVERYTHING, Document, Malformed, Statement, parse
from tokentrail.policy.language.evaluate import Call, denied, open_keys, refused_by
from tokentrail.policy.language.truth import Truth, some
from tokentrail.prevention.change_points import ChangePoints, change_points_of
from tokentrail.prevention.model import GuardKind, Stage
from tokentrail.prevention.request_context import (
    ACTION,
    EVENT,
    call_of,
    columns_for,
    is_principal,
    service_linked,
    who_of,
)

Judgement = tuple[Truth, tuple[str, ...]]
"""Whether a call is refused, and the condition keys that leave it open."""
Judge = Callable[[Row], Judgement]
NO: Judgement = (Truth.NO, ())
_BOUND_BY_RCPS = (
    "aoss appconfig appstream autoscaling autoscaling-plans budgets clouddirectory cloudfront cloudsearch "
    "cloudtrail-data codeartifact codebuild codecommit codepipeline cognito-identity cognito-idp comprehend "
    "comprehendmedical compute-optimizer cost-optimization-hub dax dsql dynamodb ecr ecr-public events firehose fis "
    "fms gamelift health inspector-scan kendra kinesisvideo kms logs memorydb networkmonitor notifications opensearch "
    "pca-connector-ad personalize polly pricing resource-groups rolesanywhere s3 secretsmanager servicediscovery "
    "signin sqs sts support swf textract timestream-influxdb transcribe transfer translate wafv2 workspaces "
    "xray"
)
_RCP_SERVICES = frozenset(_BOUND_BY_RCPS.split())
"""By the prefixes of their actions: AWS Organizations User Guide, 'List of AWS services that support RCPs'."""


@dataclass(frozen=True, kw_only=True)
class GuardrailProposal:
    """A guardrail to test."""

    id: str
    rule: str
    title: str
    kind: GuardKind
    account: str | None = None
    target: str | None = None
    policy: Mapping[str, Any] | None = None
    setting: Mapping[str, Any] | None = None
    prevents: str
    limits: str
    stage: Stage
    attach: str
    judge: Judge
    needs: frozenset[str] = frozenset()
    """The columns of calls on which its judgement depends."""
    where: str = "TRUE"
    """The calls to which it may apply at all, as an SQL condition over those columns."""
    parameters: tuple[Any, ...] = ()
    """The parameters of `where`."""
    whom: str | None = None
    """For a proposal about one principal: an SQL expression for the list of names of those that a call concerns."""
    name: str = ""
    """The name that it is for. Proposals that differ only by it are tested by one query (`lots`)."""
    change_points: ChangePoints = field(default_factory=dict)
    """The columns of seconds on which it depends only by comparing them with some dates."""
    extra: str | None = None
    """An SQL expression over `e` (facts) and `i` (identities) for a column of its own."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """The texts of a guardrail."""

    id: str
    title: str
    prevents: str
    limits: str
    stage: Stage
    attach: str = field(default="")


_ROOM = {"scp": 10_240, "rcp": 5_120, "trust-policy": 2_048, "identity-policy": 10_240}
"""
Characters, without white space, that are sure to fit; a user's inline policies have less room.

Source: AWS Organizations User Guide, 'Quotas for AWS Organizations'; IAM User Guide, 'IAM and AWS STS quotas' (the
quota of trust policies can be raised).
"""
_ROOM_OF_USER = 2_048
_ATTACH_SCP = (
    "Attach it as a service control policy to the root or the organisational unit of the accounts, after a trial in "
    "one."
)
ATTACH_TRUST = "Merge it into the role's trust policy: add this Deny to what stands there."


def scp(
    words: Words,
    policy: Mapping[str, Any],
    *,
    account: str | None = None,
    organisations: Mapping[str, str] | None = None,
    unbound: frozenset[str] = frozenset(),
    judged: Mapping[str, Any] | None = None,
) -> GuardrailProposal:
    """
    Propose an SCP for one account, or for all.

    Args:
        words: Its texts.
        policy: Its document.
        account: The account; `None` for all.
        organisations: By account, the id of its organisation.
        unbound: Management accounts, which no SCP binds.
        judged: A simpler document to judge by, with the same result for every call that a log can hold.
    """
    document = parse(dict(judged or policy))

    def judge(row: Row) -> Judgement:
        if not is_principal(row) or service_linked(row) or row["home"] in unbound:
            return NO
        call = call_of(row, dict(organisations or {}))
        truth = refused_by(document, call)
        return truth, open_keys(document, call) if truth is Truth.UNDECIDED else ()

    return _proposal(
        words, "scp", policy, judge, read=document, account=account, target=account, attach=_ATTACH_SCP,
        needs=needs_of(document) | ({"home"} if unbound else set()),
        where=_names_of(document) + (" AND home = ?" if account else ""), parameters=(account,) if account else (),
    )  # fmt: skip


def identity_policy(words: Words, policy: Mapping[str, Any], target: str) -> GuardrailProposal:
    """Propose a policy that denies something to one user or role."""
    document = parse(dict(policy))

    def judge(row: Row) -> Judgement:
        if not is_principal(row):
            return NO
        call = call_of(row)
        truth = denied(document, call)
        return truth, open_keys(document, call) if truth is Truth.UNDECIDED else ()

    kind = "user" if ":user/" in target else "role"
    attach = f"Put it on the {kind} as an inline policy, beside what it has."
    if reserved(target):
        attach = "Add it to the inline policy of the role's permission set: Identity Center alone can edit the role."
    return _proposal(
        words, "identity-policy", policy, judge, read=document, account=account_of(target), target=role_arn(target),
        attach=attach, needs=needs_of(document) | {"issuer", "principal"}, whom=_PRINCIPALS, name=target,
    )  # fmt: skip


def trust_policy(words: Words, policy: Mapping[str, Any], target: str) -> GuardrailProposal:
    """
    Propose a trust policy for one role: a whole one, or, if it allows nothing, denials to add to the existing one.
    """
    trust = parse_trust(dict(policy))
    whole = isinstance(trust, Malformed) or trust.allows
    wanted = principal_of_arn(target)

    def judge(row: Row) -> Judgement:
        if not row["role_arn"] or principal_of_arn(row["role_arn"]) != wanted:
            return NO
        call = call_of(row)
        truth = denied_by_trust(trust, who_of(row), call)
        if whole and truth is not Truth.YES:
            truth = some((truth, _untrusted(trust, row, call)))
        return truth, open_keys(trust, call) if truth is Truth.UNDECIDED else ()

    return _proposal(
        words, "trust-policy", policy, judge, read=trust, account=account_of(target), target=target,
        attach=ATTACH_TRUST, needs=needs_of(trust) | _OF_TRUST, whom=_ROLES,
        name=f"{wanted.account}/{caseless(wanted.name)}" if wanted else "",
    )  # fmt: skip


def rcp(
    words: Words, policy: Mapping[str, Any], organisations: Mapping[str, str], accounts: frozenset[str]
) -> GuardrailProposal:
    """
    Propose an RCP for all accounts.

    Args:
        words: Its texts.
        policy: Its document.
        organisations: By account, the id of its organisation.
        accounts: The accounts of the organisation, to whose resources it would apply.
    """
    trust = parse_trust(dict(policy))

    def judge(row: Row) -> Judgement:
        role = row["role_arn"]
        if (account_of(role) if role else row["account"]) not in accounts:
            return NO
        call = call_of(row, dict(organisations))
        if call.actions[0].partition(":")[0] not in _RCP_SERVICES:
            return NO
        truth = denied_by_trust(trust, who_of(row), call)
        return truth, open_keys(trust, call) if truth is Truth.UNDECIDED else ()

    return _proposal(
        words, "rcp", policy, judge, read=trust,
        attach="Attach it as a resource control policy to the root of the organisation, after a trial on one account.",
        needs=needs_of(trust) | _OF_TRUST | {"account"}, where=_names_of(trust),
    )  # fmt: skip


def setting(
    words: Words, call: Mapping[str, Any], target: str, judge: Judge, *, where: str,
    parameters: tuple[Any, ...], extra: str,
) -> GuardrailProposal:  # fmt: skip
    """Propose a setting: an AWS call and its parameters."""
    return GuardrailProposal(
        id=words.id, rule=words.id, title=words.title, kind="setting", account=account_of(target), target=target,
        setting=call,
        prevents=words.prevents, limits=words.limits, stage=words.stage, attach=words.attach, judge=judge,
        where=where, parameters=parameters, extra=extra,
    )  # fmt: skip


def _proposal(
    words: Words, kind: GuardKind, policy: Mapping[str, Any], judge: Judge, *, read: Document | Trust | Malformed,
    attach: str, needs: frozenset[str], where: str = "TRUE", account: str | None = None, target: str | None = None,
    parameters: tuple[Any, ...] = (), whom: str | None = None, name: str = "",
) -> GuardrailProposal:  # fmt: skip
    return GuardrailProposal(
        id=words.id, rule=words.id, title=words.title, kind=kind, account=account, target=target, policy=policy,
        prevents=words.prevents, limits=words.limits + _too_long(policy, kind, target), stage=words.stage,
        attach=words.attach or attach, judge=judge, needs=needs, where=where, parameters=parameters, whom=whom,
        name=name,
        change_points={
            column: at for column, at in change_points_of(_statements(read)).items() if column in needs
        },
    )  # fmt: skip


def _too_long(policy: Mapping[str, Any], kind: GuardKind, target: str | None) -> str:
    """A sentence for a policy that may be too long for AWS; empty for others."""
    size = len(json.dumps(policy, separators=(",", ":")))
    room = _ROOM_OF_USER if kind == "identity-policy" and ":user/" in (target or "") else _ROOM[kind]
    if size <= room:
        return ""
    return f" It holds {size:,} characters, and no more than {room:,} are sure to fit: shorten it or ask for more room."


def _untrusted(trust: Trust | Malformed, row: Row, call: Call) -> Truth:
    """
    Whether a whole trust policy would refuse a caller that was let in then.

    If it delegates to the caller's account, identity policies decide: they allowed the call then, and still do.
    """
    who = who_of(row)
    if isinstance(trust, Malformed) or who is None:
        return Truth.UNDECIDED
    return trusts(trust, who, call.request, action=_action(row), role=row["role_arn"]).truth.opposite


def _action(row: Row) -> str:
    return f"sts:{row['name']}"


_OF_TRUST = frozenset({"role_arn", "principal", "home", *ACTION})


def needs_of(policy: Document | Trust | Malformed) -> frozenset[str]:
    """The columns of calls on which the effect of a policy depends."""
    return frozenset() if isinstance(policy, Malformed) else _columns(_statements(policy))


def _statements(policy: Document | Trust | Malformed) -> tuple[Statement, ...]:
    return () if isinstance(policy, Malformed) else policy.statements


def _columns(statements: Iterable[Any]) -> frozenset[str]:
    keys: set[str] = set()
    resources, everything = False, True
    for one in statements:
        everything = (
            everything and one.effect == "Deny" and not one.actions.inverted and one.names_all_actions
        )
        texts = [*one.resources.patterns]
        for condition in one.conditions:
            bare = condition.operator.rpartition(":")[2].casefold()
            if not (bare == "null" and condition.key == "aws:tokenissuetime"):  # the kind of credential tells
                keys.add(condition.key)
            texts += condition.values
        for text in texts:
            keys |= {
                name.split(",")[0].strip("${} ").casefold()
                for name in text.split("${")[1:]
                for name in [name.split("}")[0]]
            }
        resources = resources or not (one.resources is EVERYTHING or "*" in one.resources.patterns)
    told = columns_for(keys, resources=resources)
    return told | frozenset(EVENT if everything and not resources else ACTION)


def _names_of(document: Document | Trust | Malformed) -> str:
    """An SQL condition for the calls that a policy may deny at all, by the services of its actions."""
    if isinstance(document, Malformed) or (document.allows and not isinstance(document, Trust)):
        return "TRUE"
    sources: set[str] = set()
    for one in document.denials:
        for pattern in one.actions.patterns:
            service = pattern.partition(":")[0]
            if one.actions.inverted or service not in _SAME_SOURCE:
                return "TRUE"
            sources.add(f"'{service}.amazonaws.com'")
    return f"source IN ({', '.join(sorted(sources))})" if sources else "FALSE"


_SAME_SOURCE = frozenset(
    {"sts", "iam", "s3", "ec2", "cloudtrail", "organizations", "kms", "secretsmanager", "guardduty", "config"}
)
"""Services whose events name the service as policies do."""


_PRINCIPALS = "[principal, CASE WHEN type = 'FederatedUser' THEN issuer END]"
"""A user's policies bind the federated users that it vouches for, too."""
_ROLES = "[split_part(role_arn, ':', 5) || '/' || split_part(lower(role_arn), '/', -1)]"
"""Account and name, as roles of one name stand in every account of an organisation."""
