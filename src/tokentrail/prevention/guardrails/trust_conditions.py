"""
Denials in the trust policies of roles, and in one policy for all of them: who takes a role up, whence, and how.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from tokentrail.aws.principals import account_of, in_conditions, partition_of, principal_of_arn
from tokentrail.events.values import provider_of
from tokentrail.lineage.rows import Row
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.documents import (
    MOST_NETWORKS,
    NOT_SERVICES,
    Json,
    distrust,
    elsewhere,
    named,
    policy,
)
from tokentrail.prevention.evidence import Evidence, Mint, Way, networks_of
from tokentrail.prevention.proposal import (
    ATTACH_TRUST,
    NO,
    GuardrailProposal,
    Judgement,
    Words,
    rcp,
    trust_policy,
)
from tokentrail.prevention.rule import GuardrailRule, NotMade

NO_ROLE = NotMade("the attacker took up no role by AssumeRole")


def role_by_role(
    evidence: Evidence, propose: Callable[[Evidence, str], GuardrailProposal | None], *, otherwise: str
) -> Iterable[GuardrailProposal] | NotMade:
    """Proposals for the roles that the attacker assumed; `otherwise` is the reason if there are roles but none."""
    roles = evidence.roles_assumed()
    found = [one for role in roles if (one := propose(evidence, role)) is not None]
    return tuple(found) or (NotMade(otherwise) if roles else NO_ROLE)


def _roles_by_token(evidence: Evidence) -> Sequence[str]:
    """The roles that the attacker took up with a token of GetSessionToken."""
    return sorted({one.role for one in evidence.mints if one.theirs and one.caller_kind == "session_token"})


def _distrusting(
    sid: str,
    title: str,
    condition: Callable[[Evidence], Json],
    words: Words,
    references: tuple[str, ...],
    *,
    roles: Callable[[Evidence], Sequence[str]] = Evidence.roles_assumed,
    otherwise: NotMade = NO_ROLE,
) -> GuardrailRule:
    """
    A guardrail that denies taking a role up under a condition.

    Args:
        sid: The id of the statement.
        title: The title of a proposal; `{}` stands for the name of the role.
        condition: Makes the condition.
        words: The texts.
        references: The sources.
        roles: The roles that it is proposed for.
        otherwise: The answer if there are none.
    """

    def make(evidence: Evidence) -> tuple[GuardrailProposal, ...] | NotMade:
        document = policy(distrust(sid, condition(evidence)))
        made = (
            trust_policy(replace(words, title=title.format(named(role))), document, role)
            for role in roles(evidence)
        )
        return tuple(made) or otherwise

    return GuardrailRule(words=words, kind="trust-policy", references=references, make=make)


_MOST_NAMED_CALLERS = 40


def _named_callers(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
    """Name the callers that the evidence shows, role by role that the attacker took up."""
    return role_by_role(
        evidence, _named_callers_of, otherwise="these roles have too many ordinary callers to name"
    )


def _named_callers_of(evidence: Evidence, role: str) -> GuardrailProposal | None:
    callers = [
        one for one in evidence.callers(role) if one.api == "AssumeRole" and one.caller_type != "AWSService"
    ]
    arns = sorted(
        {in_conditions(one.caller) for one in callers if one.caller and principal_of_arn(one.caller)}
    )
    accounts = sorted({one.caller_account for one in callers if one.caller_account and not one.caller})
    if len(arns) + len(accounts) > _MOST_NAMED_CALLERS:
        return None
    condition: dict[str, object] = {"BoolIfExists": dict(NOT_SERVICES)}
    if arns:
        condition["ArnNotEquals"] = {"aws:PrincipalArn": arns}
    if accounts:
        condition["StringNotEquals"] = {"aws:PrincipalAccount": accounts}
    who = f"{len(arns) + len(accounts)} callers" if len(arns) + len(accounts) != 1 else "its one caller"
    said = (
        f"{named(role)} lets in {who}"
        if arns or accounts
        else f"{named(role)} lets nobody in, as nobody else uses it"
    )
    return trust_policy(replace(_NAMED, title=said), policy(distrust("OnlyNamedCallers", condition)), role)


_NAMED = Words(
    id="trust-named-callers",
    title="A role that was abused lets in its ordinary callers only",
    prevents="The leaked credential is refused the role, whatever its own policies allow; so is every other that has "
    "no business there.",
    limits="Only these roles; and who takes the role up too rarely to be in the evidence is refused, so ask "
    "its owner first.",
    stage=1,
)
NAMED_CALLERS = GuardrailRule(
    words=_NAMED,
    kind="trust-policy",
    references=(
        "IAM User Guide, 'IAM roles trust policies'",
        "IAM User Guide, 'aws:PrincipalArn' (of a session, its role's)",
    ),
    make=_named_callers,
)


def _known_networks(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
    """Take the networks that each role is taken up from."""
    return role_by_role(
        evidence, _known_networks_of, otherwise="nobody else takes these roles up, or from too many networks"
    )


def _known_networks_of(evidence: Evidence, role: str) -> GuardrailProposal | None:
    networks, inside = networks_of(
        _way(one) for one in evidence.callers(role) if one.caller_type != "AWSService"
    )
    if not (networks or inside) or len(networks) > MOST_NETWORKS:
        return None
    network = elsewhere(networks or ("127.0.0.1/32",), inside=inside, evidence=evidence)
    condition = network.condition | {"BoolIfExists": network.condition["BoolIfExists"] | NOT_SERVICES}
    title = f"{named(role)} is taken up from your networks only"
    words = replace(_FROM_NETWORKS, title=title, limits=f"{_FROM_NETWORKS.limits} {network.said}")
    return trust_policy(words, policy(distrust("FromKnownNetworks", condition)), role)


def _way(mint: Mint) -> Way:
    return Way(
        theirs=False, kind=mint.caller_kind, type=mint.caller_type, account=mint.caller_account, principal=mint.caller,
        forwarded=False, actions=(), ec2=None, ip=mint.ip,
    )  # fmt: skip


_FROM_NETWORKS = Words(
    id="trust-known-networks",
    title="A role that was abused is taken up from your networks only",
    prevents="From elsewhere, no session of the role is minted, whoever's key it is.",
    limits="It is tested when the role is taken up, not when the session is used: a session stolen later works "
    "anywhere.",
    stage=2,
)
KNOWN_NETWORKS = GuardrailRule(
    words=_FROM_NETWORKS,
    kind="trust-policy",
    references=("IAM User Guide, 'AWS global condition context keys', aws:SourceIp",),
    make=_known_networks,
)


NEEDS_MFA = _distrusting(
    "UsersNeedMfa", "Users take {} up with MFA only",
    lambda evidence: {
        "BoolIfExists": {"aws:MultiFactorAuthPresent": "false"} | NOT_SERVICES,
        "ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"},
    },
    Words(
        id="trust-needs-mfa",
        title="Users take an abused role up with MFA only",
        prevents="A leaked key, or a token minted with it alone, can't take the role up.",
        limits="Only IAM users are asked for it: sessions of other roles, and people from an identity provider, are "
        "let in without, as they can't show it.",
        stage=2,
    ),
    references=("AWS STS API Reference, 'AssumeRole' (SerialNumber, TokenCode)",),
)  # fmt: skip


NO_TOKENS = _distrusting(
    "NoUserTokens", "{} can't be taken up with a user's token",
    lambda evidence: {
        "Null": {"aws:TokenIssueTime": "false"},
        "ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"},
        "BoolIfExists": dict(NOT_SERVICES),
    },
    Words(
        id="trust-no-tokens",
        title="An abused role can't be taken up with a user's token",
        prevents="A token of GetSessionToken, kept for 36 hours, can't take the role up again after the key was "
        "deactivated.",
        limits="The key itself still can, and who asks for a token with MFA first, or works in the console, can't "
        "any more.",
        stage=2,
    ),
    references=(
        "IAM User Guide, 'AWS global condition context keys', aws:TokenIssueTime (keys do not carry it)",
    ),
    roles=_roles_by_token,
    otherwise=NotMade("the attacker took up no role with a token of GetSessionToken"),
)  # fmt: skip


SOURCE_IDENTITY = _distrusting(
    "NeedsSourceIdentity", "{} is taken up with a SourceIdentity only",
    lambda _: {
        "Null": {"sts:SourceIdentity": "true", "aws:SourceIdentity": "true"},
        "BoolIfExists": dict(NOT_SERVICES),
    },
    Words(
        id="trust-source-identity",
        title="An abused role is taken up with a SourceIdentity only",
        prevents="Every session, through any number of hops, carries who began it, can't change it, and can be "
        "ended by it alone.",
        limits="An attacker may set one too, so pin it (StringLike sts:SourceIdentity ${aws:username}) or have the "
        "identity provider set it; callers must be allowed sts:SetSourceIdentity, and tools must send it.",
        stage=3,
    ),
    references=("IAM User Guide, 'Monitor and control actions taken with assumed roles'",),
)  # fmt: skip


_API = "AssumeRoleWithWebIdentity"
_MOST_OIDC_SUBJECTS = 40
_OF_PEOPLE = frozenset(
    {"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}
)
"""
Providers built into IAM, by which the users of an application come in: of them, one who is new is no stranger.

Source: AWS STS API Reference, 'AssumeRoleWithWebIdentity'; IAM User Guide, 'OIDC federation'.
"""


def _oidc_subjects(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
    """Name the subjects of each such role and provider."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in evidence.mints:
        provider = provider_of(one.provider) or one.provider  # alone, or with audience and subject behind it
        if one.api == _API and provider and one.subject and not one.theirs and provider not in _OF_PEOPLE:
            seen[one.role, provider].add(one.subject)
    found = [
        _oidc_subjects_of(role, provider, subjects)
        for (role, provider), subjects in sorted(seen.items())
        if len(subjects) <= _MOST_OIDC_SUBJECTS
    ]
    return tuple(found) or NotMade(
        "no workload takes up a role by a web identity, or the log hides its subject"
    )


def _oidc_subjects_of(role: str, provider: str, subjects: set[str]) -> GuardrailProposal:
    host = provider.partition("oidc-provider/")[2] or provider
    statement = {
        "Sid": "KnownSubjects", "Effect": "Deny", "Principal": {"Federated": _arn(role, provider)},
        "Action": f"sts:{_API}", "Condition": {"StringNotLike": {f"{host}:sub": sorted(subjects)}},
    }  # fmt: skip
    wanted = principal_of_arn(role)

    def judge(row: Row) -> Judgement:
        if row["name"] != _API or not row["role_arn"] or principal_of_arn(row["role_arn"]) != wanted:
            return NO
        if row["subject"] is None:
            return Truth.UNDECIDED, (f"{host}:sub",)
        return Truth.of(row["subject"] not in subjects), ()

    return GuardrailProposal(
        id=_SUBJECTS.id, rule=_SUBJECTS.id, title=f"{named(role)} lets in the known subjects of {host}",
        kind="trust-policy", account=account_of(role), target=role, policy=policy(statement),
        prevents=_SUBJECTS.prevents, limits=_SUBJECTS.limits, stage=_SUBJECTS.stage, attach=ATTACH_TRUST, judge=judge,
        needs=frozenset({"role_arn", "subject", "name"}), where="role_arn IS NOT NULL",
    )  # fmt: skip


def _arn(role: str, provider: str) -> str:
    if provider.startswith("arn:"):
        return provider
    return f"arn:{partition_of(role)}:iam::{account_of(role)}:oidc-provider/{provider}"


_SUBJECTS = Words(
    id="oidc-subjects",
    title="A role for web identities lets in its ordinary subjects",
    prevents="Another repository, branch or workload of the same provider can't take the role up.",
    limits="Pin the audience (aud) too; the log does not hold it. A new branch or workload must be added.",
    stage=1,
)
OIDC_SUBJECTS = GuardrailRule(
    words=_SUBJECTS,
    kind="trust-policy",
    references=("IAM User Guide, 'Create a role for OpenID Connect federation'",),
    make=_oidc_subjects,
)


def _own_organisation(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
    """Let in the organisation, or the accounts that the case shows to be ours, and partners that ordinarily come."""
    ours = evidence.accounts
    if not ours:
        return NotMade("the evidence shows no account at work")
    partners = sorted(
        {
            one.caller_account
            for one in evidence.mints
            if not one.theirs
            and one.caller_account
            and one.caller_account not in ours
            and one.api == "AssumeRole"
        }
    )
    organisations = sorted(set(evidence.organisations.values()))
    condition: dict[str, Any] = {"BoolIfExists": dict(NOT_SERVICES)}
    if organisations:
        condition["StringNotEqualsIfExists"] = {"aws:PrincipalOrgID": organisations}
        if partners:
            condition["StringNotEqualsIfExists"]["aws:PrincipalAccount"] = partners
    else:
        condition["StringNotEqualsIfExists"] = {"aws:PrincipalAccount": sorted({*ours, *partners})}
    statement = {
        "Sid": "OwnOrganisation", "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*",
        "Condition": condition,
    }  # fmt: skip
    return (rcp(_OWN, policy(statement), evidence.organisations, ours),)


_OWN = Words(
    id="own-organisation",
    title="Foreign accounts take up none of your roles",
    prevents="A trust policy that the thief opens to an account of his own lets nobody in.",
    limits="It binds no service-linked role and nothing in the management account. Without the organisation's id in "
    "the evidence it lists accounts: replace them by aws:PrincipalOrgID.",
    stage=2,
)
OWN_ORGANISATION = GuardrailRule(
    words=_OWN,
    kind="rcp",
    references=("AWS Organizations User Guide, 'Resource control policies (RCPs)'",),
    make=_own_organisation,
)
