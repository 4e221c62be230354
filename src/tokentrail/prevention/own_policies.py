"""
Read the user's own policies, which are tested like our guardrails.

A file holds a policy document, or an object that says what it is and to what it is attached: `kind`, `target`,
`account` and `policy`, as `guard --format json` prints guardrails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tokentrail.aws.principals import principal_of_arn
from tokentrail.errors import UsageError
from tokentrail.policy.language.documents import Document, Malformed, parse
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.model import GuardKind
from tokentrail.prevention.proposal import GuardrailProposal, Words, identity_policy, rcp, scp, trust_policy

OWN = "own"
_LONGEST = 1 << 20
_FORM = (
    'Give a policy document (an SCP; with Principal, an RCP), or {"kind": "scp|rcp|trust-policy|identity-policy", '
    '"target": ARN, "policy": {...}}, as `tokentrail guard --format json` prints guardrails.'
)


def proposal(content: bytes, name: str, evidence: Evidence) -> GuardrailProposal:
    """
    Read a policy of the user's.

    Args:
        content: The content of the file.
        name: Its name, by which the guardrail is known.
        evidence: What is ordinary.

    Raises:
        UsageError: it is no policy, or lacks a target.
    """
    parsed = _read(content, name)
    policy = parsed.get("policy", parsed)
    document = parse(policy)
    if not isinstance(policy, Mapping) or isinstance(document, Malformed):
        reason = document.reason if isinstance(document, Malformed) else "it is no object"
        raise UsageError(f"{name}: no policy that can be judged: {reason}. {_FORM}")
    kind = parsed.get("kind") or _kind(document)
    words = Words(
        id=OWN,
        title=f"Your own: {name}",
        prevents="As you wrote it.",
        limits="Tested as if it had been in force from the beginning; permissions that you add are not tested.",
        stage=2,
    )
    return replace(_proposal(kind, words, policy, parsed, name, evidence), id=f"{OWN}:{name}")


def _proposal(
    kind: str,
    words: Words,
    policy: Mapping[str, Any],
    parsed: Mapping[str, Any],
    name: str,
    evidence: Evidence,
) -> GuardrailProposal:
    target, account = parsed.get("target"), _account(parsed.get("account"), name)
    match kind:
        case "scp" | "rcp" if target not in (
            None,
            account,
        ):  # `guard` prints its account as the target of an SCP
            raise UsageError(
                f'{name}: an SCP or RCP has no "target"; "account" limits an SCP to one. {_FORM}'
            )
        case "scp":
            return scp(
                words, policy, account=account, organisations=evidence.organisations, unbound=evidence.unbound
            )
        case "rcp" if account is not None:
            raise UsageError(f'{name}: no "account" limits an RCP: it is tested on all. {_FORM}')
        case "rcp":
            return rcp(words, policy, evidence.organisations, evidence.accounts)
        case "trust-policy":
            return trust_policy(words, policy, _target(target, name, "role"))
        case "identity-policy":
            return identity_policy(words, policy, _target(target, name, "user", "role"))
        case _:
            raise UsageError(f"{name}: {kind!r} is no kind of policy that can be tested. {_FORM}")


def _read(content: bytes, name: str) -> Mapping[str, Any]:
    if len(content) > _LONGEST:
        raise UsageError(f"{name}: longer than any policy. {_FORM}")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: no JSON. {_FORM}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{name}: no JSON object. {_FORM}")
    return value


def _kind(document: Document) -> GuardKind:
    return "rcp" if any(one.principals is not None for one in document.statements) else "scp"


def _account(account: Any, name: str) -> str | None:
    if account is not None and not (isinstance(account, str) and account.isdecimal() and len(account) == 12):
        raise UsageError(f'{name}: its "account" must be the twelve digits of one, as text. {_FORM}')
    return account


def _target(target: Any, name: str, *kinds: str) -> str:
    identity = principal_of_arn(target) if isinstance(target, str) else None
    if identity is None or identity.kind not in kinds:
        raise UsageError(f'{name}: its "target" must be the ARN of a {" or ".join(kinds)}. {_FORM}')
    return str(target)
