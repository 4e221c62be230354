"""A role that web identities take up lets in the subjects that ordinarily come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tokentrail.lineage.rows import Row
from tokentrail.policy.arn import account_of, identity_of
from tokentrail.policy.truth import Truth
from tokentrail.prevention.documents import named, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import ATTACH_TRUST, NO, Judgement, Proposal, Words
from tokentrail.prevention.rule import Maker, Nothing

_API = "AssumeRoleWithWebIdentity"
_MOST = 40


def make(evidence: Evidence) -> Iterable[Proposal] | Nothing:
    """Name the subjects of each such role and provider."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in evidence.mints:
        if one.api == _API and one.provider and one.subject and not one.theirs:
            seen[one.role, one.provider].add(one.subject)
    found = [
        _for(role, provider, subjects)
        for (role, provider), subjects in sorted(seen.items())
        if len(subjects) <= _MOST
    ]
    return tuple(found) or Nothing("no web identity takes up a role, or the log hides its subject")


def _for(role: str, provider: str, subjects: set[str]) -> Proposal:
    host = provider.partition("oidc-provider/")[2] or provider
    statement = {
        "Sid": "KnownSubjects", "Effect": "Deny", "Principal": {"Federated": _arn(role, provider, host)},
        "Action": f"sts:{_API}", "Condition": {"StringNotLike": {f"{host}:sub": sorted(subjects)}},
    }  # fmt: skip
    wanted = identity_of(role)

    def judge(row: Row) -> Judgement:
        if row["name"] != _API or not row["role_arn"] or identity_of(row["role_arn"]) != wanted:
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


def _arn(role: str, provider: str, host: str) -> str:
    if provider.startswith("arn:"):
        return provider
    return f"arn:aws:iam::{account_of(role)}:oidc-provider/{host}"


WORDS = Words(
    id="oidc-subjects",
    title="A role for web identities lets in its ordinary subjects",
    prevents="Another repository, branch or workload of the same provider can't take the role up.",
    limits="Pin the audience (aud) too; the log does not hold it. A new branch or workload must be added.",
    stage=1,
)
GUARDRAIL = Maker(
    words=WORDS,
    kind="trust-policy",
    references=("IAM User Guide, 'Create a role for OpenID Connect federation'",),
    make=make,
)
