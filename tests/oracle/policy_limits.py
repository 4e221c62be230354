"""
What AWS would refuse of the policies in a plan: grammar, sizes, names.

Sources: "Grammar of the IAM JSON policy language" and "IAM and AWS STS quotas" (IAM User Guide): inline
policies of a user hold 2,048 and of a role 10,240 characters together, a managed policy 6,144, white space
not counted; a trust policy 2,048 by default. "Quotas and service limits for AWS Organizations": a service
control policy holds 10,240 characters, and white space counts when it is saved through the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tokentrail.testing.names import Json

USER_INLINE, ROLE_INLINE, MANAGED, SERVICE_CONTROL, TRUST = 2_048, 10_240, 6_144, 10_240, 2_048
NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
"""`PolicyName` in the IAM API Reference."""
OURS = "TokenTrail-"
"""How the names of a plan's policies begin, so that everybody knows whose they are."""

_DOCUMENTS = {
    ("iam", "PutUserPolicy"): "PolicyDocument",
    ("iam", "PutRolePolicy"): "PolicyDocument",
    ("iam", "CreatePolicy"): "PolicyDocument",
    ("iam", "CreatePolicyVersion"): "PolicyDocument",
    ("iam", "UpdateAssumeRolePolicy"): "PolicyDocument",
    ("organizations", "CreatePolicy"): "Content",
    ("organizations", "UpdatePolicy"): "Content",
}
_INLINE = {"PutUserPolicy": ("UserName", USER_INLINE), "PutRolePolicy": ("RoleName", ROLE_INLINE)}
_OPERATOR = re.compile(
    r"(ForAnyValue:|ForAllValues:)?"
    r"((String(Not)?(Equals|Like|EqualsIgnoreCase)|(Arn|Numeric|Date)(Not)?Equals|Arn(Not)?Like"
    r"|(Numeric|Date)(LessThan|GreaterThan)(Equals)?|Bool|BinaryEquals|(Not)?IpAddress)(IfExists)?|Null)"
)
_CHARACTERS = re.compile(r"[\t\n\r\x20-\xff]*")


def faults(plan: Mapping[str, Any]) -> list[str]:
    """List what AWS would refuse of a plan's policies, and what isn't named as ours; none is well."""
    found: list[str] = []
    inline: dict[tuple[str, str, str], dict[str, int]] = {}
    for step in plan["steps"]:
        for call in step["calls"]:
            key = (call["service"], call["operation"])
            if key in _DOCUMENTS:
                text = call["parameters"][_DOCUMENTS[key]]
                where = f"step {step['n']}, {call['operation']}"
                found += [f"{where}: {fault}" for fault in _call(call, text)]
                if call["operation"] in _INLINE:
                    named, limit = _INLINE[call["operation"]]
                    held = inline.setdefault((call["account"], named, call["parameters"][named]), {})
                    held[call["parameters"]["PolicyName"]] = size(text)
                    if sum(held.values()) > limit:
                        found.append(f"{where}: {sum(held.values())} characters inline, {limit} are allowed")
            elif key[1] in ("DeleteUserPolicy", "DeleteRolePolicy"):
                named = "UserName" if key[1] == "DeleteUserPolicy" else "RoleName"
                inline.get((call["account"], named, call["parameters"][named]), {}).pop(
                    call["parameters"]["PolicyName"], None
                )
    return found


def size(document: str) -> int:
    """Count a policy's characters as IAM does: white space is free."""
    return len(re.sub(r"\s", "", document))


def _call(call: Json, text: str) -> Iterator[str]:
    operation, parameters = call["operation"], call["parameters"]
    trust, organisation = operation == "UpdateAssumeRolePolicy", call["service"] == "organizations"
    if not trust and operation not in ("CreatePolicyVersion", "UpdatePolicy"):
        name = parameters["Name" if organisation else "PolicyName"]
        if not NAME.fullmatch(name):
            yield f"{name!r} is no policy name"
        if not name.startswith(OURS):
            yield f"the name {name!r} does not begin with {OURS}"
    limit = TRUST if trust else SERVICE_CONTROL if organisation else MANAGED
    length = len(text) if organisation else size(text)
    if operation not in _INLINE and length > limit:
        yield f"{length} characters, {limit} are allowed"
    yield from grammar(text, trust=trust)


def grammar(text: str, *, trust: bool = False) -> Iterator[str]:
    """List where a document breaks the grammar of identity policies (or trust policies) and SCPs."""
    if not _CHARACTERS.fullmatch(text):
        yield "a character that policies can't hold"
    try:
        policy = json.loads(text, object_pairs_hook=_unrepeated)
    except ValueError as error:
        yield f"no JSON: {error}"
        return
    if not isinstance(policy, dict) or not {"Version", "Statement"} <= set(policy) <= {
        "Version", "Id", "Statement",
    }:  # fmt: skip
        yield "a policy is an object of Version and Statement"
        return
    if policy["Version"] != "2012-10-17":
        yield f"version {policy['Version']!r}"
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    if not statements:
        yield "no statement"
    sids = [one["Sid"] for one in statements if isinstance(one, dict) and "Sid" in one]
    if len(set(sids)) < len(sids):
        yield "a Sid twice"
    for statement in statements:
        yield from _statement(statement, trust=trust)


def _unrepeated(pairs: list[tuple[str, Any]]) -> Json:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError(f"a name twice among {[name for name, _ in pairs]}")
    return dict(pairs)


def _statement(statement: Any, *, trust: bool) -> Iterator[str]:
    if not isinstance(statement, dict):
        yield "a statement is an object"
        return
    wanted = ["Effect", ("Action", "NotAction")]
    wanted += [("Principal", "NotPrincipal")] if trust else [("Resource", "NotResource")]
    known = {"Sid", "Effect", "Condition"}
    for choice in wanted:
        names = (choice,) if isinstance(choice, str) else choice
        known |= set(names)
        if sum(name in statement for name in names) != 1:
            yield f"exactly one of {names} is needed"
    if unknown := set(statement) - known:
        yield f"elements {sorted(unknown)} have no place here"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f"effect {statement.get('Effect')!r}"
    if not re.fullmatch(r"[A-Za-z0-9]*", str(statement.get("Sid", ""))):
        yield f"Sid {statement['Sid']!r}"
    for element in ("Action", "NotAction", "Resource", "NotResource"):
        if element in statement and not _texts(statement[element]):
            yield f"{element} is a text or a list of texts"
    yield from _condition(statement.get("Condition", {}))


def _condition(condition: Any) -> Iterator[str]:
    if not isinstance(condition, dict):
        yield "Condition is an object"
        return
    for operator, tests in condition.items():
        if not _OPERATOR.fullmatch(operator):
            yield f"operator {operator}"
        if not isinstance(tests, dict) or not tests:
            yield f"{operator} tests nothing"
            continue
        for key, values in tests.items():
            if not _texts(values):
                yield f"{operator} {key}: values are texts"


def _texts(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return bool(texts) and all(isinstance(text, str) for text in texts)
