"""A role that web identities take up lets in the subjects that ordinarily come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tokentrail.aws.principals import account_of, partition_of, principal_of_arn
from tokentrail.events.values import provider_of
from tokentrail.lineage.rows import Row
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.documents import named, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import ATTACH_TRUST, NO, Judgement, Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade

_API = "AssumeRoleWithWebIdentity"
_MOST = 40
_OF_PEOPLE = frozenset(
    {"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}
)
"""
Providers built into IAM, by which the users of an application come in: of them, one who is new is no stranger.

Source: AWS STS API Reference, 'AssumeRoleWithWebIdentity'; IAM User Guide, 'OIDC federation'.
"""


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Name the subjects of each such role and provider."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in evidence.mints:
        provider = provider_of(one.provider) or one.provider  # alone, or with audience and subject behind it
        if one.api == _API and provider and one.subject and not one.theirs and provider not in _OF_PEOPLE:
            seen[one.role, provider].add(one.subject)
    found = [
        _for(role, provider, subjects)
        for (role, provider), subjects in sorted(seen.items())
        if len(subjects) <= _MOST
    ]
    return tuple(found) or NotMade(
        "no workload takes up a role by a web identity, or the log hides its subject"
    )


def _for(role: str, provider: str, subjects: set[str]) -> Proposal:
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

    return Proposal(
        id=WORDS.id, rule=WORDS.id, title=f"{named(role)} lets in the known subjects of {host}", kind="trust-policy",
        account=account_of(role), target=role, policy=policy(statement), prevents=WORDS.prevents, limits=WORDS.limits,
        stage=WORDS.stage, attach=ATTACH_TRUST, judge=judge,
        needs=frozenset({"role_arn", "subject", "name"}), where="role_arn IS NOT NULL",
    )  # fmt: skip


def _arn(role: str, provider: str) -> str:
    if provider.startswith("arn:"):
        return provider
    return f"arn:{partition_of(role)}:iam::{account_of(role)}:oidc-provider/{provider}"


WORDS = Words(
    id="oidc-subjects",
    title="A role for web identities lets in its ordinary subjects",
    prevents="Another repository, branch or workload of the same provider can't take the role up.",
    limits="Pin the audience (aud) too; the log does not hold it. A new branch or workload must be added.",
    stage=1,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="trust-policy",
    references=("IAM User Guide, 'Create a role for OpenID Connect federation'",),
    make=make,
)
