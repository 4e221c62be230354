"""Roles for web identities whose trust pins neither subject nor audience."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokentrail.formatting import listed, short
from tokentrail.policy.account.trust import principals_of
from tokentrail.policy.language.conditions import Condition
from tokentrail.policy.language.documents import Malformed, Statement
from tokentrail.prevention.estate import Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "oidc-unpinned"
_API = "sts:AssumeRoleWithWebIdentity"
_POSITIVE = frozenset({"stringequals", "stringequalsignorecase", "stringlike"})
_SHARED = ("token.actions.githubusercontent.com", "gitlab.com", "accounts.google.com", "app.terraform.io",
           "cognito-identity.amazonaws.com", "agent.buildkite.com", "oidc.circleci.com", "bitbucket.org")  # fmt: skip
"""Providers at which anybody may have an account."""
_OF_ALL = frozenset(
    {"token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io", "agent.buildkite.com"}
)
"""Those of them that are one and the same for all who have an account, so that the subject alone tells whose it is."""
_OWNER = re.compile(r"[^:/*?]+[:/][^:/*?]+[:/]")
"""
How a subject of theirs begins whose owner is told: `repo:owner/`, `project_path:group/`, `organization:acme:`.

Source: GitHub, GitLab, HCP Terraform and Buildkite Docs, on the subjects of their OpenID Connect tokens.
"""


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each statement that lets a provider's identities in."""
    for role in estate.roles:
        if isinstance(role.trust, Malformed):
            continue
        for statement in role.trust.about(_API):
            if statement.effect != "Allow":
                continue
            for provider in sorted(principals_of(statement).providers):
                host = provider.partition("oidc-provider/")[2] or provider
                lacking = [name for name in _wanted(host) if not _pins(statement, f"{host}:{name}")]
                broad = _anybodys(statement, host) if "sub" not in lacking else ()
                lacking += ["sub"] if broad else []
                if not lacking or ":saml-provider/" in provider:
                    continue
                anybody = "sub" in lacking and any(one in host for one in _SHARED)
                but = f": others' subjects fit {listed(broad)} too" if broad else ""
                yield finding(
                    _NAME, CHECK.title, "critical" if anybody else "high" if "sub" in lacking else "medium", role.arn,
                    about=(provider,),
                    why=f"The trust policy of {short(role.arn)} lets in {host} without pinning "
                    f"{' and '.join(lacking)}{but}.",
                    attack=CHECK.attack, whence=(provider,), whither=(role.arn,), lives=estate.session_life(role.arn),
                    fix=f"Add StringEquals on {host}:aud and StringLike on {host}:sub, as narrow as a repository and "
                    "branch (guardrail oidc-subjects).",
                )  # fmt: skip


def _wanted(host: str) -> tuple[str, ...]:
    """Cognito's identity pools are told by aud, their kind by amr (IAM User Guide, 'Using Amazon Cognito')."""
    return ("aud",) if host.startswith("cognito-identity") else ("sub", "aud")


def _anybodys(statement: Statement, host: str) -> tuple[str, ...]:
    """
    Patterns of subjects that leave their owner open, as `repo:*` does, or `repo:acme*`, which `acme-thief` fits too.

    Where another claim is asked for as well, that may tell the owner.
    """
    if host not in _OF_ALL or any(
        one.key.startswith(f"{host}:") and one.key not in (f"{host}:sub", f"{host}:aud") and _positive(one)
        for one in statement.conditions
    ):
        return ()
    asked = [one for one in statement.conditions if one.key == f"{host}:sub" and _positive(one)]
    opened = [tuple(filter(_open, one.values)) if _like(one) else () for one in asked]
    return () if () in opened else tuple(value for values in opened for value in values)


def _open(pattern: str) -> bool:
    head = re.split(r"[*?]", pattern, maxsplit=1)[0]
    return head != pattern and _OWNER.match(head) is None


def _positive(condition: Condition) -> bool:
    return condition.operator.rpartition(":")[2].casefold() in _POSITIVE


def _like(condition: Condition) -> bool:
    return condition.operator.casefold().endswith("stringlike")


def _pins(statement: Statement, key: str) -> bool:
    """Whether a condition narrows the key: a positive one, with no value that takes in everything."""
    return any(
        one.key == key.casefold() and _positive(one) and all(value.strip("*?") for value in one.values)
        for one in statement.conditions
    )


CHECK = Check(
    id=_NAME,
    title="A trust in an OIDC provider pins no subject or audience",
    severity="critical",
    attack="Any repository, project or workload of the provider, anybody's among them, asks for a token and "
    "becomes the role.",
    blocked="positive conditions pin both, no value of theirs is a bare wildcard, and at a provider where anybody may "
    "have an account the subject's owner stands before the first wildcard",
    needs="snapshot",
    references=("IAM User Guide, 'Create a role for OpenID Connect federation'",),
    find=find,
)
