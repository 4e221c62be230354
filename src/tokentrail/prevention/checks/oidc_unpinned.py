"""Roles for web identities whose trust pins neither subject nor audience."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.policy.document import Malformed, Statement
from tokentrail.prevention.estate import Estate, finding, short
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "oidc-unpinned"
_API = "sts:AssumeRoleWithWebIdentity"
_POSITIVE = frozenset({"stringequals", "stringequalsignorecase", "stringlike"})
_SHARED = ("token.actions.githubusercontent.com", "gitlab.com", "accounts.google.com", "app.terraform.io",
           "cognito-identity.amazonaws.com", "agent.buildkite.com", "oidc.circleci.com", "bitbucket.org")  # fmt: skip
"""Providers at which anybody may have an account."""


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each statement that lets a provider's identities in."""
    for role in estate.roles:
        if isinstance(role.trust, Malformed):
            continue
        for clause in role.trust.about(_API):
            if clause.statement.effect != "Allow":
                continue
            for provider in sorted(clause.principals.providers):
                host = provider.partition("oidc-provider/")[2] or provider
                lacking = [name for name in _wanted(host) if not _pins(clause.statement, f"{host}:{name}")]
                if not lacking or ":saml-provider/" in provider:
                    continue
                anybody = "sub" in lacking and any(one in host for one in _SHARED)
                yield finding(
                    _NAME, CHECK.title, "critical" if anybody else "high" if "sub" in lacking else "medium", role.arn,
                    about=(provider,),
                    why=f"The trust policy of {short(role.arn)} lets in {host} without pinning "
                    f"{' and '.join(lacking)}.",
                    attack=CHECK.attack, whence=(provider,), whither=(role.arn,), lives=estate.session_life(role.arn),
                    fix=f"Add StringEquals on {host}:aud and StringLike on {host}:sub, as narrow as a "
                    f"repository and branch "
                    "(guardrail oidc-subjects).",
                )  # fmt: skip


def _wanted(host: str) -> tuple[str, ...]:
    """Cognito's identity pools are told by aud, their kind by amr (IAM User Guide, 'Using Amazon Cognito')."""
    return ("aud",) if host.startswith("cognito-identity") else ("sub", "aud")


def _pins(statement: Statement, key: str) -> bool:
    """Whether a condition narrows the key: a positive one, with no value that takes in everything."""
    return any(
        one.key == key.casefold()
        and one.operator.rpartition(":")[2].casefold() in _POSITIVE
        and all(value.strip("*?") for value in one.values)
        for one in statement.conditions
    )


CHECK = Check(
    id=_NAME,
    title="A trust in an OIDC provider pins no subject or audience",
    severity="critical",
    attack="Any repository, project or workload of the provider, anybody's among them, asks for a token and "
    "becomes the role.",
    blocked="positive conditions pin both, and no value of theirs is a bare wildcard",
    needs="snapshot",
    references=("IAM User Guide, 'Create a role for OpenID Connect federation'",),
    find=find,
)
