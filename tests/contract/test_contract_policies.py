"""The IAM policies in docs/policies hold what TokenTrail calls, and no more than is known."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from contract_cases import PACKAGE, ROOT

from tokentrail.containment.catalogue import _ALL
from tokentrail.containment.execution.operations import _BUILDERS

POLICIES = ROOT / "docs" / "policies"
_NAMES = {"ListObjectsV2": "ListBucket", "DeleteObjects": "DeleteObject"}
"""Calls whose permission is named otherwise (Amazon S3 API Reference, 'ListObjectsV2', 'DeleteObjects')."""


def allowed(name: str) -> set[str]:
    """The actions that a policy allows."""
    statements = json.loads((POLICIES / name).read_text())["Statement"]
    assert {"Allow"} == {one["Effect"] for one in statements}
    actions = [one["Action"] for one in statements]
    return {action for one in actions for action in ([one] if isinstance(one, str) else one)}


def asked(path: Path) -> set[str]:
    """The operations that a module asks AWS for, by `ask(access, service, operation, …)`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "ask":
            words = [
                one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            if len(words) >= 2:
                name = "".join(part.title() for part in words[1].split("_")).replace("V2", "V2")
                found.add(f"{words[0]}:{_NAMES.get(name, name)}")
    return found


def test_what_reading_calls_is_allowed_and_nothing_else() -> None:
    """Each call of sources/, what decrypting needs, and no action besides."""
    modules = set((PACKAGE / "sources").glob("*.py")) - {PACKAGE / "sources" / "bucket.py"}
    calls = set().union(*map(asked, modules))

    assert {"s3:ListBucket", "cloudtrail:LookupEvents"} <= calls
    assert allowed("read.json") == calls - {"sts:GetCallerIdentity"} | {"kms:Decrypt"}


def test_what_a_case_in_a_bucket_calls_is_allowed_and_nothing_else() -> None:
    """Each call of the module that keeps one there, what reading takes, and what the bucket's key and large files take."""
    calls = asked(PACKAGE / "sources" / "bucket.py")

    assert {"s3:ListBucket", "s3:PutObject", "s3:DeleteObject"} == calls
    besides = {"s3:GetObject", "s3:AbortMultipartUpload", "kms:Decrypt", "kms:GenerateDataKey"}
    assert allowed("case.json") == calls | besides


def test_what_plans_need_is_allowed() -> None:
    """Each permission of the catalogue, each call that can be carried out, and each that reads before and after."""
    needed = {one for facts in _ALL for one in facts.needs}
    needed |= {f"{service}:{operation}" for service, operation in _BUILDERS}
    text = "".join(
        (PACKAGE / "containment" / "execution" / name).read_text()
        for name in ("iam_resources.py", "other_resources.py", "sign_in_limit.py")
    )
    reads = set(re.findall(r'"((?:BatchGet|Get|List|LookupE|Describe)[A-Za-z]+)"', text))

    assert needed <= allowed("apply.json")
    assert reads <= {one.partition(":")[2] for one in allowed("apply.json")}


@pytest.mark.parametrize("name", sorted(one.name for one in POLICIES.glob("*.json")))
def test_a_policy_names_each_action_once_and_no_wildcard(name: str) -> None:
    """Least privilege: no `*` in an action; a size that IAM takes as an inline policy of a role."""
    actions = allowed(name)

    assert not [one for one in actions if "*" in one]
    assert 10_240 >= len(re.sub(r"\s", "", (POLICIES / name).read_text()))
